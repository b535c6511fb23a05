using Huzhu.TestKit;
using Marten;
using Npgsql;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>Whatever is committed is published, whatever happens around it.</summary>
public sealed class RelayTests(Servers servers)
{
    /// <summary><c>HUZHU_LATE_COMMITS=100000</c> makes so many appends, some of them held open for up to a minute; the relay loses its session meanwhile, again and again.</summary>
    [Fact]
    public async Task late_commits_and_rollbacks_among_others_lose_nothing()
    {
        var count = Environment.GetEnvironmentVariable("HUZHU_LATE_COMMITS") is { Length: > 0 } asked ? int.Parse(asked, System.Globalization.CultureInfo.InvariantCulture) : 0;
        var isLong = count > 0;
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("relay"), await servers.CreateVirtualHostAsync());
        if (isLong)
        {
            // The server's own limit, which ends a transaction that idles, would end the longest. Not in the pool: this session keeps the limit.
            await using var connection = new NpgsqlConnection($"{service.App.Configuration["ConnectionStrings:EventStore"]};Pooling=false");
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            await using var unlimited = new NpgsqlCommand($"alter database {connection.Database} set idle_in_transaction_session_timeout = 0", connection);
            await unlimited.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        using var appending = new CancellationTokenSource();
        var losses = isLong ? LoseSessionsAsync(service, appending.Token) : Task.FromResult(0);
        var committed = new List<Guid>();
        var random = new Random(1);
        // At most as many at once as there are connections, and a few of those for long.
        var slots = new SemaphoreSlim(12);
        var appends = Enumerable.Range(0, isLong ? count : 120).Select(async index =>
        {
            var (delay, rollsBack, isLate) = (random.Next(1500), isLong ? random.Next(10) < 3 : index % 3 == 0, isLong ? index % (count / 20) == 0 : index % 5 == 0);
            if (isLong)
                await slots.WaitAsync();
            else
                await Task.Delay(delay);
            using var _ = new Leaving(isLong ? slots : null);
            var id = Guid.CreateVersion7();
            await using var connection = new NpgsqlConnection(service.App.Configuration["ConnectionStrings:EventStore"]);
            await connection.OpenAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await using var session = service.Store.LightweightSession(Marten.Services.SessionOptions.ForTransaction(transaction));
            session.Events.StartStream(id, new SampleService.SomethingHappened($"{index}"));
            await session.SaveChangesAsync();
            if (isLate)
                await Task.Delay(isLong ? random.Next(5_000, 60_000) : 2000);
            if (rollsBack)
            {
                await transaction.RollbackAsync();
                return;
            }
            await transaction.CommitAsync();
            lock (committed)
                committed.Add(id);
        });
        await Task.WhenAll(appends);
        await appending.CancelAsync();
        var lost = await losses;

        await Received.UntilAsync(() => service.Received.Messages.Select(message => message.Stream).Distinct().Count() >= committed.Count,
            "every committed event is published", seconds: 90);
        TestContext.Current.TestOutputHelper?.WriteLine($"{committed.Count} committed, each published; the relay lost its session {lost} times.");
        Assert.Equal(committed.Order(), service.Received.Messages.Select(message => message.Stream).Distinct().Order());
    }

    private static async Task<int> LoseSessionsAsync(SampleService service, CancellationToken cancellation)
    {
        var lost = 0;
        while (!cancellation.IsCancellationRequested)
        {
            lost += await EndSessionOfRelayAsync(service.App.Configuration["ConnectionStrings:EventStore"]!);
            await Task.Delay(TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        return lost;
    }

    /// <returns>How many held the lock.</returns>
    private static async Task<int> EndSessionOfRelayAsync(string database)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var terminate = new NpgsqlCommand("""
            select count(pg_terminate_backend(pid, 5000))::int from pg_locks
            where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
            """, connection);
        return (int)(await terminate.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    private sealed class Leaving(SemaphoreSlim? slots) : IDisposable
    {
        public void Dispose() => slots?.Release();
    }

    [Fact]
    public async Task a_message_without_a_queue_waits_until_there_is_one()
    {
        var broker = await servers.CreateVirtualHostAsync();
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("relay"), broker);
        var id = await service.AppendAsync(SampleService.Unrouted);
        await Task.Delay(1000, TestContext.Current.CancellationToken);

        await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync(TestContext.Current.CancellationToken);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: TestContext.Current.CancellationToken);
        const string exchange = "Huzhu.Contracts.Notifications.V1:OfferUndeliverable";
        await channel.ExchangeDeclareAsync(exchange, "fanout", durable: true, cancellationToken: TestContext.Current.CancellationToken);
        await channel.QueueDeclareAsync("late", durable: true, exclusive: false, autoDelete: false, cancellationToken: TestContext.Current.CancellationToken);
        await channel.QueueBindAsync("late", exchange, "", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Contains(id.ToString(), await TakeAsync(channel, "late"));
    }

    private static async Task<string> TakeAsync(IChannel channel, string queue, int most = 300)
    {
        BasicGetResult? message = null;
        for (var tries = 0; message is null && tries < most; tries++)
        {
            message = await channel.BasicGetAsync(queue, autoAck: true, TestContext.Current.CancellationToken);
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
        Assert.NotNull(message);
        return System.Text.Encoding.UTF8.GetString(message.Body.Span);
    }

    [Fact]
    public async Task a_broker_that_rejects_everything_for_long_is_connected_to_anew()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var address = new Uri(await servers.CreateVirtualHostAsync());
        await using var path = new FaultProxy(address.Port);
        await using var connection = await new ConnectionFactory { Uri = address }.CreateConnectionAsync(cancellation);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        const string exchange = "Huzhu.Contracts.Notifications.V1:OfferUndeliverable";
        await channel.ExchangeDeclareAsync(exchange, "fanout", durable: true, cancellationToken: cancellation);
        await channel.QueueDeclareAsync("full", durable: true, exclusive: false, autoDelete: false,
            new Dictionary<string, object?> { ["x-max-length"] = 1, ["x-overflow"] = "reject-publish" }, cancellationToken: cancellation);
        await channel.QueueBindAsync("full", exchange, "", cancellationToken: cancellation);
        await channel.BasicPublishAsync(exchange, "", System.Text.Encoding.UTF8.GetBytes("the only one"), cancellation);

        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("relay"), new UriBuilder(address) { Port = path.Port }.Uri.AbsoluteUri);
        await Received.UntilAsync(() => path.Taken > 0, "the bus connects");
        var before = path.Taken;
        var id = await service.AppendAsync(SampleService.Unrouted);
        await Received.UntilAsync(() => path.Taken > before, "it connects anew", seconds: 60);

        // Nothing is lost meanwhile.
        Assert.Equal("the only one", await TakeAsync(channel, "full"));
        Assert.Contains(id.ToString(), await TakeAsync(channel, "full", most: 1200));
    }

    [Fact]
    public async Task the_message_id_is_the_event_id()
    {
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("relay"), await servers.CreateVirtualHostAsync());
        var stream = await service.AppendAsync("once");
        await Received.UntilAsync(() => !service.Received.Messages.IsEmpty, "the event is published");
        await using var session = service.Store.QuerySession();
        var stored = Assert.Single(await session.Events.FetchStreamAsync(stream, token: TestContext.Current.CancellationToken));
        Assert.Equal((stored.Id, stream), Assert.Single(service.Received.Messages));
    }

