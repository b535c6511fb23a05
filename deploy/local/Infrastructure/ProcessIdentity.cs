using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// A process id with the time at which the process began, in clock ticks since boot. The kernel gives ids out again:
/// a signal goes only to the process that was meant, never to a later one with its number.
/// </summary>
public readonly record struct ProcessIdentity(int Pid, long StartedAtTicks)
{
    public static ProcessIdentity Current { get; } =
        Of(Environment.ProcessId) ?? throw new PlatformNotSupportedException("./huzhu needs Linux: /proc was not found.");

    public static ProcessIdentity? Of(int pid) => ReadStat(pid) is var (_, startedAt) ? new(pid, startedAt) : null;

    /// <summary>A zombie counts as gone: it holds neither a port nor a file, and only its parent can bury it.</summary>
    public bool IsAlive => ReadStat(Pid) is var (state, startedAt) && startedAt == StartedAtTicks && state is not 'Z' and not 'X';

    public void Signal(Signal signal)
    {
        if (IsAlive) _ = kill(Pid, (int)signal);
    }

    /// <summary>Every process that we start leads its own group, so its children are reached by the same number.</summary>
    public void SignalGroup(Signal signal)
    {
        if (IsAlive) _ = kill(-Pid, (int)signal);
    }

    /// <summary>The processes that this one has started and that live.</summary>
    public IReadOnlyList<ProcessIdentity> Children()
    {
        var parent = Pid;
        return
        [
            .. Directory.EnumerateDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) ? pid : 0)
                .Where(pid => pid > 0 && ParentOf(pid) == parent).Select(Of).OfType<ProcessIdentity>(),
        ];
    }

    /// <returns>False when the process was still alive after <paramref name="limit"/>.</returns>
    public async Task<bool> WaitUntilGoneAsync(TimeSpan limit)
    {
        var watch = Stopwatch.StartNew();
        while (IsAlive)
        {
            if (watch.Elapsed > limit) return false;
            await Task.Delay(20);
        }

        return true;
    }

    static (char State, long StartedAtTicks)? ReadStat(int pid)
    {
        try
        {
            // The name in parentheses may hold spaces and parentheses itself: what counts begins after the last one.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (fields[0][0], long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    static int? ParentOf(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [DllImport("libc", SetLastError = true)]
    static extern int kill(int pid, int signal);
}

public enum Signal
{
    Interrupt = 2,
    Quit = 3,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}
