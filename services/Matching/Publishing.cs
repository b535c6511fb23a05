using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Matching.Domain;
using JasperFx.Events;
using Marten;

namespace Huzhu.Matching;

/// <summary>
/// What each stored event tells the other services. Pure: an event carries all that its messages need. Ledger, policy
/// and measures are Matching's own business.
/// </summary>
public static class Publishing
{
    public static ValueTask<IReadOnlyList<object>> Map(IEvent stored, IQuerySession log, CancellationToken cancellation) =>
        ValueTask.FromResult(stored.Data is MatchEvent change ? Of(NeedId.Of(stored.StreamId), stored.Version, change) : []);

    public static IReadOnlyList<object> Of(NeedId needId, long version, MatchEvent change)
    {
        return change switch
        {
            Domain.OfferMade made when made.NewlyOffered => [Told(made), State(made.RequestId, NeedState.Offered, made.Quantity, made.OfferId)],
            Domain.OfferMade made => [Told(made)],
            Domain.OfferAccepted accepted =>
            [
                State(accepted.RequestId, NeedState.Accepted, accepted.Remaining, accepted.OfferId, accepted.ResponderId),
                new Contracts.Matching.V1.OfferAccepted(accepted.OfferId, needId, accepted.RequestId, accepted.ResponderId, accepted.At),
            ],
            HelpStarted started => [State(started.RequestId, NeedState.Started, started.Remaining, started.OfferId, started.ResponderId)],
            HelpCompleted { Remaining: 0 } done => [State(done.RequestId, NeedState.Fulfilled, 0, done.OfferId, done.ResponderId)],
            // What follows in the same transaction says where the rest stands.
            HelpCompleted => [],
            OfferDeclined declined => [Ended(declined, OfferOutcome.Declined, Words.Of(declined.Reason))],
            OfferExpired expired => [Ended(expired, OfferOutcome.Expired, null)],
            OfferUndeliverable undeliverable => [Ended(undeliverable, OfferOutcome.Undeliverable, undeliverable.Reason)],
            OfferSuperseded superseded => [Ended(superseded, OfferOutcome.Superseded, "place-filled")],
            OfferRevoked revoked => [Ended(revoked, OfferOutcome.Revoked, revoked.Reason)],
            OfferReleased released => [Ended(released, OfferOutcome.Released, released.Reason)],
            OfferDisputed disputed => [Ended(disputed, OfferOutcome.Disputed, disputed.Reason)],
            NeedWaits waits => [State(waits.RequestId, NeedState.Waiting, waits.Remaining, reason: waits.Reason, again: waits.Again)],
            NeedEscalated escalated => [State(escalated.RequestId, NeedState.Escalated, escalated.Remaining, reason: escalated.Reason, again: escalated.Again)],
            NeedHeld held => [State(held.RequestId, NeedState.OnHold, 0, reason: RevocationReasons.Concern)],
            NeedCancelled cancelled => [State(cancelled.RequestId, NeedState.Cancelled, 0, reason: cancelled.Reason)],
            NeedConfirmed confirmed => [State(confirmed.RequestId, NeedState.Closed, 0)],
            NeedReceived or NeedUrgencyRaised or OfferSent or NeedReopened or ResponderExcluded or WordHeard => [],
            _ => throw new InvalidOperationException($"Nobody has said what {change.GetType().Name} tells the other services."),
        };

        NeedStateChanged State(RequestId requestId, NeedState state, int remaining, OfferId? offerId = null, ResponderId? responderId = null, string? reason = null, bool again = false) =>
            new(needId, requestId, version, state, offerId, responderId, reason, remaining, change.At, again);

        OfferEnded Ended(OfferEnding ending, OfferOutcome outcome, string? reason) =>
            new(ending.OfferId, needId, ending.RequestId, ending.ResponderId, outcome, reason, ending.At);

        Contracts.Matching.V1.OfferMade Told(Domain.OfferMade made) => new(
            made.OfferId, needId, made.RequestId, made.ResponderId, made.ResponderKind, made.Kind, made.Mode, made.Quantity, made.Urgency,
            made.Communication, made.Explanation.DistanceMetres, made.SubDistrict, made.ParallelOffers, made.ExpiresAt, made.At);
    }
}
