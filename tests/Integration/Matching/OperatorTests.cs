using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>What the operating centre does by hand and sees: assignment, previews, the board. Each test has a town of its own.</summary>
public sealed class OperatorTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();

    private MatchingHost Host => shared.Host;

    [Fact]
    public async Task an_operator_sees_who_could_take_a_need_and_gives_it_to_one_of_them()
    {
        var nearest = await Host.ListAsync(_town.Responder(metresNorth: 100, capacity: 0));
        var chosen = await Host.ListAsync(_town.Responder(metresNorth: 900, opening: Opening.Paused));
        var need = await Host.SubmitAsync(_town.Need(Urgency.Health));
        await Host.EventuallyAsync(need.NeedId, "waiting");

        var (status, candidates) = await Host.SendAsync(HttpMethod.Get, $"/v1/matches/{need.NeedId}/candidates");
        Assert.Equal(200, status);
        Assert.Equal("full", ReasonOf(candidates!, nearest));
        Assert.Equal("paused", ReasonOf(candidates!, chosen));

        // A hard rule holds for people too, and says which; a reason is asked for; an auditor may look and not touch.
        var form = new { responderId = nearest, reason = "spoke with them" };
        Assert.Equal((409, "full"), await CodeOf(need.NeedId, form));
        Assert.Equal((422, "invalid"), await CodeOf(need.NeedId, new { responderId = nearest, reason = " " }));
        Assert.Equal((404, "no-such-responder"), await CodeOf(need.NeedId, new { responderId = Guid.NewGuid(), reason = "x" }));
        Assert.Equal(403, (await Host.SendAsync(HttpMethod.Post, $"/v1/matches/{need.NeedId}/assign", form, Host.Token(Roles.Auditor))).Status);

        // Silence is no hard rule: whoever was asked a moment ago may be named, if it has a place.
        await Host.ListAsync(_town.Responder(id: nearest.Value, metresNorth: 100, capacity: 1, version: 2));
        var asked = await Host.EventuallyAsync(need.NeedId, "offered");
        var other = await Host.ListAsync(_town.Responder(metresNorth: 3000));
        var (assigned, match) = await Host.SendAsync(HttpMethod.Post, $"/v1/matches/{need.NeedId}/assign", new { responderId = other, reason = "the nearer one does not answer the phone" });
        Assert.True(assigned == 200, match?.ToJsonString());
        Assert.Equal(2, MatchingHost.Open(match!).Count());
        Assert.Equal((409, "already-offered"), await CodeOf(need.NeedId, form));

        var (_, explanation) = await Host.SendAsync(HttpMethod.Get, $"/v1/matches/{need.NeedId}/explanation");
        var why = explanation!["offers"]![1]!;
        Assert.Equal(("by-operator", "test"), ((string)why["data"]!["firstBecause"]!, (string)why["data"]!["assignment"]!["by"]!));
        Assert.Contains(why["words"]!.AsArray(), words => ((string)words!).Contains("does not answer the phone", StringComparison.Ordinal));
        await MatchingHost.EventuallyAsync(() => Task.FromResult(Host.Heard.Offers.Any(offer => offer.NeedId == need.NeedId && offer.ResponderId == other)), "the named one to be told");

        await Host.AnswerAsync(match!["offers"]![1]!, "accept");
        Assert.Equal((409, "already-taken"), await CodeOf(need.NeedId, new { responderId = chosen, reason = "too late" }));
        Assert.Single(asked["offers"]!.AsArray());
        await Host.CheckLogAsync();
    }

    [Fact]
    public async Task whoever_is_named_by_hand_is_known_as_the_log_has_it_though_another_replica_has_just_written_it()
    {
        await Host.ListAsync(_town.Responder(metresNorth: 100));
        var chosen = await Host.ListAsync(_town.Responder(metresNorth: 900, opening: Opening.Paused));
        var need = await Host.SubmitAsync(_town.Need());
        await Host.EventuallyAsync(need.NeedId, "offered");
        // A directory in memory hears of it with the ledger's next version.
        Assert.Equal(1, await Host.CountAsync($"with changed as (update huzhu.responders set opening = '{Opening.Open}' where id = '{chosen}' returning 1) select count(*) from changed"));

        var (assigned, match) = await Host.SendAsync(HttpMethod.Post, $"/v1/matches/{need.NeedId}/assign", new { responderId = chosen, reason = "has just opened" });
        Assert.True(assigned == 200, match?.ToJsonString());
        Assert.Equal(chosen.ToString(), (string)MatchingHost.Open(match!).Last()["responderId"]!);
    }

    [Fact]
    public async Task a_closure_is_previewed_and_then_does_what_the_preview_said()
    {
        var provider = await Host.ListAsync(_town.Responder(kind: ResponderKind.Provider, capacity: 10));
        var needs = new List<Need>();
        for (var number = 0; number < 3; number++)
        {
            needs.Add(await Host.SubmitAsync(_town.Need()));
            await Host.EventuallyAsync(needs[^1].NeedId, match => MatchingHost.Open(match).Any(offer => (string)offer["responderId"]! == provider.ToString()), "offered to the provider");
        }
        var group = await Host.ListAsync(_town.Responder(metresNorth: 400, capacity: 2));
        var (ring, _) = _town.Zone(200);
        var events = await Host.CountAsync("select count(*) from huzhu.mt_events");

        var (status, preview) = await Host.SendAsync(HttpMethod.Post, "/v1/measures/preview", new { area = ring, sealsZone = false });
        Assert.True(status == 200, preview?.ToJsonString());
        Assert.Equal((3, 3, 2, 1), ((int)preview!["taken"]!, (int)preview["rehearsed"]!, (int)preview["offered"]!, (int)preview["waiting"]!["full"]!));
        Assert.Equal((provider.ToString(), true, 3), ((string)preview["providers"]![0]!["responderId"]!, (bool)preview["providers"]![0]!["closes"]!, (int)preview["providers"]![0]!["held"]!));
        Assert.Equal(3, (int)preview["inside"]!["needs"]!["offered"]!);
        // With the zone sealed, the group outside may not come in; the closed provider came closest.
        var (_, isolated) = await Host.SendAsync(HttpMethod.Post, "/v1/measures/preview", new { area = ring });
        Assert.Equal((0, 3), ((int)isolated!["offered"]!, (int)isolated["waiting"]!["closed"]!));
        var (_, alone) = await Host.SendAsync(HttpMethod.Post, $"/v1/responders/{provider}/closure/preview");
        Assert.Equal(2, (int)alone!["offered"]!);
        Assert.Equal(events, await Host.CountAsync("select count(*) from huzhu.mt_events"));
        Assert.Equal(2, (int)(await Host.ResponderAsync(group))!["free"]!);

        Assert.Equal(422, (await Host.SendAsync(HttpMethod.Post, "/v1/measures/preview", new { area = ring[..2] })).Status);
        Assert.Equal(404, (await Host.SendAsync(HttpMethod.Post, $"/v1/responders/{Guid.NewGuid()}/closure/preview")).Status);
        Assert.Equal(403, (await Host.SendAsync(HttpMethod.Post, "/v1/measures/preview", new { area = ring }, Host.Token(Roles.Coordinator))).Status);

        await Host.SayAsync(_town.Responder(provider.Value, ResponderKind.Provider, capacity: 10, version: 2, opening: Opening.Closed));
        var ended = new List<string>();
        foreach (var need in needs)
            ended.Add((string)(await Host.EventuallyAsync(need.NeedId, match => match["offers"]!.AsArray().All(offer => (string)offer!["responderId"]! != provider.ToString() || (string)offer["state"]! == "revoked"), "taken from the provider"))["state"]!);
        Assert.Equal(["offered", "offered", "waiting"], ended.Order());
    }

    [Fact]
    public async Task the_board_says_how_things_stand_and_streams_what_changes()
    {
        using var stream = await StreamAsync();
        using var lines = new StreamReader(await stream.Content.ReadAsStreamAsync());
        var before = await NextAsync(lines);
        await Host.ListAsync(_town.Responder(capacity: 4, kinds: ["basic-needs"]));
        var helped = await Host.SubmitAsync(_town.Need(Urgency.Health, kind: "basic-needs.water"));
        var match = await Host.EventuallyAsync(helped.NeedId, "offered");
        await Host.AnswerAsync(MatchingHost.Open(match).First(), "accept");
        var alone = await Host.SubmitAsync(_town.Need(Urgency.LifeThreatening, kind: "specialised.rescue"));
        await Host.EventuallyAsync(alone.NeedId, "waiting");

        JsonNode after;
        do
            after = await NextAsync(lines);
        while (Count(after, "waiting", "life-threatening") <= Count(before, "waiting", "life-threatening") || Count(after, "accepted", "health") == 0);
        var offered = after["timeToOffer"]!.AsArray().Single(row => (string)row!["urgency"]! == "health")!;
        Assert.True((int)offered["offered"]! >= 1 && (double)offered["p95Seconds"]! >= 0 && (double)offered["objectiveSeconds"]! == 7200);
        Assert.True((int)after["capacity"]!.AsArray().First(row => (string)row!["kind"]! == "basic-needs")!["free"]! >= 3);
        var district = after["subDistricts"]!.AsArray().Single(row => (string)row!["name"]! == "J")!;
        Assert.True((int)district["waiting"]! >= 1 && (int)district["underWay"]! >= 1);
        Assert.Equal(1, (int)after["replicas"]!);
        Assert.Contains(after["queues"]!.AsArray(), queue => (string)queue!["name"]! == "matching-receive-need");

        // What the relay has told, and what it has not: it catches up.
        await MatchingHost.EventuallyAsync(async () => (await Host.SendAsync(HttpMethod.Get, "/v1/board", token: Host.Token(Roles.Auditor))).Body!["relay"]!["eventsBehind"]!.GetValue<long>() == 0, "the relay to have told all");
        Assert.Equal(403, (await Host.SendAsync(HttpMethod.Get, "/v1/board", token: Host.Token(Roles.Intake))).Status);
        Assert.Equal(401, (await Host.SendAsync(HttpMethod.Get, "/v1/board/stream", token: null)).Status);
        // Nothing of one person, beyond the number of the need that waits longest.
        Assert.DoesNotContain(alone.PersonId.ToString(), after.ToJsonString());
    }

    private async Task<HttpResponseMessage> StreamAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/board/stream");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Host.Token(Roles.Operator));
        var response = await Host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        return response;
    }

    private static async Task<JsonNode> NextAsync(StreamReader lines)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await lines.ReadLineAsync(limit.Token) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return JsonNode.Parse(line[6..])!;
        }
        throw new Xunit.Sdk.XunitException("The stream ended.");
    }

    private static int Count(JsonNode board, string state, string urgency) =>
        board["needs"]!.AsArray().Where(row => (string)row!["state"]! == state && (string)row["urgency"]! == urgency).Sum(row => (int)row!["needs"]!);

    private static string? ReasonOf(JsonNode candidates, ResponderId responder) =>
        (string?)candidates["candidates"]!.AsArray().Single(one => (string)one!["responderId"]! == responder.ToString())!["reason"];

    private async Task<(int, string)> CodeOf(NeedId need, object form)
    {
        var (status, body) = await Host.SendAsync(HttpMethod.Post, $"/v1/matches/{need}/assign", form);
        return (status, (string)body!["code"]!);
    }
}
