using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>What happens when a receiver, a directory or the service itself does not do what it should.</summary>
[Collection(NotificationsCollection.Name)]
public sealed class FailingTests(NotificationsFixture fixture)
{
    private static readonly TimeSpan ShortLife = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task a_receiver_that_is_down_is_tried_again_and_then_the_next_channel_has_its_turn()
    {
        var given = new Case(fixture);
        var down = new { kind = "webhook", address = $"http://127.0.0.1:{FreePorts.Next()}/down", secret = Case.Secret };
        given.WithResponderChannels(down, new { kind = "file", address = $"fallback-{given.Responder}" });
        var cause = await fixture.TellAsync(given.Made());
        var end = await fixture.EndOfAsync(cause);

        Assert.Equal(
            [
                "channel-chosen webhook", "failed webhook no-answer", "failed webhook no-answer", "failed webhook no-answer", "failed webhook no-answer",
                "moved-on webhook no-answer", "channel-chosen file", "succeeded file",
            ],
            NotificationsFixture.Steps(end));
        var line = Assert.Single(await fixture.FileLinesAsync($"fallback-{given.Responder}"));
        Assert.Contains(NotificationLog.IdOf(cause, Audience.Responder).ToString(), line, StringComparison.Ordinal);
        await Eventually.BecomesAsync(() => fixture.Delivered.Any(told => told.OfferId == given.Offer && told.Channel == "file"), "Matching hears which channel it was");
    }

    [Fact]
    public async Task a_failed_retry_uses_the_same_id_so_that_the_receiver_can_see_the_repeat()
    {
        var given = new Case(fixture).WithResponderWebhook();
        fixture.Receiver.Answer(given.Hook, 500, 502, 200);
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(["channel-chosen webhook", "failed webhook http-500", "failed webhook http-502", "succeeded webhook"], NotificationsFixture.Steps(end));
        Assert.Equal(3, given.Received.Count);
        Assert.Single(given.Received.Select(received => received.Id).Distinct());
        Assert.All(given.Received, received => Assert.True(received.IsSignedWith(Case.Secret)));
    }

