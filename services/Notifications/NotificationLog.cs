using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Polly;
using Polly.Retry;

namespace Huzhu.Notifications;

/// <summary>
/// A notification as it was read: its state, the version that the next append builds on, and what is decided and goes
/// into the log with that append.
/// </summary>
/// <param name="Began">Where its trace began; null when nothing is in the log yet.</param>
public sealed record Current(Notification State, long Version, IReadOnlyList<NotificationEvent> Decided, string? Began = null);

/// <summary>Reads and appends notifications' streams. A conflict is settled by reading again and deciding again.</summary>
/// <param name="commit">For what people are told.</param>
/// <param name="subscriptions">For what subscribers hear, which must not be in the way of the other.</param>
public sealed class NotificationLog(IDocumentStore store, GroupCommit commit, [FromKeyedServices(Subscriptions.Lane)] GroupCommit subscriptions)
{
    private const int MostConflicts = 5;

    /// <summary>The name space of notifications' ids; it must never change.</summary>
    private static readonly Guid IdSpace = new("6f1d2c7e-51b4-4b0c-9a52-0d6a3f0e8b11");

    /// <summary>
    /// When the database goes away after a message was sent, only this process knows that it was: it waits, for as long
    /// as it lives, rather than let the message be taken again and sent again.
    /// </summary>
    private static readonly ResiliencePipeline Append = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<Exception>(Messaging.IsServerAway),
            MaxRetryAttempts = int.MaxValue,
            Delay = TimeSpan.FromMilliseconds(100),
            MaxDelay = TimeSpan.FromSeconds(3),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
        })
        .Build();

    public static NotificationId IdOf(NotificationRequested request) => IdOf(request.CauseId, request.Audience, request.SubscriptionId);

    /// <summary>One cause makes one notification for one audience, however often its message comes.</summary>
    public static NotificationId IdOf(Guid causeId, Audience audience, Guid? subscriptionId = null) => new(DeterministicId.Of(IdSpace, audience switch
    {
        Audience.Responder => $"{causeId}:responder",
        Audience.Requester => $"{causeId}:requester",
        Audience.Subscriber => $"{causeId}:subscription:{subscriptionId}",
    }));

    public async Task<Current> LoadAsync(NotificationId id, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var stored = await session.Events.FetchStreamAsync(id.Value, token: cancellation);
        return new Current(Notification.Fold(Notification.Initial, stored.Select(entry => (NotificationEvent)entry.Data)), stored.Count, [], stored.FirstOrDefault()?.TraceParent());
    }

    /// <summary>
    /// The notification that this cause has made before, or a new one. A new one goes into the log together with what
    /// comes of it: until then the message behind it is not acknowledged, and comes again if this process dies.
    /// </summary>
    public async Task<Current> BeginAsync(NotificationId id, NotificationRequested request, CancellationToken cancellation) =>
        Begin(await LoadAsync(id, cancellation), request);

    /// <summary>The same without reading: for a message that will not be sent, so that a conflict tells soon enough that it is a repeat.</summary>
    public static Current BeginUnread(NotificationRequested request) => Begin(new Current(Notification.Initial, 0, []), request);

    private static Current Begin(Current current, NotificationRequested request)
    {
        var begun = Notification.DecideRequest(current.State, request).Events;
        return current with { State = Notification.Fold(current.State, begun), Decided = begun };
    }

    /// <summary>Appends what <paramref name="decide"/> says of the newest state, with the timer that its next step needs.</summary>
    /// <returns>What was appended; nothing when a newer state needs nothing.</returns>
    public async Task<IReadOnlyList<NotificationEvent>> RecordAsync(NotificationId id, Current current,
        Func<Notification, IReadOnlyList<NotificationEvent>> decide, string? causationId, CancellationToken cancellation)
    {
        for (var conflicts = 0; ; conflicts++)
        {
            var events = decide(current.State);
            IReadOnlyList<NotificationEvent> all = [.. current.Decided, .. events];
            if (all.Count == 0)
                return all;
            var ofSubscriber = current.State.Request is { Audience: Audience.Subscriber };
            var append = new PendingAppend(id.Value, current.Version, all, Notification.Fold(current.State, events).NextAt,
                ofSubscriber ? DeliverEventTimer.TimerKind : DeliverNotificationTimer.TimerKind, Cause.Current(causationId));
            try
            {
                await Append.ExecuteAsync(async _ => await (ofSubscriber ? subscriptions : commit).CommitAsync(append), cancellation);
                return events;
            }
            catch (Exception exception) when (IsConflict(exception) && conflicts < MostConflicts)
            {
                await Task.Delay(Random.Shared.Next(5, 30), cancellation);
                current = await LoadAsync(id, cancellation);
            }
        }
    }

    internal static bool IsConflict(Exception exception) => exception switch
    {
        Marten.Exceptions.ExistingStreamIdCollisionException or JasperFx.Events.ExistingStreamIdCollisionException
            or EventStreamUnexpectedMaxEventIdException => true,
        AggregateException aggregate => aggregate.InnerExceptions.Any(IsConflict),
        _ => exception.InnerException is { } inner && IsConflict(inner),
    };
}
