using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>
/// Matching as it runs: its program as child processes on a database and a virtual host of their own, and a bus beside
/// them that says what the other services would say and hears what Matching tells them.
/// </summary>
public sealed class MatchingHost : IAsyncDisposable
{
    private readonly List<Replica> _replicas = [];
    private readonly byte[] _signingKey = RandomNumberGenerator.GetBytes(32);
    private readonly byte[] _linkKey = RandomNumberGenerator.GetBytes(32);
    private readonly string _database;
    private readonly string _broker;
    private ServiceProvider? _bus;
    private readonly NpgsqlDataSource _data;

    private MatchingHost(string database, string broker)
    {
        (_database, _broker) = (database, broker);
        _data = NpgsqlDataSource.Create(database);
    }

    public string Database => _database;
    public Heard Heard { get; } = new();
    public HttpClient Http => _replicas[0].Http;
    public LinkSigner Links => new(_linkKey);

    public static async Task<MatchingHost> StartAsync(Servers servers, int replicas = 1)
    {
        var host = new MatchingHost(await servers.CreateDatabaseAsync("matching"), await servers.CreateVirtualHostAsync("matching"));
        try
        {
            await host.StartBusAsync();
            await host.AddReplicaAsync();
            for (var replica = 1; replica < replicas; replica++)
                await host.AddReplicaAsync();
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    public async Task<int> AddReplicaAsync()
    {
        var replica = new Replica(this);
        _replicas.Add(replica);
        await replica.WaitUntilReadyAsync();
        return _replicas.Count - 1;
    }

    public void Kill(int replica) => _replicas[replica].Kill();

    /// <summary>The process stands still with all its connections open.</summary>
    public void Freeze(int replica) => _replicas[replica].Signal("STOP");

    public void Thaw(int replica) => _replicas[replica].Signal("CONT");

    /// <summary>What a metric of the replica says, of those with these labels taken together.</summary>
    public async Task<double> MetricAsync(int replica, string name, params (string Key, string Value)[] labels) => (await HttpOf(replica).GetStringAsync("/metrics")).Split('\n')
        .Where(line => line.StartsWith(name + "{", StringComparison.Ordinal) && labels.All(label => line.Contains($"{label.Key}=\"{label.Value}\"", StringComparison.Ordinal)))
        .Sum(line => double.Parse(line[line.IndexOf('}', StringComparison.Ordinal)..].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>All timers of the need fire now, whatever their time.</summary>
    public async Task<int> FireTimersAsync(NeedId need)
    {
        await using var command = _data.CreateCommand("update huzhu.timers set due_at = now() where subject = $1");
        command.Parameters.AddWithValue(need.Value);
        return await command.ExecuteNonQueryAsync();
    }

    public HttpClient HttpOf(int replica) => _replicas[replica].Http;

    public string Token(string role, string subject = "test", params Guid[] responders) =>
        Security.CreateDevelopmentToken(_signingKey, subject, [role], DateTimeOffset.UtcNow, responders);

    public Task SayAsync<T>(T message, Guid? messageId = null) where T : class => _bus!.GetRequiredService<IBus>().Publish(message, context =>
    {
        if (messageId is { } id)
            context.MessageId = id;
    });

    public async Task<(int Status, JsonNode? Body)> SendAsync(HttpMethod method, string path, object? body = null, string? token = "", int replica = 0, string? ifMatch = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Length == 0 ? Token(Roles.Operator) : token);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (body is not null)
            request.Content = JsonContent.Create(body, body.GetType());
        using var response = await _replicas[replica].Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public async Task<JsonNode> AnswerAsync(JsonNode offer, string answer, object? body = null, int replica = 0) =>
        await AnswerAsync(OfferId.Of(Guid.Parse((string)offer["offerId"]!)), answer, body, replica);

    /// <returns>The match after it.</returns>
    public async Task<JsonNode> AnswerAsync(OfferId offer, string answer, object? body = null, int replica = 0)
    {
        var (status, answered) = await SendAsync(HttpMethod.Post, $"/v1/offers/{offer}/{answer}", body, replica: replica);
        Assert.True(status == 200, $"{answer} answered {status}: {answered}");
        return (await SendAsync(HttpMethod.Get, $"/v1/matches/{await NeedOfAsync(offer)}", replica: replica)).Body!;
    }

    private async Task<Guid> NeedOfAsync(OfferId offer)
    {
        await using var command = _data.CreateCommand("select stream_id from huzhu.mt_events where type = 'offer_made' and data ->> 'offerId' = $1");
        command.Parameters.AddWithValue(offer.ToString());
        return (Guid)(await command.ExecuteScalarAsync())!;
    }

    public async Task<JsonNode?> MatchAsync(NeedId need) => (await SendAsync(HttpMethod.Get, $"/v1/matches/{need}")).Body is { } body && body["code"] is null ? body : null;

    /// <summary>Waits until the match is as told, and fails with what it was instead.</summary>
    public async Task<JsonNode> EventuallyAsync(NeedId need, Func<JsonNode, bool> isSo, string what, double seconds = 60)
    {
        JsonNode? last = null;
        for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < seconds; await Task.Delay(25))
        {
            last = await MatchAsync(need);
            if (last is not null && isSo(last))
                return last;
        }
        throw new Xunit.Sdk.XunitException($"The match of {need} was expected to be {what}, and is: {last?.ToJsonString() ?? "unknown"}");
    }

    public Task<JsonNode> EventuallyAsync(NeedId need, string state, double seconds = 60) =>
        EventuallyAsync(need, match => (string)match["state"]! == state, state, seconds);

    public static async Task EventuallyAsync(Func<Task<bool>> isSo, string what, double seconds = 60)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < seconds; await Task.Delay(50))
        {
            if (await isSo())
                return;
        }
        throw new Xunit.Sdk.XunitException($"Expected within {seconds} s: {what}");
    }

    public static IEnumerable<JsonNode> Open(JsonNode match) => match["offers"]!.AsArray().Where(offer => (string)offer!["state"]! is "made" or "sent")!;

    public async Task<JsonNode?> ResponderAsync(ResponderId id, int replica = 0) => (await SendAsync(HttpMethod.Get, $"/v1/responders/{id}", replica: replica)) is (200, var body) ? body : null;

    /// <summary>Lists the responder and waits until Matching knows this version.</summary>
    public async Task<ResponderId> ListAsync(ResponderChanged entry)
    {
        await SayAsync(entry);
        await EventuallyAsync(async () => (long?)(await ResponderAsync(entry.ResponderId))?["directoryVersion"] >= entry.Version, $"version {entry.Version} of {entry.ResponderId} to be known");
        return entry.ResponderId;
    }

    public async Task<Need> SubmitAsync(Need need)
    {
        await SayAsync(new NeedSubmitted(need, DateTimeOffset.UtcNow));
        return need;
    }

    public async Task ChangePolicyAsync(Action<JsonNode> change)
    {
        var (_, policy) = await SendAsync(HttpMethod.Get, "/v1/policy");
        change(policy!);
        var (status, body) = await SendAsync(HttpMethod.Put, "/v1/policy", policy, ifMatch: await PolicyVersionAsync());
        Assert.True(status == 200, $"PUT /v1/policy answered {status}: {body}");
    }

    public async Task<string> PolicyVersionAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/policy");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Token(Roles.Operator));
        using var response = await Http.SendAsync(request);
        return response.Headers.ETag!.Tag;
    }

