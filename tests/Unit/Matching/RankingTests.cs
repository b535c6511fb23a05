using CsCheck;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>Who gets the need: each hard rule, each step of the order, and all of it against a brute-force reading of product.md.</summary>
public class RankingTests
{
    private static readonly PolicyState InForce = new(Policy.Default, 1);
    private static readonly Zones NoZones = new(MeasuresState.Initial);
    private static readonly GeoPoint[] Box = [new(31.21, 121.43), new(31.21, 121.45), new(31.23, 121.45), new(31.23, 121.43)];
    private static readonly Zones Sealed = new(MeasuresState.Evolve(MeasuresState.Initial, new ZoneSealed(MeasureId.Of(Id(1)), "x", Box, Now, Now)));
    private static GeoPoint North(double metres) => new(Centre.Latitude + metres / 111_195, Centre.Longitude);

    private static Roster RosterOf(params (ResponderId Id, Profile Profile, Opening Opening, int Held)[] responders)
    {
        var roster = new Roster();
        foreach (var (id, profile, opening, held) in responders)
        {
            var state = Fold(new ResponderListed(profile, opening, 1, Now));
            for (var place = 0; place < held; place++)
                state = ResponderState.Evolve(state, new PlaceHeld(Offer(1000 + place), NeedId.Of(Id(1000 + place, 3)), Now));
            roster.Set(id, state);
        }
        return roster;
    }

    private static Choice Rank(Need need, Roster roster, Zones? zones = null, Policy? policy = null, MatchState? match = null) =>
        Ranker.Rank(match ?? Fold(new NeedReceived(need, Now)), roster, policy is null ? InForce : new PolicyState(policy, 2), zones ?? NoZones, Now);

    private static Nobody WhyNobody(Need need, Roster roster, Zones? zones = null, Policy? policy = null) =>
        Ranker.WhyNobody(Fold(new NeedReceived(need, Now)), roster, policy is null ? InForce : new PolicyState(policy, 2), zones ?? NoZones, Now);

    public static TheoryData<string, Need, Profile, Opening, int> Excluded() => new()
    {
        { ExclusionReasons.Kind, Need(kind: ServiceKinds.Medicine), Profile(), Opening.Open, 0 },
        { ExclusionReasons.Mode, Need(), Profile(modes: [DeliveryMode.Online]), Opening.Open, 0 },
        { ExclusionReasons.Communication, Need(communication: [CommunicationNeed.TextOnly, CommunicationNeed.SignLanguage]), Profile(abilities: [CommunicationNeed.TextOnly]), Opening.Open, 0 },
        { ExclusionReasons.OutOfArea, Need(), Profile(place: North(1001), radius: 1000), Opening.Open, 0 },
        { ExclusionReasons.OutOfArea, Need(), Profile(subDistricts: ["K"]), Opening.Open, 0 },
        { ExclusionReasons.OutOfArea, Need(mode: DeliveryMode.Online), Profile(subDistricts: ["K"]), Opening.Open, 0 },
        { ExclusionReasons.OutOfArea, Need(subDistrict: null), Profile(subDistricts: ["J"]), Opening.Open, 0 },
        { ExclusionReasons.ZoneSealed, Need(), Profile(place: North(3000)), Opening.Open, 0 },
        { ExclusionReasons.Withdrawn, Need(), Profile(), Opening.Withdrawn, 0 },
        { ExclusionReasons.Closed, Need(), Profile(), Opening.Closed, 0 },
        { ExclusionReasons.Closed, Need(), Profile(sites: [new Site(Centre, "J", Open: false)]), Opening.Open, 0 },
        { ExclusionReasons.Paused, Need(), Profile(), Opening.Paused, 0 },
        { ExclusionReasons.ExcludedByPerson, Need(excluded: [R1]), Profile(), Opening.Open, 0 },
        { ExclusionReasons.Full, Need(), Profile(capacity: 2), Opening.Open, 2 },
        { ExclusionReasons.Full, Need(), Profile(capacity: 0), Opening.Open, 0 },
    };

