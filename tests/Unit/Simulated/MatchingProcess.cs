using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using V1 = Huzhu.Contracts.Requests.V1;

namespace Huzhu.Tests.Unit.Simulated;

/// <summary>
/// A replica of Matching: its own memory of the ledgers, which other replicas change behind its back, and one decision
/// loop. Rounds, work and decisions are the service's own.
/// </summary>
internal sealed class MatchingProcess(World world) : SimulatedProcess(world)
{
    public const string OfferExpiry = "offer-expiry", Escalation = "escalation";
    private static readonly TimeSpan SafetyNet = TimeSpan.FromSeconds(60);

    private readonly List<Work> _queue = [];
    private readonly HashSet<Guid> _stale = [];
    private Roster? _roster;
    private bool _loops, _tries, _sweeps;
    private DateTimeOffset _nextSweep;

    protected override SimulatedLog Log => World.Matching;

    protected override void Forget()
    {
        _queue.Clear();
        _stale.Clear();
        _roster = null;
        _loops = _tries = _sweeps = false;
        _nextSweep = default;
    }

    private Situation Situation => new(_roster!, World.Policy, World.Zones, Now);

    public override void Idle()
    {
        if (_roster is null)
        {
            _roster = new Roster();
            foreach (var id in World.Responders)
                _roster.Set(id, Ledger(id));
        }
        if (!_loops && (_queue.Count > 0 || _stale.Count > 0))
        {
            _loops = true;
            Begin(Loop());
        }
        if (!_tries && World.BacklogTold < Log.All.Count && !World.SomebodyTries)
        {
            World.SomebodyTries = _tries = true;
            Begin(TryBacklog());
        }
        if (!_sweeps && Now >= _nextSweep)
        {
            _sweeps = true;
            Begin(Sweep());
        }
    }

    /// <summary>The leader of the backlog subscription dies with its process; another one goes on where it was.</summary>
    public void CrashLeader()
    {
        if (_tries)
            World.SomebodyTries = false;
        Crash();
    }

    /// <summary>Looks at what other replicas have committed.</summary>
    public void Tail()
    {
        if (_roster is null)
            return;
        foreach (var id in World.Responders)
            if (Log.Read(id.Value).Count > _roster.StateOf(id).Version)
                _stale.Add(id.Value);
    }

    public static MatchState Fold(IEnumerable<object> events) => events.Cast<MatchEvent>().Aggregate(MatchState.Initial, MatchState.Evolve);

    private ResponderState Ledger(ResponderId id) => Log.Read(id.Value).Cast<ResponderEvent>().Aggregate(ResponderState.Initial, ResponderState.Evolve);

    private IEnumerable<bool> Receive(V1.Need need) =>
        Do(need.NeedId, (state, now) => Match.DecideReceive(state, need, now.Now), need.Urgency is Urgency.LifeThreatening ? Lane.Urgent : Lane.Normal);

    protected override IEnumerable<bool> Handle(Delivery delivery) => delivery.Message switch
    {
        V1.NeedSubmitted said => Receive(said.Need),
        V1.LifeThreateningNeedSubmitted said => Receive(said.Need),
        V1.NeedUrgencyRaised said => Do(said.NeedId, (state, now) => Match.DecideRaiseUrgency(state, said.Urgency, now.Now)),
        V1.NeedCancelled said => Do(said.NeedId, (state, now) => Match.DecideCancel(state, said.RequestId, said.Reason, said.At, now.Now)),
        V1.NeedConfirmed said => Do(said.NeedId, (state, now) => Match.DecideConfirm(state, said.RequestId, said.At, now.Now)),
        V1.NeedReopened said => Do(said.Need.NeedId, (state, now) => Match.DecideReopen(state, said.Need, said.Reason, said.Disputed, said.At, now.Now)),
        V1.ConcernRaised said => Do(said.NeedId, (state, now) => Match.DecideHold(state, said.RequestId, said.ResponderId, said.At, now.Now), Lane.Urgent),
        OfferDelivered said => Do(said.NeedId, (state, now) => Match.DecideDelivered(state, said.OfferId, said.Channel, said.At, now.Now)),
        Huzhu.Contracts.Notifications.V1.OfferUndeliverable said => Do(said.NeedId, (state, now) => Match.DecideUndeliverable(state, said.OfferId, said.Reason, now.Now)),
        ResponderChanged said => Update(said),
        var other => throw new InvalidOperationException($"Matching does not listen to {other.GetType()}."),
    };

