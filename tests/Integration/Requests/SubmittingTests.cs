using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

[Collection(RequestsCollection.Name)]
public sealed class SubmittingTests(RequestsFixture requests)
{
    [Fact]
    public async Task a_complete_call_is_answered_stored_and_published_with_a_snapped_place()
    {
        var call = Call();
        var answer = await requests.SubmitAsync(call);

        Assert.Equal("open", (string?)answer["status"]);
        Assert.Empty(answer["missing"]!.AsArray());
        Assert.EndsWith($"/v1/requests/{answer["requestId"]}", (string?)answer["statusUrl"]);
        Assert.Equal(("meals", "open"), ((string?)answer["needs"]![0]!["kind"], (string?)answer["needs"]![0]!["state"]));

        var submitted = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.RequestId == RequestOf(answer));
        Assert.Equal(NeedOf(answer), submitted.Need.NeedId);
        Assert.Equal(new GeoPoint(31.2205, 121.4401).Snapped(), submitted.Need.Place);
        Assert.NotEqual(31.2205, submitted.Need.Place.Latitude);
        Assert.Equal(("meals", DeliveryMode.Offline, 2, Urgency.Hardship), (submitted.Need.Kind, submitted.Need.Mode, submitted.Need.Quantity, submitted.Need.Urgency));
        Assert.Equal([CommunicationNeed.TextOnly], submitted.Need.Communication);