    [Fact]
    public async Task two_replicas_relay_each_event_once_and_the_second_goes_on_when_the_first_stops()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("relay"), await servers.CreateVirtualHostAsync());
        var first = await SampleService.StartAsync(database, broker);
        await using var second = await SampleService.StartAsync(database, broker);
        var appended = new List<Guid>();
        for (var index = 0; index < 20; index++)
            appended.Add(await (index % 2 == 0 ? first : second).AppendAsync("either"));
        await Received.UntilAsync(() => first.Received.Messages.Count + second.Received.Messages.Count >= 20, "both replicas' events are published");
        Assert.Equal(20, first.Received.Messages.Count + second.Received.Messages.Count);

        var before = first.Received.Messages.ToArray();
        await first.DisposeAsync();
        appended.Add(await second.AppendAsync("after"));
        await Received.UntilAsync(() => second.Received.Messages.Any(message => message.Stream == appended[^1]), "the second replica relays");
        Assert.Equal(appended.Order(), before.Concat(second.Received.Messages).Select(message => message.Stream).Distinct().Order());
    }

    [Fact]
    public async Task who_loses_the_session_that_holds_the_lock_stops_relaying_and_somebody_goes_on()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("relay"), await servers.CreateVirtualHostAsync());
        await using var first = await SampleService.StartAsync(database, broker);
        await using var second = await SampleService.StartAsync(database, broker);
        var appended = new List<Guid>();
        for (var loss = 0; loss < 3; loss++)
        {
            for (var index = 0; index < 5; index++)
                appended.Add(await first.AppendAsync("either"));
            await Received.UntilAsync(() => appended.All(Messages().Contains), "everything so far is published");
            Assert.Equal(1, await EndSessionOfRelayAsync(database));
        }
        appended.Add(await second.AppendAsync("after"));
        await Received.UntilAsync(() => Messages().Contains(appended[^1]), "somebody relays");
        Assert.Equal(appended.Order(), Messages().Order());

        HashSet<Guid> Messages() => [.. first.Received.Messages.Concat(second.Received.Messages).Select(message => message.Stream)];
    }

    [Fact]
    public async Task an_event_of_a_newer_version_is_not_passed_over_by_one_that_does_not_know_it()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("relay"), await servers.CreateVirtualHostAsync());
        await using var service = await SampleService.StartAsync(database, broker);
        var known = await service.AppendAsync("known");
        await Received.UntilAsync(() => service.Received.Messages.Any(message => message.Stream == known), "what is known is published");
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var newer = new NpgsqlCommand("""
            with stream as (insert into huzhu.mt_streams (id, version, timestamp, tenant_id) values (gen_random_uuid(), 1, now(), '*DEFAULT*') returning id)
            insert into huzhu.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id)
            select nextval('huzhu.mt_events_sequence'), gen_random_uuid(), id, 1, '{}', 'something_of_tomorrow', now(), '*DEFAULT*' from stream
            """, connection);
        Assert.Equal(1, await newer.ExecuteNonQueryAsync(TestContext.Current.CancellationToken));
        var behind = await service.AppendAsync("behind it");
        await Task.Delay(1_500, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(service.Received.Messages, message => message.Stream == behind);

        await using var place = new NpgsqlCommand("select last_seq_id from huzhu.mt_event_progression where name = 'Relay:All'", connection);
        Assert.Equal(1L, await place.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task a_poison_message_is_set_aside_with_its_reason_and_blocks_nobody()
    {
        var broker = await servers.CreateVirtualHostAsync();
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("relay"), broker);
        await service.AppendAsync("poison");
        var good = await service.AppendAsync("good");
        await Received.UntilAsync(() => service.Received.Messages.Any(message => message.Stream == good), "the good message is consumed");

        Assert.Equal("poison", await SetAside.TakeReasonAsync(broker, "sample-sample_error", TestContext.Current.CancellationToken));
    }
}
