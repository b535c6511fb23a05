using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using MassTransit.Serialization;
using Npgsql;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Xunit;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>The real Groups service as a child process, on a database and a virtual host of its own, and everything it tells others.</summary>
public sealed class GroupsService : IAsyncDisposable
{
    private readonly HttpClient _http = new();
    private IConnection? _broker;

    private GroupsService(ServiceHost host, string database, string amqp) => (Host, Database, Amqp) = (host, database, amqp);

    public ServiceHost Host { get; }
    public string Database { get; }
    public string Amqp { get; }
    public ConcurrentQueue<ResponderChanged> Told { get; } = [];
    public ConcurrentQueue<MeasureImposed> Imposed { get; } = [];
    public ConcurrentQueue<MeasureLifted> Lifted { get; } = [];
    public IChannel Channel { get; private set; } = null!;

    /// <param name="through">Puts something between the service and its servers: given the database's and the broker's address, the ones the service is to use.</param>
    public static async Task<GroupsService> StartAsync(Servers servers, int replicas = 1, Func<string, string, (string Database, string Amqp)>? through = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var infrastructure = await servers.InfrastructureAsync();
        var (database, amqp) = (await servers.CreateDatabaseAsync("groups"), await servers.CreateVirtualHostAsync());
        var listening = await ListenAsync(amqp);
        var (serviceDatabase, serviceAmqp) = through?.Invoke(database, amqp) ?? (database, amqp);
        var host = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string> { ["groups"] = serviceDatabase },
            AmqpUri = serviceAmqp,
            Services = ["groups"],
            Replicas = replicas,
            Environment = new Dictionary<string, string>(environment ?? new Dictionary<string, string>()) { ["Limits__RequestsPerSecond"] = "10000" },
        });
        var service = new GroupsService(host, database, amqp) { _broker = listening };
        await service.CollectAsync(listening);
        return service;
    }

    public async Task<Answer> SendAsync(HttpMethod method, string path, string? token, object? body = null, int replica = 1, Action<HttpRequestMessage>? with = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(Host["groups", replica].BaseAddress, path));
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Content = body switch
        {
            null => null,
            HttpContent content => content,
            JsonNode json => JsonContent.Create(json),
            _ => JsonContent.Create(body),
        };
        with?.Invoke(request);
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new Answer(response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text), response.Headers.ETag?.Tag, response.Headers.Location?.ToString());
    }

    public Task<Answer> PostAsync(string path, string? token, object body, int replica = 1) => SendAsync(HttpMethod.Post, path, token, body, replica);
    public Task<Answer> GetAsync(string path, string? token) => SendAsync(HttpMethod.Get, path, token);

    public string Operator => Host.Token("op", ["operator"]);
    public string Coordinator(string subject = "lin") => Host.Token(subject, ["coordinator"]);

    public async Task<Guid> RegisterAsync(string path, object? entry = null, string? token = null)
    {
        var answer = await PostAsync(path, token ?? Operator, entry ?? Entry());
        Assert.Equal(HttpStatusCode.Created, answer.Status);
        return (Guid)answer.Body!["id"]!;
    }

    public Task<Guid> ProviderAsync(params (double Lat, double Lon)[] sites) => RegisterAsync("/v1/providers", Entry(sites: sites));

    public async Task<string> OpeningOfAsync(Guid provider) => (string)(await GetAsync($"/v1/providers/{provider}", Operator)).Body!["opening"]!;

    public Task OpeningBecomesAsync(Guid provider, string opening) =>
        Eventually.Async(async () => await OpeningOfAsync(provider) == opening, $"the provider {provider} becomes {opening}");

    public static JsonObject Entry(string name = "Sunshine clinic", Guid? id = null, params (double Lat, double Lon)[] sites) => new()
    {
        ["id"] = id?.ToString(),
        ["name"] = name,
        ["sites"] = new JsonArray([.. (sites.Length == 0 ? [Places.Inside] : sites).Select(site => new JsonObject { ["lat"] = site.Lat, ["lon"] = site.Lon, ["subDistrict"] = "J" })]),
        ["radiusMetres"] = 3000,
        ["subDistricts"] = new JsonArray(),
        ["serviceKinds"] = new JsonArray("meals", "specialised"),
        ["modes"] = new JsonArray("online", "offline"),
        ["communicationAbilities"] = new JsonArray("sign-language", "text-only"),
        ["capacity"] = 8,
        ["channels"] = new JsonArray(new JsonObject { ["kind"] = "webhook", ["address"] = "https://group.example/offers", ["secret"] = "whsec_c2VjcmV0" }),
    };

    public static object Measure(string name = "Lockdown of W", object? from = null, object? until = null, bool closes = true) => new
    {
        name,
        area = new[] { new { lat = 31.20, lon = 121.40 }, new { lat = 31.20, lon = 121.50 }, new { lat = 31.25, lon = 121.50 }, new { lat = 31.25, lon = 121.40 } },
        from,
        until,
        closesProviders = closes,
    };

    public async Task<Guid> ImposeAsync(object? measure = null)
    {
        var answer = await PostAsync("/v1/measures", Operator, measure ?? Measure());
        Assert.Equal(HttpStatusCode.Created, answer.Status);
        return (Guid)answer.Body!["id"]!;
    }

    public async Task LiftAsync(Guid measure) =>
        Assert.Equal(HttpStatusCode.OK, (await PostAsync($"/v1/measures/{measure}/lift", Operator, new { reason = "over" })).Status);

    public async Task<T> QueryAsync<T>(string sql)
    {
        await using var source = NpgsqlDataSource.Create(Database);
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>How many providers' events the tests have published.</summary>
    public int PublishedEvents { get; set; }

    /// <summary>A counter of the service, over all its labels.</summary>
    public async Task<double> MetricAsync(string name)
    {
        var text = await _http.GetStringAsync(new Uri(Host["groups"].BaseAddress, "metrics"));
        return text.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal))
            .Sum(line => double.Parse(line.Split("} ")[^1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Without the records of who read what: the service writes them a moment after the reading, which may have been another test's.</summary>
    public Task<long> CountEventsAsync() => QueryAsync<long>("select count(*) from huzhu.mt_events where type <> 'personal_data_read'");

    /// <summary>The newest that was told of this responder, once it is this version.</summary>
    public async Task<ResponderChanged> ToldOfAsync(Guid responder, long version)
    {
        await Eventually.Async(() => Task.FromResult(Told.Any(one => one.ResponderId.Value == responder && one.Version >= version)), $"version {version} of {responder} is told");
        return Told.First(one => one.ResponderId.Value == responder && one.Version == version);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        if (_broker is not null)
            await _broker.DisposeAsync();
        _http.Dispose();
    }

    private static async Task<IConnection> ListenAsync(string amqp)
    {
        var connection = await new ConnectionFactory { Uri = new Uri(amqp) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        // Before the service starts: a message that no queue takes is held back by the relay.
        await channel.QueueDeclareAsync("listener", durable: true, exclusive: false, autoDelete: false);
        foreach (var type in new[] { typeof(ResponderChanged), typeof(MeasureImposed), typeof(MeasureLifted), typeof(ContactErased) })
        {
            await channel.ExchangeDeclareAsync($"{type.Namespace}:{type.Name}", ExchangeType.Fanout, durable: true);
            await channel.QueueBindAsync("listener", $"{type.Namespace}:{type.Name}", "");
        }
        return connection;
    }

    private async Task CollectAsync(IConnection connection)
    {
        Channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        var consumer = new AsyncEventingBasicConsumer(Channel);
        consumer.ReceivedAsync += (_, arrived) =>
        {
            var envelope = JsonNode.Parse(arrived.Body.Span)!;
            var message = envelope["message"]!;
            switch (((string)envelope["messageType"]![0]!).Split(':')[^1])
            {
                case nameof(ResponderChanged):
                    Told.Enqueue(message.Deserialize<ResponderChanged>(SystemTextJsonMessageSerializer.Options)!);
                    break;
                case nameof(MeasureImposed):
                    Imposed.Enqueue(message.Deserialize<MeasureImposed>(SystemTextJsonMessageSerializer.Options)!);
                    break;
                case nameof(MeasureLifted):
                    Lifted.Enqueue(message.Deserialize<MeasureLifted>(SystemTextJsonMessageSerializer.Options)!);
                    break;
            }
            return Task.CompletedTask;
        };
        await Channel.BasicConsumeAsync("listener", autoAck: true, consumer);
    }
}

public sealed record Answer(HttpStatusCode Status, JsonNode? Body, string? ETag, string? Location)
{
    public string? Code => (string?)Body?["code"];
    public IEnumerable<string> Fields => Body?["errors"]?.AsObject().Select(one => one.Key) ?? [];
}

internal static class Places
{
    public static readonly (double, double) Inside = (31.22, 121.44);
    public static readonly (double, double) AlsoInside = (31.23, 121.45);
    public static readonly (double, double) Outside = (31.30, 121.60);
}

internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Waits for what must happen, and says what did not.</summary>
    public static async Task Async(Func<Task<bool>> holds, string what, TimeSpan? patience = null)
    {
        var until = DateTime.UtcNow + (patience ?? Patience);
        while (!await holds())
        {
            Assert.True(DateTime.UtcNow < until, $"It did not happen in time that {what}.");
            await Task.Delay(50);
        }
    }
}

/// <summary>One service for the tests of one class: each test makes its own responders in it.</summary>
public sealed class SharedGroups(Servers servers) : IAsyncLifetime
{
    public GroupsService Service { get; private set; } = null!;
    public async ValueTask InitializeAsync() => Service = await GroupsService.StartAsync(servers);
    public ValueTask DisposeAsync() => Service.DisposeAsync();
}
