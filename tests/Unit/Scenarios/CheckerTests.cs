using Huzhu.Local.Scenarios;
using Xunit;
using static Huzhu.Tests.Unit.Scenarios.Logs;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class CheckerTests
{
    static void IsBroken(Logs logs, string name, string mention)
    {
        var invariant = logs.Check()[name];
        Assert.False(invariant.Holds, $"{name} should be broken");
        Assert.True(invariant.ViolationCount > 0);
        Assert.Contains(invariant.Violations, sentence => sentence.Contains(mention, StringComparison.Ordinal));
    }

    static void AllHold(Logs logs)
    {
        foreach (var invariant in logs.Check().Values)
            Assert.True(invariant.Holds, $"{invariant.Name}: {string.Join(" ", invariant.Violations)}");
    }

    [Fact]
    public void good_logs_keep_every_promise_and_every_promise_was_looked_at()
    {
        var logs = OfAFulfilledNeed();
        AllHold(logs);
        Assert.All(logs.Check().Values, invariant => Assert.True(invariant.Checked > 0, $"{invariant.Name} looked at nothing"));
    }

    [Fact]
    public void empty_logs_prove_nothing()
    {
        Assert.All(new Logs().Check().Values, invariant => Assert.Equal(0, invariant.Checked));
    }

    // ---- the streams themselves ----

    [Fact]
    public void a_version_that_is_missing_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Rows.RemoveAll(row => row.Type == "offer_sent");
        IsBroken(logs, "streams-are-whole", Need.ToString());
    }

    [Fact]
    public void an_event_that_is_there_twice_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Rows.Add(logs.Rows[^1] with { Stream = Guid.NewGuid(), Version = 1, Type = "need_urgency_raised" });
        IsBroken(logs, "streams-are-whole", logs.Rows[^1].EventId.ToString());
    }

    [Fact]
    public void a_word_about_a_need_that_was_never_asked_for_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Recorded("waiting", "full", need: Guid.NewGuid());
        IsBroken(logs, "streams-are-whole", Request.ToString());
    }

    [Fact]
    public void an_event_without_a_rule_stops_the_checker()
    {
        var logs = OfAFulfilledNeed();
        logs.Add("matching", Need, "need_teleported", new { });
        Assert.Throws<InvalidOperationException>(() => logs.Check());
    }

    [Fact]
    public void a_tombstone_is_passed_over()
    {
        var logs = OfAFulfilledNeed();
        logs.Rows.Add(logs.Rows[^1] with { EventId = Guid.NewGuid(), Stream = Guid.NewGuid(), Version = 107, Type = "tombstone" });
        AllHold(logs);
    }

    // ---- capacity ----

    [Fact]
    public void one_place_too_many_is_found()
    {
        var logs = OfAFulfilledNeed();
        for (var place = 0; place < 3; place++)
            logs.Add("matching", Provider, "place_held", new { offerId = Guid.NewGuid(), needId = Guid.NewGuid() });
        IsBroken(logs, "capacity-is-never-exceeded", $"{Provider}: holds 3 of 2 places");
    }

    [Fact]
    public void a_capacity_that_shrinks_below_what_is_held_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Add("matching", Provider, "place_held", new { offerId = Guid.NewGuid(), needId = Guid.NewGuid() });
        logs.Add("matching", Provider, "responder_updated", new { profile = Profile("provider", 0) });
        IsBroken(logs, "capacity-is-never-exceeded", Provider.ToString());
    }

    // ---- one acceptance ----

    [Fact]
    public void two_accepted_offers_at_once_are_found()
    {
        var logs = TwoOffers();
        logs.OfferEvent("offer_accepted");
        logs.OfferEvent("offer_accepted", SecondOffer, Group);
        IsBroken(logs, "one-accepted-offer-a-need", Need.ToString());
    }

    [Fact]
    public void a_second_acceptance_after_the_first_has_ended_is_in_order()
    {
        var logs = TwoOffers();
        logs.OfferEvent("offer_accepted");
        logs.OfferEvent("offer_released");
        logs.Released();
        logs.OfferEvent("offer_accepted", SecondOffer, Group);
        Assert.True(logs.Check()["one-accepted-offer-a-need"].Holds);
    }

    static Logs TwoOffers()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider").Listed(Group, "group");
        logs.Submitted();
        logs.Received();
        logs.Offered();
        logs.Offered(SecondOffer, Group, kind: "group");
        return logs;
    }

    // ---- every 2xx ----

    [Fact]
    public void a_submission_that_was_answered_and_is_not_in_the_log_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(Call.Submit, Guid.NewGuid(), [], "lost-call", Start));
        IsBroken(logs, "every-accepted-request-is-in-the-log-once", "lost-call");
    }

    [Fact]
    public void a_submission_that_is_in_the_log_twice_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Add("requests", Request, "request_submitted", new { requestId = Request, externalId = "call-1", content = Content() });
        IsBroken(logs, "every-accepted-request-is-in-the-log-once", "2 times");
    }

    [Fact]
    public void an_answer_that_names_another_need_than_the_log_is_found()
    {
        var logs = OfAFulfilledNeed();
        var foreign = Guid.NewGuid();
        logs.Accepted.Add(new AcceptedCall(Call.Submit, Request, [foreign], "call-1b", Start));
        IsBroken(logs, "every-accepted-request-is-in-the-log-once", foreign.ToString());
    }

    [Fact]
    public void a_submission_that_was_retried_and_answered_twice_is_one_promise()
    {
        var logs = OfAFulfilledNeed();
        var looked = logs.Check()["every-accepted-request-is-in-the-log-once"].Checked;
        logs.Accepted.Add(logs.Accepted.First(call => call.Call == Call.Submit) with { At = Start.AddSeconds(3) });
        Assert.Equal(looked, logs.Check()["every-accepted-request-is-in-the-log-once"].Checked);
        AllHold(logs);
    }

    [Theory]
    [InlineData(Call.Confirm), InlineData(Call.Cancel), InlineData(Call.Dispute), InlineData(Call.Concern), InlineData(Call.CompleteIntake)]
    public void a_word_of_a_caller_that_is_not_in_the_log_is_found(Call call)
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(call, Request, [Need], "", Start));
        IsBroken(logs, "every-accepted-request-is-in-the-log-once", Request.ToString());
    }

    [Theory]
    [InlineData(Call.RegisterGroup), InlineData(Call.PublishClosure), InlineData(Call.PublishReopening), InlineData(Call.ImposeMeasure), InlineData(Call.LiftMeasure)]
    public void a_word_about_a_responder_or_measure_that_is_not_in_the_log_is_found(Call call)
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(call, Measure, [], "", Start));
        IsBroken(logs, "every-accepted-request-is-in-the-log-once", Measure.ToString());
    }

    [Theory]
    [InlineData(Call.Decline), InlineData(Call.Release)]
    public void an_answer_of_a_coordinator_that_is_not_in_the_log_is_found(Call call)
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(call, Offer, [], "", Start));
        IsBroken(logs, "every-accepted-answer-is-in-the-log-once", Offer.ToString());
    }

    [Theory]
    [InlineData(Call.Accept, "offer_accepted"), InlineData(Call.Complete, "help_completed")]
    public void an_answer_that_is_in_the_log_twice_is_found(Call call, string type)
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(call, Offer, [], "", Start));
        logs.OfferEvent(type);
        IsBroken(logs, "every-accepted-answer-is-in-the-log-once", "2 times");
    }

    [Fact]
    public void an_answer_about_an_offer_that_nobody_made_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Accepted.Add(new AcceptedCall(Call.Accept, SecondOffer, [], "", Start));
        IsBroken(logs, "every-accepted-answer-is-in-the-log-once", SecondOffer.ToString());
    }

    [Fact]
    public void a_start_that_crossed_the_completion_is_answered_and_not_stored()
    {
        var logs = OfAFulfilledNeed();
        logs.Rows.RemoveAll(row => row.Type == "help_started");
        logs.Accepted.Add(new AcceptedCall(Call.Start, Offer, [], "", Start));
        Assert.True(logs.Check()["every-accepted-answer-is-in-the-log-once"].Holds);
    }

    // ---- every need is settled ----

    [Theory]
    [InlineData("open"), InlineData("offered"), InlineData("accepted"), InlineData("started"), InlineData("reopened")]
    public void a_need_that_is_left_on_its_way_is_found(string state)
    {
        var logs = OfAFulfilledNeed();
        logs.Recorded(state);
        IsBroken(logs, "every-need-is-final-or-waiting-with-a-reason", $"{Need} is left {state}");
    }

    [Theory]
    [InlineData("waiting"), InlineData("escalated")]
    public void a_need_that_waits_without_a_reason_is_found(string state)
    {
        var logs = OfAFulfilledNeed();
        logs.Recorded(state);
        IsBroken(logs, "every-need-is-final-or-waiting-with-a-reason", "does not say why");
    }

    [Fact]
    public void a_need_that_waits_with_a_reason_is_settled()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted();
        logs.Received();
        logs.Add("matching", Need, "need_waits", new { requestId = Request, reason = "full", remaining = 1 });
        logs.Recorded("waiting", "full");
        AllHold(logs);
    }

    [Fact]
    public void a_partial_intake_and_a_linked_repeat_are_settled_without_matching()
    {
        var logs = OfAFulfilledNeed();
        logs.Submitted(Guid.NewGuid(), Guid.NewGuid(), "call-2", partial: true);
        logs.Submitted(Guid.NewGuid(), Guid.NewGuid(), "call-3", duplicateOf: new { requestId = Request, needId = Need });
        AllHold(logs);
    }

    [Fact]
    public void a_completed_intake_must_reach_matching()
    {
        var logs = OfAFulfilledNeed();
        var (request, need) = (Guid.NewGuid(), Guid.NewGuid());
        logs.Submitted(request, need, "call-2", partial: true);
        logs.Add("requests", request, "intake_completed", new { content = Content(need) });
        IsBroken(logs, "requests-and-matching-agree", need.ToString());
        IsBroken(logs, "every-need-is-final-or-waiting-with-a-reason", need.ToString());
    }

    // ---- requests and matching ----

    [Fact]
    public void two_services_that_say_different_things_are_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Recorded("waiting", "full");
        IsBroken(logs, "requests-and-matching-agree", Need.ToString());
    }

    [Fact]
    public void a_match_for_a_need_that_nobody_asked_for_is_found()
    {
        var logs = OfAFulfilledNeed();
        var stray = Guid.NewGuid();
        logs.Add("matching", stray, "need_received", new { need = NeedFacts(stray) });
        IsBroken(logs, "requests-and-matching-agree", stray.ToString());
    }

    [Fact]
    public void a_cancelled_need_stays_cancelled_when_matching_echoes_late()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted();
        logs.Received();
        logs.Add("requests", Request, "need_cancelled", new { needId = Need, reasonCode = "mistake" });
        logs.Recorded("offered");
        logs.Add("matching", Need, "need_cancelled", new { requestId = Request, reason = "mistake" });
        AllHold(logs);
    }

    // ---- hard rules ----

    static Logs OfferTo(object? need = null, Action<Logs>? list = null, Action<Logs>? before = null, double? distance = null, long zonesVersion = 0)
    {
        var logs = new Logs().WithPolicy();
        if (list is null)
            logs.Listed(Provider, "provider");
        else
            list(logs);
        logs.Submitted();
        logs.Received(need);
        before?.Invoke(logs);
        logs.Offered(distance: distance, zonesVersion: zonesVersion);
        return logs;
    }

    [Fact]
    public void an_offer_that_follows_every_rule_is_in_order() => Assert.True(OfferTo().Check()["every-offer-satisfies-every-hard-rule"].Holds);

    [Fact]
    public void an_offer_for_a_kind_that_is_not_provided_is_found() =>
        IsBroken(OfferTo(list: logs => logs.Listed(Provider, "provider", kinds: ["meals", "specialised.counselling"])), "every-offer-satisfies-every-hard-rule", "does not provide specialised.medicine");

    [Fact]
    public void a_kind_is_not_covered_by_a_root_that_only_begins_alike() =>
        IsBroken(OfferTo(need: NeedFacts(kind: "meals.hot"), list: logs => logs.Listed(Provider, "provider", kinds: ["meal"])), "every-offer-satisfies-every-hard-rule", "does not provide meals.hot");

    [Fact]
    public void an_offer_for_a_mode_that_is_not_offered_is_found() =>
        IsBroken(OfferTo(list: logs => logs.Listed(Provider, "provider", modes: ["online"])), "every-offer-satisfies-every-hard-rule", "does not help offline");

    [Fact]
    public void an_offer_to_a_full_responder_is_found() => IsBroken(
        OfferTo(before: logs => logs.Add("matching", Provider, "place_held", new { offerId = Guid.NewGuid(), needId = Guid.NewGuid() })),
        "every-offer-satisfies-every-hard-rule", "no free place (1 of 1)");

    [Theory]
    [InlineData("responder_closed", "closed"), InlineData("responder_paused", "paused"), InlineData("responder_withdrawn", "withdrawn")]
    public void an_offer_to_a_responder_that_is_not_open_is_found(string type, string state) =>
        IsBroken(OfferTo(before: logs => logs.Add("matching", Provider, type, new { })), "every-offer-satisfies-every-hard-rule", $"it is {state}");

    [Fact]
    public void an_offer_to_one_who_cannot_communicate_is_found() =>
        IsBroken(OfferTo(need: NeedFacts(communication: ["text-only", "sign-language"])), "every-offer-satisfies-every-hard-rule", "cannot communicate by sign-language");

    [Fact]
    public void an_offer_beyond_the_radius_is_found() => IsBroken(
        OfferTo(list: logs => logs.Listed(Provider, "provider", radius: 99)), "every-offer-satisfies-every-hard-rule", "not served from any open site");

    [Fact]
    public void an_offer_outside_the_sub_districts_is_found() => IsBroken(
        OfferTo(list: logs => logs.Listed(Provider, "provider", subDistricts: ["K"])), "every-offer-satisfies-every-hard-rule", "not served from any open site");

    [Fact]
    public void an_online_offer_outside_the_sub_districts_is_found() => IsBroken(
        OfferTo(need: NeedFacts(mode: "online"), list: logs => logs.Listed(Provider, "provider", subDistricts: ["K"])), "every-offer-satisfies-every-hard-rule", "does not serve J");

    [Fact]
    public void an_offer_from_a_site_that_is_shut_is_found() => IsBroken(
        OfferTo(list: logs => logs.Listed(Provider, "provider", siteOpen: false)), "every-offer-satisfies-every-hard-rule", "not served from any open site");

    static void Seal(Logs logs) => logs.Add("matching", Zones, "zone_sealed", new
    {
        measureId = Measure,
        area = new[] { new { lat = 31.20, lon = 121.40 }, new { lat = 31.221, lon = 121.40 }, new { lat = 31.221, lon = 121.50 }, new { lat = 31.20, lon = 121.50 } },
    });

    [Fact]
    public void an_offer_across_a_sealed_edge_is_found() =>
        IsBroken(OfferTo(before: Seal, zonesVersion: 1), "every-offer-satisfies-every-hard-rule", "sealed zone");

    [Fact]
    public void an_offer_across_a_sealed_edge_with_a_permit_is_in_order() =>
        Assert.True(OfferTo(list: logs => logs.Listed(Provider, "provider", permit: true), before: Seal, zonesVersion: 1).Check()["every-offer-satisfies-every-hard-rule"].Holds);

    [Fact]
    public void an_online_offer_crosses_a_sealed_edge() =>
        Assert.True(OfferTo(need: NeedFacts(mode: "online"), before: Seal, zonesVersion: 1).Check()["every-offer-satisfies-every-hard-rule"].Holds);

    [Fact]
    public void the_zones_are_those_of_the_version_that_the_offer_names()
    {
        Assert.True(OfferTo(before: Seal, zonesVersion: 0).Check()["every-offer-satisfies-every-hard-rule"].Holds);
        void SealAndLift(Logs logs)
        {
            Seal(logs);
            logs.Add("matching", Zones, "zone_lifted", new { measureId = Measure });
        }
        Assert.True(OfferTo(before: SealAndLift, zonesVersion: 2).Check()["every-offer-satisfies-every-hard-rule"].Holds);
        IsBroken(OfferTo(before: SealAndLift, zonesVersion: 1), "every-offer-satisfies-every-hard-rule", "sealed zone");
    }

    [Fact]
    public void an_offer_to_one_whom_the_person_excluded_is_found() =>
        IsBroken(OfferTo(need: NeedFacts(excluded: [Provider])), "every-offer-satisfies-every-hard-rule", "excluded for this need or person");

    [Theory]
    [InlineData("offer_declined", null, true), InlineData("offer_released", null, true), InlineData("offer_disputed", null, true), InlineData("offer_revoked", "by-operator", true)]
    [InlineData("offer_revoked", "provider-closed", false), InlineData("offer_expired", null, false), InlineData("offer_undeliverable", null, false)]
    public void a_second_offer_to_the_same_responder_depends_on_how_the_first_ended(string ending, string? reason, bool excluded)
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted();
        logs.Received();
        logs.Offered();
        if (ending is "offer_released" or "offer_disputed")
            logs.OfferEvent("offer_accepted");
        logs.OfferEvent(ending, reason: reason);
        logs.Released();
        logs.Offered(SecondOffer);
        Assert.Equal(!excluded, logs.Check()["every-offer-satisfies-every-hard-rule"].Holds);
    }

    [Fact]
    public void a_second_offer_while_the_first_is_open_is_found()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider", capacity: 2);
        logs.Submitted();
        logs.Received();
        logs.Offered();
        logs.Offered(SecondOffer);
        IsBroken(logs, "every-offer-satisfies-every-hard-rule", "has not answered");
    }

    [Fact]
    public void an_offer_before_the_need_is_known_is_found()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Offered();
        IsBroken(logs, "every-offer-satisfies-every-hard-rule", "before the need is known");
    }

    // ---- explanations ----

    [Fact]
    public void an_offer_without_an_explanation_is_found()
    {
        var logs = OfferTo();
        var made = logs.Rows.Single(row => row.Type == "offer_made");
        logs.Replace(made, new { offerId = Offer, requestId = Request, responderId = Provider });
        IsBroken(logs, "every-offer-is-explained", "has no explanation");
    }

    [Fact]
    public void an_explanation_with_a_wrong_distance_is_found() => IsBroken(OfferTo(distance: 250), "every-offer-is-explained", "250.0 m; it is 100.1 m");

    [Fact]
    public void an_explanation_that_names_versions_that_are_not_there_is_found()
    {
        IsBroken(OfferTo(zonesVersion: 3), "every-offer-is-explained", "version 3 of the zones");
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted();
        logs.Received();
        logs.Offered(ledgerVersion: 9);
        IsBroken(logs, "every-offer-is-explained", "version 9 of the ledger");
        var later = new Logs().WithPolicy().Listed(Provider, "provider");
        later.Submitted();
        later.Received();
        later.Offered(policyVersion: 2);
        IsBroken(later, "every-offer-is-explained", "version 2 of the policy");
    }

    [Fact]
    public void an_explanation_that_leaves_somebody_out_without_a_reason_is_found()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider");
        logs.Submitted();
        logs.Received();
        logs.Offered(explanation: new { policyVersion = 1, zonesVersion = 0, distanceMetres = 100.08, ledgerVersion = 1, firstBecause = "nearest", leftOut = new[] { new { responderId = Group, reason = "" } } });
        IsBroken(logs, "every-offer-is-explained", "who was left out and why");
    }

    // ---- answers belong to offers ----

    [Theory]
    [InlineData("offer_accepted"), InlineData("offer_declined"), InlineData("help_started"), InlineData("help_completed"), InlineData("offer_sent")]
    public void an_answer_to_an_offer_that_was_not_made_is_found(string type)
    {
        var logs = OfAFulfilledNeed();
        logs.OfferEvent(type, SecondOffer);
        IsBroken(logs, "every-answer-belongs-to-an-offer", SecondOffer.ToString());
    }

    [Fact]
    public void an_answer_in_another_match_than_the_offers_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.OfferEvent("offer_declined", need: Guid.NewGuid());
        IsBroken(logs, "every-answer-belongs-to-an-offer", "not made in this match");
    }

    [Fact]
    public void an_answer_by_another_responder_is_found()
    {
        var logs = OfferTo();
        logs.OfferEvent("offer_accepted", responder: Group);
        IsBroken(logs, "every-answer-belongs-to-an-offer", Group.ToString());
    }

    [Theory]
    [InlineData("offer_accepted"), InlineData("offer_declined"), InlineData("offer_expired"), InlineData("help_started"), InlineData("offer_released")]
    public void an_answer_to_an_offer_that_is_done_is_found(string type)
    {
        var logs = OfAFulfilledNeed();
        logs.OfferEvent(type);
        IsBroken(logs, "every-answer-belongs-to-an-offer", "which is done");
    }

    // ---- places and offers ----

    [Fact]
    public void an_offer_that_holds_no_place_is_found()
    {
        var logs = OfferTo(before: _ => { });
        logs.Rows.RemoveAll(row => row.Type == "place_held");
        IsBroken(logs, "places-and-offers-agree", "holds no place");
    }

    [Fact]
    public void a_place_that_was_held_at_another_version_than_decided_is_found()
    {
        var logs = new Logs().WithPolicy().Listed(Provider, "provider", capacity: 3);
        logs.Submitted();
        logs.Received();
        logs.Offered(holds: false);
        logs.Add("matching", Provider, "responder_updated", new { profile = Profile("provider", 3) });
        logs.Add("matching", Provider, "place_held", new { offerId = Offer, needId = Need });
        IsBroken(logs, "places-and-offers-agree", "held at version 3, but the offer was decided on version 1");
    }

    [Fact]
    public void a_place_for_an_offer_that_was_never_made_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Add("matching", Provider, "place_held", new { offerId = SecondOffer, needId = Need });
        IsBroken(logs, "places-and-offers-agree", "never made");
    }

    [Fact]
    public void a_place_that_stays_held_after_the_offer_ended_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Rows.RemoveAll(row => row.Type == "place_released");
        IsBroken(logs, "places-and-offers-agree", "which has ended");
    }

    [Fact]
    public void a_place_that_is_freed_while_the_offer_goes_on_is_found()
    {
        var logs = OfferTo();
        logs.Released();
        IsBroken(logs, "places-and-offers-agree", "while the offer goes on");
    }

    [Fact]
    public void a_place_that_is_freed_twice_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Released();
        IsBroken(logs, "places-and-offers-agree", "does not hold");
    }

    // ---- closures ----

    [Fact]
    public void a_closed_provider_that_still_holds_something_at_the_end_is_found()
    {
        var logs = OfferTo();
        logs.Add("matching", Provider, "responder_closed", new { });
        IsBroken(logs, "closed-providers-hold-nothing", $"{Provider}: closed since version 3 and still holds 1");
    }

    [Fact]
    public void a_closed_provider_that_takes_something_new_is_found()
    {
        var logs = OfAFulfilledNeed();
        logs.Add("matching", Provider, "responder_closed", new { });
        logs.Add("matching", Provider, "place_held", new { offerId = SecondOffer, needId = Need });
        IsBroken(logs, "closed-providers-hold-nothing", "while it is closed");
    }

    [Fact]
    public void a_provider_that_reopens_with_something_in_hand_is_found()
    {
        var logs = OfferTo();
        logs.Add("matching", Provider, "responder_closed", new { });
        logs.Add("matching", Provider, "responder_reopened", new { });
        IsBroken(logs, "closed-providers-hold-nothing", "when the closure of version 3 ends");
    }

    [Fact]
    public void a_provider_that_gave_everything_back_may_reopen()
    {
        var logs = OfferTo();
        logs.Add("matching", Provider, "responder_closed", new { });
        logs.OfferEvent("offer_revoked", reason: "provider-closed");
        logs.Released();
        logs.Add("matching", Provider, "responder_reopened", new { });
        Assert.True(logs.Check()["closed-providers-hold-nothing"].Holds);
    }

    // ---- notifications ----

    [Fact]
    public void a_notification_without_a_cause_in_any_log_is_found()
    {
        var logs = OfAFulfilledNeed();
        var stray = Guid.NewGuid();
        logs.Notified(stray);
        IsBroken(logs, "every-notification-has-one-cause", stray.ToString());
    }

    [Fact]
    public void a_cause_that_tells_the_same_audience_twice_is_found()
    {
        var logs = OfAFulfilledNeed();
        var cause = logs.Rows.Single(row => row.Type == "offer_made").EventId;
        logs.Notified(cause);
        IsBroken(logs, "every-notification-has-one-cause", cause.ToString());
    }

    [Fact]
    public void a_notification_with_two_causes_is_found()
    {
        var logs = OfAFulfilledNeed();
        var stream = logs.Rows.First(row => row.Service == "notifications").Stream;
        logs.Notified(logs.Rows.Single(row => row.Type == "help_completed").EventId, stream: stream);
        IsBroken(logs, "every-notification-has-one-cause", $"{stream}: has 2 causes");
    }

    [Fact]
    public void a_notification_stream_that_begins_with_an_attempt_is_found()
    {
        var logs = OfAFulfilledNeed();
        var stream = Guid.NewGuid();
        logs.Add("notifications", stream, "attempt_succeeded", new { });
        IsBroken(logs, "every-notification-has-one-cause", $"{stream}: has 0 causes");
    }

    [Fact]
    public void a_subscription_is_no_notification()
    {
        var logs = OfAFulfilledNeed();
        var before = logs.Check()["every-notification-has-one-cause"].Checked;
        var stream = Guid.CreateVersion7();
        foreach (var type in Huzhu.ServiceDefaults.EventStore.EventsOf<Huzhu.Notifications.Domain.SubscriptionEvent>().Select(Huzhu.ServiceDefaults.EventStore.NameOf))
            logs.Add("notifications", stream, type, new { });
        AllHold(logs);
        Assert.Equal(before, logs.Check()["every-notification-has-one-cause"].Checked);
    }

    [Fact]
    public void the_second_message_of_an_event_is_a_cause_too()
    {
        var logs = OfAFulfilledNeed();
        logs.Notified(Huzhu.ServiceDefaults.DeterministicId.Of(logs.Rows.Single(row => row.Type == "help_completed").EventId, "1"));
        AllHold(logs);
    }
}
