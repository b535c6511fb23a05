using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// Decides a batch in memory, one piece of work after another, each seeing what those before it took. What it leaves is
/// what one transaction appends. It writes the directory as it goes; when the transaction fails, the ledgers it touched
/// are read again. No input or output here.
/// </summary>
public sealed class Round(Situation situation)
{
    private readonly Dictionary<NeedId, MatchPart> _matches = [];
    private readonly Dictionary<ResponderId, LedgerPart> _ledgers = [];

    public Situation Situation { get; } = situation;

    /// <summary>What stands behind the events that follow.</summary>
    public Cause Cause { get; set; }

    public IReadOnlyDictionary<NeedId, MatchPart> Matches => _matches;
    public IReadOnlyDictionary<ResponderId, LedgerPart> Ledgers => _ledgers;
    public bool HasEvents => _matches.Values.Any(part => part.Events.Count > 0) || _ledgers.Count > 0;
    public int OffersMade { get; private set; }

    /// <param name="began">Where the need's trace began.</param>
    public void Know(NeedId needId, MatchState state, long version, string? began = null) => _matches[needId] = new MatchPart(state, version, began);

    public MatchState StateOf(NeedId needId) => _matches[needId].State;

    /// <summary>The command, and what follows from it. A refusal leaves nothing behind.</summary>
    public Answer Decide(NeedId needId, DecideOnMatch decide, Plan? plan = null)
    {
        var refusal = Apply(needId, decide);
        if (refusal is null)
            Settle(needId, plan);
        var match = _matches[needId];
        return new Answer(refusal, match.State, match.Version + match.Events.Count);
    }

    /// <summary>A person names the responder to ask: the need's next offer goes there, or the rule that forbids it is the refusal.</summary>
    public Answer Assign(NeedId needId, ResponderId responder, Assignment assignment)
    {
        var match = _matches[needId];
        return new Answer(Refused(), match.State, match.Version + match.Events.Count);

        Refusal? Refused()
        {
            var state = match.State;
            if (!Situation.Roster.TryGet(responder, out var listing))
                return Refusal.NotFound("no-such-responder", "Matching knows no such responder.");
            // The same word said twice: the offer stands.
            if (state.Offers.Exists(offer => offer.ResponderId == responder && offer.HoldsPlace && offer.Explanation.Assignment is not null))
                return null;
            if (Match.RefuseAssignment(state) is { } refusal)
                return refusal;
            var (reason, explanation) = Ranker.ExplainAssigned(state, listing, Situation.Roster, Situation.Policy, Situation.Zones, Situation.Now, assignment);
            if (reason is not null)
                return Refusal.Conflict(reason, $"A hard rule keeps this responder from being asked for this need: {reason}.");
            Ask(needId, listing, explanation!, Match.DecideAssign);
            return null;
        }
    }

    /// <summary>The command alone; places of offers that ended are freed.</summary>
    public Refusal? Apply(NeedId needId, DecideOnMatch decide)
    {
        var match = _matches[needId];
        var before = match.State;
        var decision = decide(before, Situation);
        if (decision.Refusal is not null || decision.Events.Count == 0)
            return decision.Refusal;
        foreach (var change in decision.Events)
            match.Append(change, Cause);
        foreach (var offer in before.Offers)
        {
            if (!offer.HoldsPlace || match.State.Find(offer.Id) is not { HoldsPlace: false } ended)
                continue;
            var ledger = Situation.Roster.StateOf(offer.ResponderId);
            // An offer and its place are one transaction: whoever has read the one and does not know the other is behind.
            if (!ledger.Held.ContainsKey(offer.Id))
                throw new StaleLedgerException(offer.ResponderId);
            Append(offer.ResponderId, ResponderState.DecideRelease(ledger, offer.Id, CodeOf(ended), Situation.Now).Events, match);
        }
        return null;
    }