    private static Policy Weighing(double otherSubDistrict = 0, double noPeer = 0, double fullLoad = 0, double turn = 0, double notHelpedBefore = 0) =>
        Policy.Default with { Weights = new Weights(otherSubDistrict, noPeer, fullLoad, turn, OffersInATurn: 2, TurnSeconds: 900, notHelpedBefore) };

    [Fact]
    public void weights_make_the_order_lean_by_so_many_metres_and_no_more()
    {
        var roster = RosterOf(
            (R1, Profile(place: North(100), subDistrict: "K", capacity: 4), Opening.Open, 2),
            (R2, Profile(place: North(500), capacity: 4) with { LeaderHasDisability = true }, Opening.Open, 0));

        Assert.Equal(R1, Rank(Need(), roster).Best!.Id);
        Assert.Null(Rank(Need(), roster).Explanation!.Weighed);
        foreach (var (policy, farEnough) in new[]
        {
            (Weighing(otherSubDistrict: 399), R1), (Weighing(otherSubDistrict: 401), R2), (Weighing(noPeer: 399), R1), (Weighing(noPeer: 401), R2),
            // Half of its places are held.
            (Weighing(fullLoad: 799), R1), (Weighing(fullLoad: 801), R2), (Weighing(turn: 399), R1), (Weighing(turn: 401), R2),
            (Weighing(150, 100, 100, 90), R1), (Weighing(150, 100, 100, 110), R2),
        })
            Assert.Equal(farEnough, Rank(Need(), roster, policy: policy).Best!.Id);

        var choice = Rank(Need(), roster, policy: Weighing(otherSubDistrict: 1000));
        Assert.Equal(OrderReasons.LeastWeighed, choice.Explanation!.FirstBecause);
        Assert.Equal((R1, ExclusionReasons.WeighedAgainst), (choice.Explanation.LeftOut[0].ResponderId, choice.Explanation.LeftOut[0].Reason));
        Assert.Equal((2, 0d, R1), (choice.Explanation.Rank, choice.Explanation.Weighed!.Metres, choice.Explanation.RunnerUp!.Value));
    }

    [Fact]
    public void whoever_has_helped_the_person_before_comes_first_within_so_many_metres()
    {
        var roster = RosterOf((R1, Profile(place: North(100)), Opening.Open, 0), (R2, Profile(place: North(500)), Opening.Open, 0), (R3, Profile(place: North(600)), Opening.Open, 0));
        var knows = Need() with { HelpedBefore = [R2, R3] };
        Assert.Equal(R1, Rank(knows, roster).Best!.Id);
        Assert.Equal(R1, Rank(knows, roster, policy: Weighing(notHelpedBefore: 399)).Best!.Id);
        var choice = Rank(knows, roster, policy: Weighing(notHelpedBefore: 401));
        Assert.Equal((R2, OrderReasons.LeastWeighed, 0d), (choice.Best!.Id, choice.Explanation!.FirstBecause, choice.Explanation.Weighed!.NotHelpedBefore));
        Assert.Equal((R1, ExclusionReasons.WeighedAgainst), (choice.Explanation.LeftOut[0].ResponderId, choice.Explanation.LeftOut[0].Reason));

        // Where they cannot be asked, the others are, and it is said; those whom nobody has helped before lose nothing.
        choice = Rank(knows with { ExcludedResponders = [R2, R3] }, roster, policy: Weighing(notHelpedBefore: 401));
        Assert.Equal((R1, 401d, 401d), (choice.Best!.Id, choice.Explanation!.Weighed!.NotHelpedBefore, choice.Explanation.Weighed.Metres));
        foreach (var nobody in new ResponderId[]?[] { null, [] })
        {
            choice = Rank(Need() with { HelpedBefore = nobody }, roster, policy: Weighing(notHelpedBefore: 5_000));
            Assert.Equal((R1, null, 0d), (choice.Best!.Id, choice.Explanation!.Weighed!.NotHelpedBefore, choice.Explanation.Weighed.Metres));
        }
        // What is not weighed is not told of.
        Assert.Null(Rank(knows, roster, policy: Weighing(turn: 10)).Explanation!.Weighed!.NotHelpedBefore);
    }

