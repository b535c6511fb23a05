using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>Who may see and do what at Matching, as a table of callers and calls; and that whoever acts is in the log.</summary>
public sealed class AccessTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    /// <summary>Speaks for the one responder, and for no other.</summary>
    private const string Manager = "local-coordinator";

    /// <summary>In the order of the table's columns. The intake has the name of a manager, and not the role.</summary>
    private static readonly string[] Callers = ["nobody", "intake", "coordinator", "responder", "stranger", "operator", "auditor", "service"];

    /// <summary>What each caller is answered; where there is a dash, the call would do something, or not end.</summary>
    private static readonly (string Method, string Path, string Of, string Expected)[] Table =
    [
        ("GET", "/v1/matches/{needId}", "of=own", "401 403 403 403 403 200 200 200"),
        ("GET", "/v1/matches/{needId}", "of=none", "401 403 403 403 403 404 404 404"),
        ("GET", "/v1/matches/{needId}/explanation", "of=own", "401 403 403 403 403 200 200 200"),
        ("GET", "/v1/matches/{needId}/explanation", "of=none", "401 403 403 403 403 404 404 404"),
        ("GET", "/v1/matches/{needId}/candidates", "of=own", "401 403 403 403 403 200 200 403"),
        ("GET", "/v1/matches/{needId}/candidates", "of=none", "401 403 403 403 403 404 404 403"),
        ("POST", "/v1/matches/{needId}/assign", "of=own", "401 403 403 403 403 422 403 403"),
        ("GET", "/v1/responders/{id}", "of=own", "401 403 200 200 403 200 200 200"),
        ("GET", "/v1/responders/{id}", "of=foreign", "401 403 403 403 403 200 200 200"),
        ("GET", "/v1/responders/{id}", "of=none", "401 403 403 403 403 404 404 404"),
        ("POST", "/v1/responders/{id}/closure/preview", "of=none", "401 403 403 403 403 404 403 403"),
        ("GET", "/v1/offers/{id}", "of=own", "401 403 200 200 403 200 403 403"),
        ("GET", "/v1/offers/{id}", "of=foreign", "401 403 403 403 403 200 403 403"),
        ("GET", "/v1/offers/{id}", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/accept", "of=foreign", "401 403 403 403 403 - 403 403"),
        ("POST", "/v1/offers/{id}/accept", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/decline", "of=foreign", "401 403 403 403 403 - 403 403"),
        ("POST", "/v1/offers/{id}/decline", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/start", "of=own", "401 403 409 409 403 409 403 403"),
        ("POST", "/v1/offers/{id}/start", "of=foreign", "401 403 403 403 403 409 403 403"),
        ("POST", "/v1/offers/{id}/start", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/complete", "of=own", "401 403 409 409 403 409 403 403"),
        ("POST", "/v1/offers/{id}/complete", "of=foreign", "401 403 403 403 403 409 403 403"),
        ("POST", "/v1/offers/{id}/complete", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/release", "of=own", "401 403 409 409 403 409 403 403"),
        ("POST", "/v1/offers/{id}/release", "of=foreign", "401 403 403 403 403 409 403 403"),
        ("POST", "/v1/offers/{id}/release", "of=none", "401 403 403 403 403 404 403 403"),
        ("POST", "/v1/offers/{id}/revoke", "of=own", "401 403 403 403 403 - 403 403"),
        ("POST", "/v1/offers/{id}/revoke", "of=none", "401 403 403 403 403 404 403 403"),
        ("GET", "/v1/backlog", "", "401 403 200 403 200 200 200 403"),
        ("GET", "/v1/policy", "", "401 200 200 200 200 200 200 200"),
        ("PUT", "/v1/policy", "", "401 403 403 403 403 428 403 403"),
        ("POST", "/v1/measures/preview", "", "401 403 403 403 403 422 403 403"),
        ("GET", "/v1/board", "", "401 403 403 403 403 200 200 403"),
        ("GET", "/v1/board/stream", "", "401 403 403 403 403 - - 403"),
    ];

    private readonly Town _town = new();

    private MatchingHost Host => shared.Host;

    [Fact]
    public async Task each_role_sees_what_it_needs_and_a_responder_its_own_alone()
    {
        var (own, foreign) = (await OfferedAsync(ServiceKinds.Meals, Manager), await OfferedAsync(ServiceKinds.Donations, "another-coordinator"));
        var (_, policy) = await Host.SendAsync(HttpMethod.Get, "/v1/policy");
        var tokens = new Dictionary<string, string?>
        {
            ["nobody"] = null,
            ["intake"] = Host.Token(Roles.Intake, Manager),
            ["coordinator"] = Host.Token(Roles.Coordinator, Manager),
            ["responder"] = Host.Token(Roles.Responder, "a-system", own.Responder.Value),
            ["stranger"] = Host.Token(Roles.Coordinator, "a-stranger", Guid.NewGuid()),
            ["operator"] = Host.Token(Roles.Operator),
            ["auditor"] = Host.Token(Roles.Auditor),
            ["service"] = Host.Token(Roles.Service),
        };
        var (wrong, told) = (new List<string>(), new Dictionary<(string, string), List<string>>());
        foreach (var (method, path, of, expected) in Table)
        {
            var (need, responder, offer) = of switch { "of=own" => own, "of=foreign" => foreign, _ => (NeedId.Of(Guid.NewGuid()), ResponderId.Of(Guid.NewGuid()), OfferId.Of(Guid.NewGuid())) };
            var address = path.Replace("{needId}", need.ToString(), StringComparison.Ordinal)
                .Replace("{id}", path.Contains("/offers/", StringComparison.Ordinal) ? offer.ToString() : responder.ToString(), StringComparison.Ordinal);
            object? body = method == "GET" ? null : path == "/v1/policy" ? policy : path.Contains("/offers/", StringComparison.Ordinal) ? new { reason = "other" } : path.EndsWith("preview", StringComparison.Ordinal) ? new { area = Array.Empty<int>() } : new { responderId = Guid.NewGuid(), reason = " " };
            foreach (var (caller, status) in Callers.Zip(expected.Split(' ')).Where(pair => pair.Second != "-"))
            {
                var (got, answer) = await Host.SendAsync(new HttpMethod(method), address, body, tokens[caller]);
                if (got.ToString(System.Globalization.CultureInfo.InvariantCulture) != status)
                    wrong.Add($"{method} {path} {of} by {caller}: {got} instead of {status}: {answer?.ToJsonString()}");
                if (got is not 403)
                    continue;
                // Where it was asked is its own; the rest must not tell whether there is anything.
                answer!.AsObject().Remove("instance");
                answer.AsObject().Remove("traceId");
                (told.TryGetValue(($"{method} {path}", caller), out var answers) ? answers : told[($"{method} {path}", caller)] = []).Add(answer.ToJsonString());
            }
        }
        Assert.Empty(wrong);
        Assert.All(told, refused => Assert.Single(refused.Value.Distinct()));
        Assert.Equal((await OperationsAsync()).Order(), Table.Select(row => $"{row.Method} {row.Path}").Distinct().Order());
    }

    [Fact]
    public async Task whoever_answers_an_offer_is_told_of_that_offer_and_of_nobody_elses()
    {
        var responders = new List<ResponderId>();
        foreach (var metres in new[] { 100, 200, 300 })
            responders.Add(await Host.ListAsync(_town.Responder(metresNorth: metres)));
        var need = await Host.SubmitAsync(_town.Need(Urgency.LifeThreatening));
        var match = await Host.EventuallyAsync(need.NeedId, seen => MatchingHost.Open(seen).Count() == 3, "offered to three");
        var offers = match["offers"]!.AsArray().Select(offer => ((string)offer!["offerId"]!, (string)offer["responderId"]!)).ToList();
        var (mine, me) = offers[1];
        var link = $"?key={Host.Links.Sign("offer", Guid.Parse(mine), Guid.Parse(me))}";

        foreach (var (verb, token, key, state) in new[]
        {
            ("accept", null, link, "accepted"), ("start", Host.Token(Roles.Responder, "a-system", Guid.Parse(me)), "", "started"), ("complete", Host.Token(Roles.Coordinator, Manager), "", "done"),
        })
        {
            var (status, answer) = await Host.SendAsync(HttpMethod.Post, $"/v1/offers/{mine}/{verb}{key}", new { }, token);
            Assert.True(status == 200, answer?.ToJsonString());
            Assert.Equal((mine, state), ((string)answer!["offerId"]!, (string)answer["state"]!));
            var (_, shown) = await Host.SendAsync(HttpMethod.Get, $"/v1/offers/{mine}{key}", token: token);
            foreach (var text in new[] { answer.ToJsonString(), shown!.ToJsonString() })
                Assert.All(offers.Where(offer => offer.Item1 != mine), other => Assert.False(text.Contains(other.Item1, StringComparison.Ordinal) || text.Contains(other.Item2, StringComparison.Ordinal), text));
            // The key of the visit is for whoever goes there.
            Assert.Equal(state is not "done", answer["visitKey"] is not null);
            Assert.Null((await Host.SendAsync(HttpMethod.Get, $"/v1/offers/{mine}")).Body!["visitKey"]);
        }
    }

    [Fact]
    public async Task a_replica_that_has_not_heard_yet_who_speaks_for_a_responder_reads_it_in_the_log()
    {
        var (_, responder, offer) = await OfferedAsync(ServiceKinds.Medicine, "who-was-here-before");
        // As another replica may just have written it; a directory in memory hears of it with the ledger's next version.
        Assert.Equal(1, await Host.CountAsync($$"""
            with changed as (update huzhu.responders set profile = jsonb_set(profile, '{managedBy}', '["who-came-lately"]') where id = '{{responder}}' returning 1)
            select count(*) from changed
            """));

        Assert.Equal(200, (await Host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer}/accept", new { }, Host.Token(Roles.Coordinator, "who-came-lately"))).Status);
        Assert.Equal(403, (await Host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer}/complete", new { }, Host.Token(Roles.Coordinator, "who-was-here-before"))).Status);
    }

    [Fact]
    public async Task the_subject_of_every_act_at_matching_is_in_its_event()
    {
        for (var metres = 100; metres <= 300; metres += 100)
            await Host.ListAsync(_town.Responder(metresNorth: metres, capacity: 20));
        async Task<(string Offer, string Responder)> AskedAsync()
        {
            var match = await Host.EventuallyAsync((await Host.SubmitAsync(_town.Need())).NeedId, "offered");
            return ((string)match["offers"]![0]!["offerId"]!, (string)match["offers"]![0]!["responderId"]!);
        }
        async Task<string> OfferAsync() => (await AskedAsync()).Offer;
        var acted = new List<string>();
        async Task ActAsync(string operation, string path, object body, string subject, string role = Roles.Operator, string? ifMatch = null)
        {
            Task<long> SaidAsync() => Host.CountAsync($"select count(*) from huzhu.mt_events where '{subject}' in (data ->> 'by', data #>> '{{explanation,assignment,by}}')");
            var before = await SaidAsync();
            var (status, answer) = await Host.SendAsync(new HttpMethod(operation.Split(' ')[0]), path, body, Host.Token(role, subject), ifMatch: ifMatch);
            Assert.True(status == 200, $"{operation} answered {status}: {answer}");
            acted.Add(operation);
            Assert.Equal(before + 1, await SaidAsync());
        }

        var done = await OfferAsync();
        foreach (var verb in new[] { "accept", "start", "complete" })
            await ActAsync($"POST /v1/offers/{{id}}/{verb}", $"/v1/offers/{done}/{verb}", new { }, $"op-{verb}");
        await ActAsync("POST /v1/offers/{id}/decline", $"/v1/offers/{await OfferAsync()}/decline", new { reason = "other" }, "op-decline");
        var released = await OfferAsync();
        await ActAsync("POST /v1/offers/{id}/accept", $"/v1/offers/{released}/accept", new { }, Manager, Roles.Coordinator);
        await ActAsync("POST /v1/offers/{id}/release", $"/v1/offers/{released}/release", new { reason = "ill" }, "op-release");
        await ActAsync("POST /v1/offers/{id}/revoke", $"/v1/offers/{await OfferAsync()}/revoke", new { reason = "wrong group" }, "op-revoke");
        var far = await Host.ListAsync(_town.Responder(metresNorth: 900, capacity: 20));
        var need = await Host.SubmitAsync(_town.Need());
        await Host.EventuallyAsync(need.NeedId, "offered");
        await ActAsync("POST /v1/matches/{needId}/assign", $"/v1/matches/{need.NeedId}/assign", new { responderId = far, reason = "knows the family" }, "op-assign");
        var (_, policy) = await Host.SendAsync(HttpMethod.Get, "/v1/policy");
        policy!["maxUntoldOffers"] = (int)policy["maxUntoldOffers"]! + 1;
        await ActAsync("PUT /v1/policy", "/v1/policy", policy, "op-policy", ifMatch: await Host.PolicyVersionAsync());

        // By the link, nobody has signed in.
        var (linked, responder) = await AskedAsync();
        Assert.Equal(200, (await Host.SendAsync(HttpMethod.Post, $"/v1/offers/{linked}/accept?key={Host.Links.Sign("offer", Guid.Parse(linked), Guid.Parse(responder))}", token: null)).Status);
        Assert.Equal(1, await Host.CountAsync($"select count(*) from huzhu.mt_events where type = 'offer_accepted' and data ->> 'offerId' = '{linked}' and data ->> 'by' = 'own-link'"));

        // Previews are decided on paper and leave nothing.
        string[] onPaper = ["POST /v1/measures/preview", "POST /v1/responders/{id}/closure/preview"];
        Assert.Equal((await OperationsAsync()).Where(operation => !operation.StartsWith("GET ", StringComparison.Ordinal)).Except(onPaper).Order(), acted.Distinct().Order());
    }

    /// <summary>Everything that the service says it can be asked, as "GET /v1/…".</summary>
    private async Task<IReadOnlyList<string>> OperationsAsync()
    {
        var (_, document) = await Host.SendAsync(HttpMethod.Get, "/openapi/v1.json", token: null);
        return [.. document!["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject().Where(operation => operation.Value is JsonObject)
            .Select(operation => $"{operation.Key.ToUpperInvariant()} {path.Key.TrimEnd('/')}"))];
    }

    private async Task<(NeedId Need, ResponderId Responder, OfferId Offer)> OfferedAsync(string kind, string manager)
    {
        var responder = await Host.ListAsync(_town.Responder(kinds: [kind]) with { ManagedBy = [manager] });
        var need = await Host.SubmitAsync(_town.Need(kind: kind));
        var match = await Host.EventuallyAsync(need.NeedId, "offered");
        return (need.NeedId, responder, OfferId.Of(Guid.Parse((string)match["offers"]![0]!["offerId"]!)));
    }
}
