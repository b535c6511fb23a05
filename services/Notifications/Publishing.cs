using Huzhu.Contracts.Notifications.V1;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications;

/// <summary>What the other services hear: whether an offer reached its responder, or came too late to be told. Nobody waits for any other message.</summary>
public static class Publishing
{
    public static PublishMap Map { get; } = (stored, _, _) => ValueTask.FromResult(Of(stored.Data));

    public static IReadOnlyList<object> Of(object stored) => stored switch
    {
        NotificationDelivered { Offer: { } offer } delivered =>
            [new OfferDelivered(offer.OfferId, offer.NeedId, offer.ResponderId, delivered.Channel, delivered.At)],
        NotificationUndeliverable { Offer: { } offer } failed =>
            [new OfferUndeliverable(offer.OfferId, offer.NeedId, offer.ResponderId, failed.Reason, failed.At)],
        NotificationDropped { Offer: { } offer } dropped =>
            [new OfferUndeliverable(offer.OfferId, offer.NeedId, offer.ResponderId, dropped.Reason, dropped.At)],
        _ => [],
    };
}
