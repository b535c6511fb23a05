namespace Huzhu.Contracts.Notifications.V1;

/// <summary>The offer reached the responder, as far as the channel can tell.</summary>
public sealed record OfferDelivered(OfferId OfferId, NeedId NeedId, ResponderId ResponderId, string Channel, DateTimeOffset At);

/// <summary>No channel of the responder could carry the offer. Not a decline.</summary>
public sealed record OfferUndeliverable(OfferId OfferId, NeedId NeedId, ResponderId ResponderId, string Reason, DateTimeOffset At);
