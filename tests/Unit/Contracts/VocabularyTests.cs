using System.Text.Json;
using CsCheck;
using Huzhu.Contracts;
using Xunit;

namespace Huzhu.Tests.Unit.Contracts;

public class VocabularyTests
{
    [Fact]
    public void a_root_covers_what_is_below_it_and_not_the_other_way_round()
    {
        Assert.True(ServiceKinds.Covers(ServiceKinds.Specialised, ServiceKinds.Medicine));
        Assert.True(ServiceKinds.Covers(ServiceKinds.Medicine, ServiceKinds.Medicine));
        Assert.False(ServiceKinds.Covers(ServiceKinds.Medicine, ServiceKinds.Specialised));
        Assert.False(ServiceKinds.Covers(ServiceKinds.Medicine, ServiceKinds.Counselling));
        Assert.False(ServiceKinds.Covers(ServiceKinds.Meals, ServiceKinds.Medicine));
    }

    [Theory]
    [InlineData("\"life-threatening\"", Urgency.LifeThreatening)]
    [InlineData("\"routine\"", Urgency.Routine)]
    public void words_are_kebab_case(string json, Urgency urgency)
    {
        Assert.Equal(urgency, JsonSerializer.Deserialize<Urgency>(json));
        Assert.Equal(json, JsonSerializer.Serialize(urgency));
    }

    [Theory]
    [InlineData("3")]
    [InlineData("\"3\"")]
    [InlineData("\"urgent\"")]
    [InlineData("null")]
    public void a_number_or_an_unknown_word_is_no_urgency(string json) =>
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Urgency>(json));

    [Fact]
    public void a_more_urgent_need_compares_greater() =>
        Assert.Equal([Urgency.Routine, Urgency.Hardship, Urgency.Health, Urgency.LifeThreatening], Enum.GetValues<Urgency>().Order());

    [Fact]
    public void a_snapped_place_is_near_on_earth_and_stays_where_it_is() =>
        Gen.Select(Gen.Double[-90, 90], Gen.Double[-180, 180]).Sample((latitude, longitude) =>
        {
            var snapped = new GeoPoint(latitude, longitude).Snapped();
            Assert.True(snapped.IsOnEarth);
            Assert.Equal(snapped, snapped.Snapped());
            Assert.InRange(Math.Abs(snapped.Latitude - latitude) * 111_320, 0, 60);
            // Near the poles a step of longitude is capped: a degree there is next to nothing in metres.
            Assert.InRange(Math.Abs(snapped.Longitude - longitude) * 111_320 * Math.Cos(latitude * Math.PI / 180), 0, 120);
        });

    [Fact]
    public void ids_are_plain_uuids_as_values_and_as_property_names()
    {
        var id = NeedId.Of(Guid.Parse("0197b0a0-0000-7000-8000-000000000001"));
        Assert.Equal("\"0197b0a0-0000-7000-8000-000000000001\"", JsonSerializer.Serialize(id));
        var map = new Dictionary<NeedId, int> { [id] = 1 };
        Assert.Equal(map, JsonSerializer.Deserialize<Dictionary<NeedId, int>>(JsonSerializer.Serialize(map)));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<NeedId>("\"nonsense\""));
    }
}
