using System.Text.Json;
using Huzhu.Contracts;

namespace Huzhu.Requests.Intake;

/// <summary>
/// Which sub-district a place lies in: polygons with a <c>name</c> from a GeoJSON file, or nothing known when no file is
/// configured.
/// </summary>
public sealed class SubDistrictMap
{
    public const string Key = "Places:SubDistrictsFile";
    private const long MaxFileBytes = 64 * 1024 * 1024;

    private readonly IReadOnlyList<District> _districts;

    private SubDistrictMap(IReadOnlyList<District> districts) => _districts = districts;

    /// <exception cref="InvalidOperationException">The file is missing or is not what is expected.</exception>
    public static SubDistrictMap Load(IConfiguration configuration)
    {
        if (configuration[Key] is not { Length: > 0 } file)
            return new SubDistrictMap([]);
        try
        {
            if (new FileInfo(file) is { Exists: true, Length: > MaxFileBytes })
                throw new FormatException("it is larger than 64 MiB");
            return Parse(File.ReadAllBytes(file));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or FormatException
            or InvalidOperationException or KeyNotFoundException or ArgumentException)
        {
            throw new InvalidOperationException($"{Key} ({file}) cannot be read as a GeoJSON FeatureCollection of polygons with a name: {exception.Message}", exception);
        }
    }

    public static SubDistrictMap Parse(ReadOnlyMemory<byte> geoJson)
    {
        using var document = JsonDocument.Parse(geoJson);
        if (document.RootElement.GetProperty("type").GetString() != "FeatureCollection")
            throw new FormatException("it is not a FeatureCollection");
        var districts = document.RootElement.GetProperty("features").EnumerateArray().Select(ReadFeature).ToList();
        return districts.Count > 0 ? new SubDistrictMap(districts) : throw new FormatException("it has no features");
    }

    /// <summary>The first district that the place lies in, in the file's order; null when in none.</summary>
    public string? Find(GeoPoint place) => _districts.FirstOrDefault(district => district.Contains(place))?.Name;

    private static District ReadFeature(JsonElement feature)
    {
        var name = feature.GetProperty("properties").GetProperty("name").GetString();
        if (string.IsNullOrWhiteSpace(name))
            throw new FormatException("a feature has no name");
        var geometry = feature.GetProperty("geometry");
        var coordinates = geometry.GetProperty("coordinates");
        return new District(name, geometry.GetProperty("type").GetString() switch
        {
            "Polygon" => [ReadPolygon(coordinates)],
            "MultiPolygon" => [.. coordinates.EnumerateArray().Select(ReadPolygon)],
            var other => throw new FormatException($"the geometry of {name} is {other}, not Polygon or MultiPolygon"),
        });
    }

    private static Polygon ReadPolygon(JsonElement rings)
    {
        var read = rings.EnumerateArray().Select(ring => ring.EnumerateArray().Select(ReadPosition).ToArray()).ToArray();
        if (read.Length == 0 || read.Any(ring => ring.Length < 4 || ring[0] != ring[^1]))
            throw new FormatException("a ring is not closed or has fewer than four positions");
        return new Polygon(read);
    }

    private static GeoPoint ReadPosition(JsonElement position)
    {
        var point = new GeoPoint(position[1].GetDouble(), position[0].GetDouble());
        return point.IsOnEarth ? point : throw new FormatException("a position lies outside the world; GeoJSON has the longitude first");
    }

    private sealed record District(string Name, IReadOnlyList<Polygon> Polygons)
    {
        public bool Contains(GeoPoint place) => Polygons.Any(polygon => polygon.Contains(place));
    }

    /// <summary>An outer ring and holes.</summary>
    private sealed class Polygon(GeoPoint[][] rings)
    {
        private readonly double _south = rings[0].Min(point => point.Latitude);
        private readonly double _north = rings[0].Max(point => point.Latitude);
        private readonly double _west = rings[0].Min(point => point.Longitude);
        private readonly double _east = rings[0].Max(point => point.Longitude);

        public bool Contains(GeoPoint place)
        {
            if (place.Latitude < _south || place.Latitude > _north || place.Longitude < _west || place.Longitude > _east)
                return false;
            // A ray to the east crosses the edges an odd number of times when it starts inside; holes count the same way.
            var inside = false;
            foreach (var ring in rings)
                for (var index = 1; index < ring.Length; index++)
                    inside ^= Crosses(place, ring[index - 1], ring[index]);
            return inside;
        }

        private static bool Crosses(GeoPoint place, GeoPoint from, GeoPoint to) =>
            from.Latitude > place.Latitude != to.Latitude > place.Latitude
            && place.Longitude < (to.Longitude - from.Longitude) * (place.Latitude - from.Latitude) / (to.Latitude - from.Latitude) + from.Longitude;
    }
}