    [Theory]
    [InlineData(Urgency.LifeThreatening, 0, 0), InlineData(Urgency.LifeThreatening, 1e9, 0), InlineData(Urgency.Health, 1e9, 1)]
    [InlineData(Urgency.Hardship, 86_399, 2), InlineData(Urgency.Hardship, 86_400, 1), InlineData(Urgency.Hardship, 1e9, 1)]
    [InlineData(Urgency.Routine, -60, 3), InlineData(Urgency.Routine, 86_400, 2), InlineData(Urgency.Routine, 172_800, 1), InlineData(Urgency.Routine, 1e9, 1)]
    public void waiting_ages_urgency_step_by_step_and_never_into_danger_of_life(Urgency urgency, double waitedSeconds, int rank)
    {
        Assert.Equal(rank, Policy.Default.BacklogRank(urgency, TimeSpan.FromSeconds(waitedSeconds)));
        Assert.Equal((int)Urgency.LifeThreatening - (int)urgency, (Policy.Default with { AgeAfterSeconds = 0 }).BacklogRank(urgency, TimeSpan.FromSeconds(waitedSeconds)));
    }

    [Fact]
    public void a_turn_ends_with_its_time_and_nobody_is_refused_for_it()
    {
        var roster = RosterOf((R1, Profile(place: North(100), capacity: 9), Opening.Open, 2), (R2, Profile(place: North(500), capacity: 9), Opening.Open, 1));
        var policy = new PolicyState(Weighing(turn: 5_000), 2);
        var match = Fold(new NeedReceived(Need(), Now));
        Assert.Equal(R2, Ranker.Rank(match, roster, policy, NoZones, Now).Best!.Id);
        Assert.Equal(R1, Ranker.Rank(match, roster, policy, NoZones, Now.AddSeconds(901)).Best!.Id);
        Assert.Equal(R1, Ranker.Rank(match, RosterOf((R1, Profile(place: North(100), capacity: 9), Opening.Open, 5)), policy, NoZones, Now).Best!.Id);
    }

    [Fact]
    public void ones_own_group_and_hard_rules_stand_before_any_weight()
    {
        var policy = Weighing(5_000, 5_000, 5_000, 5_000, 5_000);
        var roster = RosterOf((R1, Profile(place: North(9_000), subDistrict: "K", capacity: 4), Opening.Open, 3), (R2, Profile(place: North(10)) with { LeaderHasDisability = true }, Opening.Open, 0));
        Assert.Equal(R1, Rank(Need(own: R1) with { HelpedBefore = [R2] }, roster, policy: policy).Best!.Id);
        Assert.Equal(R1, Rank(Need(excluded: [R2]), roster, policy: policy).Best!.Id);
        // Online help knows no distance that could be weighed.
        Assert.Null(Rank(Need(mode: DeliveryMode.Online), roster, policy: policy).Explanation!.Weighed);
    }

