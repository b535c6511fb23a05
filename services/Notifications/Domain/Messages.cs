using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;

namespace Huzhu.Notifications.Domain;

/// <summary>
/// The one place that says what is told to whom. Responders hear of offers; requesters hear of their need's state, and
/// who comes when an offer is accepted.
/// </summary>
public static partial class Messages
{
    private const int LongestReason = 64;

    public static IReadOnlyList<NotificationRequested> Of(OfferMade made, Guid causeId, DateTimeOffset now) =>
    [
        new(causeId, nameof(OfferMade), made.At, Audience.Responder, MessageKind.OfferMade,
            made.NeedId, made.RequestId, made.OfferId, made.ResponderId,
            new OfferFacts(made.Kind, made.Mode, made.Quantity, made.Urgency, made.Communication, made.DistanceMetres, made.SubDistrict, made.ParallelOffers),
            Outcome: null, State: null, RemainingQuantity: null, Reason: null, made.ExpiresAt, now),
    ];

    public static IReadOnlyList<NotificationRequested> Of(OfferAccepted accepted, Guid causeId, DateTimeOffset now)
    {
        var toResponder = new NotificationRequested(causeId, nameof(OfferAccepted), accepted.At, Audience.Responder, MessageKind.OfferAccepted,
            accepted.NeedId, accepted.RequestId, accepted.OfferId, accepted.ResponderId,
            Offer: null, Outcome: null, State: null, RemainingQuantity: null, Reason: null, ExpiresAt: null, now);
        return [toResponder, toResponder with { Audience = Audience.Requester, Message = MessageKind.NeedState, State = NeedState.Accepted }];
    }

    public static IReadOnlyList<NotificationRequested> Of(OfferEnded ended, Guid causeId, DateTimeOffset now) => !IsTold(ended.Outcome) ? [] :
    [
        new(causeId, nameof(OfferEnded), ended.At, Audience.Responder, MessageKind.OfferEnded,
            ended.NeedId, ended.RequestId, ended.OfferId, ended.ResponderId,
            Offer: null, ended.Outcome, State: null, RemainingQuantity: null, CodeOf(ended.Reason), ExpiresAt: null, now),
    ];

    public static IReadOnlyList<NotificationRequested> Of(NeedStateChanged changed, Guid causeId, DateTimeOffset now) => !IsTold(changed.State) || changed.Again ? [] :
    [
        new(causeId, nameof(NeedStateChanged), changed.At, Audience.Requester, MessageKind.NeedState,
            changed.NeedId, changed.RequestId, changed.OfferId, changed.ResponderId,
            Offer: null, Outcome: null, changed.State, changed.RemainingQuantity, CodeOf(changed.Reason), ExpiresAt: null, now),
    ];

    /// <summary>A responder is told of the end of an offer that it did not end itself and that had reached it.</summary>
    public static bool IsTold(OfferOutcome outcome) => outcome switch
    {
        OfferOutcome.Superseded or OfferOutcome.Revoked or OfferOutcome.Expired or OfferOutcome.Disputed => true,
        OfferOutcome.Declined or OfferOutcome.Released or OfferOutcome.Undeliverable => false,
    };

    /// <summary>A requester is told what changes what they can expect. Acceptance is told with the name of who comes, by <see cref="OfferAccepted"/>.</summary>
    public static bool IsTold(NeedState state) => state switch
    {
        NeedState.Waiting or NeedState.Escalated or NeedState.Fulfilled or NeedState.OnHold or NeedState.Cancelled => true,
        NeedState.Partial or NeedState.Open or NeedState.Offered or NeedState.Accepted or NeedState.Started
            or NeedState.Closed or NeedState.DuplicateOf or NeedState.Reopened => false,
    };

    /// <summary>A reason that is a code; free text is left out, because people write names into it.</summary>
    private static string? CodeOf(string? reason) =>
        reason is { Length: <= LongestReason } && ReasonCode().IsMatch(reason) ? reason : null;

    [GeneratedRegex("^[a-z0-9]+(-[a-z0-9]+)*\\z", RegexOptions.CultureInvariant)]
    private static partial Regex ReasonCode();
}
