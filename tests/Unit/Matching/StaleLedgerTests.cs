using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>What a replica decides that has not heard yet what another one gave away.</summary>
public class StaleLedgerTests
{
    private static readonly NeedId NeedId = Need().NeedId;

    [Fact]
    public void an_offer_does_not_end_while_its_place_is_not_known_here()
    {
        var round = RoundKnowing(new ResponderListed(Profile(), Opening.Open, 1, Now));
        var behind = Assert.Throws<StaleLedgerException>(() => round.Decide(NeedId, (state, now) => Match.DecideDecline(state, O1, DeclineReason.NoCapacity, now.Now)));
        Assert.Equal(R1, behind.ResponderId);
    }

    [Fact]
    public void once_the_place_is_known_it_is_freed_with_the_offer()
    {
        var round = RoundKnowing(new ResponderListed(Profile(), Opening.Open, 1, Now), new PlaceHeld(O1, NeedId, Now));
        Assert.Null(round.Decide(NeedId, (state, now) => Match.DecideDecline(state, O1, DeclineReason.NoCapacity, now.Now)).Refusal);
        Assert.IsType<PlaceReleased>(round.Ledgers[R1].Events[0].Event);
    }

    private static Round RoundKnowing(params ResponderEvent[] ledger)
    {
        var roster = new Roster();
        roster.Set(R1, Fold(ledger));
        var round = new Round(new Situation(roster, new PolicyState(Policy.Default, 1), new Zones(MeasuresState.Initial), Now));
        round.Know(NeedId, Fold(Received(), Made(O1, R1)), 2);
        return round;
    }
}
