using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Requests.Intake;
using Huzhu.TestKit;
using Npgsql;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

public sealed class SheddingFixture(Servers servers) : RequestsFixture(servers)
{
    public const int Most = 8;

    protected override string MostUnasked => Most.ToString(System.Globalization.CultureInfo.InvariantCulture);
    protected override string LongestSubmissionSeconds => "5";
}

/// <summary>Overload is declared: who is taken in meanwhile, what becomes of the others, and how it ends.</summary>
public sealed class SheddingTests(SheddingFixture requests) : IClassFixture<SheddingFixture>
{
    [Fact]
    public async Task while_too_many_are_unasked_only_danger_of_life_is_taken_in_until_matching_has_caught_up()
    {
        Assert.Equal("open", (string?)(await AdmissionAsync(1))["mode"]);
        var (first, firstKey) = (Call(), NewKey());
        var taken = new List<JsonNode> { await requests.SubmitAsync(first, firstKey) };
        for (var count = 0; count < SheddingFixture.Most; count++)
            taken.Add(await requests.SubmitAsync(Call()));
        await EventuallyModeAsync("shedding");

        // Shed: by either replica, and nothing of it is kept.
        var (call, key) = (Call(urgency: "health"), NewKey());
        foreach (var replica in new[] { 1, 2 })
        {
            var (status, problem, headers) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", call, key: key, replica: replica);
            Assert.Equal((503, "shedding"), (status, (string?)problem!["code"]));
            Assert.InRange(headers.RetryAfter!.Delta!.Value.TotalSeconds, 10, 30);
        }
        var id = CallForHelp.RequestIdOf((string)call["source"]!, (string)call["externalId"]!);
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.mt_streams where id = $1", id.Value));
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.idempotency_keys where request_id = $1", id.Value));
        using var http = new HttpClient();
        var report = await http.PostAsync(new Uri(requests.Process().BaseAddress, "/open311/v2/requests.json"), new FormUrlEncodedContent(new Dictionary<string, string>
        {
            ["api_key"] = Open311Tests.Desk,
            ["jurisdiction_id"] = Open311Tests.City,
            ["service_code"] = "meals",
            ["lat"] = "31.22",
            ["long"] = "121.44",
            ["account_id"] = Guid.NewGuid().ToString("N"),
        }), TestContext.Current.CancellationToken);
        Assert.Equal(503, (int)report.StatusCode);
        Assert.InRange(report.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 10, 30);

        // Whose answer was lost on the way hears it again.
        Assert.Equal((string?)taken[0]["requestId"], (string?)(await requests.SubmitAsync(first, firstKey))["requestId"]);

        // The lane: a call, and a conversation to its end. Whoever writes of something else is answered, and waits.
        taken.Add(await requests.SubmitAsync(Call(urgency: "life-threatening"), replica: 2));
        var (danger, hungry) = (Caller(http), Caller(http));
        Assert.Contains("will not be lost", await hungry.SayAsync("there is no food at home"));
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'turn_taken'"));
        Assert.Contains("Send Location", await danger.SayAsync("she is not breathing, trapped in the lift"), StringComparison.OrdinalIgnoreCase);
        await danger.PinAsync(new GeoPoint(31.22, 121.44));
        Assert.Contains("Taken", await danger.SayAsync("1"));
        Assert.Equal(3, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'turn_taken'"));
        // What was taken in before is not shed: a person may say that help is no longer wanted.
        await requests.ActAsync(taken[0], "cancel", new { reason = "solved" });
        var metrics = await http.GetStringAsync(new Uri(requests.Process().BaseAddress, "/metrics"), TestContext.Current.CancellationToken);
        Assert.Contains("huzhu_requests_shedding{", metrics);
        // By this the alert on errors leaves them out: a call, and a report of a city's desk.
        var shed = metrics.Split('\n').Where(line => line.StartsWith("http_server_request_duration_seconds_count{", StringComparison.Ordinal) && line.Contains("http_response_status_code=\"503\"")).ToList();
        Assert.Equal(2, shed.Count);
        Assert.All(shed, line => Assert.Equal(1, System.Text.RegularExpressions.Regex.Count(line, "error_type=\"shedding\"")));

        foreach (var request in taken.Skip(1))
            await requests.MatchingSaysAsync(request, 1, NeedState.Offered);
        var open = await EventuallyModeAsync("open");

        Assert.Equal(["open", "shedding"], open["changes"]!.AsArray().Select(change => (string)change!["mode"]!));
        Assert.True((int)open["changes"]![1]!["seen"]!["unasked"]! > SheddingFixture.Most);
        Assert.Equal(SheddingFixture.Most, (int)open["changes"]![1]!["limits"]!["unasked"]!);
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'shedding_began'"));
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'shedding_ended'"));
        var later = await requests.SubmitAsync(call, key);
        Assert.Equal(id.ToString(), (string?)later["requestId"]);
        // And what waited is taken in by itself.
        await EventuallyAsync("the message that waited to be taken in", async () => (await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'turn_taken'") == 4, null));
    }

    [Fact]
    public async Task calls_that_are_not_answered_at_all_are_too_many_as_well()
    {
        await EventuallyModeAsync("open");
        var began = await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'shedding_began'");
        Task<JsonNode> waiting;
        await using (var database = NpgsqlDataSource.Create(requests.Database))
        await using (var connection = await database.OpenConnectionAsync(TestContext.Current.CancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            // Every submission writes there; to look whether one is known goes on.
            await using var command = new NpgsqlCommand("set local idle_in_transaction_session_timeout = 0; lock table huzhu.idempotency_keys in exclusive mode", connection, transaction);
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            waiting = requests.SubmitAsync(Call());
            await EventuallyModeAsync("shedding");
            var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", Call(urgency: "routine"), key: NewKey());
            Assert.Equal((503, "shedding"), (status, (string?)problem!["code"]));
        }

        // What was waiting is taken in, and all that come after it.
        var taken = await waiting;
        await requests.MatchingSaysAsync(taken, 1, NeedState.Offered);
        await EventuallyModeAsync("open");
        Assert.Equal(began + 1, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'shedding_began'"));
    }

    private WeChatCaller Caller(HttpClient http) => new(http, new Uri(requests.Process().BaseAddress, "/channels/wechat/aes"), key: WeChatCaller.Key);

    private async Task<JsonNode> AdmissionAsync(int replica)
    {
        var (status, body, _) = await requests.SendAsync(HttpMethod.Get, "/v1/admission", role: "auditor", replica: replica);
        Assert.True(status == 200, $"GET /v1/admission answered {status}: {body}");
        return body!;
    }

    private Task<JsonNode> EventuallyModeAsync(string mode) => EventuallyAsync($"both replicas to be {mode}", async () =>
    {
        var (one, other) = (await AdmissionAsync(1), await AdmissionAsync(2));
        return ((string?)one["mode"] == mode && (string?)other["mode"] == mode, one);
    }, seconds: 120);
}