    public async Task<long> CountAsync(string sql)
    {
        await using var command = _data.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync());
    }

    /// <summary>What must hold at every version of the log, read from the log alone.</summary>
    /// <returns>How many ledger versions and acceptances were looked at.</returns>
    public async Task<(int LedgerVersions, int Acceptances)> CheckLogAsync()
    {
        var capacity = new Dictionary<Guid, int>();
        var held = new Dictionary<Guid, HashSet<string>>();
        var accepted = new Dictionary<Guid, HashSet<string>>();
        var (versions, acceptances) = (0, 0);
        await using var command = _data.CreateCommand("select stream_id, version, type, data::text from huzhu.mt_events order by stream_id, version");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var (stream, version, type) = (reader.GetGuid(0), reader.GetInt64(1), reader.GetString(2));
            var data = JsonNode.Parse(reader.GetString(3))!;
            var places = held.TryGetValue(stream, out var known) ? known : held[stream] = [];
            var taken = accepted.TryGetValue(stream, out var before) ? before : accepted[stream] = [];
            switch (type)
            {
                case "responder_listed" or "responder_updated":
                    capacity[stream] = (int)data["profile"]!["capacity"]!;
                    break;
                case "place_held":
                    Assert.True(places.Add((string)data["offerId"]!), $"Ledger {stream} holds a place twice at version {version}.");
                    break;
                case "place_released":
                    Assert.True(places.Remove((string)data["offerId"]!), $"Ledger {stream} frees a place that it does not hold at version {version}.");
                    break;
                case "offer_accepted":
                    taken.Add((string)data["offerId"]!);
                    acceptances++;
                    Assert.True(taken.Count == 1, $"Match {stream} has two accepted offers at version {version}.");
                    break;
                case "offer_released" or "offer_revoked" or "offer_disputed" or "help_completed":
                    taken.Remove((string)data["offerId"]!);
                    break;
            }
            if (!capacity.TryGetValue(stream, out var limit))
                continue;
            versions++;
            Assert.True(places.Count <= limit, $"Ledger {stream} holds {places.Count} of {limit} places at version {version}.");
        }
        return (versions, acceptances);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var replica in _replicas)
            await replica.DisposeAsync();
        if (_bus is not null)
        {
            await _bus.GetRequiredService<IBusControl>().StopAsync();
            await _bus.DisposeAsync();
        }
        await _data.DisposeAsync();
    }

    private async Task StartBusAsync()
    {
        var services = new ServiceCollection();
        services.AddSingleton(Heard);
        services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();
            bus.AddConsumer<Ear>();
            bus.UsingRabbitMq((context, rabbit) =>
            {
                rabbit.Host(new Uri(_broker));
                rabbit.ReceiveEndpoint("test-heard", endpoint =>
                {
                    endpoint.PrefetchCount = 64;
                    endpoint.ConfigureConsumer<Ear>(context);
                });
            });
        });
        _bus = services.BuildServiceProvider();
        await _bus.GetRequiredService<IBusControl>().StartAsync(new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token);
    }

    private sealed class Replica : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _output = new();

        public Replica(MatchingHost host)
        {
            var port = FreePort();
            var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Huzhu.Matching.dll"), "--urls", $"http://127.0.0.1:{port}"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = AppContext.BaseDirectory,
                Environment =
                {
                    ["ASPNETCORE_ENVIRONMENT"] = "Development",
                    ["ConnectionStrings__EventStore"] = host._database,
                    ["ConnectionStrings__Broker"] = host._broker,
                    ["Auth__Development__SigningKey"] = Convert.ToBase64String(host._signingKey),
                    ["Offers__LinkKey"] = Convert.ToBase64String(host._linkKey),
                    ["Limits__RequestsPerSecond"] = "100000",
                    ["Logging__LogLevel__Default"] = "Warning",
                },
            };
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, line) => Keep(line.Data);
            _process.ErrorDataReceived += (_, line) => Keep(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
            Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(60) };
        }

        public HttpClient Http { get; }

        public async Task WaitUntilReadyAsync()
        {
            for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < 180 && !_process.HasExited; await Task.Delay(50))
            {
                try
                {
                    using var answer = await Http.GetAsync("/health/ready");
                    if (answer.IsSuccessStatusCode)
                        return;
                }
                catch (HttpRequestException)
                {
                }
            }
            throw new Xunit.Sdk.XunitException($"Matching did not get ready:\n{Output()}");
        }

        public void Signal(string signal)
        {
            using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
            kill.WaitForExit();
        }

        public void Kill()
        {
            _process.Kill();
            _process.WaitForExit();
        }

        public ValueTask DisposeAsync()
        {
            if (!_process.HasExited)
                Kill();
            Http.Dispose();
            _process.Dispose();
            if (Environment.GetEnvironmentVariable("HUZHU_TEST_OUTPUT") is { Length: > 0 } folder)
                File.WriteAllText(Path.Combine(folder, $"matching-{Guid.NewGuid():N}.log"), Output());
            return ValueTask.CompletedTask;
        }

        private string Output()
        {
            lock (_output)
                return _output.ToString();
        }

        private void Keep(string? line)
        {
            lock (_output)
            {
                if (_output.Length < 1_000_000)
                    _output.AppendLine(line);
            }
        }

        private static int FreePort()
        {
            using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
            listener.Start();
            return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        }
    }
}