    protected override IEnumerable<bool> Handle(SimulatedTimer timer) => Do(NeedId.Of(timer.Subject),
        timer.Kind == OfferExpiry ? (state, now) => Match.DecideExpire(state, now.Now) : Sweeps.Retry);

    public IEnumerable<bool> Do(NeedId needId, DecideOnMatch decide, Lane lane = Lane.Normal, Action<Answer>? answered = null) =>
        Wait(new NeedWork(needId, decide, lane, default), answered);

    private IEnumerable<bool> Update(ResponderChanged entry)
    {
        foreach (var step in Wait(new ResponderWork(entry, default)))
            yield return step;
        if (entry.Opening is not Opening.Open)
        {
            foreach (var step in TakeFrom(entry.ResponderId))
                yield return step;
        }
    }

    private IEnumerable<bool> TakeFrom(ResponderId id)
    {
        foreach (var place in Ledger(id).Held.Values.OrderBy(place => place.OfferId.Value).ToList())
        {
            foreach (var step in Do(place.NeedId, Sweeps.TakeFrom(id, place.OfferId), Lane.Bulk))
                yield return step;
        }
    }

    private IEnumerable<bool> Wait(Work work, Action<Answer>? answered = null)
    {
        _queue.Add(work);
        while (!work.Done.IsCompleted)
            yield return false;
        if (work.Done.IsFaulted)
            throw new ConsumerFailedException(work.Done.Exception.InnerException!.Message, work.Done.Exception.InnerException);
        answered?.Invoke(work.Done.Result);
        yield return true;
    }

    private IEnumerable<bool> Loop()
    {
        while (_queue.Count > 0 || _stale.Count > 0)
        {
            Refresh();
            yield return true;
            var batch = _queue.OrderBy(work => work.Lane).Take(1 + World.Chance.Below(4)).ToList();
            batch.ForEach(work => _queue.Remove(work));
            foreach (var step in Process(batch, 1))
                yield return step;
        }
        _loops = false;
    }

    private IEnumerable<bool> Process(List<Work> batch, int attempt)
    {
        if (batch.Count == 0)
            yield break;
        Refresh();
        var matches = batch.SelectMany(work => work.Needs(_roster!)).Distinct().Select(id => (Id: id, Events: Log.Read(id.Value).ToList())).ToList();
        yield return true;
        var round = new Round(Situation);
        Exception? failed = null;
        List<Answer> answers = [];
        try
        {
            foreach (var (id, events) in matches)
                round.Know(id, Fold(events), events.Count);
            answers.AddRange(batch.Select(work => work.Run(round)));
        }
        catch (Exception exception) when (exception is InvalidOperationException or KeyNotFoundException or StaleLedgerException)
        {
            failed = exception;
        }
        var conflict = false;
        if (failed is null && round.HasEvents)
        {
            yield return true;
            conflict = !Log.TryCommit(
                [
                    .. round.Matches.Where(match => match.Value.Events.Count > 0)
                        .Select(match => new Change(match.Key.Value, match.Value.Version, [.. match.Value.Events.Select(change => change.Event)])),
                    .. round.Ledgers.Select(ledger => new Change(ledger.Key.Value, ledger.Value.Version, [.. ledger.Value.Events.Select(change => change.Event)])),
                ],
                TimersOf(round));
            // The answer of the database is on its way.
            yield return true;
        }
        if (failed is null && !conflict)
        {
            foreach (var (work, answer) in batch.Zip(answers))
                work.Complete(answer);
            yield break;
        }
        _stale.UnionWith(round.Ledgers.Keys.Select(id => id.Value));
        if (failed is StaleLedgerException stale)
            _stale.Add(stale.ResponderId.Value);
        conflict |= failed is StaleLedgerException;
        if (batch.Count > 1)
        {
            foreach (var step in Process(batch[..(batch.Count / 2)], 1).Concat(Process(batch[(batch.Count / 2)..], 1)))
                yield return step;
        }
        else if (conflict && attempt < 40)
        {
            foreach (var step in Process(batch, attempt + 1))
                yield return step;
        }
        else
        {
            batch[0].Fail(failed ?? new TimeoutException("Other replicas came first again and again."));
        }
    }

