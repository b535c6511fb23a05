using System.Security.Cryptography;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>The end of a rotation: every person's key is wrapped with the new master key, and the old one goes.</summary>
public sealed class MasterKeysTests(Servers servers) : IAsyncLifetime
{
    private sealed record Contact(string Name, string Phone);

    private static readonly Contact Lin = new("Lin", "+8613800000000");
    private static readonly CancellationToken Never = CancellationToken.None;

    private readonly byte[] _old = RandomNumberGenerator.GetBytes(32);
    private readonly byte[] _next = RandomNumberGenerator.GetBytes(32);
    private string _database = "";
    private string _broker = "";
    private NpgsqlDataSource _sql = null!;

    public async ValueTask InitializeAsync()
    {
        (_database, _broker) = (await servers.CreateDatabaseAsync("keys"), await servers.CreateVirtualHostAsync());
        _sql = NpgsqlDataSource.Create(_database);
    }

    public ValueTask DisposeAsync() => _sql.DisposeAsync();

    [Fact]
    public async Task once_all_keys_are_wrapped_anew_the_old_master_key_can_go()
    {
        var people = await WriteAsync(_old, null, 1200);
        await using (var rotating = await StartAsync(_next, _old))
        {
            foreach (var (person, data) in await WriteAsync(rotating, 3))
                people.Add(person, data);
            await RewrapAsync(_next, _old);
            await AllReadableAsync(rotating, people);
        }
        Assert.Equal([(IdOf(_next), 1203L)], await CountAsync());

        // It says so when there is nothing left, and so shows that the old key may go.
        await RewrapAsync(_next, _old);
        await using var without = await StartAsync(_next, null);
        await AllReadableAsync(without, people);
        await using var log = without.Store.QuerySession();
        Assert.Equal([(IdOf(_next), 1200L, "op-7"), (IdOf(_next), 0L, "op-7")], (await log.Events.FetchStreamAsync(People.KeysStream, token: Never)).Select(stored => (DataKeysRewrapped)stored.Data).Select(done => (done.MasterKey, done.Rewrapped, done.By)));
    }

