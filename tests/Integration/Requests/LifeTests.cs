using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.TestKit;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>A request after it was taken in: what Matching says of it, and what people do.</summary>
[Collection(RequestsCollection.Name)]
public sealed class LifeTests(RequestsFixture requests)
{
    private static readonly ResponderId Helper = new(Guid.NewGuid()), Another = new(Guid.NewGuid());

    [Fact]
    public async Task what_matching_says_is_shown()
    {
        var request = await requests.SubmitAsync(Call());
        await requests.MatchingSaysAsync(request, 1, NeedState.Waiting, reason: "no-capable-responder");
        var waiting = await requests.StateAsync(request, "waiting");
        Assert.Equal(("open", "no-capable-responder"), ((string?)waiting["status"], (string?)waiting["needs"]![0]!["reason"]));
        await requests.MatchingSaysAsync(request, 2, NeedState.Accepted, Helper);
        var accepted = await requests.StateAsync(request, "accepted");
        Assert.Equal(("in-progress", Helper.ToString()), ((string?)accepted["status"], (string?)accepted["needs"]![0]!["responderId"]));
        await requests.MatchingSaysAsync(request, 3, NeedState.Fulfilled, Helper);
        Assert.Equal("fulfilled", (string?)(await requests.StateAsync(request, "fulfilled"))["status"]);
    }

    [Fact]
    public async Task a_message_that_comes_twice_late_or_out_of_order_changes_nothing()
    {
        var request = await requests.SubmitAsync(Call());
        await requests.MatchingSaysAsync(request, 5, NeedState.Started, Helper);
        await requests.StateAsync(request, "started");
        await requests.MatchingSaysAsync(request, 5, NeedState.Started, Helper);
        await requests.MatchingSaysAsync(request, 4, NeedState.Accepted, Helper);
        await requests.MatchingSaysAsync(request, 1, NeedState.Waiting);
        await requests.MatchingSaysAsync(request, 6, NeedState.Fulfilled, Helper);
        await requests.StateAsync(request, "fulfilled");
        await requests.MatchingSaysAsync(request, 6, NeedState.Fulfilled, Helper);
        await AfterEverythingAsync();
        Assert.Equal("fulfilled", (string?)(await requests.GetAsync(request))["status"]);
        Assert.Equal(2, await requests.CountEventsAsync(request, "need_state_recorded"));
    }

    [Fact]
    public async Task a_message_after_the_end_does_not_undo_it()
    {
        var request = await requests.SubmitAsync(Call());
        await requests.ActAsync(request, "cancel", new { reason = "no-longer-needed" });
        await requests.MatchingSaysAsync(request, 3, NeedState.Offered);
        await requests.MatchingSaysAsync(request, 4, NeedState.Cancelled);
        await EventuallyAsync("both to be recorded", async () => (await requests.CountEventsAsync(request, "need_state_recorded") > 0, null));
        await AfterEverythingAsync();
        Assert.Equal("cancelled", (string?)(await requests.GetAsync(request))["status"]);
    }

