using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>Who may see and do what at Requests, as a table of callers and calls; and that whoever acts is in the log.</summary>
[Collection(RequestsCollection.Name)]
public sealed class AccessTests(RequestsFixture requests)
{
    /// <summary>
    /// What nobody, an intake, the front end that the request is of, another one, a coordinator, a responder, an operator, an
    /// auditor and a service are answered. Nobody here has the key of a link.
    /// </summary>
    private static readonly AccessRow[] Table =
    [
        // Without an Idempotency-Key.
        new("POST /v1/requests", "", "401 400 400 400 403 403 400 403 403"),
        new("GET /v1/requests", "", "401 200 200 200 403 403 200 200 403"),
        new("POST /v1/requests/of-caller", "own", "401 200 200 403 403 403 200 403 403"),
        new("POST /v1/requests/of-caller", "none", "401 200 200 403 403 403 200 403 403"),
        new("GET /v1/requests/{id}", "own", "401 200 200 404 403 403 200 200 200"),
        new("GET /v1/requests/{id}", "none", "401 404 404 404 403 403 404 404 404"),
        new("PATCH /v1/requests/{id}", "own", "401 409 409 404 403 403 409 403 403"),
        new("PATCH /v1/requests/{id}", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/cancel", "own", "401 - - 404 403 403 - 403 403"),
        new("POST /v1/requests/{id}/cancel", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/confirm", "own", "401 409 409 404 403 403 409 403 403"),
        new("POST /v1/requests/{id}/confirm", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/dispute", "own", "401 409 409 404 403 403 409 403 403"),
        new("POST /v1/requests/{id}/dispute", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/reopen", "own", "401 409 409 404 403 403 409 403 403"),
        new("POST /v1/requests/{id}/reopen", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/concern", "own", "401 - - 404 403 403 - 403 403"),
        new("POST /v1/requests/{id}/concern", "none", "401 404 404 404 403 403 404 403 403"),
        new("POST /v1/requests/{id}/release-hold", "own", "401 403 403 403 403 403 409 403 403"),
        new("POST /v1/requests/{id}/release-hold", "none", "401 403 403 403 403 403 404 403 403"),
        new("GET /v1/requests/{id}/contact", "own", "401 403 403 403 403 403 200 403 200"),
        new("GET /v1/requests/{id}/contact", "none", "401 403 403 403 403 403 404 403 404"),
        new("GET /v1/requests/{id}/visit", "own", "401 403 403 403 403 403 200 403 200"),
        new("GET /v1/requests/{id}/visit", "none", "401 403 403 403 403 403 404 403 404"),
        new("GET /v1/requests/{id}/own", "own", "403 403 403 403 403 403 403 403 403"),
        new("GET /v1/requests/{id}/own", "none", "403 403 403 403 403 403 403 403 403"),
        new("POST /v1/requests/{id}/own", "own", "403 403 403 403 403 403 403 403 403"),
        new("POST /v1/requests/{id}/own", "none", "403 403 403 403 403 403 403 403 403"),
        new("GET /v1/admission", "", "401 200 200 200 403 403 200 200 403"),
        new("DELETE /v1/people/{id}", "own", "401 403 403 403 403 403 - 403 403"),
        new("DELETE /v1/people/{id}", "none", "401 403 403 403 403 403 404 403 403"),
        new("GET /v1/retention", "", "401 403 403 403 403 403 200 200 403"),
        // Without If-Match.
        new("PUT /v1/retention", "", "401 403 403 403 403 403 428 403 403"),
        // Without a signature that fits.
        new("GET /channels/wechat/{account}", "plain", "403 403 403 403 403 403 403 403 403"),
        new("POST /channels/wechat/{account}", "plain", "403 403 403 403 403 403 403 403 403"),
        new("POST /channels/hotline/{account}/sms", "main", "403 403 403 403 403 403 403 403 403"),
        new("POST /channels/hotline/{account}/voice", "main", "403 403 403 403 403 403 403 403 403"),
        new("POST /channels/hotline/{account}/calls", "main", "403 403 403 403 403 403 403 403 403"),
    ];

    private readonly string _source = $"front-{Guid.NewGuid():N}";

    private AccessTable Service => new(requests.Process().BaseAddress);

    [Fact]
    public async Task each_role_sees_what_it_needs_and_a_front_end_its_own_alone()
    {
        var reference = Guid.NewGuid().ToString("N");
        var submitted = await requests.SubmitAsync(Call(reference, source: _source));
        var person = (await requests.GetAsync(submitted))["personId"]!.ToString();
        IReadOnlyList<(string, string?)> callers =
        [
            ("nobody", null), ("intake", TokenOf(Roles.Intake)), ("front-end", requests.Token("front-end", [Roles.Intake], [_source])),
            ("other-front-end", requests.Token("other-front-end", [Roles.Intake], ["elsewhere"])),
            .. new[] { Roles.Coordinator, Roles.Responder, Roles.Operator, Roles.Auditor, Roles.Service }.Select(role => (role, (string?)TokenOf(role))),
        ];
        await Service.HoldsAsync(callers, Table, (row, _) =>
        {
            var id = row.Of != "own" ? Guid.NewGuid().ToString() : row.Path.Contains("/people/", StringComparison.Ordinal) ? person : submitted["requestId"]!.ToString();
            object? body = row.Operation.StartsWith("GET ", StringComparison.Ordinal) || row.Operation.StartsWith("DELETE ", StringComparison.Ordinal) ? null
                : row.Path.StartsWith("/channels/", StringComparison.Ordinal) ? new FormUrlEncodedContent([new("From", "+8613800000000")])
                : row.Path.EndsWith("/of-caller", StringComparison.Ordinal) ? new { source = _source, @ref = row.Of == "own" ? reference : "nobody" }
                : row.Path.EndsWith("/retention", StringComparison.Ordinal) ? new { days = new { } }
                : row.Path.EndsWith("{id}", StringComparison.Ordinal) ? new { urgency = "health" }
                : new { reason = "mistake" };
            var query = row.Operation.StartsWith("GET /channels/", StringComparison.Ordinal) ? "?signature=00&timestamp=1&nonce=2&echostr=3" : "";
            return (row.Path.Replace("{id}", id, StringComparison.Ordinal).Replace("{account}", row.Of, StringComparison.Ordinal) + query, body);
        });
    }

    [Fact]
    public async Task the_subject_of_every_act_at_requests_is_in_its_event()
    {
        var acts = new Acts(Service, subject => requests.CountAsync("select count(*) from huzhu.mt_events where data ->> 'by' = $1", subject));
        var partial = Call(source: _source);
        partial.Remove("consent");
        var first = (await ActAsync("POST /v1/requests", "", Roles.Intake, partial, key: NewKey()))!;
        await ActAsync("PATCH /v1/requests/{id}", Of(first), Roles.Intake, new { consent = new { basis = "verbal", at = "2022-04-01T08:31:00+08:00" } });
        await ActAsync("POST /v1/requests/{id}/cancel", Of(first), Roles.Intake, new { reason = "mistake" });
        await ActAsync("POST /v1/requests/{id}/reopen", Of(first), Roles.Operator, new { reason = "needed-again" });

        var helped = await FulfilledAsync();
        await ActAsync("POST /v1/requests/{id}/confirm", Of(helped), Roles.Intake, new { });
        await ActAsync("POST /v1/requests/{id}/dispute", Of(await FulfilledAsync()), Roles.Intake, new { reason = "not-delivered" });
        var concern = await requests.SubmitAsync(Call(source: _source));
        await ActAsync("POST /v1/requests/{id}/concern", Of(concern), Roles.Operator, new { reason = "unsafe" });
        await ActAsync("POST /v1/requests/{id}/release-hold", Of(concern), Roles.Operator, new { reason = "looked into" });

        // By the link, nobody has signed in.
        var own = new Uri((string)(await requests.SubmitAsync(Call(source: _source)))["ownUrl"]!);
        await acts.ActAsync("POST /v1/requests/{id}/own", own.PathAndQuery, "own-link", token: null, new { id = "1", says = "unsafe" });

        var person = (await requests.GetAsync(helped))["personId"]!.ToString();
        await ActAsync("DELETE /v1/people/{id}", person, Roles.Operator);
        var (_, rules, headers) = await requests.SendAsync(HttpMethod.Get, "/v1/retention", role: Roles.Operator);
        rules!["days"]!["after-end"] = 3650 + ((double?)rules["days"]!["after-end"] ?? 0);
        await ActAsync("PUT /v1/retention", "", Roles.Operator, rules, ifMatch: headers.ETag!.Tag);

        // A question leaves nothing, and what comes through a channel is told by the front end of that name.
        await acts.AreAllAsync("POST /v1/requests/of-caller", "POST /channels/wechat/{account}", "POST /channels/hotline/{account}/sms",
            "POST /channels/hotline/{account}/voice", "POST /channels/hotline/{account}/calls");

        Task<JsonNode?> ActAsync(string operation, string id, string role, object? body = null, string? ifMatch = null, string? key = null)
        {
            var subject = $"someone-{Guid.NewGuid():N}";
            return acts.ActAsync(operation, operation.Split(' ')[1].Replace("{id}", id, StringComparison.Ordinal), subject, requests.Token(subject, [role]), body, ifMatch, key);
        }
    }

    private async Task<JsonNode> FulfilledAsync()
    {
        var submitted = await requests.SubmitAsync(Call(source: _source));
        await requests.MatchingSaysAsync(submitted, 1, NeedState.Fulfilled, new ResponderId(Guid.NewGuid()));
        await requests.StateAsync(submitted, "fulfilled");
        return submitted;
    }

    private static string Of(JsonNode submitted) => submitted["requestId"]!.ToString();

    private string TokenOf(string role) => requests.Token($"test-{role}", [role]);
}
