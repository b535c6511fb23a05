using System.Globalization;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Audit.Reading;

/// <summary>
/// Reads the event log of one service, and nothing else of it: the tables, not the service. Every session is read-only,
/// whatever the role of the connection may do.
/// </summary>
public sealed class ServiceLog : IAsyncDisposable
{
    private const string Events = EventStore.Schema + ".mt_events";
    private const string Numbers = EventStore.Schema + ".mt_events_sequence";

    /// <summary>SQL for the newest number given out; nothing may have come of it.</summary>
    private const string Newest = "case when is_called then last_value else 0 end";

    private const string Columns = CopyRows.Content + ", " + CopyRows.Context;

    /// <summary>So many decoded lists lie ready at most, so that memory stays flat however slow the reader is.</summary>
    private const int Ahead = 8;

    private readonly NpgsqlDataSource _database;

    public ServiceLog(string service, string connectionString)
    {
        Service = service;
        var builder = new NpgsqlDataSourceBuilder(connectionString);
        var connection = builder.ConnectionStringBuilder;
        connection.ApplicationName = "huzhu-audit";
        connection.CommandTimeout = 0;
        // What waits for another table to be read is idle for as long.
        connection.Options = $"{connection.Options} -c default_transaction_read_only=on -c idle_in_transaction_session_timeout=0".Trim();
        _database = builder.Build();
    }

    public string Service { get; }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    /// <summary>Events in the order of their numbers, as of one moment, in flat memory.</summary>
    /// <param name="after">The number before the first.</param>
    /// <param name="upTo">The last number.</param>
    public IAsyncEnumerable<StoredEvent> ReadAsync(long after = 0, long upTo = long.MaxValue, CancellationToken cancellation = default) =>
        CopyAsync(Columns, string.Create(CultureInfo.InvariantCulture, $"where seq_id > {after} and seq_id <= {upTo} order by seq_id"), cancellation);

    /// <summary>
    /// Events in the order of their numbers, as of one moment, decoded while the reader works on those before, in flat memory.
    /// </summary>
    public async IAsyncEnumerable<DecodedEvent> ReadDecodedAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var decoded = Channel.CreateBounded<List<DecodedEvent>>(Ahead);
        var decoding = Task.Run(() => DecodeAsync(decoded.Writer, stop.Token), CancellationToken.None);
        try
        {
            await foreach (var some in decoded.Reader.ReadAllAsync(cancellation))
            {
                foreach (var one in some)
                    yield return one;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await decoding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task DecodeAsync(ChannelWriter<List<DecodedEvent>> decoded, CancellationToken cancellation)
    {
        try
        {
            await using var connection = await _database.OpenConnectionAsync(cancellation);
            await foreach (var some in CopyAsync(connection, CopyRows.Content, "order by seq_id", Decode, cancellation))
                await decoded.WriteAsync(some, cancellation);
            decoded.Complete();
        }
        catch (Exception exception)
        {
            decoded.Complete(exception);
        }

        DecodedEvent Decode(CopyRows.Row row) => new(row.Sequence, row.Stream, row.Version, row.Type, row.StoredAt, EventTypes.Decode(Service, row.Type, row.Sequence, row.Data));
    }

    /// <summary>All events in the order of their numbers, as this connection sees them.</summary>
    public static async IAsyncEnumerable<StoredEvent> ReadAsync(NpgsqlConnection connection, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var some in CopyAsync(connection, Columns, "order by seq_id", row => row.Store(), cancellation))
        {
            foreach (var stored in some)
                yield return stored;
        }
    }

    /// <summary>Events stream by stream, each in the order of its versions.</summary>
    /// <param name="connection">One of <see cref="OpenTogetherAsync"/>.</param>
    public static async IAsyncEnumerable<StoredEvent> ReadByStreamAsync(NpgsqlConnection connection, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var some in CopyAsync(connection, CopyRows.Content, "order by stream_id, version", row => row.Store(), cancellation))
        {
            foreach (var stored in some)
                yield return stored;
        }
    }

