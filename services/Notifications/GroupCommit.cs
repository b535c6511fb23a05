using System.Collections.Concurrent;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Notifications;

/// <param name="Version">The stream's version that the events build on; 0 starts the stream.</param>
/// <param name="NextAt">When a timer of the kind <paramref name="TimerKind"/> is to go on with the notification; null for none.</param>
public sealed record PendingAppend(Guid Stream, long Version, IReadOnlyList<NotificationEvent> Events, DateTimeOffset? NextAt, string TimerKind, Cause Cause);

/// <summary>
/// Commits appends of different notifications in one transaction, when there are several at once. Whoever has its turn
/// commits for all that wait, so that nothing waits for a clock: alone, an append is committed at once.
/// </summary>
public sealed class GroupCommit(IDocumentStore store) : IDisposable
{
    private const int MostAppends = 100;

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ConcurrentQueue<Waiting> _waiting = new();

    private sealed record Waiting(PendingAppend Append)
    {
        public TaskCompletionSource Committed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Returns after the commit. A conflict of one append is thrown to its caller alone.</summary>
    public async Task CommitAsync(PendingAppend append)
    {
        var own = new Waiting(append);
        _waiting.Enqueue(own);
        // Not to be cancelled: somebody else may be committing it already.
        await _turn.WaitAsync();
        try
        {
            while (!own.Committed.Task.IsCompleted)
                await CommitNextAsync();
        }
        finally
        {
            _turn.Release();
        }
        await own.Committed.Task;
    }

    public void Dispose() => _turn.Dispose();

    private async Task CommitNextAsync()
    {
        var batch = new List<Waiting>();
        var streams = new HashSet<Guid>();
        // A second append to the same stream builds on the first, so it waits for the next transaction.
        while (batch.Count < MostAppends && _waiting.TryPeek(out var next) && streams.Add(next.Append.Stream) && _waiting.TryDequeue(out _))
            batch.Add(next);
        try
        {
            await SaveAsync(batch);
            batch.ForEach(waiting => waiting.Committed.SetResult());
        }
        catch (Exception exception) when (batch.Count == 1 || Messaging.IsServerAway(exception))
        {
            batch.ForEach(waiting => waiting.Committed.SetException(exception));
        }
        catch (Exception)
        {
            // One of them spoiled the transaction for all; alone, each learns its own fate.
            foreach (var waiting in batch)
            {
                try
                {
                    await SaveAsync([waiting]);
                    waiting.Committed.SetResult();
                }
                catch (Exception exception)
                {
                    waiting.Committed.SetException(exception);
                }
            }
        }
    }

    private async Task SaveAsync(List<Waiting> batch)
    {
        await using var session = store.LightweightSession();
        // In one order, or two replicas that touch the same streams would wait for each other.
        foreach (var append in batch.Select(waiting => waiting.Append).OrderBy(append => append.Stream))
        {
            var action = append.Version == 0
                ? session.Events.StartStream(append.Stream, append.Events.Cast<object>())
                : session.Events.Append(append.Stream, append.Version + append.Events.Count, append.Events.Cast<object>());
            action.CausedBy(append.Cause);
            if (append.NextAt is { } next)
                session.Schedule(append.TimerKind, append.Stream, next);
        }
        await session.SaveChangesAsync();
    }
}
