using Huzhu.Notifications;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using MassTransit;

var builder = Hosting.CreateHuzhuBuilder(args, "notifications");
IReadOnlyList<Type> events = [.. EventStore.EventsOf<NotificationEvent>(), .. EventStore.EventsOf<SubscriptionEvent>()];
builder.AddEventStore(events, Publishing.Map, options =>
    {
        options.Storage.ExtendedSchemaObjects.Add(AnswerBook.Table());
        NotificationIndex.Configure(options);
        SubscriptionViewProjection.Configure(options);
    },
    untold: [.. events.Except([typeof(NotificationDelivered), typeof(NotificationUndeliverable), typeof(NotificationDropped)])]);
builder.AddMessaging("notifications", bus =>
{
    bus.AddConsumer<TellOfOfferConsumer, TellOfOfferConsumerDefinition>();
    bus.AddConsumer<TellOfAcceptanceConsumer, TellOfAcceptanceConsumerDefinition>();
    bus.AddConsumer<TellOfOfferEndConsumer, TellOfOfferEndConsumerDefinition>();
    bus.AddConsumer<TellOfNeedStateConsumer, TellOfNeedStateConsumerDefinition>();
    bus.AddConsumer<ForgetPersonConsumer, ForgetPersonConsumerDefinition>();
    bus.AddConsumer<TellSubscribersConsumer, TellSubscribersConsumerDefinition>();
});
builder.Services.AddDirectories(builder.Configuration)
    .AddChannels(builder.Configuration)
    .AddSingleton(LinkWriter.Read(builder.Configuration))
    .AddSingleton<AnswerBook>()
    .AddOfferDesk(builder.Configuration)
    .AddSingleton<GroupCommit>()
    .AddKeyedSingleton<GroupCommit>(Subscriptions.Lane)
    .AddSingleton<PersonalDataVault>()
    .AddSingleton<Subscriptions>()
    .AddSingleton<NotificationLog>()
    .AddTransient<Delivery>()
    .AddTimer<DeliverNotificationTimer>()
    .AddTimer<DeliverEventTimer>(Subscriptions.Lane);

var app = builder.Build();
// Without the key that wraps the addresses the service stops here, and not at the first event.
app.Services.GetRequiredService<PersonalDataVault>();
app.UseHuzhuDefaults();
app.MapGetNotifications();
app.MapManageSubscription();
app.MapGetSubscriptions();
AnswerByMessage.Map(app);
SendReply.Map(app);
await app.RunHuzhuAsync(args);
