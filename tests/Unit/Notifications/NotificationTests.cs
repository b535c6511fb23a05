using CsCheck;
using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

/// <summary>Every decision, over every state that a notification can be in.</summary>
public class NotificationTests
{
    private static readonly DateTimeOffset Later = Given.Now + TimeSpan.FromSeconds(1);
    private static readonly NotificationRequested Offer = Given.OfferRequest();
    private static readonly OfferReference Reference = new(Given.Offer, Given.Need, Given.Responder);

    private static readonly Notification[] Ended =
    [
        Given.Pending(Offer, new NotificationDelivered("webhook", 1, Reference, Later)),
        Given.Pending(Offer, new NotificationUndeliverable("no-channel", Reference, Later)),
        Given.Pending(Offer, new NotificationDropped("offer-expired", Reference, Later)),
    ];

    public static TheoryData<int> EveryEnd => [0, 1, 2];

    [Theory, MemberData(nameof(EveryEnd))]
    public void after_the_end_every_decision_is_nothing(int index)
    {
        var state = Ended[index];
        Assert.True(state.HasEnded);
        Assert.Empty(Notification.DecideRequest(state, Offer).Events);
        Assert.Empty(Notification.DecideRelevance(state, overtaken: true, Later + TimeSpan.FromDays(1)).Events);
        Assert.Empty(Notification.DecideChannel(state, [Given.Webhook], [], Later).Events);
        Assert.Empty(Notification.DecideOutcome(state, new Attempt(1, 0, "webhook", false, SendOutcome.Success), 0, Later).Events);
        Assert.Empty(Notification.DecideOutcome(state, new Attempt(1, 0, "webhook", true, SendOutcome.Refused("gone")), 0, Later).Events);
        Assert.Empty(Notification.DecideContactUnavailable(state, "groups-away", 0, Later).Events);
        Assert.Empty(Notification.DecideUnknownRecipient(state, Later).Events);
        Assert.Empty(Notification.DecideErased(state, Later).Events);
    }

    [Fact]
    public void before_it_is_requested_nothing_but_a_request_can_be_decided()
    {
        Assert.Throws<InvalidOperationException>(() => Notification.DecideRelevance(Notification.Initial, false, Later));
        Assert.Throws<InvalidOperationException>(() => Notification.DecideUnknownRecipient(Notification.Initial, Later));
        Assert.Equal([Offer], Notification.DecideRequest(Notification.Initial, Offer).Events);
    }

    [Fact]
    public void a_second_request_of_the_same_cause_is_nothing() =>
        Assert.Empty(Notification.DecideRequest(Given.Pending(Offer), Offer).Events);

    [Fact]
    public void a_fresh_message_is_relevant() => Assert.Empty(Notification.DecideRelevance(Given.Pending(Offer), false, Later).Events);

    [Fact]
    public void an_offer_that_has_expired_is_dropped_at_that_very_moment()
    {
        var expiry = Offer.ExpiresAt!.Value;
        Assert.Empty(Notification.DecideRelevance(Given.Pending(Offer), false, expiry - TimeSpan.FromTicks(1)).Events);
        Assert.Equal([new NotificationDropped("offer-expired", Reference, expiry)], Notification.DecideRelevance(Given.Pending(Offer), false, expiry).Events);
    }

    [Fact]
    public void a_message_that_something_newer_overtook_is_dropped() =>
        Assert.Equal([new NotificationDropped("overtaken", null, Later)], Notification.DecideRelevance(Given.Pending(Given.WaitingRequest()), true, Later).Events);

    [Fact]
    public void the_first_channel_is_chosen_when_all_fit() =>
        Assert.Equal([new ChannelChosen(0, "webhook", Later)], Choose(Given.Pending(Offer), [], Given.Webhook, Given.File));

