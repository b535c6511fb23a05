using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;

namespace Huzhu.Local.Infrastructure;

/// <summary>Where a node of a cluster runs when it is not on loopback beside the others.</summary>
/// <param name="Enter">The command that what follows it is run by there.</param>
/// <param name="Address">Where clients of this machine reach it.</param>
/// <param name="ClusterAddress">Where the other nodes reach it.</param>
public sealed record NodePlace(IReadOnlyList<string> Enter, string Address, string ClusterAddress);

/// <summary>
/// A private RabbitMQ node with the management plugin: loopback only, free ports, its own cookie, node name and port
/// mapper, so that it neither sees nor disturbs a broker of the machine.
/// </summary>
public sealed class RabbitMqServer : IAsyncDisposable
{
    public const string UserName = "huzhu";
    public const string DefaultVirtualHost = "huzhu";
    const int PortAttempts = 5;
    const string Loopback = "127.0.0.1";
    static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(3);

    readonly string _password;
    readonly RunFolder _run;
    readonly ChildProcess? _portMapper;
    readonly (ContainerEngine Engine, string Name)? _container;
    readonly HttpClient _management;
    ChildProcess? _process;

    RabbitMqServer(
        RunFolder run, int amqpPort, int managementPort, string password, ChildProcess? process, ChildProcess? portMapper, (ContainerEngine, string)? container,
        string address = Loopback)
    {
        _run = run;
        Address = address;
        AmqpPort = amqpPort;
        ManagementPort = managementPort;
        _password = password;
        _process = process;
        _portMapper = portMapper;
        _container = container;
        _management = new HttpClient { BaseAddress = new Uri($"http://{address}:{managementPort}/"), Timeout = TimeSpan.FromSeconds(15) };
        _management.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes($"{UserName}:{password}")));
    }

    public string Address { get; }
    public int AmqpPort { get; }
    public int ManagementPort { get; }

    /// <summary>Base address of the management API, with the user and password in it.</summary>
    public string ManagementUri => $"http://{UserName}:{_password}@{Address}:{ManagementPort}/";

    /// <summary>A client of the management API that is already signed in, such as <c>GetAsync("api/queues/huzhu")</c>.</summary>
    public HttpClient Management => _management;

    public string AmqpUri(string virtualHost = DefaultVirtualHost) => $"amqp://{UserName}:{_password}@{Address}:{AmqpPort}/{virtualHost}";

    public static Task<RabbitMqServer> StartAsync(Installation installation, RunFolder run, CancellationToken cancellation) =>
        installation switch
        {
            Installation.Native native => StartNativeAsync(native.Folder, run, cancellation),
            Installation.Image image => StartContainerAsync(image, run, cancellation),
            _ => throw new UnreachableException(),
        };

    /// <summary>An empty virtual host, so that tests do not meet each other's queues.</summary>
    /// <returns>The AMQP address with that virtual host.</returns>
    public async Task<string> CreateVirtualHostAsync(string name, CancellationToken cancellation = default)
    {
        (await _management.PutAsJsonAsync($"api/vhosts/{name}", new { }, cancellation)).EnsureSuccessStatusCode();
        var all = new { configure = ".*", write = ".*", read = ".*" };
        (await _management.PutAsJsonAsync($"api/permissions/{name}/{UserName}", all, cancellation)).EnsureSuccessStatusCode();
        return AmqpUri(name);
    }

    public async Task DeleteVirtualHostAsync(string name, CancellationToken cancellation = default) =>
        (await _management.DeleteAsync($"api/vhosts/{name}", cancellation)).EnsureSuccessStatusCode();

    /// <summary>kill -9 of the node. Not in a container.</summary>
    public Task KillAsync() => _process?.KillAsync() ?? throw new NotSupportedException("A RabbitMQ in a container is not killed.");

    /// <summary>The node stands still with all its connections open.</summary>
    public void Freeze() => _process?.SignalFamily(Signal.Stop);

    public void Thaw() => _process?.SignalFamily(Signal.Continue);

    /// <summary>Starts the node that was killed, on the same ports and with what it had written, and waits until it answers.</summary>
    public async Task StartAgainAsync(CancellationToken cancellation = default)
    {
        _process = _run.Start(_process!.Start);
        if (!await WaitUntilReadyAsync(cancellation)) throw new DidNotStartException($"RabbitMQ did not start again. The end of its log:\n{_process.LogTail()}");
    }

    /// <summary>
    /// Killed, not asked: an orderly stop of a node takes six seconds, to save what is thrown away in the next moment.
    /// The port mapper goes last: a node that misses it starts another one, as a daemon.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null) await _process.StopAsync(Signal.Kill, TimeSpan.FromSeconds(5));
        if (_portMapper is not null) await _portMapper.StopAsync(Signal.Kill, TimeSpan.FromSeconds(5));
        if (_container is var (engine, name)) await engine.RemoveAsync(name);
        _management.Dispose();
    }

    static async Task<RabbitMqServer> StartNativeAsync(string bin, RunFolder run, CancellationToken cancellation)
    {
        var password = Secrets.Password();
        var folder = await run.FolderForAsync("rabbitmq", user: null, cancellation);
        var log = Path.Combine(run.LogsFolder, "rabbitmq.log");
        var portMapperProgram = FindPortMapper();

        // Nodes and tools with the same cookie may run anything on each other; Erlang insists on mode 400.
        PrivateFiles.Write(Path.Combine(folder, ".erlang.cookie"), Secrets.Password(), UnixFileMode.UserRead);
        PrivateFiles.Write(Path.Combine(folder, "enabled_plugins"), "[rabbitmq_management].\n");

        for (var attempt = 1; ; attempt++)
        {
            var (amqp, management, distribution, mapper) = (FreePorts.Next(), FreePorts.Next(), FreePorts.Next(), FreePorts.Next());
            PrivateFiles.Write(Path.Combine(folder, "rabbitmq.conf"), Configuration(password, amqp, management));

            // Without a mapper the node would start epmd as a daemon, which outlives it and belongs to nobody.
            var mapperEnvironment = new Dictionary<string, string?>
            {
                ["ERL_EPMD_PORT"] = mapper.ToString(CultureInfo.InvariantCulture),
                ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
            };
            var portMapper = run.Start(new ChildStart(ServerNames.PortMapper, portMapperProgram, [], mapperEnvironment, log));
            await WaitForListenerAsync(mapper, portMapper, cancellation);

            var process = run.Start(new ChildStart(
                ServerNames.RabbitMq,
                Path.Combine(bin, "rabbitmq-server"),
                [],
                NodeEnvironment(folder, $"huzhu-{run.Id}@localhost", distribution, mapperEnvironment),
                log,
                WorkingFolder: folder));
            var server = new RabbitMqServer(run, amqp, management, password, process, portMapper, null);
            if (await server.WaitUntilReadyAsync(cancellation)) return server;

            var tail = process.LogTail();
            await server.DisposeAsync();
            if (attempt == PortAttempts || !tail.Contains("eaddrinuse", StringComparison.Ordinal))
                throw new DidNotStartException($"RabbitMQ did not start. The end of its log:\n{tail}");
            Directory.Delete(Path.Combine(folder, "mnesia"), recursive: true);
        }
    }

    /// <summary>Nodes of one broker, for tests of what a cluster promises.</summary>
    /// <param name="places">Where each of them runs; on loopback without it.</param>
    public static async Task<IReadOnlyList<RabbitMqServer>> StartClusterAsync(
        Installation.Native installation, RunFolder run, int nodes, CancellationToken cancellation, IReadOnlyList<NodePlace>? places = null)
    {
        var (password, cookie) = (Secrets.Password(), Secrets.Password());
        var names = Enumerable.Range(1, nodes).Select(number => $"huzhu-{run.Id}-{number}@{places?[number - 1].ClusterAddress ?? "localhost"}").ToList();
        var cluster = new List<RabbitMqServer>();
        var (mapper, portMapper) = (FreePorts.Next(), (ChildProcess?)null);
        foreach (var (index, name) in names.Index())
        {
            var place = places?[index] ?? new NodePlace([], Loopback, Loopback);
            var log = Path.Combine(run.LogsFolder, $"rabbitmq-{index + 1}.log");
            var mapperEnvironment = new Dictionary<string, string?> { ["ERL_EPMD_PORT"] = mapper.ToString(CultureInfo.InvariantCulture), ["ERL_EPMD_ADDRESS"] = place.ClusterAddress };
            // Nodes of one place have one port mapper, which goes with the first of them.
            var ownMapper = places is null && index > 0 ? null : run.Start(At(place, new ChildStart(ServerNames.PortMapper, FindPortMapper(), [], mapperEnvironment, log)));
            portMapper ??= ownMapper;
            if (places is null)
                await WaitForListenerAsync(mapper, portMapper!, cancellation);

            var folder = await run.FolderForAsync($"rabbitmq-{index + 1}", user: null, cancellation);
            var (amqp, management) = (FreePorts.Next(), FreePorts.Next());
            PrivateFiles.Write(Path.Combine(folder, ".erlang.cookie"), cookie, UnixFileMode.UserRead);
            PrivateFiles.Write(Path.Combine(folder, "enabled_plugins"), "[rabbitmq_management].\n");
            // A node that is cut off is given up after a few seconds, and the lesser part of a broken cluster stands still.
            PrivateFiles.Write(Path.Combine(folder, "advanced.config"), "[{kernel, [{net_ticktime, 8}]}].\n");
            PrivateFiles.Write(Path.Combine(folder, "rabbitmq.conf"), Configuration(password, amqp, management, place.Address) + string.Concat(
                names.Select((other, number) => $"cluster_formation.classic_config.nodes.{number + 1} = {other}\n")) + """
                cluster_formation.peer_discovery_backend = classic_config
                cluster_partition_handling = pause_minority

                """);
            var process = run.Start(At(place, new ChildStart(
                ServerNames.RabbitMq, Path.Combine(installation.Folder, "rabbitmq-server"), [],
                NodeEnvironment(folder, name, FreePorts.Next(), mapperEnvironment, place.ClusterAddress, hasLongName: places is not null), log, WorkingFolder: folder)));
            cluster.Add(new RabbitMqServer(run, amqp, management, password, process, ownMapper, null, place.Address));
            if (!await cluster[^1].WaitUntilReadyAsync(cancellation))
                throw new DidNotStartException($"{name} did not start. The end of its log:\n{process.LogTail()}");
        }
        return cluster;
    }

    static ChildStart At(NodePlace place, ChildStart start) =>
        place.Enter.Count == 0 ? start : start with { Program = place.Enter[0], Arguments = [.. place.Enter.Skip(1), start.Program, .. start.Arguments] };

    static string Configuration(string password, int amqpPort, int managementPort, string address = Loopback) => $"""
        listeners.tcp.1 = {address}:{amqpPort}
        management.tcp.ip = {address}
        management.tcp.port = {managementPort}
        default_user = {UserName}
        default_pass = {password}
        default_vhost = {DefaultVirtualHost}
        heartbeat = {HeartbeatSeconds}
        disk_free_limit.absolute = 50MB
        vm_memory_high_watermark.relative = 0.4
        raft.wal_max_size_bytes = 134217728
        log.file = false
        log.console = true
        log.console.level = warning

        """;

    /// <summary>The default of 60 s would leave the queues of a frozen consumer unserved for that long.</summary>
    const int HeartbeatSeconds = 5;

    static Dictionary<string, string?> NodeEnvironment(
        string folder, string node, int distributionPort, Dictionary<string, string?> mapperEnvironment, string address = Loopback, bool hasLongName = false)
    {
        // Whatever the machine's own broker is configured with must not leak into ours.
        var environment = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Where(key => key.StartsWith("RABBITMQ_", StringComparison.Ordinal) || key.StartsWith("ERL_", StringComparison.Ordinal))
            .ToDictionary(key => key, string? (_) => null);
        foreach (var (key, value) in mapperEnvironment) environment[key] = value;
        environment["NOTIFY_SOCKET"] = null;
        environment["HOME"] = folder;
        environment["RABBITMQ_NODENAME"] = node;
        environment["RABBITMQ_USE_LONGNAME"] = hasLongName ? "true" : "false";
        environment["RABBITMQ_CONFIG_FILE"] = Path.Combine(folder, "rabbitmq.conf");
        environment["RABBITMQ_ADVANCED_CONFIG_FILE"] = Path.Combine(folder, "advanced.config");
        environment["RABBITMQ_CONF_ENV_FILE"] = Path.Combine(folder, "no-rabbitmq-env.conf");
        environment["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(folder, "enabled_plugins");
        environment["RABBITMQ_MNESIA_BASE"] = Path.Combine(folder, "mnesia");
        environment["RABBITMQ_MNESIA_DIR"] = Path.Combine(folder, "mnesia", "node");
        environment["RABBITMQ_PID_FILE"] = Path.Combine(folder, "pid");
        environment["RABBITMQ_LOG_BASE"] = Path.Combine(folder, "log");
        environment["RABBITMQ_LOGS"] = "-";
        environment["RABBITMQ_DIST_PORT"] = distributionPort.ToString(CultureInfo.InvariantCulture);
        environment["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = $"-kernel inet_dist_use_interface {{{address.Replace('.', ',')}}}";
        // Under systemd the script becomes the node; otherwise it stays as its parent and ends it with a slow tool.
        environment["RUNNING_UNDER_SYSTEMD"] = "true";
        // The node looks for a mapper by starting a second Erlang, which would start the daemon if it found none.
        environment["ERL_AFLAGS"] = "-start_epmd false";
        return environment;
    }

    static async Task<RabbitMqServer> StartContainerAsync(Installation.Image image, RunFolder run, CancellationToken cancellation)
    {
        var password = Secrets.Password();
        for (var attempt = 1; ; attempt++)
        {
            var (amqp, management) = (FreePorts.Next(), FreePorts.Next());
            var name = $"huzhu-{run.Id}-rabbitmq-{attempt.ToString(CultureInfo.InvariantCulture)}";
            try
            {
                await image.Engine.RunAsync(
                    run,
                    name,
                    [
                        "--publish", $"127.0.0.1:{amqp}:5672", "--publish", $"127.0.0.1:{management}:15672",
                        "--env", $"RABBITMQ_DEFAULT_USER={UserName}", "--env", $"RABBITMQ_DEFAULT_PASS={password}",
                        "--env", $"RABBITMQ_DEFAULT_VHOST={DefaultVirtualHost}",
                        "--env", $"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-rabbit heartbeat {HeartbeatSeconds}",
                    ],
                    image.Name,
                    [],
                    cancellation);
            }
            catch (DidNotStartException) when (attempt < PortAttempts)
            {
                continue;
            }

            var server = new RabbitMqServer(run, amqp, management, password, null, null, (image.Engine, name));
            if (await server.WaitUntilReadyAsync(cancellation)) return server;
            throw new DidNotStartException($"RabbitMQ did not start in its container:\n{await image.Engine.LogTailAsync(name)}");
        }
    }

    /// <returns>False when it ended instead, or took too long.</returns>
    async Task<bool> WaitUntilReadyAsync(CancellationToken cancellation)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < ReadyWithin && _process is null or { IsAlive: true })
        {
            if (await AnswersAmqpAsync(cancellation) && await AnswersManagementAsync(cancellation)) return true;
            await Task.Delay(50, cancellation);
        }

        return false;
    }

    /// <summary>A listener alone means nothing: a node that speaks the protocol answers the header with a method frame.</summary>
    async Task<bool> AnswersAmqpAsync(CancellationToken cancellation)
    {
        const byte methodFrame = 1;
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limited.CancelAfter(TimeSpan.FromSeconds(2));
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(Address, AmqpPort, limited.Token);
            var stream = client.GetStream();
            await stream.WriteAsync("AMQP\0\0\u0009\u0001"u8.ToArray(), limited.Token);
            var answer = new byte[7];
            await stream.ReadExactlyAsync(answer, limited.Token);
            return answer[0] == methodFrame && BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(1)) == 0;
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    async Task<bool> AnswersManagementAsync(CancellationToken cancellation)
    {
        try
        {
            using var answer = await _management.GetAsync($"api/vhosts/{DefaultVirtualHost}", cancellation);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    static async Task WaitForListenerAsync(int port, ChildProcess process, CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < 200 && process.IsAlive; attempt++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync("127.0.0.1", port, cancellation);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(20, cancellation);
            }
        }

        throw new DidNotStartException($"Erlang's port mapper (epmd) did not start: {process.LogTail()}");
    }

    static string FindPortMapper()
    {
        if (Tool.Find("epmd") is { } onPath) return onPath;
        // Some packages leave it beside the virtual machine and off PATH.
        string[] roots = ["/usr/lib/erlang", "/usr/lib64/erlang", "/usr/local/lib/erlang"];
        return roots.Where(Directory.Exists)
                .SelectMany(root => Directory.EnumerateDirectories(root, "erts-*"))
                .Select(folder => Path.Combine(folder, "bin", "epmd"))
                .FirstOrDefault(Tool.IsThere)
            ?? throw new MissingRequirementException("RabbitMQ was found, but Erlang's epmd was not; reinstall the package erlang-base.");
    }
}
