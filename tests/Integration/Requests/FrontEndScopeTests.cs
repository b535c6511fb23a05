using System.Text.Json.Nodes;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>Two front ends whose tokens name what they act for: each has its own requests, and the other's are not there.</summary>
[Collection(RequestsCollection.Name)]
public sealed class FrontEndScopeTests(RequestsFixture requests)
{
    private readonly string _here = $"here-{Guid.NewGuid():N}", _there = $"there-{Guid.NewGuid():N}";

    private string Here => requests.Token("front-end-here", ["intake"], [_here]);
    private string There => requests.Token("front-end-there", ["intake"], [_there]);
    private string Both => requests.Token("front-end-both", ["intake"], [_here, _there]);

    [Fact]
    public async Task a_front_end_submits_as_itself_alone()
    {
        var (call, key) = (Call(source: _here), NewKey());
        var first = await SubmitAsync(Here, call, key);
        Assert.Equal(202, first.Status);
        Assert.Equal(Id(first.Body), Id((await SubmitAsync(Here, call, key)).Body));
        Assert.Equal(Id(first.Body), Id((await SubmitAsync(Here, call, NewKey())).Body));

        var events = await requests.CountEventsAsync();
        // The other's call again as well as one of its name: who is not it learns nothing of what it has sent.
        foreach (var foreign in new[] { call, Call(source: _here) })
            Assert.Equal((403, "not-your-source"), Of(await SubmitAsync(There, foreign, key)));
        Assert.Equal(events, await requests.CountEventsAsync());
        // A key is its sender's: the same words of another front end are another key.
        Assert.Equal(202, (await SubmitAsync(There, Call(source: _there), key)).Status);
        Assert.Equal(202, (await SubmitAsync(Both, Call(source: _there), NewKey())).Status);
    }

    [Fact]
    public async Task a_front_end_reads_and_lists_its_own_alone()
    {
        var person = Guid.NewGuid().ToString("N");
        var mine = (await SubmitAsync(Here, Call(person, source: _here), NewKey())).Body!;
        var theirs = (await SubmitAsync(There, Call(source: _there), NewKey())).Body!;

        Assert.Equal(200, (await SendAsync(HttpMethod.Get, $"/v1/requests/{Id(mine)}", Here)).Status);
        await IsNotThereAsync(HttpMethod.Get, id => $"/v1/requests/{id}", theirs, Here, null);
        Assert.Equal([Id(mine)], await ListAsync("", Here));
        Assert.Equal([Id(theirs)], await ListAsync("?status=open", There));
        Assert.Equal([Id(theirs), Id(mine)], await ListAsync("", Both));
        Assert.Equal([Id(mine)], await ListAsync($"?source={_here}", Both));
        Assert.Equal([Id(theirs)], await ListAsync($"?source={_there}", requests.Token("a", ["auditor"])));
        Assert.Equal((403, "not-your-source"), Of(await SendAsync(HttpMethod.Get, $"/v1/requests?source={_there}&externalId=1", Here)));
        Assert.Equal((403, "not-your-source"), Of(await SendAsync(HttpMethod.Get, $"/v1/requests?source={_there}", Here)));

        Assert.Equal((403, "not-your-source"), Of(await SendAsync(HttpMethod.Post, "/v1/requests/of-caller", There, new { source = _here, @ref = person })));
        var known = await SendAsync(HttpMethod.Post, "/v1/requests/of-caller", Here, new { source = _here, @ref = person });
        Assert.Equal(Id(mine), Id(Assert.Single(known.Body!["items"]!.AsArray())));

        // Without the claim, and in another role beside it, as before.
        foreach (var wide in new[] { requests.Token("w", ["intake"]), requests.Token("o", ["intake", "operator"], [_here]), requests.Token("a", ["intake", "auditor"], [_here]), requests.Token("n", ["service"]) })
            Assert.Equal(200, (await SendAsync(HttpMethod.Get, $"/v1/requests/{Id(theirs)}", wide)).Status);
    }

