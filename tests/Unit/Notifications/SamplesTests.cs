using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

/// <summary>
/// What has been stored or sent once must be readable, and read the same, for ever: a frozen file for every stored event,
/// every contract that this service publishes, and every message that integrators receive.
/// </summary>
public class SamplesTests
{
    private static readonly DateTimeOffset At = Given.Now;
    private static readonly OfferReference Reference = new(Given.Offer, Given.Need, Given.Responder);

    private static readonly SubscriptionFilter Filter = new([Subscription.NeedChanged], ["waiting"], ["specialised"], ["J"]);
    private static readonly Protected Target = new("c2VhbGVk");

    private static readonly Dictionary<string, object> Stored = new object[]
    {
        Given.OfferRequest(),
        new ContactUnavailable(2, "groups-away", At.AddSeconds(1), At),
        new ChannelRefused(0, "voice", "cannot-carry-communication", At),
        new ChannelChosen(1, "webhook", At),
        new AttemptSucceeded(3, "webhook", At),
        new AttemptFailed(1, "webhook", "http-503", false, At.AddSeconds(0.5), At),
        new MovedToNextChannel(0, "webhook", "gone", At),
        new NotificationDelivered("webhook", 3, Reference, At),
        new NotificationUndeliverable("no-fitting-channel", Reference, At),
        new NotificationDropped("offer-expired", Reference, At),
        new RedeliveryRequested("desk", At),
        new SubscriptionCreated("desk", Filter with { Sources = ["hotline"] }, "front desk", Target, At),
        new SubscriptionChanged(Filter, null, Target, "desk", At),
        new SecretRotated(Target, At.AddHours(24), "desk", At),
        new SubscriptionDisabled("gone", null, At),
        new SubscriptionEnabled("desk", At),
        new SubscriptionDeleted("desk", At),
    }.ToDictionary(stored => stored.GetType().Name);

    private static readonly Dictionary<string, object> Published = new object[]
    {
        new OfferDelivered(Given.Offer, Given.Need, Given.Responder, "webhook", At),
        new OfferUndeliverable(Given.Offer, Given.Need, Given.Responder, "no-channel", At),
    }.ToDictionary(contract => contract.GetType().Name);

    public static TheoryData<string> EveryStoredEvent => new(EventStore.EventsOf<NotificationEvent>().Concat(EventStore.EventsOf<SubscriptionEvent>()).Select(type => type.Name));

    public static TheoryData<string> EveryPublishedContract => new(typeof(OfferDelivered).Assembly.GetExportedTypes()
        .Where(type => type.Namespace == typeof(OfferDelivered).Namespace).Select(type => type.Name));

    public static TheoryData<string> EveryMessage => new(Given.EveryRequest().Select(Texts.KeyOf));

    [Theory, MemberData(nameof(EveryStoredEvent))]
    public void a_stored_event_is_read_as_it_was_written(string name)
    {
        var serializer = EventStore.CreateSerializer();
        var frozen = Frozen(name, () => serializer.ToJson(Stored[name]));
        var read = serializer.FromJson(Stored[name].GetType(), new MemoryStream(System.Text.Encoding.UTF8.GetBytes(frozen)));
        AssertSame(frozen, serializer.ToJson(read));
        AssertSame(frozen, serializer.ToJson(Stored[name]));
    }