/// <summary>One Matching for all tests of a class: each test has a town of its own, out of reach of the others.</summary>
public sealed class SharedMatching(Servers servers) : IAsyncLifetime
{
    private MatchingHost? _host;

    public MatchingHost Host => _host!;

    public async ValueTask InitializeAsync() => _host = await MatchingHost.StartAsync(servers);

    public ValueTask DisposeAsync() => _host?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>A place of a test's own, with its responders and needs.</summary>
public sealed class Town
{
    private static int _count;
    private readonly GeoPoint _centre = new(10 + 0.5 * Interlocked.Increment(ref _count), 121.44);

    public GeoPoint North(double metres) => new(_centre.Latitude + metres / 111_195, _centre.Longitude);

    public ResponderChanged Responder(Guid? id = null, ResponderKind kind = ResponderKind.Group, double metresNorth = 0, int capacity = 2, long version = 1,
        Opening opening = Opening.Open, string[]? kinds = null, CommunicationNeed[]? abilities = null) => new(
        ResponderId.Of(id ?? Guid.NewGuid()), kind, version, opening, opening is Opening.Closed ? "lockdown" : null, null,
        [new Site(North(metresNorth), "J")], RadiusMetres: 20_000, [], kinds ?? [ServiceKinds.Meals], [DeliveryMode.Online, DeliveryMode.Offline],
        abilities ?? [], capacity, false, null, ["local-coordinator"], DateTimeOffset.UtcNow);

