using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// One run of servers and services: a folder <c>.local/runs/&lt;id&gt;</c> with their data, logs and the list of everything
/// that must end with it. Whoever finds the folder of a dead run can clean up after it with that list alone.
/// </summary>
/// <remarks>
/// Files: <c>owner</c> (pid and start time of the program that made it), <c>kind</c>, <c>detached</c> (when the run
/// outlives its owner), <c>pids</c> (one line for each process, container or folder elsewhere), <c>logs/</c>.
/// </remarks>
public sealed partial class RunFolder : IAsyncDisposable
{
    const int KeptFailures = 5;
    static readonly TimeSpan AbruptPatience = TimeSpan.FromSeconds(5);

    // Lives in a session of its own and outlives a kill -9 of the owner, which nothing inside the owner could.
    const string Watch = """
        exec < /dev/null > /dev/null 2>&1
        owner=$1 began=$2 folder=$3
        look() { found=; read -r stat < "/proc/$1/stat" || return 0; set -- ${stat##*) }; [ "$1" = Z ] || found=${20}; }
        each() {
          while read -r kind pid start signal name; do
            if [ "$kind" = process ]; then
              look "$pid"
              [ "$found" = "$start" ] && kill -s "${1:-$signal}" -- "-$pid"
            fi
          done < "$folder/pids"
        }
        while look "$owner"; [ "$found" = "$began" ]; do
          sleep 1
          [ -d "$folder" ] || exit 0
          [ -e "$folder/detached" ] && exit 0
        done
        [ -e "$folder/detached" ] && exit 0
        each
        sleep 2
        each KILL
        while read -r kind rest; do
          case $kind in
            container) ${rest%% *} rm -f "${rest#* }" ;;
            folder) rm -rf "$rest" ;;
          esac
        done < "$folder/pids"
        rm -rf "$folder"
        """;

    readonly Repository _repository;
    readonly List<ChildProcess> _started = [];
    ProcessIdentity? _watchdog;

    RunFolder(Repository repository, string id)
    {
        _repository = repository;
        Id = id;
    }

    internal Repository Repository => _repository;

    public string Id { get; }
    public string FullPath => Path.Combine(_repository.RunsFolder, Id);
    public string LogsFolder => Path.Combine(FullPath, "logs");

    /// <summary>"up", "demo", "test": which verb made it.</summary>
    public string Kind => ReadOrEmpty("kind").Trim();
    public bool IsDetached => File.Exists(Path.Combine(FullPath, "detached"));

    /// <summary>After a failure the logs move to <c>.local/failed/&lt;id&gt;</c> instead of going with the folder.</summary>
    public bool KeepLogs { get; set; }
    public string KeptLogsFolder => Path.Combine(_repository.LocalFolder, "failed", Id);

    string RecordFile => Path.Combine(FullPath, "pids");

    /// <summary>Makes the folder and starts the watchdog. Cleans up after runs that died before.</summary>
    public static async Task<RunFolder> CreateAsync(Repository repository, string kind)
    {
        await SweepAsync(repository);
        var id = $"{DateTime.Now:yyyyMMdd-HHmmss}-{RandomNumberGenerator.GetHexString(4, lowercase: true)}";
        var run = new RunFolder(repository, id);

        // Built under another name and renamed: nobody ever sees a run without an owner and takes it for a dead one.
        var draft = Path.Combine(repository.RunsFolder, $".{id}");
        Directory.CreateDirectory(draft);
        PrivateFiles.CreateFolder(Path.Combine(draft, "logs"));
        File.WriteAllText(Path.Combine(draft, "owner"), $"{ProcessIdentity.Current.Pid} {ProcessIdentity.Current.StartedAtTicks}\n");
        File.WriteAllText(Path.Combine(draft, "kind"), kind + "\n");
        File.WriteAllText(Path.Combine(draft, "pids"), "");
        Directory.Move(draft, run.FullPath);

        run.StartWatchdog();
        return run;
    }

