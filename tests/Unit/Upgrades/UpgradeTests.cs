using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Local.Infrastructure;
using Huzhu.Matching.Domain;
using Huzhu.Notifications.Domain;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Huzhu.Tests.Unit.Kubernetes;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Huzhu.Tests.Unit.Upgrades;

/// <summary>
/// What a release has stored and sent, by the names that its store and broker gave it, through today's code. A folder a
/// release under <c>Releases</c>, made once with HUZHU_WRITE_RELEASE=VERSION and never edited: see docs/operations/upgrades.md.
/// </summary>
public class UpgradeTests
{
    private static readonly string UnitFolder = Path.Combine(Repository.Find().Root, "tests", "Unit");
    private static readonly string Folder = Path.Combine(UnitFolder, "Upgrades", "Releases");
    private static readonly ISerializer Store = EventStore.CreateSerializer();
    private static readonly JsonSerializerOptions Bus = MassTransit.Serialization.SystemTextJsonMessageSerializer.Options;

    /// <summary>What a stream begins with, in the order in which one needs the other.</summary>
    private static readonly string[] Beginnings =
    [
        "request_submitted", "intake_extended", "intake_completed", "need_received", "offer_made", "responder_listed", "place_held", "zone_sealed", "group_registered", "provider_registered",
        "measure_published", "alert_received", "notification_requested", "subscription_created",
    ];

    public static TheoryData<string> EveryRelease => [.. Directory.EnumerateDirectories(Folder).Select(folder => Path.GetFileName(folder)).Order()];

    [Theory, MemberData(nameof(EveryRelease))]
    public async Task every_event_of_a_release_is_read_and_nothing_of_it_is_lost(string release)
    {
        foreach (var service in Repository.ServiceNames)
        {
            var types = await StoredByAsync(service);
            Assert.All(Files(release, service, "events"), file =>
            {
                var (text, type) = (File.ReadAllText(file), Assert.Contains(AliasOf(file), types));
                var read = Store.FromJson(type, new MemoryStream(Encoding.UTF8.GetBytes(text)));
                AssertHolds(JsonNode.Parse(text), JsonNode.Parse(Store.ToJson(read)), file);
                Assert.NotNull(EventTypes.Decode(service, Stored(AliasOf(file), text)));
            });
        }
    }

    [Theory, MemberData(nameof(EveryRelease))]
    public async Task the_logs_of_a_release_fold_into_todays_states_and_can_still_be_told(string release)
    {
        foreach (var service in Repository.ServiceNames)
        {
            var types = await StoredByAsync(service);
            var events = Files(release, service, "events").OrderBy(file => Array.IndexOf(Beginnings, AliasOf(file)) is var index and >= 0 ? index : int.MaxValue).ThenBy(file => file, StringComparer.Ordinal)
                .Select(file => Store.FromJson(types[AliasOf(file)], new MemoryStream(File.ReadAllBytes(file)))).ToList();
            switch (service)
            {
                case "requests":
                    var request = RequestState.Initial;
                    foreach (var happened in events.OfType<RequestEvent>())
                    {
                        request = Request.Evolve(request, happened);
                        Assert.NotNull(Huzhu.Requests.Publishing.Map(happened, request));
                    }
                    Assert.Equal((events.OfType<RequestEvent>().Count(), Requests.Given.Request), (request.Version, request.Id));
                    Assert.NotNull(Folded<ConversationState, ConversationEvent>(events, ConversationState.Initial(Huzhu.Requests.Channels.Language.Zh), Conversation.Evolve).RequestId);
                    Assert.Equal(1, Folded<Retention, RetentionChanged>(events, Retention.Initial, Retention.Evolve).Version);
                    break;
                case "groups":
                    Assert.Equal(Standing.Withdrawn, Folded<Group, GroupEvent>(events, Group.Initial, Group.Evolve).Listing.Standing);
                    Assert.Equal(Standing.Withdrawn, Folded<Provider, ProviderEvent>(events, Provider.Initial, Provider.Evolve).Listing.Standing);
                    Assert.NotNull(Folded<Measure, MeasureEvent>(events, Measure.Initial, Measure.Evolve).ImposedAt);
                    Assert.NotNull(Folded<Alert, AlertEvent>(events, Alert.Initial, Alert.Evolve).Received);
                    break;
                case "matching":
                    var match = MatchState.Initial;
                    foreach (var (change, index) in events.OfType<MatchEvent>().Select((change, index) => (change, index)))
                    {
                        match = MatchState.Evolve(match, change);
                        Assert.NotNull(Huzhu.Matching.Publishing.Of(Matching.Make.Need().NeedId, index + 1, change));
                    }
                    Assert.NotNull(match.Need);
                    Assert.Single(match.Offers);
                    var ledger = Folded<ResponderState, ResponderEvent>(events, ResponderState.Initial, ResponderState.Evolve);
                    Assert.Equal((events.OfType<ResponderEvent>().Count(), 0), (ledger.Version, ledger.Held.Count));
                    Assert.Equal(2, Folded<MeasuresState, MeasuresEvent>(events, MeasuresState.Initial, MeasuresState.Evolve).Version);
                    var policy = Folded<PolicyState, PolicyEvent>(events, PolicyState.Initial, PolicyState.Evolve);
                    Assert.Equal(events.OfType<PolicyEvent>().Count(), policy.Version);
                    Assert.Empty(policy.Policy.Errors());
                    break;
                case "notifications":
                    Assert.NotNull(Folded<Notification, NotificationEvent>(events, Notification.Initial, Notification.Evolve).Request);
                    Assert.NotEmpty(Folded<Subscription, SubscriptionEvent>(events, Subscription.Initial, Subscription.Evolve).Owner);
                    Assert.All(events, stored => Assert.NotNull(Huzhu.Notifications.Publishing.Of(stored)));
                    break;
                default:
                    Assert.Fail($"Nothing is known of the streams of {service}.");
                    break;
            }
        }
    }

