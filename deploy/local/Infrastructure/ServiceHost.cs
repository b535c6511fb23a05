using System.Collections;

namespace Huzhu.Local.Infrastructure;

public sealed record ServiceHostOptions
{
    /// <summary>An Npgsql connection string for each service that has a log, by its name.</summary>
    public required IReadOnlyDictionary<string, string> Databases { get; init; }
    public required string AmqpUri { get; init; }
    public ServiceKeys Keys { get; init; } = ServiceKeys.Random();

    /// <summary>Which services, all four by default.</summary>
    public IReadOnlyList<string> Services { get; init; } = Repository.ServiceNames;

    /// <summary>The outlines of the district for its maps, as GeoJSON; null: none are known.</summary>
    public string? District { get; init; }

    /// <summary>Where the audit finds the logs and what was sealed; null: it is not among the services.</summary>
    public IReadOnlyDictionary<string, string?>? Audit { get; init; }

    /// <summary>Processes of every service.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>Processes of one service, by its name, where they are not as many as of the others.</summary>
    public IReadOnlyDictionary<string, int> ReplicasOf { get; init; } = new Dictionary<string, int>();

    /// <summary>Settings for all services, as environment variables; they win over the ones that the host sets.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Settings for one service, by its name; they win over all others.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> EnvironmentOf { get; init; } = new Dictionary<string, IReadOnlyDictionary<string, string>>();
}

/// <summary>
/// The services as processes on free ports. Environment variables of this program reach them, and win where they name a
/// setting that the host would set; only the address to listen on is always the host's, because no two can share one.
/// </summary>
public sealed class ServiceHost : IAsyncDisposable
{
    const int PortAttempts = 3;

    ServiceHost(RunFolder run, ServiceHostOptions options, IReadOnlyList<ServiceProcess> processes)
    {
        Run = run;
        Options = options;
        Processes = processes;
    }

    public RunFolder Run { get; }
    public ServiceHostOptions Options { get; }
    public IReadOnlyList<ServiceProcess> Processes { get; }

    /// <summary>Where the file channel of Notifications writes one JSON line a message.</summary>
    public string FileChannelFolder => FileChannelFolderOf(Run);

    public ServiceProcess this[string service, int replica = 1] =>
        Processes.Single(process => process.Service == service && process.Replica == replica);

    public Uri BaseAddress(string service) => this[service].BaseAddress;

    /// <summary>A token that these services accept.</summary>
    public string Token(string subject, IEnumerable<string> roles, IEnumerable<string>? responderIds = null, IEnumerable<string>? sources = null) =>
        DevelopmentTokens.Create(Options.Keys.Signing, subject, roles, responderIds, sources);

