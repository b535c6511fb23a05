using JasperFx.Events.Daemon;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Takes the relay from a replica that stands still. Its lock is a session's, and lasts as long as the session: of a
/// process that died the server ends it within a second, but behind one that hangs the kernel goes on answering, and the
/// session runs the lock's own <c>pg_sleep</c> for up to a minute, which no limit on idle transactions cuts short. A
/// process that lives asks the database something every two seconds: this very question, whether the one that relays has
/// been silent. Then its session is ended, and the next to ask for the lock relays. One that wakes up finds its session
/// gone, and what it publishes until then are repetitions with the same ids.
/// </summary>
internal sealed class RelayWatch(IProjectionCoordinator coordinator, NpgsqlDataSource database, ILogger<RelayWatch> logger) : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    /// <summary>Long against a pause for garbage, short against the life of an offer.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    // What counts is when the process last sent a statement. One that is under way for long says that the server is slow, unless
    // it waits for the process itself, or for a lock, which may be the process's own.
    private const string EndSilentHolder = """
        select holder.application_name, pg_terminate_backend(holder.pid)
        from pg_locks held join pg_stat_activity holder on holder.pid = held.pid
        where held.locktype = 'advisory' and held.granted and held.classid = 0 and held.objsubid = 1 and held.objid::bigint = any($1)
          and holder.datname = current_database() and holder.usename = current_user
          and holder.application_name <> current_setting('application_name') and holder.xact_start < now() - $2
          and not exists (
              select from pg_stat_activity other
              where other.application_name = holder.application_name and other.pid <> holder.pid
                and (other.query_start > now() - $2 or other.state = 'active' and coalesce(other.wait_event_type, '') not in ('Client', 'Lock')))
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var sets = await ((ProjectionCoordinatorBase)coordinator).Distributor!.BuildDistributionAsync();
        var locks = sets.Select(set => (long)set.LockId).ToArray();
        using var timer = new PeriodicTimer(Pause);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await using var command = database.CreateCommand(EndSilentHolder);
                command.Parameters.AddWithValue(locks);
                command.Parameters.AddWithValue(Silence);
                await using var reader = await command.ExecuteReaderAsync(stoppingToken);
                while (await reader.ReadAsync(stoppingToken))
                    logger.LogWarning("{Replica} holds the relay and has been silent for {Seconds} s: its session was ended, and another relays", reader.GetString(0), Silence.TotalSeconds);
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
            {
                // Mostly the database is away, and with it every session and every lock.
                logger.LogDebug(exception, "It could not be seen whether the replica that relays is alive");
            }
        }
    }
}
