using System.Text.Json.Serialization;
using Huzhu.Notifications.Domain;
using JasperFx.Events;
using JasperFx.Events.Projections;
using Marten;
using Marten.Events.Projections;

namespace Huzhu.Notifications;

/// <summary>
/// Which notifications a need has, written once when each is requested, in the same transaction. Everything else about
/// one is read from its stream.
/// </summary>
/// <param name="SubscriptionId">Whose delivery it is, when it is one to a subscriber.</param>
/// <param name="Topic">Who is told about what: a newer cause on the same topic overtakes an older one.</param>
public sealed record NotificationEntry(
    Guid Id, Guid NeedId, string Topic, DateTimeOffset CausedAt, DateTimeOffset RequestedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? SubscriptionId = null)
{
    public static NotificationEntry Of(Guid id, NotificationRequested request) =>
        new(id, request.NeedId.Value, TopicOf(request), request.CausedAt.ToUniversalTime(), request.At.ToUniversalTime(), request.SubscriptionId);

    /// <summary>A requester hears about the need, a responder about each of its offers.</summary>
    public static string TopicOf(NotificationRequested request) => request.Audience switch
    {
        Audience.Requester => "requester",
        Audience.Responder => $"responder:{request.OfferId}",
        Audience.Subscriber => $"subscription:{request.SubscriptionId}",
    };
}

public sealed partial class NotificationIndex : EventProjection
{
    public NotificationIndex()
    {
        Name = nameof(NotificationIndex);
        Options.DeleteViewTypeOnTeardown<NotificationEntry>();
    }

    public static void Configure(StoreOptions options)
    {
        options.Projections.Add(new NotificationIndex(), ProjectionLifecycle.Inline);
        options.Schema.For<NotificationEntry>().Index(entry => entry.NeedId).Index(entry => entry.SubscriptionId!, index => index.Predicate = "data ->> 'subscriptionId' is not null");
    }

    public override ValueTask ApplyAsync(IDocumentOperations operations, IEvent e, CancellationToken cancellation)
    {
        if (e.Data is NotificationRequested request)
            operations.Store(NotificationEntry.Of(e.StreamId, request));
        return ValueTask.CompletedTask;
    }
}
