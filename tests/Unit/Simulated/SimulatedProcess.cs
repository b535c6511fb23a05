namespace Huzhu.Tests.Unit.Simulated;

/// <summary>
/// A replica of a service. What it does are steps between which anything else may happen, a crash too: every
/// <c>yield return</c> stands where the real one waits for the database or the broker.
/// </summary>
internal abstract class SimulatedProcess(World world)
{
    private readonly List<Running> _running = [];

    protected World World { get; } = world;
    public int Busy => _running.Count;

    /// <summary>How far the clock of its machine is off.</summary>
    public TimeSpan Skew { get; set; }
    public DateTimeOffset Now => World.Now + Skew;

    private sealed record Running(IEnumerator<bool> Steps, Delivery? Delivery, SimulatedTimer? Timer, Call? Call);

    public void Receive(Delivery delivery) => _running.Add(new Running(Handle(delivery).GetEnumerator(), delivery, null, null));
    public void Fire(SimulatedTimer timer) => _running.Add(new Running(Handle(timer).GetEnumerator(), null, timer, null));
    public void Serve(Call call) => _running.Add(new Running(call.Work.GetEnumerator(), null, null, call));
    public void Begin(IEnumerable<bool> work) => _running.Add(new Running(work.GetEnumerator(), null, null, null));

    protected abstract IEnumerable<bool> Handle(Delivery delivery);
    protected abstract IEnumerable<bool> Handle(SimulatedTimer timer);
    protected abstract SimulatedLog Log { get; }

    /// <summary>Everything that lives in memory goes.</summary>
    protected virtual void Forget()
    {
    }

    /// <summary>What the process does by itself, besides what comes to it.</summary>
    public virtual void Idle()
    {
    }

    /// <summary>One step of one of the things at hand.</summary>
    /// <returns>Whether it came any further; false when it only waits.</returns>
    public bool Step(int which)
    {
        var running = _running[which];
        bool more, moved = true;
        try
        {
            more = running.Steps.MoveNext();
            moved = !more || running.Steps.Current;
        }
        catch (ConsumerFailedException) when (running.Delivery is { } delivery)
        {
            // Four tries, as Messaging has it, then the queue for what could not be done.
            _running.Remove(running);
            if (++delivery.Failures < 4)
            {
                delivery.IsTaken = false;
            }
            else
            {
                World.Bus.Waiting.Remove(delivery);
                World.Bus.SetAside.Add(delivery);
            }
            return true;
        }
        catch (ConsumerFailedException) when (running.Timer is { } timer)
        {
            _running.Remove(running);
            timer.IsTaken = false;
            return true;
        }
        catch (ConsumerFailedException) when (running.Call is { } call)
        {
            _running.Remove(running);
            call.Fate = Fate.Lost;
            return true;
        }
        if (more)
            return moved;
        _running.Remove(running);
        if (running.Delivery is not null)
            World.Bus.Acknowledge(running.Delivery);
        if (running.Timer is not null)
            Log.Timers.Remove(running.Timer);
        if (running.Call is { } answered)
            answered.Fate = World.Faults.On && World.Chance.OneIn(10) ? Fate.Lost : Fate.Answered;
        return true;
    }

    public void Crash()
    {
        foreach (var running in _running)
        {
            if (running.Delivery is not null)
                running.Delivery.IsTaken = false;
            if (running.Timer is not null)
                running.Timer.IsTaken = false;
            if (running.Call is not null)
                running.Call.Fate = Fate.Lost;
        }
        _running.Clear();
        Forget();
    }
}

internal enum Fate { Pending, Answered, Lost }

/// <summary>A call over HTTP. Whoever made it hears the answer, or nothing, and then does not know what came of it.</summary>
internal sealed class Call(IEnumerable<bool> work)
{
    public IEnumerable<bool> Work { get; } = work;
    public Fate Fate { get; set; }
}

internal sealed class ConsumerFailedException(string message, Exception? inner = null) : Exception(message, inner);
