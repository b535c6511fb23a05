using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Xunit;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class CounterfactualTests
{
    static readonly Calendar Calendar = new(DateTimeOffset.UnixEpoch, OpenDays: 10, LockdownDays: 20, RecoveryDays: 10, FollowUpDays: 10, 1, 1, PatienceDays: 3);
    static readonly GeoPoint Here = new(31.22, 121.44);

    static ScenarioResponder Responder(int number, bool provider, int capacity = 1, string kind = ServiceKinds.Meals, double latitude = 31.22, double? radius = null, params CommunicationNeed[] abilities) => new(
        new Guid(number, 0, 0, new byte[8]), provider, $"{number}", "", "J", [new ScenarioSite(new GeoPoint(latitude, 121.44), "J")], radius, [], [kind], [DeliveryMode.Offline], abilities, capacity, false, null);

    static ScenarioRequest Asks(string key, double day, double work, Urgency urgency = Urgency.Routine, Guid? own = null, double? cancel = null, string? repeats = null, params CommunicationNeed[] ways) => new(
        key, day, key, false, Here, "J", urgency, ways, [new ScenarioNeed(ServiceKinds.Meals, DeliveryMode.Offline, 1, work, "")], own, MissingPart.Nothing, repeats, cancel);

    static Counterfactual.NeedOutcome[] Run(bool withGroups, ScenarioResponder[] responders, params ScenarioRequest[] requests) =>
        [.. Counterfactual.Run(Story(responders, requests), withGroups).Needs];

    static Scenario Story(ScenarioResponder[] responders, ScenarioRequest[] requests, IReadOnlyList<GeoPoint>? ring = null) =>
        new("test", "", 1, Calendar, new Behaviour(0, 0, 0, 0, 0, 0, 0, 0), [], responders, requests, ring, [], []);

    [Fact]
    public void a_provider_fulfils_after_the_work_is_done()
    {
        var need = Assert.Single(Run(false, [Responder(1, true)], Asks("a", 1, 2)));
        Assert.Equal(3, need.FulfilledDay);
        Assert.True(need.Met);
    }

    [Fact]
    public void the_second_waits_until_the_place_is_free()
    {
        var needs = Run(false, [Responder(1, true)], Asks("a", 1, 2), Asks("b", 1.5, 2));
        Assert.Equal(5, needs[1].FulfilledDay);
        Assert.Equal(1.5, needs[1].WaitedDays);
    }

    [Fact]
    public void the_most_urgent_that_waits_is_served_first_then_the_oldest()
    {
        var needs = Run(false, [Responder(1, true)], Asks("a", 1, 2), Asks("b", 1.5, 1), Asks("c", 2, 1, Urgency.Health));
        Assert.Equal(4, needs[2].FulfilledDay);
        Assert.Equal(5, needs[1].FulfilledDay);
    }

    [Fact]
    public void without_groups_a_closure_leaves_the_need_alone_until_the_reopening()
    {
        var need = Assert.Single(Run(false, [Responder(1, true), Responder(2, false)], Asks("a", 8, 5)));
        Assert.Equal(33, need.FulfilledDay);
        Assert.Equal(20, need.WaitedDays);
        Assert.False(need.Met);
    }

    [Fact]
    public void with_groups_it_goes_on_where_it_stopped()
    {
        var need = Assert.Single(Run(true, [Responder(1, true), Responder(2, false)], Asks("a", 8, 5)));
        Assert.Equal(13, need.FulfilledDay);
        Assert.True(need.Met);
    }

    [Fact]
    public void a_provider_comes_before_a_nearer_group_and_the_own_group_before_both()
    {
        ScenarioResponder[] responders = [Responder(1, true, latitude: 31.25), Responder(2, false)];
        Assert.Equal(1, Counterfactual.Run(Story(responders, [Asks("a", 9, 5)]), true).HeldAtClosure);
        Assert.Equal(0, Counterfactual.Run(Story(responders, [Asks("a", 9, 5, own: responders[1].Id)]), true).HeldAtClosure);
    }

    [Fact]
    public void hard_rules_are_hard()
    {
        Assert.Null(Assert.Single(Run(true, [Responder(1, true, kind: ServiceKinds.Specialised)], Asks("a", 1, 1))).FulfilledDay);
        Assert.Null(Assert.Single(Run(true, [Responder(1, true, latitude: 31.25, radius: 1000)], Asks("a", 1, 1))).FulfilledDay);
        Assert.Null(Assert.Single(Run(true, [Responder(1, true)], Asks("a", 1, 1, ways: CommunicationNeed.SignLanguage))).FulfilledDay);
        Assert.NotNull(Assert.Single(Run(true, [Responder(1, true, abilities: CommunicationNeed.SignLanguage)], Asks("a", 1, 1, ways: CommunicationNeed.SignLanguage))).FulfilledDay);
    }

    [Fact]
    public void a_sealed_zone_is_not_crossed()
    {
        GeoPoint[] ring = [new(31.21, 121.43), new(31.23, 121.43), new(31.23, 121.45), new(31.21, 121.45)];
        ScenarioResponder[] outside = [Responder(2, false, latitude: 31.25)];
        Assert.Equal(31, Assert.Single(Counterfactual.Run(Story(outside, [Asks("a", 12, 1)], ring), true).Needs).FulfilledDay);
        Assert.Equal(13, Assert.Single(Counterfactual.Run(Story(outside, [Asks("a", 12, 1)]), true).Needs).FulfilledDay);
        Assert.Equal(13, Assert.Single(Counterfactual.Run(Story([outside[0] with { ZonePermit = true }], [Asks("a", 12, 1)], ring), true).Needs).FulfilledDay);
    }

    [Fact]
    public void a_cancelled_need_frees_its_place()
    {
        var needs = Run(false, [Responder(1, true)], Asks("a", 1, 5, cancel: 1), Asks("b", 1.5, 1));
        Assert.Null(needs[0].FulfilledDay);
        Assert.False(needs[0].Met);
        Assert.Equal(3, needs[1].FulfilledDay);
    }

    [Fact]
    public void a_repeated_call_is_met_when_the_first_is()
    {
        var needs = Run(false, [Responder(1, true)], Asks("a", 1, 5), Asks("a-again", 2, 5, repeats: "a"));
        Assert.True(needs[1].Met);
        Assert.Equal(6, needs[1].FulfilledDay);
    }

    [Fact]
    public void nobody_holds_more_than_their_places()
    {
        var requests = Enumerable.Range(0, 60).Select(index => Asks($"{index:00}", index * 0.1, 3)).ToArray();
        var scenario = Story([Responder(1, true, capacity: 7), Responder(2, false, capacity: 5)], requests);
        var outcome = Counterfactual.Run(scenario, true);
        var done = outcome.Needs.Where(need => need.FulfilledDay is not null).ToList();
        for (var day = 0.05; day < Calendar.EndDay; day += 0.1)
            Assert.True(done.Count(need => need.FulfilledDay > day && need.FulfilledDay - 3 <= day && day < Calendar.ClosureDay) <= 12);
    }
}
