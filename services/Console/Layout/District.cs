using System.Text.Json;
using Huzhu.Contracts;

namespace Huzhu.Web.Layout;

/// <summary>
/// The outlines of the sub-districts, for maps and for a place that is only told by its sub-district. The same file as
/// Requests has: <c>Places:SubDistrictsFile</c>. Without one there is no map of the district, and no list to choose from.
/// </summary>
public sealed class District
{
    public const string Key = "Places:SubDistrictsFile";
    private const double MetresPerDegree = 111_320;

    private District(byte[] geoJson, IReadOnlyList<SubDistrict> subDistricts) => (GeoJson, SubDistricts) = (geoJson, subDistricts);

    public byte[] GeoJson { get; }
    public IReadOnlyList<SubDistrict> SubDistricts { get; }
    public bool IsKnown => SubDistricts.Count > 0;

    public SubDistrict? Find(string? name) => SubDistricts.FirstOrDefault(one => one.Name == name);

    /// <exception cref="InvalidOperationException">The file is missing or is not what is expected.</exception>
    public static District Load(IConfiguration configuration)
    {
        if (configuration[Key] is not { Length: > 0 } file)
            return new District("""{"type":"FeatureCollection","features":[]}"""u8.ToArray(), []);
        try
        {
            return Parse(File.ReadAllBytes(file));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InvalidOperationException($"{Key} ({file}) cannot be read as a GeoJSON FeatureCollection of polygons with a name: {exception.Message}", exception);
        }
    }

    public static District Parse(byte[] geoJson)
    {
        using var document = JsonDocument.Parse(geoJson);
        return new District(geoJson, [.. document.RootElement.GetProperty("features").EnumerateArray().Select(Read).OrderBy(one => one.Name, StringComparer.Ordinal)]);
    }

    private static SubDistrict Read(JsonElement feature)
    {
        var geometry = feature.GetProperty("geometry");
        var coordinates = geometry.GetProperty("coordinates");
        // The largest part of several, by its number of points: the middle only has to lie near people.
        var ring = geometry.GetProperty("type").GetString() == "MultiPolygon"
            ? coordinates.EnumerateArray().Select(polygon => polygon[0]).MaxBy(outer => outer.GetArrayLength())
            : coordinates[0];
        var points = ring.EnumerateArray().Select(position => new GeoPoint(position[1].GetDouble(), position[0].GetDouble())).ToList();
        var middle = Middle(points);
        var radius = points.Max(point => Math.Sqrt(Math.Pow((point.Latitude - middle.Latitude) * MetresPerDegree, 2)
            + Math.Pow((point.Longitude - middle.Longitude) * MetresPerDegree * Math.Cos(middle.Latitude * Math.PI / 180), 2)));
        return new SubDistrict(feature.GetProperty("properties").GetProperty("name").GetString() ?? throw new FormatException("a feature has no name"), middle, Math.Ceiling(radius));
    }

    /// <summary>The centre of its area.</summary>
    private static GeoPoint Middle(List<GeoPoint> ring)
    {
        double area = 0, latitude = 0, longitude = 0;
        var origin = ring[0];
        for (var index = 1; index < ring.Count; index++)
        {
            // Measured from one corner, so that nothing is lost to large numbers.
            var (fromLat, fromLon) = (ring[index - 1].Latitude - origin.Latitude, ring[index - 1].Longitude - origin.Longitude);
            var (toLat, toLon) = (ring[index].Latitude - origin.Latitude, ring[index].Longitude - origin.Longitude);
            var cross = fromLon * toLat - toLon * fromLat;
            area += cross;
            latitude += (fromLat + toLat) * cross;
            longitude += (fromLon + toLon) * cross;
        }
        return area == 0 ? origin : new GeoPoint(Math.Round(origin.Latitude + latitude / (3 * area), 5), Math.Round(origin.Longitude + longitude / (3 * area), 5));
    }
}

/// <param name="Middle">WGS84.</param>
/// <param name="RadiusMetres">How far its farthest corner lies from the middle.</param>
public sealed record SubDistrict(string Name, GeoPoint Middle, double RadiusMetres);
