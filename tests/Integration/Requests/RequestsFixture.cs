using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using MassTransit;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Requests;

[CollectionDefinition(Name)]
public sealed class RequestsCollection : ICollectionFixture<RequestsFixture>
{
    public const string Name = "Requests";
}

/// <summary>
/// Two replicas of the Requests service as they run anywhere, on a database and a virtual host of their own; the test
/// stands in for the other services: it takes what is published and says what Matching would say.
/// </summary>
public class RequestsFixture(Servers servers) : IAsyncLifetime
{
    public const string QuietSource = "quiet_front_end";

    private readonly HttpClient _http = new();
    private readonly ConcurrentQueue<(object Message, string Json)> _published = [];
    private IBusControl _bus = null!;
    private ServiceHost? _host;

    /// <summary>Here Matching says what a test has it say, and to most needs it says nothing.</summary>
    protected virtual string MostUnasked => "1000000";

    /// <summary>A machine that is slow by itself is no overload here.</summary>
    protected virtual string LongestSubmissionSeconds => "3600";

    public string Database { get; private set; } = "";
    public string Broker { get; private set; } = "";
    public ServiceKeys Keys { get; } = ServiceKeys.Random();
    public NpgsqlDataSource Sql { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var infrastructure = await servers.InfrastructureAsync();
        Database = await servers.CreateDatabaseAsync("requests");
        Broker = await servers.CreateVirtualHostAsync("requests");
        Sql = NpgsqlDataSource.Create(Database);

        // The queues come first: what no queue takes, the relay publishes again and again.
        _bus = Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            rabbit.Host(new Uri(Broker));
            rabbit.ReceiveEndpoint("published", endpoint =>
            {
                Capture<NeedSubmitted>(endpoint);
                Capture<NeedUrgencyRaised>(endpoint);
                Capture<NeedCancelled>(endpoint);
                Capture<NeedConfirmed>(endpoint);
                Capture<NeedReopened>(endpoint);
                Capture<ConcernRaised>(endpoint);
                Capture<PersonErased>(endpoint);
            });
        });
        await _bus.StartAsync(TestContext.Current.CancellationToken);

        var map = Path.Combine(infrastructure.Run.FullPath, "sub-districts.geojson");
        await File.WriteAllTextAsync(map, """
            {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"name": "K"},
             "geometry": {"type": "Polygon", "coordinates": [[[121.9, 31.9], [122.0, 31.9], [122.0, 32.0], [121.9, 32.0], [121.9, 31.9]]]}}]}
            """);
        infrastructure.Run.KeepLogs = true;
        _host = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string> { ["requests"] = Database },
            AmqpUri = Broker,
            Keys = Keys,
            Services = ["requests"],
            Replicas = 2,
            Environment = new Dictionary<string, string>(WeChatCaller.Settings.Concat(HotlineTests.Settings))
            {
                ["Limits__RequestsPerSecond"] = "100000",
                ["Limits__MessagesPerMinute"] = "100000",
                // As much as ./huzhu ever says, so that there is something to look for markers in.
                ["Logging__LogLevel__Default"] = "Information",
                ["Admission__MostUnasked"] = MostUnasked,
                ["Admission__LongestSubmissionSeconds"] = LongestSubmissionSeconds,
                ["Places__SubDistrictsFile"] = map,
                // What is tested is what is answered, however slow the machine.
                ["Channels__AnswerWithinMilliseconds"] = "15000",
                [$"Channels__Sources__{QuietSource}__Kind"] = "webhook",
                [$"Channels__Sources__{QuietSource}__Address"] = "https://front-end.example/callers/{ref}",
                ["Channels__Open311__Jurisdictions__w__Id"] = Open311Tests.City,
                ["Channels__Open311__Jurisdictions__w__Contact"] = "desk@w.example",
                ["Channels__Open311__Jurisdictions__w__ConsentBasis"] = "public-task",
                ["Channels__Open311__Jurisdictions__w__Keys__desk__Secret"] = Open311Tests.Desk,
                ["Channels__Open311__Jurisdictions__w__Keys__desk__Scopes"] = "submit read update personal",
                ["Channels__Open311__Jurisdictions__w__Keys__app__Secret"] = Open311Tests.App,
                ["Channels__Open311__Jurisdictions__w__Keys__app__Scopes"] = "submit",
                ["Channels__Open311__Jurisdictions__w__Keys__map__Secret"] = Open311Tests.Map,
                ["Channels__Open311__Jurisdictions__w__Keys__map__Scopes"] = "read",
                ["Channels__Open311__Jurisdictions__elsewhere__ConsentBasis"] = "public-task",
                ["Channels__Open311__Jurisdictions__elsewhere__Keys__desk__Secret"] = Open311Tests.Elsewhere,
                ["Channels__Open311__Jurisdictions__elsewhere__Keys__desk__Scopes"] = "submit,read,update,personal",
            },
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
            await _host.DisposeAsync();
        await _bus.StopAsync();
        await Sql.DisposeAsync();
        _http.Dispose();
    }

    public ServiceProcess Process(int replica = 1) => _host!["requests", replica];

    public string Token(string subject, string[] roles, string[]? sources = null) => _host!.Token(subject, roles, sources: sources);

    /// <summary>The memory that the first replica has of the machine, in bytes.</summary>
    public async Task<long> MemoryAsync()
    {
        var lines = await File.ReadAllLinesAsync($"/proc/{Process().Pid}/status", TestContext.Current.CancellationToken);
        return 1024 * long.Parse(lines.Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    public async Task<(int Status, JsonNode? Body, HttpResponseHeaders Headers)> SendAsync(HttpMethod method, string path, object? body = null,
        string? role = "intake", string? key = null, int replica = 1, string? ifMatch = null, string? token = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(_host!["requests", replica].BaseAddress, path));
        if (role is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token ?? Token($"test-{role}", [role]));
        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        request.Content = body switch { null => null, string text => new StringContent(text, Encoding.UTF8, "application/json"), _ => JsonContent.Create(body) };
        using var response = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var answer = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, answer.Length == 0 ? null : JsonNode.Parse(answer), response.Headers);
    }

    public async Task<JsonNode> SubmitAsync(JsonNode body, string? key = null, int replica = 1)
    {
        var (status, answer, _) = await SendAsync(HttpMethod.Post, "/v1/requests", body, key: key ?? NewKey(), replica: replica);
        Assert.True(status == 202, $"Submitting was answered {status}: {answer}");
        return answer!;
    }

    public async Task<JsonNode> ActAsync(JsonNode submitted, string verb, object? body = null, int expected = 200)
    {
        var (status, answer, _) = await SendAsync(HttpMethod.Post, $"/v1/requests/{submitted["requestId"]}/{verb}", body ?? new { });
        Assert.True(status == expected, $"{verb} was answered {status}: {answer}");
        return answer!;
    }

    public async Task<JsonNode> GetAsync(JsonNode submitted, string suffix = "", string role = "operator", int expected = 200, int replica = 1)
    {
        var (status, answer, _) = await SendAsync(HttpMethod.Get, $"/v1/requests/{submitted["requestId"]}{suffix}", role: role, replica: replica);
        Assert.True(status == expected, $"GET {suffix} was answered {status}: {answer}");
        return answer!;
    }

    /// <summary>A complete call for a person of its own; the rest is said where it matters.</summary>
    public static JsonObject Call(string? person = null, string kind = "meals", string urgency = "hardship", string source = "integration-tests") => new()
    {
        ["source"] = source,
        ["externalId"] = Guid.NewGuid().ToString("N"),
        ["channel"] = "phone",
        ["receivedAt"] = "2022-04-01T08:30:00+08:00",
        ["caller"] = new JsonObject { ["ref"] = person ?? Guid.NewGuid().ToString("N"), ["name"] = "Ms Lin", ["phone"] = "+86 138 0000 0000" },
        ["location"] = new JsonObject { ["lat"] = 31.2205, ["lon"] = 121.4401, ["text"] = "Building 3" },
        ["needs"] = new JsonArray(new JsonObject { ["kind"] = kind, ["mode"] = "offline", ["quantity"] = 2, ["note"] = "ring twice" }),
        ["urgency"] = urgency,
        ["communication"] = new JsonArray("text-only"),
        ["consent"] = new JsonObject { ["basis"] = "explicit", ["at"] = "2022-04-01T08:30:00+08:00" },
        ["callbackOk"] = true,
    };

    public static string NewKey() => $"\"{Guid.NewGuid():N}\"";

    public static NeedId NeedOf(JsonNode submitted, int index = 0) => new((Guid)submitted["needs"]![index]!["needId"]!);

    public static RequestId RequestOf(JsonNode submitted) => new((Guid)submitted["requestId"]!);

    /// <summary>Says what Matching would say.</summary>
    public Task MatchingSaysAsync(JsonNode submitted, long version, NeedState state, ResponderId? responder = null, string? reason = null, DateTimeOffset? at = null) =>
        _bus.Publish(new NeedStateChanged(NeedOf(submitted), RequestOf(submitted), version, state, null, responder, reason, 2, at ?? DateTimeOffset.UtcNow),
            TestContext.Current.CancellationToken);

    public Task PublishAsync(object message) => _bus.Publish(message, TestContext.Current.CancellationToken);

    /// <summary>Waits until the need's state is this.</summary>
    public async Task<JsonNode> StateAsync(JsonNode submitted, string state, int index = 0) => await EventuallyAsync($"the need to be {state}", async () =>
    {
        var (_, seen, _) = await SendAsync(HttpMethod.Get, $"/v1/requests/{submitted["requestId"]}", role: "operator");
        return ((string?)seen!["needs"]![index]!["state"] == state, seen);
    });

    public IReadOnlyList<T> Published<T>(Func<T, bool> about) => [.. _published.Select(entry => entry.Message).OfType<T>().Where(about)];

    public IReadOnlyList<string> PublishedJson() => [.. _published.Select(entry => entry.Json)];

    /// <summary>Waits for a published message.</summary>
    public async Task<T> PublishedAsync<T>(Func<T, bool> about) where T : class
    {
        T? found = null;
        await EventuallyAsync($"a {typeof(T).Name} to be published", () =>
        {
            found = Published(about).FirstOrDefault();
            return Task.FromResult((found is not null, (JsonNode?)null));
        });
        return found!;
    }

    public static async Task<JsonNode> EventuallyAsync(string waitsFor, Func<Task<(bool Holds, JsonNode? Seen)>> ask, int seconds = 30)
    {
        JsonNode? seen = null;
        for (var deadline = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < deadline; await Task.Delay(25))
        {
            (var holds, seen) = await ask();
            if (holds)
                return seen!;
        }
        throw new Xunit.Sdk.XunitException($"Waited {seconds} s for {waitsFor}. Seen last: {seen?.ToJsonString() ?? "nothing"}");
    }

    public async Task<long> CountAsync(string sql, params object[] arguments)
    {
        await using var command = Sql.CreateCommand(sql);
        foreach (var argument in arguments)
            command.Parameters.AddWithValue(argument);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Without the records of who read what: the service writes them a moment after the reading, which may have been another test's.</summary>
    public Task<long> CountEventsAsync() => CountAsync("select count(*) from huzhu.mt_events where type <> 'personal_data_read'");

    public Task<long> CountEventsAsync(JsonNode submitted, string type = "%") =>
        CountAsync("select count(*) from huzhu.mt_events where stream_id = $1 and type like $2", RequestOf(submitted).Value, type);

    private void Capture<T>(IRabbitMqReceiveEndpointConfigurator endpoint) where T : class => endpoint.Handler<T>(context =>
    {
        _published.Enqueue((context.Message, Encoding.UTF8.GetString(context.ReceiveContext.GetBody())));
        return Task.CompletedTask;
    });
}
