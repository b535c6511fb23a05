using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Notifications;

/// <summary>The parts of Notifications beside its store and its bus.</summary>
public static class Setup
{
    public static IReadOnlyList<Type> Events { get; } = [.. EventStore.EventsOf<NotificationEvent>(), .. EventStore.EventsOf<SubscriptionEvent>(), typeof(DataKeysRewrapped)];

    public static void Configure(StoreOptions options)
    {
        options.Storage.ExtendedSchemaObjects.Add(AnswerBook.Table());
        NotificationIndex.Configure(options);
        SubscriptionViewProjection.Configure(options);
    }

    public static void AddNotifications(this WebApplicationBuilder builder) => builder.Services
        .AddDirectories(builder.Configuration)
        .AddChannels(builder.Configuration)
        .AddSingleton(LinkWriter.Read(builder.Configuration))
        .AddSingleton<AnswerBook>()
        .AddOfferDesk(builder.Configuration)
        .AddSingleton<GroupCommit>()
        .AddKeyedSingleton<GroupCommit>(Subscriptions.Lane)
        .AddVault()
        .AddSingleton<Subscriptions>()
        .AddSingleton<NotificationLog>()
        .AddTransient<Delivery>()
        .AddTimer<DeliverNotificationTimer>()
        .AddTimer<DeliverEventTimer>(Subscriptions.Lane);
}
