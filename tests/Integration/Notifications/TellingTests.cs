using System.Net;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>Who is told what, and what is remembered of it.</summary>
[Collection(NotificationsCollection.Name)]
public sealed class TellingTests(NotificationsFixture fixture)
{
    [Fact]
    public async Task an_offer_reaches_the_responder_signed_with_links_and_without_personal_data()
    {
        var given = new Case(fixture).WithResponderWebhook().WithRequester();
        var cause = await fixture.TellAsync(given.Made());
        var end = await fixture.EndOfAsync(cause);
        Assert.Equal(["channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps(end));

        var received = Assert.Single(given.Received);
        Assert.True(received.IsSignedWith(Case.Secret));
        Assert.False(received.IsSignedWith("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"));
        Assert.Equal(NotificationLog.IdOf(cause, Audience.Responder).ToString(), received.Id);
        Assert.StartsWith("application/cloudevents+json", received.Headers["Content-Type"], StringComparison.Ordinal);
        Assert.Equal("org.huzhu.offer.made.v1", (string?)received.Event["type"]);
        Assert.Equal(given.Need.ToString(), (string?)received.Event["subject"]);
        Assert.Equal(received.Id, (string?)received.Event["id"]);
        Assert.Equal("health", (string?)received.Data["urgency"]);
        var accept = new Uri((string)received.Data["links"]!["accept"]!);
        Assert.Equal($"https://matching.example/v1/offers/{given.Offer}/accept", accept.GetLeftPart(UriPartial.Path));
        Assert.True(new LinkSigner(Convert.FromBase64String(fixture.Keys.OfferLinks)).Verify("offer", given.Offer.Value, given.Responder.Value, accept.Query["?key=".Length..]));
        Assert.Null(received.Data["visit"]);
        Assert.DoesNotContain("Lin", received.Event.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain("traceparent", received.Headers.Keys);

        await Eventually.BecomesAsync(() => fixture.Delivered.Any(told => told.OfferId == given.Offer), "Matching hears of the delivery");
        Assert.Equal("webhook", fixture.Delivered.Single(told => told.OfferId == given.Offer).Channel);
    }

    [Fact]
    public async Task after_acceptance_the_responder_hears_where_and_the_requester_hears_who()
    {
        var given = new Case(fixture).WithResponderWebhook().WithRequester(["text-only"]);
        var cause = await fixture.TellAsync(given.Accepted());
        await fixture.EndOfAsync(cause);
        await fixture.EndOfAsync(cause, Audience.Requester);

        var toResponder = Assert.Single(given.Received);
        Assert.Equal("org.huzhu.offer.accepted.v1", (string?)toResponder.Event["type"]);
        Assert.Equal("+8613800000000", (string?)toResponder.Data["visit"]!["phone"]);
        Assert.Equal(31.2201, (double)toResponder.Data["visit"]!["lat"]!);
        Assert.NotNull(toResponder.Data["links"]!["complete"]);
        Assert.Null(toResponder.Data["links"]!["accept"]);

        var toRequester = Assert.Single(fixture.Receiver.At(given.RequesterHook));
        Assert.Equal("org.huzhu.need.state.v1", (string?)toRequester.Event["type"]);
        Assert.Equal("accepted", (string?)toRequester.Data["state"]);
        Assert.Equal("Deaf mothers of J", (string?)toRequester.Data["responderName"]);
        Assert.Contains("Deaf mothers of J", (string)toRequester.Data["text"]!["en"]!, StringComparison.Ordinal);
        Assert.Equal(["text-only"], toRequester.Data["communication"]!.AsArray().Select(need => (string?)need));
        Assert.Null(toRequester.Data["links"]);
        Assert.Null(toRequester.Data["visit"]);
    }

    [Theory]
    [InlineData(OfferOutcome.Superseded, true)]
    [InlineData(OfferOutcome.Revoked, true)]
    [InlineData(OfferOutcome.Declined, false)]
    [InlineData(OfferOutcome.Undeliverable, false)]
    public async Task the_end_of_an_offer_is_told_unless_the_responder_ended_it(OfferOutcome outcome, bool told)
    {
        var given = new Case(fixture).WithResponderWebhook();
        var cause = await fixture.TellAsync(given.Ended(outcome));
        // Both go through the same queue, in order enough: when the second has been told, the first has been handled.
        var other = new Case(fixture).WithResponderWebhook();
        await fixture.EndOfAsync(await fixture.TellAsync(other.Ended(OfferOutcome.Expired)));
        if (told)
            await fixture.EndOfAsync(cause);
        Assert.Equal(told ? 1 : 0, given.Received.Count);
        Assert.DoesNotContain(fixture.Delivered, delivered => delivered.OfferId == given.Offer);
    }

    [Fact]
    public async Task a_requester_hears_that_the_need_waits_and_why()
    {
        var given = new Case(fixture).WithRequester();
        await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Waiting)), Audience.Requester);
        var received = Assert.Single(fixture.Receiver.At(given.RequesterHook));
        Assert.Equal(("waiting", "nobody-left"), ((string?)received.Data["state"], (string?)received.Data["reason"]));
    }

