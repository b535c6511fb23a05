using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Marten.Services;
using Xunit;
using V1 = Huzhu.Contracts.Requests.V1;

namespace Huzhu.Tests.Unit.Requests;

/// <summary>
/// What has been stored or published once must be readable, and read the same, for ever: a frozen file for every stored
/// event and every contract that this service publishes. A new type needs a sample here; a file is never edited.
/// </summary>
public class SamplesTests
{
    private static readonly DateTimeOffset At = Given.Now;

    private static readonly Dictionary<string, object> Stored = new object[]
    {
        Given.Submitted(Given.Content(duplicateOf: Given.Older) with { OwnGroupId = Given.Stranger, ExcludedResponders = [Given.Helper], HelpedBefore = [Given.Stranger] }),
        new IntakeExtended(Given.Content(partial: true) with { Consent = null, SubDistrict = null }, "local-intake", At),
        new IntakeCompleted(Given.Content(), "local-intake", At),
        new IntakeAbandoned("mistake", Given.Words, "local-intake", At),
        new RepeatCallLinked(Given.Need, Given.Repeat, At),
        new NeedUrgencyRaised(Given.Need, Urgency.LifeThreatening, At),
        new NeedStateRecorded(Given.Need, 7, NeedState.OnHold, Given.Helper, "concern", 2, At),
        new NeedCancelled(Given.Need, true, "other", Given.Words, "local-intake", At),
        new NeedConfirmed(Given.Need, "local-intake", At),
        new NeedDisputed(Given.Need, [Given.Helper], "not-delivered", null, "local-intake", At),
        new NeedReopened(Given.Need, [], "other", Given.Words, "local-intake", At),
        new ConcernRaised(Given.Need, Given.Helper, "unsafe", null, "local-intake", At),
        new UpdateReceived("desk/42", Wish.NoLongerWanted, Given.Words, "open311.w.desk", At),
        new SheddingBegan(new AdmissionSigns(2001, 0.25), new AdmissionSigns(2000, 1), At),
        new SheddingEnded(new AdmissionSigns(900, 0), new AdmissionSigns(2000, 1), At),
        new TurnTaken("5832509444155992350", Given.Request, Asked.Confirmation, Reply.Confirm, Language.Zh, At),
    }.ToDictionary(stored => stored.GetType().Name);

    private static readonly V1.Need Need = new(Given.Need, Given.Request, Given.Person, ServiceKinds.Medicine, DeliveryMode.Offline, 2,
        new GeoPoint(31.2201, 121.44011), "J", Urgency.Health, [CommunicationNeed.SignLanguage, CommunicationNeed.Proxy], Given.Stranger, [Given.Helper], At, [Given.Stranger]);

    private static readonly Dictionary<string, object> Published = new object[]
    {
        new V1.NeedSubmitted(Need, At),
        new V1.LifeThreateningNeedSubmitted(Need with { Urgency = Urgency.LifeThreatening }, At),
        new V1.NeedUrgencyRaised(Given.Need, Urgency.LifeThreatening, At),
        new V1.NeedCancelled(Given.Need, Given.Request, "no-longer-needed", At),
        new V1.NeedConfirmed(Given.Need, Given.Request, At),
        new V1.NeedReopened(Need, "not-delivered", true, At),
        new V1.ConcernRaised(Given.Need, Given.Request, Given.Person, Given.Helper, At),
        new V1.PersonErased(Given.Person, [Given.Need], At),
    }.ToDictionary(message => message.GetType().Name);

    internal static SystemTextJsonSerializer Serializer { get; } = EventStore.CreateSerializer();

    public static TheoryData<string> EveryStoredEvent => new(EventStore.EventsOf<RequestEvent>().Concat(EventStore.EventsOf<ConversationEvent>()).Concat(EventStore.EventsOf<AdmissionEvent>()).Select(type => type.Name));

    public static TheoryData<string> EveryPublishedContract => new(typeof(V1.NeedSubmitted).Assembly.GetExportedTypes()
        .Where(type => type.Namespace == typeof(V1.NeedSubmitted).Namespace && type != typeof(V1.Need)).Select(type => type.Name));

    [Theory, MemberData(nameof(EveryStoredEvent))]
    public void a_stored_event_is_read_as_it_was_written(string name)
    {
        var sample = Assert.Contains(name, Stored);
        var frozen = Frozen(name);
        var read = Serializer.FromJson(sample.GetType(), new MemoryStream(Encoding.UTF8.GetBytes(frozen)));
        AssertSame(frozen, Serializer.ToJson(read));
        AssertSame(frozen, Serializer.ToJson(sample));
    }

    [Theory, MemberData(nameof(EveryPublishedContract))]
    public void a_published_contract_is_read_as_it_was_written(string name)
    {
        var sample = Assert.Contains(name, Published);
        var frozen = Frozen($"contract.{name}");
        var read = JsonSerializer.Deserialize(frozen, sample.GetType(), JsonSerializerOptions.Web);
        AssertSame(frozen, JsonSerializer.Serialize(read, sample.GetType(), JsonSerializerOptions.Web));
        AssertSame(frozen, JsonSerializer.Serialize(sample, sample.GetType(), JsonSerializerOptions.Web));
    }

    [Fact]
    public void what_is_of_before_prior_help_was_told_is_read_and_written_without_it()
    {
        var (stored, published) = (Frozen("RequestSubmitted-before-prior-help"), Frozen("contract.NeedSubmitted-before-prior-help"));
        var submitted = Serializer.FromJson<RequestSubmitted>(new MemoryStream(Encoding.UTF8.GetBytes(stored)));
        Assert.Null(submitted.Content.HelpedBefore);
        AssertSame(stored, Serializer.ToJson(submitted));
        var message = JsonSerializer.Deserialize<V1.NeedSubmitted>(published, JsonSerializerOptions.Web)!;
        Assert.Null(message.Need.HelpedBefore);
        AssertSame(published, JsonSerializer.Serialize(message, JsonSerializerOptions.Web));
    }

    [Fact]
    public void an_event_with_fields_of_a_later_version_can_still_be_read()
    {
        var json = JsonNode.Parse(Frozen("NeedConfirmed"))!.AsObject();
        json["addedLater"] = new JsonObject { ["any"] = 1 };
        Assert.Equal(Stored["NeedConfirmed"], Serializer.FromJson<NeedConfirmed>(new MemoryStream(Encoding.UTF8.GetBytes(json.ToJsonString()))));
    }

    private static void AssertSame(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"Frozen: {expected}\nNow:    {actual}");

    /// <summary>Writes a missing sample only when asked to, with HUZHU_WRITE_SAMPLES=1, and fails all the same.</summary>
    private static string Frozen(string name, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Path.GetDirectoryName(here)!, "Samples", $"{name}.json");
        if (!File.Exists(file) && Environment.GetEnvironmentVariable("HUZHU_WRITE_SAMPLES") == "1")
        {
            var json = name.StartsWith("contract.", StringComparison.Ordinal)
                ? JsonSerializer.Serialize(Published[name["contract.".Length..]], JsonSerializerOptions.Web)
                : Serializer.ToJson(Stored[name]);
            File.WriteAllText(file, JsonNode.Parse(json)!.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
            Assert.Fail($"{file} has been written: look at it and commit it.");
        }
        Assert.True(File.Exists(file), $"{file} is missing: what is stored or published needs a frozen sample.");
        return File.ReadAllText(file);
    }
}
