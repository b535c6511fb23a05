using Huzhu.Notifications;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using MassTransit;

var builder = Hosting.CreateHuzhuBuilder(args, "notifications");
builder.AddEventStore(EventStore.EventsOf<NotificationEvent>(), Publishing.Map, options =>
{
    options.Storage.ExtendedSchemaObjects.Add(AnswerBook.Table());
    NotificationIndex.Configure(options);
},
    untold: [.. EventStore.EventsOf<NotificationEvent>().Except([typeof(NotificationDelivered), typeof(NotificationUndeliverable), typeof(NotificationDropped)])]);
builder.AddMessaging("notifications", bus =>
{
    bus.AddConsumer<TellOfOfferConsumer, TellOfOfferConsumerDefinition>();
    bus.AddConsumer<TellOfAcceptanceConsumer, TellOfAcceptanceConsumerDefinition>();
    bus.AddConsumer<TellOfOfferEndConsumer, TellOfOfferEndConsumerDefinition>();
    bus.AddConsumer<TellOfNeedStateConsumer, TellOfNeedStateConsumerDefinition>();
});
builder.Services.AddDirectories(builder.Configuration)
    .AddChannels(builder.Configuration)
    .AddSingleton(LinkWriter.Read(builder.Configuration))
    .AddSingleton<AnswerBook>()
    .AddOfferDesk(builder.Configuration)
    .AddSingleton<GroupCommit>()
    .AddSingleton<NotificationLog>()
    .AddTransient<Delivery>()
    .AddTimer<DeliverNotificationTimer>();

var app = builder.Build();
app.UseHuzhuDefaults();
app.MapGetNotifications();
AnswerByMessage.Map(app);
SendReply.Map(app);
await app.RunHuzhuAsync(args);
