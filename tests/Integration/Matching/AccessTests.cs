using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>Who may see and do what at Matching, as a table of callers and calls; and that whoever acts is in the log.</summary>
public sealed class AccessTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    /// <summary>Speaks for the one responder, and for no other.</summary>
    private const string Manager = "local-coordinator";

    /// <summary>What nobody, the intake, coordinator, responder, stranger, operator, auditor and service are answered.</summary>
    private static readonly AccessRow[] Table =
    [
        new("GET /v1/matches/{needId}", "own", "401 403 403 403 403 200 200 200"),
        new("GET /v1/matches/{needId}", "none", "401 403 403 403 403 404 404 404"),
        new("GET /v1/matches/{needId}/explanation", "own", "401 403 403 403 403 200 200 200"),
        new("GET /v1/matches/{needId}/explanation", "none", "401 403 403 403 403 404 404 404"),
        new("GET /v1/matches/{needId}/candidates", "own", "401 403 403 403 403 200 200 403"),
        new("GET /v1/matches/{needId}/candidates", "none", "401 403 403 403 403 404 404 403"),
        new("POST /v1/matches/{needId}/assign", "own", "401 403 403 403 403 422 403 403"),
        new("GET /v1/responders/{id}", "own", "401 403 200 200 403 200 200 200"),
        new("GET /v1/responders/{id}", "foreign", "401 403 403 403 403 200 200 200"),
        new("GET /v1/responders/{id}", "none", "401 403 403 403 403 404 404 404"),
        new("POST /v1/responders/{id}/closure/preview", "none", "401 403 403 403 403 404 403 403"),
        new("GET /v1/offers/{id}", "own", "401 403 200 200 403 200 403 403"),
        new("GET /v1/offers/{id}", "foreign", "401 403 403 403 403 200 403 403"),
        new("GET /v1/offers/{id}", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/accept", "foreign", "401 403 403 403 403 - 403 403"),
        new("POST /v1/offers/{id}/accept", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/decline", "foreign", "401 403 403 403 403 - 403 403"),
        new("POST /v1/offers/{id}/decline", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/start", "own", "401 403 409 409 403 409 403 403"),
        new("POST /v1/offers/{id}/start", "foreign", "401 403 403 403 403 409 403 403"),
        new("POST /v1/offers/{id}/start", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/complete", "own", "401 403 409 409 403 409 403 403"),
        new("POST /v1/offers/{id}/complete", "foreign", "401 403 403 403 403 409 403 403"),
        new("POST /v1/offers/{id}/complete", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/release", "own", "401 403 409 409 403 409 403 403"),
        new("POST /v1/offers/{id}/release", "foreign", "401 403 403 403 403 409 403 403"),
        new("POST /v1/offers/{id}/release", "none", "401 403 403 403 403 404 403 403"),
        new("POST /v1/offers/{id}/revoke", "own", "401 403 403 403 403 - 403 403"),
        new("POST /v1/offers/{id}/revoke", "none", "401 403 403 403 403 404 403 403"),
        new("GET /v1/backlog", "", "401 403 200 403 200 200 200 403"),
        new("GET /v1/policy", "", "401 200 200 200 200 200 200 200"),
        new("PUT /v1/policy", "", "401 403 403 403 403 428 403 403"),
        new("POST /v1/measures/preview", "", "401 403 403 403 403 422 403 403"),
        new("GET /v1/board", "", "401 403 403 403 403 200 200 403"),
        new("GET /v1/board/stream", "", "401 403 403 403 403 - - 403"),
    ];

    private readonly Town _town = new();

    private MatchingHost Host => shared.Host;

    private AccessTable Access => new(Host.Http.BaseAddress!);

    [Fact]
    public async Task each_role_sees_what_it_needs_and_a_responder_its_own_alone()
    {
        var (own, foreign) = (await OfferedAsync(ServiceKinds.Meals, Manager), await OfferedAsync(ServiceKinds.Donations, "another-coordinator"));
        var (_, policy) = await Host.SendAsync(HttpMethod.Get, "/v1/policy");
        await Access.HoldsAsync(
        [
            ("nobody", null),
            // It has the name of a manager, and not the role.
            ("intake", Host.Token(Roles.Intake, Manager)),
            ("coordinator", Host.Token(Roles.Coordinator, Manager)),
            ("responder", Host.Token(Roles.Responder, "a-system", own.Responder.Value)),
            ("stranger", Host.Token(Roles.Coordinator, "a-stranger", Guid.NewGuid())),
            ("operator", Host.Token(Roles.Operator)),
            ("auditor", Host.Token(Roles.Auditor)),
            ("service", Host.Token(Roles.Service)),
        ], Table, (row, _) =>
        {
            var (need, responder, offer) = row.Of switch { "own" => own, "foreign" => foreign, _ => (NeedId.Of(Guid.NewGuid()), ResponderId.Of(Guid.NewGuid()), OfferId.Of(Guid.NewGuid())) };
            var isOffer = row.Path.StartsWith("/v1/offers/", StringComparison.Ordinal);
            object? body = row.Operation.StartsWith("GET ", StringComparison.Ordinal) ? null
                : isOffer ? new { reason = "other" }
                : row.Path == "/v1/policy" ? policy
                : row.Path.EndsWith("preview", StringComparison.Ordinal) ? new { area = Array.Empty<int>() } : new { responderId = Guid.NewGuid(), reason = " " };
            return (row.Path.Replace("{needId}", need.ToString(), StringComparison.Ordinal).Replace("{id}", isOffer ? offer.ToString() : responder.ToString(), StringComparison.Ordinal), body);
        });
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
        var acts = new Acts(Access, subject => Host.CountAsync($"select count(*) from huzhu.mt_events where '{subject}' in (data ->> 'by', data #>> '{{explanation,assignment,by}}')"));
        Task ActAsync(string operation, string path, object body, string subject, string role = Roles.Operator, string? ifMatch = null) =>
            acts.ActAsync(operation, path, subject, Host.Token(role, subject), body, ifMatch);

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
        await acts.AreAllAsync("POST /v1/measures/preview", "POST /v1/responders/{id}/closure/preview");
    }

    private async Task<(NeedId Need, ResponderId Responder, OfferId Offer)> OfferedAsync(string kind, string manager)
    {
        var responder = await Host.ListAsync(_town.Responder(kinds: [kind]) with { ManagedBy = [manager] });
        var need = await Host.SubmitAsync(_town.Need(kind: kind));
        var match = await Host.EventuallyAsync(need.NeedId, "offered");
        return (need.NeedId, responder, OfferId.Of(Guid.Parse((string)match["offers"]![0]!["offerId"]!)));
    }
}
