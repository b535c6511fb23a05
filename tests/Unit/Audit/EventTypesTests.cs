using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Huzhu.Audit.Reading;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>The audit reads events in a faster way than the services do, and must read the same in them, and refuse the same.</summary>
public class EventTypesTests
{
    private static readonly Marten.Services.SystemTextJsonSerializer Store = EventStore.CreateSerializer();

    public static TheoryData<string> Services => ["requests", "groups", "matching", "notifications"];

    [Theory, MemberData(nameof(Services))]
    public void every_event_is_read_as_the_service_reads_it(string service)
    {
        var samples = SamplesOf(service);
        Assert.Empty(EventTypes.Of(service).Keys.Except(samples.Select(sample => sample.Type)));
        Assert.All(samples, sample =>
        {
            Assert.NotEqual(Refused, Audited(service, sample.Type, sample.Data));
            AssertSame(service, sample.Type, sample.Data);
        });
    }

    [Theory, MemberData(nameof(Services))]
    public void the_order_of_fields_and_what_nobody_knows_change_nothing(string service) =>
        Assert.All(SamplesOf(service), sample =>
        {
            var turned = Turned(JsonNode.Parse(sample.Data))!.ToJsonString();
            AssertSame(service, sample.Type, turned);
            // With spaces, as jsonb has them, and the first letter of every word escaped.
            var escaped = Regex.Replace(turned, "\"([a-zA-Z])", word => $"\"\\u{(int)word.Groups[1].Value[0]:x4}").Replace(",\"", ", \"", StringComparison.Ordinal);
            Assert.NotEqual(Refused, Audited(service, sample.Type, escaped));
            Assert.Equal(Audited(service, sample.Type, turned), Audited(service, sample.Type, escaped));
            var known = JsonNode.Parse(sample.Data)!;
            known["ofTomorrow"] = new JsonArray(1, new JsonObject { ["at"] = null });
            Assert.Equal(Audited(service, sample.Type, sample.Data), Audited(service, sample.Type, known.ToJsonString()));
        });

    [Theory, MemberData(nameof(Services))]
    public void whatever_is_left_out_or_is_something_else_is_read_or_refused_alike(string service)
    {
        var refused = 0;
        foreach (var (type, data) in SamplesOf(service))
        {
            for (var place = 0; Changed(data, place, null, leaveOut: true) is { } without; place++)
            {
                AssertSame(service, type, without);
                foreach (var value in new[] { "null", "7", "1e99", "\"x\"", "true", "[null]", """{"x":null}""" })
                {
                    var changed = Changed(data, place, value, leaveOut: false)!;
                    AssertSame(service, type, changed);
                    refused += Audited(service, type, changed) == Refused ? 1 : 0;
                }
            }
        }
        Assert.True(refused > 100);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("""{"offerId":"11111111-1111-1111-1111-111111111111","needId":"11111111-1111-1111-1111-111111111111","at":"2022-04-01T00:00:00+00:00" """)]
    [InlineData("""{"offerId":"11111111-1111-1111-1111-111111111111","needId":"11111111-1111-1111-1111-111111111111","at":"2022-04-01T00:00:00+00:00"} {}""")]
    public void what_is_no_object_is_refused_alike(string data) => AssertSame("matching", "place_held", data);

    [Fact]
    public void what_is_no_text_is_refused()
    {
        byte[] data = [.. """{"offerId":"11111111-1111-1111-1111-111111111111","channel":" """u8, 0xff, .. """ ","expiresAt":"2022-04-01T00:00:00+00:00","at":"2022-04-01T00:00:00+00:00"}"""u8];
        Assert.Throws<AuditException>(() => EventTypes.Decode("matching", "offer_sent", 1, data));
    }

    [Fact]
    public void what_cannot_be_read_is_named_with_its_place()
    {
        const string data = """{"offerId":"11111111-1111-1111-1111-111111111111","needId":"nobody","at":"2022-04-01T00:00:00+00:00"}""";
        var exception = Assert.Throws<AuditException>(() => EventTypes.Decode("matching", "place_held", 7, Encoding.UTF8.GetBytes(data)));
        Assert.Contains("The place_held at sequence 7 of matching cannot be read", exception.Message);
        Assert.Contains("$.needId", exception.Message);
    }

    private const string Refused = "refused";

    private static void AssertSame(string service, string type, string data) =>
        Assert.True(Served(service, type, data) == Audited(service, type, data), $"{type} {data}");

    private static string Served(string service, string type, string data)
    {
        try
        {
            return Store.ToJson(Store.FromJson(EventTypes.Of(service)[type], new MemoryStream(Encoding.UTF8.GetBytes(data))));
        }
        catch (JsonException)
        {
            return Refused;
        }
    }

    private static string Audited(string service, string type, string data)
    {
        try
        {
            return Store.ToJson(EventTypes.Decode(service, type, 1, Encoding.UTF8.GetBytes(data)));
        }
        catch (AuditException)
        {
            return Refused;
        }
    }

    /// <returns>Null when there is no such place.</returns>
    private static string? Changed(string data, int place, string? value, bool leaveOut)
    {
        var root = JsonNode.Parse(data)!;
        if (Places(root).ElementAtOrDefault(place) is not { Parent: { } parent } at)
            return null;
        var to = value is null ? null : JsonNode.Parse(value);
        switch (parent)
        {
            case JsonObject fields when leaveOut:
                fields.Remove(at.Name!);
                break;
            case JsonObject fields:
                fields[at.Name!] = to;
                break;
            case JsonArray entries when leaveOut:
                entries.RemoveAt(at.Index);
                break;
            case JsonArray entries:
                entries[at.Index] = to;
                break;
        }
        return root.ToJsonString();
    }

    private static IEnumerable<(JsonNode? Parent, string? Name, int Index)> Places(JsonNode? node) => node switch
    {
        JsonObject fields => fields.SelectMany(field => Places(field.Value).Prepend((node, field.Key, 0))),
        JsonArray entries => entries.SelectMany((entry, index) => Places(entry).Prepend((node, null, index))),
        _ => [],
    };

    private static JsonNode? Turned(JsonNode? node) => node switch
    {
        JsonObject fields => new JsonObject(fields.Reverse().Select(field => KeyValuePair.Create(field.Key, Turned(field.Value)))),
        JsonArray entries => new JsonArray([.. entries.Select(Turned)]),
        _ => node?.DeepClone(),
    };

    private static List<(string Type, string Data)> SamplesOf(string service, [CallerFilePath] string here = "") =>
        [.. new[] { service, "ServiceDefaults" }.Select(folder => Path.Combine(Path.GetDirectoryName(here)!, "..", char.ToUpperInvariant(folder[0]) + folder[1..], "Samples"))
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories)).Where(file => !file.Contains("contract", StringComparison.Ordinal))
            .Select(file => (Type: NameOf(Path.GetFileNameWithoutExtension(file)), Data: File.ReadAllText(file)))
            .Where(sample => EventTypes.Of(service).ContainsKey(sample.Type))];

    /// <summary>offer-made-before-prior-help.json is another offer_made.</summary>
    private static string NameOf(string file) =>
        JsonNamingPolicy.SnakeCaseLower.ConvertName(file.Split(["-before-", "."], StringSplitOptions.None)[0]).Replace('-', '_');
}
