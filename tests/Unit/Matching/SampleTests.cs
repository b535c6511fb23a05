using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>
/// Every stored event and every published message has a frozen sample: what has been stored once can be read for ever.
/// A new type needs a new sample (run with HUZHU_WRITE_SAMPLES=1 once); an existing sample is never changed.
/// </summary>
public class SampleTests
{
    private static readonly ISerializer Serializer = EventStore.CreateSerializer();

    private static readonly RequestId Request = Need().RequestId;
    private static readonly NeedId N1 = Need().NeedId;

    private static readonly Explanation Full = new(3, 2, 2, 120.5, 1, 4, 9, OrderReasons.Nearest, R3, 300.25,
        [new LeftOut(R2, ResponderKind.Provider, ExclusionReasons.Closed, 50.75, 4)], new Dictionary<string, int> { [ExclusionReasons.Kind] = 7 }, Weighed: new Weighed(300, 0, 62.5, 0, 500));

    private static readonly Profile Profiled = Profile(ResponderKind.Provider, 5, radius: 3000, subDistricts: ["J"], abilities: [CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly]);

    /// <summary>One instance of every event.</summary>
    private static readonly object[] Events =
    [
        new NeedReceived(Need(Urgency.LifeThreatening, 2, communication: [CommunicationNeed.VoiceOnly], own: R1, excluded: [R2]) with { HelpedBefore = [R3] }, Now),
        new NeedUrgencyRaised(Urgency.Health, Now),
        Made(O1, R1) with { Explanation = Full, Communication = [CommunicationNeed.VoiceOnly] },
        new OfferSent(O1, "webhook", Now.AddHours(1), Now),
        Accepted(O1, R1, 2) with { By = OfferLinks.Holder },
        new OfferDeclined(O1, Request, R1, DeclineReason.CommunicationMismatch, Now, "local-coordinator"),
        new OfferExpired(O1, Request, R1, Now),
        new Huzhu.Matching.Domain.OfferUndeliverable(O1, Request, R1, "no-channel", Now),
        new OfferSuperseded(O1, Request, R1, Now),
        new OfferRevoked(O1, Request, R1, RevocationReasons.ByOperator, "wrong group", Now, "op-7"),
        new OfferReleased(O1, Request, R1, "ill", Now, "local-coordinator"),
        new OfferDisputed(O1, Request, R1, "nobody came", Now),
        new HelpStarted(O1, Request, R1, 2, Now, OfferLinks.Holder),
        new HelpCompleted(O1, Request, R1, 1, 1, Now, OfferLinks.Holder),
        new NeedWaits(Request, ExclusionReasons.Full, new Dictionary<string, int> { [ExclusionReasons.Full] = 3 }, 2, Now, Again: true),
        new NeedEscalated(Request, ExclusionReasons.Full, 2, Now, Again: true),
        new NeedHeld(Request, Now),
        new WordHeard(false, "solved", Now, Now.AddSeconds(1)),
        new NeedCancelled(Request, "solved", Now, Now.AddSeconds(1)),
        new NeedConfirmed(Request, Now, Now.AddSeconds(1)),
        new NeedReopened(Need(), "again", Now, Now.AddSeconds(1)),
        new ResponderExcluded(R1, ExclusionReasons.ExcludedConcern, Now),
        new ResponderListed(Profiled, Opening.Open, 1, Now),
        new ResponderUpdated(Profiled, 2, Now),
        new ResponderClosed("lockdown", MeasureId.Of(Id(7, 7)), 3, Now),
        new ResponderReopened(4, Now),
        new ResponderPaused(5, Now),
        new ResponderWithdrawn(6, Now),
        new PlaceHeld(O1, N1, Now),
        new PlaceReleased(O1, N1, "done", Now),
        new ZoneSealed(MeasureId.Of(Id(7, 7)), "Lockdown", [new(31.1, 121.1), new(31.1, 121.2), new(31.2, 121.2)], Now, Now),
        new ZoneLifted(MeasureId.Of(Id(7, 7)), "over", Now),
        new PolicyChanged(Policy.Default with { Weights = new Weights(300, 200, 250, 400, NotHelpedBeforeMetres: 500) }, "op-7", Now),
        new NeedsAssigned([new Assigned(NeedId.Of(Id(1, 3)), [R1], 5), new Assigned(NeedId.Of(Id(2, 3)), [])], 2, 1, 812.5, [new Price(R1, 240.25)], Now, 2, 1, [new LedgerSeen(R1, 7)]),
        new PricesSet([new Price(R1, 241)], 1200, 900, 2, 1, Now),
    ];

    private static readonly object[] Messages =
    [
        new NeedStateChanged(N1, Request, 4, NeedState.OnHold, O1, R1, "concern", 2, Now, Again: true),
        new Huzhu.Contracts.Matching.V1.OfferMade(O1, N1, Request, R1, ResponderKind.Group, ServiceKinds.Meals, DeliveryMode.Offline, 2, Urgency.LifeThreatening, [CommunicationNeed.SignLanguage], 120.5, "J", 3, Now.AddMinutes(3), Now),
        new Huzhu.Contracts.Matching.V1.OfferAccepted(O1, N1, Request, R1, Now),
        new OfferEnded(O1, N1, Request, R1, OfferOutcome.Superseded, "place-filled", Now),
    ];

