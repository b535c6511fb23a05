using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>Many needs at once, beside every way there is to assign them.</summary>
public class PlannerTests
{
    private static readonly PolicyState Policy = new(Huzhu.Matching.Domain.Policy.Default, 1);
    private static readonly Zones Zones = new(MeasuresState.Initial);

    [Fact]
    public void a_need_goes_a_little_further_where_the_nearer_group_is_the_only_one_for_another()
    {
        var roster = new Roster();
        roster.Set(R1, State(Profile(place: North(100), capacity: 1, abilities: [CommunicationNeed.SignLanguage])));
        roster.Set(R2, State(Profile(place: North(500), capacity: 1)));
        MatchState[] needs = [Match(1), Match(2, communication: [CommunicationNeed.SignLanguage])];

        var assigned = Planner.Assign(needs, roster, Policy, Zones, Now).Event;

        Assert.Equal([R2], assigned.Assigned[0].ResponderIds);
        Assert.Equal([R1], assigned.Assigned[1].ResponderIds);
        Assert.Equal(R1, Assert.Single(assigned.Prices).ResponderId);
        Assert.Equal(600, assigned.DistanceMetres, 0.5);
        var choice = Ranker.Rank(needs[0], roster, Policy, Zones, Now, Plan.Of(Id(7), assigned));
        Assert.Equal(R2, choice.Best!.Id);
        Assert.Equal(2, choice.Explanation!.Rank);
        Assert.Equal(Id(7), choice.Explanation.PlanId);
        Assert.Equal(OrderReasons.LeastTogether, choice.Explanation.FirstBecause);
        var kept = Assert.Single(choice.Explanation.LeftOut);
        Assert.Equal((R1, ExclusionReasons.KeptForOthers), (kept.ResponderId, kept.Reason));
        Assert.Equal(R1, Ranker.Rank(needs[1], roster, Policy, Zones, Now, Plan.Of(Id(7), assigned)).Best!.Id);
    }

    [Fact]
    public void where_there_are_too_few_places_those_behind_go_without_however_near_they_are()
    {
        var roster = new Roster();
        roster.Set(R1, State(Profile(place: North(0), capacity: 2)));
        MatchState[] needs = [Match(1, place: North(9_000)), Match(2, place: North(8_000)), Match(3, place: North(1))];
        var assigned = Planner.Assign(needs, roster, Policy, Zones, Now).Event;
        Assert.Equal([1, 1, 0], assigned.Assigned.Select(need => need.ResponderIds.Count));
        Assert.Equal((3, 2), (assigned.Wanted, assigned.Served));
    }

    [Fact]
    public void ones_own_group_and_providers_come_before_distance_as_they_do_one_by_one()
    {
        var roster = new Roster();
        roster.Set(R1, State(Profile(place: North(10))));
        roster.Set(R2, State(Profile(ResponderKind.Provider, place: North(3_000))));
        roster.Set(R3, State(Profile(place: North(20_000))));
        MatchState[] needs = [Match(1, own: R3), Match(2)];
        Assert.Equal([[R3], [R2]], Planner.Assign(needs, roster, Policy, Zones, Now).Event.Assigned.Select(need => need.ResponderIds));
    }

    [Fact]
    public void nobody_to_ask_is_nobody_assigned()
    {
        var assigned = Planner.Assign([Match(1), Match(2)], new Roster(), Policy, Zones, Now).Event;
        Assert.Equal((0, 0d), (assigned.Served, assigned.DistanceMetres));
        Assert.All(assigned.Assigned, need => Assert.Empty(need.ResponderIds));
    }

    /// <summary>Small enough to try every way, and with more needs than the first few responders of each are enough for.</summary>
    [Theory, InlineData(1, 6, 4, 300), InlineData(2, 5, 20, 60)]
    public void no_way_to_assign_them_serves_more_of_the_first_or_is_shorter(int seed, int mostNeeds, int mostResponders, int cases)
    {
        var random = new Random(seed);
        for (var number = 0; number < cases; number++)
        {
            var roster = new Roster();
            var responders = Enumerable.Range(1, random.Next(1, mostResponders + 1)).Select(Responder).ToList();
            foreach (var id in responders)
                roster.Set(id, State(Profile(place: North(random.Next(5_000)), capacity: random.Next(3), abilities: random.Next(2) == 0 ? [CommunicationNeed.SignLanguage] : [])));
            var needs = Enumerable.Range(1, random.Next(1, mostNeeds + 1)).Select(id => Match(id, place: North(random.Next(5_000)),
                communication: random.Next(3) == 0 ? [CommunicationNeed.SignLanguage] : [])).ToList();
            var (served, metres) = Best(needs, roster, responders);

            var draft = Planner.Assign(needs, roster, Policy, Zones, Now);

            Assert.Equal(served, draft.Event.Assigned.Select(need => need.ResponderIds.Count == 1));
            Assert.Equal(metres, draft.Event.DistanceMetres, 0.01);
            Certify(needs, roster, responders, draft.Event);
            Assert.Null(Certificate.FlawOf(draft.Event, needs, roster, Policy, Zones));
            // The prices alone, one need after another, give what was assigned.
            var plan = Plan.Of(Id(9), draft.Event);
            foreach (var (need, assigned) in needs.Zip(draft.Event.Assigned))
            {
                var best = Ranker.Rank(need, roster, Policy, Zones, Now, plan).Best;
                Assert.Equal(assigned.ResponderIds, best is null ? [] : [best.Id]);
                if (best is not null)
                    roster.Set(best.Id, ResponderState.Evolve(best.State, new PlaceHeld(Offer(number * 100 + need.Need!.NeedId.Value.GetHashCode() % 90), need.Need.NeedId, Now)));
            }
        }
    }

