using Npgsql;
using Xunit;
using static Huzhu.Tests.Integration.Matching.MatchingHost;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>What is committed and not published is seen, whoever should publish it.</summary>
public sealed class RelayWatchTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private const string Unpublished = "huzhu_relay_unpublished_age_seconds";

    private readonly Town _town = new();

    private MatchingHost Host => shared.Host;

    [Fact]
    public async Task an_event_that_nobody_publishes_is_seen_to_grow_old()
    {
        await Host.ListAsync(_town.Responder(metresNorth: 100));
        await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) == 0, "all is published");
        await using (var other = await ConnectAsync())
        {
            // As a replica that has the lock and hangs.
            await using var take = new NpgsqlCommand("""
                select count(pg_terminate_backend(pid, 5000)) from pg_locks
                where locktype = 'advisory' and granted and pid <> pg_backend_pid() and database = (select oid from pg_database where datname = current_database());
                select pg_try_advisory_lock(hashtextextended('huzhu/Relay:All', 0))
                """, other);
            await EventuallyAsync(async () =>
            {
                await using var reader = await take.ExecuteReaderAsync();
                await reader.NextResultAsync();
                return await reader.ReadAsync() && reader.GetBoolean(0);
            }, "the lock of the relay is had");
            var need = await Host.SubmitAsync(_town.Need());
            await Host.EventuallyAsync(need.NeedId, "offered");
            await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) > 3, "the oldest event grows old");
            Assert.DoesNotContain(Host.Heard.Offers, offer => offer.NeedId == need.NeedId);
        }
        await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) == 0, "another one publishes");
    }

    [Fact]
    public async Task while_the_log_cannot_be_read_nothing_is_known_to_be_published()
    {
        await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) == 0, "all is published");
        await using var other = await ConnectAsync();
        await using (var transaction = await other.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var hold = new NpgsqlCommand("lock table huzhu.mt_event_progression in access exclusive mode", other);
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) > 3, "the age counts on from the last look");
        }
        await EventuallyAsync(async () => await Host.MetricAsync(0, Unpublished) == 0, "the log is read again");
    }

    /// <summary>A session that ends when it is disposed of.</summary>
    private async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection($"{Host.Database};Pooling=false");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }
}