    private void Refresh()
    {
        foreach (var id in _stale)
            _roster!.Set(ResponderId.Of(id), Ledger(ResponderId.Of(id)));
        _stale.Clear();
    }

    private IEnumerable<SimulatedTimer> TimersOf(Round round)
    {
        var later = TimeSpan.FromMilliseconds(2);
        foreach (var (needId, match) in round.Matches)
        {
            var begun = match.Events.Select(change => change.Event switch { OfferMade made => made.OfferId, OfferSent sent => sent.OfferId, _ => (OfferId?)null }).OfType<OfferId>();
            foreach (var endsAt in begun.Select(id => match.State.Find(id)!).Where(offer => offer.IsOpen).Select(offer => offer.EndsAt).Distinct())
                yield return new SimulatedTimer(OfferExpiry, needId.Value, endsAt + later);
            if (match.State.State is NeedState.Waiting && match.Events.Exists(change => change.Event is NeedWaits or NeedUrgencyRaised))
                yield return new SimulatedTimer(Escalation, needId.Value, match.State.EscalatesAt(World.Policy.Policy) + later);
        }
    }

    /// <summary>The subscription: places that became free, in the order of the log.</summary>
    private IEnumerable<bool> TryBacklog()
    {
        var page = Log.All.Skip(World.BacklogTold).Take(10).ToList();
        var freed = page.Where(stored => stored.Event is PlaceReleased or ResponderListed or ResponderUpdated or ResponderReopened).Select(stored => stored.Stream).ToHashSet();
        if (freed.Count > 0)
        {
            _stale.UnionWith(freed);
            while (_stale.Overlaps(freed))
                yield return false;
            foreach (var step in Retry([.. freed.Select(ResponderId.Of)]))
                yield return step;
        }
        World.BacklogTold += page.Count;
        World.SomebodyTries = _tries = false;
        yield return true;
    }

    private IEnumerable<bool> Retry(List<ResponderId> responders)
    {
        var waiting = World.Needs.Select(id => (Id: id, State: Fold(Log.Read(id.Value)))).Where(need => need.State.State is NeedState.Waiting or NeedState.Escalated).ToList();
        yield return true;
        foreach (var (id, state) in waiting)
        {
            var alone = MatchState.Initial with { Need = state.Need, State = NeedState.Waiting, Remaining = state.Remaining };
            if (!responders.Any(responder => _roster!.TryGet(responder, out var listing) && listing.State is { Opening: Opening.Open, Free: > 0 }
                && Ranker.CouldServe(alone, listing, World.Policy, World.Zones, Now)))
                continue;
            foreach (var step in Do(id, Sweeps.Retry, Lane.Bulk))
                yield return step;
        }
    }

    private IEnumerable<bool> Sweep()
    {
        foreach (var listing in _roster!.All.Where(listing => listing.State is { Opening: not Opening.Open, Held.Count: > 0 }).OrderBy(listing => listing.Id.Value).ToList())
        {
            foreach (var step in TakeFrom(listing.Id))
                yield return step;
        }
        foreach (var step in Retry([.. World.Responders]))
            yield return step;
        _nextSweep = Now + SafetyNet;
        _sweeps = false;
    }
}
