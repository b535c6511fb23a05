using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Huzhu.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Alerts of a city, posted. Each test has a sender and a piece of the earth of its own.</summary>
public sealed class CapTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private readonly GroupsService _groups = shared.Service;

    [Fact]
    public async Task an_alert_closes_its_area_an_update_changes_it_and_a_cancel_ends_it()
    {
        var city = new City(10, 20);
        var (west, east) = (await _groups.ProviderAsync(city.West), await _groups.ProviderAsync(city.East));
        var posted = await PostAsync(city.Alert("1", city.WestHalf));
        Assert.Equal((HttpStatusCode.OK, "applied"), (posted.Status, Outcome(posted)));
        await _groups.OpeningBecomesAsync(west, "closed");
        Assert.Equal("open", await _groups.OpeningOfAsync(east));
        var measure = (Guid)posted.Body!["measureIds"]![0]!;
        Assert.Equal("Lockdown", (string)(await _groups.GetAsync($"/v1/measures/{measure}", _groups.Operator)).Body!["name"]!);

        // The same again, however often, is the same.
        var before = await _groups.CountEventsAsync();
        Assert.Equal(posted.Body.ToJsonString(), (await PostAsync(city.Alert("1", city.WestHalf))).Body!.ToJsonString());
        Assert.Equal(before, await _groups.CountEventsAsync());

        Assert.Equal("applied", Outcome(await PostAsync(city.Alert("2", city.WestHalf + city.EastHalf, type: "Update", references: city.Reference("1")))));
        await _groups.OpeningBecomesAsync(east, "closed");
        Assert.Equal("lifted", await StateAsync(measure));
        // Under both measures for a moment, it was never seen open.
        Assert.Equal(["open", "closed"], _groups.Told.Where(told => told.ResponderId.Value == west).Select(told => Contracts.Words.Of(told.Opening)).Distinct());

        Assert.Equal("applied", Outcome(await PostAsync(city.Alert("3", city.WestHalf, type: "Cancel", references: city.Reference("2")))));
        await _groups.OpeningBecomesAsync(west, "open");
        await _groups.OpeningBecomesAsync(east, "open");
        Assert.Equal("replaced", Outcome(await PostAsync(city.Alert("2", city.WestHalf + city.EastHalf, type: "Update", references: city.Reference("1")))));
    }

    [Fact]
    public async Task an_alert_that_comes_after_its_cancel_does_nothing()
    {
        var city = new City(12, 20);
        var provider = await _groups.ProviderAsync(city.West);
        Assert.Equal("applied", Outcome(await PostAsync(city.Alert("2", city.WestHalf, type: "Cancel", references: city.Reference("1")))));
        Assert.Equal("replaced", Outcome(await PostAsync(city.Alert("1", city.WestHalf))));
        Assert.Equal(1, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{provider}'"));
        Assert.Equal(0, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where data ->> 'by' = '{city.Sender}' and type = 'measure_published'"));
    }

    [Fact]
    public async Task an_exercise_says_whom_it_would_concern_and_touches_nobody()
    {
        var city = new City(14, 20);
        var (inside, outside) = (await _groups.ProviderAsync(city.West), await _groups.ProviderAsync(city.East));
        await _groups.RegisterAsync("/v1/groups", GroupsService.Entry(sites: city.West));
        var actual = (Guid)(await PostAsync(city.Alert("1", city.EastHalf))).Body!["measureIds"]![0]!;
        await _groups.OpeningBecomesAsync(outside, "closed");

        var drill = await PostAsync(city.Alert("2", city.WestHalf, status: "Exercise"));
        Assert.Equal(("drill", 0), (Outcome(drill), drill.Body!["measureIds"]!.AsArray().Count));
        var report = drill.Body["drill"]!;
        Assert.Equal((1, 8, 1), ((int)report["providersClosed"]!, (int)report["capacityLost"]!, (int)report["groupsInside"]!));
        Assert.Equal(inside, (Guid)Assert.Single(report["providers"]!.AsArray())!["providerId"]!);
        // An exercise that ends what is meant ends nothing; one that ends an exercise does.
        Assert.Equal("drill", Outcome(await PostAsync(city.Alert("3", city.WestHalf, status: "Exercise", type: "Cancel", references: $"{city.Reference("1")} {city.Reference("2")}"))));
        Assert.Equal("replaced", Outcome(await _groups.GetAsync($"/v1/cap/{(string)drill.Body["id"]!}", _groups.Operator)));
        Assert.Equal("in-force", await StateAsync(actual));
        Assert.Equal("open", await _groups.OpeningOfAsync(inside));
        Assert.Equal(1, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{inside}'"));
        Assert.DoesNotContain(_groups.Imposed, imposed => imposed.Area.Any(point => point.Longitude < city.Middle && Math.Abs(point.Latitude - city.Latitude) < 0.5));
    }

    [Fact]
    public async Task a_provider_closed_by_name_is_opened_by_the_cancel_but_not_what_it_has_said_since()
    {
        var city = new City(16, 20);
        var (one, other) = (await _groups.ProviderAsync(city.West), await _groups.ProviderAsync(city.East));
        await PostAsync(city.Alert("1", "", parameters: [("huzhu:provider", one.ToString()), ("huzhu:provider", other.ToString())]));
        await _groups.OpeningBecomesAsync(one, "closed");
        await _groups.OpeningBecomesAsync(other, "closed");
        await _groups.PostAsync($"/v1/providers/{other}/closures", _groups.Operator, new { reason = "flood" });
        await PostAsync(city.Alert("2", "", type: "Cancel", references: city.Reference("1"), parameters: []));
        await _groups.OpeningBecomesAsync(one, "open");
        Assert.Equal("flood", (string)(await _groups.GetAsync($"/v1/providers/{other}", _groups.Operator)).Body!["closedBecause"]!);
    }

    [Theory]
    [InlineData("Test", "Alert")]
    [InlineData("System", "Alert")]
    [InlineData("Draft", "Alert")]
    [InlineData("Actual", "Ack")]
    [InlineData("Actual", "Error")]
    public async Task what_is_not_meant_is_acknowledged_and_nothing_is_stored(string status, string type)
    {
        var city = new City(18, 20);
        var answer = await PostAsync(city.Alert("1", city.WestHalf, status, type));
        Assert.Equal((HttpStatusCode.OK, "ignored"), (answer.Status, Outcome(answer)));
        Assert.Equal(0, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where data::text like '%{city.Sender}%'"));
    }

    [Fact]
    public async Task the_public_samples_get_their_answers()
    {
        var folder = PublicData.Folder("cap-1.2");
        foreach (var (file, status, said) in new[]
        {
            ("earthquake.cap", 200, "ignored"), ("earthquake-iso8859-1.cap", 200, "ignored"), ("weather.cap", 200, "ignored"), ("no_optional_fields.cap", 200, "ignored"),
            ("invalid.cap", 422, "invalid"), ("xee.cap", 400, "malformed"),
        })
        {
            var answer = await PostAsync(await File.ReadAllBytesAsync(Path.Combine(folder, file), TestContext.Current.CancellationToken));
            Assert.Equal((status, said), ((int)answer.Status, answer.Code ?? Outcome(answer)));
        }
    }

    [Fact]
    public async Task what_cannot_be_read_is_a_problem_and_only_an_operator_may()
    {
        Assert.Equal((HttpStatusCode.BadRequest, "malformed"), StatusOf(await PostAsync("<alert>"u8.ToArray())));
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "unsupported-media-type"), StatusOf(await PostAsync("{}"u8.ToArray(), "application/json")));
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too-large"), StatusOf(await PostAsync(new byte[1024 * 1024 + 1])));
        var city = new City(19, 20);
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "invalid"), StatusOf(await PostAsync(city.Alert("1", "<circle>1,1 0</circle>"))));
        Assert.Equal(HttpStatusCode.Forbidden, (await PostAsync(city.Alert("1", city.WestHalf), token: _groups.Coordinator())).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _groups.GetAsync($"/v1/cap/{Guid.NewGuid()}", _groups.Operator)).Status);
    }

    private static (HttpStatusCode, string?) StatusOf(Answer answer) => (answer.Status, answer.Code);
    private static string Outcome(Answer answer) => (string)answer.Body!["outcome"]!;
    private async Task<string> StateAsync(Guid measure) => (string)(await _groups.GetAsync($"/v1/measures/{measure}", _groups.Operator)).Body!["state"]!;
    private Task<Answer> PostAsync(string xml) => PostAsync(Encoding.UTF8.GetBytes(xml));
    private Task<Answer> PostAsync(string xml, string token) => PostAsync(Encoding.UTF8.GetBytes(xml), token: token);

    private Task<Answer> PostAsync(byte[] xml, string type = "application/cap+xml", string? token = null)
    {
        var content = new ByteArrayContent(xml) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
        return _groups.SendAsync(HttpMethod.Post, "/v1/cap", token ?? _groups.Operator, content, with: request => request.Headers.ExpectContinue = xml.Length > 1024 * 1024);
    }
}

