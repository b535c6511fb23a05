using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Huzhu.TestKit;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>CloudEvents of providers' own systems, on the real broker and over HTTP.</summary>
public sealed class ProviderEventTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private const string Closed = "org.huzhu.provider.closed.v1";
    private const string Reopened = "org.huzhu.provider.reopened.v1";

    private readonly GroupsService _groups = shared.Service;

    [Fact]
    public async Task structured_mode_closes_and_reopens()
    {
        var id = await _groups.ProviderAsync();
        await PublishStructuredAsync(id, Closed, "s1");
        await _groups.OpeningBecomesAsync(id, "closed");
        Assert.Equal("lockdown", (string)(await _groups.GetAsync($"/v1/providers/{id}", _groups.Operator)).Body!["closedBecause"]!);
        await PublishStructuredAsync(id, Reopened, "s2");
        await _groups.OpeningBecomesAsync(id, "open");
    }

    [Theory, InlineData("cloudEvents_"), InlineData("cloudEvents:")]
    public async Task binary_mode_closes_whichever_prefix_its_headers_have(string prefix)
    {
        var id = await _groups.ProviderAsync();
        await PublishBinaryAsync(_groups, id, Closed, "b1", prefix: prefix);
        await _groups.OpeningBecomesAsync(id, "closed");
    }

    [Fact]
    public async Task the_same_event_twice_and_again_after_the_reopening_is_one_event()
    {
        var id = await _groups.ProviderAsync();
        await PublishBinaryAsync(_groups, id, Closed, "d1");
        await PublishBinaryAsync(_groups, id, Closed, "d1");
        await _groups.OpeningBecomesAsync(id, "closed");
        await PublishBinaryAsync(_groups, id, Reopened, "d2");
        await _groups.OpeningBecomesAsync(id, "open");
        await PublishBinaryAsync(_groups, id, Closed, "d1");
        await DrainedAsync(_groups);
        Assert.Equal("open", await _groups.OpeningOfAsync(id));
        Assert.Equal(2, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}' and type in ('closure_published', 'reopening_published')"));
    }

    [Fact]
    public async Task a_late_closure_does_not_undo_the_newer_reopening()
    {
        var id = await _groups.ProviderAsync();
        var now = DateTimeOffset.UtcNow;
        await PublishBinaryAsync(_groups, id, Reopened, "l2", time: now);
        await PublishBinaryAsync(_groups, id, Closed, "l1", time: now.AddMinutes(-5));
        await DrainedAsync(_groups);
        Assert.Equal("open", await _groups.OpeningOfAsync(id));
    }

    [Fact]
    public async Task many_events_of_one_provider_keep_their_order()
    {
        var id = await _groups.ProviderAsync();
        for (var index = 0; index < 60; index++)
            await PublishBinaryAsync(_groups, id, index % 2 == 0 ? Closed : Reopened, $"o{index}");
        await DrainedAsync(_groups);
        Assert.Equal("open", await _groups.OpeningOfAsync(id));
        Assert.Equal(60, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}' and type in ('provider_closed', 'provider_reopened')"));
    }

    [Fact]
    public async Task what_is_malformed_is_dead_lettered_with_its_reason_and_does_not_block_the_next()
    {
        var (id, withdrawn) = (await _groups.ProviderAsync(), await _groups.ProviderAsync());
        var group = await _groups.RegisterAsync("/v1/groups");
        await _groups.PostAsync($"/v1/providers/{withdrawn}/withdraw", _groups.Operator, new { reason = "gone" });
        await PublishAsync(_groups, "any.key", "{", new BasicProperties { ContentType = "application/cloudevents+json", MessageId = "broken" });
        await PublishAsync(_groups, "any.key", "hello", new BasicProperties { MessageId = "no-event" });
        await PublishBinaryAsync(_groups, id, "org.huzhu.provider.moved.v1", "wrong-type");
        await PublishBinaryAsync(_groups, id, Closed, "wrong-data", data: """{"from":"now"}""");
        await PublishBinaryAsync(_groups, Guid.NewGuid(), Closed, "unknown-provider");
        await PublishBinaryAsync(_groups, group, Closed, "a-group");
        await PublishBinaryAsync(_groups, withdrawn, Closed, "withdrawn");
        await PublishBinaryAsync(_groups, id, Closed, "wrong-key", routingKey: $"{Guid.NewGuid()}.closed");
        await PublishBinaryAsync(_groups, id, Closed, "good");
        await _groups.OpeningBecomesAsync(id, "closed");
        await DrainedAsync(_groups);

        var dead = await DeadLettersAsync(_groups);
        string[] wrong = ["a-group", "broken", "no-event", "unknown-provider", "withdrawn", "wrong-data", "wrong-key", "wrong-type"];
        Assert.Equal(wrong, dead.Select(letter => letter.MessageId).Intersect([.. wrong, "good"]).Order());
        void Said(string message, string because) => Assert.Contains(because, dead.Single(letter => letter.MessageId == message).Reason);
        Said("broken", "cannot be read");
        Said("no-event", "not a CloudEvent");
        Said("wrong-type", "The type must be");
        Said("wrong-data", "data.reason");
        Said("unknown-provider", "not the id of a provider");
        Said("a-group", "not the id of a provider");
        Said("withdrawn", "withdrawn");
        Said("wrong-key", "routing key");
        Assert.Equal("hello", dead.Single(letter => letter.MessageId == "no-event").Body);
    }

    [Fact]
    public async Task a_dead_letter_keeps_its_properties_but_not_those_that_would_lose_it()
    {
        var user = new Uri(_groups.Amqp).UserInfo.Split(':')[0];
        await PublishAsync(_groups, "some.key", "[]", new BasicProperties
        {
            MessageId = "kept",
            ContentType = "application/json",
            CorrelationId = "c-1",
            Expiration = "60000",
            UserId = user,
            Headers = new Dictionary<string, object?> { ["BCC"] = new List<object> { "elsewhere" }, ["x-mine"] = "yes" },
        });
        await DrainedAsync(_groups);
        var letter = (await DeadLettersAsync(_groups)).Single(one => one.MessageId == "kept");
        Assert.Equal(("c-1", "application/json", null), (letter.Properties.CorrelationId, letter.Properties.ContentType, letter.Properties.Expiration));
        Assert.Equal(("yes", "some.key", user), (Header(letter.Properties, "x-mine"), Header(letter.Properties, "x-original-routing-key"), Header(letter.Properties, "x-original-user")));
    }

    [Fact]
    public async Task the_same_event_over_http_closes_in_both_modes_and_once()
    {
        var id = await _groups.ProviderAsync();
        var system = _groups.Host.Token("clinic-system", ["responder"], [id.ToString()]);
        var structured = await _groups.PostAsync("/v1/provider-events", system, Content(Structured(id, Closed, "h1"), "application/cloudevents+json"));
        Assert.Equal((HttpStatusCode.OK, "closed", 3), (structured.Status, (string?)structured.Body!["opening"], (int)structured.Body["version"]!));
        Assert.Equal(3, (int)(await _groups.PostAsync("/v1/provider-events", system, Content(Structured(id, Closed, "h1"), "application/cloudevents+json"))).Body!["version"]!);
        await PublishStructuredAsync(id, Closed, "h1");
        await DrainedAsync(_groups);

        Task<Answer> Binary(string token, string type, string data) => _groups.SendAsync(HttpMethod.Post, "/v1/provider-events", token, Content(data, "application/json"), with: request =>
        {
            foreach (var (name, value) in Attributes(id, type, "h2", null))
                request.Headers.TryAddWithoutValidation($"ce-{name}", value);
        });
        var reopened = await Binary(system, Reopened, """{"reason":"over"}""");
        Assert.Equal((HttpStatusCode.OK, "open", 5), (reopened.Status, (string?)reopened.Body!["opening"], (int)reopened.Body["version"]!));

        Assert.Equal((HttpStatusCode.BadRequest, "malformed"), Of(await Binary(system, Closed, "{}")));
        Assert.Equal((HttpStatusCode.BadRequest, "malformed"), Of(await _groups.PostAsync("/v1/provider-events", system, Content("{}", "application/json"))));
        Assert.Equal((HttpStatusCode.Forbidden, "not-your-group"), Of(await Binary(_groups.Host.Token("other-system", ["responder"], [Guid.NewGuid().ToString()]), Closed, """{"reason":"r"}""")));
        Assert.Equal(HttpStatusCode.Forbidden, (await Binary(_groups.Host.Token("intake", ["intake"]), Closed, """{"reason":"r"}""")).Status);
        var unknown = Content(Structured(Guid.NewGuid(), Closed, "h3"), "application/cloudevents+json");
        Assert.Equal((HttpStatusCode.NotFound, "not-found"), Of(await _groups.PostAsync("/v1/provider-events", _groups.Operator, unknown)));
    }

    internal static async Task PublishAsync(GroupsService groups, string routingKey, string body, BasicProperties properties)
    {
        await groups.Channel.BasicPublishAsync("huzhu.providers", routingKey, mandatory: true, properties, Encoding.UTF8.GetBytes(body));
        groups.PublishedEvents++;
    }

    internal static Task PublishBinaryAsync(GroupsService groups, Guid provider, string type, string eventId, string prefix = "cloudEvents_",
        DateTimeOffset? time = null, string data = """{"reason":"lockdown"}""", string routingKey = "clinic.closures") =>
        PublishAsync(groups, routingKey, data, new BasicProperties
        {
            MessageId = eventId,
            ContentType = "application/json",
            DeliveryMode = DeliveryModes.Persistent,
            Headers = Attributes(provider, type, eventId, time).ToDictionary(one => prefix + one.Name, one => (object?)one.Value),
        });

    /// <summary>All that was published has been handled, as the service's own metrics tell.</summary>
    internal static Task DrainedAsync(GroupsService groups) => Eventually.Async(async () =>
        await groups.MetricAsync("huzhu_groups_provider_events_total") >= groups.PublishedEvents, "every provider's event has been handled");

    internal static async Task<List<(string? MessageId, string Reason, string Body, IReadOnlyBasicProperties Properties)>> DeadLettersAsync(GroupsService groups)
    {
        List<(string?, string, string, IReadOnlyBasicProperties)> letters = [];
        await using var connection = await new ConnectionFactory { Uri = new Uri(groups.Amqp) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        // Read and given back when the channel closes.
        while (await channel.BasicGetAsync("groups-provider-events_error", autoAck: false) is { } letter)
            letters.Add((letter.BasicProperties.MessageId, Header(letter.BasicProperties, "x-reason")!, Encoding.UTF8.GetString(letter.Body.Span), new BasicProperties(letter.BasicProperties)));
        return letters;
    }

    private Task PublishStructuredAsync(Guid provider, string type, string eventId) =>
        PublishAsync(_groups, "clinic.closures", Structured(provider, type, eventId), new BasicProperties { ContentType = "application/cloudevents+json; charset=utf-8", MessageId = eventId });

    private static string Structured(Guid provider, string type, string eventId) => $$$"""
        {"specversion":"1.0","id":"{{{eventId}}}","source":"//clinic.example","type":"{{{type}}}","subject":"{{{provider}}}","data":{"reason":"lockdown"}}
        """;

    private static IEnumerable<(string Name, string Value)> Attributes(Guid provider, string type, string eventId, DateTimeOffset? time)
    {
        yield return ("specversion", "1.0");
        yield return ("id", eventId);
        yield return ("source", "//clinic.example");
        yield return ("type", type);
        yield return ("subject", provider.ToString());
        if (time is { } moment)
            yield return ("time", moment.ToString("O"));
    }

    private static StringContent Content(string body, string type)
    {
        var content = new StringContent(body, Encoding.UTF8);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return content;
    }

    private static string? Header(IReadOnlyBasicProperties properties, string name) =>
        properties.Headers?.TryGetValue(name, out var value) == true && value is byte[] bytes ? Encoding.UTF8.GetString(bytes) : null;

    private static (HttpStatusCode, string?) Of(Answer answer) => (answer.Status, answer.Code);
}
