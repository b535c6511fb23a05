using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Local.Infrastructure;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Huzhu.TestKit;
using MassTransit;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

[CollectionDefinition(Name)]
public sealed class NotificationsCollection : ICollectionFixture<NotificationsFixture>
{
    public const string Name = "Notifications";
}

/// <summary>
/// The real Notifications service in a process of its own, on a database and a virtual host of its own. The test stands in
/// for Matching, which tells it what happened; for Requests and Groups, which it asks; and for the integrators, whom it calls.
/// </summary>
public sealed class NotificationsFixture(Servers servers) : IAsyncLifetime
{
    private readonly HttpClient _http = new();
    private IBusControl _bus = null!;

    public ServiceHost Host { get; private set; } = null!;
    public ServiceProcess Service => Host["notifications"];
    public string Database { get; private set; } = "";
    public string Broker { get; private set; } = "";
    public DirectoryStub Directory { get; private set; } = null!;
    public WebhookReceiver Receiver { get; private set; } = null!;
    public NpgsqlDataSource Sql { get; private set; } = null!;
    public ServiceKeys Keys { get; } = ServiceKeys.Random();
    public ConcurrentQueue<OfferDelivered> Delivered { get; } = [];
    public ConcurrentQueue<OfferUndeliverable> Undeliverable { get; } = [];

    public async ValueTask InitializeAsync()
    {
        var infrastructure = await servers.InfrastructureAsync();
        (Database, Broker) = (await servers.CreateDatabaseAsync("notifications"), await servers.CreateVirtualHostAsync("notifications"));
        Sql = NpgsqlDataSource.Create(Database);
        (Directory, Receiver) = (await DirectoryStub.StartAsync(), await WebhookReceiver.StartAsync());

        // The queues come first: what no queue takes, the relay publishes again and again.
        _bus = Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            rabbit.Host(new Uri(Broker));
            rabbit.ReceiveEndpoint("test-published", endpoint =>
            {
                endpoint.Handler<OfferDelivered>(context => Collect(Delivered, context));
                endpoint.Handler<OfferUndeliverable>(context => Collect(Undeliverable, context));
            });
        });
        await _bus.StartAsync();
        Host = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string> { ["notifications"] = Database },
            AmqpUri = Broker,
            Keys = Keys,
            Services = ["notifications"],
            Environment = new Dictionary<string, string>
            {
                ["Services__Requests"] = Directory.Address,
                ["Services__Groups"] = Directory.Address,
                ["Services__Matching"] = Directory.Address,
                ["Offers__PublicUrl"] = "https://matching.example",
                ["Limits__RequestsPerSecond"] = "10000",
            },
        });

        static Task Collect<T>(ConcurrentQueue<T> queue, ConsumeContext<T> context) where T : class
        {
            queue.Enqueue(context.Message);
            return Task.CompletedTask;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await _bus.StopAsync();
        await Directory.DisposeAsync();
        await Receiver.DisposeAsync();
        await Sql.DisposeAsync();
        _http.Dispose();
    }

    /// <summary>Says something as Matching would. The message id is the cause.</summary>
    public async Task<Guid> TellAsync<T>(T message, Guid? messageId = null) where T : class
    {
        var id = messageId ?? Guid.CreateVersion7();
        await _bus.Publish(message, context => context.MessageId = id);
        return id;
    }

    public async Task<IReadOnlyList<string>> FileLinesAsync(string name)
    {
        var path = Path.Combine(Host.FileChannelFolder, name + ".jsonl");
        return File.Exists(path) ? await File.ReadAllLinesAsync(path) : [];
    }

    public async Task<(HttpStatusCode Status, JsonNode? Body)> GetAsync(string path, params string[] roles)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Service.BaseAddress, path));
        if (roles.Length > 0)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Host.Token("test", roles));
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public async Task<JsonNode?> FindAsync(Guid cause, Audience audience) =>
        await GetAsync($"/v1/notifications/{NotificationLog.IdOf(cause, audience)}", "auditor") is (HttpStatusCode.OK, { } body) ? body : null;

    /// <summary>Waits until the notification of this cause has ended, and returns it.</summary>
    public async Task<JsonNode> EndOfAsync(Guid cause, Audience audience = Audience.Responder)
    {
        JsonNode? last = null;
        await Eventually.BecomesAsync(async () =>
        {
            last = await FindAsync(cause, audience);
            return last is not null && (string?)last["status"] is "delivered" or "undeliverable" or "dropped";
        }, () => $"the notification ends; it is {last?.ToJsonString() ?? "not there"}");
        return last!;
    }

    /// <summary>The steps of a notification in short: what, and why.</summary>
    public static string[] Steps(JsonNode notification) =>
        [.. notification["steps"]!.AsArray().Select(step => $"{step!["what"]} {step["channel"]} {step["reason"]}".TrimEnd())];
}

internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task BecomesAsync(Func<Task<bool>> holds, Func<string> what)
    {
        var end = DateTime.UtcNow + Patience;
        while (!await holds())
        {
            if (DateTime.UtcNow > end)
                Assert.Fail($"Within {Patience.TotalSeconds:0} s it did not happen that {what()}.");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public static Task BecomesAsync(Func<bool> holds, string what) => BecomesAsync(() => Task.FromResult(holds()), () => what);
}

/// <summary>One offer to one responder of its own, and everything around it.</summary>
internal sealed record Case(NotificationsFixture Fixture)
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    public OfferId Offer { get; } = new(Guid.CreateVersion7());
    public NeedId Need { get; } = new(Guid.CreateVersion7());
    public RequestId Request { get; } = new(Guid.CreateVersion7());
    public ResponderId Responder { get; } = new(Guid.CreateVersion7());

    /// <summary>The path at the receiver that this case's responder listens on.</summary>
    public string Hook => $"/responder/{Responder}";

    /// <summary>The path at the receiver that this case's requester listens on.</summary>
    public string RequesterHook => $"/requester/{Request}";

    public IReadOnlyList<ReceivedWebhook> Received => Fixture.Receiver.At(Hook);

    public Case WithResponderChannels(params object[] channels)
    {
        Fixture.Directory.Answer($"/v1/responders/{Responder}/contact", new { name = "Deaf mothers of J", channels, communicationAbilities = new[] { "sign-language" } });
        return this;
    }

    public Case WithResponderWebhook() => WithResponderChannels(Webhook());

    public Case WithRequester(string[]? communication = null, params object[] channels)
    {
        Fixture.Directory.Answer($"/v1/requests/{Request}/contact", new
        {
            name = "Mr Lin",
            channels = channels.Length > 0 ? channels : [Webhook(RequesterHook)],
            communication = communication ?? [],
            language = "zh",
        });
        Fixture.Directory.Answer($"/v1/requests/{Request}/visit", new { name = "Mr Lin", phone = "+8613800000000", lat = 31.2201, lon = 121.4401, addressText = "Building 3", note = "insulin" });
        return this;
    }

    public object Webhook(string? path = null, string? secret = Secret) => new { kind = "webhook", address = Fixture.Receiver.Address + (path ?? Hook), secret };

    public OfferMade Made(TimeSpan? life = null, DateTimeOffset? at = null) => new(Offer, Need, Request, Responder, ResponderKind.Group, ServiceKinds.Medicine,
        DeliveryMode.Offline, 1, Urgency.Health, [CommunicationNeed.TextOnly], 420, "J", 1,
        DateTimeOffset.UtcNow + (life ?? TimeSpan.FromMinutes(15)), at ?? DateTimeOffset.UtcNow);

    public OfferAccepted Accepted() => new(Offer, Need, Request, Responder, DateTimeOffset.UtcNow);

    public OfferEnded Ended(OfferOutcome outcome) => new(Offer, Need, Request, Responder, outcome, null, DateTimeOffset.UtcNow);

    public NeedStateChanged State(NeedState state, DateTimeOffset? at = null) => new(Need, Request, 5, state, Offer, null, "nobody-left", 1, at ?? DateTimeOffset.UtcNow);
}
