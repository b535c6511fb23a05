using Huzhu.Contracts;
using NetTopologySuite.Algorithm.Locate;
using NetTopologySuite.Geometries;

namespace Huzhu.Groups.Domain;

/// <summary>A piece of the earth inside a ring of WGS84 points. A point on the edge is inside.</summary>
public sealed class Area
{
    public const int MinPoints = 3;
    public const int MaxPoints = 10_000;

    private readonly IndexedPointInAreaLocator _locator;
    private readonly Envelope _bounds;

    private Area(IReadOnlyList<GeoPoint> ring, Polygon polygon)
    {
        Ring = ring;
        _bounds = polygon.EnvelopeInternal;
        _locator = new IndexedPointInAreaLocator(polygon);
        // The index is built by the first question; asked here, so that an area can be shared between threads.
        _locator.Locate(polygon.Coordinate);
    }

    /// <summary>The ring, its first point repeated at the end.</summary>
    public IReadOnlyList<GeoPoint> Ring { get; }

    public bool Contains(GeoPoint point)
    {
        var position = new Coordinate(point.Longitude, point.Latitude);
        return _bounds.Contains(position) && _locator.Locate(position) != NetTopologySuite.Geometries.Location.Exterior;
    }

    /// <summary>The area inside these points, the ring closed or not; or, in one sentence, why they are none.</summary>
    public static (Area? Area, string? Problem) Of(IReadOnlyList<GeoPoint> points)
    {
        IReadOnlyList<GeoPoint> ring = points.Count > 0 && points[0] == points[^1] ? points : [.. points, .. points.Take(1)];
        if (ring.Count - 1 is < MinPoints or > MaxPoints)
            return (null, $"An area has {MinPoints} to {MaxPoints} points, not counting the repeat of the first.");
        if (points.Any(point => !point.IsOnEarth))
            return (null, "Every point must lie on earth: latitude -90 to 90, longitude -180 to 180.");
        if (ring.Zip(ring.Skip(1)).Any(edge => Math.Abs(edge.First.Longitude - edge.Second.Longitude) > 180))
            return (null, "The area crosses the antimeridian (longitude 180), which is not supported: publish one measure for each side.");
        var polygon = new Polygon(new LinearRing([.. ring.Select(point => new Coordinate(point.Longitude, point.Latitude))]));
        return polygon.IsValid && polygon.Area > 0
            ? (new Area(ring, polygon), null)
            : (null, "The points are not the edge of an area: the ring crosses or touches itself, or encloses nothing.");
    }
}
