namespace Huzhu.Requests.Storage;

/// <summary>
/// How long it takes to take somebody in, looked at once a second. What waits counts too: a commit that does not come back
/// says nothing of how long it took, and would otherwise look like a quiet second.
/// </summary>
public sealed class SubmissionPace(TimeProvider time)
{
    /// <summary>One slow second is a pause of something, several in a row are a load.</summary>
    public const int SlowSeconds = 3;

    private readonly Queue<double> _latest = new(Enumerable.Repeat(0.0, SlowSeconds));
    private long _quickest = long.MaxValue;
    private long _waitingSince;

    /// <summary>A page of submissions is about to be committed.</summary>
    /// <param name="youngest">When the youngest of them came, a timestamp of the clock.</param>
    public void Begin(long youngest) => Volatile.Write(ref _waitingSince, youngest);

    /// <summary>It has been.</summary>
    /// <param name="youngest">As it was said when it began.</param>
    public void End(long youngest)
    {
        Abandon();
        var took = time.GetElapsedTime(youngest).Ticks;
        for (var known = Volatile.Read(ref _quickest); took < known; known = Volatile.Read(ref _quickest))
            Interlocked.CompareExchange(ref _quickest, took, known);
    }

    /// <summary>It could not be: nothing waits any more.</summary>
    public void Abandon() => Volatile.Write(ref _waitingSince, 0);

    /// <param name="threadWait">How long work that is ready waits for a thread: what a call waits before anything here hears of it.</param>
    /// <returns>Seconds that even the quickest submission took, or takes by now, in each of the latest looks; 0 when nobody called.</returns>
    public double Look(TimeSpan threadWait)
    {
        var quickest = Interlocked.Exchange(ref _quickest, long.MaxValue);
        var waitingSince = Volatile.Read(ref _waitingSince);
        var submission = quickest < long.MaxValue ? TimeSpan.FromTicks(quickest)
            : waitingSince != 0 ? time.GetElapsedTime(waitingSince)
            : TimeSpan.Zero;
        _latest.Dequeue();
        _latest.Enqueue(Math.Max(submission.TotalSeconds, threadWait.TotalSeconds));
        return _latest.Min();
    }
}
