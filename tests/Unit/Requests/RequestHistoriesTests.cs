using CsCheck;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Xunit;
using Decider = Huzhu.Requests.Domain.Request;

namespace Huzhu.Tests.Unit.Requests;

/// <summary>What holds after any history of commands and messages.</summary>
public class RequestHistoriesTests
{
    private sealed record Step(string Command, int Argument);

    private static readonly NeedState[] Told =
        [NeedState.Open, NeedState.Offered, NeedState.Accepted, NeedState.Started, NeedState.Fulfilled, NeedState.Waiting, NeedState.Escalated, NeedState.OnHold, NeedState.Cancelled, NeedState.Closed];

    private static readonly Gen<Step> AnyStep = Gen.Select(
        Gen.OneOf("cancel", "confirm", "dispute", "reopen", "concern", "record", "complete", "repeat"), Gen.Int[0, 39]).Select((command, argument) => new Step(command, argument));

    private static readonly Gen<List<Step>> AnyHistory = AnyStep.List[0, 40];

    private static Decision<RequestEvent> Decide(RequestState state, Step step, DateTimeOffset at)
    {
        var said = Given.Said with { At = at };
        var responder = step.Argument % 2 == 0 ? Given.Helper : Given.Stranger;
        NeedId? need = step.Argument % 3 == 0 ? null : Given.Need;
        return step.Command switch
        {
            "cancel" => Decider.DecideCancellation(state, need, said),
            "confirm" => Decider.DecideConfirmation(state, need, "me", at),
            "dispute" => Decider.DecideDispute(state, need, [], said),
            "reopen" => Decider.DecideReopening(state, need, [], said),
            "concern" => Decider.DecideConcern(state, need, responder, said),
            "record" => Decider.DecideRecording(state, Given.Told(step.Argument / 2, Told[step.Argument % Told.Length], responder, at)),
            "complete" => Decider.DecideCompletion(state, Given.Content(), state is { IsPartial: false }, "me", at),
            _ => Decider.DecideRepeat(state, Given.Need, Given.Repeat, (Urgency)(step.Argument % 4), at),
        };
    }

    private static List<(RequestState Before, Step Step, Decision<RequestEvent> Decision, RequestState After)> Run(IEnumerable<Step> history, bool partial)
    {
        var state = Decider.Fold([Given.Submitted(Given.Content(partial: partial))]);
        var run = new List<(RequestState, Step, Decision<RequestEvent>, RequestState)>();
        foreach (var (index, step) in history.Index())
        {
            var decision = Decide(state, step, Given.Now.AddMinutes(index + 1));
            var after = decision.Events.Aggregate(state, Decider.Evolve);
            run.Add((state, step, decision, after));
            state = after;
        }
        return run;
    }

    [Fact]
    public void every_event_counts_once_and_a_refusal_changes_nothing() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        foreach (var (before, _, decision, after) in Run(history, partial))
        {
            Assert.Equal(before.Version + decision.Events.Count, after.Version);
            Assert.True(decision.Refusal is null || decision.Events.Count == 0);
            if (decision.Events.Count == 0)
                Assert.Equal(before, after);
        }
    });

    [Fact]
    public void a_command_repeated_at_once_adds_nothing_but_a_repeat_call() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        foreach (var (_, step, decision, after) in Run(history, partial).Where(entry => entry.Step.Command != "repeat" && entry.Decision.Refusal is null))
        {
            // A concern about a fulfilled need holds it; one about nobody in particular, on a need that has ended, is heard each time.
            if (step.Command == "dispute" && after.Needs[0].State is NeedState.Fulfilled)
                continue;
            var again = Decide(after, step, Given.Now.AddDays(1));
            Assert.Empty(again.Events);
        }
    });

    [Fact]
    public void urgency_never_falls_the_clock_never_restarts_and_what_was_said_is_in_order() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        foreach (var (before, _, _, after) in Run(history, partial))
        {
            Assert.True(after.SaidAt >= before.SaidAt);
            Assert.Equal(Given.Now, after.SubmittedAt);
            Assert.All(before.Needs.Zip(after.Needs), pair =>
            {
                Assert.True(pair.Second.Urgency >= pair.First.Urgency);
                Assert.True(pair.Second.MatchVersion >= pair.First.MatchVersion);
            });
        }
    });

    [Fact]
    public void whoever_a_concern_named_stays_away_for_good() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        foreach (var (before, _, _, after) in Run(history, partial))
        {
            Assert.Superset(before.Concerned.ToHashSet(), after.Concerned.ToHashSet());
            Assert.Subset(after.Excluded.ToHashSet(), after.Concerned.ToHashSet());
        }
    });

    [Fact]
    public void only_people_cancel_close_and_reopen() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        foreach (var (before, step, _, after) in Run(history, partial).Where(entry => entry.Step.Command == "record"))
            foreach (var (was, now) in before.Needs.Zip(after.Needs).Where(pair => pair.First.State != pair.Second.State))
            {
                // Where a cancellation was the last that people said, help that crossed it does not undo it once Matching has heard of it.
                Assert.True(now.State is not NeedState.Closed && (now.State is not NeedState.Cancelled || was.CancelledLast), $"{step} made {now.State} of {was.State}");
                Assert.True(was.State != NeedState.Closed && (was.State != NeedState.Cancelled || now.State == NeedState.Fulfilled), $"{step} made {now.State} of {was.State}");
            }
    });

    [Fact]
    public void messages_that_are_shuffled_and_repeated_end_where_the_newest_says() =>
        Gen.Select(Gen.OneOf(Told.Where(state => state is not (NeedState.Cancelled or NeedState.Closed)).ToArray()).List[1, 12], Gen.Int).Sample((states, seed) =>
        {
            var messages = states.Select((state, index) => Given.Told(index + 1, state, Given.Helper)).ToList();
            var random = new Random(seed);
            var delivered = messages.Concat(messages).OrderBy(_ => random.Next());
            var state = delivered.Aggregate(Given.State("open"), (current, message) => Decider.DecideRecording(current, message).Events.Aggregate(current, Decider.Evolve));
            Assert.Equal((states[^1], states.Count), (state.Needs[0].State, (int)state.Needs[0].MatchVersion));
        });

    [Fact]
    public void the_view_tells_the_same_as_the_log_even_after_a_round_trip_through_the_database() => Gen.Select(AnyHistory, Gen.Bool).Sample((history, partial) =>
    {
        var serializer = SamplesTests.Serializer;
        RequestView? view = null;
        var events = new List<RequestEvent> { Given.Submitted(Given.Content(partial: partial)) };
        events.AddRange(Run(history, partial).SelectMany(entry => entry.Decision.Events));
        foreach (var happened in events)
        {
            view = RequestView.After(view, happened);
            view = serializer.FromJson<RequestView>(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(serializer.ToJson(view))));
        }
        var state = Decider.Fold(events);
        Assert.Equal(serializer.ToJson(state), serializer.ToJson(view!.State));
        Assert.Equal((Words.Of(state.Status), state.PersonId.Value, state.Concerned.Count > 0 || state.Needs.Any(need => need.IsUnderWay)), (view.Status, view.PersonId, view.Matters));
    }, iter: 200);
}