    public static TheoryData<CommunicationNeed[], string> Choices => new()
    {
        { [], "voice" },
        { [CommunicationNeed.VoiceOnly], "voice" },
        { [CommunicationNeed.TextOnly], "file" },
        { [CommunicationNeed.SignLanguage], "file" },
        { [CommunicationNeed.ScreenReader, CommunicationNeed.Proxy], "file" },
        { [CommunicationNeed.TextOnly, CommunicationNeed.VoiceOnly], "webhook" },
    };

    [Theory, MemberData(nameof(Choices))]
    public void the_first_channel_that_carries_all_of_the_persons_needs_is_chosen(CommunicationNeed[] needs, string chosen)
    {
        var events = Choose(Given.Pending(Given.WaitingRequest()), needs, Given.Voice, Given.File, Given.Webhook);
        Assert.Equal(chosen, Assert.IsType<ChannelChosen>(events[^1]).Channel);
        Assert.All(events.SkipLast(1), refused => Assert.Equal("cannot-carry-communication", Assert.IsType<ChannelRefused>(refused).Reason));
    }

    [Fact]
    public void without_any_channel_nobody_can_be_told() =>
        Assert.Equal([new NotificationUndeliverable("no-channel", Reference, Later)], Choose(Given.Pending(Offer), []));

    [Fact]
    public void when_no_channel_fits_each_is_refused_with_its_reason() =>
        Assert.Equal(
            [
                new ChannelRefused(0, "voice", "cannot-carry-communication", Later),
                new ChannelRefused(1, "pigeon", "unknown-channel", Later),
                new ChannelRefused(2, "webhook", "no-secret", Later),
                new NotificationUndeliverable("no-fitting-channel", null, Later),
            ],
            Choose(Given.Pending(Given.WaitingRequest()), [CommunicationNeed.TextOnly], Given.Voice, Given.NotInstalled, Given.Webhook with { Refusal = "no-secret" }));

    [Fact]
    public void a_retry_on_the_channel_in_use_is_no_new_choice()
    {
        var state = Given.Pending(Offer, new ChannelChosen(0, "webhook", Later), Failed(1, retryAt: Later));
        Assert.Empty(Choose(state, [], Given.Webhook, Given.File));
    }

    [Fact]
    public void a_contact_that_changed_meanwhile_is_chosen_from_again()
    {
        var state = Given.Pending(Offer, new ChannelChosen(0, "webhook", Later), Failed(1, retryAt: Later));
        Assert.Equal([new ChannelChosen(0, "file", Later)], Choose(state, [], Given.File));
        Assert.Equal([new NotificationUndeliverable("all-channels-failed", Reference, Later)], Choose(state, []));
    }

    [Fact]
    public void after_a_move_the_choice_starts_at_the_next_channel()
    {
        var state = Given.Pending(Offer, new ChannelChosen(0, "webhook", Later), Failed(1), new MovedToNextChannel(0, "webhook", "gone", Later));
        Assert.Equal([new ChannelChosen(1, "file", Later)], Choose(state, [], Given.Webhook, Given.File));
    }

    [Fact]
    public void success_delivers_and_names_the_offer() =>
        Assert.Equal(
            [new AttemptSucceeded(1, "webhook", Later), new NotificationDelivered("webhook", 1, Reference, Later)],
            Outcome(Chosen(Offer), SendOutcome.Success));

    [Fact]
    public void success_of_another_message_names_no_offer() =>
        Assert.Equal(new NotificationDelivered("webhook", 1, null, Later), Outcome(Chosen(Given.WaitingRequest()), SendOutcome.Success)[^1]);

    [Fact]
    public void a_passing_failure_is_tried_again_on_the_same_channel() =>
        Assert.Equal(
            [new AttemptFailed(1, "webhook", "http-503", false, Later + TimeSpan.FromSeconds(0.5), Later)],
            Outcome(Chosen(Offer), SendOutcome.Transient("http-503")));

