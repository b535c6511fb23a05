using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>
/// One running Huzhu whose every secret and every personal field is an unmistakable word, which logs all that it can, and
/// whose traces, metrics and logs go to a collector that keeps them.
/// </summary>
public sealed class TalkativeHuzhu : HuzhuFixture
{
    public const string FirstKey = "markerOfTheFirstOpen311Key", SecondKey = "markerOfTheSecondOpen311Key";
    public const string WeChatToken = "markerOfTheWeChatToken", AesKey = "markerOfTheAesKeyWhichIsFortyThreeLettersA0";
    public const string AuthToken = "markerOfTheHotlineToken", HmacSecret = "markerOfTheHotlineSecret";

    private readonly ConcurrentDictionary<string, ConcurrentQueue<string>> _collected = new();
    private WebApplication _collector = null!;
    private WeChatSimulator _weChat = null!;

    protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["Admission__LongestSubmissionSeconds"] = "3600",
        ["Channels__AnswerWithinMilliseconds"] = "15000",
        ["Logging__LogLevel__Default"] = "Trace",
        // One service's own settings ask for less.
        ["Logging__LogLevel__Microsoft.AspNetCore"] = "Trace",
        ["Logging__LogLevel__Npgsql"] = "Trace",
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Address,
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_METRIC_EXPORT_INTERVAL"] = "1000",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        ["OTEL_BLRP_SCHEDULE_DELAY"] = "200",
        ["Channels__WeChat__Accounts__main__AppId"] = WeChatSimulator.AppId,
        ["Channels__WeChat__Accounts__main__Token"] = WeChatToken,
        ["Channels__WeChat__Accounts__main__AppSecret"] = WeChatSimulator.AppSecret,
        ["Channels__WeChat__Accounts__main__ApiBaseUrl"] = _weChat.Address,
        ["Channels__WeChat__Accounts__secure__AppId"] = WeChatSimulator.AppId,
        ["Channels__WeChat__Accounts__secure__Token"] = WeChatToken,
        ["Channels__WeChat__Accounts__secure__EncodingAesKey"] = AesKey,
        ["Channels__Hotline__Accounts__main__AuthToken"] = AuthToken,
        ["Channels__Hotline__Accounts__main__HmacSecret"] = HmacSecret,
        ["Channels__Open311__Jurisdictions__w__ConsentBasis"] = "public-task",
        ["Channels__Open311__Jurisdictions__w__Keys__first__Secret"] = FirstKey,
        ["Channels__Open311__Jurisdictions__w__Keys__first__Scopes"] = "submit read",
        ["Channels__Open311__Jurisdictions__w__Keys__second__Secret"] = SecondKey,
        ["Channels__Open311__Jurisdictions__w__Keys__second__Scopes"] = "submit read",
    };

    public string Address => _collector.Urls.Single();
    public WeChatSimulator WeChat => _weChat;

    /// <summary>What came to a path, as it came.</summary>
    public IReadOnlyList<string> Collected(string path) => [.. _collected.Where(one => one.Key.StartsWith(path, StringComparison.Ordinal)).SelectMany(one => one.Value)];

    public override async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        _collector = builder.Build();
        _collector.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            // Texts stand in the messages as they are.
            _collected.GetOrAdd(context.Request.Path.Value!, _ => []).Enqueue(Encoding.UTF8.GetString(body.ToArray()));
        });
        await _collector.StartAsync();
        _weChat = await WeChatSimulator.StartAsync();
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _weChat.DisposeAsync();
        await _collector.DisposeAsync();
    }
}

public sealed class SecretsTests(TalkativeHuzhu fixture) : IClassFixture<TalkativeHuzhu>, IDisposable
{
    private const string Open311 = "/open311/v2/requests.json";

    private readonly Client _huzhu = new(fixture.Huzhu);
    private readonly HttpClient _http = new();
    private readonly List<string> _refusals = [];

    public void Dispose()
    {
        _huzhu.Dispose();
        _http.Dispose();
    }

