using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>The ledger of places, the measures and the policy, as tables.</summary>
public class LedgerTests
{
    private static readonly NeedId N1 = NeedId.Of(Id(1, 3));
    private static readonly ResponderListed Listed = new(Profile(capacity: 1), Opening.Open, 1, Now);

    private static readonly Dictionary<string, ResponderState> States = new()
    {
        ["unknown"] = ResponderState.Initial,
        ["open"] = Fold(Listed),
        ["full"] = Fold(Listed, new PlaceHeld(O1, N1, Now)),
        ["freed"] = Fold(Listed, new PlaceHeld(O1, N1, Now), new PlaceReleased(O1, N1, "done", Now)),
        ["closed"] = Fold(Listed, new ResponderClosed("lockdown", null, 2, Now)),
        ["closing"] = Fold(Listed, new PlaceHeld(O1, N1, Now), new ResponderClosed("lockdown", null, 2, Now)),
        ["paused"] = Fold(Listed, new ResponderPaused(2, Now)),
        ["withdrawn"] = Fold(Listed, new ResponderWithdrawn(2, Now)),
    };

    [Theory]
    [InlineData("unknown", "refused not-open"), InlineData("open", "PlaceHeld"), InlineData("full", "refused full"), InlineData("freed", "PlaceHeld")]
    [InlineData("closed", "refused not-open"), InlineData("closing", "refused not-open"), InlineData("paused", "refused not-open"), InlineData("withdrawn", "refused not-open")]
    public void a_place_is_held_only_by_one_that_is_open_and_has_room(string state, string expected) =>
        Assert.Equal(expected, Names(ResponderState.DecideHold(States[state], O2, N1, Now)));

    [Theory]
    [InlineData("unknown", ""), InlineData("open", ""), InlineData("full", "PlaceReleased"), InlineData("freed", ""), InlineData("closed", ""), InlineData("closing", "PlaceReleased"), InlineData("paused", ""), InlineData("withdrawn", "")]
    public void only_a_place_that_is_held_is_freed(string state, string expected) =>
        Assert.Equal(expected, Names(ResponderState.DecideRelease(States[state], O1, "done", Now)));

    [Theory]
    [InlineData("unknown", Opening.Open, 1, 1, "ResponderListed")]
    [InlineData("unknown", Opening.Closed, 1, 4, "ResponderListed")]
    [InlineData("open", Opening.Open, 1, 1, "")]
    [InlineData("open", Opening.Open, 1, 2, "ResponderUpdated")]
    [InlineData("open", Opening.Open, 3, 2, "ResponderUpdated")]
    [InlineData("open", Opening.Closed, 1, 2, "ResponderClosed")]
    [InlineData("open", Opening.Closed, 3, 2, "ResponderClosed, ResponderUpdated")]
    [InlineData("open", Opening.Paused, 1, 2, "ResponderPaused")]
    [InlineData("open", Opening.Withdrawn, 1, 2, "ResponderWithdrawn")]
    [InlineData("full", Opening.Open, 0, 2, "refused holds-more")]
    [InlineData("full", Opening.Closed, 1, 2, "ResponderClosed")]
    [InlineData("closed", Opening.Open, 1, 3, "ResponderReopened")]
    [InlineData("closed", Opening.Open, 1, 2, "")]
    [InlineData("closed", Opening.Closed, 1, 3, "ResponderUpdated")]
    [InlineData("paused", Opening.Open, 1, 3, "ResponderReopened")]
    [InlineData("withdrawn", Opening.Open, 1, 1, "")]
    public void the_newest_entry_of_the_directory_wins(string state, Opening opening, int capacity, long version, string expected)
    {
        var decision = ResponderState.DecideChange(States[state], Profile(capacity: capacity), opening, "why", null, version, Now);
        Assert.Equal(expected, Names(decision));
        if (decision.Refusal is not null)
            return;
        var after = decision.Events.Aggregate(States[state], ResponderState.Evolve);
        Assert.Equal("", Names(ResponderState.DecideChange(after, Profile(capacity: capacity), opening, "why", null, version, Now)));
        if (expected.Length > 0)
            Assert.Equal((opening, capacity, version), (after.Opening, after.Capacity, after.DirectoryVersion));
    }

