using System.Diagnostics;
using System.Net;

namespace Huzhu.Local.Infrastructure;

/// <summary>One replica of a service: the built program as a child process, with its settings in the environment.</summary>
public sealed class ServiceProcess
{
    static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(3);
    static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(30);
    static readonly HttpClient Probe = new() { Timeout = TimeSpan.FromSeconds(5) };

    readonly RunFolder _run;
    readonly ChildStart _start;
    ChildProcess _process;

    ServiceProcess(RunFolder run, string service, int replica, Uri baseAddress, ChildStart start)
    {
        _run = run;
        _start = start;
        Service = service;
        Replica = replica;
        BaseAddress = baseAddress;
        _process = run.Start(start);
    }

    /// <summary>"requests", "groups", "matching", "notifications", "console" or "audit".</summary>
    public string Service { get; }

    /// <summary>1 for the first.</summary>
    public int Replica { get; }

    /// <summary>"matching" for the first, "matching-2" for the second.</summary>
    public string Name => NameOf(Service, Replica);
    public Uri BaseAddress { get; }
    public string LogFile => _start.LogFile!;
    public int Pid => _process.Pid;
    public bool IsAlive => _process.IsAlive;

    /// <summary>Runs from when it was asked to stop until it is ready again.</summary>
    public Stopwatch? Stopping { get; private set; }

    public static string NameOf(string service, int replica) => replica == 1 ? service : $"{service}-{replica}";

    internal static ServiceProcess Start(
        Repository repository, RunFolder run, string service, int replica, Uri baseAddress, IReadOnlyDictionary<string, string?> environment)
    {
        var assembly = repository.ServiceAssembly(service);
        var name = NameOf(service, replica);
        return new ServiceProcess(run, service, replica, baseAddress, new ChildStart(
            name,
            DotNet.Program,
            service is Repository.Audit ? [assembly, "serve"] : [assembly],
            environment,
            Path.Combine(run.LogsFolder, $"{name}.log"),
            // appsettings.json is looked for in the working folder.
            WorkingFolder: Path.GetDirectoryName(assembly)));
    }

    /// <summary>Waits for 200 from <c>/health/ready</c>.</summary>
    /// <exception cref="DidNotStartException">It ended, or was not ready in time; the message holds the end of its log.</exception>
    public async Task WaitUntilReadyAsync(CancellationToken cancellation = default)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < ReadyWithin && IsAlive)
        {
            if (await IsReadyAsync(BaseAddress, cancellation)) return;
            await Task.Delay(50, cancellation);
        }

        var why = IsAlive ? $"was not ready after {ReadyWithin.TotalSeconds:0} s" : "ended while it started";
        throw new DidNotStartException($"{Name} {why}. The end of its log:\n{_process.LogTail()}");
    }

    public static async Task<bool> IsReadyAsync(Uri baseAddress, CancellationToken cancellation = default)
    {
        try
        {
            using var answer = await Probe.GetAsync(new Uri(baseAddress, "health/ready"), cancellation);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    /// <summary>kill -9: nothing is finished, nothing is told to anybody.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>Starts it again, on the same address and with the same settings, and waits until it is ready.</summary>
    public async Task RestartAsync(CancellationToken cancellation = default)
    {
        if (IsAlive) await StopAsync();
        _process = _run.Start(_start);
        await WaitUntilReadyAsync(cancellation);
        Stopping = null;
    }

    /// <summary>The process stands still with all its connections open, as on a machine that swaps or hangs.</summary>
    public void Freeze() => _process.Signal(Signal.Stop);

    public void Thaw() => _process.Signal(Signal.Continue);

    /// <summary>SIGTERM, as Kubernetes stops it, and SIGKILL after thirty seconds.</summary>
    public Task StopAsync()
    {
        Stopping = Stopwatch.StartNew();
        return _process.StopAsync(Signal.Terminate, StopPatience);
    }

    internal string LogTail() => _process.LogTail();
}