    [Fact]
    public void weights_choose_whom_a_look_at_everybody_would_choose()
    {
        var random = new Random(4);
        for (var number = 0; number < 300; number++)
        {
            var policy = Weighing(random.Next(2_000), random.Next(2_000), random.Next(2_000), random.Next(2_000), random.Next(2_000));
            var responders = Enumerable.Range(1, random.Next(2, 40)).Select(id => (Responder(id),
                Profile(random.Next(4) == 0 ? ResponderKind.Provider : ResponderKind.Group, place: North(random.Next(8_000)), subDistrict: random.Next(2) == 0 ? "J" : "K", capacity: 5)
                    with
                { LeaderHasDisability = random.Next(2) == 0 }, Opening.Open, random.Next(5))).ToArray();
            var roster = RosterOf(responders);
            var need = Need() with { HelpedBefore = [.. responders.Select(one => one.Item1).Where(_ => random.Next(8) == 0)] };
            double Cost(ResponderId id)
            {
                var (profile, state) = (roster.StateOf(id).Profile!, roster.StateOf(id));
                return (profile.Kind is ResponderKind.Group ? 100_000 : 0) + Sphere.DistanceMetres(Centre, profile.Sites[0].Place)
                    + (profile.Sites[0].SubDistrict == "J" ? 0 : policy.Weights!.OtherSubDistrictMetres) + (profile.LeaderHasDisability is true ? 0 : policy.Weights!.NoPeerMetres)
                    + policy.Weights!.FullLoadMetres * state.Held.Count / state.Capacity + (state.Held.Count >= 2 ? policy.Weights.TurnMetres : 0)
                    + (need.HelpedBefore.Count == 0 || need.HelpedBefore.Contains(id) ? 0 : policy.Weights.NotHelpedBeforeMetres);
            }
            var best = roster.All.Select(listing => listing.Id).OrderBy(Cost).First();
            Assert.Equal(Cost(best), Cost(Rank(need, roster, policy: policy).Best!.Id), 1e-6);
        }
    }

    [Theory, MemberData(nameof(Excluded))]
    public void each_hard_rule_excludes_and_says_so(string reason, Need need, Profile profile, Opening opening, int held)
    {
        var roster = RosterOf((R1, profile, opening, held));
        Assert.Null(Rank(need, roster, Sealed).Best);
        var why = WhyNobody(need, roster, Sealed);
        Assert.Equal(reason, why.Reason);
        Assert.Equal(new Dictionary<string, int> { [reason] = 1 }, why.LeftOut);
    }

    public static TheoryData<Need, Profile> Served() => new()
    {
        { Need(), Profile() },
        { Need(kind: ServiceKinds.Medicine), Profile(kinds: [ServiceKinds.Specialised]) },
        { Need(), Profile(place: North(999), radius: 1000) },
        { Need(subDistrict: null), Profile(subDistricts: ["J"], radius: 1000) },
        { Need(subDistrict: null, mode: DeliveryMode.Online), Profile(subDistricts: ["J"], radius: 1000) },
        { Need(), Profile(place: North(3000), permit: true) },
        { Need(mode: DeliveryMode.Online), Profile(place: North(300_000), radius: 10) },
        { Need(), Profile(sites: [new Site(North(3000), "K"), new Site(North(500), "J")]) },
        { Need(communication: [CommunicationNeed.EasyRead]), Profile(abilities: [CommunicationNeed.EasyRead, CommunicationNeed.Proxy]) },
    };

    [Theory, MemberData(nameof(Served))]
    public void whoever_satisfies_every_rule_is_asked(Need need, Profile profile) =>
        Assert.Equal(R1, Rank(need, RosterOf((R1, profile, Opening.Open, 0)), Sealed).Best?.Id);

    public static TheoryData<string, Need, Profile, Profile, int> Order() => new()
    {
        { OrderReasons.OwnGroup, Need(own: R1), Profile(place: North(900)), Profile(ResponderKind.Provider), 0 },
        { OrderReasons.ProviderFirst, Need(), Profile(ResponderKind.Provider, place: North(900)), Profile(), 0 },
        { OrderReasons.Nearest, Need(), Profile(place: North(100)), Profile(place: North(101)), 0 },
        { OrderReasons.SameSubDistrict, Need(mode: DeliveryMode.Online), Profile(place: North(9000)), Profile(subDistrict: "K"), 0 },
        { OrderReasons.LeastLoaded, Need(mode: DeliveryMode.Online), Profile(capacity: 3), Profile(capacity: 2), 1 },
        { OrderReasons.LowestId, Need(), Profile(), Profile(), 0 },
    };

