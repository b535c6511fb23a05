using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Deciding;

/// <summary>Who goes first when more waits than one batch takes.</summary>
public enum Lane { Urgent, Normal, Bulk }

/// <summary>What a decision is made against, fixed for one batch.</summary>
/// <param name="TellingIsBehind">See <see cref="Policy.TellingIsBehind"/>.</param>
/// <param name="Prices">Of those who are still to come; null when nobody has one.</param>
public sealed record Situation(Roster Roster, PolicyState Policy, Zones Zones, DateTimeOffset Now, bool TellingIsBehind = false, Plan? Prices = null);

/// <summary>What a command on a match wants, given its state. Pure.</summary>
public delegate Decision<MatchEvent> DecideOnMatch(MatchState state, Situation situation);

/// <summary>What came of it: the match as it stands after the commit, or why the command was refused.</summary>
public sealed record Answer(Refusal? Refusal, MatchState State, long Version);

/// <summary>One thing for the decision loop to do. Its task ends after the commit that carries it.</summary>
public abstract class Work(Lane lane, Cause cause)
{
    private readonly TaskCompletionSource<Answer> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Lane Lane { get; } = lane;
    public Cause Cause { get; } = cause;

    /// <summary>Whether it takes up one of the queue's places; what the loop gives itself does not.</summary>
    public bool TakesRoom { get; set; }
    public long QueuedAt { get; } = System.Diagnostics.Stopwatch.GetTimestamp();
    public Task<Answer> Done => _done.Task;

    /// <summary>The match streams that must be at hand.</summary>
    public abstract IEnumerable<NeedId> Needs(Roster directory);
    public abstract Answer Run(Round round);

    public void Complete(Answer answer) => _done.TrySetResult(answer);
    public void Fail(Exception exception) => _done.TrySetException(exception);
}

/// <summary>A command on one match, and then whatever the match needs to be settled: the next offer, or a place in the backlog.</summary>
/// <param name="plan">When the need was assigned together with others.</param>
public sealed class NeedWork(NeedId needId, DecideOnMatch decide, Lane lane, Cause cause, Plan? plan = null) : Work(lane, cause)
{
    public override IEnumerable<NeedId> Needs(Roster directory) => [needId];
    public override Answer Run(Round round) => round.Decide(needId, decide, plan);
}

/// <summary>A person names the responder that the need is offered to.</summary>
public sealed class HandAssignWork(NeedId needId, ResponderId responder, Assignment assignment, Cause cause) : Work(Lane.Urgent, cause)
{
    public override IEnumerable<NeedId> Needs(Roster directory) => [needId];
    public override Answer Run(Round round) => round.Assign(needId, responder, assignment);
}

/// <summary>Assigns these needs together. It changes nothing, and is queued because the loop alone uses the index.</summary>
public sealed class AssignWork(IReadOnlyList<MatchState> needs, Cause cause) : Work(Lane.Normal, cause)
{
    public NeedsAssigned? Assigned { get; private set; }

    public override IEnumerable<NeedId> Needs(Roster directory) => [];

    public override Answer Run(Round round)
    {
        var situation = round.Situation;
        Assigned = Planner.Assign(needs, situation.Roster, situation.Policy, situation.Zones, situation.Now).Event;
        return new Answer(null, MatchState.Initial, 0);
    }
}

/// <summary>
/// The directory's newest entry of a responder. What it may not keep under the entry goes first, in the same append: the
/// newest offers that have not begun where it can hold less than it holds, and whatever an unfinished sweep has left where
/// its closure ends. So the ledger never holds more than its capacity, and a closed provider has given back all.
/// </summary>
public sealed class ResponderWork(ResponderChanged entry, Cause cause) : Work(Lane.Urgent, cause)
{
    private readonly Profile _profile = Profile.Of(entry);

    public override IEnumerable<NeedId> Needs(Roster roster)
    {
        var ledger = roster.StateOf(entry.ResponderId);
        return Excess(ledger) > 0 ? ledger.Held.Values.Select(place => place.NeedId).Distinct() : [];
    }

    public override Answer Run(Round round)
    {
        var ledger = round.Situation.Roster.StateOf(entry.ResponderId);
        List<NeedId> released = [];
        if (Excess(ledger) is var excess and > 0)
        {
            var reason = EndsClosure(ledger) ? RevocationReasons.ProviderClosed : RevocationReasons.ResponderShrank;
            var places = ledger.Held.Values
                .OrderBy(place => round.StateOf(place.NeedId).Find(place.OfferId)?.Status is OfferStatus.Started)
                .ThenByDescending(place => place.At).ThenBy(place => place.OfferId.Value).Take(excess);
            foreach (var place in places)
            {
                round.Apply(place.NeedId, (state, situation) => Match.DecideRevoke(state, place.OfferId, reason, evenIfStarted: true, situation.Now));
                released.Add(place.NeedId);
            }
        }
        var decision = ResponderState.DecideChange(round.Situation.Roster.StateOf(entry.ResponderId), _profile, entry.Opening,
            entry.ClosedBecause, entry.ClosedByMeasureId, entry.Version, round.Situation.Now);
        // What is refused is only that it holds more than the entry allows: places that are free in the log by now.
        if (decision.Refusal is not null)
            throw new StaleLedgerException(entry.ResponderId);
        round.Append(entry.ResponderId, decision.Events);
        foreach (var needId in released)
            round.Settle(needId);
        return new Answer(null, MatchState.Initial, 0);
    }

    private int Excess(ResponderState ledger) =>
        entry.Version <= ledger.DirectoryVersion ? 0
        : EndsClosure(ledger) ? ledger.Held.Count
        : Math.Max(0, ledger.Held.Count - _profile.Capacity);

    private bool EndsClosure(ResponderState ledger) => ledger.Opening is Opening.Closed && entry.Opening is not Opening.Closed;
}
