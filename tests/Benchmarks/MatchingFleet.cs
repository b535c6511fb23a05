using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Npgsql;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Huzhu.Benchmarks;

/// <summary>Processor time and commits of a fleet, counted since it started.</summary>
/// <param name="CpuSeconds">Of the processes, PostgreSQL and RabbitMQ together.</param>
/// <param name="DecidingCpuSeconds">The same without RabbitMQ.</param>
sealed record FleetCounts(double CpuSeconds, double DecidingCpuSeconds, long Commits, long Conflicts)
{
    public static FleetCounts operator -(FleetCounts after, FleetCounts before) =>
        new(after.CpuSeconds - before.CpuSeconds, after.DecidingCpuSeconds - before.DecidingCpuSeconds, after.Commits - before.Commits, after.Conflicts - before.Conflicts);

    public double ConflictShare => Commits + Conflicts == 0 ? 0 : (double)Conflicts / (Commits + Conflicts);
}

/// <summary>
/// Matching as it runs, one or several processes on a database and a virtual host of their own, fed and heard by a bare
/// client of the broker, so that what the client costs stays small beside what is measured.
/// </summary>
sealed class MatchingFleet : IAsyncDisposable
{
    const string Envelope = "application/vnd.masstransit+json";
    static int _count;

    readonly LocalInfrastructure _infrastructure;
    readonly ServiceHost _services;
    readonly IConnection _connection;
    readonly IChannel _channel;
    readonly NpgsqlDataSource _data;
    readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 64 });

    MatchingFleet(LocalInfrastructure infrastructure, ServiceHost services, IConnection connection, IChannel channel, NpgsqlDataSource data)
    {
        (_infrastructure, _services, _connection, _channel, _data) = (infrastructure, services, connection, channel, data);
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", services.Token("bench", ["operator"]));
    }

    public NpgsqlDataSource Data => _data;
    public int Replicas => _services.Processes.Count;
    public ServiceProcess this[int replica] => _services["matching", replica];

    /// <param name="heard">Takes each offer that is told to the other services; without one they are dropped unseen.</param>
    public static async Task<MatchingFleet> StartAsync(LocalInfrastructure infrastructure, int replicas, Func<Contracts.Matching.V1.OfferMade, Task>? heard = null)
    {
        var name = $"fleet_{Interlocked.Increment(ref _count)}";
        var broker = await infrastructure.RabbitMq.CreateVirtualHostAsync(name);
        var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
        var channel = await connection.CreateChannelAsync();
        await ListenAsync(connection, heard);
        var database = await infrastructure.Postgres.CreateDatabaseAsync(name, maximumPoolSize: 20);
        var services = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string> { ["matching"] = database },
            AmqpUri = broker,
            Services = ["matching"],
            Replicas = replicas,
            Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "100000" },
        });
        await MakeOffersFasterThanToldAsync(services);
        return new MatchingFleet(infrastructure, services, connection, channel, NpgsqlDataSource.Create(database));
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _services.DisposeAsync();
        await _data.DisposeAsync();
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }

    /// <summary>So that what is measured is Matching, and not how fast responders are told.</summary>
    public static async Task MakeOffersFasterThanToldAsync(ServiceHost services)
    {
        using var calls = new ServiceCalls();
        await calls.ChangePolicyAsync(services.BaseAddress("matching"), services.Token("bench", ["operator"]), policy => policy["maxUntoldOffers"] = 1_000_000, default);
    }

    /// <summary>Publishes as the other services do.</summary>
    public ValueTask SayAsync<T>(T message) where T : class => SayAsync(typeof(T), Serialize(message));

    /// <summary>Publishes what has been made ready before.</summary>
    public ValueTask SayAsync(Type type, ReadOnlyMemory<byte> body) => _channel.BasicPublishAsync($"{type.Namespace}:{type.Name}", "", mandatory: false,
        new BasicProperties { ContentType = Envelope, DeliveryMode = DeliveryModes.Persistent }, body);

    /// <summary>Waits until the broker has taken all that was published: it answers in the channel's order.</summary>
    public Task UntilTakenAsync() => _channel.ExchangeDeclarePassiveAsync($"{typeof(NeedSubmitted).Namespace}:{nameof(NeedSubmitted)}");

    public static byte[] Serialize<T>(T message) where T : class => JsonSerializer.SerializeToUtf8Bytes(new
    {
        messageId = Guid.NewGuid(),
        messageType = new[] { $"urn:message:{typeof(T).Namespace}:{typeof(T).Name}" },
        message,
    }, JsonSerializerOptions.Web);

    /// <summary>Has the responders listed and waits until all processes know them.</summary>
    public async Task ListAsync(IReadOnlyCollection<ResponderChanged> responders)
    {
        foreach (var responder in responders)
            await SayAsync(responder);
        await UntilAsync("select count(*) from huzhu.responders", responders.Count, TimeSpan.FromMinutes(2));
        await Task.Delay(500);
    }

    public Task UntilOffersAsync(long count, TimeSpan patience) => UntilAsync("select count(*) from huzhu.offers", count, patience);

    public async Task UntilAsync(string sql, long count, TimeSpan patience)
    {
        var until = DateTime.UtcNow + patience;
        while (await CountAsync(sql) < count)
        {
            if (DateTime.UtcNow > until)
                throw new InvalidOperationException($"After {patience.TotalSeconds:0} s \"{sql}\" is {await CountAsync(sql)} instead of {count}.");
            await Task.Delay(25);
        }
    }

    public async Task<long> CountAsync(string sql)
    {
        await using var command = _data.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    public async Task<List<DateTimeOffset>> OfferTimesAsync()
    {
        await using var command = _data.CreateCommand("select timestamp from huzhu.mt_events where type = 'offer_made'");
        await using var reader = await command.ExecuteReaderAsync();
        var times = new List<DateTimeOffset>();
        while (await reader.ReadAsync())
            times.Add(reader.GetFieldValue<DateTimeOffset>(0));
        return times;
    }

    /// <summary>
    /// Copies what the log holds, under other streams, until it holds so many events, and says of every subscription that
    /// it has had them. No process may be running.
    /// </summary>
    public async Task LengthenLogAsync(long events)
    {
        const string Copied = "data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, is_archived";
        await using var connection = await _data.OpenConnectionAsync();
        foreach (var sql in new[]
        {
            "set session_replication_role = replica",
            $"""
            insert into huzhu.mt_events (seq_id, id, stream_id, version, {Copied})
            select nextval('huzhu.mt_events_sequence'), gen_random_uuid(), md5(stream_id::text || copy)::uuid, version, {Copied}
            from generate_series(1, (select {events} / count(*) + 1 from huzhu.mt_events)) copy, huzhu.mt_events limit greatest(0, {events} - (select count(*) from huzhu.mt_events))
            """,
            "update huzhu.mt_event_progression set last_seq_id = (select max(seq_id) from huzhu.mt_events)",
            "vacuum analyze huzhu.mt_events",
        })
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>Answers an offer over HTTP, at one of the processes.</summary>
    public async Task AnswerAsync(int replica, OfferId offer, string answer)
    {
        using var response = await _http.PostAsJsonAsync(new Uri(this[replica].BaseAddress, $"v1/offers/{offer}/{answer}"), new { });
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException($"{answer} of {offer} answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
    }

    public async Task<FleetCounts> CountsAsync()
    {
        var (commits, conflicts) = (0L, 0L);
        for (var replica = 1; replica <= Replicas; replica++)
        {
            var metrics = await _http.GetStringAsync(new Uri(this[replica].BaseAddress, "metrics"));
            commits += Value(metrics, "huzhu_matching_commits");
            conflicts += Value(metrics, "huzhu_matching_conflicts");
        }
        var used = ProcessorTime.Of(_infrastructure.Run);
        return new FleetCounts(used.Values.Sum(), used.Where(process => process.Key != ServerNames.RabbitMq).Sum(process => process.Value), commits, conflicts);

        static long Value(string metrics, string name) => metrics.Split('\n')
            .Where(line => line.StartsWith($"{name}_total", StringComparison.Ordinal) || line.StartsWith($"{name}{{", StringComparison.Ordinal))
            .Sum(line => (long)double.Parse(line[line.IndexOf('}', StringComparison.Ordinal)..].Split(' ')[1], CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// What must hold at every version of the log, from the log alone: no ledger above its capacity, no need with two
    /// places of one responder or none at all.
    /// </summary>
    /// <exception cref="InvalidOperationException">Something does not: the figures of such a run count for nothing.</exception>
    public async Task CheckAsync(long needs)
    {
        var over = await CountAsync("""
            select count(*) from (
                select sum(case type when 'place_held' then 1 when 'place_released' then -1 else 0 end) over (partition by stream_id order by version) as held,
                    max((data->'profile'->>'capacity')::int) over (partition by stream_id) as capacity
                from huzhu.mt_events where type in ('place_held', 'place_released', 'responder_listed', 'responder_updated')) ledger
            where held > capacity or held < 0
            """);
        var lost = needs - await CountAsync("select count(distinct stream_id) from huzhu.mt_events where type in ('offer_made', 'need_waits')");
        var doubled = await CountAsync("select count(*) from (select 1 from huzhu.mt_events where type = 'offer_made' group by stream_id, data->>'offerId' having count(*) > 1) twice")
            + await CountAsync("""
                select count(*) from (select stream_id, sum(case when type = 'offer_made' then 1 when type in ('offer_declined', 'offer_expired', 'offer_undeliverable', 'offer_superseded',
                    'offer_revoked', 'offer_released', 'offer_disputed', 'help_completed') then -1 end) as open,
                    coalesce(max((data->>'parallelOffers')::int), 1) as wanted from huzhu.mt_events group by stream_id) match where open > wanted
                """);
        if (over != 0 || lost != 0 || doubled != 0)
            throw new InvalidOperationException($"{over} ledger versions are above capacity, {lost} needs have neither an offer nor a reason to wait, {doubled} have more offers than they should.");
    }

    /// <summary>The exchanges exist before anybody publishes to them: a message that no queue takes would be tried for ever.</summary>
    static async Task ListenAsync(IConnection connection, Func<Contracts.Matching.V1.OfferMade, Task>? heard)
    {
        var channel = await connection.CreateChannelAsync();
        foreach (var type in typeof(Contracts.Matching.V1.OfferMade).Assembly.GetTypes().Where(type => type.Namespace is { } space && space.StartsWith("Huzhu.Contracts.", StringComparison.Ordinal) && type.IsClass && !type.IsAbstract))
            await channel.ExchangeDeclareAsync($"{type.Namespace}:{type.Name}", ExchangeType.Fanout, durable: true);
        await channel.QueueDeclareAsync("bench-dropped", durable: false, exclusive: true, autoDelete: true, new Dictionary<string, object?> { ["x-max-length"] = 1 });
        await channel.QueueDeclareAsync("bench-offers", durable: false, exclusive: true, autoDelete: true, heard is null ? new Dictionary<string, object?> { ["x-max-length"] = 1 } : null);
        foreach (var type in typeof(Contracts.Matching.V1.OfferMade).Assembly.GetTypes().Where(type => type.Namespace == typeof(Contracts.Matching.V1.OfferMade).Namespace && type.IsClass && type != typeof(Contracts.Matching.V1.OfferMade)))
            await channel.QueueBindAsync("bench-dropped", $"{type.Namespace}:{type.Name}", "");
        await channel.QueueBindAsync("bench-offers", $"{typeof(Contracts.Matching.V1.OfferMade).Namespace}:{nameof(Contracts.Matching.V1.OfferMade)}", "");
        if (heard is null)
            return;
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, delivery) =>
        {
            using var envelope = JsonDocument.Parse(delivery.Body);
            return heard(envelope.RootElement.GetProperty("message").Deserialize<Contracts.Matching.V1.OfferMade>(JsonSerializerOptions.Web)!);
        };
        await channel.BasicConsumeAsync("bench-offers", autoAck: true, consumer);
    }
}