/// <summary>Alerts in a feed, read by two replicas.</summary>
public sealed class CapFeedTests(Servers servers)
{
    [Fact]
    public async Task a_feed_is_read_by_one_replica_at_a_time_and_only_what_is_new_is_fetched()
    {
        await using var publisher = await FeedPublisher.StartAsync();
        var city = new City(30, 20);
        await using var groups = await GroupsService.StartAsync(servers, replicas: 2, environment: new Dictionary<string, string>
        {
            ["Cap__AllowedPrivateHosts__0"] = "127.0.0.1",
            ["Cap__Feeds__0__Url"] = publisher.Address + "/feed",
            ["Cap__Feeds__0__Senders__0"] = city.Sender,
            ["Cap__Feeds__0__IntervalSeconds"] = "1",
            ["Cap__Feeds__1__Url"] = publisher.Address + "/rss",
            ["Cap__Feeds__1__Senders__0"] = city.Sender,
            ["Cap__Feeds__1__IntervalSeconds"] = "1",
        });
        var (west, east) = (await groups.ProviderAsync(city.West), await groups.ProviderAsync(city.East));

        // Three entries: an alert, one of a stranger, and one that leads where nobody may go.
        publisher.Show("/1.cap", city.Alert("1", city.WestHalf));
        publisher.Show("/2.cap", new City(30, 20, "stranger@x.example").Alert("1", city.EastHalf));
        publisher.Show("/redirect", "", StatusCodes.Status302Found);
        publisher.Show("/feed", Atom("/1.cap", "/2.cap", "http://10.0.0.1/3.cap", "file:///etc/passwd"));
        publisher.Show("/rss", "<rss version=\"2.0\"><channel></channel></rss>");
        await groups.OpeningBecomesAsync(west, "closed");
        Assert.Equal("open", await groups.OpeningOfAsync(east));

        // Unchanged, it is asked for with its tag, and its entries are left alone.
        await Eventually.Async(() => Task.FromResult(publisher.NotModified("/feed") >= 4), "the feed is asked for by its tag");
        // Once a replica: what another one remembers it does not know.
        Assert.InRange(publisher.Count("/1.cap"), 1, 2);
        Assert.Equal(1, publisher.MostAtOnce);

        publisher.Show("/3.cap", city.Alert("2", city.EastHalf, type: "Update", references: city.Reference("1")));
        publisher.Show("/rss", $"<rss version=\"2.0\"><channel><item><guid>3</guid><link>{publisher.Address}/3.cap</link></item></channel></rss>");
        await groups.OpeningBecomesAsync(east, "closed");
        await groups.OpeningBecomesAsync(west, "open");
        Assert.Equal(2, await groups.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'alert_received'"));

        static string Atom(params string[] links) => $"""
            <feed xmlns="http://www.w3.org/2005/Atom"><id>f</id>{string.Concat(links.Select((link, index) => $"<entry><id>{index}</id><link type=\"application/cap+xml\" href=\"{link}\"/></entry>"))}</feed>
            """;
    }

    [Fact]
    public async Task a_feed_that_cannot_be_read_is_tried_again_and_nothing_else_is_fetched()
    {
        await using var publisher = await FeedPublisher.StartAsync();
        publisher.Show("/text", "not XML at all");
        publisher.Show("/type", $"<!DOCTYPE feed SYSTEM \"{publisher.Address}/elsewhere\"><feed/>");
        publisher.Show("/page", "<html/>");
        publisher.Show("/redirect", "", StatusCodes.Status302Found);
        publisher.Show("/broken", "", StatusCodes.Status500InternalServerError);
        publisher.Show("/large", new string(' ', 3 * 1024 * 1024));
        string[] paths = ["/broken", "/large", "/page", "/redirect", "/text", "/type"];
        var settings = new Dictionary<string, string> { ["Cap__AllowedPrivateHosts__0"] = "127.0.0.1" };
        foreach (var (index, path) in paths.Index())
        {
            settings[$"Cap__Feeds__{index}__Url"] = publisher.Address + path;
            settings[$"Cap__Feeds__{index}__Senders__0"] = "city@w.example";
            settings[$"Cap__Feeds__{index}__IntervalSeconds"] = "1";
        }
        await using var groups = await GroupsService.StartAsync(servers, environment: settings);
        await Eventually.Async(() => Task.FromResult(paths.All(path => publisher.Count(path) >= 2)), "each is asked for again");
        Assert.True(await groups.MetricAsync("huzhu_groups_cap_feeds_total") >= paths.Length);
        Assert.Equal(paths, publisher.Paths.Order());
        Assert.Equal(0, await groups.CountEventsAsync());
    }

    /// <summary>A city's web server.</summary>
    private sealed class FeedPublisher : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly ConcurrentDictionary<string, (string Body, int Status, string Tag)> _shown = [];
        private readonly ConcurrentQueue<(string Path, int Status)> _answered = [];
        private readonly ConcurrentDictionary<string, int> _open = [];

        private FeedPublisher(WebApplication app) => _app = app;

        public string Address => _app.Urls.Single();
        public int MostAtOnce { get; private set; }
        public IEnumerable<string> Paths => _answered.Select(one => one.Path).Distinct();
        public int Count(string path) => _answered.Count(one => one.Path == path && one.Status != 304);
        public int NotModified(string path) => _answered.Count(one => one.Path == path && one.Status == 304);

        public static async Task<FeedPublisher> StartAsync()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            var publisher = new FeedPublisher(builder.Build());
            publisher._app.Run(publisher.HandleAsync);
            await publisher._app.StartAsync();
            return publisher;
        }