    [Fact]
    public async Task many_messages_at_once_are_recorded_together_and_the_newest_of_each_need_counts()
    {
        var submitted = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => requests.SubmitAsync(Call())));
        NeedState[] states = [NeedState.Open, NeedState.Offered, NeedState.Accepted, NeedState.Started, NeedState.Fulfilled];
        var shuffled = submitted.SelectMany(request => states.Select((state, index) => (request, version: index + 1L, state))).OrderBy(_ => Random.Shared.Next());
        await Task.WhenAll(shuffled.Select(said => requests.MatchingSaysAsync(said.request, said.version, said.state, Helper)));
        foreach (var request in submitted)
            await requests.StateAsync(request, "fulfilled");
    }

    [Fact]
    public async Task a_message_about_a_need_that_nobody_knows_is_set_aside_with_the_reason_and_blocks_nothing()
    {
        var unknown = new NeedStateChanged(new(Guid.NewGuid()), new(Guid.NewGuid()), 1, NeedState.Open, null, null, null, 1, DateTimeOffset.UtcNow);
        await requests.PublishAsync(unknown);
        var request = await requests.SubmitAsync(Call());
        await requests.MatchingSaysAsync(request, 1, NeedState.Waiting);
        await requests.StateAsync(request, "waiting");

        var reason = await SetAside.TakeReasonAsync(requests.Broker, "requests-record-match_error", TestContext.Current.CancellationToken);
        Assert.Contains("request-not-found", reason);
        Assert.Contains(unknown.NeedId.ToString(), reason);
    }

    [Fact]
    public async Task confirmed_help_is_closed_and_matching_is_told_once()
    {
        var request = await FulfilledAsync();
        Assert.Equal("closed", (string?)(await requests.ActAsync(request, "confirm"))["status"]);
        await requests.PublishedAsync<NeedConfirmed>(message => message.NeedId == NeedOf(request));
        Assert.Equal("closed", (string?)(await requests.ActAsync(request, "confirm"))["status"]);
        Assert.Equal(1, await requests.CountEventsAsync(request, "need_confirmed"));
    }

    [Fact]
    public async Task disputed_help_is_looked_for_again_with_its_original_clock()
    {
        var request = await FulfilledAsync();
        var submitted = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.NeedId == NeedOf(request));
        var answer = await requests.ActAsync(request, "dispute", new { reason = "nobody came", needId = NeedOf(request) });
        Assert.Equal(("open", "reopened"), ((string?)answer["status"], (string?)answer["needs"]![0]!["state"]));
        var reopened = await requests.PublishedAsync<NeedReopened>(message => message.Need.NeedId == NeedOf(request));
        Assert.True(reopened.Disputed);
        Assert.Equal("other", reopened.Reason);
        Assert.Equivalent(submitted.Need, reopened.Need, strict: true);
        await requests.ActAsync(request, "dispute", new { reason = "nobody came" });
        Assert.Equal(1, await requests.CountEventsAsync(request, "need_disputed"));
    }

    [Fact]
    public async Task help_cannot_be_disputed_after_fourteen_days_but_reopened()
    {
        var request = await FulfilledAsync(DateTimeOffset.UtcNow.AddDays(-15));
        Assert.Equal("too-late", (string?)(await requests.ActAsync(request, "dispute", new { reason = "not-delivered" }, 409))["code"]);
        await requests.ActAsync(request, "reopen", new { reason = "needed-again" });
        var reopened = await requests.PublishedAsync<NeedReopened>(message => message.Need.NeedId == NeedOf(request));
        Assert.Equal((false, "needed-again"), (reopened.Disputed, reopened.Reason));
    }

    [Fact]
    public async Task cancelling_tells_matching_and_may_be_repeated_but_not_after_the_help_came()
    {
        var request = await requests.SubmitAsync(Call());
        Assert.Equal("cancelled", (string?)(await requests.ActAsync(request, "cancel", new { reason = "no-longer-needed" }))["status"]);
        Assert.Equal("no-longer-needed", (await requests.PublishedAsync<NeedCancelled>(message => message.NeedId == NeedOf(request))).Reason);
        await requests.ActAsync(request, "cancel", new { reason = "no-longer-needed" });
        Assert.Equal(1, await requests.CountEventsAsync(request, "need_cancelled"));

        var fulfilled = await FulfilledAsync();
        Assert.Equal("already-fulfilled", (string?)(await requests.ActAsync(fulfilled, "cancel", new { reason = "mistake" }, 409))["code"]);
    }

    [Fact]
    public async Task only_the_need_that_is_named_is_cancelled()
    {
        var call = Call();
        call["needs"]!.AsArray().Add(new JsonObject { ["kind"] = "specialised.medicine", ["mode"] = "offline" });
        var request = await requests.SubmitAsync(call);
        var answer = await requests.ActAsync(request, "cancel", new { reason = "mistake", needId = NeedOf(request, 1) });
        Assert.Equal(("open", "open", "cancelled"), ((string?)answer["status"], (string?)answer["needs"]![0]!["state"], (string?)answer["needs"]![1]!["state"]));
        Assert.Equal("need-not-found", (string?)(await requests.ActAsync(request, "cancel", new { reason = "mistake", needId = Guid.NewGuid() }, 404))["code"]);
    }

    [Fact]
    public async Task two_people_who_act_at_once_do_not_undo_each_other()
    {
        var call = Call();
        foreach (var kind in new[] { "specialised.medicine", "specialised.counselling", "donations.goods" })
            call["needs"]!.AsArray().Add(new JsonObject { ["kind"] = kind, ["mode"] = "offline" });
        var request = await requests.SubmitAsync(call);
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(index =>
            requests.SendAsync(HttpMethod.Post, $"/v1/requests/{request["requestId"]}/cancel", new { reason = "mistake", needId = NeedOf(request, index) }, replica: 1 + index % 2)));
        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Equal("cancelled", (string?)(await requests.GetAsync(request))["status"]);
        Assert.Equal(4, await requests.CountEventsAsync(request, "need_cancelled"));
    }

    [Fact]
    public async Task a_concern_holds_the_need_and_keeps_the_responder_away_from_the_person_for_good()
    {
        var person = Guid.NewGuid().ToString("N");
        var request = await requests.SubmitAsync(Call(person));
        await requests.MatchingSaysAsync(request, 2, NeedState.Accepted, Helper);
        await requests.StateAsync(request, "accepted");
        var answer = await requests.ActAsync(request, "concern", new { reason = "he asked for money" });
        Assert.Equal(("on-hold", "on-hold"), ((string?)answer["status"], (string?)answer["needs"]![0]!["state"]));
        var concern = await requests.PublishedAsync<ConcernRaised>(message => message.NeedId == NeedOf(request));
        Assert.Equal(Helper, concern.ResponderId);

        // A message that was under way does not end the hold.
        await requests.MatchingSaysAsync(request, 3, NeedState.Started, Helper);
        await AfterEverythingAsync();
        Assert.Equal("on-hold", (string?)(await requests.GetAsync(request))["status"]);

        var later = await requests.SubmitAsync(Call(person, "specialised.medicine"), replica: 2);
        var submitted = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.NeedId == NeedOf(later));
        Assert.Equal(concern.PersonId, submitted.Need.PersonId);
        Assert.Equal([Helper], submitted.Need.ExcludedResponders);

        // Humans decide: whoever takes calls does not, an operator does, and then it goes on without that responder.
        var (path, form) = ($"/v1/requests/{request["requestId"]}/release-hold", new { reason = "spoke with her daughter" });
        Assert.Equal(403, (await requests.SendAsync(HttpMethod.Post, path, form)).Status);
        Assert.Equal(200, (await requests.SendAsync(HttpMethod.Post, path, form, role: "operator")).Status);
        var reopened = await requests.PublishedAsync<NeedReopened>(message => message.Need.NeedId == NeedOf(request));
        Assert.Equal([Helper], reopened.Need.ExcludedResponders);
        Assert.Equal("hold-released", reopened.Reason);
        Assert.Equal(200, (await requests.SendAsync(HttpMethod.Post, path, form, role: "operator")).Status);
        Assert.Equal("not-on-hold", (string?)(await requests.SendAsync(HttpMethod.Post, $"/v1/requests/{later["requestId"]}/release-hold", form, role: "operator")).Body!["code"]);
    }

    [Fact]
    public async Task who_has_helped_the_person_before_is_told_with_the_next_need_and_no_longer_when_that_is_disputed()
    {
        var person = Guid.NewGuid().ToString("N");
        Assert.Null((await NextAsync("meals")).Need.HelpedBefore);
        var (first, second) = (await HelpedAsync("donations.goods", Helper), await HelpedAsync("specialised.medicine", Another));
        var both = (await NextAsync("specialised.counselling")).Need;
        Assert.Equal(new[] { Helper, Another }.OrderBy(id => id.Value), both.HelpedBefore!);
        // Somebody else's next need does not hear of it.
        Assert.Null((await requests.PublishedAsync<NeedSubmitted>(message => message.Need.NeedId == NeedOf(first))).Need.HelpedBefore);
        Assert.Null((await SubmittedAsync(await requests.SubmitAsync(Call()))).Need.HelpedBefore);

        await requests.ActAsync(first, "confirm");
        await requests.ActAsync(second, "dispute", new { reason = "not-delivered" });
        Assert.Equal([Helper], (await NextAsync("donations.money")).Need.HelpedBefore!);

        // A partial intake hears of what is known when it is completed.
        var partial = Call(person, "basic-needs.water");
        var place = partial["location"]!.DeepClone();
        partial.Remove("location");
        var later = await requests.SubmitAsync(partial);
        var (status, _, _) = await requests.SendAsync(HttpMethod.Patch, $"/v1/requests/{later["requestId"]}", new JsonObject { ["location"] = place });
        Assert.Equal(200, status);
        Assert.Equal([Helper], (await SubmittedAsync(later)).Need.HelpedBefore!);

        async Task<JsonNode> HelpedAsync(string kind, ResponderId helper)
        {
            var request = await requests.SubmitAsync(Call(person, kind));
            await requests.MatchingSaysAsync(request, 4, NeedState.Fulfilled, helper);
            await requests.StateAsync(request, "fulfilled");
            return request;
        }

        async Task<NeedSubmitted> NextAsync(string kind) => await SubmittedAsync(await requests.SubmitAsync(Call(person, kind), replica: 2));

        Task<NeedSubmitted> SubmittedAsync(JsonNode request) => requests.PublishedAsync<NeedSubmitted>(message => message.Need.NeedId == NeedOf(request));
    }

    [Theory]
    [InlineData("cancel")]
    [InlineData("dispute")]
    [InlineData("reopen")]
    [InlineData("concern")]
    public async Task a_reason_is_required_and_bounded(string verb)
    {
        var request = await requests.SubmitAsync(Call());
        Assert.NotNull((await requests.ActAsync(request, verb, new { reason = " " }, 422))["errors"]!["reason"]);
        Assert.NotNull((await requests.ActAsync(request, verb, new { reason = new string('x', 1001) }, 422))["errors"]!["reason"]);
    }

    [Theory]
    [InlineData("cancel")]
    [InlineData("confirm")]
    [InlineData("dispute")]
    [InlineData("reopen")]
    [InlineData("concern")]
    public async Task an_unknown_request_is_404_and_an_auditor_may_not_act(string verb)
    {
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Post, $"/v1/requests/{Guid.NewGuid()}/{verb}", new { reason = "mistake" });
        Assert.Equal((404, "request-not-found"), (status, (string?)problem!["code"]));
        Assert.Equal(403, (await requests.SendAsync(HttpMethod.Post, $"/v1/requests/{Guid.NewGuid()}/{verb}", new { reason = "mistake" }, role: "auditor")).Status);
    }

    private async Task<JsonNode> FulfilledAsync(DateTimeOffset? at = null)
    {
        var request = await requests.SubmitAsync(Call());
        await requests.MatchingSaysAsync(request, 4, NeedState.Fulfilled, Helper, at: at);
        await requests.StateAsync(request, "fulfilled");
        return request;
    }

    /// <summary>Everything sent before has been handled when this, sent after it, has.</summary>
    private async Task AfterEverythingAsync()
    {
        for (var round = 0; round < 2; round++)
        {
            var marker = await requests.SubmitAsync(Call());
            await requests.MatchingSaysAsync(marker, 1, NeedState.Waiting);
            await requests.StateAsync(marker, "waiting");
        }
    }
}
