using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Storage;

/// <summary>
/// Commits what is queued: everything that came while the previous transaction ran goes into the next one, and each
/// caller is answered after its own commit. No timer, so nothing waits at low load; at high load one disk flush carries
/// many. When a page cannot be committed as a whole, its items are committed one by one, so that none harms another.
/// </summary>
public abstract class GroupCommit<TItem, TAnswer>(int capacity, int pageSize, ILogger logger) : BackgroundService
{
    private const int MaxAttempts = 6;
    private static readonly Histogram<int> PageSizes =
        new Meter("Huzhu.Requests").CreateHistogram<int>("huzhu.requests.commit.items", description: "Items committed in one transaction");

    private readonly Channel<Queued> _queue = Channel.CreateBounded<Queued>(new BoundedChannelOptions(capacity) { SingleReader = true });

    /// <summary>Queues an item and waits for its commit; null when the queue is full.</summary>
    /// <param name="keepFree">So many places are left to others.</param>
    public Task<TAnswer>? TryAdd(TItem item, int keepFree = 0)
    {
        if (_queue.Reader.Count >= capacity - keepFree)
            return null;
        var queued = new Queued(item, new TaskCompletionSource<TAnswer>(TaskCreationOptions.RunContinuationsAsynchronously));
        return _queue.Writer.TryWrite(queued) ? queued.Answer.Task : null;
    }

    /// <summary>Queues an item as soon as there is room, and waits for its commit.</summary>
    public async Task<TAnswer> AddAsync(TItem item, CancellationToken cancellation)
    {
        var queued = new Queued(item, new TaskCompletionSource<TAnswer>(TaskCreationOptions.RunContinuationsAsynchronously));
        await _queue.Writer.WriteAsync(queued, cancellation);
        return await queued.Answer.Task.WaitAsync(cancellation);
    }

    /// <summary>Commits all items in one transaction. What it reads it must read anew: it is called again after a conflict.</summary>
    /// <returns>One answer for each item, in order.</returns>
    protected abstract Task<IReadOnlyList<TAnswer>> CommitAsync(IReadOnlyList<TItem> items, CancellationToken cancellation);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // Those who are waiting get their answer before the service ends: the loop ends by itself when the queue is empty.
        // The base's way, a cancelled token, could end it before it begins.
        _queue.Writer.TryComplete();
        if (ExecuteTask is { } running)
            await running.WaitAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var page = new List<Queued>(pageSize);
        while (await _queue.Reader.WaitToReadAsync(CancellationToken.None))
        {
            page.Clear();
            while (page.Count < pageSize && _queue.Reader.TryRead(out var queued))
                page.Add(queued);
            await CommitPageAsync(page);
        }
    }

    private async Task CommitPageAsync(List<Queued> page)
    {
        try
        {
            var answers = await CommitAsync([.. page.Select(queued => queued.Item)], CancellationToken.None);
            PageSizes.Record(page.Count);
            for (var index = 0; index < page.Count; index++)
                page[index].Answer.SetResult(answers[index]);
        }
        catch (Exception exception) when (Messaging.IsServerAway(exception))
        {
            foreach (var queued in page)
                queued.Answer.SetException(exception);
        }
        catch (Exception exception)
        {
            logger.LogInformation("{Count} items could not be committed together ({Reason}); committing them one by one", page.Count, exception.GetType().Name);
            foreach (var queued in page)
                await CommitAloneAsync(queued);
        }
    }

    private async Task CommitAloneAsync(Queued queued)
    {
        try
        {
            queued.Answer.SetResult((await Conflict.RetryAsync(() => CommitAsync([queued.Item], CancellationToken.None), MaxAttempts))[0]);
        }
        catch (Exception exception)
        {
            queued.Answer.SetException(exception);
        }
    }

    private readonly record struct Queued(TItem Item, TaskCompletionSource<TAnswer> Answer);
}
