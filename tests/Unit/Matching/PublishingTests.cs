using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Matching;
using Huzhu.Matching.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

public class PublishingTests
{
    private static readonly NeedId Id1 = Need().NeedId;
    private static readonly RequestId Request = Need().RequestId;

    public static TheoryData<MatchEvent, string> Told() => new()
    {
        { Received(), "" },
        { new NeedUrgencyRaised(Urgency.Health, Now), "" },
        { Made(O1, R1), "OfferMade, offered" },
        { Made(O1, R1) with { NewlyOffered = false }, "OfferMade" },
        { new OfferSent(O1, "file", Now.AddHours(1), Now), "" },
        { Accepted(O1, R1), "accepted, OfferAccepted" },
        { new OfferDeclined(O1, Request, R1, DeclineReason.NotCapable, Now), "declined (not-capable)" },
        { new OfferExpired(O1, Request, R1, Now), "expired ()" },
        { new Huzhu.Matching.Domain.OfferUndeliverable(O1, Request, R1, "no-channel", Now), "undeliverable (no-channel)" },
        { new OfferSuperseded(O1, Request, R1, Now), "superseded (place-filled)" },
        { new OfferRevoked(O1, Request, R1, RevocationReasons.ProviderClosed, null, Now), "revoked (provider-closed)" },
        { new OfferReleased(O1, Request, R1, "ill", Now), "released (ill)" },
        { new OfferDisputed(O1, Request, R1, "nobody came", Now), "disputed (nobody came)" },
        { new HelpStarted(O1, Request, R1, 1, Now), "started" },
        { new HelpCompleted(O1, Request, R1, 1, 2, Now), "" },
        { new HelpCompleted(O1, Request, R1, 1, 0, Now), "fulfilled" },
        { new NeedWaits(Request, "full", new Dictionary<string, int>(), 1, Now), "waiting" },
        { new NeedEscalated(Request, "full", 1, Now), "escalated" },
        { new NeedHeld(Request, Now), "onhold" },
        { new NeedCancelled(Request, "x", Now, Now), "cancelled" },
        { new NeedConfirmed(Request, Now, Now), "closed" },
        { new NeedReopened(Need(), "x", Now, Now), "" },
        { new WordHeard(true, null, Now, Now), "" },
        { new ResponderExcluded(R1, ExclusionReasons.ExcludedConcern, Now), "" },
    };

    [Theory, MemberData(nameof(Told))]
    public void each_event_tells_this_to_the_other_services(MatchEvent change, string expected)
    {
        var messages = Publishing.Of(Id1, 7, change);
        Assert.Equal(expected, string.Join(", ", messages.Select(message => message switch
        {
            NeedStateChanged state => state.State.ToString().ToLowerInvariant(),
            OfferEnded ended => $"{ended.Outcome.ToString().ToLowerInvariant()} ({ended.Reason})",
            _ => message.GetType().Name,
        })));
        Assert.All(messages.OfType<NeedStateChanged>(), state => Assert.Equal((Id1, Request, 7L, Now), (state.NeedId, state.RequestId, state.Version, state.At)));
    }

    [Fact]
    public void every_event_of_a_match_has_a_row_here() => Assert.Empty(
        typeof(MatchEvent).Assembly.GetTypes().Where(type => !type.IsAbstract && type.IsAssignableTo(typeof(MatchEvent)))
            .Except(Told().Select(row => row.Data.Item1.GetType())));
}