    [Fact]
    public void versions_count_events() => Assert.Equal(3, States["freed"].Version);

    [Fact]
    public void a_zone_is_sealed_once_and_stays_open_once_it_was_lifted_even_when_the_lift_comes_first()
    {
        var id = MeasureId.Of(Id(9));
        GeoPoint[] area = [new(0, 0), new(0, 1), new(1, 1)];
        var seal = MeasuresState.DecideSeal(MeasuresState.Initial, id, "x", area, Now, Now);
        Assert.Equal("ZoneSealed", Names(seal));
        var state = seal.Events.Aggregate(MeasuresState.Initial, MeasuresState.Evolve);
        Assert.Equal("", Names(MeasuresState.DecideSeal(state, id, "x", area, Now, Now)));
        var lift = MeasuresState.DecideLift(state, id, "over", Now);
        Assert.Equal("ZoneLifted", Names(lift));
        state = lift.Events.Aggregate(state, MeasuresState.Evolve);
        Assert.Equal((2, 0), ((int)state.Version, state.Zones.Count));
        Assert.Equal("", Names(MeasuresState.DecideLift(state, id, "over", Now)));
        Assert.Equal("", Names(MeasuresState.DecideSeal(state, id, "x", area, Now, Now)));

        var early = MeasuresState.DecideLift(MeasuresState.Initial, id, "over", Now).Events.Aggregate(MeasuresState.Initial, MeasuresState.Evolve);
        Assert.Equal("", Names(MeasuresState.DecideSeal(early, id, "x", area, Now, Now)));
        Assert.Equal("refused area", Names(MeasuresState.DecideSeal(MeasuresState.Initial, id, "x", [new(0, 0), new(1, 1), new(0, 0)], Now, Now)));
        Assert.Equal("refused area", Names(MeasuresState.DecideSeal(MeasuresState.Initial, id, "x", [new(0, 0), new(1, 1), new(0, 200)], Now, Now)));
    }

    [Fact]
    public void the_policy_is_changed_against_the_version_that_was_read_and_within_bounds()
    {
        var first = PolicyState.DecideFirst(PolicyState.Initial, Now);
        Assert.Equal("PolicyChanged", Names(first));
        var state = first.Events.Aggregate(PolicyState.Initial, PolicyState.Evolve);
        Assert.Equal("", Names(PolicyState.DecideFirst(state, Now)));
        var changed = Policy.Default with { ProviderBeforeGroup = false };
        Assert.Equal("refused stale-policy", Names(PolicyState.DecideChange(state, changed, 0, "op", Now)));
        Assert.Equal("refused invalid", Names(PolicyState.DecideChange(state, changed with { MaxCandidatesExplained = -1 }, 1, "op", Now)));
        Assert.Equal("", Names(PolicyState.DecideChange(state, Policy.Default, 1, "op", Now)));
        Assert.Equal("PolicyChanged", Names(PolicyState.DecideChange(state, changed, 1, "op", Now)));
    }

    [Theory]
    [InlineData(0.0), InlineData(-1.0), InlineData(double.NaN), InlineData(double.PositiveInfinity), InlineData(1e9)]
    public void times_that_no_timer_can_follow_are_refused(double seconds) =>
        Assert.Contains("health.offerLifeSeconds", (Policy.Default with { Health = Policy.Default.Health with { OfferLifeSeconds = seconds } }).Errors().Keys);

    [Fact]
    public void times_below_a_second_are_accepted() =>
        Assert.Empty((Policy.Default with { Health = Policy.Default.Health with { OfferLifeSeconds = 0.05 } }).Errors());

    [Theory, InlineData(-1), InlineData(5_001), InlineData(double.NaN)]
    public void a_weight_out_of_bounds_is_named(double metres)
    {
        Assert.Equal(["weights.notHelpedBeforeMetres"], (Policy.Default with { Weights = new Weights(NotHelpedBeforeMetres: metres) }).Errors().Keys);
        Assert.Empty((Policy.Default with { Weights = new Weights(NotHelpedBeforeMetres: Weights.MostMetres) }).Errors());
    }

    [Fact]
    public void the_default_policy_is_within_its_own_bounds() => Assert.Empty(Policy.Default.Errors());
}