    [Theory, MemberData(nameof(Order))]
    public void the_order_is_that_of_the_product(string reason, Need need, Profile first, Profile second, int held)
    {
        var choice = Rank(need, RosterOf((R1, first, Opening.Open, held), (R2, second, Opening.Open, held)));
        Assert.Equal((R1, reason, (ResponderId?)R2), (choice.Best!.Id, choice.Explanation!.FirstBecause, choice.Explanation.RunnerUp));
    }

    [Fact]
    public void the_policy_can_turn_the_provider_rule_off() =>
        Assert.Equal(R2, Rank(Need(), RosterOf((R1, Profile(ResponderKind.Provider, place: North(900)), Opening.Open, 0), (R2, Profile(), Opening.Open, 0)),
            policy: Policy.Default with { ProviderBeforeGroup = false }).Best!.Id);

    [Fact]
    public void an_explanation_names_those_better_placed_and_nobody_else()
    {
        var roster = RosterOf(
            (R1, Profile(ResponderKind.Provider), Opening.Closed, 0), (R2, Profile(place: North(100)), Opening.Open, 2), (R3, Profile(place: North(200)), Opening.Open, 1),
            (Responder(4), Profile(place: North(300)), Opening.Paused, 0), (Responder(5), Profile(kinds: [ServiceKinds.Goods]), Opening.Open, 0), (Responder(6), Profile(place: North(400)), Opening.Open, 0));
        var choice = Rank(Need(), roster);
        var why = choice.Explanation!;
        Assert.Equal((R3, 3, 1L, 0L, 1, 2, 2L), (choice.Best!.Id, why.Rank, why.PolicyVersion, why.ZonesVersion, why.Held, why.Capacity, why.LedgerVersion));
        Assert.Equal([(R1, "closed", 1L), (R2, "full", 3L)], why.LeftOut.Select(left => (left.ResponderId, left.Reason, left.LedgerVersion)));
        Assert.Empty(why.OthersLeftOut);
        Assert.Equal(Responder(6), why.RunnerUp);
        Assert.InRange(why.DistanceMetres!.Value, 199.9, 200.1);

        why = Rank(Need(), roster, policy: Policy.Default with { MaxCandidatesExplained = 1 }).Explanation!;
        Assert.Equal(R1, Assert.Single(why.LeftOut).ResponderId);
        Assert.Equal((3, 1), (why.Rank, why.OthersLeftOut["full"]));
    }

    [Theory]
    [InlineData(0, 0, 0, 0, 0), InlineData(0, 0, 0, 180, 20015114.4), InlineData(90, 0, -90, 0, 20015114.4), InlineData(0, 179.5, 0, -179.5, 111195.1), InlineData(90, 10, 90, -120, 0), InlineData(60, 0, 60, 1, 55597.0)]
    public void distance_is_that_on_the_sphere_at_poles_and_antimeridian_too(double latA, double lonA, double latB, double lonB, double metres) =>
        Assert.Equal(metres, Sphere.DistanceMetres(new GeoPoint(latA, lonA), new GeoPoint(latB, lonB)), 0.1);

    [Fact]
    public void a_zone_over_the_antimeridian_contains_what_lies_in_it()
    {
        GeoPoint[] ring = [new(-1, 179), new(-1, -179), new(1, -179), new(1, 179)];
        Assert.True(Zones.Contains(ring, new GeoPoint(0, 179.9)));
        Assert.True(Zones.Contains(ring, new GeoPoint(0, -179.9)));
        Assert.False(Zones.Contains(ring, new GeoPoint(0, 178.9)));
        Assert.False(Zones.Contains(ring, new GeoPoint(0, 0)));
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);

    private static readonly Gen<GeoPoint> Somewhere = Gen.Select(Gen.Double[31.19, 31.25], Gen.Double[121.41, 121.47], (lat, lon) => new GeoPoint(lat, lon));
    private static readonly string[] Kinds = [ServiceKinds.Meals, ServiceKinds.Specialised, ServiceKinds.Medicine, ServiceKinds.Counselling];
    private static readonly Gen<CommunicationNeed[]> Communication = OneOf(CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly, CommunicationNeed.EasyRead).Array[0, 2].Select(all => all.Distinct().ToArray());
    private static readonly Gen<string> District = OneOf("J", "K", "L");