    [Fact]
    public void a_subscription_of_before_sources_were_told_apart_hears_of_all()
    {
        var serializer = EventStore.CreateSerializer();
        var frozen = Frozen("SubscriptionCreated-before-sources", () => throw new InvalidOperationException("It is kept."));
        var read = serializer.FromJson<SubscriptionCreated>(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(frozen)));
        Assert.Null(read.Filter.Sources);
        AssertSame(frozen, serializer.ToJson(read));
    }

    [Theory, MemberData(nameof(EveryPublishedContract))]
    public void a_published_contract_is_read_as_it_was_written(string name)
    {
        var frozen = Frozen(name, () => JsonSerializer.Serialize(Published[name], Published[name].GetType(), JsonSerializerOptions.Web));
        var read = JsonSerializer.Deserialize(frozen, Published[name].GetType(), JsonSerializerOptions.Web);
        Assert.Equal(Published[name], read);
        AssertSame(frozen, JsonSerializer.Serialize(read, Published[name].GetType(), JsonSerializerOptions.Web));
    }

    [Theory, MemberData(nameof(EveryMessage))]
    public void a_message_to_integrators_keeps_its_form(string key)
    {
        var request = Given.EveryRequest().Single(candidate => Texts.KeyOf(candidate) == key);
        var body = System.Text.Encoding.UTF8.GetString(Write(request));
        AssertSame(Frozen($"message.{key}", () => body), body);
    }

    [Fact]
    public void an_event_to_subscribers_keeps_its_form() => Assert.All(Given.EveryEvent(), request =>
    {
        var body = System.Text.Encoding.UTF8.GetString(MessageBody.WriteThin(NotificationLog.IdOf(request), request));
        AssertSame(Frozen($"event.{request.CauseType}", () => body), body);
    });

    /// <summary>Before acceptance a responder learns nothing of who and where; a requester learns a name and nothing else.</summary>
    [Fact]
    public void only_the_responder_that_accepted_sees_the_person() =>
        Assert.All(Given.EveryRequest(), request =>
        {
            var body = System.Text.Encoding.UTF8.GetString(Write(request));
            var maySee = request is { Audience: Audience.Responder, Message: MessageKind.OfferAccepted };
            foreach (var personal in new[] { "Mr Lin", "+8613800000000", "Building 3", "31.2201", "insulin" })
                Assert.Equal(maySee, body.Contains(personal, StringComparison.Ordinal));
            Assert.DoesNotContain("frontend.example", body, StringComparison.Ordinal);
            Assert.DoesNotContain("whsec_", body, StringComparison.Ordinal);
        });

    [Fact]
    public void answer_links_go_to_responders_only_and_open_only_their_own_offer()
    {
        var signer = new LinkSigner(new byte[32]);
        Assert.All(Given.EveryRequest(), request =>
        {
            var links = Links.Of(request);
            Assert.Equal(request.Message is MessageKind.OfferMade or MessageKind.OfferAccepted, links is not null);
            if (links is null)
                return;
            var key = new Uri(links.Complete!).Query["?key=".Length..];
            Assert.StartsWith($"https://huzhu.example/v1/offers/{Given.Offer}/complete?key=", links.Complete, StringComparison.Ordinal);
            Assert.True(signer.Verify("offer", Given.Offer.Value, Given.Responder.Value, key));
            Assert.False(signer.Verify("offer", Given.Offer.Value, Given.Need.Value, key));
            Assert.Equal(request.Message == MessageKind.OfferMade, links.Accept is not null);
        });
    }

    [Fact]
    public void only_offers_are_reported_to_the_other_services()
    {
        foreach (var stored in Stored.Values)
        {
            Assert.Equal(stored switch
            {
                NotificationDelivered => [Published[nameof(OfferDelivered)]],
                NotificationUndeliverable failed => [(OfferUndeliverable)Published[nameof(OfferUndeliverable)] with { Reason = failed.Reason }],
                NotificationDropped late => [(OfferUndeliverable)Published[nameof(OfferUndeliverable)] with { Reason = late.Reason }],
                _ => [],
            }, Publishing.Of(stored));
        }
        Assert.Empty(Publishing.Of(new NotificationDelivered("webhook", 1, null, At)));
        Assert.Empty(Publishing.Of(new NotificationUndeliverable("no-channel", null, At)));
        Assert.Empty(Publishing.Of(new NotificationDropped("overtaken", null, At)));
    }

    [Fact]
    public void personal_data_does_not_print_itself()
    {
        object[] personal = [Person, Person.Channels[0], Visit, new Facts(Person, Visit, null), new Huzhu.Notifications.Channels.Address("+8613800000000", "whsec_x")];
        Assert.All(personal, value => Assert.Equal(value.GetType().Name, value.ToString()));
    }

    private static readonly Contact Person = new("Mr Lin", [new ContactChannel("webhook", "https://frontend.example/notify", "whsec_c2VjcmV0")], [CommunicationNeed.TextOnly], "zh");
    private static readonly Visit Visit = new("Mr Lin", "+8613800000000", 31.2201, 121.4401, "Building 3", "insulin");
    private static readonly LinkWriter Links = new(new LinkSigner(new byte[32]), new Uri("https://huzhu.example/"));

    private static byte[] Write(NotificationRequested request) => MessageBody.Write(
        NotificationLog.IdOf(request.CauseId, request.Audience), request,
        new Facts(request.Audience == Audience.Requester ? Person : Person with { Language = null, Communication = [] },
            request.Message == MessageKind.OfferAccepted ? Visit : null,
            request.State == NeedState.Accepted ? "Deaf mothers of J" : null),
        Links.Of(request), Given.Now);

    /// <summary>Reads the frozen file. A missing one is written beside the test, to be looked at and committed, and fails.</summary>
    private static string Frozen(string name, Func<string> write)
    {
        var path = Path.Combine(SamplesFolder(), $"{name}.json");
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(SamplesFolder());
            var indented = JsonNode.Parse(write())!.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            File.WriteAllText(path, indented + "\n");
            Assert.Fail($"{path} was missing. It has been written: read it, and commit it when it is what should be kept for ever.");
        }
        return File.ReadAllText(path);
    }

    private static void AssertSame(string expected, string actual)
    {
        if (!JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)))
            Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), JsonNode.Parse(actual)!.ToJsonString());
    }

    private static string SamplesFolder([CallerFilePath] string thisFile = "") => Path.Combine(Path.GetDirectoryName(thisFile)!, "Samples");
}
