using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Follows how far the log is complete: the number up to which everything that will ever appear is there. Numbers are
/// given out before their transactions commit, so an event may appear behind one that is visible already. Where a number
/// is missing, those who hold the sequence's lock are looked up, which PostgreSQL keeps until the end of a transaction
/// that has taken a number; once each of them has ended, what is still missing was rolled back and stays so. Nothing is
/// written, and nothing is decided by a clock. See docs/adr/0016.
/// </summary>
/// <param name="at">A number up to which the log is known to be complete; 0 for none.</param>
public sealed class LogHorizon(long at)
{
    private const string Numbers = EventStore.Schema + ".mt_events_sequence";
    private const int Page = 1_000;

    /// <summary>Up to here the log is complete.</summary>
    public long At { get; private set; } = at;

    /// <summary>What is missing up to here was rolled back.</summary>
    private long _settled = at;

    /// <summary>The newest number when a gap was found, and who might fill it.</summary>
    private (long Newest, HashSet<string> Holders)? _gap;

    /// <summary>One that begins where the relay is, which is never ahead of what is complete.</summary>
    public static async Task<LogHorizon> AtRelayAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        return new LogHorizon(await LogSubscriptionRunner.PlaceAsync(connection, EventPublisher.SubscriptionName, cancellation));
    }

    /// <summary>Moves over what has been completed since, at most a page of it.</summary>
    /// <returns><see cref="At"/>. What lies up to it is seen by every statement that begins from now on.</returns>
    public Task<long> AdvanceAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var numbers = new NpgsqlCommand($"select seq_id from {EventStore.Schema}.mt_events where seq_id > $1 order by seq_id limit {Page}", connection);
        return AdvanceAsync(numbers, _ => { }, cancellation);
    }

    /// <summary>The same, reading what it moves over.</summary>
    /// <param name="rows">Gives numbers of the log above its first parameter, in their order, without leaving one out, and what else is wanted. It is disposed of.</param>
    /// <param name="take">Gets each row up to <see cref="At"/>.</param>
    public async Task<long> AdvanceAsync(NpgsqlCommand rows, Action<NpgsqlDataReader> take, CancellationToken cancellation)
    {
        await using var command = rows;
        var after = new NpgsqlParameter<long>();
        command.Parameters.Insert(0, after);
        while (true)
        {
            after.TypedValue = At;
            var newest = await PassAsync(command, take, cancellation);
            if (newest <= At)
                return At;
            // In this order: who has taken an older number than this one and does not hold the lock any more has ended, and what it committed is visible by now.
            var holders = await HoldersAsync(command.Connection!, cancellation);
            if (_gap is var (seen, waitedFor))
            {
                waitedFor.IntersectWith(holders);
                (newest, holders) = (seen, waitedFor);
            }
            _gap = holders.Count > 0 ? (newest, holders) : null;
            if (holders.Count > 0)
                return At;
            _settled = newest;
        }
    }

    /// <summary>The open transactions that have taken numbers of the log.</summary>
    public static async Task<HashSet<string>> HoldersAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select virtualtransaction from pg_locks where locktype = 'relation' and relation = '{Numbers}'::regclass and mode = 'RowExclusiveLock'
                and database = (select oid from pg_database where datname = current_database())
            """, connection);
        var holders = new HashSet<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            holders.Add(reader.GetString(0));
        return holders;
    }

    /// <returns>The newest number that was seen; above <see cref="At"/> when one before it is missing.</returns>
    private async Task<long> PassAsync(NpgsqlCommand rows, Action<NpgsqlDataReader> take, CancellationToken cancellation)
    {
        await using var reader = await rows.ExecuteReaderAsync(cancellation);
        var newest = At;
        while (await reader.ReadAsync(cancellation))
        {
            newest = reader.GetInt64(0);
            if (newest != At + 1 && newest > _settled)
                continue;
            take(reader);
            At = newest;
        }
        return newest;
    }
}