    [Fact]
    public async Task a_receiver_that_is_gone_is_not_called_again()
    {
        var given = new Case(fixture);
        given.WithResponderChannels(given.Webhook(), given.Webhook(given.Hook + "/second"));
        fixture.Receiver.Answer(given.Hook, 410);
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(["channel-chosen webhook", "failed webhook gone", "moved-on webhook gone", "channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps(end));
        Assert.Single(given.Received);
        Assert.Single(fixture.Receiver.At(given.Hook + "/second"));
    }

    [Theory]
    [InlineData(400, "http-400")]
    [InlineData(404, "http-404")]
    [InlineData(302, "redirect")]
    [InlineData(307, "redirect")]
    public async Task a_refusal_is_final_and_a_redirect_is_not_followed(int status, string reason)
    {
        var given = new Case(fixture).WithResponderWebhook();
        fixture.Receiver.Behave(given.Hook, (_, context) =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = fixture.Receiver.Address + given.Hook + "/elsewhere";
            return Task.CompletedTask;
        });
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(("undeliverable", "all-channels-failed"), ((string?)end["status"], (string?)end["reason"]));
        Assert.Equal(["channel-chosen webhook", $"failed webhook {reason}"], NotificationsFixture.Steps(end));
        Assert.Single(given.Received);
        Assert.Empty(fixture.Receiver.At(given.Hook + "/elsewhere"));
        await Eventually.BecomesAsync(() => fixture.Undeliverable.Any(told => told.OfferId == given.Offer && told.Reason == "all-channels-failed"), "Matching hears that the offer did not arrive");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task a_receiver_that_asks_for_a_pause_gets_it(bool asDate)
    {
        var given = new Case(fixture).WithResponderWebhook();
        fixture.Receiver.Behave(given.Hook, (call, context) =>
        {
            context.Response.StatusCode = call == 1 ? 429 : 200;
            if (call == 1)
                context.Response.Headers.RetryAfter = asDate ? DateTimeOffset.UtcNow.AddSeconds(4).ToString("R", CultureInfo.InvariantCulture) : "3";
            return Task.CompletedTask;
        });
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(["channel-chosen webhook", "failed webhook http-429", "succeeded webhook"], NotificationsFixture.Steps(end));
        // A date has whole seconds, so that up to one of the four is cut off.
        Assert.InRange((given.Received[1].At - given.Received[0].At).TotalSeconds, 2.9, 30);
    }

    [Theory]
    [InlineData("https://169.254.169.254/latest/meta-data", "private-address")]
    [InlineData("http://example.com/hook", "not-https")]
    public async Task an_address_that_must_not_be_reached_is_refused(string address, string reason)
    {
        var given = new Case(fixture).WithResponderChannels(new { kind = "webhook", address, secret = Case.Secret });
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal("undeliverable", (string?)end["status"]);
        Assert.Equal([$"channel-refused webhook {reason}"], NotificationsFixture.Steps(end));
    }

    [Fact]
    public async Task a_webhook_without_a_secret_is_refused_rather_than_sent_unsigned()
    {
        var given = new Case(fixture);
        given.WithResponderChannels(given.Webhook(secret: null));
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(["channel-refused webhook no-secret"], NotificationsFixture.Steps(end));
        Assert.Empty(given.Received);
    }

    [Fact]
    public async Task a_person_who_needs_voice_is_not_written_to()
    {
        var given = new Case(fixture);
        given.WithRequester(["voice-only"], new { kind = "file", address = $"voice-{given.Request}" }, new { kind = "carrier-pigeon", address = "roof" });
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Waiting)), Audience.Requester);
        Assert.Equal(("undeliverable", "no-fitting-channel"), ((string?)end["status"], (string?)end["reason"]));
        Assert.Equal(["channel-refused file cannot-carry-communication", "channel-refused carrier-pigeon unknown-channel"], NotificationsFixture.Steps(end));
        Assert.Empty(await fixture.FileLinesAsync($"voice-{given.Request}"));
    }

    [Fact]
    public async Task the_first_channel_that_fits_the_person_is_taken()
    {
        var given = new Case(fixture);
        given.WithRequester(["voice-only"], new { kind = "file", address = $"voice-{given.Request}" }, given.Webhook(given.RequesterHook));
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Escalated)), Audience.Requester);
        Assert.Equal(["channel-refused file cannot-carry-communication", "channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps(end));
    }

    [Fact]
    public async Task a_responder_without_channels_cannot_be_asked_and_matching_hears_it()
    {
        var given = new Case(fixture).WithResponderChannels();
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        Assert.Equal(("undeliverable", "no-channel"), ((string?)end["status"], (string?)end["reason"]));
        await Eventually.BecomesAsync(() => fixture.Undeliverable.Any(told => told.OfferId == given.Offer && told.Reason == "no-channel"), "Matching hears it");
    }

    [Fact]
    public async Task a_responder_that_the_directory_does_not_know_cannot_be_asked()
    {
        var end = await fixture.EndOfAsync(await fixture.TellAsync(new Case(fixture).Made()));
        Assert.Equal(("undeliverable", "unknown-recipient"), ((string?)end["status"], (string?)end["reason"]));
    }

    [Fact]
    public async Task a_person_who_was_erased_is_not_told_and_nobody_is_sent_there()
    {
        var given = new Case(fixture).WithResponderWebhook();
        fixture.Directory.Answer($"/v1/requests/{given.Request}/contact", 410);
        fixture.Directory.Answer($"/v1/requests/{given.Request}/visit", 410);
        var cause = await fixture.TellAsync(given.Accepted());
        foreach (var audience in new[] { Audience.Requester, Audience.Responder })
            Assert.Equal("person-erased", (string?)(await fixture.EndOfAsync(cause, audience))["reason"]);
        Assert.Empty(given.Received);
    }

    [Fact]
    public async Task a_directory_that_is_away_is_asked_again_without_holding_the_message()
    {
        var given = new Case(fixture).WithResponderWebhook();
        // The client's own three retries and one more: the first run gives up, a timer goes on.
        fixture.Directory.FailNext($"/v1/responders/{given.Responder}/contact", 5);
        var cause = await fixture.TellAsync(given.Made());
        var end = await fixture.EndOfAsync(cause);
        Assert.Equal(["contact-unavailable  groups-http-503", "channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps(end));
        Assert.Single(given.Received);
    }

    [Fact]
    public async Task many_offers_to_one_responder_ask_for_its_contact_once_or_so()
    {
        var given = new Case(fixture).WithResponderWebhook();
        var causes = new List<Guid>();
        for (var offer = 0; offer < 20; offer++)
            causes.Add(await fixture.TellAsync(given.Made()));
        foreach (var cause in causes)
            await fixture.EndOfAsync(cause);
        Assert.Equal(20, given.Received.Count);
        Assert.InRange(fixture.Directory.Asked.Count(path => path.Contains(given.Responder.ToString(), StringComparison.Ordinal)), 1, 20);
    }

    [Fact]
    public async Task a_slow_receiver_does_not_hold_up_the_others()
    {
        await using var slow = await WebhookReceiver.StartAsync();
        slow.Behave("/slow", async (_, context) => await Task.Delay(TimeSpan.FromMinutes(1), context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing));
        var stuck = new Case(fixture).WithResponderChannels(new { kind = "webhook", address = slow.Address + "/slow", secret = Case.Secret });
        for (var message = 0; message < 60; message++)
            await fixture.TellAsync(stuck.Ended(OfferOutcome.Superseded));
        await slow.FirstAsync("/slow");

        var quick = new Case(fixture).WithResponderWebhook();
        var told = DateTimeOffset.UtcNow;
        await fixture.TellAsync(quick.Ended(OfferOutcome.Superseded));
        Assert.InRange(((await fixture.Receiver.FirstAsync(quick.Hook)).At - told).TotalSeconds, 0, 4.5);
    }

    [Fact]
    public async Task a_receiver_that_never_answers_is_given_up_after_a_while_and_its_answers_length_does_not_matter()
    {
        var given = new Case(fixture);
        given.WithResponderChannels(given.Webhook(), given.Webhook(given.Hook + "/long"));
        fixture.Receiver.Behave(given.Hook, async (_, context) => await Task.Delay(TimeSpan.FromMinutes(1), context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing));
        fixture.Receiver.Behave(given.Hook + "/long", async (_, context) =>
        {
            context.Response.StatusCode = 200;
            var chunk = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested)
                await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
        });
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made(ShortLife)));
        Assert.Equal("failed webhook timeout", NotificationsFixture.Steps(end)[1]);
        Assert.Equal("succeeded webhook", NotificationsFixture.Steps(end)[^1]);
        Assert.Single(fixture.Receiver.At(given.Hook + "/long"));
    }

    [Fact]
    public async Task a_service_killed_between_sending_and_recording_sends_again_with_the_same_id_and_records_once()
    {
        var given = new Case(fixture).WithResponderWebhook();
        var arrived = new TaskCompletionSource();
        var killed = new TaskCompletionSource();
        fixture.Receiver.Behave(given.Hook, async (call, _) =>
        {
            if (call > 1)
                return;
            arrived.SetResult();
            await killed.Task;
        });
        var cause = await fixture.TellAsync(given.Made());
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await fixture.Service.KillAsync();
        killed.SetResult();
        await fixture.Service.RestartAsync(TestContext.Current.CancellationToken);

        var end = await fixture.EndOfAsync(cause);
        Assert.Equal(["channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps(end));
        Assert.Equal(2, given.Received.Count);
        Assert.Single(given.Received.Select(received => received.Id).Distinct());
        await Eventually.BecomesAsync(() => fixture.Delivered.Any(told => told.OfferId == given.Offer), "Matching hears of it");
        Assert.Equal(1, fixture.Delivered.Count(told => told.OfferId == given.Offer));
    }

    [Fact]
    public async Task a_retry_outlives_the_process_that_planned_it()
    {
        var given = new Case(fixture).WithResponderWebhook();
        fixture.Receiver.Answer(given.Hook, 503, 200);
        var cause = await fixture.TellAsync(given.Ended(OfferOutcome.Revoked));
        await Eventually.BecomesAsync(async () => (await fixture.FindAsync(cause, Audience.Responder))?["nextAt"] is not null, () => "a retry is planned");
        await fixture.Service.KillAsync();
        await fixture.Service.RestartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["channel-chosen webhook", "failed webhook http-503", "succeeded webhook"], NotificationsFixture.Steps(await fixture.EndOfAsync(cause)));
    }

    [Fact]
    public async Task every_message_is_told_when_the_service_is_killed_among_many()
    {
        var factory = new ConnectionFactory { Uri = new Uri(fixture.Broker) };
        await using var connection = await factory.CreateConnectionAsync(TestContext.Current.CancellationToken);
        var told = new List<(Case Case, Guid Cause)>();
        for (var message = 0; message < 60; message++)
        {
            var given = new Case(fixture).WithResponderWebhook();
            told.Add((given, await fixture.TellAsync(given.Made())));
            if (message is 20 or 40)
            {
                await fixture.Service.KillAsync();
                await fixture.Service.RestartAsync(TestContext.Current.CancellationToken);
            }
        }
        foreach (var (given, cause) in told)
        {
            Assert.Equal("delivered", (string?)(await fixture.EndOfAsync(cause))["status"]);
            Assert.Single(given.Received.Select(received => received.Id).Distinct());
        }
        await Eventually.BecomesAsync(() => told.All(entry => fixture.Delivered.Any(delivered => delivered.OfferId == entry.Case.Offer)), "Matching hears of every one");
        foreach (var queue in new[] { "acceptance", "offer-end", "need-state" })
            Assert.Equal(0u, await connection.CountMessagesAsync($"notifications-tell-of-{queue}_error"));
    }
}
