using Huzhu.ServiceDefaults;
using Marten;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Tables;

namespace Huzhu.Requests.Storage;

/// <summary>
/// Which idempotency key was used for which intake: hashes only. A row is written in the transaction of the request that
/// it belongs to, so that there is never the one without the other.
/// </summary>
public static class IdempotencyKeys
{
    /// <summary>How long a client's key is remembered. The pair of source and external id is remembered for ever.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(48);
    private const string Name = EventStore.Schema + ".idempotency_keys";

    public static Table Table()
    {
        var table = new Table(Name);
        table.AddColumn("key_hash", "bytea").AsPrimaryKey();
        table.AddColumn<string>("fingerprint").NotNull();
        table.AddColumn<Guid>("request_id").NotNull();
        table.AddColumn<DateTimeOffset>("created_at").NotNull();
        table.Indexes.Add(new IndexDefinition("idempotency_keys_created_at") { Columns = ["created_at"] });
        return table;
    }

    /// <summary>The fingerprints of the intakes that the keys were used for, under the hash in base64.</summary>
    public static async Task<IReadOnlyDictionary<string, string>> FindAsync(NpgsqlDataSource database, IEnumerable<byte[]> hashes, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"select key_hash, fingerprint from {Name} where key_hash = any($1)");
        command.Parameters.AddWithValue(hashes.ToArray());
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new Dictionary<string, string>();
        while (await reader.ReadAsync(cancellation))
            found[Convert.ToBase64String(reader.GetFieldValue<byte[]>(0))] = reader.GetString(1);
        return found;
    }

    public static void Remember(IDocumentOperations session, byte[] hash, string fingerprint, Guid requestId, DateTimeOffset now) =>
        session.QueueSqlCommand($"insert into {Name} (key_hash, fingerprint, request_id, created_at) values (?, ?, ?, ?)",
            hash, fingerprint, requestId, now.ToUniversalTime());

    /// <summary>Forgets the keys that these requests came with.</summary>
    public static void Forget(IDocumentOperations session, IEnumerable<Guid> requests) =>
        session.QueueSqlCommand($"delete from {Name} where request_id = any(?)", requests.ToArray());

    /// <summary>Forgets expired keys, so that the table stays as large as two days are.</summary>
    public sealed class Expiry(NpgsqlDataSource database, TimeProvider time, ILogger<Expiry> logger) : BackgroundService
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMinutes(10);
        private const int Page = 5_000;

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                try
                {
                    await Task.Delay(Pause, time, stoppingToken);
                    while (await ForgetAsync(database, time.GetUtcNow() - Lifetime, stoppingToken) == Page)
                        await Task.Yield();
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception exception)
                {
                    logger.LogWarning(exception, "Expired idempotency keys could not be deleted; trying again later");
                }
            }
        }

        /// <summary>Deletes one page of keys made before <paramref name="limit"/>; says how many.</summary>
        public static async Task<int> ForgetAsync(NpgsqlDataSource database, DateTimeOffset limit, CancellationToken cancellation)
        {
            await using var command = database.CreateCommand($"""
                delete from {Name} where key_hash in
                    (select key_hash from {Name} where created_at < $1 order by created_at limit {Page} for update skip locked)
                """);
            command.Parameters.AddWithValue(limit);
            return await command.ExecuteNonQueryAsync(cancellation);
        }
    }
}
