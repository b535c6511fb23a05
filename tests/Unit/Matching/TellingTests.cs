using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;
using NeedStateChanged = Huzhu.Contracts.Matching.V1.NeedStateChanged;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>An offer that cannot be told in time is not made.</summary>
public class TellingTests
{
    private static readonly NeedId NeedId = Need().NeedId;
    private static readonly Nobody Behind = new(NeedStateChanged.TellingIsBehind, new Dictionary<string, int>());
    private static readonly Nobody Full = new(ExclusionReasons.Full, new Dictionary<string, int>());

    [Theory]
    [InlineData(10, false, false)]
    [InlineData(11, false, true)]
    [InlineData(6, true, true)]
    [InlineData(5, true, false)]
    public void telling_is_behind_from_the_limit_until_half_of_it(int untold, bool wasBehind, bool isBehind) =>
        Assert.Equal(isBehind, (Policy.Default with { MaxUntoldOffers = 10 }).TellingIsBehind(untold, wasBehind));

    [Theory]
    [InlineData(Urgency.Routine, NeedState.Waiting)]
    [InlineData(Urgency.Hardship, NeedState.Waiting)]
    [InlineData(Urgency.Health, NeedState.Waiting)]
    [InlineData(Urgency.LifeThreatening, NeedState.Offered)]
    public void while_telling_is_behind_only_danger_of_life_gets_offers(Urgency urgency, NeedState state)
    {
        var (match, round) = Receive(Need(urgency), isBehind: true);
        Assert.Equal(state, match.State);
        Assert.Equal(state is NeedState.Waiting ? NeedStateChanged.TellingIsBehind : null, match.Reason);
        Assert.Equal(state is NeedState.Waiting, round.Ledgers.Count == 0);
    }

    [Fact]
    public void a_need_whose_offer_ends_meanwhile_waits_too()
    {
        var round = RoundOf(isBehind: true, new ResponderListed(Profile(), Opening.Open, 1, Now), new PlaceHeld(O1, NeedId, Now));
        round.Know(NeedId, Fold(Received(), Made(O1, R1)), 2);
        var answer = round.Decide(NeedId, (state, at) => Match.DecideUndeliverable(state, O1, Huzhu.Contracts.Notifications.V1.OfferUndeliverable.TooLate, at.Now));
        Assert.Equal((NeedState.Waiting, NeedStateChanged.TellingIsBehind), (answer.State.State, answer.State.Reason));
    }

    [Fact]
    public void once_telling_has_caught_up_the_need_is_offered()
    {
        var (waiting, _) = Receive(Need(), isBehind: true);
        var round = RoundOf(isBehind: false, new ResponderListed(Profile(), Opening.Open, 1, Now));
        round.Know(NeedId, waiting, 2);
        Assert.Equal(NeedState.Offered, round.Decide(NeedId, Sweeps.Retry).State.State);
    }

    [Fact]
    public void then_it_may_have_to_wait_for_a_responder_and_says_so_as_if_it_had_not_waited()
    {
        var waiting = Fold(Received()).Then(Match.DecideWait(Fold(Received()), Policy.Default, () => Behind, Now));
        Assert.Empty(Match.DecideWait(waiting, Policy.Default, () => Behind, Now).Events);
        var waits = Assert.IsType<NeedWaits>(Assert.Single(Match.DecideWait(waiting, Policy.Default, () => Full, Now).Events));
        Assert.Equal((ExclusionReasons.Full, false), (waits.Reason, waits.Again));
        // And not the other way round: it waits for somebody, however fast offers are told.
        Assert.Empty(Match.DecideWait(MatchState.Evolve(waiting, waits), Policy.Default, () => Behind, Now).Events);
    }

    [Fact]
    public void the_limit_of_waiting_holds_for_this_too() => Assert.Equal(NeedStateChanged.TellingIsBehind,
        Assert.IsType<NeedEscalated>(Assert.Single(Match.DecideWait(Fold(Received()), Policy.Default, () => Behind, Now.AddDays(30)).Events)).Reason);

    private static (MatchState State, Round Round) Receive(Huzhu.Contracts.Requests.V1.Need need, bool isBehind)
    {
        var round = RoundOf(isBehind, new ResponderListed(Profile(), Opening.Open, 1, Now));
        round.Know(need.NeedId, MatchState.Initial, 0);
        return (round.Decide(need.NeedId, (state, at) => Match.DecideReceive(state, need, at.Now)).State, round);
    }

    private static Round RoundOf(bool isBehind, params ResponderEvent[] ledger)
    {
        var roster = new Roster();
        roster.Set(R1, Fold(ledger));
        return new Round(new Situation(roster, new PolicyState(Policy.Default, 1), new Zones(MeasuresState.Initial), Now, isBehind));
    }
}
