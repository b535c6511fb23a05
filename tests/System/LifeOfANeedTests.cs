using System.Text.Json.Nodes;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>One need from the call to the thanks, and the turns it can take. Each test has its own place on the map.</summary>
[Collection(NeedsCollection.Name)]
public sealed class LifeOfANeedTests(HuzhuFixture fixture) : IDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    [Fact]
    public async Task a_need_goes_from_the_call_to_the_thanks()
    {
        var (lat, lon) = (31.10, 121.10);
        var group = await _huzhu.RegisterAsync("groups", Client.Entry("happy path", lat, lon, abilities: ["text-only"], radiusMetres: 3000));
        var (request, need) = await _huzhu.SubmitAsync(Client.Request("happy", lat: lat, lon: lon, communication: ["text-only"]));

        var match = await _huzhu.MatchInAsync(need, "offered");
        var offer = (string)match["offers"]![0]!["offerId"]!;
        Assert.Equal(group, (string)match["offers"]![0]!["responderId"]!);

        // The group is told, with links that answer without an account and say nothing about the person.
        var message = await Client.EventuallyAsync("the offer to reach the group", () =>
        {
            var found = _huzhu.FileMessages().FirstOrDefault(m => m.ToJsonString().Contains(offer));
            return Task.FromResult((found is not null, found));
        });
        Assert.DoesNotContain("Lin", message.ToJsonString());
        Assert.DoesNotContain("13800000000", message.ToJsonString());
        var links = Find(message, "links")!;
        using var coordinator = new HttpClient();
        Assert.Equal(200, (int)(await coordinator.PostAsync((string)links["accept"]!, new StringContent("{}", null, "application/json"))).StatusCode);

        // Only now it sees whom to visit, and where.
        await Client.EventuallyAsync("the visit to reach the group", () =>
        {
            var found = _huzhu.FileMessages().FirstOrDefault(m => m.ToJsonString().Contains(offer) && m.ToJsonString().Contains("13800000000"));
            return Task.FromResult((found is not null, found));
        });
        Assert.Equal("started", await _huzhu.AnswerAsync(offer, "start"));
        Assert.Equal("done", await _huzhu.AnswerAsync(offer, "complete"));
        await _huzhu.RequestInAsync(request, "fulfilled");
        await _huzhu.PostAsync("requests", $"/v1/requests/{request}/confirm", "intake");
        await _huzhu.RequestInAsync(request, "closed");
        await _huzhu.MatchInAsync(need, "closed");

        var explanation = (await _huzhu.GetAsync("matching", $"/v1/matches/{need}/explanation", "auditor")).ToJsonString();
        Assert.Contains(group, explanation);

        // Its place is free again.
        var responder = await _huzhu.GetAsync("matching", $"/v1/responders/{group}", "auditor");
        Assert.Equal((2, 0), ((int)responder["free"]!, (int)responder["held"]!));

        await IsOneTraceAsync(request, need, offer);
    }

    [Fact]
    public async Task a_declined_offer_goes_to_the_next_group_at_once_and_not_to_the_same_again()
    {
        var (lat, lon) = (31.20, 121.20);
        var near = await _huzhu.RegisterAsync("groups", Client.Entry("near", lat, lon, radiusMetres: 3000));
        var far = await _huzhu.RegisterAsync("groups", Client.Entry("far", lat + 0.01, lon, radiusMetres: 3000));
        var (_, need) = await _huzhu.SubmitAsync(Client.Request("declined", lat: lat, lon: lon));

        var first = (await _huzhu.MatchInAsync(need, "offered"))["offers"]![0]!;
        Assert.Equal(near, (string)first["responderId"]!);
        await _huzhu.AnswerAsync((string)first["offerId"]!, "decline", new { reason = "no-capacity" });
        var match = await _huzhu.MatchAsync(need, m => m["offers"]!.AsArray().Count == 2, "a second offer");
        Assert.Equal(far, (string)match["offers"]![1]!["responderId"]!);
        await _huzhu.AnswerAsync((string)match["offers"]![1]!["offerId"]!, "decline", new { reason = "unsafe" });
        await _huzhu.MatchInAsync(need, "waiting");
    }

    [Fact]
    public async Task a_need_that_nobody_can_take_waits_and_is_tried_when_a_group_that_can_registers()
    {
        var (lat, lon) = (31.30, 121.30);
        await _huzhu.RegisterAsync("groups", Client.Entry("cannot sign", lat, lon, radiusMetres: 3000));
        var (request, need) = await _huzhu.SubmitAsync(Client.Request("waits", lat: lat, lon: lon, communication: ["sign-language"]));
        await _huzhu.MatchInAsync(need, "waiting");
        await _huzhu.RequestInAsync(request, "waiting");

        var signs = await _huzhu.RegisterAsync("groups", Client.Entry("signs", lat, lon, abilities: ["sign-language"], radiusMetres: 3000));
        var match = await _huzhu.MatchInAsync(need, "offered");
        Assert.Equal(signs, (string)match["offers"]![0]!["responderId"]!);
        Assert.Contains("communication", (await _huzhu.GetAsync("matching", $"/v1/matches/{need}/explanation", "auditor")).ToJsonString());
        // Whatever it was that moved it.
        await IsOneTraceAsync(request, need, (string)match["offers"]![0]!["offerId"]!);
    }

    [Fact]
    public async Task when_a_provider_closes_its_needs_fall_back_to_groups_and_stay_there_when_it_reopens()
    {
        var (lat, lon) = (31.40, 121.40);
        var provider = await _huzhu.RegisterAsync("providers", Client.Entry("kitchen", lat, lon, capacity: 10, radiusMetres: 3000));
        var group = await _huzhu.RegisterAsync("groups", Client.Entry("neighbours", lat, lon, capacity: 2, radiusMetres: 3000));
        var needs = new List<string>();
        foreach (var index in Enumerable.Range(0, 3))
            needs.Add((await _huzhu.SubmitAsync(Client.Request($"fallback-{index}", lat: lat, lon: lon))).NeedId);
        foreach (var need in needs)
        {
            var match = await _huzhu.MatchInAsync(need, "offered");
            Assert.Equal(provider, (string)match["offers"]![0]!["responderId"]!);
            await _huzhu.AnswerAsync((string)match["offers"]![0]!["offerId"]!, "accept");
        }

        await _huzhu.PostAsync("groups", $"/v1/providers/{provider}/closures", "operator", new { reason = "lockdown" });
        // The oldest two go to the group, which has two places; the youngest waits.
        foreach (var need in needs.Take(2))
        {
            var match = await _huzhu.MatchAsync(need, m => m["offers"]!.AsArray().Count == 2, "the fallback's offer");
            Assert.Equal("revoked", (string)match["offers"]![0]!["state"]!);
            Assert.Equal(group, (string)match["offers"]![1]!["responderId"]!);
            await _huzhu.AnswerAsync((string)match["offers"]![1]!["offerId"]!, "accept");
        }
        await _huzhu.MatchInAsync(needs[2], "waiting");
        Assert.Equal(0, (int)(await _huzhu.GetAsync("matching", $"/v1/responders/{provider}", "auditor"))["held"]!);

        await _huzhu.PostAsync("groups", $"/v1/providers/{provider}/reopenings", "operator", new { reason = "over" });
        var back = await _huzhu.MatchInAsync(needs[2], "offered");
        Assert.Equal(provider, (string)back["offers"]!.AsArray()[^1]!["responderId"]!);
        Assert.Equal(2, (int)(await _huzhu.GetAsync("matching", $"/v1/responders/{group}", "auditor"))["held"]!);
    }

    [Fact]
    public async Task a_measure_closes_the_providers_inside_and_seals_its_edge_for_offline_help()
    {
        var (lat, lon) = (31.50, 121.50);
        var inside = await _huzhu.RegisterAsync("providers", Client.Entry("inside", lat, lon, radiusMetres: 9000));
        var outside = await _huzhu.RegisterAsync("groups", Client.Entry("outside", lat + 0.05, lon, radiusMetres: 9000));
        var measure = (string)(await _huzhu.PostAsync("groups", "/v1/measures", "operator", new
        {
            name = "sealed",
            area = new[] { new { lat = lat - 0.02, lon = lon - 0.02 }, new { lat = lat - 0.02, lon = lon + 0.02 }, new { lat = lat + 0.02, lon = lon + 0.02 }, new { lat = lat + 0.02, lon = lon - 0.02 }, new { lat = lat - 0.02, lon = lon - 0.02 } },
            from = DateTimeOffset.UtcNow,
            sealsZone = true,
            closesProviders = true,
        }))["id"]!;
        await Client.EventuallyAsync("the provider to close", async () =>
        {
            var (_, seen) = await _huzhu.SendAsync(HttpMethod.Get, "matching", $"/v1/responders/{inside}", "auditor");
            return ((string?)seen?["opening"] == "closed", seen);
        });
        var (_, need) = await _huzhu.SubmitAsync(Client.Request("sealed", lat: lat, lon: lon));
        await _huzhu.MatchInAsync(need, "waiting");

        await _huzhu.PostAsync("groups", $"/v1/measures/{measure}/lift", "operator", new { reason = "over" });
        var match = await _huzhu.MatchInAsync(need, "offered");
        Assert.Contains((string)match["offers"]!.AsArray()[^1]!["responderId"]!, new[] { inside, outside });
    }

    [Fact]
    public async Task a_cancelled_need_frees_its_place_and_the_group_is_told()
    {
        var (lat, lon) = (31.60, 121.60);
        var group = await _huzhu.RegisterAsync("groups", Client.Entry("cancelled", lat, lon, capacity: 1, radiusMetres: 3000));
        var (request, need) = await _huzhu.SubmitAsync(Client.Request("cancel", lat: lat, lon: lon));
        var offer = (string)(await _huzhu.MatchInAsync(need, "offered"))["offers"]![0]!["offerId"]!;
        await _huzhu.AnswerAsync(offer, "accept");
        await _huzhu.PostAsync("requests", $"/v1/requests/{request}/cancel", "intake", new { reason = "a neighbour helped" });
        await _huzhu.MatchInAsync(need, "cancelled");
        Assert.Equal(1, (int)(await _huzhu.GetAsync("matching", $"/v1/responders/{group}", "auditor"))["free"]!);
        await Client.EventuallyAsync("the group to be told", () =>
        {
            var found = _huzhu.FileMessages().FirstOrDefault(m => m.ToJsonString().Contains("offer.ended") && m.ToJsonString().Contains(offer));
            return Task.FromResult((found is not null, found));
        });
    }

    /// <summary>From HTTP through the broker to the notification, everything that happened to the need is in the trace of its request.</summary>
    private async Task IsOneTraceAsync(string request, string need, string offer)
    {
        var trace = Assert.Single(await TracesAsync("requests", "stream_id::text = $1", request));
        Assert.Equal([trace], await TracesAsync("matching", "stream_id::text = $1", need));
        await Client.EventuallyAsync("the notification to be in the log, with the trace", async () =>
        {
            var traces = await TracesAsync("notifications", "data::text like '%' || $1 || '%'", offer);
            return (traces is [var only] && only == trace, string.Join(", ", traces));
        });
    }

    private Task<List<string>> TracesAsync(string service, string of, string value) => _huzhu.QueryAsync<string>(service,
        $"select distinct coalesce(split_part(headers->>'traceparent', '-', 2), 'none') from huzhu.mt_events where {of}", value);

    private static JsonNode? Find(JsonNode? node, string name) => node switch
    {
        JsonObject record when record[name] is { } found => found,
        JsonObject record => record.Select(member => Find(member.Value, name)).FirstOrDefault(found => found is not null),
        JsonArray list => list.Select(item => Find(item, name)).FirstOrDefault(found => found is not null),
        _ => null,
    };
}
