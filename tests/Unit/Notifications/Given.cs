using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;

namespace Huzhu.Tests.Unit.Notifications;

/// <summary>Fixed values, so that a failing test prints something that can be read.</summary>
internal static class Given
{
    public static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 30, 0, TimeSpan.Zero);
    public static readonly Guid Cause = Guid.Parse("0197b0a0-0000-7000-8000-0000000000c1");
    public static readonly NeedId Need = new(Guid.Parse("0197b0a0-0000-7000-8000-0000000000a1"));
    public static readonly RequestId Request = new(Guid.Parse("0197b0a0-0000-7000-8000-0000000000a2"));
    public static readonly OfferId Offer = new(Guid.Parse("0197b0a0-0000-7000-8000-0000000000a3"));
    public static readonly ResponderId Responder = new(Guid.Parse("0197b0a0-0000-7000-8000-0000000000a4"));

    public static readonly ChannelAbilities Both = new(Text: true, Voice: true);
    public static readonly ChannelAbilities TextOnly = new(Text: true, Voice: false);
    public static readonly ChannelAbilities VoiceOnly = new(Text: false, Voice: true);

    public static readonly ChannelOption Webhook = new("webhook", Both);
    public static readonly ChannelOption File = new("file", TextOnly);
    public static readonly ChannelOption Voice = new("voice", VoiceOnly);
    public static readonly ChannelOption NotInstalled = new("pigeon", null);

    public static OfferMade Made(TimeSpan? life = null) => new(Offer, Need, Request, Responder, ResponderKind.Group,
        ServiceKinds.Medicine, DeliveryMode.Offline, 1, Urgency.Health, [CommunicationNeed.TextOnly], 420.5, "J", 1, Now + (life ?? TimeSpan.FromMinutes(15)), Now);

    public static OfferAccepted Accepted() => new(Offer, Need, Request, Responder, Now);

    public static OfferEnded Ended(OfferOutcome outcome, string? reason = null) => new(Offer, Need, Request, Responder, outcome, reason, Now);

    public static NeedStateChanged State(NeedState state, string? reason = null) => new(Need, Request, 3, state, null, null, reason, 1, Now);

    public static NotificationRequested OfferRequest(TimeSpan? life = null) => Messages.Of(Made(life), Cause, Now).Single();

    public static NotificationRequested WaitingRequest() => Messages.Of(State(NeedState.Waiting), Cause, Now).Single();

    public static Notification Pending(NotificationRequested request, params NotificationEvent[] then) =>
        Notification.Fold(Notification.Initial, [request, .. then]);

    public static readonly Guid Subscription = Guid.Parse("0197b0a0-0000-7000-8000-0000000000e1");

    /// <summary>Every kind of event that subscribers hear.</summary>
    public static IEnumerable<NotificationRequested> EveryEvent() => new[]
    {
        Messages.ToSubscriber(State(NeedState.Waiting, "nobody-left"), Cause, Now),
        Messages.ToSubscriber(Made(), Cause, Now),
        Messages.ToSubscriber(Accepted(), Cause, Now),
        Messages.ToSubscriber(Ended(OfferOutcome.Revoked, "Mrs Lin called"), Cause, Now),
    }.Select(request => request with { SubscriptionId = Subscription });

    /// <summary>Every kind of notification that the map of messages can make.</summary>
    public static IEnumerable<NotificationRequested> EveryRequest() =>
    [
        .. Messages.Of(Made(), Cause, Now),
        .. Messages.Of(Accepted(), Cause, Now),
        .. Enum.GetValues<OfferOutcome>().SelectMany(outcome => Messages.Of(Ended(outcome, "a-reason"), Cause, Now)),
        .. Enum.GetValues<NeedState>().SelectMany(state => Messages.Of(State(state, "a-reason"), Cause, Now)),
    ];
}
