using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Huzhu.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>The WeChat channel against a simulator that keeps WeChat's rules.</summary>
public sealed class WeChatChannelTests(Servers servers) : IAsyncLifetime
{
    private const string OpenId = "oyORnuP8q7ou2gfYjqLzSIWZf0rs";
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private WeChatSimulator _wechat = null!;
    private NpgsqlDataSource _database = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _wechat = await WeChatSimulator.StartAsync(_time);
        _database = NpgsqlDataSource.Create(await servers.CreateDatabaseAsync("wechat_tokens"));
    }

    public async ValueTask DisposeAsync()
    {
        await _wechat.DisposeAsync();
        await _database.DisposeAsync();
    }

    /// <summary>One replica's channel.</summary>
    private WeChatChannel Channel(bool withTemplates = false)
    {
        var senders = WeChatSender.Read(Settings(new()
        {
            ["AppId"] = WeChatSimulator.AppId,
            ["AppSecret"] = WeChatSimulator.AppSecret,
            ["ApiBaseUrl"] = _wechat.Address,
            ["SubscribeTemplateId"] = withTemplates ? "subscribe-1" : null,
            ["TemplateId"] = withTemplates ? "template-1" : null,
        }));
        var http = new ProviderClient(TimeProvider.System);
        return new WeChatChannel(senders, new WeChatTokens(http, _database, _time), http);
    }

    private static IConfiguration Settings(Dictionary<string, string?> account) => new ConfigurationBuilder().AddInMemoryCollection(
        account.ToDictionary(pair => $"Channels:WeChat:Accounts:main:{pair.Key}", pair => pair.Value)).Build();

    internal static Message Message(string zh = "有人会来帮助您。", string? language = null, string type = "org.huzhu.need.state.v1", object? visit = null, int? answerNumber = null, string? shortText = null) => new(new NotificationId(Guid.CreateVersion7()), "requester-1",
        JsonSerializer.SerializeToUtf8Bytes(new { type, data = new { language, visit, answerNumber, shortText = shortText is null ? null : new { zh = shortText, en = shortText }, text = new { zh, en = "Somebody will help you." } } }, new JsonSerializerOptions { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull }));

    private static readonly Address To = new($"main/{OpenId}", null);

    [Fact]
    public async Task who_has_just_written_is_answered_as_by_customer_service_in_their_language()
    {
        using var channel = Channel();
        _wechat.Writes(OpenId);
        Assert.True((await channel.SendAsync(Message(), To, Cancellation)).Succeeded);
        Assert.True((await channel.SendAsync(Message(language: "en"), To, Cancellation)).Succeeded);
        Assert.True((await channel.SendAsync(Message(visit: new { name = "Ms Lin", lat = 31.2, addressText = "Building 3" }), new Address(OpenId, null), Cancellation)).Succeeded);
        Assert.Equal(["有人会来帮助您。", "Somebody will help you.", "有人会来帮助您。\nMs Lin\nBuilding 3"], _wechat.Delivered.Select(delivery => delivery.Text));
        Assert.Equal(1, _wechat.TokenRequests);
    }

    [Fact]
    public async Task after_five_messages_or_two_days_templates_take_over_and_without_them_the_next_channel()
    {
        using var bare = Channel();
        using var channel = Channel(withTemplates: true);
        _wechat.Writes(OpenId);
        for (var count = 0; count < 5; count++)
            Assert.True((await channel.SendAsync(Message(), To, Cancellation)).Succeeded);
        Assert.Equal(("wechat-45047", true), Short(await bare.SendAsync(Message(), To, Cancellation)));
        _wechat.Agrees(OpenId);
        Assert.True((await channel.SendAsync(Message("一句超过二十个字符的话会被截断，因为订阅消息的字段放不下更多的字。"), To, Cancellation)).Succeeded);
        _time.Advance(TimeSpan.FromHours(49));
        Assert.Equal(("wechat-45015", true), Short(await bare.SendAsync(Message(), To, Cancellation)));
        var message = Message();
        Assert.True((await channel.SendAsync(message, To, Cancellation)).Succeeded);
        Assert.True((await channel.SendAsync(message, To, Cancellation)).Succeeded);
        Assert.Equal(["subscribe/bizsend", "template/send"], _wechat.Delivered.Skip(5).Select(delivery => delivery.Kind));
    }

    [Theory]
    [InlineData(-1, "wechat-busy", false)]
    [InlineData(45009, "wechat-45009", false)]
    [InlineData(45011, "wechat-45011", false)]
    [InlineData(40003, "wechat-40003", true)]
    [InlineData(43004, "wechat-43004", true)]
    [InlineData(43101, "wechat-43101", true)]
    [InlineData(48001, "wechat-48001", true)]
    public async Task what_an_error_means(int code, string reason, bool permanent)
    {
        using var channel = Channel();
        _wechat.Writes(OpenId);
        _wechat.FailNext("custom/send", code);
        var outcome = await channel.SendAsync(Message(), To, Cancellation);
        Assert.Equal((reason, permanent), Short(outcome));
        Assert.Equal(code is 45009 or 45011, outcome.RetryAfter is not null);
        Assert.True((await channel.SendAsync(Message(), To, Cancellation)).Succeeded);
    }

    [Theory]
    [InlineData(40001)]
    [InlineData(40014)]
    [InlineData(42001)]
    public async Task a_token_that_is_refused_is_replaced_once_and_not_again_and_again(int code)
    {
        using var channel = Channel();
        _wechat.Writes(OpenId);
        _wechat.FailNext("custom/send", code);
        Assert.True((await channel.SendAsync(Message(), To, Cancellation)).Succeeded);
        Assert.Equal(1, _wechat.ForcedRenewals);
        _wechat.FailNext("custom/send", code, code);
        Assert.Equal(($"wechat-{code}", false), Short(await channel.SendAsync(Message(), To, Cancellation)));
        Assert.Equal(2, _wechat.ForcedRenewals);
    }

    [Fact]
    public async Task a_token_is_renewed_five_minutes_before_its_end()
    {
        using var channel = Channel();
        _wechat.Writes(OpenId);
        await channel.SendAsync(Message(), To, Cancellation);
        _time.Advance(TimeSpan.FromMinutes(114));
        await channel.SendAsync(Message(), To, Cancellation);
        Assert.Equal(1, _wechat.TokenRequests);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.True((await channel.SendAsync(Message(), To, Cancellation)).Succeeded);
        Assert.Equal((2, 0), (_wechat.TokenRequests, _wechat.ForcedRenewals));
    }

    [Fact]
    public async Task a_spoilt_token_is_replaced_once_for_all_replicas_however_many_messages_find_it_so()
    {
        var replicas = Enumerable.Range(0, 4).Select(_ => Channel()).ToList();
        var people = Enumerable.Range(0, 40).Select(number => $"person-{number}").ToList();
        people.ForEach(_wechat.Writes);
        foreach (var replica in replicas)
            Assert.True((await replica.SendAsync(Message(), new Address($"main/{people[0]}", null), Cancellation)).Succeeded);
        _wechat.SpoilToken();
        var outcomes = await Task.WhenAll(people.Skip(1).Select((person, index) => replicas[index % 4].SendAsync(Message(), new Address($"main/{person}", null), Cancellation)));
        Assert.All(outcomes, outcome => Assert.True(outcome.Succeeded, outcome.Reason));
        Assert.Equal(1, _wechat.ForcedRenewals);
        replicas.ForEach(replica => replica.Dispose());
    }

    [Fact]
    public async Task when_no_token_is_to_be_had_the_message_waits()
    {
        using var channel = Channel();
        _wechat.Writes(OpenId);
        _wechat.FailNext("stable_token", 45009);
        Assert.Equal(("wechat-no-token", false), Short(await channel.SendAsync(Message(), To, Cancellation)));
        await _wechat.DisposeAsync();
        Assert.Equal(("wechat-no-token", false), Short(await channel.SendAsync(Message(), To, Cancellation)));
    }

    [Fact]
    public async Task an_offer_is_told_with_its_number_even_where_there_is_room_for_twenty_characters()
    {
        using var channel = Channel(withTemplates: true);
        Assert.Equal(new Replier("wechat-main", OpenId), channel.RepliesFrom(To));
        Assert.Equal(new Replier("wechat-main", OpenId), channel.RepliesFrom(new Address(OpenId, null)));
        _wechat.Follows(OpenId);
        _wechat.Agrees(OpenId);
        var offer = Message("有人需要帮助，请在15分钟内回复：1 接受，2 不能接受。（编号 37）", type: "org.huzhu.offer.made.v1", answerNumber: 37, shortText: "餐食37：回1接受，2拒绝");
        Assert.True((await channel.SendAsync(offer, To, Cancellation)).Succeeded);
        Assert.Equal(("subscribe/bizsend", "餐食37：回1接受，2拒绝"), (_wechat.Delivered[^1].Kind, _wechat.Delivered[^1].Text));
    }

    [Theory]
    [InlineData("main/" + OpenId, null)]
    [InlineData(OpenId, null)]
    [InlineData("other/" + OpenId, "unknown-account")]
    [InlineData("main/", "malformed-address")]
    [InlineData("main/a b", "malformed-address")]
    [InlineData("", "malformed-address")]
    public void an_address_is_judged_before_it_is_tried(string address, string? refusal)
    {
        using var channel = Channel();
        Assert.Equal(refusal, channel.Refuse(new Address(address, null)));
    }

    [Fact]
    public void a_bad_setting_is_named()
    {
        Assert.Empty(WeChatSender.Read(Settings(new() { ["AppId"] = "wx1", ["Token"] = "t" })));
        Assert.Contains("Channels:WeChat:Accounts:main:AppId", Assert.Throws<InvalidOperationException>(() => WeChatSender.Read(Settings(new() { ["AppSecret"] = "s" }))).Message);
        Assert.Contains("Channels:WeChat:Accounts:main:ApiBaseUrl", Assert.Throws<InvalidOperationException>(() => WeChatSender.Read(Settings(new() { ["AppId"] = "wx1", ["AppSecret"] = "s", ["ApiBaseUrl"] = "nowhere" }))).Message);
    }

    private static (string?, bool) Short(Huzhu.Notifications.Domain.SendOutcome outcome) => (outcome.Reason, outcome.Permanent);
}

