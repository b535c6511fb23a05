using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Marten;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Weasel.Postgresql.Tables;

namespace Huzhu.ServiceDefaults;

/// <summary>Personal data as it is stored: ciphertext that only its person's key opens. In JSON a base64 string.</summary>
[JsonConverter(typeof(ProtectedConverter))]
public readonly record struct Protected(string CipherText);

public sealed class ProtectedConverter : JsonConverter<Protected>
{
    public override Protected Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString() ?? "");
    public override void Write(Utf8JsonWriter writer, Protected value, JsonSerializerOptions options) => writer.WriteStringValue(value.CipherText);
}

/// <summary>
/// Encrypts personal data inside events: AES-256-GCM with a data key per person; the data keys lie in their own table,
/// wrapped by a master key from outside the database. Deleting a person's key erases the person, and the log stays whole.
/// </summary>
public sealed class PersonalDataVault
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly NpgsqlDataSource _database;
    private readonly MasterKey[] _masterKeys;
    private readonly MemoryCache _keys = new(new MemoryCacheOptions { SizeLimit = 20_000 });

    /// <summary>How long a process can go on reading after an erasure that it has not heard of.</summary>
    public static readonly TimeSpan KeyLifetime = TimeSpan.FromMinutes(1);

    /// <summary>On this channel of the database every process hears of every erasure, with its commit.</summary>
    public const string ErasureChannel = "huzhu_person_erased";

    public PersonalDataVault(NpgsqlDataSource database, IConfiguration configuration)
    {
        _database = database;
        _masterKeys = [.. ReadMasterKeys(configuration).Select(key => new MasterKey(IdOf(key), key))];
    }

    /// <param name="Id">Says which key it is, and nothing of the key.</param>
    private sealed record MasterKey(string Id, byte[] Bytes);

    /// <summary>The ids of the master keys that this process has, the current one first.</summary>
    public IReadOnlyList<string> MasterKeyIds => [.. _masterKeys.Select(key => key.Id)];

    private static string IdOf(byte[] masterKey) =>
        Convert.ToHexStringLower(HKDF.DeriveKey(HashAlgorithmName.SHA256, masterKey, 8, info: "huzhu master key id"u8.ToArray()));

    /// <summary>The master key and those before it that may still be needed, newest first.</summary>
    /// <exception cref="InvalidOperationException">The key is missing, or one is malformed.</exception>
    public static byte[][] ReadMasterKeys(IConfiguration configuration) =>
    [
        Security.ReadKey(configuration, "PersonalData:MasterKey", required: true)!,
        .. configuration.GetSection("PersonalData:PreviousMasterKeys").GetChildren().Select(child => Security.ReadKey(configuration, child.Path, required: true)!),
    ];

    /// <summary>Keys for one purpose, derived from the master keys, newest first.</summary>
    public static byte[][] DeriveKeys(IConfiguration configuration, ReadOnlySpan<byte> purpose)
    {
        var info = purpose.ToArray();
        return [.. ReadMasterKeys(configuration).Select(key => HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 32, info: info))];
    }

    /// <summary>Signs links of one purpose with a key that is derived from the master key; what was signed before a rotation still counts.</summary>
    public static LinkSigner DeriveSigner(IConfiguration configuration, ReadOnlySpan<byte> purpose)
    {
        var keys = DeriveKeys(configuration, purpose);
        return new LinkSigner(keys[0], keys[1..]);
    }

    public static Table KeyTable()
    {
        var table = new Table($"{EventStore.Schema}.person_keys");
        table.AddColumn<Guid>("person_id").AsPrimaryKey();
        table.AddColumn("wrapped_key", "bytea").NotNull();
        // The id of the master key; null in rows of versions that did not say.
        table.AddColumn("wrapped_by", "text");
        // So that a service finds at its start which master keys it needs without looking at every person.
        table.Indexes.Add(new IndexDefinition("person_keys_wrapped_by") { Columns = ["wrapped_by"] });
        return table;
    }

    /// <summary>Encrypts for one person; makes the person's key when there is none yet.</summary>
    public async Task<Protected> ProtectAsync<T>(Guid personId, T value, CancellationToken cancellation)
    {
        var key = await FindKeyAsync(personId, cancellation) ?? await CreateKeyAsync(personId, cancellation);
        return new Protected(Convert.ToBase64String(Seal(key, personId, JsonSerializer.SerializeToUtf8Bytes(value, JsonSerializerOptions.Web))));
    }

    /// <summary>
    /// Makes sure that each of these people has a key, in one statement. It asks the database even for keys that are at
    /// hand: what is encrypted next must not be lost because the person was erased elsewhere a moment ago.
    /// </summary>
    public async Task PrepareAsync(IEnumerable<Guid> personIds, CancellationToken cancellation)
    {
        // In one order, or two callers could wait for each other's rows.
        var ids = personIds.Distinct().Order().ToArray();
        if (ids.Length == 0)
            return;
        var wrapped = ids.Select(id => Seal(_masterKeys[0].Bytes, id, RandomNumberGenerator.GetBytes(32))).ToArray();
        await using var make = _database.CreateCommand($"""
            insert into {EventStore.Schema}.person_keys (person_id, wrapped_key, wrapped_by)
            select person_id, wrapped_key, $3 from unnest($1::uuid[], $2::bytea[]) as made (person_id, wrapped_key) on conflict do nothing
            """);
        make.Parameters.AddWithValue(ids);
        make.Parameters.AddWithValue(wrapped);
        make.Parameters.AddWithValue(_masterKeys[0].Id);
        await make.ExecuteNonQueryAsync(cancellation);
        await using var read = _database.CreateCommand($"select {Wrapped.Columns} from {EventStore.Schema}.person_keys where person_id = any($1)");
        read.Parameters.AddWithValue(ids);
        await using var reader = await read.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            Remember(reader.GetGuid(0), Unwrap(Wrapped.Read(reader)));
    }

    /// <summary>Decrypts; null when the person was erased.</summary>
    /// <exception cref="CryptographicException">The data was changed, or belongs to somebody else.</exception>
    public async Task<T?> RevealAsync<T>(Guid personId, Protected data, CancellationToken cancellation) where T : class =>
        await FindKeyAsync(personId, cancellation) is { } key
            ? JsonSerializer.Deserialize<T>(Open(key, personId, Convert.FromBase64String(data.CipherText)), JsonSerializerOptions.Web)
            : null;

    /// <summary>
    /// Deletes the person's key with the session's commit, and tells every replica. What was encrypted with it can never
    /// be read again: at once where the word arrives, otherwise within a minute.
    /// </summary>
    public static void Erase(IDocumentOperations session, Guid personId) => session.QueueSqlCommand($"""
        with told as (select pg_notify('{ErasureChannel}', ?::text))
        delete from {EventStore.Schema}.person_keys where person_id = ? and (select count(*) from told) = 1
        """, personId.ToString(), personId);

    /// <summary>Forgets the person's key in this process.</summary>
    public void Forget(Guid personId) => _keys.Remove(personId);

    /// <summary>Forgets every key in this process.</summary>
    public void ForgetAll() => _keys.Clear();

    /// <summary>Whether the person has a key, whatever this process remembers.</summary>
    public async Task<bool> HasKeyAsync(Guid personId, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select 1 from {EventStore.Schema}.person_keys where person_id = $1");
        command.Parameters.AddWithValue(personId);
        return await command.ExecuteScalarAsync(cancellation) is not null;
    }

    /// <summary>
    /// A hash that only these people's keys together can make again, so that it says nothing once one of them was erased.
    /// Null when one of them has no key.
    /// </summary>
    public async Task<byte[]?> HashAsync(IEnumerable<Guid> personIds, byte[] data, CancellationToken cancellation)
    {
        foreach (var personId in personIds.Distinct())
        {
            if (await FindKeyAsync(personId, cancellation) is not { } key)
                return null;
            data = HMACSHA256.HashData(HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 32, info: "huzhu fingerprint"u8.ToArray()), data);
        }
        return data;
    }

    /// <summary>How many keys each master key wraps, by its id; null for rows of versions that did not say.</summary>
    public async Task<IReadOnlyList<(string? WrappedBy, long Count)>> CountKeysAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select wrapped_by, count(*) from {EventStore.Schema}.person_keys group by wrapped_by order by wrapped_by");
        command.CommandTimeout = 0;
        var counts = new List<(string?, long)>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            counts.Add((reader.IsDBNull(0) ? null : reader.GetString(0), reader.GetInt64(1)));
        return counts;
    }

    /// <summary>The ids of the master keys that wrap somebody's key, found by steps through the index, however many people there are.</summary>
    public async Task<IReadOnlyList<string>> UsedMasterKeysAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"""
            with recursive used as (
                select min(wrapped_by) as id from {EventStore.Schema}.person_keys
                union all
                select (select min(wrapped_by) from {EventStore.Schema}.person_keys where wrapped_by > used.id) from used where used.id is not null)
            select id from used where id is not null
            """);
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            ids.Add(reader.GetString(0));
        return ids;
    }

    /// <summary>Whether one of the rows that do not say what wraps them can be opened; null when all say it.</summary>
    public async Task<bool?> OpensUnsaidAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand($"select {Wrapped.Columns} from {EventStore.Schema}.person_keys where wrapped_by is null limit 1");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? TryUnwrap(Wrapped.Read(reader)) is not null : null;
    }

    /// <summary>
    /// Wraps the next keys with the current master key, in one transaction: a crash leaves each as it was or as it will be.
    /// Rows are locked and updated, never inserted, so that whoever is erased meanwhile stays so.
    /// </summary>
    /// <param name="after">The last person of the batch before.</param>
    /// <returns>The last person of this batch, null when there is none left, and how many keys were wrapped anew.</returns>
    public async Task<(Guid? Last, int Rewrapped)> RewrapAsync(Guid after, int limit, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var rows = new List<Wrapped>();
        // In the order of the ids, in which everybody locks who locks more than one.
        await using (var find = new NpgsqlCommand($"""
            select {Wrapped.Columns} from {EventStore.Schema}.person_keys
            where person_id > $1 and wrapped_by is distinct from $2 order by person_id limit $3 for update
            """, connection, transaction))
        {
            find.Parameters.AddWithValue(after);
            find.Parameters.AddWithValue(_masterKeys[0].Id);
            find.Parameters.AddWithValue(limit);
            find.CommandTimeout = 0;
            await using var reader = await find.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
                rows.Add(Wrapped.Read(reader));
        }
        if (rows.Count == 0)
            return (null, 0);
        var opened = rows.Select(row => (row.PersonId, Key: TryUnwrap(row))).Where(row => row.Key is not null).ToList();
        await using var update = new NpgsqlCommand($"""
            update {EventStore.Schema}.person_keys as kept set wrapped_key = anew.wrapped_key, wrapped_by = $3
            from unnest($1::uuid[], $2::bytea[]) as anew (person_id, wrapped_key) where kept.person_id = anew.person_id
            """, connection, transaction);
        update.Parameters.AddWithValue(opened.Select(row => row.PersonId).ToArray());
        update.Parameters.AddWithValue(opened.Select(row => Seal(_masterKeys[0].Bytes, row.PersonId, row.Key!)).ToArray());
        update.Parameters.AddWithValue(_masterKeys[0].Id);
        var rewrapped = await update.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return (rows[^1].PersonId, rewrapped);
    }

    private async Task<byte[]?> FindKeyAsync(Guid personId, CancellationToken cancellation)
    {
        if (_keys.TryGetValue(personId, out byte[]? cached))
            return cached;
        await using var command = _database.CreateCommand($"select {Wrapped.Columns} from {EventStore.Schema}.person_keys where person_id = $1");
        command.Parameters.AddWithValue(personId);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? Remember(personId, Unwrap(Wrapped.Read(reader))) : null;
    }

    private async Task<byte[]> CreateKeyAsync(Guid personId, CancellationToken cancellation)
    {
        var key = RandomNumberGenerator.GetBytes(32);
        // Two callers may make a key for the same person at once; whichever row is there afterwards is the key.
        await using var command = _database.CreateCommand($"""
            insert into {EventStore.Schema}.person_keys (person_id, wrapped_key, wrapped_by) values ($1, $2, $3) on conflict do nothing
            """);
        command.Parameters.AddWithValue(personId);
        command.Parameters.AddWithValue(Seal(_masterKeys[0].Bytes, personId, key));
        command.Parameters.AddWithValue(_masterKeys[0].Id);
        if (await command.ExecuteNonQueryAsync(cancellation) == 1)
            return Remember(personId, key);
        return await FindKeyAsync(personId, cancellation)
            ?? throw new InvalidOperationException("The person's key vanished while it was being made.");
    }

    private byte[] Remember(Guid personId, byte[] key) =>
        _keys.Set(personId, key, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = KeyLifetime });

    /// <summary>A row of the table of keys.</summary>
    private readonly record struct Wrapped(Guid PersonId, byte[] Key, string? By)
    {
        public const string Columns = "person_id, wrapped_key, wrapped_by";

        public static Wrapped Read(NpgsqlDataReader reader) => new(reader.GetGuid(0), reader.GetFieldValue<byte[]>(1), reader.IsDBNull(2) ? null : reader.GetString(2));
    }

    private byte[] Unwrap(Wrapped wrapped) => TryUnwrap(wrapped)
        ?? throw new CryptographicException($"The data key of a person is wrapped by the master key {wrapped.By ?? "that it does not name"}, and this process has {string.Join(", ", MasterKeyIds)}.");

    private byte[]? TryUnwrap(Wrapped wrapped)
    {
        foreach (var masterKey in _masterKeys.Where(key => wrapped.By is null || wrapped.By == key.Id))
        {
            try
            {
                return Open(masterKey.Bytes, wrapped.PersonId, wrapped.Key);
            }
            catch (AuthenticationTagMismatchException)
            {
                // Wrapped by another master key of the rotation; try the next.
            }
        }
        return null;
    }

    private static byte[] Seal(byte[] key, Guid personId, byte[] plain)
    {
        var sealedBytes = new byte[NonceBytes + TagBytes + plain.Length];
        var nonce = sealedBytes.AsSpan(0, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(nonce, plain, sealedBytes.AsSpan(NonceBytes + TagBytes), sealedBytes.AsSpan(NonceBytes, TagBytes), personId.ToByteArray());
        return sealedBytes;
    }

    private static byte[] Open(byte[] key, Guid personId, byte[] sealedBytes)
    {
        var plain = new byte[sealedBytes.Length - NonceBytes - TagBytes];
        using var aes = new AesGcm(key, TagBytes);
        aes.Decrypt(sealedBytes.AsSpan(0, NonceBytes), sealedBytes.AsSpan(NonceBytes + TagBytes), sealedBytes.AsSpan(NonceBytes, TagBytes), plain, personId.ToByteArray());
        return plain;
    }
}
