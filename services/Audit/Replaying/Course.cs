using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Audit.Replaying;

/// <summary>What was asked for: the same whatever became of it.</summary>
/// <param name="Repeats">The earlier need of the same person that this one repeats; nobody is asked for it twice.</param>
/// <param name="Channel">How the call came; null where Requests' log was not read.</param>
/// <param name="CompleteAt">From when on somebody could be asked; null while parts of the intake are missing.</param>
public sealed record AskedNeed(
    NeedId Id, NeedId? Repeats, string Kind, string? SubDistrict, IReadOnlyList<CommunicationNeed> Communication, string? Channel,
    DateTimeOffset SubmittedAt, DateTimeOffset? CompleteAt);

/// <summary>From an acceptance to its end.</summary>
/// <param name="DistanceMetres">Null for online help.</param>
public sealed record Holding(ResponderId ResponderId, DateTimeOffset From, DateTimeOffset To, double? DistanceMetres);

public readonly record struct Stretch(DateTimeOffset From, DateTimeOffset To);

/// <summary>What became of one need.</summary>
/// <param name="Waits">When somebody could have been asked, or was, and nobody had taken it.</param>
public sealed record NeedOutcome(
    AskedNeed Asked, NeedState State, DateTimeOffset? FirstOfferAt, DateTimeOffset? FulfilledAt, IReadOnlyList<Holding> Holdings, IReadOnlyList<Stretch> Waits)
{
    public bool IsFulfilled => State is NeedState.Fulfilled or NeedState.Closed;
    public bool IsCancelled => State is NeedState.Cancelled;
    public TimeSpan Waited => TimeSpan.FromTicks(Waits.Sum(wait => (wait.To - wait.From).Ticks));

    /// <summary>From the moment at which somebody could be asked to the first offer.</summary>
    public double? TimeToOfferSeconds => FirstOfferAt is { } offered && Asked.CompleteAt is { } complete ? Math.Max(0, (offered - complete).TotalSeconds) : null;
}

/// <param name="Accepted">How many offers it took.</param>
public sealed record Load(ResponderId Id, ResponderKind Kind, int Capacity, int Accepted);

/// <summary>Matching's events folded into what became of needs and responders: those of the log, or those of a simulation.</summary>
public sealed class Course
{
    private readonly Dictionary<NeedId, Draft> _drafts = [];
    private readonly Dictionary<ResponderId, ResponderState> _ledgers = [];
    private readonly Dictionary<ResponderId, int> _accepted = [];

    private sealed class Draft
    {
        public MatchState Match { get; set; } = MatchState.Initial;
        public (Offer Offer, DateTimeOffset Since)? Taken { get; set; }
        public List<Holding> Holdings { get; } = [];
        public DateTimeOffset? FirstOfferAt { get; set; }
        public DateTimeOffset? FulfilledAt { get; set; }
        public DateTimeOffset? EndedAt { get; set; }
    }

    public MatchState MatchOf(NeedId id) => _drafts.TryGetValue(id, out var draft) ? draft.Match : MatchState.Initial;

    public ResponderState LedgerOf(ResponderId id) => _ledgers.GetValueOrDefault(id, ResponderState.Initial);

    public IEnumerable<Load> Loads => _ledgers.Where(ledger => ledger.Value.Profile is not null)
        .Select(ledger => new Load(ledger.Key, ledger.Value.Profile!.Kind, ledger.Value.Capacity, _accepted.GetValueOrDefault(ledger.Key)));

    public void Take(ResponderId id, ResponderEvent change) => _ledgers[id] = ResponderState.Evolve(LedgerOf(id), change);

    /// <param name="storedAt">When it was committed, where it was: that is a little after it was decided.</param>
    public void Take(NeedId id, MatchEvent change, DateTimeOffset? storedAt = null)
    {
        var at = storedAt ?? change.At;
        if (!_drafts.TryGetValue(id, out var draft))
            _drafts[id] = draft = new Draft();
        draft.Match = MatchState.Evolve(draft.Match, change);
        switch (change)
        {
            case OfferMade:
                draft.FirstOfferAt ??= at;
                break;
            case OfferAccepted accepted:
                draft.Taken = (draft.Match.Find(accepted.OfferId)!, at);
                _accepted[accepted.ResponderId] = _accepted.GetValueOrDefault(accepted.ResponderId) + 1;
                break;
            case OfferEnding ending:
                if (draft.Taken?.Offer.Id == ending.OfferId)
                    EndHolding(draft, at);
                if (ending is OfferDisputed)
                    draft.FulfilledAt = null;
                break;
            case HelpCompleted { Remaining: var remaining }:
                EndHolding(draft, at);
                if (remaining == 0)
                    draft.FulfilledAt = draft.EndedAt = at;
                break;
            case NeedConfirmed:
                draft.FulfilledAt ??= at;
                draft.EndedAt ??= at;
                break;
            case NeedCancelled or NeedHeld:
                draft.EndedAt ??= at;
                break;
            case NeedReopened:
                (draft.FulfilledAt, draft.EndedAt) = (null, null);
                break;
        }
    }

    /// <summary>What had become of everything that was asked for, a repeat of what it repeats.</summary>
    public IReadOnlyList<NeedOutcome> Outcomes(IReadOnlyCollection<AskedNeed> asked, IReadOnlySet<NeedId> cancelled, DateTimeOffset endsAt)
    {
        var outcomes = asked.ToDictionary(need => need.Id, need => OutcomeOf(need, cancelled.Contains(need.Id), endsAt));
        return [.. asked.Select(need => need.Repeats is { } first && outcomes[need.Id].IsCancelled is false && outcomes.TryGetValue(first, out var told)
            ? told with { Asked = need, FirstOfferAt = null, Holdings = [], Waits = told.Waits }
            : outcomes[need.Id])];
    }

    private NeedOutcome OutcomeOf(AskedNeed need, bool cancelled, DateTimeOffset endsAt)
    {
        if (!_drafts.TryGetValue(need.Id, out var draft) || draft.Match.Need is null)
            return new NeedOutcome(need, cancelled ? NeedState.Cancelled : need.CompleteAt is null ? NeedState.Partial : NeedState.Open, null, null, [], []);
        List<Holding> holdings = draft.Taken is { } taken ? [.. draft.Holdings, HoldingOf(taken.Offer, taken.Since, endsAt)] : draft.Holdings;
        var (waits, since, until) = (new List<Stretch>(), need.CompleteAt ?? draft.Match.Need.SubmittedAt, draft.FulfilledAt ?? draft.EndedAt ?? endsAt);
        foreach (var holding in holdings)
        {
            if (holding.From > since && since < until)
                waits.Add(new Stretch(since, holding.From < until ? holding.From : until));
            since = holding.To > since ? holding.To : since;
        }
        if (since < until)
            waits.Add(new Stretch(since, until));
        return new NeedOutcome(need, draft.Match.State, draft.FirstOfferAt, draft.FulfilledAt, holdings, waits);
    }

    private static void EndHolding(Draft draft, DateTimeOffset at)
    {
        if (draft.Taken is { } taken)
            draft.Holdings.Add(HoldingOf(taken.Offer, taken.Since, at));
        draft.Taken = null;
    }

    private static Holding HoldingOf(Offer offer, DateTimeOffset since, DateTimeOffset until) => new(offer.ResponderId, since, until, offer.Explanation.DistanceMetres);
}
