using Huzhu.Audit.Replaying;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Audit.World;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>Small worlds whose outcome is known by hand.</summary>
public sealed class SimulationTests
{
    private static readonly Variant WithoutGroups = new(WithoutGroups: true), WithoutClosures = new(WithoutClosures: true);

    [Fact]
    public void help_is_done_when_its_work_is()
    {
        var world = new World();
        var provider = world.Responder(ResponderKind.Provider);
        var need = world.Need(1, work: 2);
        var outcome = world.Until(50).Outcomes()[need];
        Assert.Equal((NeedState.Fulfilled, Hour(1), Hour(3)), (outcome.State, outcome.FirstOfferAt, outcome.FulfilledAt));
        Assert.Empty(outcome.Waits);
        Assert.Equal((provider, 0.0), (outcome.Holdings[0].ResponderId, outcome.Holdings[0].DistanceMetres));
    }

    [Fact]
    public void who_comes_second_waits_until_the_place_is_free()
    {
        var world = new World();
        world.Responder(ResponderKind.Provider);
        world.Need(1, work: 2);
        var second = world.Need(1.5, work: 2);
        var outcome = world.Until(50).Outcomes()[second];
        Assert.Equal(Hour(5), outcome.FulfilledAt);
        Assert.Equal([new Stretch(Hour(1.5), Hour(3))], outcome.Waits);
    }

    [Fact]
    public void the_most_urgent_that_waits_is_served_first_then_the_oldest()
    {
        var world = new World();
        world.Responder(ResponderKind.Provider);
        world.Need(1, work: 2);
        var (older, urgent) = (world.Need(1.5), world.Need(2, urgency: Urgency.Health));
        var outcomes = world.Until(50).Outcomes();
        Assert.Equal((Hour(4), Hour(5)), (outcomes[urgent].FulfilledAt, outcomes[older].FulfilledAt));
    }

    [Fact]
    public void a_closure_leaves_the_need_to_a_group_and_without_groups_alone_until_the_reopening()
    {
        var world = new World();
        var provider = world.Responder(ResponderKind.Provider);
        world.Responder(ResponderKind.Group);
        var need = world.Need(8, work: 5);
        world.Closes(provider, 10).Reopens(provider, 30).Until(50);
        // It goes on where it stopped, whoever goes on.
        Assert.Equal(Hour(13), world.Outcomes()[need].FulfilledAt);
        var alone = world.Outcomes(WithoutGroups)[need];
        Assert.Equal(Hour(33), alone.FulfilledAt);
        Assert.Equal([new Stretch(Hour(10), Hour(30))], alone.Waits);
        Assert.Equal(Hour(13), world.Outcomes(WithoutClosures with { WithoutGroups = true })[need].FulfilledAt);
    }

    [Fact]
    public void the_rules_are_those_of_Matching_and_the_policy_is_the_one_given()
    {
        var world = new World();
        var provider = world.Responder(ResponderKind.Provider, metresNorth: 500);
        var group = world.Responder(ResponderKind.Group);
        var (need, own) = (world.Need(1), world.Need(1, own: group));
        world.Until(50);
        Assert.Equal(provider, world.Outcomes()[need].Holdings[0].ResponderId);
        Assert.Equal(group, world.Outcomes()[own].Holdings[0].ResponderId);
        Assert.Equal(group, world.Outcomes(new Variant(Patient with { ProviderBeforeGroup = false }))[need].Holdings[0].ResponderId);
    }

    [Fact]
    public void a_sealed_zone_is_not_crossed_and_without_closures_there_is_none()
    {
        var world = new World();
        world.Responder(ResponderKind.Group, metresNorth: 3000);
        var need = world.Need(12);
        world.Sealed(metres: 1000, from: 10, until: 30).Until(50);
        Assert.Equal(Hour(31), world.Outcomes()[need].FulfilledAt);
        Assert.Equal(Hour(13), world.Outcomes(WithoutClosures)[need].FulfilledAt);
    }

    [Fact]
    public void a_cancelled_need_frees_its_place()
    {
        var world = new World();
        world.Responder(ResponderKind.Provider);
        var (first, second) = (world.Need(1, work: 5), world.Need(1.5));
        var outcomes = world.Cancels(first, 2).Until(50).Outcomes();
        Assert.True(outcomes[first].IsCancelled);
        Assert.Equal(Hour(3), outcomes[second].FulfilledAt);
    }

    [Fact]
    public void who_declined_declines_again_and_who_was_never_asked_answers_as_it_did_another_time()
    {
        var world = new World();
        var (near, far) = (world.Responder(ResponderKind.Group), world.Responder(ResponderKind.Group, metresNorth: 500));
        var (need, other) = (world.Need(1), world.Need(5));
        world.Answers.Add((need, near, ResponderKind.Group, new Answer(AnswerKind.Declines, TimeSpan.FromMinutes(30), null, null)));
        world.Answers.Add((need, far, ResponderKind.Group, new Answer(AnswerKind.Accepts, TimeSpan.FromMinutes(30), null, null)));
        var outcomes = world.Until(50).Outcomes();
        Assert.Equal([(far, Hour(2), Hour(3))], outcomes[need].Holdings.Select(holding => (holding.ResponderId, holding.From, holding.To)));
        // All that is known of the near one is a no, and of the far one a yes; each takes half an hour.
        Assert.Equal([(far, Hour(6))], outcomes[other].Holdings.Select(holding => (holding.ResponderId, holding.From)));
    }

