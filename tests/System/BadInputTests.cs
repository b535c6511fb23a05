using System.Text;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>Each of these gets a clear problem, and nothing is stored.</summary>
[Collection(NeedsCollection.Name)]
public sealed class BadInputTests(HuzhuFixture fixture) : IDisposable
{
    private const string Submitted = "request_submitted";

    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    [Fact]
    public async Task malformed_json_is_400() => await RefusesAsync(400, new StringContent("{\"source\": ", Encoding.UTF8, "application/json"));

    [Fact]
    public async Task a_body_of_ten_megabytes_is_413() => await RefusesAsync(413, new StringContent(new string(' ', 10_000_000), Encoding.UTF8, "application/json"));

    [Fact]
    public async Task another_media_type_is_415() => await RefusesAsync(415, new StringContent("<xml/>", Encoding.UTF8, "application/xml"));

    [Fact]
    public async Task an_unknown_service_kind_is_422_and_named() =>
        Assert.Contains("needs[0].kind", await RefusesAsync(422, Client.Request("bad-kind", kind: "haircuts")));

    [Theory]
    [InlineData(91, 0)]
    [InlineData(0, 181)]
    [InlineData(-90.0001, 0)]
    public async Task coordinates_outside_the_world_are_422(double lat, double lon) =>
        Assert.Contains("location", await RefusesAsync(422, Client.Request("bad-place", lat: lat, lon: lon)));

    [Fact]
    public async Task a_request_without_an_idempotency_key_is_400()
    {
        var before = await _huzhu.CountEventsAsync("requests", Submitted);
        var (status, body) = await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", Client.Request("no-key"));
        Assert.Equal(400, status);
        Assert.NotNull(body!["code"]);
        Assert.Equal(before, await _huzhu.CountEventsAsync("requests", Submitted));
    }

    [Fact]
    public async Task an_idempotency_key_with_another_payload_is_422_and_with_the_same_is_the_same_answer()
    {
        var request = Client.Request("idempotent");
        var first = await _huzhu.SubmitAsync(request, "a-key");
        var before = await _huzhu.CountEventsAsync("requests", Submitted);
        Assert.Equal(first, await _huzhu.SubmitAsync(request, "a-key"));
        var (status, body) = await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", Client.Request("idempotent-2"), "a-key");
        Assert.Equal((422, "idempotency-key-reused"), (status, (string?)body!["code"]));
        Assert.Empty(await _huzhu.QueryAsync<string>("requests", "select data::text from huzhu.mt_events where data::text like '%idempotent-2%'"));
        Assert.Equal(before, await _huzhu.CountEventsAsync("requests", Submitted));
    }

    [Theory]
    [InlineData(null, 401)]
    [InlineData("not-a-token", 401)]
    public async Task without_a_good_token_it_is_401(string? token, int expected)
    {
        var (status, body) = await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", null, Client.Request("no-token"), "k", token);
        Assert.Equal(expected, status);
        Assert.Equal("unauthenticated", (string?)body!["code"]);
    }

    [Theory]
    [InlineData("requests", "/v1/requests", "auditor", Submitted)]
    [InlineData("groups", "/v1/measures", "coordinator", "measure_published")]
    [InlineData("groups", "/v1/groups", "intake", "group_registered")]
    public async Task a_role_that_may_not_is_403(string service, string path, string role, string type)
    {
        var before = await _huzhu.CountEventsAsync(service, type);
        var (status, body) = await _huzhu.SendAsync(HttpMethod.Post, service, path, role, new { }, "k2");
        Assert.Equal((403, "forbidden"), (status, (string?)body!["code"]));
        Assert.Equal(before, await _huzhu.CountEventsAsync(service, type));
    }

    [Fact]
    public async Task a_coordinator_acting_on_another_groups_offer_is_403_and_changes_nothing()
    {
        var (lat, lon) = (30.90, 120.90);
        await _huzhu.RegisterAsync("groups", Client.Entry("owner", lat, lon, radiusMetres: 3000));
        var (_, need) = await _huzhu.SubmitAsync(Client.Request("not-yours", lat: lat, lon: lon));
        var offer = (string)(await _huzhu.MatchInAsync(need, "offered"))["offers"]![0]!["offerId"]!;
        var stranger = fixture.Huzhu.Services.Token("somebody-else", ["coordinator", "responder"], [Guid.NewGuid().ToString()]);
        foreach (var step in new[] { "accept", "decline", "start", "complete", "release" })
        {
            var (status, body) = await _huzhu.SendAsync(HttpMethod.Post, "matching", $"/v1/offers/{offer}/{step}", null, new { reason = "other" }, token: stranger);
            Assert.Equal((403, "not-your-offer"), (status, (string?)body!["code"]));
        }
        var (withoutToken, _) = await _huzhu.SendAsync(HttpMethod.Post, "matching", $"/v1/offers/{offer}/accept?key={new string('A', 43)}", null, new { });
        Assert.InRange(withoutToken, 401, 403);
        Assert.Equal("offered", (string)(await _huzhu.GetAsync("matching", $"/v1/matches/{need}", "auditor"))["state"]!);
    }

    [Fact]
    public async Task unknown_ids_are_404()
    {
        foreach (var (service, path) in new[] { ("requests", "/v1/requests/"), ("groups", "/v1/groups/"), ("matching", "/v1/matches/"), ("notifications", "/v1/notifications/") })
            Assert.Equal(404, (await _huzhu.SendAsync(HttpMethod.Get, service, path + Guid.NewGuid(), "auditor")).Status);
    }

    private async Task<string> RefusesAsync(int expected, object body)
    {
        var before = await _huzhu.CountEventsAsync("requests", Submitted);
        var (status, problem) = await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", body, Guid.NewGuid().ToString("N"));
        Assert.Equal(expected, status);
        Assert.NotNull(problem!["code"]);
        Assert.Equal(expected, (int)problem["status"]!);
        Assert.Equal(before, await _huzhu.CountEventsAsync("requests", Submitted));
        return problem.ToJsonString();
    }
}
