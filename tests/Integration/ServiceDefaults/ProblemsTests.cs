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

    [Fact]
    public async Task health_metrics_and_the_description_need_no_token()
    {
        await using var service = await StartAsync();
        using var http = new HttpClient { BaseAddress = service.Address };
        foreach (var path in new[] { "/health/live", "/metrics", "/openapi/v1.json", "/scalar/" })
            Assert.Equal(200, (int)(await http.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);
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
