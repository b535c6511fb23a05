using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using NeedStateChanged = Huzhu.Contracts.Matching.V1.NeedStateChanged;

namespace Huzhu.Matching.Domain;

public abstract record MatchEvent(DateTimeOffset At);

/// <summary>Who acted, where nobody signed in: the holder of an offer's own link.</summary>
public static class OfferLinks
{
    public const string Holder = "own-link";
}

/// <summary>A need is known and wants a responder. Its clock is <c>Need.SubmittedAt</c> and never restarts.</summary>
public sealed record NeedReceived(Need Need, DateTimeOffset At) : MatchEvent(At);

/// <summary>A repeat call made the need more urgent.</summary>
public sealed record NeedUrgencyRaised(Urgency Urgency, DateTimeOffset At) : MatchEvent(At);

/// <summary>One responder is asked, and one of its places is held while it thinks.</summary>
/// <param name="Quantity">What is still to be done, and so is asked for.</param>
/// <param name="NewlyOffered">No other offer was open: this one changed where the need stands.</param>
/// <param name="ExpiresAt">Until then the responder must have been told; its own time to answer begins when it is.</param>
public sealed record OfferMade(
    OfferId OfferId, RequestId RequestId, ResponderId ResponderId, ResponderKind ResponderKind, string Kind, DeliveryMode Mode,
    int Quantity, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, string? SubDistrict, int ParallelOffers,
    bool NewlyOffered, DateTimeOffset ExpiresAt, Explanation Explanation, DateTimeOffset At) : MatchEvent(At);

/// <summary>The offer reached the responder, as far as the channel can tell, and the responder's time to answer runs.</summary>
public sealed record OfferSent(OfferId OfferId, string Channel, DateTimeOffset ExpiresAt, DateTimeOffset At) : MatchEvent(At);

/// <summary>The responder takes the need; nobody else can any more.</summary>
/// <param name="By">Who said so: the subject of the token, or <see cref="OfferLinks.Holder"/>. No personal data. Null in logs of before this was kept.</param>
public sealed record OfferAccepted(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, int Remaining, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null) : MatchEvent(At);

/// <summary>An offer is over other than by being done; the place that it held is free.</summary>
public abstract record OfferEnding(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, DateTimeOffset At) : MatchEvent(At);

