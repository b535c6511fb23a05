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
    /// Even-odd rule on the plane of degrees, longitudes taken relative to the place so that a zone may span the
    /// antimeridian. A zone is a few kilometres wide: the plane is as good as the sphere.
    /// </summary>
    public static bool Contains(IReadOnlyList<GeoPoint> ring, GeoPoint place)
    {
        var inside = false;
        for (int i = 0, j = ring.Count - 1; i < ring.Count; j = i++)
        {
            var (latitudeI, latitudeJ) = (ring[i].Latitude - place.Latitude, ring[j].Latitude - place.Latitude);
            if (latitudeI > 0 == latitudeJ > 0)
                continue;
            var (longitudeI, longitudeJ) = (Turn(ring[i].Longitude - place.Longitude), Turn(ring[j].Longitude - place.Longitude));
            if (longitudeI - latitudeI * (longitudeJ - longitudeI) / (latitudeJ - latitudeI) > 0)
                inside = !inside;
        }
        return inside;

        static double Turn(double degrees) => degrees switch { > 180 => degrees - 360, < -180 => degrees + 360, _ => degrees };
    }
}
