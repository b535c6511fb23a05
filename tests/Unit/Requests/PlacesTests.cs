using System.Text;
using CsCheck;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.Requests;

public class PlacesTests
{
    [Theory]
    // WGS84, GCJ-02: the test vectors of googollee/eviltransform.
    [InlineData(31.1774276, 121.5272106, 31.17530398364597, 121.531541859215)]
    [InlineData(22.543847, 113.912316, 22.540796131694766, 113.9171764808363)]
    [InlineData(39.911954, 116.377817, 39.91334545536069, 116.38404722455657)]
    public void known_places_are_converted_both_ways(double wgsLat, double wgsLon, double gcjLat, double gcjLon)
    {
        Assert.InRange(Metres(new(gcjLat, gcjLon), Datum.ToGcj02(new(wgsLat, wgsLon))), 0, 0.01);
        Assert.InRange(Metres(new(wgsLat, wgsLon), Datum.FromGcj02(new(gcjLat, gcjLon))), 0, 0.01);
    }

    [Theory]
    [InlineData(35.6762, 139.6503)]
    [InlineData(18.5944, -72.3074)]
    [InlineData(-33.8688, 151.2093)]
    [InlineData(0.5, 100)]
    public void outside_china_both_are_the_same(double lat, double lon) => Assert.Equal(new GeoPoint(lat, lon), Datum.FromGcj02(new GeoPoint(lat, lon)));

    [Fact]
    public void a_round_trip_errs_by_less_than_a_centimetre() => Gen.Select(Gen.Double[3.9, 53.5], Gen.Double[73.6, 135]).Sample((lat, lon) =>
    {
        var place = new GeoPoint(lat, lon);
        var shifted = Datum.ToGcj02(place);
        Assert.InRange(Metres(place, shifted), 1, 1500);
        Assert.InRange(Metres(place, Datum.FromGcj02(shifted)), 0, 0.01);
    }, iter: 10_000);

    private const string Map = """
        {"type": "FeatureCollection", "features": [
          {"type": "Feature", "properties": {"name": "J"}, "geometry": {"type": "Polygon", "coordinates": [
            [[121.0, 31.0], [121.2, 31.0], [121.2, 31.2], [121.0, 31.2], [121.0, 31.0]],
            [[121.05, 31.05], [121.1, 31.05], [121.1, 31.1], [121.05, 31.1], [121.05, 31.05]]]}},
          {"type": "Feature", "properties": {"name": "K"}, "geometry": {"type": "MultiPolygon", "coordinates": [
            [[[122.0, 31.0], [122.1, 31.0], [122.0, 31.1], [122.0, 31.0]]],
            [[[123.0, 31.0], [123.1, 31.0], [123.1, 31.1], [123.0, 31.1], [123.0, 31.0]]]]}}]}
        """;

    [Theory]
    [InlineData(31.01, 121.01, "J")]
    [InlineData(31.19, 121.19, "J")]
    [InlineData(31.07, 121.07, null)]
    [InlineData(31.3, 121.1, null)]
    [InlineData(31.02, 122.02, "K")]
    [InlineData(31.09, 122.09, null)]
    [InlineData(31.05, 123.05, "K")]
    [InlineData(-31.05, -123.05, null)]
    public void a_place_is_found_on_the_map_holes_and_islands_included(double lat, double lon, string? name) =>
        Assert.Equal(name, SubDistrictMap.Parse(Encoding.UTF8.GetBytes(Map)).Find(new GeoPoint(lat, lon)));

    [Fact]
    public void without_a_map_nothing_is_known() =>
        Assert.Null(SubDistrictMap.Load(new ConfigurationBuilder().Build()).Find(new GeoPoint(31.01, 121.01)));

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"type": "FeatureCollection", "features": []}""")]
    [InlineData("""{"type": "FeatureCollection", "features": [{"properties": {"name": "J"}, "geometry": {"type": "Point", "coordinates": [121, 31]}}]}""")]
    [InlineData("""{"type": "FeatureCollection", "features": [{"properties": {}, "geometry": {"type": "Polygon", "coordinates": []}}]}""")]
    [InlineData("""{"type": "FeatureCollection", "features": [{"properties": {"name": "J"}, "geometry": {"type": "Polygon", "coordinates": [[[121, 31], [122, 31], [121, 31]]]}}]}""")]
    [InlineData("""{"type": "FeatureCollection", "features": [{"properties": {"name": "J"}, "geometry": {"type": "Polygon", "coordinates": [[[31, 121], [31, 122], [32, 121], [31, 121]]]}}]}""")]
    [InlineData("""{"type": "FeatureCollection", "features": [{"properties": {"name": "J"}, "geometry": null}]}""")]
    public void a_bad_map_is_an_error_that_names_its_setting(string content)
    {
        var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.geojson");
        File.WriteAllText(file, content);
        try
        {
            var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Places:SubDistrictsFile", file)]).Build();
            Assert.Contains("Places:SubDistrictsFile", Assert.Throws<InvalidOperationException>(() => SubDistrictMap.Load(configuration)).Message);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static double Metres(GeoPoint from, GeoPoint to)
    {
        var north = (to.Latitude - from.Latitude) * 111_320;
        var east = (to.Longitude - from.Longitude) * 111_320 * Math.Cos(from.Latitude * Math.PI / 180);
        return Math.Sqrt(north * north + east * east);
    }
}
