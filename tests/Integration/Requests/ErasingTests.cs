using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>Erasing people who called or were called for, the rules that do so by themselves, and the record of who read what.</summary>
[Collection(RequestsCollection.Name)]
public sealed class ErasingTests(RequestsFixture requests)
{
    [Fact]
    public async Task while_help_is_under_way_a_person_is_erased_only_by_an_operator_who_ends_it()
    {
        var call = Call();
        var (request, key) = (call, NewKey());
        var submitted = await requests.SubmitAsync(request, key);
        var person = await PersonAsync(submitted);
        // Both replicas have the person's key at hand.
        foreach (var replica in new[] { 1, 2 })
            await requests.GetAsync(submitted, "/contact", replica: replica);

        var (status, problem, _) = await EraseAsync(person);
        Assert.Equal((409, "help-under-way"), (status, (string?)problem!["code"]));
        await requests.GetAsync(submitted, "/contact");
        (status, var answer, _) = await EraseAsync(person, "?force=true&basis=consent-withdrawn");
        Assert.True(status == 200, answer?.ToJsonString());
        Assert.Equal((false, 1, "test-operator", "consent-withdrawn"), ((bool)answer!["repeated"]!, (int)answer["ended"]!, (string)answer["by"]!, (string)answer["basis"]!));

        Assert.Equal("erased", (await requests.PublishedAsync<NeedCancelled>(message => message.NeedId == NeedOf(submitted))).Reason);
        Assert.Equal([NeedOf(submitted)], (await requests.PublishedAsync<Contracts.Requests.V1.PersonErased>(message => message.PersonId.Value == person)).Needs);
        Assert.Equal("cancelled", (string?)(await requests.GetAsync(submitted))["status"]);
        // The other replica is told at once, long before it would forget by itself.
        foreach (var replica in new[] { 1, 2 })
            await EventuallyAsync($"replica {replica} to forget the key", async () => (await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{submitted["requestId"]}/contact", role: "service", replica: replica)) is (410, var body, _) ? (true, body) : (false, null));

        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.person_keys where person_id = $1", person));
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.idempotency_keys where request_id = $1", RequestOf(submitted).Value));
        // Nothing that is left can tell whether a call was this one.
        var (again, _, _) = await requests.SendAsync(HttpMethod.Post, "/v1/requests", request, key: key);
        Assert.Equal(409, again);
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.person_keys where person_id = $1", person));

        (status, answer, _) = await EraseAsync(person);
        Assert.Equal((200, true, "consent-withdrawn"), (status, (bool)answer!["repeated"]!, (string)answer["basis"]!));
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'person_erased' and stream_id = $1", People.StreamOf(person)));
    }

    [Fact]
    public async Task the_link_that_came_with_the_call_is_the_persons_own()
    {
        var call = Call();
        call["onBehalfOf"] = new JsonObject { ["ref"] = Guid.NewGuid().ToString("N"), ["name"] = "Mr Lin" };
        var submitted = await requests.SubmitAsync(call);
        var (link, callers) = (new Uri((string)submitted["eraseUrl"]!), new Uri((string)submitted["eraseCallerUrl"]!));
        Assert.NotEqual(link.AbsolutePath, callers.AbsolutePath);
        async Task<int> DeleteAsync(string path, string? role = null) => (await requests.SendAsync(HttpMethod.Delete, path, role: role)).Status;

        Assert.Equal(401, await DeleteAsync(link.AbsolutePath));
        Assert.Equal(401, await DeleteAsync(link.AbsolutePath + callers.Query));
        Assert.Equal(403, await DeleteAsync(link.AbsolutePath, "intake"));
        Assert.Equal(403, await DeleteAsync(link.PathAndQuery + "&force=true"));
        Assert.Equal(409, await DeleteAsync(link.PathAndQuery));
        await requests.ActAsync(submitted, "cancel", new { reason = "no-longer-needed" });
        Assert.Equal(200, await DeleteAsync(link.PathAndQuery));
        Assert.Equal(200, await DeleteAsync(link.PathAndQuery));
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.person_keys where person_id = $1", Guid.Parse(callers.Segments[^1])));
        Assert.Equal(200, await DeleteAsync(callers.PathAndQuery));
        Assert.Equal(People.Themselves, (string?)(await EraseAsync(Guid.Parse(link.Segments[^1]))).Answer!["by"]);
    }

    [Fact]
    public async Task a_caller_takes_what_they_called_for_with_them()
    {
        var call = Call();
        call["onBehalfOf"] = new JsonObject { ["ref"] = Guid.NewGuid().ToString("N") };
        var submitted = await requests.SubmitAsync(call);
        var caller = Guid.Parse((string)(await requests.GetAsync(submitted))["callerId"]!);
        Assert.Equal(409, (await EraseAsync(caller)).Status);
        Assert.Equal(1, (int)(await EraseAsync(caller, "?force=true")).Answer!["ended"]!);
        Assert.Equal("cancelled", (string?)(await requests.GetAsync(submitted))["status"]);
        await requests.GetAsync(submitted, "/visit", expected: 410);
    }

    [Fact]
    public async Task who_had_helped_is_forgotten_with_the_person_even_if_they_call_again()
    {
        var (reference, before, after) = (Guid.NewGuid().ToString("N"), new ResponderId(Guid.NewGuid()), new ResponderId(Guid.NewGuid()));
        var helped = await HelpedAsync(before);
        Assert.Equal([before], await HelpedBeforeAsync("donations.goods", cancelled: true));
        Assert.Equal(200, (await EraseAsync(await PersonAsync(helped))).Status);
        Assert.Null(await HelpedBeforeAsync("donations.money", cancelled: true));
        await HelpedAsync(after);
        Assert.Equal([after], await HelpedBeforeAsync("specialised.medicine"));

        async Task<JsonNode> HelpedAsync(ResponderId helper)
        {
            var submitted = await requests.SubmitAsync(Call(reference));
            await requests.MatchingSaysAsync(submitted, 4, NeedState.Fulfilled, helper);
            return await requests.StateAsync(submitted, "fulfilled");
        }

        async Task<IReadOnlyList<ResponderId>?> HelpedBeforeAsync(string kind, bool cancelled = false)
        {
            var submitted = await requests.SubmitAsync(Call(reference, kind));
            if (cancelled)
                await requests.ActAsync(submitted, "cancel", new { reason = "no-longer-needed" });
            return (await requests.PublishedAsync<NeedSubmitted>(message => message.Need.NeedId == NeedOf(submitted))).Need.HelpedBefore;
        }
    }

    [Fact]
    public async Task what_cannot_be_erased_is_said_why()
    {
        var (status, problem, _) = await EraseAsync(Guid.NewGuid());
        Assert.Equal((404, "person-not-found"), (status, (string?)problem!["code"]));
        (status, problem, _) = await EraseAsync(Guid.NewGuid(), "?basis=Mr%20Lin%20asked");
        Assert.Equal(422, status);
        Assert.NotNull(problem!["errors"]!["basis"]);
        Assert.Equal(404, (await requests.SendAsync(HttpMethod.Delete, "/v1/people/lin", role: "operator")).Status);
    }

    [Fact]
    public async Task a_call_that_lost_its_key_to_an_erasure_at_the_same_moment_is_ended_a_minute_later()
    {
        var (lost, other) = (await requests.SubmitAsync(Call()), await requests.SubmitAsync(Call()));
        var people = new[] { await PersonAsync(lost), await PersonAsync(other) };
        await requests.CountAsync("with gone as (delete from huzhu.person_keys where person_id = $1 returning 1), told as (select pg_notify('huzhu_person_erased', $1::text)) select count(*) from gone, told", people[0]);
        foreach (var person in people)
            await requests.CountAsync("with made as (insert into huzhu.timers (id, kind, subject, due_at) values (gen_random_uuid(), 'finish-erasure', $1, now()) returning 1) select count(*) from made", person);
        await requests.StateAsync(lost, "cancelled");
        await EventuallyAsync("the timers to be done", async () => (await requests.CountAsync("select count(*) from huzhu.timers where kind = 'finish-erasure' and subject = any($1)", people) == 0, null));
        await requests.StateAsync(other, "open");
    }

    [Fact]
    public async Task the_rules_of_retention_erase_who_is_done_and_nobody_else()
    {
        var (done, underWay, partial, kept) = (await requests.SubmitAsync(Call()), await requests.SubmitAsync(Call()), Call(), await requests.SubmitAsync(Call()));
        partial.Remove("location");
        var abandoned = await requests.SubmitAsync(partial);
        await requests.ActAsync(done, "cancel", new { reason = "no-longer-needed" });
        await requests.ActAsync(kept, "cancel", new { reason = "no-longer-needed" });
        var (doneId, underWayId, abandonedId, keptId) = (await PersonAsync(done), await PersonAsync(underWay), await PersonAsync(abandoned), await PersonAsync(kept));
        // Two of them were last heard of long ago; the rules say so, and not the clock of the test.
        await requests.CountAsync("with old as (update huzhu.mt_doc_requestview set mt_last_modified = now() - interval '40 days' where person_id = any($1) returning 1) select count(*) from old", new[] { doneId, underWayId, abandonedId });

        var (status, rules, headers) = await requests.SendAsync(HttpMethod.Get, "/v1/retention", role: "operator");
        Assert.Equal(200, status);
        Assert.Equal(428, (await requests.SendAsync(HttpMethod.Put, "/v1/retention", new { days = new { } }, "operator")).Status);
        Assert.Equal(403, (await requests.SendAsync(HttpMethod.Put, "/v1/retention", new { days = new { } }, "auditor")).Status);
        var version = headers.ETag!.Tag;
        (status, var problem) = await PutRetentionAsync("""{"days": {"after-end": 0, "after-lunch": 1}}""", version);
        Assert.Equal((422, 2), (status, problem!["errors"]!.AsObject().Count));
        (status, _) = await PutRetentionAsync("""{"days": {"after-end": 30, "after-partial": 30}}""", version);
        Assert.Equal(200, status);
        Assert.Equal(412, (await PutRetentionAsync("""{"days": {}}""", version)).Status);

        await EventuallyAsync("the two to be erased", async () => (await requests.CountAsync("select count(*) from huzhu.person_keys where person_id = any($1)", new[] { doneId, abandonedId }) == 0, null));
        Assert.Equal(2, await requests.CountAsync("select count(*) from huzhu.person_keys where person_id = any($1)", new[] { underWayId, keptId }));
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where stream_id = $1 and data ->> 'by' = 'huzhu' and data ->> 'basis' like 'retention-rules-%'", People.StreamOf(doneId)));
        Assert.Equal("cancelled", (string?)(await requests.GetAsync(abandoned))["status"]);
        await EventuallyAsync("the next look to be scheduled", async () => (await requests.CountAsync("select count(*) from huzhu.timers where kind = 'apply-retention' and due_at > now() + interval '50 minutes'") == 1, null));
        (_, _, headers) = await requests.SendAsync(HttpMethod.Get, "/v1/retention", role: "operator");
        await PutRetentionAsync("""{"days": {}}""", headers.ETag!.Tag);
    }

    [Fact]
    public async Task every_reading_of_personal_data_is_in_the_log()
    {
        var submitted = await requests.SubmitAsync(Call());
        var (person, subject) = (await PersonAsync(submitted), RequestOf(submitted).Value.ToString());
        const string recorded = "select count(*) from huzhu.mt_events, jsonb_array_elements(data -> 'reads') one where type = 'personal_data_read' and one ->> 'subject' = $1 and one ->> 'what' = $2 and one ->> 'by' = $3 and one -> 'people' ? $4 and coalesce(one ->> 'purpose', '') = $5";
        Task<long> CountAsync(string what, string by, string purpose) => requests.CountAsync(recorded, subject, what, by, person.ToString(), purpose);

        // What a human sees is recorded before it is shown.
        await requests.GetAsync(submitted, "?personal=true&purpose=welfare-check");
        Assert.Equal(1, await CountAsync("everything", "test-operator", "welfare-check"));
        await requests.GetAsync(submitted, "/visit");
        Assert.Equal(1, await CountAsync("visit", "test-operator", ""));
        // What shows nothing personal is not.
        await requests.GetAsync(submitted);
        await requests.GetAsync(submitted, "/contact?purpose=Because%20I%20can", expected: 400);
        Assert.Equal(0, await CountAsync("contact", "test-operator", ""));
        for (var time = 0; time < 20; time++)
            await requests.GetAsync(submitted, "/contact?purpose=notification", "service");
        await EventuallyAsync("the machine's readings to be recorded", async () => (await CountAsync("contact", "test-service", "notification") == 20, null));
        Assert.InRange(await requests.CountAsync("select count(*) from huzhu.mt_events where type = 'personal_data_read' and data::text like '%' || $1 || '%test-service%'", subject), 1, 10);
    }

    private async Task<(int Status, JsonNode? Answer)> PutRetentionAsync(string body, string version)
    {
        var (status, answer, _) = await requests.SendAsync(HttpMethod.Put, "/v1/retention", body, "operator", ifMatch: version);
        return (status, answer);
    }

    private async Task<(int Status, JsonNode? Answer, object Headers)> EraseAsync(Guid person, string query = "") =>
        await requests.SendAsync(HttpMethod.Delete, $"/v1/people/{person}{query}", role: "operator");

    private async Task<Guid> PersonAsync(JsonNode submitted) => Guid.Parse((string)(await requests.GetAsync(submitted))["personId"]!);
}
