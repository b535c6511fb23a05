using System.Net;
using System.Text.Json.Nodes;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Erasing whoever is reached through an entry of the directory.</summary>
public sealed class ErasingTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private readonly GroupsService _groups = shared.Service;

    [Theory, InlineData("/v1/groups"), InlineData("/v1/providers")]
    public async Task an_entry_that_takes_needs_is_paused_first_or_with_the_erasure_and_can_have_another_contact(string path)
    {
        var id = await _groups.RegisterAsync(path, token: _groups.Coordinator());
        Assert.Equal(HttpStatusCode.OK, (await ContactAsync(id)).Status);
        Assert.Equal((HttpStatusCode.Unauthorized, (string?)"unauthenticated"), Of(await EraseAsync(id, null)));
        Assert.Equal((HttpStatusCode.Forbidden, (string?)"forbidden"), Of(await EraseAsync(id, _groups.Coordinator("somebody else"))));
        Assert.Equal((HttpStatusCode.Conflict, (string?)"still-listed"), Of(await EraseAsync(id, _groups.Coordinator())));
        Assert.Equal((HttpStatusCode.Forbidden, (string?)"forbidden"), Of(await EraseAsync(id, _groups.Coordinator(), "?force=true")));

        var erased = await EraseAsync(id, _groups.Operator, "?force=true");
        Assert.True(erased.Status == HttpStatusCode.OK, erased.Body?.ToJsonString());
        Assert.Equal(1, (int)erased.Body!["ended"]!);
        Assert.Equal((HttpStatusCode.Gone, (string?)"erased"), Of(await ContactAsync(id)));
        var shown = (await _groups.GetAsync($"{path}/{id}", _groups.Operator)).Body!;
        Assert.Equal(("paused", 0), ((string?)shown["opening"], shown["channels"]!.AsArray().Count));
        Assert.True((bool)(await EraseAsync(id, _groups.Operator)).Body!["repeated"]!);

        // The organisation goes on with somebody else, whose data lies under another key.
        var changed = await _groups.SendAsync(HttpMethod.Put, $"{path}/{id}", _groups.Operator, Entry());
        Assert.True(changed.Status == HttpStatusCode.OK, changed.Body?.ToJsonString());
        Assert.Equal("https://group.example/offers", (string?)(await ContactAsync(id)).Body!["channels"]![0]!["address"]);
        Assert.False((bool)(await EraseAsync(id, _groups.Coordinator())).Body!["repeated"]!);
        Assert.Equal(2, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where type = 'person_erased' and stream_id = '{People.StreamOf(id)}'"));
    }

    [Fact]
    public async Task a_withdrawn_entrys_contact_is_erased_when_the_rules_say_so()
    {
        var (withdrawn, listed, recent) = (await _groups.RegisterAsync("/v1/groups"), await _groups.RegisterAsync("/v1/groups"), await _groups.RegisterAsync("/v1/groups"));
        foreach (var id in new[] { withdrawn, recent })
            await _groups.PostAsync($"/v1/groups/{id}/withdraw", _groups.Operator, new { reason = "over" });
        await _groups.QueryAsync<long>($"with old as (update huzhu.mt_doc_responderview set mt_last_modified = now() - interval '40 days' where id in ('{withdrawn}', '{listed}') returning 1) select count(*) from old");
        var put = await _groups.SendAsync(HttpMethod.Put, "/v1/retention", _groups.Operator, JsonNode.Parse("""{"days": {"after-withdrawal": 30}}"""), with: request => request.Headers.TryAddWithoutValidation("If-Match", "\"0\""));
        Assert.True(put.Status == HttpStatusCode.OK, put.Body?.ToJsonString());
        await Eventually.Async(async () => (await ContactAsync(withdrawn)).Status == HttpStatusCode.Gone, "the withdrawn group's contact is erased");
        Assert.Equal(HttpStatusCode.OK, (await ContactAsync(listed)).Status);
        Assert.Equal(HttpStatusCode.OK, (await ContactAsync(recent)).Status);
    }

    [Fact]
    public async Task who_saw_a_contact_is_in_the_log()
    {
        var id = await _groups.RegisterAsync("/v1/groups", token: _groups.Coordinator());
        await _groups.GetAsync($"/v1/groups/{id}", _groups.Coordinator("somebody else"));
        await _groups.GetAsync($"/v1/groups/{id}?purpose=drill", _groups.Operator);
        await ContactAsync(id);
        await Eventually.Async(async () => await ReadsAsync("by' = 'sender") == 1, "the service's reading is recorded");
        Assert.Equal(1, await ReadsAsync("by' = 'op' and one ->> 'purpose' = 'drill"));
        Assert.Equal(0, await ReadsAsync("by' = 'somebody else"));
        Assert.Equal(2, await ReadsAsync("subject' = '" + id));

        Task<long> ReadsAsync(string condition) => _groups.QueryAsync<long>(
            $"select count(*) from huzhu.mt_events, jsonb_array_elements(data -> 'reads') one where type = 'personal_data_read' and one ->> 'subject' = '{id}' and one ->> '{condition}'");
    }

    private Task<Answer> ContactAsync(Guid id) => _groups.GetAsync($"/v1/responders/{id}/contact", _groups.Host.Token("sender", ["service"]));

    private Task<Answer> EraseAsync(Guid id, string? token, string query = "") => _groups.SendAsync(HttpMethod.Delete, $"/v1/people/{id}{query}", token);

    private static (HttpStatusCode, string?) Of(Answer answer) => (answer.Status, answer.Code);
}
