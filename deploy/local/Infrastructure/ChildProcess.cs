using System.Diagnostics;

namespace Huzhu.Local.Infrastructure;

/// <summary>What to start, and how it is ended.</summary>
/// <param name="Environment">Added to the environment of this program, or taken from it where the value is null.</param>
/// <param name="LogFile">Where its output goes; without one it keeps the terminal.</param>
/// <param name="AbruptSignal">What ends it and its children at once: SIGKILL, except where children would outlive it.</param>
public sealed record ChildStart(
    string Name,
    string Program,
    IReadOnlyList<string> Arguments,
    IReadOnlyDictionary<string, string?> Environment,
    string? LogFile,
    string? WorkingFolder = null,
    Signal AbruptSignal = Signal.Kill);

/// <summary>
/// A server or service that we started. It leads a session of its own, so Ctrl-C in the terminal reaches only this
/// program, which then stops its children in order; its output goes to a file, so it can outlive this program.
/// </summary>
public sealed class ChildProcess
{
    // The child writes itself into the run's list before it becomes the program: no moment at which we could be
    // killed leaves a process that nobody knows of. exec keeps both the id and the start time.
    const string Launch = """
        record=$1 log=$2 signal=$3 name=$4
        shift 4
        ticks() { set -- ${1##*) }; echo "${20}"; }
        read -r stat < /proc/$$/stat
        echo "process $$ $(ticks "$stat") $signal $name" >> "$record" || exit 126
        [ -z "$log" ] || exec >> "$log" 2>&1
        exec "$@" < /dev/null
        """;

    readonly Process _process;
    readonly ProcessIdentity? _identity;

    ChildProcess(ChildStart start, Process process)
    {
        Start = start;
        _process = process;
        _identity = ProcessIdentity.Of(process.Id);
    }

    public ChildStart Start { get; }
    public string Name => Start.Name;
    public int Pid => _process.Id;
    public bool IsAlive => _identity is { IsAlive: true };

    internal static ChildProcess Begin(ChildStart start, string recordFile)
    {
        if (start.LogFile is not null) Directory.CreateDirectory(Path.GetDirectoryName(start.LogFile)!);
        var info = new ProcessStartInfo("setsid") { WorkingDirectory = start.WorkingFolder ?? "/" };
        string[] arguments =
            ["sh", "-c", Launch, "huzhu-launch", recordFile, start.LogFile ?? "", SignalName(start.AbruptSignal), start.Name, start.Program];
        foreach (var argument in arguments.Concat(start.Arguments)) info.ArgumentList.Add(argument);
        foreach (var (key, value) in start.Environment)
        {
            if (value is null) info.Environment.Remove(key);
            else info.Environment[key] = value;
        }

        return new ChildProcess(start, Process.Start(info)!);
    }

    public void Signal(Signal signal) => _identity?.Signal(signal);

    /// <summary>To the process and to those that it has started, whatever group or session these lead.</summary>
    public void SignalFamily(Signal signal)
    {
        if (_identity is not { } identity) return;
        var children = identity.Children();
        identity.SignalGroup(signal);
        foreach (var child in children) child.Signal(signal);
    }

    public async Task<int> WaitForExitAsync(CancellationToken cancellation)
    {
        await _process.WaitForExitAsync(cancellation);
        return _process.ExitCode;
    }

    /// <summary>As if the machine had lost it: no clean-up, no goodbye to the broker.</summary>
    public async Task KillAsync()
    {
        _identity?.SignalGroup(Infrastructure.Signal.Kill);
        await _process.WaitForExitAsync();
    }

    /// <summary>Asks with <paramref name="signal"/>, and ends it abruptly when it is still there after <paramref name="patience"/>.</summary>
    public async Task StopAsync(Signal signal, TimeSpan patience)
    {
        if (_identity is not { } identity) return;
        identity.Signal(signal);
        if (await identity.WaitUntilGoneAsync(patience)) return;
        identity.SignalGroup(Start.AbruptSignal);
        if (await identity.WaitUntilGoneAsync(TimeSpan.FromSeconds(5))) return;
        identity.SignalGroup(Infrastructure.Signal.Kill);
        await identity.WaitUntilGoneAsync(TimeSpan.FromSeconds(5));
    }

    public string LogTail(int lines = 25) => Start.LogFile is null ? "" : LogFiles.Tail(Start.LogFile, lines);

    static string SignalName(Signal signal) => signal switch
    {
        Infrastructure.Signal.Quit => "QUIT",
        Infrastructure.Signal.Kill => "KILL",
        Infrastructure.Signal.Terminate => "TERM",
        Infrastructure.Signal.Interrupt => "INT",
        Infrastructure.Signal.Continue or Infrastructure.Signal.Stop =>
            throw new ArgumentOutOfRangeException(nameof(signal), signal, "This signal ends nothing."),
    };
}

static class LogFiles
{
    const int TailBytes = 64 * 1024;

    public static string Tail(string file, int lines)
    {
        if (!File.Exists(file)) return "";
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        stream.Seek(-Math.Min(stream.Length, TailBytes), SeekOrigin.End);
        using var reader = new StreamReader(stream);
        return string.Join('\n', reader.ReadToEnd().TrimEnd().Split('\n').TakeLast(lines));
    }
}
