using System.Collections.Concurrent;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>The sealed zones, for asking whether two places lie in the same ones. Immutable; a new version is a new object.</summary>
public sealed class Zones
{
    private readonly GeoPoint[][] _rings;
    private readonly ConcurrentDictionary<string, int> _signatures = new();
    private int _lastSignature;

    public Zones(MeasuresState measures)
    {
        Version = measures.Version;
        _rings = [.. measures.Zones.Values.Select(zone => zone.Area.ToArray())];
    }

    public long Version { get; }
    public int Count => _rings.Length;
    public bool Any => _rings.Length > 0;

    /// <summary>
    /// A number that two places share exactly when they lie in the same sealed zones. Offline help between places of
    /// different numbers crosses an edge. Only comparable within one object.
    /// </summary>
    public int SignatureOf(GeoPoint place)
    {
        if (_rings.Length == 0)
            return 0;
        var inside = new List<int>(2);
        for (var index = 0; index < _rings.Length; index++)
        {
            if (Contains(_rings[index], place))
                inside.Add(index);
        }
        return inside.Count == 0 ? 0 : _signatures.GetOrAdd(string.Join(',', inside), _ => Interlocked.Increment(ref _lastSignature));
    }

    /// <summary>
    /// Even-odd rule on the plane of degrees, longitudes taken from the ring's first corner so that a zone may span the
    /// antimeridian. A zone is a few kilometres wide: the plane is as good as the sphere.
    /// </summary>
    public static bool Contains(IReadOnlyList<GeoPoint> ring, GeoPoint place)
    {
        var inside = false;
        var longitude = FromFirst(place);
        for (int i = 0, j = ring.Count - 1; i < ring.Count; j = i++)
        {
            var (a, b) = (ring[i], ring[j]);
            if (a.Latitude > place.Latitude == b.Latitude > place.Latitude)
                continue;
            var crossing = FromFirst(a) + (place.Latitude - a.Latitude) * (FromFirst(b) - FromFirst(a)) / (b.Latitude - a.Latitude);
            if (longitude < crossing)
                inside = !inside;
        }
        return inside;

        double FromFirst(GeoPoint point) => (point.Longitude - ring[0].Longitude) switch { > 180 and var east => east - 360, < -180 and var west => west + 360, var near => near };
    }
}
