using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Integration.Matching.MatchingHost;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>One need on its way, on real servers.</summary>
public sealed class LifeOfAMatchTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();

    [Fact]
    public async Task a_need_is_offered_to_the_nearest_accepted_and_done()
    {
        var host = shared.Host;
        var near = await host.ListAsync(_town.Responder(metresNorth: 300));
        await host.ListAsync(_town.Responder(metresNorth: 900));
        var need = await host.SubmitAsync(_town.Need());

        var match = await host.EventuallyAsync(need.NeedId, "offered");
        var offer = match["offers"]![0]!;
        Assert.Equal(near.ToString(), (string)offer["responderId"]!);
        Assert.InRange((double)offer["distanceMetres"]!, 299, 301);

        Assert.Equal("accepted", (string)(await host.AnswerAsync(offer, "accept"))["state"]!);
        Assert.Equal("accepted", (string)(await host.AnswerAsync(offer, "accept"))["state"]!);
        Assert.Equal("started", (string)(await host.AnswerAsync(offer, "start"))["state"]!);
        var done = await host.AnswerAsync(offer, "complete");
        Assert.Equal("fulfilled", (string)done["state"]!);
        Assert.Equal(0, (int)(await host.ResponderAsync(near))!["held"]!);

        await EventuallyAsync(() => Task.FromResult(host.Heard.States.Any(state => state.NeedId == need.NeedId && state.State is NeedState.Fulfilled)), "Fulfilled to be told");
        Assert.Equal([NeedState.Offered, NeedState.Accepted, NeedState.Started, NeedState.Fulfilled],
            host.Heard.States.Where(state => state.NeedId == need.NeedId).OrderBy(state => state.Version).Select(state => state.State));
        Assert.Equal(near, Assert.Single(host.Heard.Accepted, accepted => accepted.NeedId == need.NeedId).ResponderId);
        Assert.Equal(3, await host.CountAsync($"select count(*) from huzhu.mt_events where (stream_id = '{need.NeedId}' and version <= 2) or (stream_id = '{near}' and type = 'place_held')"));

        var (_, explanation) = await host.SendAsync(HttpMethod.Get, $"/v1/matches/{need.NeedId}/explanation");
        var words = explanation!["offers"]![0]!["words"]!.AsArray().Select(word => (string)word!).ToList();
        Assert.Contains("It was the nearest that could be asked; the next one is 900 m away.", words);
        Assert.Contains("The responder has done it.", words);
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task whatever_moves_a_need_stays_in_its_trace_and_is_linked_to_it()
    {
        var host = shared.Host;
        var need = await host.SubmitAsync(_town.Need());
        await host.EventuallyAsync(need.NeedId, "waiting");
        // A group that registers, and answers: each has another trace.
        var group = await host.ListAsync(_town.Responder(metresNorth: 100));
        await host.ListAsync(_town.Responder(metresNorth: 200));
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        match = await host.AnswerAsync(Open(match).Single(), "decline", new { reason = "no-capacity" });
        await host.AnswerAsync(Open(match).Single(), "accept");

        Assert.Equal(1, await host.CountAsync($"select count(distinct split_part(headers ->> 'traceparent', '-', 2)) from huzhu.mt_events where stream_id = '{need.NeedId}'"));
        Assert.Equal(0, await host.CountAsync($"select count(*) from huzhu.mt_events where stream_id = '{need.NeedId}' and headers ->> 'traceparent' is null"));
        var linked = $"select count(*) from huzhu.mt_events e join huzhu.mt_events cause on cause.headers ->> 'traceparent' = e.headers ->> 'tracelink' where e.stream_id = '{need.NeedId}'";
        Assert.Equal(1, await host.CountAsync($"{linked} and e.type = 'offer_made' and cause.stream_id = '{group}' and cause.type = 'responder_listed'"));
        Assert.Equal(1, await host.CountAsync($"select count(*) from huzhu.mt_events where stream_id = '{need.NeedId}' and type = 'offer_accepted' and split_part(headers ->> 'tracelink', '-', 2) <> split_part(headers ->> 'traceparent', '-', 2)"));
        // The places that it took are found by the same trace.
        Assert.Equal(2, await host.CountAsync($"""
            select count(*) from huzhu.mt_events where type = 'place_held' and split_part(headers ->> 'traceparent', '-', 2) =
                (select split_part(headers ->> 'traceparent', '-', 2) from huzhu.mt_events where stream_id = '{need.NeedId}' and version = 1)
            """));
    }

    [Fact]
    public async Task a_declined_offer_goes_to_the_next_one_at_once_and_not_back()
    {
        var host = shared.Host;
        var first = await host.ListAsync(_town.Responder(metresNorth: 100));
        var second = await host.ListAsync(_town.Responder(metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(need.NeedId, "offered");

        var after = await host.AnswerAsync(match["offers"]![0]!, "decline", new { reason = "no-capacity" });
        Assert.Equal(second.ToString(), (string)after["offers"]![1]!["responderId"]!);
        after = await host.AnswerAsync(after["offers"]![1]!, "decline", new { reason = "other", note = "busy" });
        Assert.Equal("waiting", (string)after["state"]!);
        Assert.Equal("excluded-declined", (string)after["reason"]!);
        Assert.Equal(2, (int)(await host.ResponderAsync(first))!["free"]!);
    }

    [Fact]
    public async Task of_three_asked_at_once_the_first_to_accept_gets_the_need()
    {
        var host = shared.Host;
        var responders = new List<ResponderId>();
        for (var i = 1; i <= 4; i++)
            responders.Add(await host.ListAsync(_town.Responder(metresNorth: 100 * i)));
        var need = await host.SubmitAsync(_town.Need(Urgency.LifeThreatening));
        var match = await host.EventuallyAsync(need.NeedId, match => Open(match).Count() == 3, "offered to three");

        var answers = await Task.WhenAll(Open(match).Select(offer => host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer["offerId"]}/accept")));
        Assert.Equal([200, 409, 409], answers.Select(answer => answer.Status).Order());
        Assert.All(answers.Where(answer => answer.Status == 409), answer => Assert.Equal("place-filled", (string)answer.Body!["code"]!));
        match = (await host.MatchAsync(need.NeedId))!;
        Assert.Equal("accepted", (string)match["state"]!);
        var held = 0;
        foreach (var responder in responders)
            held += (int)(await host.ResponderAsync(responder))!["held"]!;
        Assert.Equal(1, held);
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task when_one_of_three_declines_another_one_is_asked()
    {
        var host = shared.Host;
        for (var i = 1; i <= 4; i++)
            await host.ListAsync(_town.Responder(metresNorth: 100 * i));
        var need = await host.SubmitAsync(_town.Need(Urgency.LifeThreatening));
        var match = await host.EventuallyAsync(need.NeedId, match => Open(match).Count() == 3, "offered to three");
        match = await host.AnswerAsync(Open(match).First(), "decline", new { reason = "unsafe" });
        Assert.Equal(3, Open(match).Count());
        Assert.Equal(4, match["offers"]!.AsArray().Count);
    }

    [Fact]
    public async Task help_done_in_part_leaves_the_rest_open()
    {
        var host = shared.Host;
        await host.ListAsync(_town.Responder(metresNorth: 100));
        var need = await host.SubmitAsync(_town.Need(quantity: 5));
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        await host.AnswerAsync(match["offers"]![0]!, "accept");
        var (status, body) = await host.SendAsync(HttpMethod.Post, $"/v1/offers/{match["offers"]![0]!["offerId"]}/complete", new { quantity = 6 });
        Assert.Equal((422, "quantity"), (status, (string)body!["code"]!));
        match = await host.AnswerAsync(match["offers"]![0]!, "complete", new { quantity = 2 });
        Assert.Equal(("offered", 3), ((string)match["state"]!, (int)match["remainingQuantity"]!));
        await EventuallyAsync(() => Task.FromResult(host.Heard.Offers.Any(offer => offer.NeedId == need.NeedId && offer.Quantity == 3)), "an offer of the rest");
    }

    [Fact]
    public async Task an_undeliverable_offer_goes_to_the_next_one()
    {
        var host = shared.Host;
        var near = await host.ListAsync(_town.Responder(metresNorth: 100));
        var next = await host.ListAsync(_town.Responder(metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        var offer = OfferId.Of(Guid.Parse((string)match["offers"]![0]!["offerId"]!));
        await host.SayAsync(new OfferUndeliverable(offer, need.NeedId, near, "no-channel", DateTimeOffset.UtcNow));
        match = await host.EventuallyAsync(need.NeedId, match => match["offers"]!.AsArray().Count == 2, "offered again");
        Assert.Equal(next.ToString(), (string)match["offers"]![1]!["responderId"]!);
    }

    [Fact]
    public async Task a_released_need_goes_back_and_a_revoked_one_too()
    {
        var host = shared.Host;
        for (var i = 1; i <= 3; i++)
            await host.ListAsync(_town.Responder(metresNorth: 100 * i));
        var need = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        match = await host.AnswerAsync(match["offers"]![0]!, "accept");
        match = await host.AnswerAsync(match["offers"]![0]!, "release", new { reason = "ill" });
        Assert.Equal("offered", (string)match["state"]!);
        match = await host.AnswerAsync(match["offers"]![1]!, "accept");
        match = await host.AnswerAsync(match["offers"]![1]!, "revoke", new { reason = "wrong group" });
        Assert.Equal(["released", "revoked", "made"], match["offers"]!.AsArray().Select(offer => (string)offer!["state"]!));
        Assert.Equal(3, match["offers"]!.AsArray().Select(offer => (string)offer!["responderId"]!).Distinct().Count());
    }

    [Fact]
    public async Task only_who_speaks_for_the_responder_may_answer()
    {
        var host = shared.Host;
        var responder = await host.ListAsync(_town.Responder(metresNorth: 100));
        var other = await host.ListAsync(_town.Responder(metresNorth: 5000));
        var need = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        var offer = Guid.Parse((string)match["offers"]![0]!["offerId"]!);
        var path = $"/v1/offers/{offer}/accept";
        async Task<(int, string?)> Try(string? token, string query = "", object? body = null)
        {
            var (status, answer) = await host.SendAsync(HttpMethod.Post, path + query, body, token);
            return (status, (string?)answer?["code"]);
        }

        Assert.Equal((401, "unauthenticated"), await Try(null));
        Assert.Equal((401, "unauthenticated"), await Try("not-a-token"));
        Assert.Equal((403, "not-your-offer"), await Try(null, "?key=wrong"));
        Assert.Equal((403, "not-your-offer"), await Try(null, $"?key={host.Links.Sign("offer", offer, other.Value)}"));
        Assert.Equal((403, "not-your-offer"), await Try(host.Token(Roles.Coordinator, "somebody-else")));
        Assert.Equal((403, "not-your-offer"), await Try(host.Token(Roles.Intake, "local-coordinator")));
        Assert.Equal((403, "not-your-offer"), await Try(host.Token(Roles.Responder, "x", other.Value)));
        Assert.Equal((403, "not-your-offer"), await Try(host.Token(Roles.Responder, "x", responder.Value), body: new { responderId = other }));
        Assert.Equal("offered", (string)(await host.MatchAsync(need.NeedId))!["state"]!);
        Assert.Equal(404, (await host.SendAsync(HttpMethod.Post, $"/v1/offers/{Guid.NewGuid()}/accept")).Status);
        Assert.Equal(403, (await host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer}/revoke", new { reason = "x" }, host.Token(Roles.Coordinator, "local-coordinator"))).Status);

        Assert.Equal(200, (await Try(null, $"?key={host.Links.Sign("offer", offer, responder.Value)}")).Item1);
        Assert.Equal(200, (await Try(host.Token(Roles.Coordinator, "local-coordinator"))).Item1);
        Assert.Equal(200, (await Try(host.Token(Roles.Responder, "x", responder.Value))).Item1);
    }
}
