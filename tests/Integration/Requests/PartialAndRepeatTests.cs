using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

[Collection(RequestsCollection.Name)]
public sealed class PartialAndRepeatTests(RequestsFixture requests)
{
    [Fact]
    public async Task a_partial_intake_is_kept_and_goes_to_matching_when_it_is_completed_with_its_original_clock()
    {
        var call = Call();
        call.Remove("location");
        call.Remove("consent");
        var answer = await requests.SubmitAsync(call);
        Assert.Equal(("partial", "location,consent"), ((string?)answer["status"], string.Join(',', answer["missing"]!.AsArray().Select(part => (string?)part))));
        Assert.Equal("partial", (string?)answer["needs"]![0]!["state"]);

        var (status, extended, _) = await PatchAsync(answer, new { location = new { lat = 31.2205, lon = 121.4401 } });
        Assert.Equal((200, "partial"), (status, (string?)extended!["status"]));
        Assert.Empty(requests.Published<NeedSubmitted>(message => message.Need.RequestId == RequestOf(answer)));

        (status, var completed, _) = await PatchAsync(answer, new { consent = new { basis = "verbal", at = "2022-04-01T09:00:00+08:00" } }, replica: 2);
        Assert.Equal((200, "open", "open"), (status, (string?)completed!["status"], (string?)completed["needs"]![0]!["state"]));
        var submitted = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.RequestId == RequestOf(answer));
        Assert.Equal((DateTimeOffset)completed["submittedAt"]!, submitted.Need.SubmittedAt);
        Assert.True(submitted.At > submitted.Need.SubmittedAt);