        public void Show(string path, string body, int status = 200) => _shown[path] = (body, status, $"\"{Guid.NewGuid():N}\"");

        public async ValueTask DisposeAsync() => await _app.DisposeAsync();

        private async Task HandleAsync(HttpContext context)
        {
            var path = context.Request.Path.Value!;
            MostAtOnce = Math.Max(MostAtOnce, _open.AddOrUpdate(path, 1, (_, open) => open + 1));
            try
            {
                // Long enough that two readers at once would meet.
                await Task.Delay(50);
                var (body, status, tag) = _shown.GetValueOrDefault(path, ("", 404, "\"\""));
                if (status == 200 && context.Request.Headers.IfNoneMatch == tag)
                    status = 304;
                context.Response.StatusCode = status;
                context.Response.Headers.ETag = tag;
                if (status == 302)
                    context.Response.Headers.Location = "/elsewhere";
                _answered.Enqueue((path, status));
                if (status == 200)
                    await context.Response.WriteAsync(body);
            }
            finally
            {
                _open.AddOrUpdate(path, 0, (_, open) => open - 1);
            }
        }
    }
}

/// <summary>A city with a western and an eastern half, half a degree each, and its own warnings.</summary>
internal sealed record City(double Latitude, double Longitude, string? From = null)
{
    public string Sender => From ?? $"city-{Latitude}@w.example";
    public double Middle => Longitude + 0.5;
    public (double, double) West => (Latitude + 0.25, Longitude + 0.25);
    public (double, double) East => (Latitude + 0.25, Longitude + 0.75);
    public string WestHalf => Half(Longitude);
    public string EastHalf => Half(Middle);

    public string Reference(string identifier) => $"{Sender},{identifier},{Sent(identifier)}";

    public string Alert(string identifier, string shapes, string status = "Actual", string type = "Alert", string? references = null, (string Name, string Value)[]? parameters = null) => $"""
        <?xml version="1.0" encoding="UTF-8"?>
        <alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{identifier}</identifier><sender>{Sender}</sender><sent>{Sent(identifier)}</sent>
        <status>{status}</status><msgType>{type}</msgType><scope>Public</scope>{(references is null ? "" : $"<references>{references}</references>")}
        <info><category>Safety</category><event>Lockdown</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
        {string.Concat((parameters ?? [("huzhu:measure", "lockdown")]).Select(one => $"<parameter><valueName>{one.Name}</valueName><value>{one.Value}</value></parameter>"))}
        <area><areaDesc>half of the city</areaDesc>{shapes}</area></info></alert>
        """;

    private static string Sent(string identifier) => $"2026-01-01T08:00:0{identifier}+08:00";

    private string Half(double west) => FormattableString.Invariant(
        $"<polygon>{Latitude},{west} {Latitude},{west + 0.5} {Latitude + 0.5},{west + 0.5} {Latitude + 0.5},{west} {Latitude},{west}</polygon>");
}
