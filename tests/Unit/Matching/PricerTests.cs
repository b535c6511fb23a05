using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>What places are worth to those who are still to come, and what a decision makes of it.</summary>
public class PricerTests
{
    private static readonly Zones Zones = new(MeasuresState.Initial);

    /// <summary>The nearest signs; the other has room.</summary>
    private static readonly Roster Two = Directory((R1, Profile(place: North(100), capacity: 10, abilities: [CommunicationNeed.SignLanguage])), (R2, Profile(place: North(500), capacity: 40)));

    [Fact]
    public void places_that_some_have_nobody_else_for_are_worth_the_detour_of_the_others()
    {
        var set = Price(Came(40, signing: 10), Two);
        Assert.Equal((new Price(R1, 401), 40, 50), (Assert.Single(set.Prices), set.Demand, set.Places));

        var prices = Plan.Of(set, 7);
        var choice = Ranker.Rank(Match(Need()), Two, PolicyOf(), Zones, Now, prices);
        Assert.Equal(R2, choice.Best!.Id);
        var why = choice.Explanation!;
        Assert.Equal((OrderReasons.LeastPriced, new Priced(7, 0), null, 2), (why.FirstBecause, why.Priced, why.PlanId, why.Rank));
        Assert.Equal((R1, ExclusionReasons.KeptForOthers), (Assert.Single(why.LeftOut).ResponderId, why.LeftOut[0].Reason));
        // Whoever has nobody else pays it.
        why = Ranker.Rank(Match(Need(communication: [CommunicationNeed.SignLanguage])), Two, PolicyOf(), Zones, Now, prices).Explanation!;
        Assert.Equal((OrderReasons.OnlyOne, new Priced(7, 401)), (why.FirstBecause, why.Priced));
        // Nobody is left without for the sake of those to come.
        var full = Directory((R1, Two.StateOf(R1).Profile!), (R2, Profile(place: North(500), capacity: 0)));
        Assert.Equal(R1, Ranker.Rank(Match(Need()), full, PolicyOf(), Zones, Now, prices).Best!.Id);
    }

    [Theory]
    [InlineData(Urgency.Routine, DeliveryMode.Offline, 2), InlineData(Urgency.Health, DeliveryMode.Offline, 2)]
    [InlineData(Urgency.LifeThreatening, DeliveryMode.Offline, 1), InlineData(Urgency.Routine, DeliveryMode.Online, 1)]
    public void danger_of_life_has_the_nearest_and_online_help_knows_no_way(Urgency urgency, DeliveryMode mode, int first)
    {
        var need = Need(urgency, mode: mode);
        var directory = Directory((R1, Two.StateOf(R1).Profile!), (R2, Two.StateOf(R2).Profile!));
        var round = new Round(new Situation(directory, PolicyOf(), Zones, Now, Prices: Plan.Of(Price(Came(40, signing: 10), Two), 1)));
        round.Know(need.NeedId, MatchState.Initial, 0);
        var offer = round.Decide(need.NeedId, (state, situation) => Huzhu.Matching.Domain.Match.DecideReceive(state, need, situation.Now)).State.Offers[0];
        Assert.Equal(Responder(first), offer.ResponderId);
        Assert.Equal(first == 2, offer.Explanation.Priced is not null);
    }

    [Fact]
    public void where_there_is_room_for_all_or_little_is_known_nothing_has_a_price()
    {
        Assert.Empty(Price(Came(9, signing: 3), Two).Prices);
        Assert.Empty(Price(Came(29, signing: 10), Two).Prices);
        var roomy = Directory((R1, Profile(place: North(100), capacity: 100, abilities: [CommunicationNeed.SignLanguage])), (R2, Profile(place: North(500), capacity: 40)));
        Assert.Empty(Price(Came(40, signing: 10), roomy).Prices);
        Assert.Empty(Price(Came(40, signing: 10), Directory()).Prices);
    }

    [Fact]
    public void held_places_count_by_half_and_closed_ones_not_at_all()
    {
        var held = Enumerable.Range(1, 20).Select(number => new PlaceHeld(Offer(number), NeedId.Of(Id(number, 3)), Now)).ToArray();
        var directory = Directory((R2, Profile(place: North(500), capacity: 40)));
        directory.Set(R1, held.Aggregate(State(Profile(place: North(100), capacity: 20, abilities: [CommunicationNeed.SignLanguage])), ResponderState.Evolve));
        directory.Set(R3, Fold(new ResponderListed(Profile(capacity: 90), Opening.Closed, 1, Now)));
        var set = Price(Came(40, signing: 10), directory);
        Assert.Equal((50, new Price(R1, 401)), (set.Places, Assert.Single(set.Prices)));
    }

    [Fact]
    public void a_price_is_never_more_than_the_policy_says_however_few_places_there_are()
    {
        var set = Price(Came(40, signing: 40), Directory((R1, Profile(capacity: 35, abilities: [CommunicationNeed.SignLanguage])), (R2, Profile(place: North(500), capacity: 40))), new Pricing(MostMetres: 250));
        Assert.Equal(new Price(R1, 250), Assert.Single(set.Prices));
    }

    [Fact]
    public void the_same_needs_and_places_have_the_same_prices_and_a_part_of_them_is_picture_enough()
    {
        var random = new Random(3);
        var all = Enumerable.Range(1, 60).Select(number => (Responder(number), Profile(place: North(random.Next(3_000)), capacity: random.Next(200), abilities: number % 2 == 0 ? [CommunicationNeed.SignLanguage] : []))).ToArray();
        var came = Came(Pricer.MostNeeds, signing: 1_200);
        var set = Price(came, Directory(all));
        Assert.NotEmpty(set.Prices);
        random.Shuffle(all);
        var again = Price(came, Directory(all));
        Assert.Equal(set.Prices, again.Prices);
        // Three times as many for three times the places.
        var thrice = Directory([.. all.Select(one => (one.Item1, one.Item2 with { Capacity = 3 * one.Item2.Capacity }))]);
        Assert.Equal(set.Prices, Pricer.Price(came, 3 * came.Count, thrice.All, PolicyOf(), Zones, Now).Prices);
    }

    private static PolicyState PolicyOf(Pricing? pricing = null) => new(Policy.Default with { Prices = pricing ?? new Pricing() }, 1);

    private static PricesSet Price(IReadOnlyList<Need> came, Roster directory, Pricing? pricing = null) => Pricer.Price(came, came.Count, directory.All, PolicyOf(pricing), Zones, Now);

    private static List<Need> Came(int count, int signing) =>
        [.. Enumerable.Range(1, count).Select(number => Need(id: number, communication: number <= signing ? [CommunicationNeed.SignLanguage] : []))];

    private static Roster Directory(params (ResponderId Id, Profile Profile)[] responders)
    {
        var roster = new Roster();
        foreach (var (id, profile) in responders)
            roster.Set(id, State(profile));
        return roster;
    }

    private static ResponderState State(Profile profile) => Fold(new ResponderListed(profile, Opening.Open, 1, Now));
    private static MatchState Match(Need need) => Fold(new NeedReceived(need, Now));
    private static GeoPoint North(double metres) => Centre with { Latitude = Centre.Latitude + metres / 111_195 };
}