    /// <summary>Asks as many responders as the need should have asked, or has it wait with a reason.</summary>
    public void Settle(NeedId needId, Plan? plan = null)
    {
        var match = _matches[needId];
        while (match.State.OffersWanted(Situation.Policy.Policy) > 0)
        {
            if (match.State.AwaitsTelling(Situation.TellingIsBehind))
            {
                Wait(() => new Nobody(NeedStateChanged.TellingIsBehind, new Dictionary<string, int>()));
                return;
            }
            // Danger of life has the nearest, whoever else is to come.
            var prices = plan ?? (match.State.Urgency is Urgency.LifeThreatening ? null : Situation.Prices);
            var choice = Ranker.Rank(match.State, Situation.Roster, Situation.Policy, Situation.Zones, Situation.Now, prices);
            if (choice.Best is not { } best)
            {
                Wait(() => Ranker.WhyNobody(match.State, Situation.Roster, Situation.Policy, Situation.Zones, Situation.Now));
                return;
            }
            Ask(needId, best, choice.Explanation!, Match.DecideOffer);
        }
        if (match.State.State is NeedState.Open && match.State.Need is not null)
            Wait(() => new Nobody("", new Dictionary<string, int>()));

        void Wait(Func<Nobody> why)
        {
            foreach (var change in Must(Match.DecideWait(match.State, Situation.Policy.Policy, why, Situation.Now)))
                match.Append(change, Cause);
        }
    }

    /// <summary>The id of the need's next offer: the same for whoever decides it again.</summary>
    public static OfferId NextOfferId(MatchState state, NeedId needId) => OfferId.Of(DeterministicId.Of(needId.Value, $"offer {state.Offers.Count + 1}"));

    /// <summary>The offer and its place, both or neither.</summary>
    private void Ask(NeedId needId, Listing listing, Explanation explanation,
        Func<MatchState, Policy, OfferId, ResponderId, ResponderKind, Explanation, DateTimeOffset, Decision<MatchEvent>> decide)
    {
        var (match, ledger) = (_matches[needId], listing.State);
        var offerId = NextOfferId(match.State, needId);
        var held = Must(ResponderState.DecideHold(ledger, offerId, needId, Situation.Now));
        var made = Must(decide(match.State, Situation.Policy.Policy, offerId, listing.Id, ledger.Profile!.Kind, explanation, Situation.Now));
        Append(listing.Id, held, match);
        foreach (var change in made)
            match.Append(change, Cause);
        OffersMade++;
    }

    /// <param name="of">The match whose place it is about, if it is about one.</param>
    public void Append(ResponderId responderId, IReadOnlyList<ResponderEvent> events, MatchPart? of = null)
    {
        if (events.Count == 0)
            return;
        var state = Situation.Roster.StateOf(responderId);
        if (!_ledgers.TryGetValue(responderId, out var ledger))
            _ledgers[responderId] = ledger = new LedgerPart(state.Version);
        foreach (var change in events)
        {
            state = ResponderState.Evolve(state, change);
            ledger.Events.Add((change, of?.Within(Cause) ?? Cause));
        }
        Situation.Roster.Set(responderId, state);
    }

    private static IReadOnlyList<TEvent> Must<TEvent>(Decision<TEvent> decision) where TEvent : notnull =>
        decision.Refusal is { } refusal
            ? throw new InvalidOperationException($"The ranking chose what the streams refuse ({refusal.Code}): {refusal.Reason}")
            : decision.Events;

    private static string CodeOf(Offer ended) => ended.Status switch
    {
        OfferStatus.Revoked => ended.EndedBecause!,
        var status => status.ToString().ToLowerInvariant(),
    };
}

/// <summary>
/// The directory in memory is older than a match that was read from the log: another replica has held or freed a place
/// of this responder, and that has not been heard of here. Read the ledger again, decide again.
/// </summary>
public sealed class StaleLedgerException(ResponderId responderId)
    : Exception($"The ledger of {responderId}, as it is known here, does not follow its matches.")
{
    public ResponderId ResponderId { get; } = responderId;
}

/// <summary>A match as the round leaves it.</summary>
public sealed class MatchPart(MatchState state, long version, string? began)
{
    private string? _began = began;

    public MatchState State { get; private set; } = state;

    /// <summary>The match before this round.</summary>
    public MatchState Before { get; } = state;

    /// <summary>Version of the stream before this round.</summary>
    public long Version { get; } = version;
    public List<(MatchEvent Event, Cause Cause)> Events { get; } = [];

    public void Append(MatchEvent change, Cause cause)
    {
        State = MatchState.Evolve(State, change);
        Events.Add((change, Within(cause)));
    }

    /// <summary>The cause, in the trace of the need.</summary>
    public Cause Within(Cause cause) => cause.Within(_began ??= cause.TraceParent);
}

/// <summary>What the round adds to a ledger.</summary>
public sealed class LedgerPart(long version)
{
    /// <summary>Version of the stream before this round.</summary>
    public long Version { get; } = version;
    public List<(ResponderEvent Event, Cause Cause)> Events { get; } = [];
}