    [Fact]
    public async Task a_cause_that_comes_again_and_again_is_told_once()
    {
        var given = new Case(fixture).WithResponderWebhook();
        var cause = Guid.CreateVersion7();
        await fixture.TellAsync(given.Made(), cause);
        await fixture.EndOfAsync(cause);
        for (var repeat = 0; repeat < 5; repeat++)
            await fixture.TellAsync(given.Made(), cause);
        await HandledAsync();

        Assert.Single(given.Received);
        Assert.Equal(4, await CountEventsAsync(NotificationLog.IdOf(cause, Audience.Responder)));
        Assert.Equal(1, fixture.Delivered.Count(told => told.OfferId == given.Offer));
    }

    [Fact]
    public async Task the_same_cause_many_times_at_once_is_one_notification_with_one_end()
    {
        var given = new Case(fixture).WithResponderWebhook();
        var cause = Guid.CreateVersion7();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => fixture.TellAsync(given.Made(), cause)));
        await fixture.EndOfAsync(cause);
        await HandledAsync();

        Assert.Equal(["channel-chosen webhook", "succeeded webhook"], NotificationsFixture.Steps((await fixture.FindAsync(cause, Audience.Responder))!));
        Assert.Single(given.Received.Select(received => received.Id).Distinct());
        Assert.Equal(1, fixture.Delivered.Count(told => told.OfferId == given.Offer));
    }

    [Fact]
    public async Task an_offer_that_comes_after_its_expiry_is_not_sent_and_matching_hears_of_it_once()
    {
        var given = new Case(fixture).WithResponderWebhook();
        var (late, cause) = (given.Made(life: TimeSpan.FromSeconds(-1), at: DateTimeOffset.UtcNow.AddMinutes(-15)), Guid.CreateVersion7());
        var end = await fixture.EndOfAsync(await fixture.TellAsync(late, cause));
        Assert.Equal(("dropped", "offer-expired"), ((string?)end["status"], (string?)end["reason"]));
        await fixture.TellAsync(late, cause);
        await HandledAsync();
        Assert.Empty(given.Received);
        await Eventually.BecomesAsync(() => fixture.Undeliverable.Any(told => told.OfferId == given.Offer), "Matching hears of it");
        Assert.Equal("offer-expired", Assert.Single(fixture.Undeliverable, told => told.OfferId == given.Offer).Reason);
        Assert.Equal(2, await CountEventsAsync(NotificationLog.IdOf(cause, Audience.Responder)));
    }

    [Fact]
    public async Task an_offer_that_comes_long_after_its_end_is_not_sent()
    {
        var given = new Case(fixture).WithResponderWebhook();
        await fixture.EndOfAsync(await fixture.TellAsync(given.Ended(OfferOutcome.Superseded)));
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.Made(at: DateTimeOffset.UtcNow.AddSeconds(-30))));
        Assert.Equal(("dropped", "overtaken"), ((string?)end["status"], (string?)end["reason"]));
        Assert.Equal("org.huzhu.offer.ended.v1", (string?)Assert.Single(given.Received).Event["type"]);
    }

    [Fact]
    public async Task a_stale_state_does_not_follow_a_newer_one()
    {
        var given = new Case(fixture).WithRequester();
        await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Fulfilled)), Audience.Requester);
        var end = await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Waiting, DateTimeOffset.UtcNow.AddMinutes(-1))), Audience.Requester);
        Assert.Equal(("dropped", "overtaken"), ((string?)end["status"], (string?)end["reason"]));
        Assert.Equal("fulfilled", (string?)Assert.Single(fixture.Receiver.At(given.RequesterHook)).Data["state"]);
    }

    [Fact]
    public async Task a_message_that_cannot_be_read_is_set_aside_and_blocks_nobody()
    {
        var factory = new ConnectionFactory { Uri = new Uri(fixture.Broker) };
        await using var connection = await factory.CreateConnectionAsync(TestContext.Current.CancellationToken);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: TestContext.Current.CancellationToken);
        var before = await connection.CountMessagesAsync("notifications-tell-of-offer_error");
        await channel.BasicPublishAsync("", "notifications-tell-of-offer", "{ not json"u8.ToArray(), TestContext.Current.CancellationToken);

        var given = new Case(fixture).WithResponderWebhook();
        await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        await Eventually.BecomesAsync(async () => await connection.CountMessagesAsync("notifications-tell-of-offer_error") == before + 1, () => "the bad message is in the error queue");
    }

    [Fact]
    public async Task nothing_personal_is_stored_or_logged()
    {
        var given = new Case(fixture).WithResponderWebhook().WithRequester();
        var cause = await fixture.TellAsync(given.Accepted());
        await fixture.EndOfAsync(cause);
        await fixture.EndOfAsync(cause, Audience.Requester);
        // As a word: three letters are found in ciphertext too, sooner or later.
        await using var command = fixture.Sql.CreateCommand("""
            select count(*) from (select data::text as t from huzhu.mt_events union all select data::text from huzhu.mt_doc_notificationentry) all_text
            where t ~ '\mLin\M' or t like '%13800000000%' or t like '%Building%' or t like '%127.0.0.1%' or t like '%whsec%' or t like '%Deaf%'
            """);
        Assert.Equal(0L, await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        var log = await File.ReadAllTextAsync(fixture.Service.LogFile, TestContext.Current.CancellationToken);
        Assert.DoesNotContain("13800000000", log, StringComparison.Ordinal);
        Assert.DoesNotContain("whsec_", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task what_was_sent_for_a_need_can_be_read_by_operators_and_auditors_only()
    {
        var given = new Case(fixture).WithResponderWebhook().WithRequester();
        await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        var accepted = await fixture.TellAsync(given.Accepted());
        await fixture.EndOfAsync(accepted);
        await fixture.EndOfAsync(accepted, Audience.Requester);

        var path = $"/v1/notifications?needId={given.Need}";
        var (status, page) = await fixture.GetAsync(path, "operator");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal((3, 1), ((int)page!["total"]!, (int)page["page"]!));
        Assert.Equal(["need-state", "offer-accepted", "offer-made"], page["items"]!.AsArray().Select(item => (string?)item!["message"]).Order());
        Assert.All(page["items"]!.AsArray(), item => Assert.Equal("delivered", (string?)item!["status"]));
        Assert.DoesNotContain("127.0.0.1", page.ToJsonString(), StringComparison.Ordinal);

        Assert.Empty((await fixture.GetAsync(path + "&page=2", "auditor")).Body!["items"]!.AsArray());
        Assert.Equal(0, (int)(await fixture.GetAsync($"/v1/notifications?needId={Guid.NewGuid()}", "auditor")).Body!["total"]!);
        Assert.Equal(HttpStatusCode.Unauthorized, (await fixture.GetAsync(path)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await fixture.GetAsync(path, "intake", "coordinator", "responder")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await fixture.GetAsync($"/v1/notifications/{Guid.NewGuid()}", "auditor")).Status);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await fixture.GetAsync(path + "&page=0", "auditor")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await fixture.GetAsync("/v1/notifications?needId=nonsense", "auditor")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await fixture.GetAsync("/v1/notifications", "auditor")).Status);
    }

    [Fact]
    public async Task the_index_of_a_need_rebuilt_from_the_log_equals_the_live_one()
    {
        var given = new Case(fixture).WithResponderWebhook().WithRequester();
        await fixture.EndOfAsync(await fixture.TellAsync(given.Made()));
        await fixture.EndOfAsync(await fixture.TellAsync(given.State(NeedState.Waiting)), Audience.Requester);
        var live = await EntriesAsync();
        Assert.NotEmpty(live);
        await using (var command = fixture.Sql.CreateCommand("delete from huzhu.mt_doc_notificationentry"))
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await RebuiltIndex.RunAsync(fixture.Database, fixture.Broker);
        Assert.Equal(live, await EntriesAsync());
    }

    /// <summary>A message that is told after the ones before it: what came earlier in the same queue has been handled.</summary>
    private async Task HandledAsync()
    {
        var last = new Case(fixture).WithResponderWebhook();
        await fixture.EndOfAsync(await fixture.TellAsync(last.Made()));
        await Eventually.BecomesAsync(() => fixture.Delivered.Any(told => told.OfferId == last.Offer), "the relay has come to the last message");
    }

    private async Task<long> CountEventsAsync(NotificationId id)
    {
        await using var command = fixture.Sql.CreateCommand("select count(*) from huzhu.mt_events where stream_id = $1");
        command.Parameters.AddWithValue(id.Value);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task<List<string>> EntriesAsync()
    {
        await using var command = fixture.Sql.CreateCommand("select data::text from huzhu.mt_doc_notificationentry order by id");
        await using var reader = await command.ExecuteReaderAsync();
        var entries = new List<string>();
        while (await reader.ReadAsync())
            entries.Add(reader.GetString(0));
        return entries;
    }
}

internal static class BrokerQueues
{
    public static async Task<uint> CountMessagesAsync(this IConnection connection, string queue)
    {
        // Asking for a queue that is not there closes the channel that asked.
        await using var channel = await connection.CreateChannelAsync();
        try
        {
            return (await channel.QueueDeclarePassiveAsync(queue)).MessageCount;
        }
        catch (RabbitMQ.Client.Exceptions.OperationInterruptedException)
        {
            return 0;
        }
    }
}

/// <summary>Rebuilds the index from the log, with the service's own configuration of the store.</summary>
internal static class RebuiltIndex
{
    public static async Task RunAsync(string database, string broker)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["ConnectionStrings:EventStore"] = database;
        builder.Configuration["ConnectionStrings:Broker"] = broker;
        builder.Configuration["EventStore:ApplySchema"] = "false";
        builder.Services.AddSingleton(TimeProvider.System);
        builder.AddEventStore(EventStore.EventsOf<NotificationEvent>(), Publishing.Map, NotificationIndex.Configure);
        builder.AddMessaging("rebuild", _ => { });
        using var host = builder.Build();
        var store = host.Services.GetRequiredService<IDocumentStore>();
        using var daemon = await store.BuildProjectionDaemonAsync();
        await daemon.RebuildProjectionAsync<NotificationIndex>(TestContext.Current.CancellationToken);
    }
}