    public Need Need(Urgency urgency = Urgency.Hardship, int quantity = 1, string kind = ServiceKinds.Meals,
        PersonId? person = null, CommunicationNeed[]? communication = null, DateTimeOffset? submittedAt = null) => new(
        NeedId.Of(Guid.NewGuid()), RequestId.Of(Guid.NewGuid()), person ?? PersonId.Of(Guid.NewGuid()), kind, DeliveryMode.Offline, quantity, North(0), "J", urgency,
        communication ?? [], null, [], submittedAt ?? DateTimeOffset.UtcNow);

    public (GeoPoint[] Ring, MeasureId Id) Zone(double halfMetres) => (
        [new(North(-halfMetres).Latitude, 121.43), new(North(-halfMetres).Latitude, 121.45), new(North(halfMetres).Latitude, 121.45), new(North(halfMetres).Latitude, 121.43)],
        MeasureId.Of(Guid.NewGuid()));
}

/// <summary>What Matching told the other services, in the order of arrival.</summary>
public sealed class Heard
{
    public ConcurrentQueue<OfferMade> Offers { get; } = new();
    public ConcurrentQueue<OfferEnded> Ended { get; } = new();
    public ConcurrentQueue<OfferAccepted> Accepted { get; } = new();
    public ConcurrentQueue<NeedStateChanged> States { get; } = new();
}

public sealed class Ear(Heard heard) : IConsumer<OfferMade>, IConsumer<OfferEnded>, IConsumer<OfferAccepted>, IConsumer<NeedStateChanged>
{
    public Task Consume(ConsumeContext<OfferMade> context) => Keep(heard.Offers, context.Message);
    public Task Consume(ConsumeContext<OfferEnded> context) => Keep(heard.Ended, context.Message);
    public Task Consume(ConsumeContext<OfferAccepted> context) => Keep(heard.Accepted, context.Message);
    public Task Consume(ConsumeContext<NeedStateChanged> context) => Keep(heard.States, context.Message);

    private static Task Keep<T>(ConcurrentQueue<T> queue, T message)
    {
        queue.Enqueue(message);
        return Task.CompletedTask;
    }
}