    private static readonly Gen<(Profile Profile, Opening Opening, int Held)> AnyResponder =
        from kind in Gen.Enum<ResponderKind>()
        from places in Gen.Select(Somewhere, District, Gen.Frequency((4, Gen.Const(true)), (1, Gen.Const(false)))).Array[1, 3]
        from radius in Gen.Frequency((1, Gen.Const((double?)null)), (3, Gen.Double[200, 6000].Select(metres => (double?)metres)))
        from districts in Gen.Frequency((3, Gen.Const(Array.Empty<string>())), (1, District.Array[1, 2]))
        from kinds in OneOf(Kinds).Array[1, 2]
        from modes in OneOf(DeliveryMode.Online, DeliveryMode.Offline).Array[1, 2]
        from abilities in Communication
        from capacity in Gen.Int[0, 4]
        from held in Gen.Int[0, 4]
        from permit in Gen.Bool
        from opening in Gen.Frequency((6, Gen.Const(Opening.Open)), (1, Gen.Enum<Opening>()))
        select (Profile(kind, capacity, sites: [.. places.Select(place => new Site(place.Item1, place.Item2, place.Item3))], radius: radius, subDistricts: districts, kinds: kinds,
            modes: modes, abilities: abilities, permit: permit), opening, Math.Min(held, capacity));

    private static readonly Gen<Need> AnyNeed =
        from place in Somewhere
        from kind in OneOf(Kinds)
        from mode in Gen.Enum<DeliveryMode>()
        from district in Gen.Frequency((3, District.Select(name => (string?)name)), (1, Gen.Const((string?)null)))
        from communication in Communication
        from own in Gen.Int[0, 12]
        from excluded in Gen.Int[1, 12].Array[0, 2]
        select Need(place: place, kind: kind, mode: mode, subDistrict: district, communication: communication, own: own == 0 ? null : Responder(own), excluded: [.. excluded.Select(Responder)]);

    private static readonly Func<GeoPoint, GeoPoint>[] Elsewhere =
    [
        place => place,
        place => new GeoPoint(place.Latitude, place.Longitude - Centre.Longitude + (place.Longitude < Centre.Longitude ? 180 : -180)),
        place => new GeoPoint(90 - Math.Abs(place.Latitude - Centre.Latitude), (place.Longitude - Centre.Longitude) * 5_900),
        _ => Centre,
    ];

