using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Polly;
using Polly.Retry;

namespace Huzhu.Notifications;

/// <summary>A notification as it was read: its state, and the version that the next append builds on.</summary>
public sealed record Current(Notification State, long Version);

/// <summary>Reads and appends notifications' streams. A conflict is settled by reading again and deciding again.</summary>
public sealed class NotificationLog(IDocumentStore store, GroupCommit commit)
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

    /// <summary>One cause makes one notification for one audience, however often its message comes.</summary>
    public static NotificationId IdOf(Guid causeId, Audience audience) => new(DeterministicId.Of(IdSpace, audience switch
    {
        Audience.Responder => $"{causeId}:responder",
        Audience.Requester => $"{causeId}:requester",
    }));

    public async Task<Current> LoadAsync(NotificationId id, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var stored = await session.Events.FetchStreamAsync(id.Value, token: cancellation);
        return new Current(Notification.Fold(Notification.Initial, stored.Select(entry => (NotificationEvent)entry.Data)), stored.Count);
    }

    /// <summary>Starts the notification, or finds the one that this cause has made before.</summary>
    public async Task<Current> BeginAsync(NotificationId id, NotificationRequested request, string? causationId, CancellationToken cancellation)
    {
        try
        {
            // Begun without a look: nearly every cause is new, and the database refuses a second stream of the same id.
            var events = Notification.DecideRequest(Notification.Initial, request).Events;
            await commit.CommitAsync(new PendingAppend(id.Value, 0, events, NextAt: null, Cause.Current(causationId)));
            return new Current(Notification.Fold(Notification.Initial, events), events.Count);
        }
        catch (Exception exception) when (IsConflict(exception))
        {
            return await LoadAsync(id, cancellation);
        }
    }

    /// <summary>Appends what <paramref name="decide"/> says of the newest state, with the timer that its next step needs.</summary>
    /// <returns>What was appended; nothing when a newer state needs nothing.</returns>
    public async Task<IReadOnlyList<NotificationEvent>> RecordAsync(NotificationId id, Current current,
        Func<Notification, IReadOnlyList<NotificationEvent>> decide, string? causationId, CancellationToken cancellation)
    {
        for (var conflicts = 0; ; conflicts++)
        {
            var events = decide(current.State);
            if (events.Count == 0)
                return events;
            var append = new PendingAppend(id.Value, current.Version, events, Notification.Fold(current.State, events).NextAt, Cause.Current(causationId));
            try
            {
                await Append.ExecuteAsync(async _ => await commit.CommitAsync(append), cancellation);
                return events;
            }
            catch (Exception exception) when (IsConflict(exception) && conflicts < MostConflicts)
            {
                await Task.Delay(Random.Shared.Next(5, 30), cancellation);
                current = await LoadAsync(id, cancellation);
            }
        }
    }

    private static bool IsConflict(Exception exception) => exception switch
    {
        Marten.Exceptions.ExistingStreamIdCollisionException or JasperFx.Events.ExistingStreamIdCollisionException
            or EventStreamUnexpectedMaxEventIdException => true,
        AggregateException aggregate => aggregate.InnerExceptions.Any(IsConflict),
        _ => exception.InnerException is { } inner && IsConflict(inner),
    };
}
