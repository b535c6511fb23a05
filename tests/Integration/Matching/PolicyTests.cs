using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>What the policy does, and who may change it; on a Matching of its own, because the policy is everybody's.</summary>
public sealed class PolicyTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();

    [Fact]
    public async Task silence_expires_the_offer_and_the_next_one_is_asked_and_in_the_end_humans_are()
    {
        var host = shared.Host;
        await host.ChangePolicyAsync(policy =>
        {
            policy["hardship"]!["offerLifeSeconds"] = 3.0;
            policy["hardship"]!["escalateAfterSeconds"] = 8.0;
            policy["hardship"]!["askAgainAfterSeconds"] = 3600.0;
        });
        await host.ListAsync(_town.Responder(metresNorth: 100));
        await host.ListAsync(_town.Responder(metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        for (var asked = 0; asked < 2; asked++)
        {
            var last = (await host.EventuallyAsync(need.NeedId, match => match["offers"]!.AsArray().Count == asked + 1, $"asking responder {asked + 1}"))["offers"]![asked]!;
            await host.SayAsync(new OfferDelivered(
                OfferId.Of(Guid.Parse((string)last["offerId"]!)), need.NeedId, ResponderId.Of(Guid.Parse((string)last["responderId"]!)), "file", DateTimeOffset.UtcNow));
        }
        var match = await host.EventuallyAsync(need.NeedId, "escalated");
        Assert.Equal(["expired", "expired"], match["offers"]!.AsArray().Select(offer => (string)offer!["state"]!));
        Assert.Equal("asked-recently", (string)match["reason"]!);
        var (status, body) = await host.SendAsync(HttpMethod.Post, $"/v1/offers/{match["offers"]![0]!["offerId"]}/accept");
        Assert.Equal((409, "offer-ended"), (status, (string)body!["code"]!));
        var (_, backlog) = await host.SendAsync(HttpMethod.Get, "/v1/backlog?state=escalated");
        Assert.Contains(need.NeedId.ToString(), backlog!["items"]!.AsArray().Select(item => (string)item!["needId"]!));
    }

    [Fact]
    public async Task an_offer_whose_timer_fires_by_a_clock_that_is_ahead_expires_at_its_time_all_the_same()
    {
        var host = shared.Host;
        await host.ChangePolicyAsync(policy =>
        {
            policy["hardship"]!["offerLifeSeconds"] = 6.0;
            policy["hardship"]!["askAgainAfterSeconds"] = 3600.0;
        });
        await host.ListAsync(_town.Responder(metresNorth: 100));
        var need = await host.SubmitAsync(_town.Need());
        var offer = (await host.EventuallyAsync(need.NeedId, "offered"))["offers"]![0]!;
        await host.SayAsync(new OfferDelivered(
            OfferId.Of(Guid.Parse((string)offer["offerId"]!)), need.NeedId, ResponderId.Of(Guid.Parse((string)offer["responderId"]!)), "file", DateTimeOffset.UtcNow));
        await host.EventuallyAsync(need.NeedId, match => (string?)match["offers"]![0]!["state"] == "sent", "told");
        Assert.True(await host.FireTimersAsync(need.NeedId) >= 2);
        await host.EventuallyAsync(need.NeedId, match => (string?)match["offers"]![0]!["state"] == "expired", "expired");
    }

    [Fact]
    public async Task an_offer_that_nobody_tells_is_made_again_to_the_same_responder()
    {
        var host = shared.Host;
        await host.ChangePolicyAsync(policy =>
        {
            policy["hardship"]!["offerLifeSeconds"] = 0.3;
            policy["hardship"]!["askAgainAfterSeconds"] = 3600.0;
        });
        var nearest = await host.ListAsync(_town.Responder(metresNorth: 100));
        await host.ListAsync(_town.Responder(metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        var offers = (await host.EventuallyAsync(need.NeedId, match => match["offers"]!.AsArray().Count > 2, "offered a third time"))["offers"]!.AsArray().Take(3).ToList();
        Assert.All(offers, offer => Assert.Equal(nearest.ToString(), (string)offer!["responderId"]!));
        Assert.All(offers.Take(2), offer => Assert.Equal(("undeliverable", "offer-expired"), ((string)offer!["state"]!, (string?)offer["endedBecause"])));
    }

    [Fact]
    public async Task whoever_has_helped_the_person_before_comes_first_where_the_policy_says_so_and_only_the_centre_reads_why()
    {
        var host = shared.Host;
        await host.ListAsync(_town.Responder(metresNorth: 100));
        var known = await host.ListAsync(_town.Responder(metresNorth: 400));
        await host.ChangePolicyAsync(policy => policy["weights"] = new JsonObject { ["notHelpedBeforeMetres"] = 500 });
        var need = await host.SubmitAsync(_town.Need() with { HelpedBefore = [known] });
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        Assert.Equal(known.ToString(), (string)match["offers"]![0]!["responderId"]!);

        var path = $"/v1/matches/{need.NeedId}/explanation";
        foreach (var role in new[] { Roles.Operator, Roles.Auditor, Roles.Service })
        {
            var (status, explanation) = await host.SendAsync(HttpMethod.Get, path, token: host.Token(role));
            Assert.Equal(200, status);
            var mayKnow = role is Roles.Operator or Roles.Auditor;
            Assert.Equal(mayKnow, explanation!.ToJsonString().Contains("notHelpedBefore", StringComparison.Ordinal));
            Assert.Equal(mayKnow, explanation["offers"]![0]!["words"]!.AsArray().Any(words => (string)words! == "It has helped the person before."));
        }
        await host.ChangePolicyAsync(policy => policy["weights"] = null);
    }

    [Fact]
    public async Task the_policy_is_changed_only_by_who_has_read_it()
    {
        var host = shared.Host;
        var (_, policy) = await host.SendAsync(HttpMethod.Get, "/v1/policy");
        var version = await host.PolicyVersionAsync();
        policy!["providerBeforeGroup"] = false;
        Assert.Equal(428, (await host.SendAsync(HttpMethod.Put, "/v1/policy", policy)).Status);
        Assert.Equal(412, (await host.SendAsync(HttpMethod.Put, "/v1/policy", policy, ifMatch: "\"9999\"")).Status);
        Assert.Equal(403, (await host.SendAsync(HttpMethod.Put, "/v1/policy", policy, host.Token(Roles.Coordinator), ifMatch: version)).Status);
        var bad = JsonNode.Parse(policy.ToJsonString())!;
        bad["health"]!["offerLifeSeconds"] = -1;
        var (status, problem) = await host.SendAsync(HttpMethod.Put, "/v1/policy", bad, ifMatch: version);
        Assert.Equal(422, status);
        Assert.NotNull(problem!["errors"]!["health.offerLifeSeconds"]);
        Assert.Equal(200, (await host.SendAsync(HttpMethod.Put, "/v1/policy", policy, ifMatch: version)).Status);
        Assert.NotEqual(version, await host.PolicyVersionAsync());

        var group = await host.ListAsync(_town.Responder(metresNorth: 100));
        await host.ListAsync(_town.Responder(kind: ResponderKind.Provider, metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        Assert.Equal(group.ToString(), (string)match["offers"]![0]!["responderId"]!);
    }
}