    [Fact]
    public void ranking_equals_brute_force() =>
        Gen.Select(AnyNeed, AnyResponder.Array[0, 12], AnyResponder.Array[12], Gen.Bool, Gen.Bool, Gen.Int[0, Elsewhere.Length - 1], Gen.Int[0, 3]).Sample((need, responders, before, providerFirst, zoned, where, named) =>
        {
            Profile Move(Profile profile) => profile with { Sites = [.. profile.Sites.Select(site => site with { Place = Elsewhere[where](site.Place) })] };
            need = need with { Place = Elsewhere[where](need.Place) };
            var policy = Policy.Default with { ProviderBeforeGroup = providerFirst, MaxCandidatesExplained = named };
            var zones = zoned ? Sealed : NoZones;
            // The index has known all of them, and one more, otherwise.
            var roster = RosterOf([.. before.Select((responder, index) => (Responder(index + 1), Move(responder.Profile), responder.Opening, responder.Held))]);
            Rank(need, roster, zones, policy);
            for (var number = 1; number <= before.Length; number++)
                roster.Set(Responder(number), number > responders.Length ? ResponderState.Initial : RosterOf((Responder(number), Move(responders[number - 1].Profile), responders[number - 1].Opening, responders[number - 1].Held)).StateOf(Responder(number)));

            IOrderedEnumerable<Listing> InOrder(IEnumerable<Listing> listings) => listings.OrderBy(one => one.Id == need.OwnGroupId ? 0 : 1)
                .ThenBy(one => providerFirst && one.State.Profile!.Kind is ResponderKind.Group ? 1 : 0)
                .ThenBy(one => need.Mode is DeliveryMode.Offline ? Shown(need, one, zoned) : 0)
                .ThenBy(one => need.Mode is DeliveryMode.Online && !one.State.Profile!.Sites.Any(site => site.Open && site.SubDistrict == need.SubDistrict) ? 1 : 0)
                .ThenBy(one => need.Mode is DeliveryMode.Offline ? 0 : one.State.Capacity == 0 ? 1 : (double)one.State.Held.Count / one.State.Capacity)
                .ThenBy(one => one.Id.Value);
            var providers = InOrder(roster.All.Where(one => one.State.Profile!.ServiceKinds.Any(kind => ServiceKinds.Covers(kind, need.Kind)))).ToList();
            var expected = providers.Where(one => Eligible(need, one, zoned)).ToList();
            var choice = Rank(need, roster, zones, policy);
            if (expected.Count == 0)
                return choice is { Best: null, Explanation: null } && WhyNobody(need, roster, zones, policy).LeftOut.Values.Sum() == roster.Count;
            var why = choice.Explanation!;
            var better = providers.TakeWhile(one => one != expected[0]).ToList();
            return choice.Best == expected[0] && why.RunnerUp == expected.ElementAtOrDefault(1)?.Id && why.Rank == better.Count + 1
                && why.LeftOut.Select(left => left.ResponderId).SequenceEqual(better.Take(named).Select(one => one.Id))
                && why.OthersLeftOut.Values.Sum() == Math.Max(0, better.Count - named)
                && why.LeftOut.All(left => left.Reason == WhyNobody(need, RosterOf(Entry(roster, left.ResponderId)), zones, policy).Reason);
        }, iter: 20_000);

    private static (ResponderId, Profile, Opening, int) Entry(Roster roster, ResponderId id) =>
        (id, roster.StateOf(id).Profile!, roster.StateOf(id).Opening, roster.StateOf(id).Held.Count);

    /// <summary>The distance that gives the place in the order: to the nearest site that may help, else to the nearest.</summary>
    private static double Shown(Need need, Listing one, bool zoned) =>
        (Usable(need, one, zoned) is var usable && usable.Any() ? usable : one.State.Profile!.Sites).Min(site => Sphere.DistanceMetres(need.Place, site.Place));

    private static bool Eligible(Need need, Listing one, bool zoned)
    {
        var (state, profile) = (one.State, one.State.Profile!);
        var listed = profile.SubDistricts.Count == 0 || need.SubDistrict is not null && profile.SubDistricts.Contains(need.SubDistrict);
        var reaches = need.Mode is DeliveryMode.Offline
            ? Usable(need, one, zoned).Any()
            : listed || need.SubDistrict is null && profile.Sites.Any(site => site.Open && Sphere.DistanceMetres(need.Place, site.Place) <= profile.RadiusMetres);
        return reaches && profile.ServiceKinds.Any(kind => ServiceKinds.Covers(kind, need.Kind)) && profile.Modes.Contains(need.Mode) && state.Held.Count < profile.Capacity
            && state.Opening is Opening.Open && need.Communication.All(profile.CommunicationAbilities.Contains) && !need.ExcludedResponders.Contains(one.Id);
    }

    private static IEnumerable<Site> Usable(Need need, Listing one, bool zoned)
    {
        var profile = one.State.Profile!;
        var listed = profile.SubDistricts.Count == 0 || need.SubDistrict is not null && profile.SubDistricts.Contains(need.SubDistrict);
        return profile.Sites.Where(site => site.Open
            && (profile.RadiusMetres is { } radius ? Sphere.DistanceMetres(need.Place, site.Place) <= radius && (listed || need.SubDistrict is null) : listed)
            && (!zoned || profile.ZonePermit || Zones.Contains(Box, site.Place) == Zones.Contains(Box, need.Place)));
    }
}