    public static TheoryData<string> EventNames => new(Events.Select(stored => stored.GetType().Name));
    public static TheoryData<string> MessageNames => new(Messages.Select(message => message.GetType().Name));

    [Theory, MemberData(nameof(EventNames))]
    public void a_stored_event_can_be_read_for_ever(string name) => Check(Events.Single(stored => stored.GetType().Name == name), "");

    [Theory, MemberData(nameof(MessageNames))]
    public void a_published_message_can_be_read_for_ever(string name) => Check(Messages.Single(message => message.GetType().Name == name), "message-");

    [Theory, InlineData("policy-changed-before-plans.json"), InlineData("policy-changed-before-weights.json"), InlineData("policy-changed-before-telling.json"),
     InlineData("policy-changed-before-prior-help.json"), InlineData("policy-changed-before-prices.json")]
    public void a_policy_from_before_is_read_with_what_holds_by_default(string file)
    {
        using var stored = File.OpenRead(Path.Combine(Folder(), file));
        var policy = Serializer.FromJson<PolicyChanged>(stored).Policy;
        Assert.Equal(Policy.Default with { Weights = policy.Weights, Prices = null }, policy);
        Assert.Equal(0, policy.Weights?.NotHelpedBeforeMetres ?? 0);
    }

    [Fact]
    public void what_is_of_before_prior_help_was_weighed_is_read_and_written_without_it()
    {
        Assert.Null(ReadAgain<NeedReceived>("need-received-before-prior-help.json").Need.HelpedBefore);
        Assert.Null(ReadAgain<Huzhu.Matching.Domain.OfferMade>("offer-made-before-prior-help.json").Explanation.Weighed);
    }

    [Fact]
    public void what_is_of_before_it_was_kept_who_acted_is_read_and_written_without_it()
    {
        Assert.Null(ReadAgain<Huzhu.Matching.Domain.OfferAccepted>("offer-accepted-before-who-acted.json").By);
        Assert.Null(ReadAgain<OfferDeclined>("offer-declined-before-who-acted.json").By);
        Assert.Null(ReadAgain<OfferRevoked>("offer-revoked-before-who-acted.json").By);
        Assert.Null(ReadAgain<OfferReleased>("offer-released-before-who-acted.json").By);
        Assert.Null(ReadAgain<HelpStarted>("help-started-before-who-acted.json").By);
        Assert.Null(ReadAgain<HelpCompleted>("help-completed-before-who-acted.json").By);
    }

    [Fact]
    public void a_plan_from_before_versions_were_written_down_is_read_without_them()
    {
        using var stored = File.OpenRead(Path.Combine(Folder(), "needs-assigned-before-ledgers.json"));
        var plan = Serializer.FromJson<NeedsAssigned>(stored);
        Assert.Equal((0L, 0L, null, 2), (plan.PolicyVersion, plan.ZonesVersion, plan.Ledgers, plan.Assigned.Count));
        using var later = File.OpenRead(Path.Combine(Folder(), "needs-assigned-before-match-versions.json"));
        Assert.All(Serializer.FromJson<NeedsAssigned>(later).Assigned, assigned => Assert.Equal(0, assigned.MatchVersion));
    }

    [Fact]
    public void every_event_has_a_sample() => Assert.Empty(
        new[] { typeof(MatchEvent), typeof(ResponderEvent), typeof(MeasuresEvent), typeof(PolicyEvent), typeof(PlanEvent) }
            .SelectMany(root => root.Assembly.GetTypes().Where(type => !type.IsAbstract && type.IsAssignableTo(root)))
            .Except(Events.Select(stored => stored.GetType())));

    private static T ReadAgain<T>(string file)
    {
        var json = File.ReadAllText(Path.Combine(Folder(), file));
        var read = Serializer.FromJson<T>(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(json), JsonNode.Parse(Serializer.ToJson(read))));
        return read;
    }

    private static void Check(object value, string prefix)
    {
        var file = Path.Combine(Folder(), $"{prefix}{System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(value.GetType().Name)}.json");
        if (Environment.GetEnvironmentVariable("HUZHU_WRITE_SAMPLES") == "1" && !File.Exists(file))
            File.WriteAllText(file, JsonNode.Parse(Serializer.ToJson(value))!.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }) + "\n");
        Assert.True(File.Exists(file), $"There is no sample {Path.GetFileName(file)}.");
        var sample = File.ReadAllText(file);
        using var stream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(sample));
        var read = Serializer.FromJson(value.GetType(), stream);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(sample), JsonNode.Parse(Serializer.ToJson(read))), $"{Path.GetFileName(file)} is not what it was after reading and writing.");
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(sample), JsonNode.Parse(Serializer.ToJson(value))), $"{Path.GetFileName(file)} is not what would be stored now.");
    }

    private static string Folder([System.Runtime.CompilerServices.CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Samples");
}