        // The same again is no conflict, something else is.
        Assert.Equal(200, (await PatchAsync(answer, new { location = new { lat = 31.2205, lon = 121.4401 } })).Status);
        Assert.Equal("already-complete", (string?)(await PatchAsync(answer, new { urgency = "health" })).Body!["code"]);
        Assert.Equal(answer.ToJsonString(), (await requests.SubmitAsync(call)).ToJsonString());
        var visit = await requests.GetAsync(answer, "/visit");
        Assert.Equal((31.2205, "ring twice"), ((double)visit["lat"]!, (string?)visit["note"]));
    }

    [Fact]
    public async Task a_completion_is_checked_like_an_intake_and_cannot_change_who_called()
    {
        var call = Call();
        call.Remove("needs");
        var answer = await requests.SubmitAsync(call);
        var (status, problem, _) = await PatchAsync(answer, new { needs = new[] { new { kind = "haircut", mode = "offline" } } });
        Assert.Equal(422, status);
        Assert.NotNull(problem!["errors"]!["needs[0].kind"]);
        (status, problem, _) = await PatchAsync(answer, new { source = "another", caller = new { @ref = "another" } });
        Assert.Equal((422, 2), (status, problem!["errors"]!.AsObject().Count));
        Assert.Equal(404, (await PatchAsync(JsonNode.Parse($$"""{"requestId": "{{Guid.NewGuid()}}"}""")!, new { urgency = "health" })).Status);
        Assert.Equal(1, await requests.CountEventsAsync(answer));
    }

    [Fact]
    public async Task a_partial_intake_can_be_cancelled_as_a_whole()
    {
        var call = Call();
        call.Remove("needs");
        var answer = await requests.SubmitAsync(call);
        Assert.Equal("cancelled", (string?)(await requests.ActAsync(answer, "cancel", new { reason = "mistake" }))["status"]);
        await requests.ActAsync(answer, "cancel", new { reason = "mistake" });
        Assert.Equal((409, "cancelled"), ((await PatchAsync(answer, new { urgency = "health" })).Status, (string?)(await requests.GetAsync(answer))["status"]));
    }

    [Fact]
    public async Task a_repeat_call_is_linked_and_the_higher_urgency_wins()
    {
        var person = Guid.NewGuid().ToString("N");
        var first = await requests.SubmitAsync(Call(person, "specialised.medicine"));
        var second = await requests.SubmitAsync(Call(person, "specialised.medicine", "life-threatening"), replica: 2);
        Assert.Equal(("duplicate-of", NeedOf(first).ToString()), ((string?)second["needs"]![0]!["state"], (string?)second["needs"]![0]!["duplicateOf"]));
        Assert.Equal("duplicate-of", (string?)second["status"]);

        var raised = await requests.PublishedAsync<NeedUrgencyRaised>(message => message.NeedId == NeedOf(first));
        Assert.Equal(Urgency.LifeThreatening, raised.Urgency);
        var older = await requests.GetAsync(first);
        Assert.Equal(("life-threatening", 1), ((string?)older["needs"]![0]!["urgency"], (int)older["needs"]![0]!["repeatCalls"]!));

        await requests.SubmitAsync(Call(person, "specialised.medicine", "routine"));
        Assert.Equal("life-threatening", (string?)(await requests.GetAsync(first))["needs"]![0]!["urgency"]);
        Assert.Empty(requests.Published<NeedSubmitted>(message => message.Need.NeedId == NeedOf(second)));

        // What is said of the repeat is said of the older need, and its end is the repeat's.
        await requests.MatchingSaysAsync(first, 3, NeedState.Fulfilled, new ResponderId(Guid.NewGuid()));
        var shown = await requests.StateAsync(second, "fulfilled");
        Assert.Equal("fulfilled", (string?)shown["status"]);
        Assert.Equal("closed", (string?)(await requests.ActAsync(second, "confirm"))["status"]);
        await requests.PublishedAsync<NeedConfirmed>(message => message.NeedId == NeedOf(first));
        Assert.Equal("closed", (string?)(await requests.GetAsync(first))["status"]);

        // After the end, a new call is a new need.
        Assert.Equal("open", (string?)(await requests.SubmitAsync(Call(person, "specialised.medicine")))["needs"]![0]!["state"]);
    }

    [Fact]
    public async Task another_kind_or_another_person_is_no_repeat()
    {
        var person = Guid.NewGuid().ToString("N");
        await requests.SubmitAsync(Call(person, "specialised.medicine"));
        Assert.Equal("open", (string?)(await requests.SubmitAsync(Call(person, "specialised.counselling")))["status"]);
        Assert.Equal("open", (string?)(await requests.SubmitAsync(Call(null, "specialised.medicine")))["status"]);
        Assert.Equal("open", (string?)(await requests.SubmitAsync(Call(person, "specialised.medicine", source: "another")))["status"]);
        Assert.Equal("duplicate-of", (string?)(await requests.SubmitAsync(Call(person, "specialised")))["status"]);
    }

    [Fact]
    public async Task calls_of_one_person_at_once_are_one_need_and_its_repeats()
    {
        var person = Guid.NewGuid().ToString("N");
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => requests.SubmitAsync(Call(person))));
        var open = Assert.Single(answers, answer => (string?)answer["status"] == "open");
        Assert.All(answers.Where(answer => answer != open), answer => Assert.Equal(NeedOf(open).ToString(), (string?)answer["needs"]![0]!["duplicateOf"]));
        Assert.Equal(11, (int)(await requests.GetAsync(open))["needs"]![0]!["repeatCalls"]!);
    }

    [Fact]
    public async Task cancelling_a_repeat_leaves_the_older_need_on_its_way()
    {
        var person = Guid.NewGuid().ToString("N");
        var first = await requests.SubmitAsync(Call(person));
        var second = await requests.SubmitAsync(Call(person));
        Assert.Equal("cancelled", (string?)(await requests.ActAsync(second, "cancel", new { reason = "mistake" }))["status"]);
        Assert.Equal("open", (string?)(await requests.GetAsync(first))["status"]);
        await requests.ActAsync(second, "reopen", new { reason = "mistake" });
        Assert.Equal("duplicate-of", (string?)(await requests.GetAsync(second))["status"]);
        Assert.Empty(requests.Published<NeedReopened>(message => message.Need.NeedId == NeedOf(second)));
    }

    [Fact]
    public async Task a_partial_intake_repeats_nothing_until_it_is_complete()
    {
        var person = Guid.NewGuid().ToString("N");
        var first = await requests.SubmitAsync(Call(person));
        var call = Call(person);
        call.Remove("location");
        var partial = await requests.SubmitAsync(call);
        Assert.Equal("partial", (string?)partial["status"]);
        Assert.Equal("duplicate-of", (string?)(await PatchAsync(partial, new { location = new { lat = 31.2, lon = 121.4 } })).Body!["status"]);
        Assert.Equal(1, (int)(await requests.GetAsync(first))["needs"]![0]!["repeatCalls"]!);
    }

    private Task<(int Status, JsonNode? Body, System.Net.Http.Headers.HttpResponseHeaders Headers)> PatchAsync(JsonNode submitted, object body, int replica = 1) =>
        requests.SendAsync(HttpMethod.Patch, $"/v1/requests/{submitted["requestId"]}", body, replica: replica);
}