    [Fact]
    public async Task a_front_end_acts_on_its_own_alone()
    {
        var partial = Call(source: _there);
        partial.Remove("consent");
        var theirs = (await SubmitAsync(There, partial, NewKey())).Body!;
        await IsNotThereAsync(HttpMethod.Patch, id => $"/v1/requests/{id}", theirs, Here, new { consent = new { basis = "verbal", at = "2022-04-01T08:31:00+08:00" } });
        var events = await requests.CountAsync($"select count(*) from huzhu.mt_events where stream_id = '{Id(theirs)}'");
        foreach (var verb in new[] { "cancel", "confirm", "dispute", "reopen", "concern" })
        {
            await IsNotThereAsync(HttpMethod.Post, id => $"/v1/requests/{id}/{verb}", theirs, Here, new { reason = "mistake" });
            // An auditor sees all, and what it may do it may for its own front end.
            await IsNotThereAsync(HttpMethod.Post, id => $"/v1/requests/{id}/{verb}", theirs, requests.Token("a", ["intake", "auditor"], [_here]), new { reason = "mistake" });
        }
        Assert.Equal(events, await requests.CountAsync($"select count(*) from huzhu.mt_events where stream_id = '{Id(theirs)}'"));
        foreach (var (verb, role) in new[] { ("release-hold", Here), ("contact", Here) })
            Assert.Equal(403, (await SendAsync(verb == "contact" ? HttpMethod.Get : HttpMethod.Post, $"/v1/requests/{Id(theirs)}/{verb}", role, verb == "contact" ? null : new { reason = "x" })).Status);

        Assert.Equal(200, (await SendAsync(HttpMethod.Patch, $"/v1/requests/{Id(theirs)}", There, new { consent = new { basis = "verbal", at = "2022-04-01T08:31:00+08:00" } })).Status);
        var (status, cancelled) = await SendAsync(HttpMethod.Post, $"/v1/requests/{Id(theirs)}/cancel", There, new { reason = "mistake" });
        Assert.Equal((200, "cancelled"), (status, (string?)cancelled!["status"]));
        Assert.Equal(200, (await SendAsync(HttpMethod.Post, $"/v1/requests/{Id(theirs)}/reopen", Both, new { reason = "needed-again" })).Status);
    }

    /// <summary>The answer is the one about a request that there is not.</summary>
    private async Task IsNotThereAsync(HttpMethod method, Func<string, string> path, JsonNode request, string token, object? body)
    {
        var (about, none) = (await SendAsync(method, path(Id(request)), token, body), await SendAsync(method, path(Guid.NewGuid().ToString()), token, body));
        Assert.Equal((404, "request-not-found"), Of(about));
        foreach (var answer in new[] { about.Body!.AsObject(), none.Body!.AsObject() })
        {
            answer.Remove("instance");
            answer.Remove("traceId");
        }
        Assert.Equal(none.Body!.ToJsonString(), about.Body!.ToJsonString());
    }

    private async Task<IEnumerable<string>> ListAsync(string query, string token)
    {
        var (status, body) = await SendAsync(HttpMethod.Get, $"/v1/requests{query}", token);
        Assert.True(status == 200, $"The list was answered {status}: {body}");
        Assert.Equal((int)body!["total"]!, body["items"]!.AsArray().Count);
        return body["items"]!.AsArray().Select(item => Id(item)).ToList();
    }

    private async Task<(int Status, JsonNode? Body)> SendAsync(HttpMethod method, string path, string token, object? body = null, string? key = null)
    {
        var (status, answer, _) = await requests.SendAsync(method, path, body, token: token, key: key);
        return (status, answer);
    }

    private Task<(int Status, JsonNode? Body)> SubmitAsync(string token, JsonNode call, string key) => SendAsync(HttpMethod.Post, "/v1/requests", token, call, key);

    private static string Id(JsonNode? answer) => answer!["requestId"]!.ToString();

    private static (int, string?) Of((int Status, JsonNode? Body) answer) => (answer.Status, (string?)answer.Body?["code"]);
}