    [Theory, MemberData(nameof(EveryRelease))]
    public void every_message_of_a_release_is_read_and_nothing_of_it_is_lost(string release)
    {
        foreach (var service in Repository.ServiceNames)
        {
            Assert.All(Files(release, service, "messages"), file =>
            {
                // Queues know a message by this name: renamed, it would lie there and never be read.
                var type = typeof(NeedId).Assembly.GetType(Path.GetFileNameWithoutExtension(file));
                Assert.NotNull(type);
                var message = JsonNode.Parse(File.ReadAllText(file));
                AssertHolds(message, JsonSerializer.SerializeToNode(message.Deserialize(type, Bus), type, Bus), file);
            });
        }
    }

    /// <summary>Whoever reads the logs from outside must know what the services write.</summary>
    [Fact]
    public async Task the_audit_knows_every_event_that_a_service_stores()
    {
        foreach (var service in Repository.ServiceNames)
            Assert.Equal((await StoredByAsync(service)).OrderBy(type => type.Key).Select(type => (type.Key, type.Value)), EventTypes.Of(service).OrderBy(type => type.Key).Select(type => (type.Key, type.Value)));
    }

    /// <summary>With HUZHU_WRITE_RELEASE=VERSION writes the release's folder from the samples of today; an existing folder is left alone.</summary>
    [Fact]
    public async Task a_release_can_be_written_down()
    {
        var samples = Samples().ToList();
        foreach (var service in Repository.ServiceNames)
        {
            var names = samples.Select(sample => sample.Target).Where(target => target.StartsWith($"{service}/events/", StringComparison.Ordinal)).Select(AliasOf).ToHashSet();
            Assert.Empty((await StoredByAsync(service)).Keys.Except(names));
        }
        var messages = typeof(NeedId).Assembly.GetExportedTypes().Where(type => type.Namespace!.EndsWith(".V1", StringComparison.Ordinal) && typeof(NeedId).Assembly.GetType(type.FullName!) is { IsEnum: false });
        var written = samples.Where(sample => sample.Target.Contains("/messages/", StringComparison.Ordinal)).Select(sample => Path.GetFileNameWithoutExtension(sample.Target)).ToHashSet();
        Assert.Empty(written.Except(messages.Select(type => type.FullName!)));
        if (Environment.GetEnvironmentVariable("HUZHU_WRITE_RELEASE") is not { Length: > 0 } version || Directory.Exists(Path.Combine(Folder, version)))
            return;
        foreach (var (target, source) in samples)
        {
            var file = Path.Combine(Folder, version, target);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.Copy(source, file);
        }
    }

