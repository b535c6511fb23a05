using System.Diagnostics;
using System.Text.Json.Nodes;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Rechecking;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.TestKit;
using Xunit;
using static Huzhu.Tests.Integration.Matching.MatchingHost;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>Closures, the backlog and replicas, on real servers.</summary>
public sealed class ManyNeedsTests(Servers servers, SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();

    [Fact]
    public async Task a_closure_sends_what_the_provider_holds_to_groups_and_the_rest_to_the_backlog_most_urgent_first()
    {
        await using var host = await StartAsync(servers);
        var provider = _town.Responder(kind: ResponderKind.Provider, metresNorth: 100, capacity: 400);
        await host.ListAsync(provider);
        var start = DateTimeOffset.UtcNow.AddHours(-1);
        var needs = new List<Need>();
        for (var i = 0; i < 400; i++)
            needs.Add(_town.Need(i % 4 == 0 ? Urgency.Health : Urgency.Routine, submittedAt: start.AddSeconds(i)));
        await Task.WhenAll(needs.Select(host.SubmitAsync));
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 400, "400 needs to be held", 60);
        // Help that has begun goes back too: the provider shuts.
        var begun = (await host.MatchAsync(needs[3].NeedId))!;
        await host.AnswerAsync(begun["offers"]![0]!, "accept");
        await host.AnswerAsync(begun["offers"]![0]!, "start");
        var groups = new List<ResponderId>();
        for (var i = 0; i < 10; i++)
            groups.Add(await host.ListAsync(_town.Responder(metresNorth: 1000 + 100 * i, capacity: 15)));

        var watch = Stopwatch.StartNew();
        await host.SayAsync(provider with { Version = 2, Opening = Opening.Closed, ClosedBecause = "lockdown" });
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 0, "the closed provider to hold nothing", 60);
        TestContext.Current.TestOutputHelper?.WriteLine($"400 needs swept in {watch.Elapsed.TotalSeconds:0.00} s");

        foreach (var group in groups)
            Assert.Equal(15, (int)(await host.ResponderAsync(group))!["held"]!);
        var (_, backlog) = await host.SendAsync(HttpMethod.Get, "/v1/backlog?pageSize=200");
        Assert.Equal(250, (int)backlog!["total"]!);
        // 150 places went to the 100 health needs and the 50 oldest of the others.
        var routine = needs.Where(need => need.Urgency is Urgency.Routine).OrderBy(need => need.SubmittedAt).ToList();
        Assert.Equal(routine.Skip(50).Take(200).Select(need => need.NeedId.ToString()), backlog["items"]!.AsArray().Select(item => (string)item!["needId"]!));
        Assert.All(backlog["items"]!.AsArray(), item => Assert.Equal("full", (string)item!["reason"]!));
        var match = (await host.MatchAsync(needs[3].NeedId))!;
        Assert.Equal("provider-closed", (string)match["offers"]![0]!["endedBecause"]!);
        Assert.Equal(start.AddSeconds(3), (DateTimeOffset)match["submittedAt"]!);

        // A message that comes a second time, and one that is older, change nothing.
        await host.SayAsync(provider with { Version = 2, Opening = Opening.Closed, ClosedBecause = "lockdown" });
        await host.SayAsync(provider);
        // Reopened, it takes what waits; what groups hold stays with them.
        await host.SayAsync(provider with { Version = 3, Opening = Opening.Open });
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 250, "the backlog to go to the reopened provider", 60);
        foreach (var group in groups)
            Assert.Equal(15, (int)(await host.ResponderAsync(group))!["held"]!);
        Assert.True((await host.CheckLogAsync()).LedgerVersions > 1000);
    }

    [Fact]
    public async Task needs_that_a_closure_moves_are_assigned_together_and_each_offer_names_the_plan()
    {
        await using var host = await StartAsync(servers);
        var provider = _town.Responder(kind: ResponderKind.Provider, metresNorth: 100, capacity: 40);
        await host.ListAsync(provider);
        // Whoever comes first would take the one who signs, which is nearest to everybody.
        var needs = Enumerable.Range(0, 40).Select(i => _town.Need(submittedAt: DateTimeOffset.UtcNow.AddMinutes(i - 60), communication: i < 30 ? [] : [CommunicationNeed.SignLanguage])).ToList();
        await host.SayAsync(provider with { Version = 2, CommunicationAbilities = [CommunicationNeed.SignLanguage] });
        await Task.WhenAll(needs.Select(host.SubmitAsync));
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 40, "40 needs to be held");
        var signs = await host.ListAsync(_town.Responder(metresNorth: 200, capacity: 10, abilities: [CommunicationNeed.SignLanguage]));
        var others = await host.ListAsync(_town.Responder(metresNorth: 600, capacity: 30));

        await host.SayAsync(provider with { Version = 3, Opening = Opening.Closed, ClosedBecause = "lockdown", CommunicationAbilities = [CommunicationNeed.SignLanguage] });

        await EventuallyAsync(async () => (int)(await host.ResponderAsync(signs))!["held"]! + (int)(await host.ResponderAsync(others))!["held"]! == 40, "all to be offered again");
        foreach (var need in needs)
        {
            var offer = Open((await host.MatchAsync(need.NeedId))!).Single();
            Assert.Equal((need.Communication.Count > 0 ? signs : others).ToString(), (string)offer["responderId"]!);
        }
        Assert.Equal(1, await host.CountAsync("select count(*) from huzhu.mt_events where type = 'needs_assigned' and jsonb_array_length(data->'assigned') = 40 and data->>'served' = '40'"));
        Assert.Equal(40, await host.CountAsync("""
            select count(*) from huzhu.mt_events e where type = 'offer_made' and exists
            (select 1 from huzhu.mt_events p where p.type = 'needs_assigned' and p.stream_id = (e.data->'explanation'->>'planId')::uuid and p.seq_id < e.seq_id)
            """));
        Assert.Equal(30, await host.CountAsync("""
            select count(*) from huzhu.mt_events e, jsonb_array_elements(data->'explanation'->'leftOut') left_out
            where type = 'offer_made' and left_out->>'reason' = 'kept-for-others' and data->'explanation'->>'firstBecause' = 'least-together'
            """));
        var words = (await host.SendAsync(HttpMethod.Get, $"/v1/matches/{needs[0].NeedId}/explanation")).Body!.ToJsonString();
        Assert.Contains("was kept for others", words);
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task places_that_others_need_more_are_kept_for_them_by_prices_that_stand_in_the_log()
    {
        await using var host = await StartAsync(servers);
        var nearest = await host.ListAsync(_town.Responder(metresNorth: 100, capacity: 60, abilities: [CommunicationNeed.SignLanguage]));
        var next = await host.ListAsync(_town.Responder(metresNorth: 500, capacity: 60));
        var came = Enumerable.Range(0, 60).Select(i => _town.Need(communication: i < 30 ? [CommunicationNeed.SignLanguage] : [])).ToList();
        await Task.WhenAll(came.Select(host.SubmitAsync));
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(nearest))!["held"]! == 60, "the nearest to hold 60 needs");
        foreach (var need in came.Take(20))
        {
            var offer = Open((await host.MatchAsync(need.NeedId))!).Single();
            await host.AnswerAsync(offer, "accept");
            await host.AnswerAsync(offer, "complete");
        }
        Assert.Equal(0, await host.CountAsync("select count(*) from huzhu.mt_events where type = 'prices_set'"));

        await host.ChangePolicyAsync(policy => policy["prices"]!["everySeconds"] = 1.0);

        await EventuallyAsync(async () => await host.CountAsync("select count(*) from huzhu.mt_events where type = 'prices_set'") > 0, "prices to be set");
        // They are minded a moment after they stand in the log.
        JsonNode match;
        for (var tries = 1; ; tries++)
        {
            var need = await host.SubmitAsync(_town.Need());
            match = await host.EventuallyAsync(need.NeedId, "offered");
            if ((string)match["offers"]![0]!["responderId"]! == next.ToString())
                break;
            Assert.True(tries < 8, "Nobody minds the prices.");
            await Task.Delay(500);
        }
        var words = (await host.SendAsync(HttpMethod.Get, $"/v1/matches/{match["needId"]}/explanation")).Body!["offers"]![0]!;
        Assert.Contains("It is 400 m further away than the nearest that could be asked, because others need the places there more.", words["words"]!.AsArray().Select(word => (string)word!));
        Assert.Equal(1, await host.CountAsync($"""
            select count(*) from huzhu.mt_events e where type = 'offer_made' and stream_id = '{match["needId"]}' and data->'explanation'->>'firstBecause' = 'least-priced'
            and exists (select 1 from huzhu.mt_events p where p.type = 'prices_set' and p.version = (e.data->'explanation'->'priced'->>'version')::bigint and p.seq_id < e.seq_id and p.data->'prices'->0->>'responderId' = '{nearest}')
            """));
        // Who has nobody else gets it, and so does whoever is in danger of life: at once.
        var signs = await host.EventuallyAsync((await host.SubmitAsync(_town.Need(communication: [CommunicationNeed.SignLanguage]))).NeedId, "offered");
        var danger = await host.EventuallyAsync((await host.SubmitAsync(_town.Need(Urgency.LifeThreatening))).NeedId, "offered");
        Assert.All(new[] { signs, danger }, other => Assert.Equal(nearest.ToString(), (string)other["offers"]![0]!["responderId"]!));

        // Whoever decides next knows them from the log.
        var joined = await host.AddReplicaAsync();
        host.Kill(0);
        var later = await host.SubmitAsync(_town.Need());
        await EventuallyAsync(async () => (string?)(await host.SendAsync(HttpMethod.Get, $"/v1/matches/{later.NeedId}", replica: joined)).Body?["state"] == "offered", "the other replica to decide");
        Assert.Equal(next.ToString(), (string)(await host.SendAsync(HttpMethod.Get, $"/v1/matches/{later.NeedId}", replica: joined)).Body!["offers"]![0]!["responderId"]!);
        await host.CheckLogAsync();

        // And so does an auditor: with other prices it comes out otherwise.
        var (offers, priced) = (await host.CountAsync("select count(*) from huzhu.mt_events where type = 'offer_made'"), await host.CountAsync("select count(*) from huzhu.mt_events where data->'explanation' ? 'priced'"));
        await using var log = new ServiceLog("matching", host.Database);
        var recheck = await new Recheck(null, null).RunAsync(log, TestContext.Current.CancellationToken);
        Assert.Equal((offers, 0), (recheck.Offers, recheck.Different));
        Assert.True(priced >= 3);
        await host.CountAsync("with changed as (update huzhu.mt_events set data = jsonb_set(data, '{prices}', '[]') where type = 'prices_set' returning 1) select count(*) from changed");
        recheck = await new Recheck(null, null).RunAsync(log, TestContext.Current.CancellationToken);
        Assert.Equal(priced, recheck.Different);
    }

    [Fact]
    public async Task offers_that_could_not_be_told_in_time_are_not_made_but_for_those_in_danger_of_life()
    {
        await using var host = await StartAsync(servers);
        await host.ChangePolicyAsync(policy => policy["maxUntoldOffers"] = 10);
        var group = await host.ListAsync(_town.Responder(capacity: 200));
        // Nobody tells any of these.
        var untold = Enumerable.Range(0, 30).Select(_ => _town.Need(Urgency.Routine)).ToList();
        await Task.WhenAll(untold.Select(host.SubmitAsync));
        await EventuallyAsync(async () => await host.CountAsync("select count(*) from huzhu.needs where state is not null") == 30, "30 needs to be settled");
        async Task<Need> WaitingAsync(Urgency urgency)
        {
            // What has been made must have been seen first; each one more that is made brings it nearer.
            for (var tries = 0; tries < 600; tries++)
            {
                var need = await host.SubmitAsync(_town.Need(urgency));
                var match = await host.EventuallyAsync(need.NeedId, match => (string)match["state"]! is "offered" or "waiting", "settled");
                if ((string)match["state"]! == "waiting")
                    return need;
                await Task.Delay(50);
            }
            throw new Xunit.Sdk.XunitException("Nobody ever waits because telling is behind.");
        }
        var (routine, health) = (await WaitingAsync(Urgency.Routine), await WaitingAsync(Urgency.Health));
        var (_, backlog) = await host.SendAsync(HttpMethod.Get, "/v1/backlog?pageSize=200");
        Assert.All(backlog!["items"]!.AsArray(), item => Assert.Equal("telling-is-behind", (string)item!["reason"]!));
        Assert.Contains("more offers are made than responders can be told of", (await host.SendAsync(HttpMethod.Get, $"/v1/matches/{routine.NeedId}/explanation")).Body!.ToJsonString());

        var danger = await host.SubmitAsync(_town.Need(Urgency.LifeThreatening));
        await host.EventuallyAsync(danger.NeedId, "offered");

        // Telling gets on, and whoever waits for nothing else is offered by itself.
        var told = new HashSet<OfferId>();
        await EventuallyAsync(async () =>
        {
            foreach (var offer in host.Heard.Offers.Where(offer => told.Add(offer.OfferId)))
                await host.SayAsync(new Huzhu.Contracts.Notifications.V1.OfferDelivered(offer.OfferId, offer.NeedId, offer.ResponderId, "file", DateTimeOffset.UtcNow));
            return await host.CountAsync("select count(*) from huzhu.needs where backlog is not null") == 0;
        }, "the backlog to be offered");
        foreach (var need in new[] { routine, health })
            await host.EventuallyAsync(need.NeedId, "offered");
        Assert.Equal(await host.CountAsync("select count(*) from huzhu.needs"), (int)(await host.ResponderAsync(group))!["held"]!);
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task a_policy_can_have_every_need_get_the_nearest_at_a_closure_too()
    {
        await using var host = await StartAsync(servers);
        await host.ChangePolicyAsync(policy => policy["assignTogetherFrom"] = 0);
        var provider = _town.Responder(kind: ResponderKind.Provider, metresNorth: 100, capacity: 20);
        await host.ListAsync(provider);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => host.SubmitAsync(_town.Need())));
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 20, "20 needs to be held");
        var group = await host.ListAsync(_town.Responder(metresNorth: 200, capacity: 20));
        await host.SayAsync(provider with { Version = 2, Opening = Opening.Closed, ClosedBecause = "lockdown" });
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(group))!["held"]! == 20, "all to be offered again");
        Assert.Equal(0, await host.CountAsync("select count(*) from huzhu.mt_events where type = 'needs_assigned' or data->'explanation' ? 'planId'"));
    }

    [Fact]
    public async Task waiting_ages_urgency_but_nobody_comes_before_those_in_danger_of_life()
    {
        var host = shared.Host;
        var group = await host.ListAsync(_town.Responder(capacity: 1));
        var first = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(first.NeedId, "offered");
        var now = DateTimeOffset.UtcNow;
        // Waits for four days: as one of health, and longer than the one that is of health.
        var aged = await host.SubmitAsync(_town.Need(Urgency.Routine, submittedAt: now.AddDays(-4)));
        var health = await host.SubmitAsync(_town.Need(Urgency.Health, submittedAt: now.AddHours(-1)));
        var danger = await host.SubmitAsync(_town.Need(Urgency.LifeThreatening, submittedAt: now));
        foreach (var need in new[] { aged, health, danger })
            await host.EventuallyAsync(need.NeedId, need => (string)need["state"]! is "waiting" or "escalated", "in the backlog");

        foreach (var next in new[] { danger, aged, health })
        {
            await host.AnswerAsync(Open(match).Single(), "decline", new { reason = "no-capacity" });
            match = await host.EventuallyAsync(next.NeedId, "offered");
        }
    }

    [Fact]
    public async Task a_freed_place_goes_to_the_most_urgent_and_then_oldest_that_can_be_served()
    {
        var host = shared.Host;
        var group = await host.ListAsync(_town.Responder(capacity: 1));
        var first = await host.SubmitAsync(_town.Need());
        var match = await host.EventuallyAsync(first.NeedId, "offered");
        var start = DateTimeOffset.UtcNow.AddMinutes(-10);
        var cannot = await host.SubmitAsync(_town.Need(Urgency.Health, communication: [CommunicationNeed.SignLanguage], submittedAt: start));
        var old = await host.SubmitAsync(_town.Need(submittedAt: start.AddMinutes(1)));
        var young = await host.SubmitAsync(_town.Need(submittedAt: start.AddMinutes(2)));
        var urgent = await host.SubmitAsync(_town.Need(Urgency.Health, submittedAt: start.AddMinutes(3)));
        foreach (var need in new[] { cannot, old, young, urgent })
            await host.EventuallyAsync(need.NeedId, "waiting");
        Assert.Equal("communication", (string)(await host.MatchAsync(cannot.NeedId))!["reason"]!);

        await host.AnswerAsync(match["offers"]![0]!, "accept");
        await host.AnswerAsync(match["offers"]![0]!, "complete");
        match = await host.EventuallyAsync(urgent.NeedId, "offered");
        // A decline frees the place again, and the one behind gets it.
        await host.AnswerAsync(match["offers"]![0]!, "decline", new { reason = "not-capable" });
        await host.EventuallyAsync(old.NeedId, "offered");
        Assert.Equal("waiting", (string)(await host.MatchAsync(young.NeedId))!["state"]!);
        Assert.Equal("waiting", (string)(await host.MatchAsync(urgent.NeedId))!["state"]!);

        // Somebody who can sign registers, and later the first one grows.
        await host.ListAsync(_town.Responder(capacity: 1, abilities: [CommunicationNeed.SignLanguage], metresNorth: 5000));
        await host.EventuallyAsync(cannot.NeedId, "offered");
        await host.ListAsync(_town.Responder(capacity: 1, abilities: [CommunicationNeed.SignLanguage], metresNorth: 6000));
        await host.EventuallyAsync(urgent.NeedId, "offered");
        await host.SayAsync(_town.Responder(id: group.Value, capacity: 2, version: 2));
        await host.EventuallyAsync(young.NeedId, "offered");
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task a_group_that_shrinks_gives_back_its_newest_and_keeps_what_it_has_begun()
    {
        var host = shared.Host;
        var entry = _town.Responder(capacity: 3);
        await host.ListAsync(entry);
        var needs = new List<Need>();
        for (var i = 0; i < 3; i++)
        {
            needs.Add(await host.SubmitAsync(_town.Need()));
            await host.EventuallyAsync(needs[i].NeedId, "offered");
        }
        var begun = (await host.MatchAsync(needs[2].NeedId))!;
        await host.AnswerAsync(begun["offers"]![0]!, "accept");
        await host.AnswerAsync(begun["offers"]![0]!, "start");
        await host.ListAsync(entry with { Version = 2, Capacity = 2 });
        Assert.Equal(["offered", "waiting", "started"], await Task.WhenAll(needs.Select(async need => (string)(await host.MatchAsync(need.NeedId))!["state"]!)));
        await host.ListAsync(entry with { Version = 3, Capacity = 2, Opening = Opening.Paused });
        await host.EventuallyAsync(needs[0].NeedId, "waiting");
        Assert.Equal("started", (string)(await host.MatchAsync(needs[2].NeedId))!["state"]!);
        await host.ListAsync(entry with { Version = 4, Capacity = 2, Opening = Opening.Withdrawn });
        await host.EventuallyAsync(needs[2].NeedId, "waiting");
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task a_sealed_zone_takes_back_what_would_cross_its_edge_until_it_is_lifted()
    {
        var host = shared.Host;
        var outside = await host.ListAsync(_town.Responder(metresNorth: 3000, capacity: 5));
        var (going, begun) = (await host.SubmitAsync(_town.Need()), await host.SubmitAsync(_town.Need()));
        await host.EventuallyAsync(going.NeedId, "offered");
        var match = await host.EventuallyAsync(begun.NeedId, "offered");
        await host.AnswerAsync(match["offers"]![0]!, "accept");
        await host.AnswerAsync(match["offers"]![0]!, "start");

        var (area, measure) = _town.Zone(1100);
        var imposed = new MeasureImposed(measure, "Lockdown", area, true, DateTimeOffset.UtcNow, null, DateTimeOffset.UtcNow);
        await host.SayAsync(imposed);
        match = await host.EventuallyAsync(going.NeedId, "waiting");
        Assert.Equal(("zone-sealed", "zone-sealed"), ((string)match["reason"]!, (string)match["offers"]![0]!["endedBecause"]!));
        Assert.Equal("started", (string)(await host.MatchAsync(begun.NeedId))!["state"]!);

        await host.SayAsync(new MeasureLifted(measure, "over", DateTimeOffset.UtcNow));
        match = await host.EventuallyAsync(going.NeedId, "offered");
        Assert.Equal(outside.ToString(), (string)match["offers"]![1]!["responderId"]!);
        // Late and repeated, after the end: the zone stays open.
        await host.SayAsync(imposed);
        await host.SayAsync(new MeasureLifted(measure, "over", DateTimeOffset.UtcNow));
        var later = await host.SubmitAsync(_town.Need());
        await host.EventuallyAsync(later.NeedId, "offered");
        Assert.Equal(1, await host.CountAsync($"select count(*) from huzhu.mt_events where type = 'zone_sealed' and data->>'measureId' = '{measure}'"));
    }

    [Fact]
    public async Task two_replicas_never_give_a_place_twice_and_nothing_is_lost_when_one_is_killed()
    {
        await using var host = await StartAsync(servers, replicas: 2);
        const int groups = 6, capacity = 5, needs = 120;
        var responders = new List<ResponderId>();
        for (var i = 0; i < groups; i++)
            responders.Add(await host.ListAsync(_town.Responder(metresNorth: 50 * i, capacity: capacity)));
        var submitted = Enumerable.Range(0, needs).Select(_ => _town.Need()).ToList();
        await Task.WhenAll(submitted.Select(host.SubmitAsync));

        // Coordinators at both replicas accept and complete until all is done; one replica dies in the middle.
        var done = 0;
        var killed = false;
        var watch = Stopwatch.StartNew();
        while (done < needs && watch.Elapsed.TotalSeconds < 120)
        {
            var open = new List<(Guid Offer, bool Accepted)>();
            foreach (var responder in responders)
            {
                var view = (await host.ResponderAsync(responder, killed ? 0 : done % 2))!;
                Assert.True((int)view["held"]! <= capacity);
                open.AddRange(view["offers"]!.AsArray().Select(offer => (Guid.Parse((string)offer!), false)));
            }
            var answers = await Task.WhenAll(open.Select(async (offer, index) =>
            {
                var replica = killed ? 0 : index % 2;
                try
                {
                    var (status, _) = await host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer.Offer}/accept", replica: replica);
                    return status == 200 ? (await host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer.Offer}/complete", replica: killed ? 0 : 1 - replica)).Status : status;
                }
                catch (HttpRequestException)
                {
                    return 0;
                }
            }));
            done = (int)await host.CountAsync("select count(*) from huzhu.mt_events where type = 'help_completed'");
            if (!killed && done > needs / 3)
            {
                killed = true;
                host.Kill(1);
            }
        }
        Assert.True(killed);
        Assert.Equal(needs, done);
        foreach (var need in submitted)
            Assert.Equal("fulfilled", (string)(await host.MatchAsync(need.NeedId))!["state"]!);
        var (versions, acceptances) = await host.CheckLogAsync();
        Assert.Equal(needs, acceptances);
        Assert.True(versions >= needs * 2);
    }

    [Fact]
    public async Task a_replica_that_joins_knows_what_the_others_hold()
    {
        await using var host = await StartAsync(servers);
        var full = await host.ListAsync(_town.Responder(metresNorth: 0, capacity: 1));
        var free = await host.ListAsync(_town.Responder(metresNorth: 500, capacity: 1));
        var first = await host.SubmitAsync(_town.Need());
        var offer = (await host.EventuallyAsync(first.NeedId, "offered"))["offers"]![0]!;
        var joined = await host.AddReplicaAsync();
        var declined = await host.AnswerAsync(offer, "decline", new { reason = "other" }, joined);
        Assert.Equal(free.ToString(), (string)declined["offers"]![1]!["responderId"]!);
        // Whichever replica decides, the event says who acted.
        Assert.Equal(1, await host.CountAsync($"select count(*) from huzhu.mt_events where stream_id = '{first.NeedId}' and type = 'offer_declined' and data ->> 'by' = 'test'"));
        Assert.Equal(0, (int)(await host.ResponderAsync(full, joined))!["held"]!);
        // What the second has done the first one sees, without a conflict to teach it.
        var second = await host.SubmitAsync(_town.Need());
        await host.EventuallyAsync(second.NeedId, "offered");
        var third = await host.SubmitAsync(_town.Need());
        await host.EventuallyAsync(third.NeedId, "waiting");
        await host.CheckLogAsync();
    }

    [Fact]
    public async Task the_replica_that_decides_may_hang_and_what_it_then_still_believes_is_refused_by_the_ledger()
    {
        await using var host = await StartAsync(servers, replicas: 2);
        var group = await host.ListAsync(_town.Responder(capacity: 4));
        var before = await host.SubmitAsync(_town.Need());
        var offered = await host.EventuallyAsync(before.NeedId, "offered");

        host.Freeze(0);
        var needs = new List<Need>();
        for (var i = 0; i < 6; i++)
            needs.Add(await host.SubmitAsync(_town.Need()));
        // The broker finds out by two heartbeats that nobody answers, and gives the queue to the other one.
        var states = new List<string>();
        foreach (var need in needs)
            states.Add(await StateAtAsync(host, need.NeedId, replica: 1));
        Assert.Equal((3, 3), (states.Count(state => state == "offered"), states.Count(state => state == "waiting")));

        // It wakes up, believes that three places are free, and is asked at once: for a need of its own and for one that it has never heard of.
        host.Thaw(0);
        await host.AnswerAsync(Open(offered).Single(), "decline", new { reason = "no-capacity" }, replica: 0);
        var other = needs[states.IndexOf("offered")];
        var match = (await host.SendAsync(HttpMethod.Get, $"/v1/matches/{other.NeedId}", replica: 1)).Body!;
        await host.AnswerAsync(Open(match).Single(), "accept", replica: 0);
        await host.AnswerAsync(Open(match).Single(), "complete", replica: 0);
        // What it had in hand when it stopped it decides once more, unless it hears of the other's changes first.
        TestContext.Current.TestOutputHelper?.WriteLine($"{await host.MetricAsync(0, "huzhu_matching_conflicts_total")} commits of the one that hung were refused");

        // Two places were freed, so that two more of those that wait are offered; nothing is held twice or lost.
        await EventuallyAsync(async () => await host.CountAsync("select count(*) from huzhu.needs where backlog is not null") == 2, "two more needs to be offered");
        await EventuallyAsync(async () => (int)(await host.ResponderAsync(group, replica: 1))!["held"]! == 4, "all places to be held");
        Assert.Equal(7, await host.CountAsync("select count(distinct stream_id) from huzhu.mt_events where type in ('offer_made', 'need_waits')"));
        await host.CheckLogAsync();
    }

    private static async Task<string> StateAtAsync(MatchingHost host, NeedId need, int replica)
    {
        string? state = null;
        await EventuallyAsync(async () => (state = (string?)(await host.SendAsync(HttpMethod.Get, $"/v1/matches/{need}", replica: replica)).Body?["state"]) is "offered" or "waiting", "a decision by the other replica");
        return state!;
    }
}