        var read = await requests.GetAsync(answer, role: "auditor");
        Assert.Equal(("open", (string?)call["externalId"]), ((string?)read["status"], (string?)read["externalId"]));
        Assert.DoesNotContain("Lin", read.ToJsonString());
    }

    [Fact]
    public async Task the_status_url_can_be_followed()
    {
        var answer = await requests.SubmitAsync(Call());
        var (status, read, _) = await requests.SendAsync(HttpMethod.Get, new Uri((string)answer["statusUrl"]!).PathAndQuery);
        Assert.Equal((200, answer["requestId"]!.ToString()), (status, read!["requestId"]!.ToString()));
    }

    [Fact]
    public async Task a_repeat_with_the_same_key_gets_the_same_answer_from_either_replica_whatever_happened_since()
    {
        var (call, key) = (Call(), NewKey());
        var first = await requests.SubmitAsync(call, key);
        await requests.ActAsync(first, "cancel", new { reason = "mistake" });
        var again = await requests.SubmitAsync(call, key, replica: 2);
        Assert.Equal(first["requestId"]!.ToJsonString() + first["needs"]!.ToJsonString() + first["status"]!, again["requestId"]!.ToJsonString() + again["needs"]!.ToJsonString() + again["status"]!);
        Assert.Equal(1, await requests.CountEventsAsync(first, "request_submitted"));
    }

    [Fact]
    public async Task the_same_external_id_with_the_same_content_is_the_same_request_and_with_other_content_is_refused()
    {
        var call = Call();
        var first = await requests.SubmitAsync(call);
        Assert.Equal(first.ToJsonString(), (await requests.SubmitAsync(call)).ToJsonString());

        call["urgency"] = "health";
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", call, key: NewKey());
        Assert.Equal((409, "external-id-taken"), (status, (string?)problem!["code"]));
    }

    [Fact]
    public async Task a_key_used_for_another_payload_is_refused_and_nothing_is_stored()
    {
        var key = NewKey();
        await requests.SubmitAsync(Call(), key);
        var before = await requests.CountEventsAsync();
        var keysBefore = await requests.CountAsync("select count(*) from huzhu.person_keys");
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", Call(), key: key);
        Assert.Equal((422, "idempotency-key-reused"), (status, (string?)problem!["code"]));
        Assert.Equal(before, await requests.CountEventsAsync());
        Assert.Equal(keysBefore, await requests.CountAsync("select count(*) from huzhu.person_keys"));
    }

    [Theory]
    [InlineData(null, "idempotency-key-missing")]
    [InlineData("\"\"", "idempotency-key-missing")]
    [InlineData("\"a\"b\"", "idempotency-key-malformed")]
    public async Task without_a_usable_key_it_is_400(string? key, string code)
    {
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", Call(), key: key);
        Assert.Equal((400, code), (status, (string?)problem!["code"]));
    }

    [Fact]
    public async Task one_call_sent_many_times_at_once_to_both_replicas_is_one_request()
    {
        var (call, key) = (Call(), NewKey());
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(index =>
            requests.SendAsync(HttpMethod.Post, "/v1/requests", call.DeepClone(), key: key, replica: 1 + index % 2)));
        Assert.All(answers, answer => Assert.Contains(answer.Status, new[] { 202, 409 }));
        Assert.All(answers.Where(answer => answer.Status == 409), answer => Assert.Equal("idempotency-key-in-progress", (string?)answer.Body!["code"]));
        var accepted = answers.Where(answer => answer.Status == 202).Select(answer => answer.Body!["requestId"]!.ToString()).Distinct().ToList();
        Assert.Single(accepted);
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where stream_id = $1 and type = 'request_submitted'", Guid.Parse(accepted[0])));
    }

    [Fact]
    public async Task a_burst_is_committed_in_batches_and_every_call_is_in_the_log_once()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 400).Select(index => requests.SubmitAsync(Call(), replica: 1 + index % 2)));
        var ids = answers.Select(answer => RequestOf(answer).Value).ToArray();
        Assert.Equal(400, ids.Distinct().Count());
        Assert.Equal(400, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'request_submitted' and stream_id = any($1)", ids));
        var transactions = await requests.CountAsync("select count(distinct xmin::text) from huzhu.mt_streams where id = any($1)", ids);
        Assert.InRange(transactions, 1, 200);
        await EventuallyAsync("all to be published", () => Task.FromResult((ids.All(id =>
            requests.Published<NeedSubmitted>(message => message.Need.RequestId.Value == id).Count == 1), (JsonNode?)null)));
    }

    [Fact]
    public async Task a_call_in_a_batch_that_is_refused_harms_no_other()
    {
        var taken = Call();
        await requests.SubmitAsync(taken);
        taken["urgency"] = "routine";
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(index =>
            requests.SendAsync(HttpMethod.Post, "/v1/requests", index % 4 == 0 ? taken.DeepClone() : Call(), key: NewKey())));
        Assert.Equal(10, answers.Count(answer => answer.Status == 409));
        Assert.Equal(30, answers.Count(answer => answer.Status == 202));
    }

    [Fact]
    public async Task everything_wrong_is_said_at_once_under_its_path()
    {
        var call = Call();
        call["urgency"] = "yesterday";
        call["location"]!["lat"] = 91;
        call["needs"]![0]!["kind"] = "haircut";
        call["needs"]![0]!["quantity"] = 0;
        call["needs"]!.AsArray().Add(null);
        call["externalId"] = "nul\u0000";
        call.Remove("caller");
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", call, key: NewKey());
        Assert.Equal((422, "invalid"), (status, (string?)problem!["code"]));
        Assert.Equal(
            ["caller", "externalId", "location.lat", "needs[0].kind", "needs[0].quantity", "needs[1].kind", "needs[1].mode", "urgency"],
            problem["errors"]!.AsObject().Select(error => error.Key).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("{\"source\": ")]
    [InlineData("[]")]
    [InlineData("{\"needs\": \"meals\"}")]
    [InlineData("{\"caller\": {\"ref\": \"\\ud800\"}}")]
    [InlineData("null")]
    public async Task what_is_not_the_expected_json_is_400(string body)
    {
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", body, key: NewKey());
        Assert.Equal((400, "malformed"), (status, (string?)problem!["code"]));
    }

    [Theory]
    [InlineData(null, 401)]
    [InlineData("auditor", 403)]
    [InlineData("coordinator", 403)]
    public async Task who_may_not_submit_is_told_so(string? role, int expected)
    {
        var (status, _, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", Call(), role, NewKey());
        Assert.Equal(expected, status);
    }

    [Fact]
    public async Task the_sub_district_is_looked_up_from_the_map_unless_told()
    {
        var call = Call();
        call["location"] = new JsonObject { ["lat"] = 31.95, ["lon"] = 121.95 };
        Assert.Equal("K", (await requests.PublishedAsync<NeedSubmitted>(About(await requests.SubmitAsync(call)))).Need.SubDistrict);
        call = Call();
        call["location"] = new JsonObject { ["lat"] = 31.95, ["lon"] = 121.95, ["subDistrict"] = "told" };
        Assert.Equal("told", (await requests.PublishedAsync<NeedSubmitted>(About(await requests.SubmitAsync(call)))).Need.SubDistrict);
        Assert.Null((await requests.PublishedAsync<NeedSubmitted>(About(await requests.SubmitAsync(Call())))).Need.SubDistrict);
    }

    [Fact]
    public async Task a_place_in_gcj02_is_stored_in_wgs84()
    {
        var call = Call();
        call["location"]!["datum"] = "GCJ02";
        var visit = await requests.GetAsync(await requests.SubmitAsync(call), "/visit");
        // Shanghai's shift is about 500 m to the south-east.
        Assert.InRange((double)visit["lat"]!, 31.2215, 31.2225);
        Assert.InRange((double)visit["lon"]!, 121.4350, 121.4360);
    }

    private static Func<NeedSubmitted, bool> About(JsonNode submitted) => message => message.Need.RequestId == RequestOf(submitted);
}
