using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.Matching.Rehearsing;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>A person names the responder: what the hard rules still forbid, what the explanation says, and a closure on paper.</summary>
public class AssigningByHandTests
{
    private static readonly PolicyState InForce = new(Policy.Default, 1);
    private static readonly Zones NoZones = new(MeasuresState.Initial);
    private static readonly Assignment ByChen = new("chen", "knows the family");

    private static GeoPoint North(double metres) => new(Centre.Latitude + metres / 111_195, Centre.Longitude);

    private static Roster RosterOf(params (ResponderId Id, Profile Profile)[] responders)
    {
        var roster = new Roster();
        foreach (var (id, profile) in responders)
            roster.Set(id, Fold(new ResponderListed(profile, Opening.Open, 1, Now)));
        return roster;
    }

    private static (Answer Answer, Round Round) Assign(Roster roster, ResponderId responder, MatchState? match = null, Zones? zones = null)
    {
        var state = match ?? Fold(Received());
        var round = new Round(new Situation(roster, InForce, zones ?? NoZones, Now));
        round.Know(Need().NeedId, state, 1);
        return (round.Assign(Need().NeedId, responder, ByChen), round);
    }

    [Fact]
    public void the_named_one_is_asked_and_the_nearer_ones_are_passed_over_by_name()
    {
        var roster = RosterOf((R1, Profile(place: North(100))), (R2, Profile(place: North(900))), (R3, Profile(place: North(50), abilities: [], modes: [DeliveryMode.Online])));
        var (answer, round) = Assign(roster, R2);
        Assert.Null(answer.Refusal);
        var offer = Assert.Single(answer.State.Offers);
        Assert.Equal(R2, offer.ResponderId);
        Assert.Equal((OrderReasons.ByOperator, ByChen, 3, R1), (offer.Explanation.FirstBecause, offer.Explanation.Assignment, offer.Explanation.Rank, offer.Explanation.RunnerUp!.Value));
        Assert.Equal([(R3, ExclusionReasons.Mode), (R1, ExclusionReasons.PassedOver)], offer.Explanation.LeftOut.Select(left => (left.ResponderId, left.Reason)));
        Assert.Single(roster.StateOf(R2).Held);
        Assert.True(round.HasEvents);
    }

    [Fact]
    public void the_same_word_twice_is_one_offer()
    {
        var roster = RosterOf((R1, Profile()));
        var (first, _) = Assign(roster, R1);
        var (second, round) = Assign(roster, R1, first.State);
        Assert.Null(second.Refusal);
        Assert.Single(second.State.Offers);
        Assert.False(round.HasEvents);
    }

    public static TheoryData<string, MatchEvent[]> Refused() => new()
    {
        { "on-hold", [Received(), new NeedHeld(Need().RequestId, Now)] },
        { "over", [Received(), new Huzhu.Matching.Domain.NeedCancelled(Need().RequestId, "no-longer-needed", Now, Now)] },
        { "already-taken", [Received(), Made(O1, R2), Accepted(O1, R2)] },
        { ExclusionReasons.AlreadyOffered, [Received(), Made(O1, R1)] },
        { ExclusionReasons.ExcludedDeclined, [Received(), Made(O1, R1), new OfferDeclined(O1, Need().RequestId, R1, DeclineReason.Unsafe, Now)] },
        { ExclusionReasons.ExcludedConcern, [Received(), new ResponderExcluded(R1, ExclusionReasons.ExcludedConcern, Now)] },
    };

    [Theory, MemberData(nameof(Refused))]
    public void what_the_need_forbids_is_refused_and_leaves_nothing(string code, MatchEvent[] before)
    {
        var roster = RosterOf((R1, Profile()), (R2, Profile()));
        var (answer, round) = Assign(roster, R1, Fold(before));
        Assert.Equal(code, answer.Refusal!.Code);
        Assert.False(round.HasEvents);
    }

    public static TheoryData<string, Profile> Excluded() => new()
    {
        { ExclusionReasons.Kind, Profile(kinds: [ServiceKinds.Medicine]) },
        { ExclusionReasons.Mode, Profile(modes: [DeliveryMode.Online]) },
        { ExclusionReasons.OutOfArea, Profile(place: North(1001), radius: 1000) },
        { ExclusionReasons.Full, Profile(capacity: 0) },
        { ExclusionReasons.Closed, Profile(sites: [new Site(Centre, "J", Open: false)]) },
    };