/// <summary>Text messages and calls, against a gateway that remembers what it was told.</summary>
public sealed class GatewayChannelTests
{
    private const string AuthToken = "12345";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static FrozenDictionary<string, GatewaySender> Senders(string gateway, string? from = "+862112345", string? publicUrl = null, string? token = AuthToken) => GatewaySender.Read(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
    {
        ["Channels:Hotline:Accounts:main:GatewayUrl"] = gateway,
        ["Channels:Hotline:Accounts:main:AccountSid"] = "AC1",
        ["Channels:Hotline:Accounts:main:AuthToken"] = token,
        ["Channels:Hotline:Accounts:main:From"] = from,
        ["Channels:Hotline:Accounts:main:PublicUrl"] = publicUrl,
    }).Build());

    [Theory]
    [InlineData("sms", "/2010-04-01/Accounts/AC1/Messages.json", "Body", "有人会来帮助您。")]
    [InlineData("voice", "/2010-04-01/Accounts/AC1/Calls.json", "Twiml", "<Response><Say language=\"zh-CN\" loop=\"2\">有人会来帮助您。</Say></Response>")]
    public async Task a_message_goes_out_with_password_and_signature(string kind, string path, string field, string content)
    {
        await using var gateway = await WebhookReceiver.StartAsync();
        gateway.Answer(path, 201);
        using var channel = Channel(kind, gateway.Address);
        Assert.True((await channel.SendAsync(WeChatChannelTests.Message(), new Address("main/+8613800000000", null), Cancellation)).Succeeded);
        var received = Assert.Single(gateway.At(path));
        var form = Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(Encoding.UTF8.GetString(received.Body)).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
        Assert.Equal(("+8613800000000", "+862112345", content), (form["To"], form["From"], form[field]));
        Assert.Equal("Basic " + Convert.ToBase64String("AC1:12345"u8), received.Headers["Authorization"]);
        // What the receiving side verifies, by code that this side does not share.
        Assert.True(Huzhu.Requests.Channels.Hotline.TwilioSignature.Verify(received.Headers[GatewayChannel.SignatureHeader], AuthToken, gateway.Address + path, form));
    }

    [Fact]
    public async Task an_offer_by_voice_listens_for_a_key_where_the_gateway_can_say_what_was_pressed()
    {
        const string path = "/2010-04-01/Accounts/AC1/Calls.json";
        await using var gateway = await WebhookReceiver.StartAsync();
        gateway.Answer(path, 201);
        var offer = WeChatChannelTests.Message(type: "org.huzhu.offer.made.v1", answerNumber: 37);
        var to = new Address("main/+8613800000000", null);

        using var deaf = Channel("voice", gateway.Address);
        Assert.Null(deaf.RepliesFrom(to));
        Assert.Equal("cannot-be-answered-here", (await deaf.SendAsync(WeChatChannelTests.Message(type: "org.huzhu.offer.made.v1"), to, Cancellation)).Reason);

        using var channel = new VoiceChannel(Senders(gateway.Address, publicUrl: "https://help.example/huzhu"), TimeProvider.System);
        Assert.Equal(new Replier("hotline-main", "+8613800000000"), channel.RepliesFrom(to));
        Assert.True((await channel.SendAsync(offer, to, Cancellation)).Succeeded);
        var form = Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(Encoding.UTF8.GetString(Assert.Single(gateway.At(path)).Body));
        Assert.Contains("action=\"https://help.example/huzhu/channels/hotline/main/voice?turn=1\"", form["Twiml"].ToString());
    }

    [Theory]
    [InlineData(201, null, false)]
    [InlineData(400, "http-400", true)]
    [InlineData(401, "http-401", true)]
    [InlineData(429, "http-429", false)]
    [InlineData(500, "http-500", false)]
    [InlineData(302, "http-302", true)]
    public async Task what_an_answer_means(int status, string? reason, bool permanent)
    {
        await using var gateway = await WebhookReceiver.StartAsync();
        gateway.Answer("/2010-04-01/Accounts/AC1/Messages.json", status);
        using var channel = Channel("sms", gateway.Address);
        var outcome = await channel.SendAsync(WeChatChannelTests.Message(), new Address("+8613800000000", null), Cancellation);
        Assert.Equal((reason, permanent), (outcome.Reason, outcome.Permanent));
    }

    [Fact]
    public async Task a_gateway_that_is_away_is_tried_again()
    {
        using var channel = Channel("sms", "http://127.0.0.1:1");
        Assert.Equal("no-answer", (await channel.SendAsync(WeChatChannelTests.Message(), new Address("main/+8613800000000", null), Cancellation)).Reason);
    }

    [Theory]
    [InlineData("main/+8613800000000", null)]
    [InlineData("other/+8613800000000", "unknown-account")]
    [InlineData("main/somebody", "malformed-address")]
    [InlineData("main/call:CA1", "malformed-address")]
    public void an_address_is_judged_before_it_is_tried(string address, string? refusal)
    {
        using var channel = Channel("voice", "https://gateway.example");
        Assert.Equal(refusal, channel.Refuse(new Address(address, null)));
    }

    [Fact]
    public void a_bad_setting_is_named()
    {
        Assert.Equal("main", Senders("https://gateway.example", from: null)["main"].From);
        Assert.Contains("Channels:Hotline:Accounts:main:AuthToken", Assert.Throws<InvalidOperationException>(() => Senders("https://gateway.example", token: null)).Message);
        Assert.Contains("Channels:Hotline:Accounts:main:PublicUrl", Assert.Throws<InvalidOperationException>(() => Senders("https://gateway.example", publicUrl: "here")).Message);
        Assert.Contains("Channels:Hotline:Accounts:main:GatewayUrl", Assert.Throws<InvalidOperationException>(() => Senders("gateway")).Message);
    }

    private static GatewayChannel Channel(string kind, string gateway) => kind == "sms" ? new SmsChannel(Senders(gateway), TimeProvider.System) : new VoiceChannel(Senders(gateway), TimeProvider.System);
}