    [Fact]
    public void a_lasting_failure_moves_to_the_next_channel_at_once() =>
        Assert.Equal(
            [new AttemptFailed(1, "webhook", "gone", true, null, Later), new MovedToNextChannel(0, "webhook", "gone", Later)],
            Outcome(Chosen(Offer), SendOutcome.Refused("gone"), hasNext: true));

    [Fact]
    public void a_lasting_failure_of_the_last_channel_is_the_end() =>
        Assert.Equal(
            [new AttemptFailed(1, "webhook", "gone", true, null, Later), new NotificationUndeliverable("all-channels-failed", Reference, Later)],
            Outcome(Chosen(Offer), SendOutcome.Refused("gone")));

    [Fact]
    public void after_a_move_a_timer_goes_on_at_once()
    {
        var state = Notification.Fold(Chosen(Offer), Outcome(Chosen(Offer), SendOutcome.Refused("gone"), hasNext: true));
        Assert.Equal((NotificationStatus.Pending, Later, 1, null), (state.Status, state.NextAt, state.Position, state.Channel));
    }

    [Fact]
    public void a_failure_that_another_worker_has_recorded_already_counts_once()
    {
        var state = Notification.Evolve(Chosen(Offer), Failed(1, retryAt: Later));
        Assert.Empty(Notification.DecideOutcome(state, new Attempt(1, 0, "webhook", false, SendOutcome.Transient("timeout")), 0, Later).Events);
    }

    [Fact]
    public void a_success_counts_even_when_another_worker_has_recorded_a_failure()
    {
        var state = Notification.Evolve(Chosen(Offer), Failed(1, retryAt: Later));
        Assert.Equal(
            [new AttemptSucceeded(2, "webhook", Later), new NotificationDelivered("webhook", 2, Reference, Later)],
            Notification.DecideOutcome(state, new Attempt(1, 0, "webhook", false, SendOutcome.Success), 0, Later).Events);
    }

    [Fact]
    public void a_service_that_is_away_is_asked_again()
    {
        var state = Given.Pending(Offer);
        Assert.Equal([new ContactUnavailable(1, "groups-away", Later + TimeSpan.FromSeconds(0.5), Later)],
            Notification.DecideContactUnavailable(state, "groups-away", 0, Later).Events);
    }

    [Fact]
    public void an_offer_whose_responder_could_not_be_looked_up_in_time_is_undeliverable() =>
        Assert.Equal([new NotificationUndeliverable("contact-unavailable", Reference, Offer.ExpiresAt!.Value)],
            Notification.DecideContactUnavailable(Given.Pending(Offer), "groups-away", 0, Offer.ExpiresAt!.Value).Events);

    [Fact]
    public void a_recipient_that_nobody_knows_is_undeliverable() =>
        Assert.Equal([new NotificationUndeliverable("unknown-recipient", Reference, Later)], Notification.DecideUnknownRecipient(Given.Pending(Offer), Later).Events);

    [Fact]
    public void an_erased_person_is_not_told_and_an_erased_responder_frees_its_offer()
    {
        Assert.Equal([new NotificationDropped("person-erased", null, Later)], Notification.DecideErased(Given.Pending(Given.WaitingRequest()), Later).Events);
        Assert.Equal([new NotificationUndeliverable("person-erased", Reference, Later)], Notification.DecideErased(Given.Pending(Offer), Later).Events);
    }

    [Fact]
    public void an_unknown_event_throws() =>
        Assert.Throws<InvalidOperationException>(() => Notification.Evolve(Notification.Initial, new SomethingElse()));

    private sealed record SomethingElse : NotificationEvent;

    private sealed record Step(int Kind, int Outcome, double Jitter, int SecondsLater, int Channels);

