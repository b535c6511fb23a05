namespace Huzhu.Contracts.Notifications.V1;

/// <summary>The offer reached the responder, as far as the channel can tell.</summary>
public sealed record OfferDelivered(OfferId OfferId, NeedId NeedId, ResponderId ResponderId, string Channel, DateTimeOffset At);

/// <summary>No channel of the responder could carry the offer. Not a decline.</summary>
/// <param name="Reason">A reason code; <see cref="TooLate"/> when nothing is wrong with the responder's channels.</param>
public sealed record OfferUndeliverable(OfferId OfferId, NeedId NeedId, ResponderId ResponderId, string Reason, DateTimeOffset At)
{
    /// <summary>The moment until which the offer could be told had passed before anybody came to tell it.</summary>
    public const string TooLate = "offer-expired";
}