    public static IReadOnlyList<RunFolder> Existing(Repository repository) =>
        Directory.Exists(repository.RunsFolder)
            ? [.. Directory.EnumerateDirectories(repository.RunsFolder)
                .Select(path => Path.GetFileName(path))
                .Where(name => !name.StartsWith('.'))
                .Order()
                .Select(name => new RunFolder(repository, name))]
            : [];

    /// <summary>Ends what is left of runs whose owner is gone, and removes their folders.</summary>
    /// <returns>How many there were.</returns>
    public static async Task<int> SweepAsync(Repository repository)
    {
        var dead = Existing(repository).Where(run => !run.IsLive).ToList();
        foreach (var run in dead) await run.EndAsync();
        return dead.Count;
    }

    /// <summary>The program that made the run, while it lives.</summary>
    public ProcessIdentity? LiveOwner
    {
        get
        {
            var fields = ReadOrEmpty("owner").Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length != 2) return null;
            var owner = new ProcessIdentity(
                int.Parse(fields[0], CultureInfo.InvariantCulture), long.Parse(fields[1], CultureInfo.InvariantCulture));
            return owner.IsAlive ? owner : null;
        }
    }

    /// <summary>Somebody still uses it: the owner, or, once detached, any of its processes.</summary>
    public bool IsLive => LiveOwner is not null || (IsDetached && Processes().Any(p => p.Identity.IsAlive));

    public IReadOnlyList<RecordedProcess> Processes() =>
    [
        .. Records("process").Select(r => r.Split(' ', 4)).Where(f => f.Length == 4).Select(f => new RecordedProcess(
            new ProcessIdentity(int.Parse(f[0], CultureInfo.InvariantCulture), long.Parse(f[1], CultureInfo.InvariantCulture)),
            f[2],
            f[3]))
    ];

    public ChildProcess Start(ChildStart start)
    {
        var process = ChildProcess.Begin(start, RecordFile);
        lock (_started) _started.Add(process);
        return process;
    }

    internal void RecordContainer(string engine, string name) => File.AppendAllText(RecordFile, $"container {engine} {name}\n");

    /// <summary>
    /// A folder for one server's data. It lies in the run's folder, unless <paramref name="user"/> cannot reach that
    /// (a clone under a home that only its owner may enter) or the path has characters that shell scripts trip over.
    /// </summary>
    internal async Task<string> FolderForAsync(string name, SystemUser? user, CancellationToken cancellation)
    {
        var inside = Path.Combine(FullPath, name);
        if (PlainPath().IsMatch(inside) && await MakeAsync(inside)) return inside;

        var outside = Path.Combine(Environment.GetEnvironmentVariable("TMPDIR") is { Length: > 0 } tmp ? tmp : "/var/tmp", $"huzhu-{Id}-{name}");
        File.AppendAllText(RecordFile, $"folder {outside}\n");
        if (PlainPath().IsMatch(outside) && await MakeAsync(outside)) return outside;
        throw new DidNotStartException(
            $"Neither {inside} nor {outside} can be used as a data folder{(user is null ? "" : $" by the user {user.Name}")}; set TMPDIR to one that can.");

        async Task<bool> MakeAsync(string folder)
        {
            PrivateFiles.CreateFolder(folder);
            if (user is null) return true;
            var owned = await Tool.RunAsync("chown", [$"{user.Uid}:{user.Gid}", folder], TimeSpan.FromSeconds(10), cancellation: cancellation);
            if (!owned.Succeeded) return false;
            var probe = user.Run("sh", ["-c", "cd \"$1\" && : > probe && rm probe", "sh", folder]);
            return (await Tool.RunAsync(probe.Program, probe.Arguments, TimeSpan.FromSeconds(10), cancellation: cancellation)).Succeeded;
        }
    }

    /// <summary>From now on the run lives without its owner, until <c>down</c>.</summary>
    public void Detach()
    {
        File.WriteAllText(Path.Combine(FullPath, "detached"), "");
        _watchdog?.SignalGroup(Signal.Kill);
    }

    /// <summary>Ends, without patience, whatever is still running, and removes the folder. Orderly stops come before.</summary>
    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        // One that has not come to write itself into the list yet.
        foreach (var process in _started.Where(process => process.IsAlive)) await process.StopAsync(Signal.Kill, AbruptPatience);
        _watchdog?.SignalGroup(Signal.Kill);
    }

    /// <summary>Ends a run that this program did not start, services before servers.</summary>
    /// <param name="patience">How long each gets to stop by itself.</param>
    public async Task StopRecordedAsync(TimeSpan patience)
    {
        var processes = Processes().Reverse().ToList();
        var services = processes.Where(p => !ServerNames.IsServer(p.Name)).ToList();
        foreach (var service in services) service.Identity.Signal(Signal.Terminate);
        await Task.WhenAll(services.Select(s => s.Identity.WaitUntilGoneAsync(patience)));
        foreach (var postgres in processes.Where(p => p.Name == ServerNames.Postgres)) postgres.Identity.Signal(Signal.Interrupt);
        foreach (var broker in processes.Where(p => p.Name == ServerNames.RabbitMq)) broker.Identity.SignalGroup(Signal.Kill);
        await Task.WhenAll(processes.Where(p => p.Name == ServerNames.Postgres).Select(p => p.Identity.WaitUntilGoneAsync(patience)));
        await EndAsync();
    }

    async Task EndAsync()
    {
        var left = Processes().Reverse().Where(p => p.Identity.IsAlive).ToList();
        foreach (var process in left)
            process.Identity.SignalGroup(process.AbruptSignal == "QUIT" ? Signal.Quit : Signal.Kill);
        foreach (var process in left)
        {
            if (await process.Identity.WaitUntilGoneAsync(AbruptPatience)) continue;
            process.Identity.SignalGroup(Signal.Kill);
            await process.Identity.WaitUntilGoneAsync(AbruptPatience);
        }

        foreach (var container in Records("container").Select(r => r.Split(' ', 2)))
            await Tool.RunAsync(container[0], ["rm", "-f", container[1]], TimeSpan.FromSeconds(30));
        foreach (var folder in Records("folder")) Remove(folder);

        if (KeepLogs && Directory.Exists(LogsFolder))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(KeptLogsFolder)!);
            Directory.Move(LogsFolder, KeptLogsFolder);
            foreach (var old in Directory.EnumerateDirectories(Path.GetDirectoryName(KeptLogsFolder)!).OrderDescending().Skip(KeptFailures))
                Remove(old);
        }

        Remove(FullPath);
    }

    static void Remove(string folder)
    {
        // A process that is just ending may still create a file between the listing and the removal.
        for (var attempt = 0; Directory.Exists(folder); attempt++)
        {
            try
            {
                Directory.Delete(folder, recursive: true);
            }
            catch (DirectoryNotFoundException)
            {
            }
            catch (IOException) when (attempt < 20)
            {
                Thread.Sleep(50);
            }
        }
    }

    void StartWatchdog()
    {
        var info = new ProcessStartInfo("setsid") { WorkingDirectory = "/" };
        string[] arguments =
        [
            "sh", "-c", Watch, "huzhu-watchdog", $"{ProcessIdentity.Current.Pid}", $"{ProcessIdentity.Current.StartedAtTicks}", FullPath,
        ];
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        _watchdog = ProcessIdentity.Of(Process.Start(info)!.Id);
    }

    IEnumerable<string> Records(string kind) =>
        ReadOrEmpty("pids").Split('\n').Where(line => line.StartsWith(kind + " ", StringComparison.Ordinal)).Select(line => line[(kind.Length + 1)..]);

    string ReadOrEmpty(string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(FullPath, file));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return "";
        }
    }

    [GeneratedRegex("^[A-Za-z0-9/._+-]+$")]
    private static partial Regex PlainPath();
}

public sealed record RecordedProcess(ProcessIdentity Identity, string AbruptSignal, string Name);

public static class ServerNames
{
    public const string Postgres = "postgres";
    public const string RabbitMq = "rabbitmq";
    public const string PortMapper = "epmd";

    public static bool IsServer(string name) => name is Postgres or RabbitMq or PortMapper;
}
