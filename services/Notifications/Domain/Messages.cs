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

    // What waits for this very queue is not told by it: it would be one message more to wait for.
    public static IReadOnlyList<NotificationRequested> Of(NeedStateChanged changed, Guid causeId, DateTimeOffset now) =>
        !IsTold(changed.State) || changed.Again || changed is { State: NeedState.Waiting, Reason: NeedStateChanged.TellingIsBehind } ? [] :
    [
        new(causeId, nameof(NeedStateChanged), changed.At, Audience.Requester, MessageKind.NeedState,
            changed.NeedId, changed.RequestId, changed.OfferId, changed.ResponderId,
            Offer: null, Outcome: null, changed.State, changed.RemainingQuantity, CodeOf(changed.Reason), ExpiresAt: null, now),
    ];

    public static NotificationRequested ToSubscriber(NeedStateChanged changed, Guid causeId, DateTimeOffset now) =>
        ToSubscriber(causeId, nameof(NeedStateChanged), changed.At, changed.NeedId, changed.RequestId, now) with
        {
            OfferId = changed.OfferId,
            ResponderId = changed.ResponderId,
            State = changed.State,
            RemainingQuantity = changed.RemainingQuantity,
            Reason = CodeOf(changed.Reason),
        };

    public static NotificationRequested ToSubscriber(OfferMade made, Guid causeId, DateTimeOffset now) =>
        ToSubscriber(causeId, nameof(OfferMade), made.At, made.NeedId, made.RequestId, now) with { OfferId = made.OfferId, ResponderId = made.ResponderId };

    public static NotificationRequested ToSubscriber(OfferAccepted accepted, Guid causeId, DateTimeOffset now) =>
        ToSubscriber(causeId, nameof(OfferAccepted), accepted.At, accepted.NeedId, accepted.RequestId, now) with { OfferId = accepted.OfferId, ResponderId = accepted.ResponderId };

    public static NotificationRequested ToSubscriber(OfferEnded ended, Guid causeId, DateTimeOffset now) =>
        ToSubscriber(causeId, nameof(OfferEnded), ended.At, ended.NeedId, ended.RequestId, now) with
        {
            OfferId = ended.OfferId,
            ResponderId = ended.ResponderId,
            Outcome = ended.Outcome,
            Reason = CodeOf(ended.Reason),
        };

    /// <summary>The type of the CloudEvent that a subscriber receives.</summary>
    public static string EventTypeOf(NotificationRequested request) => request.CauseType == nameof(NeedStateChanged) ? Subscription.NeedChanged : Subscription.OfferChanged;

    /// <summary>The state of the need, or of the offer, that the event is about.</summary>
    public static string StateOf(NotificationRequested request) => request switch
    {
        { CauseType: nameof(NeedStateChanged), State: { } state } => Words.Of(state),
        { CauseType: nameof(OfferMade) } => "made",
        { CauseType: nameof(OfferAccepted) } => "accepted",
        { CauseType: nameof(OfferEnded), Outcome: { } outcome } => Words.Of(outcome),
        _ => throw new InvalidOperationException($"Subscribers do not hear of {request.CauseType}."),
    };

    private static NotificationRequested ToSubscriber(Guid causeId, string causeType, DateTimeOffset causedAt, NeedId need, RequestId request, DateTimeOffset now) =>
        new(causeId, causeType, causedAt, Audience.Subscriber, MessageKind.Event, need, request, null, null,
            Offer: null, Outcome: null, State: null, RemainingQuantity: null, Reason: null, ExpiresAt: null, now);

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