    [Fact]
    public void a_plan_that_was_changed_is_no_longer_proved_by_its_prices()
    {
        var roster = new Roster();
        roster.Set(R1, State(Profile(place: North(100), capacity: 1, abilities: [CommunicationNeed.SignLanguage])));
        roster.Set(R2, State(Profile(place: North(500), capacity: 1)));
        roster.Set(R3, State(Profile(place: North(900), capacity: 5)));
        MatchState[] needs = [Match(1), Match(2, communication: [CommunicationNeed.SignLanguage])];
        var plan = Planner.Assign(needs, roster, Policy, Zones, Now).Event;
        Assert.Null(Flaw(plan));
        Assert.Equal([R1, R2], plan.Ledgers!.Select(ledger => ledger.ResponderId));

        // Somebody further away, nobody at all, one who cannot sign, twice the same place, and figures that do not add up.
        Assert.Contains("pays", Flaw(plan with { Assigned = [new Assigned(plan.Assigned[0].NeedId, [R3]), plan.Assigned[1]] }));
        Assert.Contains("goes without", Flaw(plan with { Assigned = [new Assigned(plan.Assigned[0].NeedId, []), plan.Assigned[1]] }));
        Assert.Contains("could not be asked", Flaw(plan with { Assigned = [new Assigned(plan.Assigned[0].NeedId, [R1]), new Assigned(plan.Assigned[1].NeedId, [R2])] }));
        Assert.Contains("free places", Flaw(plan with { Assigned = [new Assigned(plan.Assigned[0].NeedId, [R1]), new Assigned(plan.Assigned[1].NeedId, [R1])] }));
        Assert.Contains("responders, and 1 different ones are wanted", Flaw(plan with { Assigned = [new Assigned(plan.Assigned[0].NeedId, [R2, R3]), plan.Assigned[1]] }));
        Assert.Contains("would go to", Flaw(plan with { Prices = [] }));
        Assert.Contains("has a price", Flaw(plan with { Prices = [.. plan.Prices, new Price(R3, 5)] }));
        Assert.Contains("it has a price of", Flaw(plan with { Prices = [new Price(R1, -1)] }));
        Assert.Contains("instead of", Flaw(plan with { DistanceMetres = plan.DistanceMetres - 50 }));
        Assert.Contains("instead of", Flaw(plan with { Wanted = 9 }));

        string? Flaw(NeedsAssigned changed) => Certificate.FlawOf(changed, needs, roster, Policy, Zones)?.Words;
    }

    /// <summary>What an auditor checks: whoever has a price is full, and nobody is cheaper for any need.</summary>
    private static void Certify(IReadOnlyList<MatchState> needs, Roster roster, IReadOnlyList<ResponderId> responders, NeedsAssigned assigned)
    {
        var prices = assigned.Prices.ToDictionary(price => price.ResponderId, price => price.Metres);
        foreach (var (id, price) in prices)
            Assert.True(price > 0 && roster.StateOf(id).Free == assigned.Assigned.Count(need => need.ResponderIds.Contains(id)));
        foreach (var (need, to) in needs.Zip(assigned.Assigned))
        {
            var pays = to.ResponderIds.Count == 0 ? double.PositiveInfinity : Cost(need, roster.StateOf(to.ResponderIds[0])) + prices.GetValueOrDefault(to.ResponderIds[0]);
            foreach (var id in responders.Where(id => CanServe(need, roster.StateOf(id))))
                Assert.True(to.ResponderIds.Count == 0 ? prices[id] > 0 : pays <= Cost(need, roster.StateOf(id)) + prices.GetValueOrDefault(id) + 0.003);
        }
    }

    private static (bool[] Served, double Metres) Best(IReadOnlyList<MatchState> needs, Roster roster, IReadOnlyList<ResponderId> responders)
    {
        var free = responders.ToDictionary(id => id, id => roster.StateOf(id).Free);
        (bool[] Served, double Metres) best = (new bool[needs.Count], 0);
        var served = new bool[needs.Count];
        Try(0, 0);
        return best;

        void Try(int number, double metres)
        {
            if (number == needs.Count)
            {
                var order = served.Zip(best.Served).Select(pair => pair.First.CompareTo(pair.Second)).FirstOrDefault(order => order != 0);
                var (count, most) = (served.Count(one => one), best.Served.Count(one => one));
                if (count > most || count == most && (order > 0 || order == 0 && metres < best.Metres))
                    best = ([.. served], metres);
                return;
            }
            foreach (var id in responders.Where(id => free[id] > 0 && CanServe(needs[number], roster.StateOf(id))))
            {
                (served[number], free[id]) = (true, free[id] - 1);
                Try(number + 1, metres + Cost(needs[number], roster.StateOf(id)));
                (served[number], free[id]) = (false, free[id] + 1);
            }
            Try(number + 1, metres);
        }
    }

    private static bool CanServe(MatchState need, ResponderState state) => state.Capacity > 0 && need.Need!.Communication.All(state.Profile!.CommunicationAbilities.Contains);
    private static double Cost(MatchState need, ResponderState state) => Sphere.DistanceMetres(need.Need!.Place, state.Profile!.Sites[0].Place);
    private static GeoPoint North(double metres) => Centre with { Latitude = Centre.Latitude + metres / 111_195 };
    private static ResponderState State(Profile profile) => Fold(new ResponderListed(profile, Opening.Open, 1, Now));

    private static MatchState Match(int id, GeoPoint? place = null, CommunicationNeed[]? communication = null, ResponderId? own = null) =>
        Fold(new NeedReceived(Need(id: id, place: place, communication: communication, own: own), Now));
}
