using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// A base backup of a PostgreSQL server with all that it writes from then on: <c>base/</c>, <c>wal/</c>, and
/// <c>backup.json</c> with the password that the copy asks for. The copy can be set back to any moment since.
/// </summary>
/// <param name="Run">Id of the run whose server it is.</param>
/// <param name="TakenAt">From here on any moment can be gone back to.</param>
public sealed partial record PostgresBackup(string Run, string Password, DateTimeOffset TakenAt)
{
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(30);

    /// <summary>What a relay had told in this time may still have been on its way when the copy was made: it is told again, and who has heard it knows.</summary>
    public static readonly TimeSpan ToldAgain = TimeSpan.FromHours(1);

    static string Description(string folder) => Path.Combine(folder, "backup.json");
    static string Base(string folder) => Path.Combine(folder, "base");
    static string Log(string folder) => Path.Combine(folder, "wal");

    /// <summary>Begins to archive the server's log into the folder, and copies the server there.</summary>
    /// <param name="bin">The folder of PostgreSQL's programs.</param>
    /// <param name="connectionString">Of any database of the server, as its superuser.</param>
    /// <exception cref="ToldException">The folder cannot be used, or PostgreSQL says no.</exception>
    public static async Task<PostgresBackup> TakeAsync(string bin, string run, string connectionString, string folder, CancellationToken cancellation)
    {
        folder = Path.GetFullPath(folder);
        if (!PlainPath().IsMatch(folder))
            throw new UsageException($"{folder} cannot take a backup: PostgreSQL's commands need a path of letters, digits, dots, dashes and underscores.");
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new UsageException($"{folder} is not empty: every backup has a folder of its own.");
        var user = SystemUser.ForServers();
        // Others may pass through: the server's user must reach its part.
        PrivateFiles.CreateFolder(folder, UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        foreach (var part in new[] { Base(folder), Log(folder) })
        {
            PrivateFiles.CreateFolder(part);
            if (user is not null) await RunAsync("chown", [$"{user.Uid}:{user.Gid}", part], cancellation: cancellation);
        }

        var connection = new NpgsqlConnectionStringBuilder(connectionString) { Database = "postgres", Pooling = false };
        await using var database = NpgsqlDataSource.Create(connection.ConnectionString);
        // Under another name until it is whole: what lies in the archive is never half of a file.
        await ExecuteAsync($"alter system set archive_command = 'test ! -f {Log(folder)}/%f && cp %p {Log(folder)}/.%f && sync {Log(folder)}/.%f && mv {Log(folder)}/.%f {Log(folder)}/%f'");
        await ExecuteAsync("select pg_reload_conf()");
        if ((string)(await ScalarAsync("show archive_mode"))! != "on")
            throw new UsageException("This server was started without archive_mode=on, and keeps no log that could be archived.");

        string[] arguments =
        [
            "-h", connection.Host!, "-p", connection.Port.ToString(CultureInfo.InvariantCulture), "-U", connection.Username!, "-D", Base(folder), "-X", "none", "--checkpoint=fast",
        ];
        var program = Path.Combine(bin, "pg_basebackup");
        var (started, with) = user?.Run(program, arguments) ?? (program, arguments);
        await RunAsync(started, with, new Dictionary<string, string> { ["PGPASSWORD"] = connection.Password! }, cancellation);
        var backup = new PostgresBackup(run, connection.Password!, (DateTimeOffset)(DateTime)(await ScalarAsync("select now()"))!);
        await CloseLogAsync(connectionString, cancellation);
        PrivateFiles.Write(Description(folder), JsonSerializer.Serialize(backup));
        return backup;

        async Task ExecuteAsync(string sql)
        {
            await using var command = database.CreateCommand(sql);
            await command.ExecuteNonQueryAsync(cancellation);
        }

        async Task<object?> ScalarAsync(string sql)
        {
            await using var command = database.CreateCommand(sql);
            return await command.ExecuteScalarAsync(cancellation);
        }
    }

    /// <summary>Hands the log up to now to the archive, without waiting until a segment is full, and waits until it is there.</summary>
    public static async Task CloseLogAsync(string connectionString, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString) { Database = "postgres", Pooling = false }.ConnectionString);
        await using var close = database.CreateCommand("select pg_walfile_name(pg_switch_wal())");
        var last = (string)(await close.ExecuteScalarAsync(cancellation))!;
        for (var waited = TimeSpan.Zero; ; waited += TimeSpan.FromMilliseconds(100))
        {
            await using var archived = database.CreateCommand("select coalesce(last_archived_wal, '') from pg_stat_archiver");
            if (string.CompareOrdinal((string)(await archived.ExecuteScalarAsync(cancellation))!, last) >= 0) return;
            if (waited > TimeSpan.FromMinutes(1)) throw new DidNotStartException($"The log segment {last} does not reach the archive: the server's log says why.");
            await Task.Delay(100, cancellation);
        }
    }

    /// <exception cref="UsageException">There is no backup in the folder.</exception>
    public static PostgresBackup Read(string folder) => File.Exists(Description(folder))
        ? JsonSerializer.Deserialize<PostgresBackup>(File.ReadAllText(Description(folder)))!
        : throw new UsageException($"{folder} holds no whole backup: there is no backup.json in it.");

    /// <summary>Starts a copy of the server as it was at a moment, or as late as the archive goes. The backup stays as it is.</summary>
    /// <exception cref="ToldException">The moment is before the backup or after the archive's end, or the copy does not start.</exception>
    public async Task<PostgresServer> RestoreAsync(string bin, string folder, DateTimeOffset? to, RunFolder run, CancellationToken cancellation)
    {
        folder = Path.GetFullPath(folder);
        if (to < TakenAt)
            throw new UsageException($"The backup was taken at {TakenAt:O}: what was before that it does not know.");
        var user = SystemUser.ForServers();
        var data = Path.Combine(await run.FolderForAsync("restored", user, cancellation), "data");
        await RunAsync("cp", ["-a", Base(folder), data], cancellation: cancellation);
        File.AppendAllText(Path.Combine(data, "postgresql.auto.conf"), string.Create(CultureInfo.InvariantCulture, $"""

            archive_command = '/bin/true'
            restore_command = 'cp {Log(folder)}/%f %p'
            recovery_target_action = 'promote'
            {(to is { } moment ? $"recovery_target_time = '{moment.ToUniversalTime():yyyy-MM-dd HH:mm:ss.ffffff}+00'" : "")}

            """));
        var signal = Path.Combine(data, "recovery.signal");
        File.WriteAllText(signal, "");
        if (user is not null) await RunAsync("chown", [$"{user.Uid}:{user.Gid}", signal], cancellation: cancellation);

        PostgresServer server;
        try
        {
            server = await PostgresServer.StartOnAsync(bin, run, data, Password, cancellation);
        }
        catch (DidNotStartException exception) when (exception.Message.Contains("before configured recovery target was reached", StringComparison.Ordinal))
        {
            throw new UsageException($"The archive in {folder} ends before {to:O}.");
        }
        for (var waited = TimeSpan.Zero; await IsRecoveringAsync(server, cancellation); waited += TimeSpan.FromMilliseconds(200))
        {
            if (waited > Limit) throw new DidNotStartException("The copy has not caught up with the archive in time; its log is in the run's folder.");
            await Task.Delay(200, cancellation);
        }
        return server;
    }

    /// <summary>
    /// Sets the relays of a copy back. What they had told may have been in a broker that is gone: they tell the last hour
    /// again, and whoever has heard something already knows that.
    /// </summary>
    public static async Task SetRelaysBackAsync(IEnumerable<string> connectionStrings, CancellationToken cancellation)
    {
        foreach (var connectionString in connectionStrings)
        {
            await using var database = NpgsqlDataSource.Create(connectionString);
            await using var command = database.CreateCommand("""
                update huzhu.mt_event_progression set last_seq_id = least(last_seq_id, coalesce(
                    (select max(seq_id) from huzhu.mt_events where timestamp < (select max(timestamp) from huzhu.mt_events) - $1), 0))
                where name like 'Relay:%'
                """);
            command.Parameters.AddWithValue(ToldAgain);
            await command.ExecuteNonQueryAsync(cancellation);
        }
    }

    static async Task<bool> IsRecoveringAsync(PostgresServer server, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(server.ConnectionString("postgres") + ";Pooling=false");
        await using var command = database.CreateCommand("select pg_is_in_recovery()");
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    static async Task RunAsync(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, CancellationToken cancellation = default)
    {
        var ran = await Tool.RunAsync(program, arguments, Limit, environment, cancellation: cancellation);
        if (!ran.Succeeded) throw new DidNotStartException($"{Path.GetFileName(program)} failed: {ran.Tail}");
    }

    [GeneratedRegex("^[A-Za-z0-9/._+-]+$")]
    private static partial Regex PlainPath();
}
