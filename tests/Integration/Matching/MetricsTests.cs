using Huzhu.Contracts;
using Huzhu.Contracts.Notifications.V1;
using Xunit;
using static Huzhu.Tests.Integration.Matching.MatchingHost;

namespace Huzhu.Tests.Integration.Matching;

/// <summary>What the metrics say, read as Prometheus does.</summary>
public sealed class MetricsTests(SharedMatching shared) : IClassFixture<SharedMatching>
{
    private readonly Town _town = new();

    private MatchingHost Host => shared.Host;

    [Fact]
    public async Task needs_offers_and_places_are_told_as_they_are()
    {
        Assert.Contains("huzhu_matching_conflicts_total{", await Host.HttpOf(0).GetStringAsync("/metrics", TestContext.Current.CancellationToken));
        await Host.ChangePolicyAsync(policy => policy["health"]!["offerLifeSeconds"] = 0.5);

        // Declined by the one, done by the other.
        for (var i = 1; i <= 3; i++)
            await Host.ListAsync(_town.Responder(metresNorth: 100 * i, capacity: 2, kind: i == 3 ? ResponderKind.Provider : ResponderKind.Group));
        var need = await Host.SubmitAsync(_town.Need());
        var match = await Host.EventuallyAsync(need.NeedId, "offered");
        match = await Host.AnswerAsync(match["offers"]![0]!, "decline", new { reason = "no-capacity" });
        match = await Host.AnswerAsync(match["offers"]![1]!, "accept");
        await Host.AnswerAsync(match["offers"]![1]!, "complete");

        // Three are asked at once, and one of them keeps it.
        var urgent = await Host.SubmitAsync(_town.Need(Urgency.LifeThreatening));
        match = await Host.EventuallyAsync(urgent.NeedId, match => Open(match).Count() == 3, "offered to three");
        await Host.AnswerAsync(match["offers"]![0]!, "accept");

        // Of two others one is silent, and then both cannot be reached; the need waits where it may be asked again only later.
        var elsewhere = new Town();
        await Host.ListAsync(elsewhere.Responder(metresNorth: 100));
        var silent = await Host.SubmitAsync(elsewhere.Need(Urgency.Health));
        match = await Host.EventuallyAsync(silent.NeedId, "offered");
        var offer = OfferId.Of(Guid.Parse((string)match["offers"]![0]!["offerId"]!));
        await Host.SayAsync(new OfferDelivered(offer, silent.NeedId, ResponderId.Of(Guid.Parse((string)match["offers"]![0]!["responderId"]!)), "sms", DateTimeOffset.UtcNow));
        await Host.EventuallyAsync(silent.NeedId, match => (string)match["offers"]![0]!["state"]! == "expired", "expired");
        var farther = await Host.ListAsync(elsewhere.Responder(metresNorth: 200));
        match = await Host.EventuallyAsync(silent.NeedId, match => match["offers"]!.AsArray().Count == 2, "offered to the other");
        await Host.SayAsync(new OfferUndeliverable(OfferId.Of(Guid.Parse((string)match["offers"]![1]!["offerId"]!)), silent.NeedId, farther, "no-channel", DateTimeOffset.UtcNow));
        await Host.EventuallyAsync(silent.NeedId, "waiting");

        // Nobody is there for these: one waits, one has waited until people were asked, and its late offer is no second first one.
        var nowhere = new Town();
        var waiting = await Host.SubmitAsync(nowhere.Need(submittedAt: DateTimeOffset.UtcNow.AddHours(-1)));
        await Host.EventuallyAsync(waiting.NeedId, "waiting");
        var late = new Town();
        var escalated = await Host.SubmitAsync(late.Need(Urgency.Routine, submittedAt: DateTimeOffset.UtcNow.AddHours(-80)));
        await Host.EventuallyAsync(escalated.NeedId, "escalated");
        Assert.Equal(1, await Told("huzhu_matching_needs_time_to_offer_seconds_count", ("urgency", "routine"), ("outcome", "escalated")));
        var second = await Host.SubmitAsync(late.Need(Urgency.Routine, submittedAt: DateTimeOffset.UtcNow.AddHours(-90), kind: ServiceKinds.BasicNeeds));
        await Host.EventuallyAsync(second.NeedId, "escalated");
        await Host.ListAsync(late.Responder(metresNorth: 100, kinds: [ServiceKinds.Meals]));
        match = await Host.EventuallyAsync(escalated.NeedId, "offered");
        await Host.AnswerAsync(match["offers"]![0]!, "accept");
        match = await Host.AnswerAsync(match["offers"]![0]!, "revoke", new { reason = "wrong group" });
        Assert.Equal("escalated", (string)match["state"]!);

        await EventuallyAsync(async () =>
            await Told("huzhu_matching_backlog_size", ("urgency", "hardship"), ("state", "waiting")) == 1
            && await Told("huzhu_matching_backlog_size", ("urgency", "health"), ("state", "waiting")) == 1
            && await Told("huzhu_matching_backlog_size", ("urgency", "routine"), ("state", "escalated")) == 2
            && await Told("huzhu_matching_backlog_size") == 4, "the backlog by urgency and state");
        Assert.InRange(await Told("huzhu_matching_backlog_age_seconds", ("urgency", "hardship")), 3600, 3900);
        Assert.InRange(await Told("huzhu_matching_backlog_age_seconds", ("urgency", "routine")), 90 * 3600, 90 * 3600 + 300);
        Assert.Equal(0, await Told("huzhu_matching_backlog_age_seconds", ("urgency", "life-threatening")));
        // The town's two groups and a provider, two elsewhere and one that came late; the urgent need alone still has a place.
        Assert.Equal((1, 10), (await Told("huzhu_matching_places_held"), await Told("huzhu_matching_places_capacity", ("responder_kind", "group"))));
        Assert.Equal(2, await Told("huzhu_matching_places_capacity", ("responder_kind", "provider")));

        foreach (var (outcome, urgency, count) in new[]
        {
            ("declined", "hardship", 1), ("accepted", "hardship", 1), ("done", "hardship", 1), ("accepted", "life-threatening", 1), ("superseded", "life-threatening", 2),
            ("expired", "health", 1), ("undeliverable", "health", 1), ("accepted", "routine", 1), ("revoked", "routine", 1),
        })
            Assert.Equal(count, await Told("huzhu_matching_offers_outcomes_total", ("outcome", outcome), ("urgency", urgency)));
        Assert.Equal(10, await Told("huzhu_matching_offers_outcomes_total"));

        foreach (var urgency in new[] { "hardship", "life-threatening", "health" })
            Assert.Equal(1, await Told("huzhu_matching_needs_time_to_offer_seconds_count", ("urgency", urgency), ("outcome", "offered")));
        Assert.Equal(2, await Told("huzhu_matching_needs_time_to_offer_seconds_count", ("urgency", "routine"), ("outcome", "escalated")));
        Assert.Equal(5, await Told("huzhu_matching_needs_time_to_offer_seconds_count"));
        // Its own limits, and the ages in their buckets.
        Assert.Equal((0, 1), (await Told("huzhu_matching_needs_time_to_offer_seconds_bucket", ("urgency", "routine"), ("le", "259200")), await Told("huzhu_matching_needs_time_to_offer_seconds_bucket", ("urgency", "life-threatening"), ("le", "7200"))));
        Assert.InRange(await Told("huzhu_matching_needs_time_to_offer_seconds_sum", ("urgency", "routine")), 170 * 3600, 170 * 3600 + 600);
    }

    private Task<double> Told(string name, params (string Key, string Value)[] labels) => Host.MetricAsync(0, name, labels);
}