    [Theory, MemberData(nameof(Excluded))]
    public void a_hard_rule_holds_for_people_too(string code, Profile profile)
    {
        var (answer, round) = Assign(RosterOf((R1, profile)), R1);
        Assert.Equal(code, answer.Refusal!.Code);
        Assert.False(round.HasEvents);
    }

    [Fact]
    public void one_that_was_silent_a_moment_ago_may_be_named_and_nobody_unknown()
    {
        var silent = Fold(Received(), Made(O1, R1), new OfferExpired(O1, Need().RequestId, R1, Now), new NeedWaits(Need().RequestId, ExclusionReasons.AskedRecently, new Dictionary<string, int>(), 1, Now));
        Assert.Equal(ExclusionReasons.AskedRecently, silent.WhyNot(R1, Policy.Default, Now));
        var (answer, _) = Assign(RosterOf((R1, Profile())), R1, silent);
        Assert.Null(answer.Refusal);
        Assert.Equal(NeedState.Offered, answer.State.State);
        Assert.Equal("no-such-responder", Assign(RosterOf(), R1).Answer.Refusal!.Code);
        Assert.Equal("no-such-match", Assign(RosterOf((R1, Profile())), R1, MatchState.Initial).Answer.Refusal!.Code);
    }

    [Fact]
    public void who_has_been_asked_keeps_its_offer_and_the_first_to_accept_gets_the_need()
    {
        var roster = RosterOf((R1, Profile()), (R2, Profile()));
        var (answer, _) = Assign(roster, R2, Fold(Received(), Made(O1, R1)));
        Assert.Equal(2, answer.State.OpenOffers.Count());
        var taken = answer.State.Then(Match.DecideAccept(answer.State, answer.State.Offers[1].Id, Now));
        Assert.Equal([OfferStatus.Superseded, OfferStatus.Accepted], taken.Offers.Select(offer => offer.Status));
    }

    [Fact]
    public void everybody_is_assessed_those_who_can_first()
    {
        var roster = RosterOf((R1, Profile(place: North(100), capacity: 0)), (R2, Profile(place: North(900))), (R3, Profile(place: North(500))), (Responder(4), Profile(kinds: [ServiceKinds.Medicine])));
        var assessed = Ranker.Assess(Fold(Received()), roster, InForce, NoZones, Now);
        Assert.Equal([(R3, null), (R2, null), (R1, ExclusionReasons.Full)], assessed.Select(one => (one.Listing.Id, one.Reason)));
        Assert.Equal(500, assessed[0].DistanceMetres!.Value, 1.0);
    }

    [Fact]
    public void a_closure_on_paper_moves_what_is_held_and_touches_nothing()
    {
        // R1 closes and holds two needs; the nearest other one has one place.
        var live = RosterOf((R1, Profile(ResponderKind.Provider, capacity: 5)), (R2, Profile(place: North(300), capacity: 1)));
        var held = new List<HeldOffer>();
        var matches = new Dictionary<NeedId, MatchState>();
        foreach (var number in new[] { 11, 12 })
        {
            var need = Need(id: number);
            held.Add(new HeldOffer(Offer(number), R1, need));
            matches[need.NeedId] = Fold(new NeedReceived(need, Now), Made(Offer(number), R1));
            live.Set(R1, ResponderState.Evolve(live.StateOf(R1), new PlaceHeld(Offer(number), need.NeedId, Now)));
        }
        var copy = new Roster();
        foreach (var listing in live.All)
            copy.Set(listing.Id, listing.Id == R1 ? Rehearsal.Shut(listing.State, _ => true) : listing.State);
        var moved = Rehearsal.Run(copy, InForce, NoZones, held, matches, Now);
        Assert.Equal([(R2, null), ((ResponderId?)null, ExclusionReasons.Full)], moved.Select(one => (one.To, one.Reason)));
        Assert.Equal(300, moved[0].DistanceMetres!.Value, 1.0);
        Assert.Equal((Opening.Open, 2), (live.StateOf(R1).Opening, live.StateOf(R1).Held.Count));
        Assert.Empty(live.StateOf(R2).Held);
    }

    [Fact]
    public void a_provider_with_a_site_outside_stays_open_and_keeps_what_it_holds()
    {
        var state = Fold(new ResponderListed(Profile(ResponderKind.Provider, sites: [new Site(Centre, "J"), new Site(North(9_000), "K")]), Opening.Open, 1, Now));
        var after = Rehearsal.Shut(state, site => site.SubDistrict == "J");
        Assert.Equal(Opening.Open, after.Opening);
        Assert.Equal([false, true], after.Profile!.Sites.Select(site => site.Open));
    }
}