    private static readonly Gen<Step[]> History = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 4], Gen.Double[0, 1], Gen.Int[0, 4000], Gen.Int[0, 3],
        (kind, outcome, jitter, seconds, channels) => new Step(kind, outcome, jitter, seconds, channels)).Array[0, 40];

    /// <summary>Whatever happens in whatever order, one notification ends at most once, retries stay within its life, and a pending one is never forgotten.</summary>
    [Fact]
    public void every_history_ends_at_most_once_and_never_forgets()
    {
        Gen.Select(Gen.Bool, History).Sample((isOffer, history) =>
        {
            var request = isOffer ? Offer : Given.WaitingRequest();
            var (state, now) = (Given.Pending(request), Given.Now);
            var (ends, attempts) = (0, 0);
            foreach (var step in history)
            {
                now += TimeSpan.FromSeconds(step.SecondsLater / 100.0);
                var events = Decide(state, step, now);
                var wasEnded = state.HasEnded;
                state = Notification.Fold(state, events);
                ends += events.Count(happened => happened is NotificationDelivered or NotificationUndeliverable or NotificationDropped);
                attempts += events.Count(happened => happened is AttemptSucceeded or AttemptFailed);

                Assert.True(ends <= 1);
                Assert.Equal(ends == 1, state.HasEnded);
                Assert.False(wasEnded && events.Count > 0);
                Assert.Equal(attempts, state.Attempts);
                // Whoever has recorded something either ended it or left a moment at which it goes on.
                Assert.True(events.Count == 0 || state.HasEnded || state.NextAt is not null);
                if (state.NextAt is { } next)
                    Assert.True(!state.HasEnded && next >= now - TimeSpan.FromSeconds(0.001) && (request.ExpiresAt is null || next < request.ExpiresAt));
            }
        }, iter: 20_000);
    }

    private static IReadOnlyList<NotificationEvent> Decide(Notification state, Step step, DateTimeOffset now)
    {
        ChannelOption[] channels = [.. new[] { Given.Webhook, Given.Voice, Given.File }.Take(step.Channels)];
        // A worker first asks whether the message still means anything.
        if (Notification.DecideRelevance(state, overtaken: step.Kind == 0, now).Events is { Count: > 0 } dropped)
            return dropped;
        switch (step.Kind)
        {
            case 1:
                return Notification.DecideContactUnavailable(state, "groups-away", step.Jitter, now).Events;
            case 2:
                return Notification.DecideErased(state, now).Events;
            case 3:
                return Notification.DecideUnknownRecipient(state, now).Events;
        }
        CommunicationNeed[] needs = step.Kind % 2 == 0 ? [CommunicationNeed.TextOnly] : [];
        var choice = Notification.DecideChannel(state, channels, needs, now).Events;
        var chosen = Notification.Fold(state, choice);
        if (chosen.HasEnded)
            return choice;
        SendOutcome outcome = step.Outcome switch
        {
            0 => SendOutcome.Success,
            1 => SendOutcome.Refused("gone"),
            2 => SendOutcome.Transient("http-429", TimeSpan.FromSeconds(step.SecondsLater)),
            _ => SendOutcome.Transient("timeout"),
        };
        var result = Notification.DecideOutcome(chosen, new Attempt(chosen.Attempts + 1, chosen.Position, chosen.Channel!,
            Notification.HasFittingChannelAfter(chosen.Position, channels, needs), outcome), step.Jitter, now).Events;
        return result.Count == 0 ? [] : [.. choice, .. result];
    }

    private static IReadOnlyList<NotificationEvent> Choose(Notification state, CommunicationNeed[] needs, params ChannelOption[] channels) =>
        Notification.DecideChannel(state, channels, needs, Later).Events;

    private static IReadOnlyList<NotificationEvent> Outcome(Notification state, SendOutcome outcome, bool hasNext = false) =>
        Notification.DecideOutcome(state, new Attempt(state.Attempts + 1, 0, "webhook", hasNext, outcome), jitter: 0, Later).Events;

    private static Notification Chosen(NotificationRequested request) => Given.Pending(request, new ChannelChosen(0, "webhook", Given.Now));

    private static AttemptFailed Failed(int attempt, DateTimeOffset? retryAt = null) => new(attempt, "webhook", "timeout", retryAt is null, retryAt, Later);
}
