using CsCheck;
using Huzhu.Notifications.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public class PatienceTests
{
    [Fact]
    public void an_offer_is_tried_in_quick_succession_and_then_given_to_the_next_channel() =>
        Assert.Equal([0.5, 2, 5], Delays(Given.OfferRequest(TimeSpan.FromHours(6)), hasNext: true));

    [Theory]
    [InlineData(180, new[] { 0.5, 2, 5, 10 })]
    [InlineData(900, new[] { 0.5, 2, 5, 10, 30 })]
    [InlineData(21_600, new[] { 0.5, 2, 5, 10, 30 })]
    [InlineData(60, new[] { 0.5, 2, 5 })]
    public void on_the_last_channel_an_offer_waits_for_a_receiver_that_restarts_up_to_a_tenth_of_its_life(int lifeSeconds, double[] delays) =>
        Assert.Equal(delays, Delays(Given.OfferRequest(TimeSpan.FromSeconds(lifeSeconds)), hasNext: false));

    [Fact]
    public void other_messages_follow_the_schedule_of_standard_webhooks() =>
        Assert.Equal([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400], Delays(Given.WaitingRequest(), hasNext: false));

    [Fact]
    public void other_messages_move_on_after_a_second_failure_when_there_is_another_channel() =>
        Assert.Equal([5], Delays(Given.WaitingRequest(), hasNext: true));

    [Fact]
    public void nothing_is_tried_after_an_offer_has_expired()
    {
        var offer = Given.OfferRequest(TimeSpan.FromSeconds(2));
        Assert.Equal([0.5], Delays(offer, hasNext: false));
        Assert.Null(Patience.NextAttemptAt(offer, 1, false, null, 0, Given.Now + TimeSpan.FromSeconds(1.5)));
    }

    [Fact]
    public void a_receivers_wish_for_a_pause_is_never_undercut()
    {
        Assert.Equal(Given.Now + TimeSpan.FromSeconds(90), Patience.NextAttemptAt(Given.WaitingRequest(), 1, false, TimeSpan.FromSeconds(90), 0, Given.Now));
        Assert.Equal(Given.Now + TimeSpan.FromMinutes(5), Patience.NextAttemptAt(Given.WaitingRequest(), 2, false, TimeSpan.FromSeconds(90), 0, Given.Now));
        Assert.Equal(Given.Now + TimeSpan.FromSeconds(3), Patience.NextAttemptAt(Given.OfferRequest(), 1, true, TimeSpan.FromSeconds(3), 0, Given.Now));
    }

    [Fact]
    public void a_long_pause_goes_to_the_next_channel_when_there_is_one()
    {
        Assert.Null(Patience.NextAttemptAt(Given.OfferRequest(), 1, hasNext: true, TimeSpan.FromSeconds(6), 0, Given.Now));
        Assert.NotNull(Patience.NextAttemptAt(Given.OfferRequest(), 1, hasNext: false, TimeSpan.FromSeconds(6), 0, Given.Now));
        Assert.Null(Patience.NextAttemptAt(Given.WaitingRequest(), 1, hasNext: true, TimeSpan.FromMinutes(2), 0, Given.Now));
    }

    [Fact]
    public void a_pause_beyond_reason_is_cut_to_a_day() =>
        Assert.Equal(Given.Now + TimeSpan.FromHours(24), Patience.NextAttemptAt(Given.WaitingRequest(), 1, false, TimeSpan.MaxValue, 0, Given.Now));

    [Fact]
    public void jitter_only_lengthens_and_never_beyond_the_offers_life() =>
        Gen.Select(Gen.Bool, Gen.Bool, Gen.Int[1, 12], Gen.Double[0, 1], Gen.Int[0, 1000]).Sample((isOffer, hasNext, failures, jitter, seconds) =>
        {
            var request = isOffer ? Given.OfferRequest() : Given.WaitingRequest();
            var now = Given.Now + TimeSpan.FromSeconds(seconds);
            var plain = Patience.NextAttemptAt(request, failures, hasNext, null, 0, now);
            var spread = Patience.NextAttemptAt(request, failures, hasNext, null, jitter, now);
            Assert.True(spread is null || spread >= plain && spread - now <= (plain - now) * 1.2001);
            Assert.True(spread is null || request.ExpiresAt is null || spread < request.ExpiresAt);
        });

    [Fact]
    public void a_lookup_for_an_offer_is_repeated_until_the_offer_expires()
    {
        var offer = Given.OfferRequest();
        Assert.Equal([0.5, 1, 2, 5, 10, 10], Enumerable.Range(1, 6).Select(failures => (Patience.NextLookupAt(offer, failures, 0, Given.Now)!.Value - Given.Now).TotalSeconds));
        Assert.Null(Patience.NextLookupAt(offer, 100, 0, offer.ExpiresAt!.Value - TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void a_lookup_for_another_message_is_repeated_for_three_days()
    {
        var request = Given.WaitingRequest();
        Assert.Equal(Given.Now + TimeSpan.FromMinutes(5), Patience.NextLookupAt(request, 1000, 0, Given.Now));
        Assert.Null(Patience.NextLookupAt(request, 1000, 0, Given.Now + TimeSpan.FromHours(72)));
    }

    /// <summary>Fails at once each time, and tells the pauses until the channel is given up.</summary>
    private static List<double> Delays(NotificationRequested request, bool hasNext)
    {
        var (delays, now) = (new List<double>(), Given.Now);
        while (Patience.NextAttemptAt(request, delays.Count + 1, hasNext, null, 0, now) is { } next)
        {
            delays.Add((next - now).TotalSeconds);
            now = next;
        }
        return delays;
    }
}