    /// <summary>Starts all and waits until all are ready. They must have been built.</summary>
    /// <exception cref="DidNotStartException">One was not; the others have been stopped.</exception>
    public static async Task<ServiceHost> StartAsync(
        RunFolder run, ServiceHostOptions options, Repository? repository = null, CancellationToken cancellation = default)
    {
        repository ??= Repository.Find();
        if (options.Services.FirstOrDefault(service => !File.Exists(repository.ServiceAssembly(service))) is { } missing)
            throw new MissingRequirementException($"{missing} has not been built: {repository.ServiceAssembly(missing)} does not exist.");

        for (var attempt = 1; ; attempt++)
        {
            var processes = new List<ServiceProcess>();
            try
            {
                if (options.District is { } district) await File.WriteAllTextAsync(DistrictFileOf(run), district, cancellation);
                var addresses = options.Services
                    .SelectMany(service => Enumerable.Range(1, options.ReplicasOf.GetValueOrDefault(service, options.Replicas)).Select(replica => (Service: service, Replica: replica)))
                    .ToDictionary(key => key, _ => new Uri($"http://127.0.0.1:{FreePorts.Next()}"));

                // The first of each service makes its tables; the others come to a database that is there already.
                foreach (var keys in addresses.Keys.ToLookup(key => key.Replica == 1).OrderByDescending(keys => keys.Key))
                {
                    var group = keys
                        .Select(key => ServiceProcess.Start(
                            repository, run, key.Service, key.Replica, addresses[key],
                            EnvironmentOf(key.Service, addresses[key], s => addresses.GetValueOrDefault((s, 1)), run, options)))
                        .ToList();
                    processes.AddRange(group);
                    await WaitForAllAsync(group, cancellation);
                }

                return new ServiceHost(run, options, processes);
            }
            catch (Exception e)
            {
                var portTaken = e is DidNotStartException && processes.Any(p => p.LogTail().Contains("address already in use", StringComparison.OrdinalIgnoreCase));
                await Task.WhenAll(processes.Select(process => process.KillAsync()));
                if (portTaken && attempt < PortAttempts) continue;
                run.KeepLogs |= e is DidNotStartException;
                throw;
            }
        }
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(Processes.Select(process => process.StopAsync()));

    /// <summary>The first failure ends the wait for the others.</summary>
    static async Task WaitForAllAsync(IEnumerable<ServiceProcess> processes, CancellationToken cancellation)
    {
        using var others = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var waits = processes.Select(process => process.WaitUntilReadyAsync(others.Token)).ToList();
        while (waits.Count > 0)
        {
            var ended = await Task.WhenAny(waits);
            waits.Remove(ended);
            if (ended.IsFaulted) await others.CancelAsync();
            await ended;
        }
    }

    static string FileChannelFolderOf(RunFolder run) => Path.Combine(run.FullPath, "messages");

    static string DistrictFileOf(RunFolder run) => Path.Combine(run.FullPath, "district.json");

    static Dictionary<string, string?> EnvironmentOf(
        string service, Uri address, Func<string, Uri?> addressOf, RunFolder run, ServiceHostOptions options)
    {
        var settings = new Dictionary<string, string>
        {
            ["Auth__Development__SigningKey"] = options.Keys.Signing,
            ["Logging__LogLevel__Default"] = "Warning",
            ["DOTNET_gcServer"] = "0",
            // Many processes share few cores here: a thread that spins for work takes the time of one that has some.
            ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0",
            // And compiling is most of what a process does in its first minute: less is compiled twice, and what is compiled costs less.
            ["DOTNET_TC_CallCountThreshold"] = "100",
            ["DOTNET_EnableWriteXorExecute"] = "0",
            // The least size of the youngest generation, 64 MB, so that it is collected less often. Hexadecimal, as all numbers here.
            ["DOTNET_GCgen0size"] = "4000000",
        };
        if (options.Databases.TryGetValue(service, out var database))
            (settings["ConnectionStrings__EventStore"], settings["ConnectionStrings__Broker"]) = (database, options.AmqpUri);
        if (service is Repository.Audit)
            foreach (var (key, value) in options.Audit ?? new Dictionary<string, string?>())
                settings[key] = value!;
        if (service is Repository.Console)
        {
            settings["Console__CookieKey"] = settings["Console__CallerKey"] = options.Keys.Console;
            // What callers are told is written beside what everybody else is told.
            (settings["Console__CallerChannel__Kind"], settings["Console__CallerChannel__Address"]) = ("file", "callers");
        }
        if (options.District is not null && service is ("requests" or Repository.Console)) settings["Places__SubDistrictsFile"] = DistrictFileOf(run);
        if (service is "notifications" && addressOf(Repository.Console) is { } console) settings["Console__PublicUrl"] = console.AbsoluteUri.TrimEnd('/');
        if (service is "requests" or "groups" or "notifications") settings["PersonalData__MasterKey"] = options.Keys.PersonalData;
        // In the run's own folder: it holds words of people.
        if (service is "requests") settings["Channels__SpoolFolder"] = Path.Combine(run.FullPath, "spool");
        if (service is "requests" or "matching" or "notifications") settings["Offers__LinkKey"] = options.Keys.OfferLinks;
        if (service is "notifications")
        {
            settings["Channels__File__Folder"] = FileChannelFolderOf(run);
            settings["Channels__Webhook__AllowedPrivateHosts__0"] = "127.0.0.1";
            PrivateFiles.CreateFolder(FileChannelFolderOf(run));
        }
        IEnumerable<string> asked = service switch { "notifications" => Repository.ServiceNames.Where(other => other != service), "requests" => ["notifications"], Repository.Console => [.. Repository.ServiceNames, Repository.Audit], _ => [] };
        foreach (var other in asked)
            if (addressOf(other) is { } found)
                settings[$"Services__{Repository.ProjectName(other)}"] = found.AbsoluteUri.TrimEnd('/');

        var inherited = System.Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(entry => Normal((string)entry.Key)).ToHashSet();
        if (!inherited.Contains(Normal("DOTNET_ENVIRONMENT"))) settings["ASPNETCORE_ENVIRONMENT"] = "Development";

        var environment = settings.Where(setting => !inherited.Contains(Normal(setting.Key))).ToDictionary(s => s.Key, string? (s) => s.Value);
        foreach (var (key, value) in options.Environment) environment[key] = value;
        if (options.EnvironmentOf.TryGetValue(service, out var own))
            foreach (var (key, value) in own) environment[key] = value;
        environment["ASPNETCORE_URLS"] = address.AbsoluteUri.TrimEnd('/');
        return environment;

        // .NET configuration does not tell "a__b" from "A:B".
        static string Normal(string key) => key.Replace("__", ":", StringComparison.Ordinal).ToUpperInvariant();
    }
}
