using System.Text.Json.Serialization;

namespace Huzhu.Contracts.Matching.V1;

/// <summary>
/// Where a need stands now. The highest <paramref name="Version"/> wins, so that late and repeated messages do no harm.
/// </summary>
/// <param name="Version">Version of the need's match stream at this change.</param>
/// <param name="ResponderId">Who holds the need, from acceptance on.</param>
/// <param name="Reason">A reason code: why it waits, is escalated, went back to matching.</param>
/// <param name="RemainingQuantity">What is still to be done, after partial fulfilment.</param>
/// <param name="Again">The need has been in this state before and nobody has accepted it since: nothing new for the person.</param>
public sealed record NeedStateChanged(
    NeedId NeedId, RequestId RequestId, long Version, NeedState State, OfferId? OfferId, ResponderId? ResponderId,
    string? Reason, int RemainingQuantity, DateTimeOffset At, bool Again = false)
{
    /// <summary>It waits for this system, and not for a responder: offers are made faster than they can be told.</summary>
    public const string TellingIsBehind = "telling-is-behind";
}

/// <summary>
/// One responder is asked to take one need. Whoever tells it must do so before <paramref name="ExpiresAt"/>; from then on
/// the responder has as long to answer as from <paramref name="At"/> to <paramref name="ExpiresAt"/>.
/// </summary>
/// <param name="DistanceMetres">Great-circle distance to the nearest open site; null for online help.</param>
/// <param name="ParallelOffers">How many responders are asked at the same time; the first to accept gets the need.</param>
public sealed record OfferMade(
    OfferId OfferId, NeedId NeedId, RequestId RequestId, ResponderId ResponderId, ResponderKind ResponderKind,
    string Kind, DeliveryMode Mode, int Quantity, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication,
    double? DistanceMetres, string? SubDistrict, int ParallelOffers, DateTimeOffset ExpiresAt, DateTimeOffset At);

/// <summary>The responder took the need. From here on it may see the exact place and the contact.</summary>
public sealed record OfferAccepted(OfferId OfferId, NeedId NeedId, RequestId RequestId, ResponderId ResponderId, DateTimeOffset At);

/// <summary>An offer ended other than by being done. The responder is told, unless it ended the offer itself.</summary>
public sealed record OfferEnded(
    OfferId OfferId, NeedId NeedId, RequestId RequestId, ResponderId ResponderId, OfferOutcome Outcome, string? Reason, DateTimeOffset At);

[JsonConverter(typeof(KebabEnumConverter<OfferOutcome>))]
public enum OfferOutcome { Declined, Expired, Undeliverable, Superseded, Released, Revoked, Disputed }