    [Fact]
    public void silence_lasts_as_long_as_the_policy_lets_it_and_is_asked_again_afterwards()
    {
        var world = new World(Patient with { Routine = new(3600, 1, 1e6, 2 * 3600) });
        var responder = world.Responder(ResponderKind.Group);
        var need = world.Need(1);
        world.Answers.Add((need, responder, ResponderKind.Group, new Answer(AnswerKind.StaysSilent, TimeSpan.FromHours(1), null, null)));
        world.Answers.Add((need, responder, ResponderKind.Group, new Answer(AnswerKind.Accepts, TimeSpan.Zero, null, null)));
        world.Until(50);
        Assert.Equal(Hour(4), world.Outcomes()[need].Holdings[0].From);
        var shorter = Patient with { Routine = new(1800, 1, 1e6, 3600) };
        Assert.Equal(Hour(2.5), world.Outcomes(new Variant(shorter))[need].Holdings[0].From);
    }

    [Fact]
    public void who_could_not_go_on_gives_it_back_and_what_was_done_stays_done()
    {
        var world = new World();
        var (near, far) = (world.Responder(ResponderKind.Group), world.Responder(ResponderKind.Group, metresNorth: 500));
        var need = world.Need(1, work: 4);
        world.Answers.Add((need, near, ResponderKind.Group, new Answer(AnswerKind.Accepts, TimeSpan.Zero, null, TimeSpan.FromHours(1))));
        world.Answers.Add((need, far, ResponderKind.Group, new Answer(AnswerKind.Accepts, TimeSpan.Zero, null, null)));
        Assert.Equal([(near, Hour(1), Hour(2)), (far, Hour(2), Hour(5))],
            world.Until(50).Outcomes()[need].Holdings.Select(holding => (holding.ResponderId, holding.From, holding.To)));
    }

    [Fact]
    public void words_about_a_responder_count_only_where_it_helped()
    {
        var world = new World();
        var (provider, group) = (world.Responder(ResponderKind.Provider, metresNorth: 500), world.Responder(ResponderKind.Group));
        var (need, offer) = (world.Need(1), OfferId.Of(Guid.NewGuid()));
        var request = RequestId.Of(Guid.NewGuid());
        var why = new Explanation(1, 0, 1, 0, 0, 1, 1, OrderReasons.OnlyOne, null, null, [], new Dictionary<string, int>());
        world.Take(need.Value, 1, new OfferMade(offer, request, group, ResponderKind.Group, ServiceKinds.Meals, DeliveryMode.Offline, 1, Urgency.Routine, [], "J", 1, true, Hour(9), why, Hour(1)));
        world.Take(need.Value, 1, new OfferAccepted(offer, request, group, 1, Hour(1)));
        world.Take(need.Value, 2, new HelpCompleted(offer, request, group, 1, 0, Hour(2)));
        world.Take(need.Value, 4, new OfferDisputed(offer, request, group, "not-delivered", Hour(4)));
        var asked = world.History.Course.MatchOf(need).Need!;
        world.Take(need.Value, 4, new Huzhu.Matching.Domain.NeedReopened(asked, "not-delivered", Hour(4), Hour(4))).Until(50);
        // Decided again, the provider comes first: of its help nobody has complained.
        var outcome = world.Outcomes()[need];
        Assert.Equal([(provider, Hour(1), Hour(2))], outcome.Holdings.Select(holding => (holding.ResponderId, holding.From, holding.To)));
        // With the group it is as it was: disputed, and not asked again.
        outcome = world.Outcomes(new Variant(Patient with { ProviderBeforeGroup = false }))[need];
        Assert.Equal([(group, Hour(1)), (provider, Hour(4))], outcome.Holdings.Select(holding => (holding.ResponderId, holding.From)));
    }

    [Fact]
    public void nobody_holds_more_than_its_places_and_it_comes_out_the_same_each_time()
    {
        var world = new World();
        world.Responder(ResponderKind.Provider, capacity: 7);
        world.Responder(ResponderKind.Group, capacity: 5);
        for (var index = 0; index < 200; index++)
            world.Need(index * 0.05, work: 1 + index % 3);
        var holdings = world.Until(90).Outcomes().Values.SelectMany(need => need.Holdings).ToList();
        Assert.Equal(200, holdings.Count);
        for (var hour = 0.01; hour < 90; hour += 0.05)
            Assert.True(holdings.Count(holding => holding.From <= Hour(hour) && holding.To > Hour(hour)) <= 12);
        Assert.Equal(holdings, world.Outcomes().Values.SelectMany(need => need.Holdings));
    }

    [Fact]
    public void work_that_was_never_finished_takes_as_long_as_is_usual_and_no_less_than_was_spent()
    {
        NeedId Id(int number) => NeedId.Of(new Guid(number, 0, 0, new byte[8]));
        TimeSpan Hours(double hours) => TimeSpan.FromHours(hours);
        var behaviour = new Behaviour([],
        [
            (Id(1), ServiceKinds.Meals, true, Hours(1)), (Id(2), ServiceKinds.Meals, true, Hours(3)), (Id(3), ServiceKinds.Meals, true, Hours(4)), (Id(4), ServiceKinds.Medicine, true, Hours(9)),
            (Id(5), ServiceKinds.Meals, false, Hours(2)), (Id(6), ServiceKinds.Meals, false, Hours(5)),
        ]);
        Assert.Equal([Hours(1), Hours(3), Hours(5)], new[] { 1, 5, 6 }.Select(number => behaviour.WorkOf(Id(number), ServiceKinds.Meals)));
        Assert.Equal((Hours(9), Hours(4)), (behaviour.WorkOf(Id(7), ServiceKinds.Medicine), behaviour.WorkOf(Id(7), ServiceKinds.Water)));
    }
}
