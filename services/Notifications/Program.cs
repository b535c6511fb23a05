using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using MassTransit;

var builder = Hosting.CreateHuzhuBuilder(args, "notifications");
builder.AddEventStore(Setup.Events, Publishing.Map, Setup.Configure,
    untold: [.. Setup.Events.Except([typeof(NotificationDelivered), typeof(NotificationUndeliverable), typeof(NotificationDropped)])]);
builder.AddNotifications();
builder.AddMessaging("notifications", bus =>
{
    bus.AddConsumer<TellOfOfferConsumer, TellOfOfferConsumerDefinition>();
    bus.AddConsumer<TellOfAcceptanceConsumer, TellOfAcceptanceConsumerDefinition>();
    bus.AddConsumer<TellOfOfferEndConsumer, TellOfOfferEndConsumerDefinition>();
    bus.AddConsumer<TellOfNeedStateConsumer, TellOfNeedStateConsumerDefinition>();
    bus.AddConsumer<ForgetPersonConsumer, ForgetPersonConsumerDefinition>();
    bus.AddConsumer<TellSubscribersConsumer, TellSubscribersConsumerDefinition>();
});

var app = builder.Build();
app.UseHuzhuDefaults();
app.MapGetNotifications();
app.MapManageSubscription();
app.MapGetSubscriptions();
AnswerByMessage.Map(app);
SendReply.Map(app);
await app.RunHuzhuAsync(args);
