using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Huzhu.Local.Infrastructure;

/// <summary>A private PostgreSQL with an empty data folder: loopback only, a free port, a random password.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    public const string UserName = "huzhu";
    const int PortAttempts = 5;
    static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(2);
    static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Durable as in production, because what the tests and the demo promise is durability. A transaction that idles
    /// holds back the reading of the event log, so it is cut; a connection whose client died gives its locks back.
    /// </summary>
    static readonly IReadOnlyList<string> Settings =
    [
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "max_connections=300",
        "shared_buffers=256MB",
        "idle_in_transaction_session_timeout=5s",
        "client_connection_check_interval=500ms",
        "max_wal_size=2GB",
        "checkpoint_timeout=15min",
        // Where to, ./huzhu backup says later; to be archived at all is decided at the start.
        "archive_mode=on",
        "jit=off",
        "log_line_prefix=%m [%p] %d ",
    ];

    readonly RunFolder _run;
    readonly string _password;
    ChildProcess? _process;
    readonly (ContainerEngine Engine, string Name)? _container;

    readonly string? _data;

    PostgresServer(RunFolder run, int port, string password, ChildProcess? process, (ContainerEngine, string)? container, string? data = null)
    {
        _data = data;
        _run = run;
        Port = port;
        _password = password;
        _process = process;
        _container = container;
    }

    public int Port { get; }

    public static async Task<PostgresServer> StartAsync(Installation installation, RunFolder run, CancellationToken cancellation)
    {
        var server = installation switch
        {
            Installation.Native native => await StartNativeAsync(native.Folder, run, cancellation),
            Installation.Image image => await StartContainerAsync(image, run, cancellation),
            _ => throw new UnreachableException(),
        };
        return server;
    }

    /// <summary>An Npgsql connection string for one database of this server.</summary>
    public string ConnectionString(string database, int maximumPoolSize = 40) =>
        new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = Port,
            Username = UserName,
            Password = _password,
            Database = database,
            MaxPoolSize = maximumPoolSize,
            IncludeErrorDetail = true,
        }.ConnectionString;

    /// <summary>Creates a database, about 50 ms, and gives its connection string.</summary>
    public async Task<string> CreateDatabaseAsync(string name, int maximumPoolSize = 40, CancellationToken cancellation = default)
    {
        await using var connection = await OpenAsync(cancellation);
        // Names are ours, never a user's; the check is there so that it stays so.
        if (!name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_'))
            throw new ArgumentException($"\"{name}\" is not a plain database name (a-z, 0-9, _).", nameof(name));
        await using var create = new NpgsqlCommand($"CREATE DATABASE {name} TEMPLATE template0", connection);
        await create.ExecuteNonQueryAsync(cancellation);
        return ConnectionString(name, maximumPoolSize);
    }

    /// <summary>Ends connections to it and drops it.</summary>
    public async Task DropDatabaseAsync(string name, CancellationToken cancellation = default)
    {
        await using var connection = await OpenAsync(cancellation);
        await using var drop = new NpgsqlCommand($"DROP DATABASE IF EXISTS {name} WITH (FORCE)", connection);
        await drop.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Whether the data stay after the server has stopped; see <see cref="KeptDatabase"/>. A container keeps none.</summary>
    public bool KeepsData
    {
        get => KeepsDataAs is not null;
        set => KeepsDataAs = value ? _run.Id : null;
    }

    /// <summary>The same, as the data of a run that may be another one: a copy of its databases.</summary>
    public string? KeepsDataAs { get; set; }

    /// <summary>A fast shutdown; the folder goes with the run, unless it is to be kept.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null) await _process.StopAsync(Signal.Interrupt, StopPatience);
        if (KeepsDataAs is { } kept && _data is not null) KeptDatabase.Keep(_run.Repository, kept, _data, _password);
        if (_container is var (engine, name)) await engine.RemoveAsync(name);
    }

    /// <summary>Stops it, its data kept, for tests of what happens meanwhile. A container stands still instead, and answers nobody.</summary>
    public async Task StopAsync()
    {
        if (_process is not null) await _process.StopAsync(Signal.Interrupt, StopPatience);
        if (_container is var (engine, name)) await engine.PauseAsync(name);
    }

    /// <summary>kill -9 of the server and of every worker: nothing is written any more, the log alone tells what was. Not in a container.</summary>
    public async Task KillAsync()
    {
        if (_process is null) throw new NotSupportedException("A PostgreSQL in a container is not killed.");
        _process.SignalFamily(Signal.Kill);
        await _process.KillAsync();
    }

    /// <summary>The server and its workers stand still with all their connections open.</summary>
    public void Freeze() => _process?.SignalFamily(Signal.Stop);

    public void Thaw() => _process?.SignalFamily(Signal.Continue);

    /// <summary>Starts it on the same port, and waits until it answers.</summary>
    public async Task StartAgainAsync(CancellationToken cancellation = default)
    {
        if (_container is var (engine, name)) await engine.UnpauseAsync(name);
        var patience = Stopwatch.StartNew();
        do
        {
            if (_process is not null) _process = _run.Start(_process.Start);
            if (await WaitUntilReadyAsync(cancellation)) return;
            await Task.Delay(200, cancellation);
        }
        // A worker that was killed with the server may take a moment longer to go, and the server starts beside none.
        while (patience.Elapsed < ReadyWithin && _process?.LogTail().Contains("still in use", StringComparison.Ordinal) == true);
        throw new DidNotStartException($"PostgreSQL did not start again. The end of its log:\n{_process?.LogTail()}");
    }

    async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellation)
    {
        // Without a pool: an idle connection to the maintenance database would be one less for the services.
        var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync(cancellation);
        return connection;
    }

    static async Task<PostgresServer> StartNativeAsync(string bin, RunFolder run, CancellationToken cancellation)
    {
        var user = SystemUser.ForServers();
        var password = Secrets.Password();
        var folder = await run.FolderForAsync("postgres", user, cancellation);
        var data = Path.Combine(folder, "data");

        (string Program, IReadOnlyList<string> Arguments) As(string program, params IEnumerable<string> arguments) =>
            user?.Run(Path.Combine(bin, program), arguments) ?? (Path.Combine(bin, program), [.. arguments]);

        // The password reaches initdb through a file that only its user can read, and is gone before the server starts.
        var passwordFile = Path.Combine(folder, "password");
        PrivateFiles.Write(passwordFile, password);
        if (user is not null) await Tool.RunAsync("chown", [$"{user.Uid}", passwordFile], TimeSpan.FromSeconds(10), cancellation: cancellation);
        // --no-sync skips one sync of an empty folder; the server syncs whatever it writes.
        var (program, arguments) = As(
            "initdb", "-D", data, "-U", UserName, "--pwfile", passwordFile, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync");
        var initialised = await Tool.RunAsync(program, arguments, ReadyWithin, cancellation: cancellation);
        File.Delete(passwordFile);
        if (!initialised.Succeeded) throw new DidNotStartException($"initdb failed: {initialised.Tail}");
        // In the file and not on the command line, which nothing could change any more.
        await File.AppendAllTextAsync(Path.Combine(data, "postgresql.conf"), "archive_command = '/bin/true'\n", cancellation);
        return await StartOnAsync(bin, run, data, password, cancellation);
    }

    /// <summary>Starts on a data folder that exists, whose user and password are as when it was made.</summary>
    internal static async Task<PostgresServer> StartOnAsync(string bin, RunFolder run, string data, string password, CancellationToken cancellation)
    {
        var user = SystemUser.ForServers();
        for (var attempt = 1; ; attempt++)
        {
            var port = FreePorts.Next();
            string[] settings = [.. Settings, "listen_addresses=127.0.0.1", $"port={port}", "unix_socket_directories="];
            IReadOnlyList<string> arguments = ["-D", data, .. settings.SelectMany(setting => new[] { "-c", setting })];
            var program = Path.Combine(bin, "postgres");
            if (user is not null) (program, arguments) = user.Run(program, arguments);
            var process = run.Start(new ChildStart(
                ServerNames.Postgres,
                program,
                arguments,
                new Dictionary<string, string?> { ["LC_ALL"] = "C", ["PGDATA"] = null, ["PGPORT"] = null, ["PGOPTIONS"] = null },
                Path.Combine(run.LogsFolder, "postgres.log"),
                WorkingFolder: "/",
                // Its workers lead sessions of their own: only the postmaster can end them, and SIGQUIT makes it do so.
                AbruptSignal: Signal.Quit));
            var server = new PostgresServer(run, port, password, process, null, data);
            if (await server.WaitUntilReadyAsync(cancellation)) return server;
            if (attempt == PortAttempts || !process.LogTail().Contains("could not bind", StringComparison.Ordinal))
                throw new DidNotStartException($"PostgreSQL did not start. The end of its log:\n{process.LogTail()}");
        }
    }

    static async Task<PostgresServer> StartContainerAsync(Installation.Image image, RunFolder run, CancellationToken cancellation)
    {
        var password = Secrets.Password();
        for (var attempt = 1; ; attempt++)
        {
            var port = FreePorts.Next();
            var name = $"huzhu-{run.Id}-postgres-{attempt.ToString(CultureInfo.InvariantCulture)}";
            try
            {
                await image.Engine.RunAsync(
                    run,
                    name,
                    [
                        "--publish", $"127.0.0.1:{port}:5432", "--shm-size", "256m",
                        "--env", $"POSTGRES_USER={UserName}", "--env", $"POSTGRES_PASSWORD={password}", "--env", "POSTGRES_DB=postgres",
                    ],
                    image.Name,
                    Settings.Append("archive_command=/bin/true").SelectMany(setting => new[] { "-c", setting }),
                    cancellation);
            }
            catch (DidNotStartException) when (attempt < PortAttempts)
            {
                continue;
            }

            var server = new PostgresServer(run, port, password, null, (image.Engine, name));
            if (await server.WaitUntilReadyAsync(cancellation)) return server;
            throw new DidNotStartException($"PostgreSQL did not start in its container:\n{await image.Engine.LogTailAsync(name)}");
        }
    }

    /// <returns>False when it ended instead, or took too long.</returns>
    async Task<bool> WaitUntilReadyAsync(CancellationToken cancellation)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < ReadyWithin && _process is null or { IsAlive: true })
        {
            try
            {
                await using var connection = await OpenAsync(cancellation);
                // The image starts a first server without TCP, to create the user, and restarts it; this answer is the second's.
                return true;
            }
            catch (NpgsqlException)
            {
                await Task.Delay(50, cancellation);
            }
        }

        return false;
    }
}
