using System.Diagnostics;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// What people do and when, on the run's clock: each act starts at its second, whatever the others are waiting for, and
/// may put others on the agenda. The run ends with the first act that fails.
/// </summary>
public sealed class Agenda
{
    static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(5);

    readonly PriorityQueue<Func<CancellationToken, Task>, (double At, long Order)> _queue = new();
    readonly Lock _lock = new();
    readonly Stopwatch _clock = new();
    readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    long _order;
    int _pending;

    /// <summary>Seconds since the start.</summary>
    public double Now => _clock.Elapsed.TotalSeconds;
    public DateTimeOffset StartedAt { get; private set; }

    /// <summary>Acts that are still to come or under way.</summary>
    public int Pending => Volatile.Read(ref _pending);

    /// <summary>How late the most belated act began: the machine cannot keep up when this grows.</summary>
    public double MostBelatedSeconds { get; private set; }

    public void At(double seconds, Func<CancellationToken, Task> act)
    {
        Interlocked.Increment(ref _pending);
        lock (_lock)
            _queue.Enqueue(act, (seconds, _order++));
    }

    public void After(double seconds, Func<CancellationToken, Task> act) => At(Now + seconds, act);

    public void Start()
    {
        StartedAt = DateTimeOffset.UtcNow;
        _clock.Start();
    }

    /// <summary>Runs until it is cancelled or an act fails.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        if (!_clock.IsRunning)
            Start();
        using var timer = new PeriodicTimer(Tick);
        while (!_failed.Task.IsCompleted)
        {
            while (Next() is { } due)
                _ = ActAsync(due, cancellation);
            await timer.WaitForNextTickAsync(cancellation);
        }
        await _failed.Task;
    }

    Func<CancellationToken, Task>? Next()
    {
        lock (_lock)
        {
            if (!_queue.TryPeek(out _, out var when) || when.At > Now)
                return null;
            MostBelatedSeconds = Math.Max(MostBelatedSeconds, Now - when.At);
            return _queue.Dequeue();
        }
    }

    async Task ActAsync(Func<CancellationToken, Task> act, CancellationToken cancellation)
    {
        try
        {
            await Task.Yield();
            await act(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The run is over.
        }
        catch (Exception exception)
        {
            _failed.TrySetException(exception);
        }
        finally
        {
            Interlocked.Decrement(ref _pending);
        }
    }
}