/// <summary>The responder said no. It is not asked again for this need.</summary>
/// <param name="By">As of <see cref="OfferAccepted"/>.</param>
public sealed record OfferDeclined(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, DeclineReason Reason, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The responder had been told and stayed silent until its time was over.</summary>
public sealed record OfferExpired(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, DateTimeOffset At)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The offer did not reach the responder: no channel could carry it, or nobody told it in time. Not a decline.</summary>
public sealed record OfferUndeliverable(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, string Reason, DateTimeOffset At)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>Another responder that was asked at the same time was first.</summary>
public sealed record OfferSuperseded(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, DateTimeOffset At)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The offer, accepted or not, was taken away; the reason is a code of <see cref="RevocationReasons"/>.</summary>
/// <param name="Note">What a person gave as the reason, when a person did it. No personal data.</param>
/// <param name="By">The subject of that person's token; null when the system did it, and in logs of before this was kept.</param>
public sealed record OfferRevoked(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, string Reason, string? Note, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The responder had accepted and cannot go on.</summary>
/// <param name="By">As of <see cref="OfferAccepted"/>.</param>
public sealed record OfferReleased(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, string Reason, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The person says that the help did not come, or was not what was promised.</summary>
public sealed record OfferDisputed(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, string Reason, DateTimeOffset At)
    : OfferEnding(OfferId, RequestId, ResponderId, At);

/// <summary>The responder is at it.</summary>
/// <param name="By">As of <see cref="OfferAccepted"/>.</param>
public sealed record HelpStarted(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, int Remaining, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null) : MatchEvent(At);

/// <summary>The responder has done its part; what remains goes back to matching.</summary>
/// <param name="By">As of <see cref="OfferAccepted"/>; null when the person confirmed it first.</param>
public sealed record HelpCompleted(OfferId OfferId, RequestId RequestId, ResponderId ResponderId, int Quantity, int Remaining, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By = null) : MatchEvent(At);

/// <summary>Nobody can take the need now. It waits in the backlog and is tried again whenever somebody might.</summary>
/// <param name="Reason">The rule that stopped whoever came closest, a code of <see cref="ExclusionReasons"/>; or <see cref="NeedStateChanged.TellingIsBehind"/>.</param>
/// <param name="LeftOut">How many responders each rule excluded.</param>
/// <param name="Again">It has waited for a responder before, and nobody has accepted it since.</param>
public sealed record NeedWaits(RequestId RequestId, string Reason, IReadOnlyDictionary<string, int> LeftOut, int Remaining, DateTimeOffset At, bool Again = false)
    : MatchEvent(At);

/// <summary>The urgency's limit has passed and nobody was found: humans look for help too. Matching goes on trying.</summary>
/// <param name="Again">It has been escalated before, and nobody has accepted it since.</param>
public sealed record NeedEscalated(RequestId RequestId, string Reason, int Remaining, DateTimeOffset At, bool Again = false) : MatchEvent(At);

/// <summary>Somebody is worried about safety. Only humans move the need from here.</summary>
/// <param name="SaidAt">When the concern was raised; null in logs of before this was kept.</param>
public sealed record NeedHeld(RequestId RequestId, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? SaidAt = null) : MatchEvent(At);

/// <summary>
/// A word about a need that has ended changes nothing now. It is kept for what was said before it and is still on its way:
/// words go by different queues, and the later one may be the first to come.
/// </summary>
/// <param name="Concern">Whether the word is a concern; otherwise it is a cancellation.</param>
/// <param name="Reason">Of a cancellation.</param>
public sealed record WordHeard(bool Concern, string? Reason, DateTimeOffset SaidAt, DateTimeOffset At) : MatchEvent(At);

/// <summary>Help is no longer wanted. It may be heard before the need itself.</summary>
public sealed record NeedCancelled(RequestId RequestId, string Reason, DateTimeOffset SaidAt, DateTimeOffset At) : MatchEvent(At);

/// <summary>The person says that the need was met. It may be heard before the need itself.</summary>
public sealed record NeedConfirmed(RequestId RequestId, DateTimeOffset SaidAt, DateTimeOffset At) : MatchEvent(At);

/// <summary>A need that had ended, or was held, is to be matched again, on its original clock.</summary>
public sealed record NeedReopened(Need Need, string Reason, DateTimeOffset SaidAt, DateTimeOffset At) : MatchEvent(At);

/// <summary>This responder is not asked for this need any more; the reason is a code of <see cref="ExclusionReasons"/>.</summary>
public sealed record ResponderExcluded(ResponderId ResponderId, string Reason, DateTimeOffset At) : MatchEvent(At);

public static class RevocationReasons
{
    public const string ProviderClosed = "provider-closed";
    public const string ResponderPaused = "responder-paused";
    public const string ResponderWithdrawn = "responder-withdrawn";
    public const string ResponderShrank = "responder-shrank";
    public const string NeedCancelled = "need-cancelled";
    public const string NeedConfirmed = "need-confirmed";
    public const string ZoneSealed = "zone-sealed";
    public const string Concern = "concern";
    public const string ByOperator = "by-operator";
}

public enum OfferStatus { Made, Sent, Accepted, Started, Done, Declined, Expired, Undeliverable, Superseded, Revoked, Released, Disputed }

/// <param name="Life">How long the responder may think, once it has been told.</param>
/// <param name="ExpiresAt">Until it has been told: by when it must be. Afterwards: by when it must be answered.</param>
public sealed record Offer(OfferId Id, ResponderId ResponderId, ResponderKind ResponderKind, OfferStatus Status, DateTimeOffset MadeAt,
    TimeSpan Life, DateTimeOffset ExpiresAt, DateTimeOffset? EndedAt, string? EndedBecause, Explanation Explanation)
{
    /// <summary>The responder may still say yes or no.</summary>
    public bool IsOpen => Status is OfferStatus.Made or OfferStatus.Sent;

    /// <summary>The responder has the need in hand.</summary>
    public bool IsTaken => Status is OfferStatus.Accepted or OfferStatus.Started;

    public bool HoldsPlace => IsOpen || IsTaken;

    /// <summary>Nobody came to tell the responder in time: what a surge or an outage here did is not held against it.</summary>
    public bool WasNeverTold => Status is OfferStatus.Undeliverable && EndedBecause == Contracts.Notifications.V1.OfferUndeliverable.TooLate;

    /// <summary>
    /// When nothing more can be expected of the offer. One that has not been told is waited for as long again: whoever
    /// tells it says so itself when it is too late, so that this is for what gets lost on the way.
    /// </summary>
    public DateTimeOffset EndsAt => Status is OfferStatus.Made ? ExpiresAt + Life : ExpiresAt;
}

/// <summary>One need on its way to a responder.</summary>
/// <param name="Need">Null until the need itself has been heard of: other messages about it may come first.</param>
/// <param name="State">Open means: to be settled, within the transaction that made it so.</param>
/// <param name="SaidAt">When the newest cancel, confirm or reopen was said; an older one that comes later means nothing.</param>
/// <param name="HasWaited">For a responder, since the beginning, or since somebody accepted it; so with <paramref name="HasEscalated"/>.</param>
public sealed record MatchState(
    Need? Need, NeedState State, int Remaining, Urgency? RaisedTo, ImmutableList<Offer> Offers,
    ImmutableDictionary<ResponderId, string> Excluded, string? Reason, DateTimeOffset SaidAt, bool HasWaited, bool HasEscalated)
{
    public static MatchState Initial { get; } = new(
        null, NeedState.Open, 0, null, [], ImmutableDictionary<ResponderId, string>.Empty, null, DateTimeOffset.MinValue, false, false);

    /// <summary>When the newest concern was raised.</summary>
    public DateTimeOffset ConcernAt { get; init; }

    /// <summary>Why help was cancelled by a word that came when the need had ended otherwise.</summary>
    public string? CancelledLate { get; init; }

    public Urgency Urgency => RaisedTo is { } raised && (Need is null || raised > Need.Urgency) ? raised : Need?.Urgency ?? Urgency.Routine;
    public IEnumerable<Offer> OpenOffers => Offers.Where(offer => offer.IsOpen);
    public Offer? Taken => Offers.FirstOrDefault(offer => offer.IsTaken);
    public bool IsOver => State is NeedState.Fulfilled or NeedState.Closed or NeedState.Cancelled;

    public Offer? Find(OfferId id) => IndexOf(id) is var index and >= 0 ? Offers[index] : null;

    /// <summary>How many more responders should be asked now.</summary>
    public int OffersWanted(Policy policy)
    {
        if (Need is null || State is not (NeedState.Open or NeedState.Offered or NeedState.Waiting or NeedState.Escalated) || IsExhausted(policy))
            return 0;
        return policy.For(Urgency).ParallelOffers - Offers.Count(offer => offer.IsOpen);
    }

    /// <summary>So many have not taken it that only humans go on.</summary>
    public bool IsExhausted(Policy policy) =>
        Offers.Count(offer => offer.Status is OfferStatus.Declined or OfferStatus.Expired or OfferStatus.Undeliverable && !offer.WasNeverTold)
        >= policy.MaxUnansweredOffersPerNeed;

    /// <summary>An offer that cannot be told in time is not made; whoever is in danger of life goes first in any queue.</summary>
    public bool AwaitsTelling(bool tellingIsBehind) => tellingIsBehind && Urgency is not Urgency.LifeThreatening;

    public DateTimeOffset EscalatesAt(Policy policy) => Need!.SubmittedAt + TimeSpan.FromSeconds(policy.For(Urgency).EscalateAfterSeconds);

    /// <summary>Why this responder may not be asked for this need now, or null.</summary>
    public string? WhyNot(ResponderId responder, Policy policy, DateTimeOffset now)
    {
        if (Need!.ExcludedResponders.Contains(responder))
            return ExclusionReasons.ExcludedByPerson;
        if (Excluded.TryGetValue(responder, out var reason))
            return reason;
        foreach (var offer in Offers)
        {
            if (offer.ResponderId != responder)
                continue;
            if (offer.HoldsPlace)
                return ExclusionReasons.AlreadyOffered;
            if (offer.Status is OfferStatus.Expired or OfferStatus.Undeliverable && !offer.WasNeverTold
                && now < offer.EndedAt + TimeSpan.FromSeconds(policy.For(Urgency).AskAgainAfterSeconds))
                return ExclusionReasons.AskedRecently;
        }
        return null;
    }

    public static MatchState Evolve(MatchState state, MatchEvent change) => change switch
    {
        NeedReceived received => state with { Need = received.Need, Remaining = received.Need.Quantity },
        NeedUrgencyRaised raised => state with { RaisedTo = raised.Urgency },
        OfferMade made => state with
        {
            State = NeedState.Offered,
            Reason = null,
            Offers = state.Offers.Add(new Offer(made.OfferId, made.ResponderId, made.ResponderKind, OfferStatus.Made, made.At, made.ExpiresAt - made.At, made.ExpiresAt, null, null, made.Explanation)),
        },
        OfferSent sent => state with { Offers = state.With(sent.OfferId, offer => offer with { Status = OfferStatus.Sent, ExpiresAt = sent.ExpiresAt }) },
        OfferAccepted accepted => state with
        {
            Offers = state.With(accepted.OfferId, offer => offer with { Status = OfferStatus.Accepted }),
            State = NeedState.Accepted,
            HasWaited = false,
            HasEscalated = false,
        },
        HelpStarted started => state with { Offers = state.With(started.OfferId, offer => offer with { Status = OfferStatus.Started }), State = NeedState.Started },
        HelpCompleted done => state with
        {
            Offers = state.With(done.OfferId, offer => offer with { Status = OfferStatus.Done, EndedAt = done.At }),
            Remaining = done.Remaining,
            State = done.Remaining == 0 ? NeedState.Fulfilled : NeedState.Open,
        },
        OfferDeclined declined => state.End(declined, OfferStatus.Declined, Words.Of(declined.Reason), ExclusionReasons.ExcludedDeclined),
        OfferExpired expired => state.End(expired, OfferStatus.Expired, null, null),
        OfferUndeliverable undeliverable => state.End(undeliverable, OfferStatus.Undeliverable, undeliverable.Reason, null),
        OfferSuperseded superseded => state.End(superseded, OfferStatus.Superseded, null, null),
        OfferRevoked revoked => state.End(revoked, OfferStatus.Revoked, revoked.Reason,
            revoked.Reason is RevocationReasons.ByOperator ? ExclusionReasons.ExcludedRevoked : null),
        OfferReleased released => state.End(released, OfferStatus.Released, released.Reason, ExclusionReasons.ExcludedReleased),
        OfferDisputed disputed => state.End(disputed, OfferStatus.Disputed, disputed.Reason, ExclusionReasons.ExcludedDisputed),
        NeedWaits waits => state with { State = NeedState.Waiting, Reason = waits.Reason, HasWaited = state.HasWaited || waits.Reason != NeedStateChanged.TellingIsBehind },
        NeedEscalated escalated => state with { State = NeedState.Escalated, Reason = escalated.Reason, HasEscalated = true },
        NeedHeld held => state with { State = NeedState.OnHold, Reason = RevocationReasons.Concern, ConcernAt = Later(state.ConcernAt, held.SaidAt) },
        WordHeard { Concern: true } word => state with { ConcernAt = Later(state.ConcernAt, word.SaidAt) },
        WordHeard word => state with { SaidAt = word.SaidAt, CancelledLate = word.Reason },
        NeedCancelled cancelled => state with { State = NeedState.Cancelled, Reason = cancelled.Reason, SaidAt = cancelled.SaidAt },
        NeedConfirmed confirmed => state with { State = NeedState.Closed, Reason = null, SaidAt = confirmed.SaidAt },
        NeedReopened reopened => state with
        {
            Need = reopened.Need with { SubmittedAt = state.Need?.SubmittedAt ?? reopened.Need.SubmittedAt },
            // A need that is on its way stays where it is; the word is remembered for messages that come late.
            State = state.IsOver || state.State is NeedState.OnHold ? NeedState.Open : state.State,
            // What has been done in part stays done; what was done whole is wanted again.
            Remaining = state.Remaining == 0 ? reopened.Need.Quantity : state.Remaining,
            SaidAt = reopened.SaidAt,
            CancelledLate = null,
        },
        ResponderExcluded excluded => state with { Excluded = state.Excluded.SetItem(excluded.ResponderId, excluded.Reason) },
        _ => throw new InvalidOperationException($"Unknown event {change.GetType().Name} in a match stream."),
    };

    private static DateTimeOffset Later(DateTimeOffset known, DateTimeOffset? said) => said > known ? said.Value : known;

    /// <summary>A match has few offers and is folded far more often than it is decided: finding one makes nothing.</summary>
    private int IndexOf(OfferId id)
    {
        for (var index = 0; index < Offers.Count; index++)
        {
            if (Offers[index].Id == id)
                return index;
        }
        return -1;
    }

    private ImmutableList<Offer> With(OfferId id, Func<Offer, Offer> change)
    {
        var index = IndexOf(id);
        return index < 0 ? throw new InvalidOperationException($"The match has no offer {id}.") : Offers.SetItem(index, change(Offers[index]));
    }

    private MatchState End(OfferEnding ending, OfferStatus status, string? because, string? exclude)
    {
        var before = Find(ending.OfferId);
        var offers = With(ending.OfferId, offer => offer with { Status = status, EndedAt = ending.At, EndedBecause = because });
        var goesBack = before!.IsTaken && State is NeedState.Accepted or NeedState.Started
            || State is NeedState.Offered && !offers.Exists(offer => offer.IsOpen);
        return this with
        {
            Offers = offers,
            Excluded = exclude is null ? Excluded : Excluded.SetItem(ending.ResponderId, exclude),
            State = goesBack ? NeedState.Open : State,
        };
    }
}

/// <summary>
/// What may happen to a match. A repeat yields nothing. What makes no sense any more is a refusal where a person waits
/// for the answer, and nothing where a message or a timer came late.
/// </summary>
public static class Match
{
    public static Decision<MatchEvent> DecideReceive(MatchState state, Need need, DateTimeOffset at) =>
        // Words about the need that came before it stand: cancelled stays cancelled, held stays held.
        state.Need is not null || state.IsOver
            ? Decision<MatchEvent>.Nothing
            : new NeedReceived(state.RaisedTo > need.Urgency ? need with { Urgency = state.RaisedTo.Value } : need, at);

    public static Decision<MatchEvent> DecideRaiseUrgency(MatchState state, Urgency urgency, DateTimeOffset at) =>
        state.IsOver || urgency <= state.Urgency && (state.Need is not null || state.RaisedTo is not null)
            ? Decision<MatchEvent>.Nothing
            : new NeedUrgencyRaised(urgency, at);

    public static Decision<MatchEvent> DecideOffer(MatchState state, Policy policy, OfferId offerId, ResponderId responder,
        ResponderKind kind, Explanation explanation, DateTimeOffset now)
    {
        if (state.OffersWanted(policy) <= 0)
            return Refusal.Conflict("not-wanted", "No more responders are to be asked now.");
        if (state.WhyNot(responder, policy, now) is { } why)
            return Refusal.Conflict(why, "This responder may not be asked for this need.");
        return Made(state, policy, offerId, responder, kind, policy.For(state.Urgency).ParallelOffers, explanation, now);
    }

    /// <summary>
    /// A person of the centre names the responder that is asked. The need's own order, timers and exhaustion do not stand in
    /// the way; the hard rules do. Whoever has been asked already keeps its offer: the first to accept gets the need.
    /// </summary>
    /// <param name="explanation">With its <see cref="Explanation.Assignment"/>.</param>
    public static Decision<MatchEvent> DecideAssign(MatchState state, Policy policy, OfferId offerId, ResponderId responder,
        ResponderKind kind, Explanation explanation, DateTimeOffset now)
    {
        if (RefuseAssignment(state) is { } refusal)
            return refusal;
        if (state.WhyNot(responder, policy, now) is { } why && ExclusionReasons.ForbidsAssignment(why))
            return Refusal.Conflict(why, "This responder may not be asked for this need.");
        return Made(state, policy, offerId, responder, kind, Math.Max(policy.For(state.Urgency).ParallelOffers, state.OpenOffers.Count() + 1), explanation, now);
    }

    private static OfferMade Made(MatchState state, Policy policy, OfferId offerId, ResponderId responder, ResponderKind kind, int parallelOffers,
        Explanation explanation, DateTimeOffset now)
    {
        var need = state.Need!;
        return new OfferMade(offerId, need.RequestId, responder, kind, need.Kind, need.Mode, state.Remaining, state.Urgency,
            need.Communication, need.SubDistrict, parallelOffers, !state.Offers.Exists(offer => offer.IsOpen),
            now + TimeSpan.FromMilliseconds(Math.Ceiling(policy.For(state.Urgency).OfferLifeSeconds * 1000)), explanation, now);
    }

    /// <summary>Why nobody can be named for the need, whoever it is; null when somebody can.</summary>
    public static Refusal? RefuseAssignment(MatchState state) => state switch
    {
        { Need: null } => Refusal.NotFound("no-such-match", "Matching knows no such need."),
        { State: NeedState.OnHold } => Refusal.Conflict("on-hold", "The need is held for safeguarding: release the hold first."),
        { IsOver: true } => Refusal.Conflict("over", "The need is over."),
        { Taken: not null } => Refusal.Conflict("already-taken", "A responder has the need in hand: revoke its offer first."),
        _ => null,
    };

    /// <summary>Nobody can be asked now: wait, or escalate when the urgency's limit has passed.</summary>
    /// <param name="why">Looked into only when it is to be stored: a need that is tried again and goes on waiting has its reason.</param>
    public static Decision<MatchEvent> DecideWait(MatchState state, Policy policy, Func<Nobody> why, DateTimeOffset now)
    {
        if (state.Need is null || state.OpenOffers.Any() || state.State is not (NeedState.Open or NeedState.Waiting))
            return Decision<MatchEvent>.Nothing;
        if (state.IsExhausted(policy))
            return new NeedEscalated(state.Need.RequestId, "offers-exhausted", state.Remaining, now, state.HasEscalated);
        if (now >= state.EscalatesAt(policy))
            return new NeedEscalated(state.Need.RequestId, why().Reason, state.Remaining, now, state.HasEscalated);
        // It waits for what it waited for, but for the one reason that passes by itself.
        if (state.State is NeedState.Waiting && state.Reason is not NeedStateChanged.TellingIsBehind)
            return Decision<MatchEvent>.Nothing;
        var (reason, leftOut) = why();
        if (state.State is NeedState.Waiting && state.Reason == reason)
            return Decision<MatchEvent>.Nothing;
        return new NeedWaits(state.Need.RequestId, reason, leftOut, state.Remaining, now, state.HasWaited);
    }

    public static Decision<MatchEvent> DecideEscalate(MatchState state, Policy policy, DateTimeOffset now) =>
        state.State is NeedState.Waiting && now >= state.EscalatesAt(policy)
            ? new NeedEscalated(state.Need!.RequestId, state.Reason ?? "", state.Remaining, now, state.HasEscalated)
            : Decision<MatchEvent>.Nothing;

    /// <param name="toldAt">By the clock of whoever told it.</param>
    public static Decision<MatchEvent> DecideDelivered(MatchState state, OfferId offerId, string channel, DateTimeOffset toldAt, DateTimeOffset now)
    {
        if (state.Find(offerId) is not { Status: OfferStatus.Made } offer)
            return Decision<MatchEvent>.Nothing;
        // Clocks differ a little: nobody has been told before the offer was made, or later than now.
        var told = toldAt < offer.MadeAt ? offer.MadeAt : toldAt > now ? now : toldAt;
        return new OfferSent(offerId, channel, told + offer.Life, now);
    }

    public static Decision<MatchEvent> DecideUndeliverable(MatchState state, OfferId offerId, string reason, DateTimeOffset at) =>
        state.Find(offerId) is { IsOpen: true } offer
            ? new OfferUndeliverable(offerId, state.Need!.RequestId, offer.ResponderId, reason, at)
            : Decision<MatchEvent>.Nothing;

    public static Decision<MatchEvent> DecideExpire(MatchState state, DateTimeOffset now) => state.OpenOffers
        .Where(offer => now >= offer.EndsAt)
        .Select(offer => (MatchEvent)(offer.Status is OfferStatus.Made
            ? new OfferUndeliverable(offer.Id, state.Need!.RequestId, offer.ResponderId, Contracts.Notifications.V1.OfferUndeliverable.TooLate, now)
            : new OfferExpired(offer.Id, state.Need!.RequestId, offer.ResponderId, now)))
        .ToArray();

    /// <summary>
    /// The first commit wins. An acceptance counts until the expiry is in the log: the person is better served by a
    /// responder that says yes a moment late than by starting again.
    /// </summary>
    public static Decision<MatchEvent> DecideAccept(MatchState state, OfferId offerId, DateTimeOffset now, string? by = null)
    {
        if (state.Find(offerId) is not { } offer)
            return NoSuchOffer;
        if (offer.IsTaken || offer.Status is OfferStatus.Done)
            return Decision<MatchEvent>.Nothing;
        if (!offer.IsOpen)
            return EndedRefusal(offer);
        var events = new List<MatchEvent> { new OfferAccepted(offerId, state.Need!.RequestId, offer.ResponderId, state.Remaining, now, by) };
        events.AddRange(state.OpenOffers.Where(other => other.Id != offerId)
            .Select(other => new OfferSuperseded(other.Id, state.Need.RequestId, other.ResponderId, now)));
        return events;
    }

    public static Decision<MatchEvent> DecideDecline(MatchState state, OfferId offerId, DeclineReason reason, DateTimeOffset now, string? by = null) => state.Find(offerId) switch
    {
        null => NoSuchOffer,
        { Status: OfferStatus.Declined } => Decision<MatchEvent>.Nothing,
        { IsOpen: true } offer => new OfferDeclined(offerId, state.Need!.RequestId, offer.ResponderId, reason, now, by),
        { IsTaken: true } => Refusal.Conflict("already-accepted", "The offer has been accepted: release it instead."),
        { } offer => EndedRefusal(offer),
    };

    public static Decision<MatchEvent> DecideStart(MatchState state, OfferId offerId, DateTimeOffset now, string? by = null) => state.Find(offerId) switch
    {
        null => NoSuchOffer,
        { Status: OfferStatus.Started or OfferStatus.Done } => Decision<MatchEvent>.Nothing,
        { Status: OfferStatus.Accepted } offer => new HelpStarted(offerId, state.Need!.RequestId, offer.ResponderId, state.Remaining, now, by),
        { IsOpen: true } => NotAccepted,
        { } offer => EndedRefusal(offer),
    };

    /// <param name="quantity">Null: all that remains.</param>
    public static Decision<MatchEvent> DecideComplete(MatchState state, OfferId offerId, int? quantity, DateTimeOffset now, string? by = null)
    {
        switch (state.Find(offerId))
        {
            case null:
                return NoSuchOffer;
            case { Status: OfferStatus.Done }:
                return Decision<MatchEvent>.Nothing;
            case { IsTaken: true } offer:
                var done = quantity ?? state.Remaining;
                return done < 1 || done > state.Remaining
                    ? Refusal.Invalid("quantity", $"The quantity must be between 1 and {state.Remaining}, which is what remains to be done.")
                    : new HelpCompleted(offerId, state.Need!.RequestId, offer.ResponderId, done, state.Remaining - done, now, by);
            case { IsOpen: true }:
                return NotAccepted;
            case { } offer:
                return EndedRefusal(offer);
        }
    }

    public static Decision<MatchEvent> DecideRelease(MatchState state, OfferId offerId, string reason, DateTimeOffset now, string? by = null) => state.Find(offerId) switch
    {
        null => NoSuchOffer,
        { Status: OfferStatus.Released } => Decision<MatchEvent>.Nothing,
        { IsTaken: true } offer => new OfferReleased(offerId, state.Need!.RequestId, offer.ResponderId, reason, now, by),
        { IsOpen: true } => NotAccepted,
        { } offer => EndedRefusal(offer),
    };

    public static Decision<MatchEvent> DecideRevokeByOperator(MatchState state, OfferId offerId, string note, DateTimeOffset now, string? by = null) => state.Find(offerId) switch
    {
        null => NoSuchOffer,
        { Status: OfferStatus.Revoked } => Decision<MatchEvent>.Nothing,
        { HoldsPlace: true } offer => Revoked(state, offer, RevocationReasons.ByOperator, now, note, by),
        { } offer => EndedRefusal(offer),
    };

    /// <summary>A closure, a pause, a shrunk capacity or a sealed zone takes the offer away, unless it has ended by itself.</summary>
    public static Decision<MatchEvent> DecideRevoke(MatchState state, OfferId offerId, string reason, bool evenIfStarted, DateTimeOffset now) =>
        state.Find(offerId) is { HoldsPlace: true } offer && (evenIfStarted || offer.Status is not OfferStatus.Started)
            ? Revoked(state, offer, reason, now)
            : Decision<MatchEvent>.Nothing;

    public static Decision<MatchEvent> DecideCancel(MatchState state, RequestId requestId, string reason, DateTimeOffset saidAt, DateTimeOffset at)
    {
        if (saidAt <= state.SaidAt)
            return Decision<MatchEvent>.Nothing;
        if (state.IsOver)
            return new WordHeard(Concern: false, reason, saidAt, at);
        return (List<MatchEvent>)[.. RevokeAll(state, RevocationReasons.NeedCancelled, at), new NeedCancelled(requestId, reason, saidAt, at)];
    }

    public static Decision<MatchEvent> DecideConfirm(MatchState state, RequestId requestId, DateTimeOffset saidAt, DateTimeOffset at)
    {
        if (state.State is NeedState.Closed or NeedState.Cancelled || saidAt <= state.SaidAt)
            return Decision<MatchEvent>.Nothing;
        var events = new List<MatchEvent>();
        // The person knows before the responder has reported.
        if (state.Taken is { } taken)
            events.Add(new HelpCompleted(taken.Id, requestId, taken.ResponderId, state.Remaining, 0, at));
        else
            events.AddRange(RevokeAll(state, RevocationReasons.NeedConfirmed, at));
        events.Add(new NeedConfirmed(requestId, saidAt, at));
        return events;
    }

    public static Decision<MatchEvent> DecideReopen(MatchState state, Need need, string reason, bool disputed, DateTimeOffset saidAt, DateTimeOffset at)
    {
        if (saidAt <= state.SaidAt)
        {
            // The cancellation that was said after this has come before it, when there was nothing to cancel.
            return state is { CancelledLate: { } cancelled, State: NeedState.Fulfilled or NeedState.Closed }
                ? new NeedCancelled(need.RequestId, cancelled, state.SaidAt, at)
                : Decision<MatchEvent>.Nothing;
        }
        var events = new List<MatchEvent>();
        if (disputed && state.Offers.FindLast(offer => offer.IsTaken || offer.Status is OfferStatus.Done) is { } had)
            events.Add(new OfferDisputed(had.Id, need.RequestId, had.ResponderId, reason, at));
        events.Add(new NeedReopened(need, reason, saidAt, at));
        // The concern that was raised after this has come before it.
        if (state.ConcernAt > saidAt)
            events.AddRange([.. RevokeAll(state, RevocationReasons.Concern, at), new NeedHeld(need.RequestId, at, state.ConcernAt)]);
        return events;
    }

    /// <param name="responder">Who the worry is about; when not told, whoever has the need in hand.</param>
    public static Decision<MatchEvent> DecideHold(MatchState state, RequestId requestId, ResponderId? responder, DateTimeOffset saidAt, DateTimeOffset at)
    {
        var events = new List<MatchEvent>();
        var holds = state.State is not (NeedState.OnHold or NeedState.Cancelled or NeedState.Closed) && saidAt > state.SaidAt;
        if (holds)
            events.AddRange(RevokeAll(state, RevocationReasons.Concern, at));
        if ((responder ?? state.Taken?.ResponderId) is { } about && (!state.Excluded.TryGetValue(about, out var why) || why != ExclusionReasons.ExcludedConcern))
            events.Add(new ResponderExcluded(about, ExclusionReasons.ExcludedConcern, at));
        if (holds)
            events.Add(new NeedHeld(requestId, at, saidAt));
        else if (state.State is NeedState.Cancelled or NeedState.Closed && saidAt > state.SaidAt && saidAt > state.ConcernAt)
            events.Add(new WordHeard(Concern: true, null, saidAt, at));
        return events;
    }

    /// <summary>A concern about the same person, in another need: this responder is not to come, and does not keep what it has.</summary>
    public static Decision<MatchEvent> DecideExclude(MatchState state, ResponderId responder, DateTimeOffset at)
    {
        if (state.Excluded.TryGetValue(responder, out var why) && why == ExclusionReasons.ExcludedConcern)
            return Decision<MatchEvent>.Nothing;
        var events = state.Offers.Where(offer => offer.HoldsPlace && offer.ResponderId == responder)
            .Select(offer => (MatchEvent)Revoked(state, offer, RevocationReasons.Concern, at)).ToList();
        events.Add(new ResponderExcluded(responder, ExclusionReasons.ExcludedConcern, at));
        return events;
    }

    private static Refusal NoSuchOffer => Refusal.NotFound("no-such-offer", "There is no such offer.");
    private static Refusal NotAccepted => Refusal.Conflict("not-accepted", "The offer has not been accepted yet.");

    private static Refusal EndedRefusal(Offer offer) => offer.Status is OfferStatus.Superseded
        ? Refusal.Conflict("place-filled", "Another responder was first. Thank you: the person is taken care of.")
        : Refusal.Conflict("offer-ended", "The offer has ended and the need is on its way to somebody else.");

    private static OfferRevoked Revoked(MatchState state, Offer offer, string reason, DateTimeOffset at, string? note = null, string? by = null) =>
        new(offer.Id, state.Need!.RequestId, offer.ResponderId, reason, note, at, by);

    private static IEnumerable<MatchEvent> RevokeAll(MatchState state, string reason, DateTimeOffset at) =>
        state.Offers.Where(offer => offer.HoldsPlace).Select(offer => Revoked(state, offer, reason, at));
}
