using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Xunit;
using static Huzhu.Tests.Unit.Scenarios.Logs;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class MeasurementsTests
{
    static readonly Calendar Calendar = new(Start, OpenDays: 10, LockdownDays: 20, RecoveryDays: 10, FollowUpDays: 10, 1, 1, PatienceDays: 7);

    static Measurements Measure(Logs logs, params ScenarioRequest[] requests)
    {
        ScenarioRequest[] asked = requests.Length > 0 ? requests :
        [
            new("call-1", 0, "p", false, new GeoPoint(31.22, 121.44), "J", Urgency.Health, [], [new ScenarioNeed(ServiceKinds.Medicine, DeliveryMode.Offline, 1, 1, "")]),
        ];
        var measured = new Measurements(new Scenario("test", "", 1, Calendar, new Behaviour(0, 0, 0, 0, 0, 0, 0, 0), [], [], asked, null, [], []), Start);
        foreach (var row in logs.Rows)
            measured.Read(row);
        return measured;
    }

    [Fact]
    public void a_need_is_measured_from_its_call_to_its_end()
    {
        var measured = Measure(OfAFulfilledNeed());
        var need = Assert.Single(measured.Needs());
        Assert.Equal(Outcome.Met, need.Outcome);
        Assert.Equal(100, need.FirstOfferMs!.Value, tolerance: 1);
        Assert.Equal(6.1, need.FulfilledSecond!.Value, tolerance: 0.01);
        Assert.Equal(1.1, need.WaitedSeconds, tolerance: 0.01);
        var holding = Assert.Single(need.Holdings);
        Assert.Equal((Provider, true, 100.08), (holding.Responder, holding.IsProvider, holding.DistanceMetres));
        Assert.Equal(1, measured.Responders()[Provider].MaxHeld);
        Assert.Equal(0, measured.Responders()[Group].MaxHeld);
    }

    static Logs Held(bool accepted = true)
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider", 2).Listed(Group, "group", 2);
        logs.Submitted();
        logs.Received();
        logs.Offered();
        if (accepted)
            logs.OfferEvent("offer_accepted", remaining: 1);
        return logs.Wait(10);
    }

    static void Closed(Logs logs) => logs.Add("matching", Provider, "responder_closed", new { });

    static void TakenAway(Logs logs)
    {
        logs.OfferEvent("offer_revoked", reason: "provider-closed");
        logs.Released();
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void a_held_need_that_goes_to_a_group_was_matched_again(bool accepted)
    {
        var logs = Held(accepted);
        Closed(logs);
        TakenAway(logs);
        logs.Wait(2).Offered(SecondOffer, Group, kind: "group");
        logs.OfferEvent("offer_accepted", SecondOffer, Group, remaining: 1);
        logs.Wait(3).OfferEvent("help_completed", SecondOffer, Group);
        var fallback = Measure(logs).Fallback();
        Assert.Equal((1, 1, 1, 0, 1, 1), (fallback.PlacesHeldAtClosure, fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated, fallback.RematchedToGroups, fallback.FulfilledByGroups));
        Assert.Equal(2, fallback.SecondsToRematchAll!.Value, tolerance: 0.01);
    }

    [Fact]
    public void the_order_of_streams_within_one_transaction_does_not_matter()
    {
        // The match is written before the ledger, all at one moment.
        var logs = Held();
        logs.OfferEvent("offer_revoked", reason: "provider-closed");
        logs.Offered(SecondOffer, Group, kind: "group");
        Closed(logs);
        logs.Released();
        var fallback = Measure(logs).Fallback();
        Assert.Equal((1, 1, 0), (fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated));
        Assert.Equal(0, fallback.SecondsToRematchAll);
    }

    [Fact]
    public void a_held_need_that_goes_to_nobody_was_escalated()
    {
        var logs = Held();
        Closed(logs);
        TakenAway(logs);
        logs.Add("matching", Need, "need_waits", new { requestId = Request, reason = "full", remaining = 1 });
        var fallback = Measure(logs).Fallback();
        Assert.Equal((1, 0, 1), (fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated));
        Assert.Null(fallback.SecondsToRematchAll);
        Assert.Equal(Outcome.Waiting, Assert.Single(Measure(logs).Needs()).Outcome);
    }

    [Fact]
    public void a_held_need_that_is_done_at_that_moment_counts_nowhere()
    {
        var logs = Held();
        Closed(logs);
        logs.OfferEvent("help_completed");
        logs.Released();
        var fallback = Measure(logs).Fallback();
        Assert.Equal((1, 0, 0, 0, 1), (fallback.PlacesHeldAtClosure, fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated, fallback.EndedMeanwhile));
    }

    [Fact]
    public void a_need_that_two_closing_providers_held_counts_once()
    {
        var second = new Guid("10000000-0000-4000-8000-000000000002");
        var logs = new Logs().WithPolicy().Listed(Provider, "provider").Listed(second, "provider").Listed(Group, "group");
        logs.Submitted();
        logs.Received();
        logs.Offered();
        Closed(logs);
        TakenAway(logs);
        logs.Wait(0.1).Offered(SecondOffer, second);
        logs.Add("matching", second, "responder_closed", new { });
        logs.OfferEvent("offer_revoked", SecondOffer, second, reason: "provider-closed");
        logs.Released(SecondOffer, second);
        var fallback = Measure(logs).Fallback();
        Assert.Equal((2, 1, 0, 1), (fallback.PlacesHeldAtClosure, fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated));
        logs.Wait(1).Offered(new Guid("50000000-0000-4000-8000-000000000003"), Group, kind: "group");
        fallback = Measure(logs).Fallback();
        Assert.Equal((1, 1, 0), (fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated));
    }

    [Fact]
    public void a_long_wait_in_pieces_is_a_long_wait()
    {
        var logs = Held();
        Closed(logs);
        TakenAway(logs);
        logs.Wait(8).Offered(SecondOffer, Group, kind: "group");
        logs.OfferEvent("offer_accepted", SecondOffer, Group, remaining: 1);
        logs.Wait(1).OfferEvent("help_completed", SecondOffer, Group);
        var need = Assert.Single(Measure(logs).Needs());
        Assert.Equal(Outcome.MetLate, need.Outcome);
        Assert.Equal(8, need.WaitedSeconds, tolerance: 0.01);
        Assert.Equal([true, false], need.Holdings.Select(holding => holding.IsProvider));
        Assert.Equal([false, true], need.Holdings.Select(holding => holding.AfterClosure));
    }

    [Fact]
    public void a_partial_intake_waits_from_its_completion_on()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted(partial: true);
        logs.Wait(9).Add("requests", Request, "intake_completed", new { content = Content() });
        logs.Wait(0.2).Received();
        logs.Offered();
        logs.OfferEvent("offer_accepted", remaining: 1);
        logs.OfferEvent("help_completed");
        var need = Assert.Single(Measure(logs).Needs());
        Assert.Equal(200, need.FirstOfferMs!.Value, tolerance: 1);
        Assert.Equal(Outcome.Met, need.Outcome);
    }

    [Fact]
    public void a_disputed_need_is_not_fulfilled_until_somebody_helps_again()
    {
        var logs = OfAFulfilledNeed();
        logs.Wait(1).OfferEvent("offer_disputed");
        logs.Add("matching", Need, "need_reopened", new { need = NeedFacts(), reason = "not-delivered" });
        logs.Add("matching", Need, "need_waits", new { requestId = Request, reason = "full", remaining = 1 });
        var need = Assert.Single(Measure(logs).Needs());
        Assert.Equal(Outcome.Waiting, need.Outcome);
        Assert.Null(need.FulfilledSecond);
    }

    [Fact]
    public void a_linked_repeat_shares_the_fate_of_the_first()
    {
        var logs = OfAFulfilledNeed();
        var (request, repeat) = (Guid.NewGuid(), Guid.NewGuid());
        logs.Submitted(request, repeat, "call-1-again", duplicateOf: new { requestId = Request, needId = Need });
        var first = new ScenarioRequest("call-1", 0, "p", false, new GeoPoint(31.22, 121.44), "J", Urgency.Health, [], [new ScenarioNeed(ServiceKinds.Medicine, DeliveryMode.Offline, 1, 1, "")]);
        var needs = Measure(logs, first, first with { Key = "call-1-again", RepeatsKey = "call-1" }).Needs();
        Assert.Equal(Outcome.Met, needs.Single(need => need.Id == repeat).Outcome);
        Assert.Equal("duplicate-of", needs.Single(need => need.Id == repeat).FinalState);
    }
}
