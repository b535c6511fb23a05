using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Xunit;
using Decider = Huzhu.Requests.Domain.Request;

namespace Huzhu.Tests.Unit.Requests;

/// <summary>Every decision in every state: the names of the events that follow, <c>nothing</c>, or the code of the refusal.</summary>
public class RequestTests
{
    private static readonly string[] Commands = ["cancel", "confirm", "dispute", "reopen", "concern", "record", "complete", "repeat"];

    private static readonly Dictionary<string, string[]> Table = new()
    {
        //                       cancel               confirm          dispute          reopen             concern          record                 complete              repeat
        ["missing"] = ["request-not-found", "request-not-found", "request-not-found", "request-not-found", "request-not-found", "request-not-found", "request-not-found", "need-not-found"],
        ["partial"] = ["partial", "partial", "partial", "partial", "partial", "not-with-matching", "IntakeCompleted", "not-under-way"],
        ["abandoned"] = ["nothing", "not-fulfilled", "not-fulfilled", "cancelled", "cancelled", "not-with-matching", "cancelled", "not-under-way"],
        ["open"] = ["NeedCancelled", "not-fulfilled", "not-fulfilled", "still-under-way", "ConcernRaised", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["waiting"] = ["NeedCancelled", "not-fulfilled", "not-fulfilled", "still-under-way", "ConcernRaised", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["offered"] = ["NeedCancelled", "not-fulfilled", "not-fulfilled", "still-under-way", "ConcernRaised", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["accepted"] = ["NeedCancelled", "not-fulfilled", "not-fulfilled", "still-under-way", "ConcernRaised", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["fulfilled"] = ["already-fulfilled", "NeedConfirmed", "NeedDisputed", "NeedReopened", "ConcernRaised", "NeedStateRecorded", "already-complete", "not-under-way"],
        ["fulfilled-long-ago"] = ["already-fulfilled", "NeedConfirmed", "too-late", "NeedReopened", "ConcernRaised", "NeedStateRecorded", "already-complete", "not-under-way"],
        ["closed"] = ["already-fulfilled", "nothing", "NeedDisputed", "NeedReopened", "ConcernRaised", "NeedStateRecorded", "already-complete", "not-under-way"],
        ["cancelled"] = ["nothing", "not-fulfilled", "not-fulfilled", "NeedReopened", "ConcernRaised", "NeedStateRecorded", "already-complete", "not-under-way"],
        ["reopened"] = ["NeedCancelled", "not-fulfilled", "nothing", "nothing", "ConcernRaised", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["on-hold"] = ["NeedCancelled", "not-fulfilled", "not-fulfilled", "on-hold", "nothing", "NeedStateRecorded", "already-complete", "RepeatCallLinked NeedUrgencyRaised"],
        ["repeat"] = ["NeedCancelled", "duplicate-of", "duplicate-of", "nothing", "duplicate-of", "not-with-matching", "already-complete", "not-under-way"],
        ["cancelled-repeat"] = ["nothing", "not-fulfilled", "not-fulfilled", "NeedReopened", "duplicate-of", "not-with-matching", "already-complete", "not-under-way"],
    };

    public static IEnumerable<TheoryDataRow<string, string, string>> Cells =>
        Table.SelectMany(row => Commands.Zip(row.Value, (command, outcome) => new TheoryDataRow<string, string, string>(row.Key, command, outcome)));

    [Theory, MemberData(nameof(Cells))]
    public void every_command_in_every_state_is_decided(string state, string command, string outcome)
    {
        var given = Given.State(state);
        Assert.Equal(outcome, Say(command switch
        {
            "cancel" => Decider.DecideCancellation(given, Given.Need, Given.Said),
            "confirm" => Decider.DecideConfirmation(given, Given.Need, "local-intake", Given.Said.At),
            "dispute" => Decider.DecideDispute(given, Given.Need, [], Given.Said),
            "reopen" => Decider.DecideReopening(given, Given.Need, [], Given.Said),
            "concern" => Decider.DecideConcern(given, Given.Need, Given.Helper, Given.Said),
            "record" => Decider.DecideRecording(given, Given.Told(9, NeedState.Started)),
            "complete" => Decider.DecideCompletion(given, Given.Content(), changesNothing: false, "local-intake", Given.Said.At),
            "repeat" => Decider.DecideRepeat(given, Given.Need, Given.Repeat, Urgency.Health, Given.Said.At),
            _ => throw new ArgumentException(command),
        }));
    }

    [Theory]
    [InlineData("missing", "request-not-found")]
    [InlineData("partial", "partial")]
    [InlineData("abandoned", "cancelled")]
    [InlineData("accepted", "not-on-hold")]
    [InlineData("closed", "not-on-hold")]
    [InlineData("on-hold", "NeedReopened")]
    [InlineData("reopened", "nothing")]
    public void a_hold_is_released_only_where_there_is_one(string state, string outcome)
    {
        var decision = Decider.DecideReleasingHold(Given.State(state), Given.Need, [Given.Helper], Given.Said);
        Assert.Equal(outcome, Say(decision));
        if (decision.Events is [NeedReopened reopened])
        {
            Assert.Equal((Decider.HoldReleased, Given.Words), (reopened.ReasonCode, reopened.Reason));
            Assert.Equal(NeedState.Reopened, Decider.Evolve(Given.State(state), reopened).Needs[0].State);
        }
    }

    [Theory]
    [InlineData("missing", "request-not-found", "request-not-found", "request-not-found")]
    [InlineData("partial", "UpdateReceived", "UpdateReceived IntakeAbandoned", "UpdateReceived")]
    [InlineData("abandoned", "UpdateReceived", "UpdateReceived", "UpdateReceived")]
    [InlineData("open", "UpdateReceived", "UpdateReceived NeedCancelled", "UpdateReceived")]
    [InlineData("accepted", "UpdateReceived", "UpdateReceived NeedCancelled", "UpdateReceived")]
    [InlineData("fulfilled", "UpdateReceived", "UpdateReceived NeedConfirmed", "UpdateReceived NeedDisputed")]
    [InlineData("fulfilled-long-ago", "UpdateReceived", "UpdateReceived NeedConfirmed", "UpdateReceived NeedReopened")]
    [InlineData("closed", "UpdateReceived", "UpdateReceived", "UpdateReceived NeedReopened")]
    [InlineData("cancelled", "UpdateReceived", "UpdateReceived", "UpdateReceived NeedReopened")]
    [InlineData("reopened", "UpdateReceived", "UpdateReceived NeedCancelled", "UpdateReceived")]
    [InlineData("on-hold", "UpdateReceived", "UpdateReceived NeedCancelled", "UpdateReceived")]
    [InlineData("repeat", "UpdateReceived", "UpdateReceived NeedCancelled", "UpdateReceived")]
    [InlineData("cancelled-repeat", "UpdateReceived", "UpdateReceived", "UpdateReceived NeedReopened")]
    public void an_update_is_kept_and_what_it_asks_for_is_done_where_it_can_be(string state, string words, string unwanted, string wanted)
    {
        var given = Given.State(state);
        Assert.Equal([words, unwanted, wanted], new Wish?[] { null, Wish.NoLongerWanted, Wish.StillWanted }.Select(wish => Say(Decider.DecideUpdate(given, "desk/1", wish, [], Given.Said))));
    }

    [Fact]
    public void an_update_that_was_received_does_nothing_again_and_there_is_an_end_to_them()
    {
        var state = Given.State("open");
        for (var number = 0; number < Decider.MaxUpdates; number++)
            state = Decider.DecideUpdate(state, $"desk/{number}", null, [], Given.Said).Events.Aggregate(state, Decider.Evolve);
        Assert.Equal("nothing", Say(Decider.DecideUpdate(state, "desk/0", Wish.NoLongerWanted, [], Given.Said)));
        Assert.Equal("too-many-updates", Say(Decider.DecideUpdate(state, "desk/another", null, [], Given.Said)));
    }

    [Theory]
    [InlineData("missing", false, "RequestSubmitted")]
    [InlineData("open", true, "nothing")]
    [InlineData("open", false, "external-id-taken")]
    [InlineData("cancelled", true, "nothing")]
    [InlineData("partial", false, "external-id-taken")]
    public void a_submission_is_taken_once(string state, bool isSame, string outcome) =>
        Assert.Equal(outcome, Say(Decider.DecideSubmission(Given.State(state), Given.Submitted(), isSame)));

    [Theory]
    [InlineData("partial", true, "nothing")]
    [InlineData("open", true, "nothing")]
    [InlineData("abandoned", true, "cancelled")]
    public void a_completion_that_changes_nothing_is_no_conflict(string state, bool changesNothing, string outcome) =>
        Assert.Equal(outcome, Say(Decider.DecideCompletion(Given.State(state), Given.Content(), changesNothing, "local-intake", Given.Now)));

    [Fact]
    public void a_completion_with_parts_still_missing_extends_the_intake()
    {
        var content = Given.Content() with { Consent = null };
        Assert.Equal(["consent"], content.Missing);
        Assert.Equal("IntakeExtended", Say(Decider.DecideCompletion(Given.State("partial"), content, false, "local-intake", Given.Now)));
    }

    [Fact]
    public void a_partial_intake_is_cancelled_as_a_whole() =>
        Assert.Equal("IntakeAbandoned", Say(Decider.DecideCancellation(Given.State("partial"), null, Given.Said)));

    [Theory]
    [InlineData(4, "nothing")]
    [InlineData(5, "nothing")]
    [InlineData(6, "NeedStateRecorded")]
    public void only_what_is_newer_is_recorded(long version, string outcome) =>
        Assert.Equal(outcome, Say(Decider.DecideRecording(Given.State("fulfilled"), Given.Told(version, NeedState.Started))));

    [Fact]
    public void what_is_said_of_a_need_of_another_request_is_refused() =>
        Assert.Equal("need-not-found", Say(Decider.DecideRecording(Given.State("open"), Given.Told(1, NeedState.Open) with { NeedId = Given.Older.NeedId })));

    [Theory]
    // What was recorded, what Matching says then, what is shown.
    [InlineData("offered", NeedState.Waiting, NeedState.Waiting)]
    [InlineData("accepted", NeedState.Cancelled, NeedState.Accepted)]
    [InlineData("cancelled", NeedState.Offered, NeedState.Cancelled)]
    [InlineData("cancelled", NeedState.Cancelled, NeedState.Cancelled)]
    [InlineData("cancelled", NeedState.Fulfilled, NeedState.Fulfilled)]
    [InlineData("closed", NeedState.Closed, NeedState.Closed)]
    [InlineData("closed", NeedState.Started, NeedState.Closed)]
    [InlineData("reopened", NeedState.Cancelled, NeedState.Reopened)]
    [InlineData("reopened", NeedState.Open, NeedState.Open)]
    [InlineData("on-hold", NeedState.Started, NeedState.OnHold)]
    [InlineData("on-hold", NeedState.OnHold, NeedState.OnHold)]
    [InlineData("on-hold", NeedState.Fulfilled, NeedState.Fulfilled)]
    public void what_crossed_on_the_way_does_not_undo_what_people_said(string state, NeedState said, NeedState shown)
    {
        var need = Decider.Evolve(Given.State(state), Given.Told(9, said)).Needs[0];
        Assert.Equal((shown, 9), (need.State, need.MatchVersion));
    }

    /// <summary>The concern reached Matching after the help and before the cancellation; its hold is not the last word.</summary>
    [Fact]
    public void a_cancellation_that_help_and_an_older_concern_crossed_ends_the_need_once_matching_has_heard_of_it()
    {
        RequestEvent[] said = [Given.Submitted(), Given.Told(3, NeedState.Accepted, Given.Helper), Given.Concern, Given.Cancelled];
        var crossed = Decider.Fold([.. said, Given.Told(5, NeedState.Fulfilled, Given.Helper), Given.Told(6, NeedState.OnHold)]);
        Assert.Equal(NeedState.OnHold, crossed.Needs[0].State);
        Assert.Equal(NeedState.Cancelled, Decider.Evolve(crossed, Given.Told(7, NeedState.Cancelled)).Needs[0].State);

        // Wanted again, it goes on, whatever Matching says of the cancellation of before.
        var again = Decider.Fold([.. said, Given.Reopened, Given.Told(7, NeedState.Cancelled)]);
        Assert.Equal(NeedState.Reopened, again.Needs[0].State);
        // And a concern raised after the cancellation is a hold that humans end.
        var held = Decider.Fold([.. said, Given.Told(5, NeedState.Fulfilled, Given.Helper), Given.Concern, Given.Told(6, NeedState.OnHold), Given.Told(7, NeedState.Cancelled)]);
        Assert.Equal(NeedState.OnHold, held.Needs[0].State);
    }

    [Fact]
    public void a_hold_ends_when_matching_that_knows_of_it_says_so()
    {
        var known = Decider.Evolve(Given.State("on-hold"), Given.Told(9, NeedState.OnHold));
        Assert.Equal(NeedState.Escalated, Decider.Evolve(known, Given.Told(10, NeedState.Escalated)).Needs[0].State);
    }

    [Fact]
    public void a_concern_holds_who_held_the_need_away_from_the_person()
    {
        var state = Given.State("accepted");
        var decision = Decider.DecideConcern(state, null, responder: null, Given.Said);
        Assert.Equal(Given.Helper, Assert.IsType<ConcernRaised>(Assert.Single(decision.Events)).ResponderId);
        var held = Decider.Evolve(state, decision.Events[0]);
        Assert.Equal((NeedState.OnHold, RequestStatus.OnHold), (held.Needs[0].State, held.Status));
        Assert.Equal([Given.Helper], held.Concerned);
        Assert.Equal("nothing", Say(Decider.DecideConcern(held, null, null, Given.Said)));
        Assert.Equal("ConcernRaised", Say(Decider.DecideConcern(held, null, Given.Stranger, Given.Said)));
    }

    [Fact]
    public void a_concern_after_the_end_leaves_the_need_ended()
    {
        var state = Decider.Evolve(Given.State("closed"), Given.Concern);
        Assert.Equal(NeedState.Closed, state.Needs[0].State);
        Assert.Equal([Given.Helper], state.Concerned);
        Assert.Equal("nothing", Say(Decider.DecideConcern(state, null, Given.Helper, Given.Said)));
    }

    [Fact]
    public void urgency_never_falls()
    {
        var raised = Decider.Evolve(Given.State("open"), new NeedUrgencyRaised(Given.Need, Urgency.LifeThreatening, Given.Now));
        Assert.Equal("RepeatCallLinked", Say(Decider.DecideRepeat(raised, Given.Need, Given.Repeat, Urgency.Health, Given.Now)));
        Assert.Equal("RepeatCallLinked", Say(Decider.DecideRepeat(raised, Given.Need, Given.Repeat, Urgency.LifeThreatening, Given.Now)));
    }

    [Fact]
    public void without_a_need_named_all_are_meant()
    {
        var second = new NeedId(new Guid("22222222-0000-0000-0000-000000000002"));
        var state = Decider.Fold([Given.Submitted(Given.Content(needs:
        [
            new AskedNeed(Given.Need, ServiceKinds.Meals, DeliveryMode.Offline, 1, null), new AskedNeed(second, ServiceKinds.Medicine, DeliveryMode.Offline, 1, null),
        ])), Given.Told(5, NeedState.Fulfilled, Given.Helper)]);
        Assert.Equal(RequestStatus.InProgress, state.Status);
        Assert.Equal(second, Assert.IsType<NeedCancelled>(Assert.Single(Decider.DecideCancellation(state, null, Given.Said).Events)).NeedId);
        Assert.Equal(Given.Need, Assert.IsType<NeedConfirmed>(Assert.Single(Decider.DecideConfirmation(state, null, "me", Given.Now).Events)).NeedId);
        Assert.Equal("need-not-found", Say(Decider.DecideCancellation(state, Given.Older.NeedId, Given.Said)));
        // A concern without a need is about what goes on.
        Assert.Equal(second, Assert.IsType<ConcernRaised>(Assert.Single(Decider.DecideConcern(state, null, Given.Helper, Given.Said).Events)).NeedId);
    }

    [Theory]
    [InlineData(RequestStatus.Partial, true, NeedState.Partial)]
    [InlineData(RequestStatus.Partial, true)]
    [InlineData(RequestStatus.Open, false, NeedState.Open)]
    [InlineData(RequestStatus.Open, false, NeedState.Waiting, NeedState.Escalated)]
    [InlineData(RequestStatus.Open, false, NeedState.Open, NeedState.Cancelled)]
    [InlineData(RequestStatus.Open, false, NeedState.Open, NeedState.DuplicateOf)]
    [InlineData(RequestStatus.InProgress, false, NeedState.Open, NeedState.Accepted)]
    [InlineData(RequestStatus.InProgress, false, NeedState.Reopened, NeedState.Fulfilled)]
    [InlineData(RequestStatus.InProgress, false, NeedState.DuplicateOf, NeedState.Closed)]
    [InlineData(RequestStatus.OnHold, false, NeedState.OnHold, NeedState.Fulfilled)]
    [InlineData(RequestStatus.DuplicateOf, false, NeedState.DuplicateOf, NeedState.Cancelled)]
    [InlineData(RequestStatus.Fulfilled, false, NeedState.Fulfilled, NeedState.Closed, NeedState.Cancelled)]
    [InlineData(RequestStatus.Closed, false, NeedState.Closed, NeedState.Cancelled)]
    [InlineData(RequestStatus.Cancelled, false, NeedState.Cancelled)]
    public void the_status_of_a_request_follows_from_its_needs(RequestStatus expected, bool isPartial, params NeedState[] needs) =>
        Assert.Equal(expected, RequestState.StatusOf(isPartial, needs));

    [Fact]
    public void an_unknown_event_is_an_error() =>
        Assert.Throws<InvalidOperationException>(() => Decider.Evolve(Given.State("open"), new FromTheFuture(Given.Now)));

    private sealed record FromTheFuture(DateTimeOffset At) : RequestEvent(At);

    private static string Say(Decision<RequestEvent> decision) => decision switch
    {
        { Refusal: { } refusal } => refusal.Code,
        { Events.Count: 0 } => "nothing",
        _ => string.Join(' ', decision.Events.Select(happened => happened.GetType().Name)),
    };
}