    private static TState Folded<TState, TEvent>(IEnumerable<object> events, TState initial, Func<TState, TEvent, TState> evolve) => events.OfType<TEvent>().Aggregate(initial, evolve);

    private static async Task<IReadOnlyDictionary<string, Type>> StoredByAsync(string service) =>
        await Code.BuiltAsync(service, AgreementTests.Settings(service), services => services.GetRequiredService<IDocumentStore>().Options.Events.AllKnownEventTypes()
            .Where(type => type.EventType.Namespace!.StartsWith("Huzhu.", StringComparison.Ordinal)).ToDictionary(type => type.EventTypeName, type => type.EventType));

    private static List<string> Files(string release, string service, string kind)
    {
        var files = Directory.EnumerateFiles(Path.Combine(Folder, release, service, kind), "*.json").Order(StringComparer.Ordinal).ToList();
        Assert.NotEmpty(files);
        return files;
    }

    /// <summary>policy_changed.before-plans.json is another policy_changed.</summary>
    private static string AliasOf(string file) => Path.GetFileName(file).Split('.')[0];

    private static StoredEvent Stored(string alias, string data) =>
        new(1, Guid.Empty, Guid.Empty, 1, alias, DateTimeOffset.UnixEpoch, Encoding.UTF8.GetBytes(data), null, null, null, null, null, false);

    /// <summary>Everything that stood there stands there; more may.</summary>
    private static void AssertHolds(JsonNode? before, JsonNode? now, string file)
    {
        switch (before, now)
        {
            case (null, _):
                break;
            case (JsonObject old, JsonObject today):
                foreach (var (name, value) in old)
                    AssertHolds(value, today[name], $"{file}: {name}");
                break;
            case (JsonArray old, JsonArray today):
                Assert.True(old.Count == today.Count, file);
                for (var index = 0; index < old.Count; index++)
                    AssertHolds(old[index], today[index], $"{file}[{index}]");
                break;
            default:
                Assert.True(JsonNode.DeepEquals(before, now), $"{file}: {before?.ToJsonString()} is read as {now?.ToJsonString() ?? "nothing"}");
                break;
        }
    }

    /// <summary>Today's frozen samples, by the names that store and broker give them.</summary>
    private static IEnumerable<(string Target, string Source)> Samples()
    {
        foreach (var source in Repository.ServiceNames.Select(Repository.ProjectName).Append("ServiceDefaults")
            .SelectMany(owner => Directory.EnumerateFiles(Path.Combine(UnitFolder, owner, "Samples"), "*.json", SearchOption.AllDirectories)).Order(StringComparer.Ordinal))
        {
            var (owner, folder, name) = (Path.GetRelativePath(UnitFolder, source).Split('/')[0], Path.GetFileName(Path.GetDirectoryName(source))!, Path.GetFileNameWithoutExtension(source));
            // Bodies for webhooks and integrators: documents, not messages between services.
            if (name.StartsWith("message.", StringComparison.Ordinal) || name.StartsWith("event.", StringComparison.Ordinal))
                continue;
            var (variant, space) = ("", $"Huzhu.Contracts.{owner}.V1");
            if (name.Split("-before-") is [var plain, var before])
                (name, variant) = (plain, $".before-{before}");
            if (folder == "imported")
                variant = ".imported";
            var isMessage = folder == "contracts" || name.StartsWith("contract.", StringComparison.Ordinal) || name.StartsWith("message-", StringComparison.Ordinal)
                || owner == "Notifications" && typeof(NeedId).Assembly.GetType($"{space}.{name}") is not null;
            name = name.Replace("contract.", "", StringComparison.Ordinal).Replace("message-", "", StringComparison.Ordinal);
            if (isMessage)
                yield return ($"{owner.ToLowerInvariant()}/messages/{space}.{string.Concat(name.Split('-').Select(word => char.ToUpperInvariant(word[0]) + word[1..]))}.json", source);
            else
                foreach (var service in owner != "ServiceDefaults" ? [owner.ToLowerInvariant()]
                    : name == nameof(DataKeysRewrapped) ? ["requests", "groups", "notifications"] : new[] { "requests", "groups" })
                    yield return ($"{service}/events/{JsonNamingPolicy.SnakeCaseLower.ConvertName(name.Replace('-', '_'))}{variant}.json", source);
        }
    }
}
