using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

public sealed class ProblemsTests(Servers servers)
{
    [Theory]
    [InlineData("{\"name\":", "application/json", 400, "malformed")]
    [InlineData("{\"count\": 1}", "application/json", 400, "malformed")]
    [InlineData("{\"name\": null, \"count\": 1}", "application/json", 400, "malformed")]
    [InlineData("{\"name\": \"a\", \"count\": \"many\"}", "application/json", 400, "malformed")]
    [InlineData("{\"name\": \"a\", \"count\": 1, \"urgency\": \"now\"}", "application/json", 400, "malformed")]
    [InlineData("<thing/>", "application/xml", 415, "unsupported-media-type")]
    public async Task a_bad_body_is_a_problem_that_repeats_nothing_of_it(string body, string type, int status, string code)
    {
        await using var service = await StartAsync();
        var problem = await SendAsync(service, HttpMethod.Post, "/things", service.Token(Roles.Intake), new StringContent(body, Encoding.UTF8, type));
        Assert.Equal((status, code), problem);
    }

    [Fact]
    public async Task limits_tokens_roles_and_refusals_answer_with_their_own_codes()
    {
        await using var service = await StartAsync("--Limits:BodyBytes", "1000");
        var token = service.Token(Roles.Intake);
        var large = new StringContent(new string(' ', 2000), Encoding.UTF8, "application/json");
        Assert.Equal((413, "too-large"), await SendAsync(service, HttpMethod.Post, "/things", token, large));
        Assert.Equal((401, "unauthenticated"), await SendAsync(service, HttpMethod.Get, "/refused", null));
        Assert.Equal((401, "unauthenticated"), await SendAsync(service, HttpMethod.Get, "/refused", token[..^4] + "AAAA"));
        Assert.Equal((403, "forbidden"), await SendAsync(service, HttpMethod.Get, "/refused", service.Token(Roles.Auditor)));
        Assert.Equal((409, "place-filled"), await SendAsync(service, HttpMethod.Get, "/refused", token));
        Assert.Equal((404, "not-found"), await SendAsync(service, HttpMethod.Get, "/nowhere", token));
        Assert.Equal((500, "error"), await SendAsync(service, HttpMethod.Get, "/broken", token));
    }