    /// <summary>Events that a condition picks, in the order of their numbers.</summary>
    /// <param name="condition">SQL with <c>$1</c>; never what a user wrote.</param>
    public async IAsyncEnumerable<StoredEvent> FindAsync(string condition, Guid[] ids, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select {Columns} from {Events} where {condition} order by seq_id");
        command.Parameters.AddWithValue(ids);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            yield return new StoredEvent(
                reader.GetInt64(0), reader.GetGuid(1), reader.GetGuid(2), reader.GetInt64(3), reader.GetString(4), reader.GetFieldValue<DateTimeOffset>(5),
                reader.GetFieldValue<byte[]>(6), Text(7), Text(8), Text(9), Text(10), reader.IsDBNull(11) ? null : reader.GetFieldValue<byte[]>(11),
                !reader.IsDBNull(12) && reader.GetBoolean(12));
        }

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    /// <summary>Which of these people have a key in the service's database. Only ids are read, so a role may be kept from the keys.</summary>
    public async Task<HashSet<Guid>> FindPeopleWithKeyAsync(Guid[] people, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select person_id from {EventStore.Schema}.person_keys where person_id = any($1)");
        command.Parameters.AddWithValue(people);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new HashSet<Guid>();
        while (await reader.ReadAsync(cancellation))
            found.Add(reader.GetGuid(0));
        return found;
    }

    /// <summary>Connections that all see the database as of one moment, so that tables can be compared while the service runs.</summary>
    public async Task<IReadOnlyList<NpgsqlConnection>> OpenTogetherAsync(int count, CancellationToken cancellation)
    {
        var connections = new List<NpgsqlConnection>();
        string? snapshot = null;
        while (connections.Count < count)
        {
            var connection = await _database.OpenConnectionAsync(cancellation);
            connections.Add(connection);
            await using var begin = new NpgsqlCommand("begin transaction isolation level repeatable read read only", connection);
            await begin.ExecuteNonQueryAsync(cancellation);
            await using var share = new NpgsqlCommand(snapshot is null ? "select pg_export_snapshot()" : $"set transaction snapshot '{snapshot}'", connection);
            snapshot = await share.ExecuteScalarAsync(cancellation) as string ?? snapshot;
        }
        return connections;
    }

    /// <summary>The newest number given out; nothing may have come of it.</summary>
    public async Task<long> NewestNumberAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select {Newest} from {Numbers}");
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>
    /// A number up to which nothing can appear in the log any more. A number that is given out may be committed late, or
    /// never, so this takes the newest one given out and then waits for every transaction that has one: such a transaction
    /// holds a lock on the sequence until its end. No word of the service is needed for it, running or not.
    /// </summary>
    /// <returns>Null when one of these transactions is still open after <paramref name="patience"/>.</returns>
    public async Task<long?> FindSettledAsync(TimeSpan patience, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellation);
        await using var newest = new NpgsqlCommand($"select {Newest}, pg_is_in_recovery() from {Numbers}", connection);
        long number;
        await using (var reader = await newest.ExecuteReaderAsync(cancellation))
        {
            await reader.ReadAsync(cancellation);
            number = reader.GetInt64(0);
            if (reader.GetBoolean(1))
                throw new AuditException("This is a standby, which does not know the transactions that are still open: seal at the primary.");
        }
        var waitedFor = await LogHorizon.HoldersAsync(connection, cancellation);
        for (var until = DateTime.UtcNow + patience; waitedFor.Count > 0; await Task.Delay(20, cancellation))
        {
            if (DateTime.UtcNow > until)
                return null;
            waitedFor.IntersectWith(await LogHorizon.HoldersAsync(connection, cancellation));
        }
        return number;
    }

    private async IAsyncEnumerable<StoredEvent> CopyAsync(string columns, string rows, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellation);
        await foreach (var some in CopyAsync(connection, columns, rows, row => row.Store(), cancellation))
        {
            foreach (var stored in some)
                yield return stored;
        }
    }

    private static async IAsyncEnumerable<List<T>> CopyAsync<T>(NpgsqlConnection connection, string columns, string rows, CopyRows.Take<T> take, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var copy = await connection.BeginRawBinaryCopyAsync($"copy (select {columns} from {Events} {rows}) to stdout (format binary)", cancellation);
        await foreach (var some in CopyRows.ReadAsync(copy, take, cancellation))
            yield return some;
    }
}

/// <summary>What went wrong, in one sentence for the user.</summary>
public class AuditException(string sentence, Exception? inner = null) : Exception(sentence, inner);

/// <summary>Nothing in the logs has the id that was asked for.</summary>
public sealed class UnknownIdException(string sentence) : AuditException(sentence);
