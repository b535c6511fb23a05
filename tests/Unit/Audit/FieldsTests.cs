using System.Text;
using System.Text.Json;
using Huzhu.Audit.Exporting;
using Huzhu.Audit.Reading;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>What an export keeps of an event, and what it must not.</summary>
public class FieldsTests
{
    private static readonly Pseudonyms Pseudonyms = new([1, 2, 3]);

    public static TheoryData<string, string> EveryEvent => new(
        new[] { "requests", "groups", "matching", "notifications" }.SelectMany(service => EventTypes.Of(service).Keys.Select(name => (service, name))));

    [Theory, MemberData(nameof(EveryEvent))]
    public void no_text_of_a_person_is_kept_of_any_event(string service, string name)
    {
        string[] never = ["note", "by", "operatorId", "externalId", "fingerprint", "cipherText", "person", "caller", "contact", "name", "text", "address", "managedBy"];
        Assert.All(Fields.Dictionary(name, EventTypes.Of(service)[name]), field =>
            Assert.False(field.Treatment is Treatment.Kept && never.Contains(field.Path.Split('.')[^1].TrimEnd(']', '[')), $"{name}: {field.Path} is kept"));
    }

    [Fact]
    public void ids_become_pseudonyms_places_coarse_and_texts_go()
    {
        var data = Treat("matching", "need_cancelled", """{"requestId":"11111111-1111-1111-1111-111111111111","reason":"Mrs Lin called","saidAt":"2022-04-01T00:00:00+00:00","at":"2022-04-01T00:00:00+00:00"}""");
        Assert.Equal(["at", "requestId", "saidAt"], data.RootElement.EnumerateObject().Select(field => field.Name));
        Assert.Equal(Pseudonyms.Of(new Guid("11111111-1111-1111-1111-111111111111")), data.RootElement.GetProperty("requestId").GetGuid());
        Assert.NotEqual(new Guid("11111111-1111-1111-1111-111111111111"), data.RootElement.GetProperty("requestId").GetGuid());

        var waits = Treat("matching", "need_waits", """{"requestId":"11111111-1111-1111-1111-111111111111","reason":"full","leftOut":{"full":3},"remaining":1,"at":"2022-04-01T00:00:00+00:00","new":"field"}""");
        Assert.Equal("full", waits.RootElement.GetProperty("reason").GetString());
        Assert.Equal(3, waits.RootElement.GetProperty("leftOut").GetProperty("full").GetInt32());
        Assert.False(waits.RootElement.TryGetProperty("new", out _));

        var received = Treat("matching", "need_received", """{"need":{"personId":"11111111-1111-1111-1111-111111111111","kind":"meals","place":{"lat":31.22154,"lon":121.44201},"communication":["text-only"],"excludedResponders":["22222222-2222-2222-2222-222222222222"]},"at":"2022-04-01T00:00:00+00:00"}""");
        var need = received.RootElement.GetProperty("need");
        Assert.Equal(("meals", 31.22), (need.GetProperty("kind").GetString(), need.GetProperty("place").EnumerateObject().First().Value.GetDouble()));
        Assert.Equal("text-only", need.GetProperty("communication")[0].GetString());
        Assert.Equal(Pseudonyms.Of(new Guid("22222222-2222-2222-2222-222222222222")), need.GetProperty("excludedResponders")[0].GetGuid());
    }

    [Fact]
    public void another_key_makes_other_pseudonyms_and_the_same_key_the_same()
    {
        var id = Guid.NewGuid();
        Assert.Equal(Pseudonyms.Of(id), new Pseudonyms([1, 2, 3]).Of(id));
        Assert.NotEqual(Pseudonyms.Of(id), new Pseudonyms([1, 2, 4]).Of(id));
    }

    private static JsonDocument Treat(string service, string name, string json)
    {
        using var data = JsonDocument.Parse(json);
        return JsonDocument.Parse(Encoding.UTF8.GetBytes(Fields.Treat(name, EventTypes.Of(service)[name], data.RootElement, Pseudonyms).ToJsonString()));
    }
}
