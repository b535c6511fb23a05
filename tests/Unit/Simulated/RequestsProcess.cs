using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Decider = Huzhu.Requests.Domain.Request;

namespace Huzhu.Tests.Unit.Simulated;

internal sealed class RequestsProcess(World world) : SimulatedProcess(world)
{
    protected override SimulatedLog Log => World.Requests;

    public static RequestState Fold(IEnumerable<object> events) => Decider.Fold(events.Cast<RequestEvent>());

    protected override IEnumerable<bool> Handle(SimulatedTimer timer) => throw new InvalidOperationException("Requests has no timers here.");

    protected override IEnumerable<bool> Handle(Delivery delivery)
    {
        var said = (NeedStateChanged)delivery.Message;
        var recorded = new NeedStateRecorded(said.NeedId, said.Version, said.State, said.ResponderId, said.Reason, said.RemainingQuantity, said.At);
        return Change(said.RequestId, (state, _) => Decider.DecideRecording(state, recorded), refusal => throw new ConsumerFailedException(refusal.Code));
    }

    /// <summary>What a front end sends: taken in once, however often it comes.</summary>
    public IEnumerable<bool> Submit(RequestSubmitted submitted) =>
        Change(submitted.RequestId, (state, now) => Decider.DecideSubmission(state, submitted with { At = now }, isSameIntake: true), _ => { });

    /// <summary>A repeat call: taken in, and linked to the need that it repeats, in one transaction.</summary>
    public IEnumerable<bool> SubmitRepeat(RequestSubmitted submitted, NeedLink older)
    {
        for (var attempt = 1; ; attempt++)
        {
            var (repeat, repeated) = (Log.Read(submitted.RequestId.Value), Log.Read(older.RequestId.Value));
            var (repeatVersion, repeatedVersion) = (repeat.Count, repeated.Count);
            var (repeatState, repeatedState) = (Fold(repeat), Fold(repeated));
            yield return true;
            if (repeatState.Exists)
                yield break;
            var link = new NeedLink(submitted.RequestId, submitted.Content.Needs[0].NeedId);
            var linked = Decider.DecideRepeat(repeatedState, older.NeedId, link, submitted.Content.Urgency, Now);
            // What has ended meanwhile is not repeated: the call is one of its own.
            var content = linked.Refusal is null ? submitted.Content with { Needs = [submitted.Content.Needs[0] with { DuplicateOf = older }] } : submitted.Content;
            List<Change> changes = [new(submitted.RequestId.Value, repeatVersion, [submitted with { At = Now, Content = content }])];
            if (linked.Events.Count > 0)
                changes.Add(new(older.RequestId.Value, repeatedVersion, [.. linked.Events]));
            if (Log.TryCommit(changes))
                yield break;
            if (attempt == 20)
                throw new ConsumerFailedException("conflicts");
        }
    }

    /// <summary>Reads, decides and appends; decides again when somebody else was first.</summary>
    public IEnumerable<bool> Change(RequestId id, Func<RequestState, DateTimeOffset, Decision<RequestEvent>> decide, Action<Refusal> refused)
    {
        for (var attempt = 1; ; attempt++)
        {
            var events = Log.Read(id.Value);
            var (version, state) = (events.Count, Fold(events));
            yield return true;
            var decision = decide(state, Now);
            if (decision.Refusal is { } refusal)
            {
                refused(refusal);
                yield break;
            }
            if (decision.Events.Count == 0 || Log.TryCommit([new Change(id.Value, version, [.. decision.Events])]))
                break;
            if (attempt == 20)
                throw new ConsumerFailedException("conflicts");
        }
        yield return true;
    }
}