    [Fact]
    public async Task a_client_that_asks_too_often_is_told_when_to_come_back()
    {
        await using var service = await StartAsync("--Limits:RequestsPerSecond", "5");
        using var http = new HttpClient { BaseAddress = service.Address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", service.Token(Roles.Intake));
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => http.GetAsync("/refused", TestContext.Current.CancellationToken)));
        var refused = answers.Where(answer => (int)answer.StatusCode == 429).ToList();
        Assert.NotEmpty(refused);
        Assert.All(refused, answer => Assert.NotNull(answer.Headers.RetryAfter));
    }

    [Theory]
    // A key of one's own is room of one's own, and so is a link that has opened something.
    [InlineData("/keyed?api_key=first-key", "/keyed?api_key=second-key")]
    [InlineData("/keyed", "/keyed?api_key=second-key")]
    [InlineData("/linked?key=wrong-{0}", "/linked?key=second-key")]
    public async Task a_caller_without_a_token_is_known_by_what_it_proves(string flood, string other)
    {
        await using var service = await StartAsync("--Limits:RequestsPerSecond", "5");
        await AssertAnswersAsync(service, other, 1);
        using var flooding = Flood.Of(service, number => (string.Format(System.Globalization.CultureInfo.InvariantCulture, flood, number), null));
        await flooding.RefusedAsync();
        await AssertAnswersAsync(service, other, 8);
    }

    /// <summary>Else a new key with every call would be a way without limits.</summary>
    [Theory]
    [InlineData("/keyed?api_key={0}", null)]
    [InlineData("/linked?key={0}", null)]
    [InlineData("/keyed", "198.51.100.{0}")]
    public async Task what_a_caller_merely_says_makes_no_room(string path, string? forwardedFor)
    {
        await using var service = await StartAsync("--Limits:RequestsPerSecond", "5");
        using var flooding = Flood.Of(service, number => (Fill(path, number), forwardedFor is null ? null : Fill(forwardedFor, number)));
        await flooding.RefusedAsync();
    }

    [Fact]
    public async Task a_proxy_that_is_trusted_says_where_a_call_comes_from_and_its_client_cannot()
    {
        await using var service = await StartAsync("--Limits:RequestsPerSecond", "5", "--Proxies:Networks:0", "127.0.0.0/8");
        // What the client wrote itself stands before what the proxy added.
        using var flooding = Flood.Of(service, number => ("/keyed", Fill("198.51.100.{0}, 203.0.113.1", number)));
        await flooding.RefusedAsync();
        await AssertAnswersAsync(service, "/keyed", 8, forwardedFor: "203.0.113.2");
        // One network of IPv6 is one caller.
        using var another = Flood.Of(service, number => ("/keyed", $"2001:db8::{number:x}"));
        await another.RefusedAsync();
        await AssertAnswersAsync(service, "/keyed", 8, forwardedFor: "2001:db8:0:1::1");
    }

    [Fact]
    public async Task a_network_of_proxies_that_is_none_is_named()
    {
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync("--Proxies:Networks:0", "everybody"));
        Assert.Contains("Proxies:Networks:0", refused.Message);
    }

    private static string Fill(string text, int number) => string.Format(System.Globalization.CultureInfo.InvariantCulture, text, number % 250);

    private static async Task AssertAnswersAsync(SampleService service, string path, int times, string? forwardedFor = null)
    {
        using var http = new HttpClient { BaseAddress = service.Address };
        for (var call = 0; call < times; call++)
            Assert.Equal(200, await Flood.AskAsync(http, path, forwardedFor));
    }

    /// <summary>Calls without a pause until it is disposed.</summary>
    private sealed class Flood : IDisposable
    {
        private readonly CancellationTokenSource _enough = new();
        private readonly HttpClient _http;
        private int _refused;

        private Flood(SampleService service) => _http = new HttpClient { BaseAddress = service.Address };

        public static Flood Of(SampleService service, Func<int, (string Path, string? ForwardedFor)> call)
        {
            var (flood, number) = (new Flood(service), 0);
            for (var caller = 0; caller < 4; caller++)
                _ = Task.Run(async () =>
                {
                    while (!flood._enough.IsCancellationRequested)
                    {
                        var (path, forwardedFor) = call(Interlocked.Increment(ref number));
                        if (await AskAsync(flood._http, path, forwardedFor) == 429)
                            Interlocked.Increment(ref flood._refused);
                    }
                });
            return flood;
        }

        /// <summary>Until the flood has no room left.</summary>
        public Task RefusedAsync() => Received.UntilAsync(() => Volatile.Read(ref _refused) > 10, "the flood to be refused", seconds: 60);

        public static async Task<int> AskAsync(HttpClient http, string path, string? forwardedFor)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            if (forwardedFor is not null)
                request.Headers.TryAddWithoutValidation("X-Forwarded-For", forwardedFor);
            using var answer = await http.SendAsync(request);
            return (int)answer.StatusCode;
        }

        public void Dispose() => _enough.Cancel();
    }

    [Fact]
    public async Task health_metrics_and_the_description_need_no_token()
    {
        await using var service = await StartAsync();
        using var http = new HttpClient { BaseAddress = service.Address };
        foreach (var path in new[] { "/health/live", "/metrics", "/openapi/v1.json", "/scalar/" })
            Assert.Equal(200, (int)(await http.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task every_answer_has_the_headers_that_protect_it()
    {
        await using var service = await StartAsync("--Limits:BodyBytes", "1000");
        using var http = new HttpClient { BaseAddress = service.Address };
        var token = service.Token(Roles.Intake);
        var seen = new HashSet<int>();
        foreach (var (method, path, as_, body) in new (HttpMethod, string, string?, string?)[]
        {
            (HttpMethod.Get, "/health/live", null, null), (HttpMethod.Get, "/metrics", null, null), (HttpMethod.Get, "/openapi/v1.json", null, null), (HttpMethod.Get, "/scalar/", null, null),
            (HttpMethod.Post, "/things", token, """{"name": "a", "count": 1}"""), (HttpMethod.Post, "/things", token, "{"), (HttpMethod.Post, "/things", token, new string(' ', 2000)),
            (HttpMethod.Get, "/refused", null, null), (HttpMethod.Get, "/refused", service.Token(Roles.Auditor), null), (HttpMethod.Get, "/refused", token, null),
            (HttpMethod.Get, "/nowhere", token, null), (HttpMethod.Get, "/broken", token, null),
        })
        {
            using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Authorization = as_ is null ? null : new AuthenticationHeaderValue("Bearer", as_);
            using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
            seen.Add((int)answer.StatusCode);
            string Header(string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : $"{path} has no {name}";
            Assert.Equal("nosniff", Header("X-Content-Type-Options"));
            Assert.Equal("no-store", Header("Cache-Control"));
            Assert.Equal("no-referrer", Header("Referrer-Policy"));
            Assert.Contains("frame-ancestors 'none'", Header("Content-Security-Policy"));
            Assert.Equal(!path.StartsWith("/scalar", StringComparison.Ordinal), Header("Content-Security-Policy").Contains("default-src 'none'", StringComparison.Ordinal));
            Assert.False(answer.Headers.Contains("Server"));
        }
        Assert.Equal([200, 400, 401, 403, 404, 409, 413, 500], seen.Order());
    }

    /// <summary>Whatever goes to a collector: names, tags and events of everything that a call makes here.</summary>
    [Fact]
    public async Task no_secret_is_in_a_trace()
    {
        var traced = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var listener = new System.Diagnostics.ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref System.Diagnostics.ActivityCreationOptions<System.Diagnostics.ActivityContext> _) => System.Diagnostics.ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity => traced.Enqueue($"{activity.DisplayName} {activity.StatusDescription} {string.Join(' ', activity.TagObjects)} {string.Join(' ', activity.Baggage)} "
                + string.Join(' ', activity.Events.SelectMany(one => one.Tags.Select(tag => $"{one.Name} {tag}")))),
        };
        System.Diagnostics.ActivitySource.AddActivityListener(listener);
        var (database, broker) = (await servers.CreateDatabaseAsync("traces"), await servers.CreateVirtualHostAsync());
        await using var service = await SampleService.StartAsync(database, broker);
        var token = service.Token(Roles.Intake);
        using (var http = new HttpClient { BaseAddress = service.Address })
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            foreach (var path in new[] { "/refused?key=MARKEROFAKEY", "/broken?key=MARKEROFAKEY", "/nowhere?key=MARKEROFAKEY" })
                using (await http.GetAsync(path, TestContext.Current.CancellationToken)) { }
        }
        await service.AppendAsync("traced");
        await Received.UntilAsync(() => service.Received.Messages.Count == 1, "the message to come");

        var text = string.Join('\n', traced);
        // What should have been searched is there: the calls, the route and the message.
        Assert.Contains("/refused", text);
        Assert.Contains("url.query", text);
        Assert.Contains("OfferDelivered", text);
        string[] secrets = ["MARKEROFAKEY", token, "secret detail", new Npgsql.NpgsqlConnectionStringBuilder(database).Password!, new Uri(broker).UserInfo.Split(':')[1], Convert.ToBase64String(new byte[32])];
        Assert.All(secrets, secret => Assert.NotEmpty(secret));
        Assert.All(secrets, secret => Assert.DoesNotContain(secret, text));
    }

    private async Task<SampleService> StartAsync(params string[] settings) =>
        await SampleService.StartAsync(await servers.CreateDatabaseAsync("problems"), await servers.CreateVirtualHostAsync(), settings: settings);

    private static async Task<(int Status, string Code)> SendAsync(SampleService service, HttpMethod method, string path, string? token, HttpContent? content = null)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(method, new Uri(service.Address, path)) { Content = content };
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var answer = await http.SendAsync(request);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.DoesNotContain("secret detail", text);
        Assert.DoesNotContain("many", text);
        return ((int)answer.StatusCode, (string)JsonNode.Parse(text)!["code"]!);
    }
}
