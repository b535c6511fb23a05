using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Contracts.Requests.V1;
using Xunit;
using static Huzhu.Tests.Integration.Matching.MatchingHost;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>Every message twice, late, before what it follows, and after the end.</summary>
public sealed class ConsumerTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Fact]
    public async Task a_need_that_comes_twice_is_offered_once()
    {
        var host = shared.Host;
        await host.ListAsync(_town.Responder());
        var need = await host.SubmitAsync(_town.Need());
        await host.SubmitAsync(need);
        await host.EventuallyAsync(need.NeedId, "offered");
        await host.SubmitAsync(need);
        await SettledAsync(host);
        Assert.Single((await host.MatchAsync(need.NeedId))!["offers"]!.AsArray());
        Assert.Equal(2, (long)(await host.MatchAsync(need.NeedId))!["version"]!);
    }

    [Fact]
    public async Task words_that_come_before_the_need_itself_stand()
    {
        var host = shared.Host;
        await host.ListAsync(_town.Responder(capacity: 10));
        Need cancelled = _town.Need(), confirmed = _town.Need(), held = _town.Need(), raised = _town.Need(Urgency.Routine), reopened = _town.Need();
        await host.SayAsync(new NeedCancelled(cancelled.NeedId, cancelled.RequestId, "solved", Now));
        await host.SayAsync(new NeedConfirmed(confirmed.NeedId, confirmed.RequestId, Now));
        await host.SayAsync(new ConcernRaised(held.NeedId, held.RequestId, held.PersonId, null, Now));
        await host.SayAsync(new NeedUrgencyRaised(raised.NeedId, Urgency.Health, Now));
        await host.SayAsync(new NeedReopened(reopened, "again", false, Now));
        await host.EventuallyAsync(cancelled.NeedId, "cancelled");
        await host.EventuallyAsync(confirmed.NeedId, "closed");
        await host.EventuallyAsync(held.NeedId, "on-hold");
        await host.EventuallyAsync(raised.NeedId, match => (string)match["urgency"]! == "health", "raised");
        await host.EventuallyAsync(reopened.NeedId, "offered");
        foreach (var need in new[] { cancelled, confirmed, held, raised, reopened })
            await host.SubmitAsync(need);
        await host.EventuallyAsync(raised.NeedId, "offered");
        await SettledAsync(host);
        Assert.Equal("cancelled", (string)(await host.MatchAsync(cancelled.NeedId))!["state"]!);
        Assert.Equal("closed", (string)(await host.MatchAsync(confirmed.NeedId))!["state"]!);
        Assert.Equal("on-hold", (string)(await host.MatchAsync(held.NeedId))!["state"]!);
        Assert.Single((await host.MatchAsync(reopened.NeedId))!["offers"]!.AsArray());
        Assert.Equal("health", (string)(await host.MatchAsync(raised.NeedId))!["urgency"]!);
    }

    [Fact]
    public async Task a_cancelled_need_frees_the_place_and_stays_cancelled_until_it_is_reopened()
    {
        var host = shared.Host;
        var group = await host.ListAsync(_town.Responder());
        var need = await host.SubmitAsync(_town.Need());
        var offer = (await host.EventuallyAsync(need.NeedId, "offered"))["offers"]![0]!;
        await host.AnswerAsync(offer, "accept");
        var cancel = new NeedCancelled(need.NeedId, need.RequestId, "solved", Now);
        await host.SayAsync(cancel);
        await host.EventuallyAsync(need.NeedId, "cancelled");
        await host.SayAsync(cancel);
        await host.SayAsync(new NeedUrgencyRaised(need.NeedId, Urgency.LifeThreatening, Now));
        await host.SayAsync(new OfferDelivered(OfferId.Of(Guid.Parse((string)offer["offerId"]!)), need.NeedId, group, "file", Now));
        await SettledAsync(host);
        Assert.Equal(0, (int)(await host.ResponderAsync(group))!["held"]!);
        Assert.Equal(5, (long)(await host.MatchAsync(need.NeedId))!["version"]!);
        Assert.Equal((409, "offer-ended"), await TryAsync(host, offer, "complete"));

        await host.SayAsync(new NeedReopened(need, "still needed", false, Now.AddSeconds(1)));
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        // The cancellation from before the reopening comes once more, and the reopening too.
        await host.SayAsync(cancel);
        await host.SayAsync(new NeedReopened(need, "still needed", false, Now.AddSeconds(1)));
        await SettledAsync(host);
        Assert.Equal((long)match["version"]!, (long)(await host.MatchAsync(need.NeedId))!["version"]!);
        Assert.Equal(need.SubmittedAt, (DateTimeOffset)match["submittedAt"]!, TimeSpan.FromMilliseconds(1));
    }

    [Fact]
    public async Task a_disputed_need_goes_to_somebody_else()
    {
        var host = shared.Host;
        var first = await host.ListAsync(_town.Responder(metresNorth: 100));
        var second = await host.ListAsync(_town.Responder(metresNorth: 200));
        var need = await host.SubmitAsync(_town.Need());
        var offer = (await host.EventuallyAsync(need.NeedId, "offered"))["offers"]![0]!;
        await host.AnswerAsync(offer, "accept");
        await host.AnswerAsync(offer, "complete");
        var confirm = new NeedConfirmed(need.NeedId, need.RequestId, Now);
        await host.SayAsync(confirm);
        await host.EventuallyAsync(need.NeedId, "closed");
        var reopen = new NeedReopened(need, "nobody came", true, Now.AddSeconds(1));
        await host.SayAsync(reopen);
        var match = await host.EventuallyAsync(need.NeedId, "offered");
        await host.SayAsync(reopen);
        await host.SayAsync(confirm);
        await SettledAsync(host);
        match = (await host.MatchAsync(need.NeedId))!;
        Assert.Equal([(first.ToString(), "disputed"), (second.ToString(), "made")],
            match["offers"]!.AsArray().Select(one => ((string)one!["responderId"]!, (string)one["state"]!)));
    }

    [Fact]
    public async Task a_concern_holds_the_need_and_keeps_the_responder_from_the_person()
    {
        var host = shared.Host;
        var person = PersonId.Of(Guid.NewGuid());
        var near = await host.ListAsync(_town.Responder(metresNorth: 100));
        var next = await host.ListAsync(_town.Responder(metresNorth: 200));
        Need one = await host.SubmitAsync(_town.Need(person: person)), two = await host.SubmitAsync(_town.Need(person: person)), other = _town.Need();
        await host.EventuallyAsync(one.NeedId, "offered");
        await host.EventuallyAsync(two.NeedId, "offered");
        var concern = new ConcernRaised(one.NeedId, one.RequestId, person, near, Now);
        await host.SayAsync(concern);
        await host.EventuallyAsync(one.NeedId, "on-hold");
        var match = await host.EventuallyAsync(two.NeedId, match => match["offers"]!.AsArray().Count == 2, "offered to another");
        Assert.Equal((next.ToString(), "concern"), ((string)match["offers"]![1]!["responderId"]!, (string)match["offers"]![0]!["endedBecause"]!));
        await host.SayAsync(concern);
        await host.SubmitAsync(other);
        match = await host.EventuallyAsync(other.NeedId, "offered");
        Assert.Equal(near.ToString(), (string)match["offers"]![0]!["responderId"]!);
        Assert.Equal("on-hold", (string)(await host.MatchAsync(one.NeedId))!["state"]!);
        Assert.Equal(2, (await host.MatchAsync(two.NeedId))!["offers"]!.AsArray().Count);
    }

    [Fact]
    public async Task a_need_more_urgent_than_it_was_is_offered_to_more()
    {
        var host = shared.Host;
        for (var i = 1; i <= 3; i++)
            await host.ListAsync(_town.Responder(metresNorth: 100 * i));
        var need = await host.SubmitAsync(_town.Need(Urgency.Routine));
        await host.EventuallyAsync(need.NeedId, "offered");
        await host.SayAsync(new NeedUrgencyRaised(need.NeedId, Urgency.LifeThreatening, Now));
        await host.EventuallyAsync(need.NeedId, match => Open(match).Count() == 3, "offered to three");
        await host.SayAsync(new NeedUrgencyRaised(need.NeedId, Urgency.Health, Now));
        await host.SayAsync(new NeedUrgencyRaised(need.NeedId, Urgency.LifeThreatening, Now));
        await SettledAsync(host);
        Assert.Equal(("life-threatening", 3), ((string)(await host.MatchAsync(need.NeedId))!["urgency"]!, (await host.MatchAsync(need.NeedId))!["offers"]!.AsArray().Count));
    }

    [Fact]
    public async Task delivery_is_noted_once_and_a_late_failure_to_deliver_means_nothing()
    {
        var host = shared.Host;
        var group = await host.ListAsync(_town.Responder());
        var need = await host.SubmitAsync(_town.Need());
        var offer = OfferId.Of(Guid.Parse((string)(await host.EventuallyAsync(need.NeedId, "offered"))["offers"]![0]!["offerId"]!));
        await host.SayAsync(new OfferDelivered(offer, need.NeedId, group, "file", Now));
        await host.SayAsync(new OfferDelivered(offer, need.NeedId, group, "file", Now));
        await host.EventuallyAsync(need.NeedId, match => (string)match["offers"]![0]!["state"]! == "sent", "sent");
        await host.AnswerAsync(offer, "accept");
        await host.SayAsync(new OfferUndeliverable(offer, need.NeedId, group, "late", Now));
        await host.SayAsync(new OfferDelivered(offer, need.NeedId, group, "file", Now));
        await SettledAsync(host);
        Assert.Equal(("accepted", 4L), ((string)(await host.MatchAsync(need.NeedId))!["state"]!, (long)(await host.MatchAsync(need.NeedId))!["version"]!));
    }

    [Fact]
    public async Task an_older_entry_of_a_responder_that_comes_later_is_ignored()
    {
        var host = shared.Host;
        var entry = _town.Responder(capacity: 1);
        await host.ListAsync(entry with { Version = 3, Capacity = 3 });
        await host.SayAsync(entry with { Version = 2, Capacity = 2, Opening = Opening.Closed });
        await host.SayAsync(entry with { Version = 3, Capacity = 3 });
        await SettledAsync(host);
        var view = (await host.ResponderAsync(entry.ResponderId))!;
        Assert.Equal((3, "open", 1L), ((int)view["capacity"]!, (string)view["opening"]!, (long)view["version"]!));
    }

    [Fact]
    public async Task content_that_makes_no_sense_is_set_aside_and_does_not_hold_up_the_next()
    {
        var host = shared.Host;
        await host.ListAsync(_town.Responder());
        Need nothing = _town.Need() with { Quantity = 0 }, nowhere = _town.Need() with { Place = new GeoPoint(91, 0) };
        await host.SayAsync(new NeedSubmitted(nothing, Now));
        await host.SayAsync(new NeedSubmitted(nowhere, Now));
        await host.SayAsync(_town.Responder() with { Sites = [new Site(new GeoPoint(0, 181), "J")] });
        await host.SayAsync(new MeasureImposed(MeasureId.Of(Guid.NewGuid()), "Line", [new(1, 1), new(2, 2)], true, Now, null, Now));
        var need = await host.SubmitAsync(_town.Need());
        await host.EventuallyAsync(need.NeedId, "offered");
        await SettledAsync(host);
        Assert.Equal(0, await host.CountAsync($"select count(*) from huzhu.mt_events where stream_id in ('{nothing.NeedId}', '{nowhere.NeedId}') or type = 'zone_sealed'"));
    }

    /// <summary>Waits until what was said before has been handled: something said after it on each queue has an effect that can be seen.</summary>
    private async Task SettledAsync(MatchingHost host)
    {
        await Task.Delay(300);
        var marker = _town.Need(kind: ServiceKinds.Money);
        await host.SubmitAsync(marker);
        await host.EventuallyAsync(marker.NeedId, "waiting");
        await Task.Delay(200);
    }

    private static async Task<(int, string?)> TryAsync(MatchingHost host, JsonNode offer, string answer)
    {
        var (status, body) = await host.SendAsync(HttpMethod.Post, $"/v1/offers/{offer["offerId"]}/{answer}");
        return (status, (string?)body?["code"]);
    }
}