    [Fact]
    public async Task no_secret_and_nothing_of_a_person_is_in_logs_traces_metrics_and_refusals_of_any_service()
    {
        // Said by people, and by the systems that speak for them.
        string[] words =
        [
            "markerOfARef", "markerOfAName", "13911122233", "markerOfAnAddress", "markerOfANote", "markerOfAnotherPerson", "markerOfAReason",
            "markerOfAnOpenId", "markerOfAChat", "13911144455", "markerOfAText", "markerOfADescription", "markerOfAStreet", "markerOfAFirstName", "13911166677",
            "markerOfAWebhooksPath", "bWFya2VyT2ZBV2ViaG9va3NTZWNyZXQ", "markerOfALiedKey", "markerOfAToken", "markerOfABody", "markerOfASubscription",
        ];
        fixture.WeChat.Writes("markerOfAnOpenId");
        var group = Client.Entry("Group of secrets", lat: 11, lon: 111);
        var entry = System.Text.Json.JsonSerializer.SerializeToNode(group)!;
        entry["channels"] = new JsonArray(new JsonObject { ["kind"] = "webhook", ["address"] = $"{fixture.Address}/hook/markerOfAWebhooksPath", ["secret"] = "whsec_bWFya2VyT2ZBV2ViaG9va3NTZWNyZXQ=" });
        await _huzhu.RegisterAsync("groups", entry);

        var call = System.Text.Json.JsonSerializer.SerializeToNode(Client.Request("secrets", lat: 11.0005, lon: 111.0005, caller: "markerOfARef"))!;
        (call["caller"]!["name"], call["caller"]!["phone"]) = ("markerOfAName", "+8613911122233");
        call["caller"]!["channels"] = new JsonArray(new JsonObject { ["kind"] = "wechat", ["address"] = "main/markerOfAnOpenId" });
        call["onBehalfOf"] = new JsonObject { ["ref"] = "markerOfAnotherPerson", ["name"] = "markerOfAnotherPerson" };
        (call["location"]!["text"], call["needs"]![0]!["note"]) = ("markerOfAnAddress", "markerOfANote");
        var (status, submitted) = await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", call, "secrets");
        Assert.True(status == 202, $"{status}: {submitted}");
        var (requestId, needId) = ((string)submitted!["requestId"]!, (string)submitted["needs"]![0]!["needId"]!);

        // Told by webhook, read and accepted by the offer's own link, visited by the key of the visit.
        await Client.EventuallyAsync("the webhook", () => Task.FromResult((fixture.Collected("/hook").Count > 0, (JsonNode?)null)));
        var match = await _huzhu.MatchInAsync(needId, "offered");
        var offer = new Uri((string)JsonNode.Parse(fixture.Collected("/hook")[0])!["data"]!["links"]!["accept"]!);
        var offerKey = System.Web.HttpUtility.ParseQueryString(offer.Query)["key"]!;
        Assert.Equal(HttpStatusCode.OK, (await _http.PostAsync(offer, null, TestContext.Current.CancellationToken)).StatusCode);
        var shown = JsonNode.Parse(await _http.GetStringAsync(new Uri(offer.AbsoluteUri.Replace("/accept", "", StringComparison.Ordinal)), TestContext.Current.CancellationToken))!;
        var visitKey = (string)shown["visitKey"]!;
        await _huzhu.RequestInAsync(requestId, "accepted");
        Assert.Contains("markerOfAnAddress", await GetAsync("requests", $"/v1/requests/{requestId}/visit?needId={needId}&key={visitKey}", HttpStatusCode.OK));
        var own = new Uri(new Uri("http://here"), (string)submitted["ownUrl"]!);
        Assert.Contains("accepted", await GetAsync("requests", own.PathAndQuery, HttpStatusCode.OK));
        await _huzhu.PostAsync("requests", $"/v1/requests/{requestId}/cancel", "operator", new { reason = "markerOfAReason" });
        await Client.EventuallyAsync("a message by WeChat", () => Task.FromResult((fixture.WeChat.Delivered.Count > 0, (JsonNode?)null)));

        // By the front ends.
        await ByWeChatAsync();
        await ByTextMessageAsync();
        Assert.Equal(HttpStatusCode.Created, (await _http.PostAsync(At("requests", Open311), Form(("api_key", TalkativeHuzhu.FirstKey), ("service_code", "meals"), ("lat", "11.1"), ("long", "111.1"),
            ("description", "markerOfADescription"), ("address_string", "markerOfAStreet"), ("first_name", "markerOfAFirstName"), ("phone", "+8613911166677")), TestContext.Current.CancellationToken)).StatusCode);
        Assert.Contains("meals", await GetAsync("requests", $"{Open311}?api_key={TalkativeHuzhu.SecondKey}", HttpStatusCode.OK));

        // Refused, by every service.
        foreach (var service in Repository.ServiceNames)
        {
            await RefusedAsync(service, HttpMethod.Get, "/nowhere?key=markerOfALiedKey");
            await RefusedAsync(service, HttpMethod.Get, "/v1/backlog", "markerOfAToken");
            await RefusedAsync(service, HttpMethod.Delete, $"/v1/people/{Guid.NewGuid()}?key=markerOfALiedKey");
        }
        foreach (var (service, path) in new[] { ("requests", "/v1/requests"), ("groups", "/v1/groups"), ("groups", "/v1/measures"), ("notifications", "/v1/subscriptions"), ("notifications", "/v1/replies") })
        {
            foreach (var body in new[] { "{\"source\": \"markerOfABody", "{\"source\": {\"markerOfABody\": 1}, \"name\": 7, \"url\": 7, \"id\": \"markerOfABody\"}", "{\"urgency\": \"markerOfABody\", \"name\": \"markerOfABody\", \"url\": \"http://10.0.0.1/markerOfASubscription\", \"kind\": \"markerOfABody\"}" })
                await RefusedAsync(service, HttpMethod.Post, path, fixture.Huzhu.Services.Token("tester", ["intake", "coordinator", "operator", "service"]), body);
        }
        await RefusedAsync("matching", HttpMethod.Get, $"/v1/offers/{Guid.NewGuid()}?key=markerOfALiedKey");
        await RefusedAsync("requests", HttpMethod.Get, $"{Open311}?api_key=markerOfALiedKey");
        await RefusedAsync("requests", HttpMethod.Get, "/channels/wechat/secure?signature=markerOfALiedKey&timestamp=1&nonce=1&echostr=markerOfABody");

        // The trace that came last of each service has reached the collector, and so all before it; and logs and metrics of each,
        // of which some are left out where there are too many: the service's own log has them all. Asked again until it is there.
        await Client.EventuallyAsync("the collector to have been told by all", async () =>
        {
            var missing = Repository.ServiceNames
                .SelectMany(service => new[] { (service, "/v1/traces", $"/last-of-{service}"), (service, "/v1/logs", $"huzhu-{service}"), (service, "/v1/metrics", $"huzhu-{service}") })
                .Append(("requests", "/v1/traces", "/open311/v2"))
                .Where(told => !fixture.Collected(told.Item2).Any(text => text.Contains(told.Item3, StringComparison.Ordinal))).ToList();
            foreach (var service in missing.Select(told => told.Item1).Distinct())
                await RefusedAsync(service, HttpMethod.Get, $"/last-of-{service}");
            return (missing.Count == 0, (JsonNode?)string.Join(' ', missing));
        });
        var keys = fixture.Huzhu.Services.Options.Keys;
        string[] secrets =
        [
            .. words, TalkativeHuzhu.FirstKey, TalkativeHuzhu.SecondKey, TalkativeHuzhu.WeChatToken, TalkativeHuzhu.AesKey, TalkativeHuzhu.AuthToken, TalkativeHuzhu.HmacSecret,
            WeChatSimulator.AppSecret, "token-", keys.Signing, keys.PersonalData, keys.OfferLinks, offerKey, visitKey, own.Query["?key=".Length..],
            .. fixture.Huzhu.Description.Databases.Values.Select(database => new Npgsql.NpgsqlConnectionStringBuilder(database).Password!),
            new Uri(fixture.Huzhu.Description.Broker.Amqp).UserInfo.Split(':')[1], .. fixture.Huzhu.Description.Tokens.Values,
        ];
        Assert.All(secrets, secret => Assert.True(secret.Length > 5));
        var texts = new Dictionary<string, string> { ["refusals"] = string.Join('\n', _refusals) };
        foreach (var kind in new[] { "traces", "metrics", "logs" })
            texts[kind] = string.Join('\n', fixture.Collected($"/v1/{kind}"));
        foreach (var service in Repository.ServiceNames)
        {
            await using var log = new FileStream(fixture.Huzhu.Services[service].LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            texts[$"the log of {service}"] = await new StreamReader(log).ReadToEndAsync(TestContext.Current.CancellationToken);
            // It does say all that it can.
            Assert.Contains("dbug:", texts[$"the log of {service}"]);
            texts[$"the metrics of {service}"] = await GetAsync(service, "/metrics", HttpStatusCode.OK);
        }
        var found = from text in texts
                    from secret in secrets.Distinct()
                    let at = text.Value.IndexOf(secret, StringComparison.Ordinal)
                    where at >= 0
                    select $"{secret} is in {text.Key}: …{text.Value[Math.Max(0, at - 300)..Math.Min(text.Value.Length, at + 100)]}…";
        Assert.True(!found.Any(), string.Join("\n", found));
    }

    private Uri At(string service, string path) => new(fixture.Huzhu.Description.Services[service] + path);

    private static FormUrlEncodedContent Form(params (string Name, string Value)[] fields) => new(fields.Select(field => new KeyValuePair<string, string>(field.Name, field.Value)));

    private async Task<string> GetAsync(string service, string path, HttpStatusCode expected)
    {
        using var answer = await _http.GetAsync(At(service, path), TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == expected, $"{path.Split('?')[0]}: {answer.StatusCode} {text}");
        return text;
    }

    private async Task RefusedAsync(string service, HttpMethod method, string path, string? token = null, string? body = null)
    {
        using var request = new HttpRequestMessage(method, At(service, path)) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        if (body is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", "\"refused\"");
        using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.InRange((int)answer.StatusCode, 400, 499);
        _refusals.Add($"{(int)answer.StatusCode} {answer.Headers} {await answer.Content.ReadAsStringAsync()}");
    }

    private async Task ByWeChatAsync()
    {
        var (timestamp, nonce) = (DateTimeOffset.UtcNow.ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture), "42");
        var signature = Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(string.Concat(new[] { TalkativeHuzhu.WeChatToken, timestamp, nonce }.Order(StringComparer.Ordinal)))));
        using var answer = await _http.PostAsync(At("requests", $"/channels/wechat/main?signature={signature}&timestamp={timestamp}&nonce={nonce}&openid=markerOfAnOpenId"), new StringContent(
            $"<xml><ToUserName><![CDATA[gh]]></ToUserName><FromUserName><![CDATA[markerOfAnOpenId]]></FromUserName><CreateTime>{timestamp}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[no food markerOfAChat]]></Content><MsgId>4711</MsgId></xml>",
            Encoding.UTF8, "text/xml"), TestContext.Current.CancellationToken);
        Assert.Contains("markerOfAnOpenId", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private async Task ByTextMessageAsync()
    {
        var url = At("requests", "/channels/hotline/main/sms");
        (string Name, string Value)[] fields = [("Body", "no food markerOfAText"), ("From", "+8613911144455"), ("MessageSid", "SM4711")];
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = Form(fields) };
        var signature = HMACSHA1.HashData(Encoding.UTF8.GetBytes(TalkativeHuzhu.AuthToken), Encoding.UTF8.GetBytes(url.AbsoluteUri + string.Concat(fields.Select(field => field.Name + field.Value))));
        request.Headers.TryAddWithoutValidation("X-Twilio-Signature", Convert.ToBase64String(signature));
        using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
