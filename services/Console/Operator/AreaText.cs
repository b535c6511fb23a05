using System.Globalization;
using Huzhu.Contracts;

namespace Huzhu.Web.Operator;

/// <summary>The corners of an area as text, one a line: "31.22010, 121.44010". What the map draws is written here too.</summary>
public static class AreaText
{
    public const int MaxPoints = 1000;

    public static string Of(GeoPoint point) => string.Create(CultureInfo.InvariantCulture, $"{point.Latitude:0.#####},{point.Longitude:0.#####}");

    /// <returns>Null when a line is no position on earth, or there are fewer than three or too many.</returns>
    public static IReadOnlyList<GeoPoint>? TryRead(string? text)
    {
        var points = new List<GeoPoint>();
        foreach (var line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (line.Split([',', '，', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries) is not [var latitude, var longitude]
                || !double.TryParse(latitude, NumberStyles.Float, CultureInfo.InvariantCulture, out var lat) || !double.TryParse(longitude, NumberStyles.Float, CultureInfo.InvariantCulture, out var lon)
                || new GeoPoint(lat, lon) is var point && !point.IsOnEarth || points.Count >= MaxPoints)
                return null;
            points.Add(new GeoPoint(lat, lon));
        }
        return points.Distinct().Count() >= 3 ? points : null;
    }
}
