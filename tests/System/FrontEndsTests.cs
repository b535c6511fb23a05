using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Huzhu.Local.Infrastructure;
using Huzhu.SystemTests.Clients;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>
/// One running Huzhu with an Official Account and a telephone number. WeChat's and Twilio's sides are spoken by packages from npm
/// that nobody here wrote; what WeChat is told to send goes to the simulator.
/// </summary>
public sealed class FrontEnds : IAsyncLifetime
{
    public const string Token = "QDG6eK";
    public const string Key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
    public const string AuthToken = "12345";
    public const string PublicUrl = "https://help.example/huzhu";

    private readonly ConcurrentQueue<JsonNode> _gateway = [];
    private readonly CancellationTokenSource _end = new();
    private Task _listening = Task.CompletedTask;
    private static long _lastId = DateTime.UtcNow.Ticks;

    public LocalDeployment Huzhu { get; private set; } = null!;
    public NodeClients Clients { get; private set; } = null!;
    public WeChatSimulator WeChat { get; private set; } = null!;

    /// <summary>What the gateway was told to send or to say.</summary>
    public IReadOnlyList<JsonNode> Told => [.. _gateway];

    public async ValueTask InitializeAsync()
    {
        Clients = await NodeClients.InstallAsync("Channels");
        WeChat = await WeChatSimulator.StartAsync();
        var port = FreePorts.Next();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _listening = Clients.RunAsync("gateway.mjs", [$"{port}", AuthToken], limit: Timeout.InfiniteTimeSpan, cancellation: _end.Token, onLine: line =>
        {
            if (line == "listening")
                ready.TrySetResult();
            else if (line.StartsWith('{'))
                _gateway.Enqueue(JsonNode.Parse(line)!);
        });
        if (await Task.WhenAny(_listening, ready.Task) == _listening)
            await _listening;
        Huzhu = await LocalDeployment.StartAsync(new LocalDeploymentOptions
        {
            Kind = "system-test",
            Environment = new Dictionary<string, string>
            {
                ["Channels__WeChat__Accounts__main__AppId"] = WeChatSimulator.AppId,
                ["Channels__WeChat__Accounts__main__AppSecret"] = WeChatSimulator.AppSecret,
                ["Channels__WeChat__Accounts__main__Token"] = Token,
                ["Channels__WeChat__Accounts__main__EncodingAesKey"] = Key,
                ["Channels__WeChat__Accounts__main__ApiBaseUrl"] = WeChat.Address,
                ["Channels__Hotline__Accounts__main__AuthToken"] = AuthToken,
                ["Channels__Hotline__Accounts__main__PublicUrl"] = PublicUrl,
                ["Channels__Hotline__Accounts__main__GatewayUrl"] = $"http://127.0.0.1:{port}",
                // What is tested is what is answered, however slow the machine.
                ["Admission__LongestSubmissionSeconds"] = "3600",
                ["Channels__AnswerWithinMilliseconds"] = "15000",
            },
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (Huzhu is not null)
            await Huzhu.DisposeAsync();
        await _end.CancelAsync();
        await _listening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (WeChat is not null)
            await WeChat.DisposeAsync();
    }

    public static string NewId() => Interlocked.Increment(ref _lastId).ToString();

    /// <summary>A message to the account; what the person is shown.</summary>
    public Task<string> WriteAsync(string openId, string text, string? id = null) => SendAsync(openId, "text", $"<Content><![CDATA[{text}]]></Content>", id);

    public async Task<string> SendAsync(string openId, string type, string fields, string? id = null)
    {
        WeChat.Writes(openId);
        return await Clients.RunAsync("wechat.mjs", [Huzhu.Description.Services["requests"] + "/channels/wechat/main", Token, Key, WeChatSimulator.AppId, openId, id ?? NewId(), type, fields]);
    }

    /// <summary>A webhook of the telephone number, signed with Twilio's library; its status and its answer.</summary>
    public async Task<(int Status, string Answer)> CallAsync(string path, object fields, string authToken = AuthToken)
    {
        var answer = await Clients.RunAsync("twilio.mjs",
            [$"{Huzhu.Description.Services["requests"]}/channels/hotline/main/{path}", $"{PublicUrl}/channels/hotline/main/{path}", authToken, System.Text.Json.JsonSerializer.Serialize(fields)]);
        return (int.Parse(answer[..3], System.Globalization.CultureInfo.InvariantCulture), answer[4..]);
    }

    public async Task<string> TextAsync(string number, string text, string? id = null)
    {
        var (status, answer) = await CallAsync("sms", new { MessageSid = id ?? NewId(), From = number, To = "+862112345", Body = text });
        Assert.True(status == 200, $"{status}: {answer}");
        return XDocument.Parse(answer).Root!.Element("Message")?.Value ?? "";
    }
}

public sealed class FrontEndsTests(FrontEnds ends) : IClassFixture<FrontEnds>, IDisposable
{
    private static int _places;
    private readonly Client _huzhu = new(ends.Huzhu);
    /// <summary>Each test has its own place on the map.</summary>
    private readonly double _lat = 30 + 0.1 * Interlocked.Increment(ref _places);

    public void Dispose() => _huzhu.Dispose();

    private static string Somebody() => "o" + Guid.NewGuid().ToString("N");
    private static string SomeNumber() => "+8613" + Random.Shared.NextInt64(100_000_000, 999_999_999);

    private Task<string> RegisterAsync(string name, string kind, string address, int capacity = 2) => _huzhu.RegisterAsync("groups", new
    {
        name,
        sites = new[] { new { lat = _lat, lon = 121.0, subDistrict = "J" } },
        radiusMetres = 3000.0,
        serviceKinds = new[] { "meals" },
        modes = new[] { "offline" },
        communicationAbilities = Array.Empty<string>(),
        capacity,
        channels = new[] { new { kind, address } },
    });

    private async Task<string> NeedAsync(string urgency = "hardship") =>
        (await _huzhu.SubmitAsync(Client.Request(Guid.NewGuid().ToString("N"), lat: _lat, lon: 121.0, urgency: urgency))).NeedId;

    /// <summary>The texts that a person was sent through WeChat, once there are so many.</summary>
    private async Task<IReadOnlyList<string>> SentAsync(string openId, int count)
    {
        IReadOnlyList<string> texts = [];
        await Client.EventuallyAsync($"{count} messages to a WeChat user", () =>
        {
            texts = [.. ends.WeChat.Delivered.Where(delivery => delivery.OpenId == openId).Select(delivery => delivery.Text)];
            return Task.FromResult((texts.Count >= count, (JsonNode?)new JsonArray([.. texts.Select(text => (JsonNode?)text)])));
        });
        return texts;
    }

    /// <summary>What the gateway was told to send to, or say to, a number, once it was.</summary>
    private Task<JsonNode> ToldAsync(string number, string resource) => Client.EventuallyAsync($"the gateway to be told {resource}", () =>
    {
        var told = ends.Told.FirstOrDefault(told => (string?)told["To"] == number && ((string)told["path"]!).EndsWith(resource, StringComparison.Ordinal));
        return Task.FromResult((told is not null, told));
    });

    [Fact]
    public async Task a_coordinator_answers_by_wechat_and_nobody_else_can()
    {
        var coordinator = Somebody();
        ends.WeChat.Writes(coordinator);
        await RegisterAsync("by wechat", "wechat", $"main/{coordinator}");
        var need = await NeedAsync();
        Assert.Contains("1 接受，2 不能接受", (await SentAsync(coordinator, 1))[0]);

        Assert.DoesNotContain("由您负责", await ends.WriteAsync(Somebody(), "1"));
        await _huzhu.MatchInAsync(need, "offered");

        var id = FrontEnds.NewId();
        var answer = await ends.WriteAsync(coordinator, "1", id);
        Assert.Contains("由您负责", answer);
        Assert.Equal(answer, await ends.WriteAsync(coordinator, "1", id));
        await _huzhu.MatchInAsync(need, "accepted");
        var visit = (await SentAsync(coordinator, 2))[1];
        Assert.Contains("+8613800000000", visit);
        Assert.Contains("完成后请回复 3", visit);

        Assert.Contains("您已经接受", await ends.WriteAsync(coordinator, "2"));
        Assert.Contains("已记为完成", await ends.WriteAsync(coordinator, "3"));
        await _huzhu.MatchInAsync(need, "fulfilled");
        // Nothing of the person's is in the log of messages.
        Assert.Equal(0, (await _huzhu.QueryAsync<long>("notifications", "select count(*) from huzhu.told_offers t where t::text like '%' || $1 || '%'", coordinator))[0]);
    }

    [Fact]
    public async Task who_is_late_is_told_that_the_place_is_taken_and_who_has_several_says_which()
    {
        var (first, second) = (Somebody(), Somebody());
        ends.WeChat.Writes(first);
        ends.WeChat.Writes(second);
        await RegisterAsync("first", "wechat", $"main/{first}");
        await RegisterAsync("second", "wechat", $"main/{second}");
        // Life in danger: several are asked at once.
        var need = await NeedAsync("life-threatening");
        await SentAsync(first, 1);
        await SentAsync(second, 1);
        Assert.Contains("由您负责", await ends.WriteAsync(first, "1"));
        await _huzhu.MatchInAsync(need, "accepted");
        Assert.Contains("已由他人接受", await ends.WriteAsync(second, "1"));

        // The first has one place left, the second two.
        await NeedAsync("life-threatening");
        await NeedAsync("life-threatening");
        var offers = await Client.EventuallyAsync("two open offers to one coordinator", async () =>
        {
            var which = await ends.WriteAsync(second, "1");
            return (which.Contains("请写明是哪一项"), JsonValue.Create(which));
        });
        var number = System.Text.RegularExpressions.Regex.Match((string)offers!, @"^(\d\d) ", System.Text.RegularExpressions.RegexOptions.Multiline).Groups[1].Value;
        Assert.Contains($"没有编号为 {(number == "99" ? "98" : "99")} 的求助", await ends.WriteAsync(second, number == "99" ? "1 98" : "1 99"));
        Assert.Contains($"求助 {number} 由您负责", await ends.WriteAsync(second, $"1 {number}"));
    }

    [Fact]
    public async Task a_coordinator_answers_by_text_message_and_by_pressing_a_key()
    {
        var (texting, talking) = (SomeNumber(), SomeNumber());
        await RegisterAsync("by text", "sms", $"main/{texting}", capacity: 1);
        var first = await NeedAsync();
        var text = await ToldAsync(texting, "/Messages.json");
        Assert.True((bool)text["isSigned"]!);
        Assert.Contains("1 接受，2 不能接受", (string?)text["Body"]);
        Assert.Contains("由您负责", await ends.TextAsync(texting, "1"));
        await _huzhu.MatchInAsync(first, "accepted");

        await RegisterAsync("by voice", "voice", $"main/{talking}", capacity: 1);
        var second = await NeedAsync();
        var call = await ToldAsync(talking, "/Calls.json");
        Assert.True((bool)call["isSigned"]!);
        var action = XDocument.Parse((string)call["Twiml"]!).Root!.Element("Gather")!.Attribute("action")!.Value;
        Assert.StartsWith($"{FrontEnds.PublicUrl}/channels/hotline/main/", action);
        var pressed = new { CallSid = "CA" + FrontEnds.NewId(), From = "main", To = talking, Direction = "outbound-api", CallStatus = "in-progress", Digits = "2" };
        var (status, answer) = await ends.CallAsync(action[$"{FrontEnds.PublicUrl}/channels/hotline/main/".Length..], pressed);
        Assert.Equal(200, status);
        Assert.NotNull(XDocument.Parse(answer).Root!.Element("Hangup"));
        await _huzhu.MatchAsync(second, match => (string)match["offers"]![0]!["state"]! == "declined", "the offer to be declined");
    }

    [Fact]
    public async Task a_message_that_comes_three_times_while_postgresql_is_stopped_becomes_one_request_and_is_answered_when_it_is_back()
    {
        var person = Somebody();
        Assert.Contains("互助", await ends.WriteAsync(person, "你好"));
        var before = (int)(await _huzhu.GetAsync("requests", "/v1/requests", "operator"))["total"]!;
        await ends.Huzhu.Infrastructure.Postgres.StopAsync();
        try
        {
            var id = FrontEnds.NewId();
            for (var delivery = 0; delivery < 3; delivery++)
                Assert.Contains("不会丢失", await ends.WriteAsync(person, "家里没有吃的了", id));
        }
        finally
        {
            await ends.Huzhu.Infrastructure.Postgres.StartAgainAsync();
        }
        // What could not be said then is said now.
        Assert.Contains("帮助送到哪里", (await SentAsync(person, 1))[0]);
        var requests = await _huzhu.GetAsync("requests", "/v1/requests", "operator");
        Assert.Equal(before + 1, (int)requests["total"]!);
        Assert.Contains("还缺信息", await ends.WriteAsync(person, "进度"));
        Assert.Single(await SentAsync(person, 1));
    }

    [Fact]
    public async Task a_talk_goes_through_with_packages_that_nobody_here_wrote()
    {
        var person = Somebody();
        Assert.Contains("帮助送到哪里", await ends.WriteAsync(person, "需要食物"));
        Assert.Contains("请确认", await ends.SendAsync(person, "location", "<Location_X>31.2201</Location_X><Location_Y>121.4401</Location_Y><Scale>19</Scale><Label><![CDATA[J路3号]]></Label>"));
        Assert.Contains("已收到", await ends.WriteAsync(person, "1"));

        Assert.Contains("Where should the help go", await ends.TextAsync(SomeNumber(), "no food since Monday"));
        Assert.Equal(403, (await ends.CallAsync("sms", new { MessageSid = "SM1", From = SomeNumber(), Body = "food" }, authToken: "another")).Status);

        // An integrator's own WeChat client takes the simulator for WeChat.
        ends.WeChat.Writes(person);
        async Task<JsonNode> SendAsync() => JsonNode.Parse(await ends.Clients.RunAsync("easywechat.mjs", [ends.WeChat.Address, WeChatSimulator.AppId, WeChatSimulator.AppSecret, person, "有人会来"]))!;
        Assert.Equal(0, (int)(await SendAsync())["errcode"]!);
        Assert.Contains(ends.WeChat.Delivered, delivery => delivery.OpenId == person && delivery.Text == "有人会来");
        ends.WeChat.FailNext("custom/send", 45015);
        Assert.Equal(45015, (int)(await SendAsync())["errcode"]!);
    }
}