    [Fact]
    public async Task a_service_without_a_master_key_that_is_needed_names_it_and_does_not_start()
    {
        await WriteAsync(_old, null, 2);
        await WriteAsync(_next, _old, 1);
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(_next, null));
        Assert.Contains($"not given: {IdOf(_old)}. Given are {IdOf(_next)}.", refusal.Message);
        Assert.Equal([(IdOf(_old), 2L), (IdOf(_next), 1L)], (await CountAsync()).OrderByDescending(one => one.Count));
    }

    [Fact]
    public async Task keys_of_a_version_that_did_not_say_what_wraps_them_are_known_by_opening_them()
    {
        var people = await WriteAsync(_old, null, 3);
        await ExecuteAsync("update huzhu.person_keys set wrapped_by = null");
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(_next, null));
        Assert.Contains("No master key that is given opens", refusal.Message);

        await AllReadableBeforeAndAfterAsync(people);
    }

    [Fact]
    public async Task a_run_that_is_broken_off_loses_no_key_and_is_run_again()
    {
        var people = await WriteAsync(_old, null, 700);
        await using (var connection = await _sql.OpenConnectionAsync(Never))
        {
            // Somebody holds a row of the second batch, and there the run is cut off.
            await using var held = await connection.BeginTransactionAsync(Never);
            await using (var hold = new NpgsqlCommand("select 1 from huzhu.person_keys order by person_id desc limit 1 for update", connection, held))
                await hold.ExecuteNonQueryAsync(Never);
            var run = RewrapAsync(_next, _old);
            await ExecuteAsync("select pg_terminate_backend(pid) from pg_stat_activity where pid = $1", await BlockedAsync(connection.ProcessID));
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => run);
        }
        Assert.Equal([(IdOf(_next), 500L), (IdOf(_old), 200L)], (await CountAsync()).OrderByDescending(one => one.Count));
        await AllReadableBeforeAndAfterAsync(people);
    }

    [Fact]
    public async Task whoever_is_erased_while_keys_are_wrapped_anew_stays_erased()
    {
        var people = await WriteAsync(_old, null, 20);
        var erased = people.Keys.Order().ElementAt(10);
        await using (var service = await StartAsync(_next, _old))
        {
            await using var connection = await _sql.OpenConnectionAsync(Never);
            await using var erasure = await connection.BeginTransactionAsync(Never);
            await using (var session = service.Store.LightweightSession(Marten.Services.SessionOptions.ForTransaction(erasure)))
            {
                PersonalDataVault.Erase(session, erased);
                await session.SaveChangesAsync(Never);
            }
            var run = RewrapAsync(_next, _old);
            await BlockedAsync(connection.ProcessID);
            await erasure.CommitAsync(Never);
            await run;
        }
        Assert.Equal([(IdOf(_next), 19L)], await CountAsync());
        await using var without = await StartAsync(_next, null);
        Assert.Null(await without.Vault.RevealAsync<Contact>(erased, people[erased], Never));
        people.Remove(erased);
        await AllReadableAsync(without, people);
    }

    [Fact]
    public async Task a_key_that_no_given_master_key_opens_is_left_as_it_is_and_reported()
    {
        var lost = RandomNumberGenerator.GetBytes(32);
        var (unreadable, people) = (await WriteAsync(lost, null, 1), await WriteAsync(_old, lost, 5));
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => RewrapAsync(_next, _old));
        Assert.StartsWith("1 data keys are not wrapped by", refusal.Message);
        Assert.Equal([(IdOf(_next), 5L), (IdOf(lost), 1L)], (await CountAsync()).OrderByDescending(one => one.Count));
        await using var found = await StartAsync(_next, lost);
        await AllReadableAsync(found, people);
        await AllReadableAsync(found, unreadable);
    }

    [Fact]
    public async Task nobody_has_keys_wrapped_anew_without_a_name()
    {
        await WriteAsync(_old, null, 1);
        await using var app = SampleService.Build(_database, _broker, masterKey: _next, previousMasterKey: _old);
        foreach (var args in new[] { ["--rewrap-keys"], new[] { "--rewrap-keys", "--by" }, ["--rewrap-keys", "--by", ""], ["--rewrap-keys", "--by", new string('x', 201)] })
            Assert.Contains("--by", (await Assert.ThrowsAsync<InvalidOperationException>(() => app.RunHuzhuAsync(args))).Message);
        Assert.Equal([(IdOf(_old), 1L)], await CountAsync());
    }

    private Task<SampleService> StartAsync(byte[] masterKey, byte[]? previous) => SampleService.StartAsync(_database, _broker, masterKey: masterKey, previousMasterKey: previous);

    private async Task RewrapAsync(byte[] masterKey, byte[]? previous)
    {
        await using var app = SampleService.Build(_database, _broker, masterKey: masterKey, previousMasterKey: previous);
        await app.RunHuzhuAsync(["--rewrap-keys", "--by", "op-7"]);
    }

    private async Task<Dictionary<Guid, Protected>> WriteAsync(byte[] masterKey, byte[]? previous, int people)
    {
        await using var service = await StartAsync(masterKey, previous);
        return await WriteAsync(service, people);
    }

    private static async Task<Dictionary<Guid, Protected>> WriteAsync(SampleService service, int people)
    {
        var persons = Enumerable.Range(0, people).Select(_ => Guid.NewGuid()).ToList();
        await service.Vault.PrepareAsync(persons, Never);
        var written = new Dictionary<Guid, Protected>();
        foreach (var person in persons)
            written.Add(person, await service.Vault.ProtectAsync(person, Lin, Never));
        return written;
    }

    /// <summary>With both keys, and with the next one alone once all are wrapped by it.</summary>
    private async Task AllReadableBeforeAndAfterAsync(Dictionary<Guid, Protected> people)
    {
        await using (var rotating = await StartAsync(_next, _old))
            await AllReadableAsync(rotating, people);
        await RewrapAsync(_next, _old);
        await using var without = await StartAsync(_next, null);
        await AllReadableAsync(without, people);
    }

    private static async Task AllReadableAsync(SampleService service, Dictionary<Guid, Protected> people)
    {
        service.Vault.ForgetAll();
        foreach (var (person, data) in people)
            Assert.Equal(Lin, await service.Vault.RevealAsync<Contact>(person, data, Never));
    }

    private string IdOf(byte[] masterKey) => new PersonalDataVault(_sql,
        new ConfigurationBuilder().AddInMemoryCollection([new("PersonalData:MasterKey", Convert.ToBase64String(masterKey))]).Build()).MasterKeyIds[0];

    private async Task<List<(string? WrappedBy, long Count)>> CountAsync()
    {
        var counts = new List<(string?, long)>();
        await using var command = _sql.CreateCommand("select wrapped_by, count(*) from huzhu.person_keys group by 1");
        await using var reader = await command.ExecuteReaderAsync(Never);
        while (await reader.ReadAsync(Never))
            counts.Add((await reader.IsDBNullAsync(0, Never) ? null : reader.GetString(0), reader.GetInt64(1)));
        return counts;
    }

    /// <summary>The session that waits for this one.</summary>
    private async Task<int> BlockedAsync(int by)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(20); DateTime.UtcNow < deadline; await Task.Delay(20, Never))
        {
            await using var command = _sql.CreateCommand("select pid from pg_stat_activity where $1 = any(pg_blocking_pids(pid))");
            command.Parameters.AddWithValue(by);
            if (await command.ExecuteScalarAsync(Never) is int blocked)
                return blocked;
        }
        throw new Xunit.Sdk.XunitException("Nobody came to wait within 20 s.");
    }

    private async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = _sql.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync(Never);
    }
}
