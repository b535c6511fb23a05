using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>Speaks to the four services as their users do: HTTP with a token, and nothing else.</summary>
/// <param name="description">Where they are, and with which tokens.</param>
/// <param name="messages">Where the file channel writes.</param>
public sealed class Client(LocalDescription description, string messages) : IDisposable
{
    private readonly HttpClient _http = new();

    public Client(LocalDeployment huzhu) : this(huzhu.Description, huzhu.Services.FileChannelFolder)
    {
    }

    public async Task<(int Status, JsonNode? Body)> SendAsync(HttpMethod method, string service, string path, string? role,
        object? body = null, string? idempotencyKey = null, string? token = null)
    {
        using var request = new HttpRequestMessage(method, description.Services[service] + path);
        token ??= role is null ? null : description.Tokens[role];
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (idempotencyKey is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{idempotencyKey}\"");
        // As curl does: ask before sending a large body, and so hear the refusal instead of a broken pipe.
        request.Headers.ExpectContinue = body is HttpContent;
        request.Content = body switch
        {
            null => null,
            HttpContent content => content,
            _ => JsonContent.Create(body),
        };
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public async Task<JsonNode> PostAsync(string service, string path, string role, object? body = null)
    {
        var (status, answer) = await SendAsync(HttpMethod.Post, service, path, role, body ?? new { });
        Assert.True(status is >= 200 and < 300, $"POST {path} answered {status}: {answer}");
        return answer ?? new JsonObject();
    }

    public async Task<JsonNode> GetAsync(string service, string path, string role)
    {
        var (status, answer) = await SendAsync(HttpMethod.Get, service, path, role);
        Assert.True(status == 200, $"GET {path} answered {status}: {answer}");
        return answer!;
    }

    public async Task<string> RegisterAsync(string kind, object entry) =>
        (string)(await PostAsync("groups", $"/v1/{kind}", "coordinator", entry))["id"]!;

    /// <summary>An entry that fits most tests; the rest is said where it matters.</summary>
    public static object Entry(string name, double lat = 31.22, double lon = 121.44, int capacity = 2, string kind = "meals",
        string[]? abilities = null, string mode = "offline", double? radiusMetres = null, string? file = null) => new
        {
            name,
            sites = new[] { new { lat, lon, subDistrict = "J" } },
            radiusMetres,
            serviceKinds = new[] { kind },
            modes = new[] { mode },
            communicationAbilities = abilities ?? [],
            capacity,
            channels = new[] { new { kind = "file", address = file ?? name.Replace(' ', '-') } },
        };

    public static object Request(string externalId, string kind = "meals", double lat = 31.2205, double lon = 121.4405,
        string urgency = "hardship", string[]? communication = null, string mode = "offline", int quantity = 1, string? caller = null) => new
        {
            source = "system-tests",
            externalId,
            channel = "phone",
            receivedAt = DateTimeOffset.UtcNow,
            caller = new { @ref = caller ?? externalId, name = "Lin", phone = "+8613800000000", channels = new[] { new { kind = "file", address = "requester" } } },
            location = new { lat, lon, subDistrict = "J" },
            needs = new[] { new { kind, mode, quantity, note = "second floor" } },
            urgency,
            communication = communication ?? [],
            consent = new { basis = "explicit", at = DateTimeOffset.UtcNow },
            callbackOk = true,
        };

    public async Task<(string RequestId, string NeedId)> SubmitAsync(object request, string? key = null)
    {
        key ??= Guid.NewGuid().ToString("N");
        // On a busy machine the intake sheds: who calls comes again with the same key.
        var taken = await EventuallyAsync("the request to be taken in", async () =>
        {
            var (status, answer) = await SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", request, key);
            Assert.True(status == 202 || status == 503 && (string?)answer?["code"] == "shedding", $"The request was answered {status}: {answer}");
            return (status == 202, answer);
        });
        return ((string)taken["requestId"]!, (string)taken["needs"]![0]!["needId"]!);
    }

    /// <summary>The match once <paramref name="holds"/> is true of it.</summary>
    public Task<JsonNode> MatchAsync(string needId, Func<JsonNode, bool> holds, string waitsFor) => EventuallyAsync(waitsFor, async () =>
    {
        var (status, match) = await SendAsync(HttpMethod.Get, "matching", $"/v1/matches/{needId}", "auditor");
        return (status == 200 && holds(match!), match);
    });

    /// <summary>The match once its state is this.</summary>
    public Task<JsonNode> MatchInAsync(string needId, string state) => MatchAsync(needId, match => (string)match["state"]! == state, $"the need to be {state}");

    /// <returns>What has become of the offer.</returns>
    public async Task<string> AnswerAsync(string offerId, string step, object? body = null, string role = "coordinator") =>
        (string)(await PostAsync("matching", $"/v1/offers/{offerId}/{step}", role, body))["state"]!;

    /// <summary>The need's request once its state, as Requests tells it, is this.</summary>
    public Task<JsonNode> RequestInAsync(string requestId, string needState) => EventuallyAsync($"Requests to tell {needState}", async () =>
    {
        var (status, request) = await SendAsync(HttpMethod.Get, "requests", $"/v1/requests/{requestId}", "intake");
        return (status == 200 && (string)request!["needs"]![0]!["state"]! == needState, request);
    });

    /// <summary>Asks until the answer is yes; a failure shows what was seen last.</summary>
    public static async Task<JsonNode> EventuallyAsync(string waitsFor, Func<Task<(bool Holds, JsonNode? Seen)>> ask, int seconds = 120)
    {
        JsonNode? seen = null;
        for (var deadline = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < deadline; await Task.Delay(50))
        {
            (var holds, seen) = await ask();
            if (holds)
                return seen!;
        }
        throw new Xunit.Sdk.XunitException($"Waited {seconds} s for {waitsFor}. Seen last: {seen?.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) ?? "nothing"}");
    }

    /// <summary>How many events of one type a service has stored; of the others, more may come of what earlier tests began.</summary>
    public async Task<long> CountEventsAsync(string service, string type) =>
        (await QueryAsync<long>(service, "select count(*) from huzhu.mt_events where type = $1", type))[0];

    public async Task<List<T>> QueryAsync<T>(string service, string sql, params object[] arguments)
    {
        await using var connection = new NpgsqlConnection(description.Databases[service]);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var argument in arguments)
            command.Parameters.AddWithValue(argument);
        var rows = new List<T>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            rows.Add(reader.GetFieldValue<T>(0));
        return rows;
    }

    /// <summary>Messages that the file channel wrote for an address, as CloudEvents.</summary>
    public List<JsonNode> FileMessages() =>
        [.. Directory.EnumerateFiles(messages, "*.jsonl", SearchOption.AllDirectories)
            .SelectMany(File.ReadAllLines).Select(line => JsonNode.Parse(line)!)];

    public void Dispose() => _http.Dispose();
}
