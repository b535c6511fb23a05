using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>What integrators hear that have subscribed, over the real service.</summary>
[Collection(NotificationsCollection.Name)]
public sealed class SubscriptionTests(NotificationsFixture fixture) : IAsyncDisposable
{
    private readonly string _owner = $"desk-{Guid.NewGuid():N}";

    /// <summary>A subscription that stays would hear of the other tests' needs, and be counted there.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var left in (await SendAsync(HttpMethod.Get, "/v1/subscriptions")).Body!["items"]!.AsArray())
            await SendAsync(HttpMethod.Delete, $"/v1/subscriptions/{left!["id"]}");
    }

    [Fact]
    public async Task a_subscriber_hears_signed_and_thin_what_its_filter_lets_through_and_reads_its_log()
    {
        var (id, hook, secret) = await SubscribeAsync(new { states = new[] { "waiting", "revoked" } });
        var given = new Case(fixture);
        await fixture.TellAsync(given.State(NeedState.Offered));
        await fixture.TellAsync(given.Made());
        var cause = await fixture.TellAsync(given.State(NeedState.Waiting));
        await fixture.TellAsync(given.State(NeedState.Waiting), cause);
        await fixture.TellAsync(given.Ended(OfferOutcome.Revoked));

        await Eventually.BecomesAsync(() => fixture.Receiver.At(hook, given.Need).Count == 2, "both events that fit arrive");
        var need = fixture.Receiver.At(hook, given.Need).Single(one => (string?)one.Event["type"] == "org.huzhu.need.changed.v1");
        Assert.True(need.IsSignedWith(secret));
        Assert.Equal(need.Id, (string?)need.Event["id"]);
        Assert.Equal($$"""{"needId":"{{given.Need}}","requestId":"{{given.Request}}","offerId":"{{given.Offer}}","state":"waiting","reason":"nobody-left","remainingQuantity":1}""", need.Data.ToJsonString());

        // What has arrived is in the log a moment later.
        await Eventually.BecomesAsync(async () => (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}/deliveries")).Body!["items"]!.AsArray()
            .Where(item => (string?)item!["needId"] == given.Need.ToString()).Select(item => ((string)item!["status"]!, (string)item["audience"]!)).SequenceEqual([("delivered", "subscriber"), ("delivered", "subscriber")]), () => "both are logged as delivered");
        // Nobody's clock begins because a subscriber has heard of an offer.
        Assert.DoesNotContain(fixture.Delivered, told => told.OfferId == given.Offer);
    }

    [Fact]
    public async Task a_filter_of_kinds_asks_matching_what_the_need_is_about()
    {
        var (_, hook, _) = await SubscribeAsync(new { kinds = new[] { "specialised" }, subDistricts = new[] { "J" } });
        var (fits, other, elsewhere, unknown) = (new Case(fixture), new Case(fixture), new Case(fixture), new Case(fixture));
        fixture.Directory.Answer($"/v1/matches/{fits.Need}", new { kind = "specialised.medicine", subDistrict = "J" });
        fixture.Directory.Answer($"/v1/matches/{other.Need}", new { kind = "meals", subDistrict = "J" });
        fixture.Directory.Answer($"/v1/matches/{elsewhere.Need}", new { kind = "specialised.medicine", subDistrict = "K" });
        // Away for a while: the event waits, and nothing is lost.
        fixture.Directory.FailNext($"/v1/matches/{fits.Need}", 6);
        foreach (var given in new[] { other, elsewhere, unknown, fits })
            await fixture.TellAsync(given.State(NeedState.Waiting));
        Assert.Equal(fits.Need.ToString(), (string?)(await fixture.Receiver.FirstAsync(hook)).Event["subject"]);
        Assert.Single(fixture.Receiver.At(hook));
    }

    [Fact]
    public async Task a_front_end_that_acts_for_one_source_hears_of_its_own_requests_alone()
    {
        string[] own = ["hotline-a"];
        var (id, hook, _) = await SubscribeAsync(new { }, sources: own);
        var seen = (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}")).Body!;
        Assert.Equal("""["hotline-a"]""", seen["sources"]!.ToJsonString());
        var foreign = new { url = fixture.Receiver.Address + hook, sources = new[] { "hotline-a", "hotline-b" } };
        foreach (var (method, path) in new[] { (HttpMethod.Post, ""), (HttpMethod.Patch, $"/{id}") })
        {
            var (status, problem) = await SendAsync(method, $"/v1/subscriptions{path}", foreign, sources: own);
            Assert.Equal((HttpStatusCode.Forbidden, "not-your-source"), (status, (string?)problem!["code"]));
        }
        // An empty list lets everything through, and everything is what the token may see.
        Assert.Equal("""["hotline-a"]""", (await SendAsync(HttpMethod.Patch, $"/v1/subscriptions/{id}", new { sources = Array.Empty<string>() }, sources: own)).Body!["sources"]!.ToJsonString());

        var (mine, theirs, unknown) = (new Case(fixture), new Case(fixture), new Case(fixture));
        fixture.Directory.Answer($"/v1/requests/{mine.Request}", new { source = "hotline-a" });
        fixture.Directory.Answer($"/v1/requests/{theirs.Request}", new { source = "hotline-b" });
        // Away for a while: the event waits, and nothing is lost.
        fixture.Directory.FailNext($"/v1/requests/{mine.Request}", 6);
        foreach (var given in new[] { theirs, unknown, mine })
            await fixture.TellAsync(given.State(NeedState.Waiting));
        Assert.Equal(mine.Need.ToString(), (string?)(await fixture.Receiver.FirstAsync(hook)).Event["subject"]);
        Assert.Single(fixture.Receiver.At(hook));
    }

    [Fact]
    public async Task a_rotated_secret_signs_beside_the_old_one()
    {
        var (id, hook, old) = await SubscribeAsync(new { });
        var rotated = await SendAsync(HttpMethod.Post, $"/v1/subscriptions/{id}/secret", new { });
        var secret = (string)rotated.Body!["secret"]!;
        Assert.NotEqual(old, secret);
        Assert.InRange((DateTimeOffset)rotated.Body["oldSecretUntil"]!, DateTimeOffset.UtcNow.AddHours(23), DateTimeOffset.UtcNow.AddHours(25));
        var given = new Case(fixture);
        await fixture.TellAsync(given.State(NeedState.Waiting));
        var received = await fixture.Receiver.FirstAsync(hook, given.Need);
        Assert.True(received.IsSignedWith(secret));
        Assert.True(received.IsSignedWith(old));
        Assert.Null((await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}")).Body!["secret"]);
    }

    [Fact]
    public async Task a_receiver_that_fails_is_tried_again_under_the_same_id_and_one_that_is_gone_is_left_alone()
    {
        // A state that no other test has, so that every event here is of this one.
        var onHold = new { states = new[] { "on-hold" } };
        var (_, failing, _) = await SubscribeAsync(onHold);
        var (gone, goneHook, _) = await SubscribeAsync(onHold);
        // A wrong path or key is mended within the day, so a 404 is tried again like a 503.
        fixture.Receiver.Answer(failing, 404, 204);
        fixture.Receiver.Answer(goneHook, 410);
        var first = new Case(fixture);
        await fixture.TellAsync(first.State(NeedState.OnHold));
        await Eventually.BecomesAsync(() => fixture.Receiver.At(failing, first.Need).Count == 2, "it is tried again");
        Assert.Single(fixture.Receiver.At(failing, first.Need).Select(one => one.Id).Distinct());
        await Eventually.BecomesAsync(async () => (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{gone}")).Body is { } seen && (string?)seen["disabledBecause"] == "gone", () => "the other is disabled");

        var next = new Case(fixture);
        await Task.Delay(1100, TestContext.Current.CancellationToken);
        await fixture.TellAsync(next.State(NeedState.OnHold));
        await Eventually.BecomesAsync(() => fixture.Receiver.At(failing, next.Need).Count > 0, "the next one is delivered where somebody is");
        Assert.Single(fixture.Receiver.At(goneHook));

        // Enabled again, it hears what happens from then on, and once more what it had missed.
        fixture.Receiver.Answer(goneHook, 204);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Patch, $"/v1/subscriptions/{gone}", new { enabled = true })).Status);
        var delivery = (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{gone}/deliveries")).Body!["items"]![0]!;
        Assert.Equal("undeliverable", (string)delivery["status"]!);
        var again = $"/v1/subscriptions/{gone}/deliveries/{delivery["id"]}/redeliver";
        Assert.Equal(HttpStatusCode.Accepted, (await SendAsync(HttpMethod.Post, again)).Status);
        await Eventually.BecomesAsync(() => fixture.Receiver.At(goneHook).Count == 2, "it is delivered again");
        Assert.Single(fixture.Receiver.At(goneHook).Select(one => one.Id).Distinct());
        await Eventually.BecomesAsync(async () => (string?)(await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{gone}/deliveries")).Body!["items"]![0]!["status"] == "delivered", () => "the log says so");
    }

    [Fact]
    public async Task a_subscription_is_its_owners_and_when_it_is_deleted_its_address_cannot_be_read()
    {
        var (id, hook, _) = await SubscribeAsync(new { description = "desk" });
        var (_, kept, _) = await SubscribeAsync(new { });
        foreach (var (method, path) in new[] { (HttpMethod.Get, ""), (HttpMethod.Patch, ""), (HttpMethod.Delete, ""), (HttpMethod.Post, "/secret"), (HttpMethod.Get, "/deliveries"), (HttpMethod.Post, $"/deliveries/{id}/redeliver") })
            Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(method, $"/v1/subscriptions/{id}{path}", method == HttpMethod.Get || method == HttpMethod.Delete ? null : new { }, subject: "somebody-else")).Status);
        Assert.Equal(0, (int)(await SendAsync(HttpMethod.Get, "/v1/subscriptions", subject: "somebody-else")).Body!["total"]!);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}", roles: ["auditor"])).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}", subject: "op", roles: ["operator"])).Status);

        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Delete, $"/v1/subscriptions/{id}")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Get, $"/v1/subscriptions/{id}")).Status);
        await Task.Delay(1100, TestContext.Current.CancellationToken);
        var given = new Case(fixture);
        await fixture.TellAsync(given.State(NeedState.Waiting));
        await fixture.Receiver.FirstAsync(kept, given.Need);
        await using var stored = fixture.Sql.CreateCommand($"select count(*) from huzhu.mt_events where stream_id = '{id}' and data::text like '%{hook}%'");
        Assert.Equal(0L, await stored.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        await using var keys = fixture.Sql.CreateCommand($"select count(*) from huzhu.person_keys where person_id = '{id}'");
        Assert.Equal(0L, await keys.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        Assert.Empty(fixture.Receiver.At(hook, given.Need));
    }

    [Theory]
    [InlineData("""{}""", "url")]
    [InlineData("""{"url": "http://desk.example/hook"}""", "url")]
    [InlineData("""{"url": "https://10.0.0.1/hook"}""", "url")]
    [InlineData("""{"url": "https://169.254.169.254/latest"}""", "url")]
    [InlineData("""{"url": "https://user:secret@desk.example/hook"}""", "url")]
    [InlineData("""{"url": "https://desk.example/hook", "secret": "whsec_c2hvcnQ="}""", "secret")]
    [InlineData("""{"url": "https://desk.example/hook", "types": ["org.huzhu.everything"]}""", "types")]
    [InlineData("""{"url": "https://desk.example/hook", "states": ["sleeping"]}""", "states")]
    [InlineData("""{"url": "https://desk.example/hook", "kinds": ["haircuts"]}""", "kinds")]
    [InlineData("""{"url": "https://desk.example/hook", "subDistricts": [""]}""", "subDistricts")]
    public async Task what_is_wrong_with_a_subscription_is_named(string body, string field)
    {
        var (status, answer) = await SendAsync(HttpMethod.Post, "/v1/subscriptions", JsonNode.Parse(body)!);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal([field], answer!["errors"]!.AsObject().Select(error => error.Key));
    }

    [Fact]
    public async Task one_owner_has_twenty_at_most()
    {
        for (var index = 0; index < 20; index++)
            await SubscribeAsync(new { states = new[] { "duplicate-of" } }, heard: false);
        Assert.Equal(HttpStatusCode.Conflict, (await SendAsync(HttpMethod.Post, "/v1/subscriptions", new { url = fixture.Receiver.Address + "/one-more" })).Status);
        Assert.Equal(20, (int)(await SendAsync(HttpMethod.Get, "/v1/subscriptions")).Body!["total"]!);
    }

    /// <summary>Every receiver of subscribers hangs, and there is plenty for them: people are told all the same, and soon.</summary>
    [Fact]
    public async Task subscribers_that_hang_do_not_hold_up_the_telling_of_people()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var release = new TaskCompletionSource();
        try
        {
            for (var index = 0; index < 5; index++)
            {
                var (_, hook, _) = await SubscribeAsync(new { types = new[] { "org.huzhu.need.changed.v1" } }, receiver);
                receiver.Behave(hook, (_, _) => release.Task);
            }
            for (var index = 0; index < 100; index++)
                await fixture.TellAsync(new Case(fixture).State(NeedState.Offered));
            await Eventually.BecomesAsync(() => receiver.Received.Count > 0, "a subscriber is called, and hangs");
            var given = new Case(fixture).WithResponderWebhook();
            var cause = await fixture.TellAsync(given.Made());
            Assert.Equal("delivered", (string)(await fixture.EndOfAsync(cause))["status"]!);
        }
        finally
        {
            release.SetResult();
        }
    }

    private async Task<(Guid Id, string Hook, string Secret)> SubscribeAsync(object filter, WebhookReceiver? receiver = null, bool heard = true, string[]? sources = null)
    {
        var hook = $"/subscriber/{Guid.NewGuid():N}";
        var body = System.Text.Json.JsonSerializer.SerializeToNode(filter)!.AsObject();
        body["url"] = (receiver ?? fixture.Receiver).Address + hook;
        var (status, answer) = await SendAsync(HttpMethod.Post, "/v1/subscriptions", body, sources: sources);
        Assert.Equal(HttpStatusCode.Created, status);
        // Within a second every replica knows of it.
        if (heard)
            await Task.Delay(1100, TestContext.Current.CancellationToken);
        return ((Guid)answer!["id"]!, hook, (string)answer["secret"]!);
    }

    private async Task<(HttpStatusCode Status, JsonNode? Body)> SendAsync(HttpMethod method, string path, object? body = null, string? subject = null, string[]? roles = null, string[]? sources = null)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(method, new Uri(fixture.Service.BaseAddress, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", fixture.Host.Token(subject ?? _owner, roles ?? ["intake"], sources: sources));
        request.Content = body is null ? null : JsonContent.Create(body);
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }
}
