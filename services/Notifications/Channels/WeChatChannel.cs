using System.Collections.Frozen;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using Huzhu.Notifications.Domain;
using Npgsql;

namespace Huzhu.Notifications.Channels;

/// <summary>An Official Account that can be sent from.</summary>
/// <param name="SubscribeTemplateId">For people who agreed to one message; its one field holds the text.</param>
/// <param name="TemplateId">For followers who have not written for two days; its one field holds the text.</param>
public sealed record WeChatSender(
    string Name, string AppId, string AppSecret, Uri ApiBaseUrl, string? SubscribeTemplateId, string SubscribeField, string? TemplateId, string TemplateField)
{
    private const string Section = "Channels:WeChat:Accounts";
    private const string DefaultApi = "https://api.weixin.qq.com";

    /// <summary>The accounts that have a secret; one without only listens.</summary>
    /// <exception cref="InvalidOperationException">Something is malformed; the message names the key.</exception>
    public static FrozenDictionary<string, WeChatSender> Read(IConfiguration configuration) => configuration.GetSection(Section).GetChildren()
        .Where(section => section["AppSecret"] is { Length: > 0 }).Select(section => new WeChatSender(
            section.Key,
            section["AppId"] is { Length: > 0 } id ? id : throw new InvalidOperationException($"{section.Path}:AppId is missing: it goes with AppSecret."),
            section["AppSecret"]!,
            Uri.TryCreate((section["ApiBaseUrl"] is { Length: > 0 } url ? url : DefaultApi).TrimEnd('/') + "/", UriKind.Absolute, out var api) && api.Scheme is "http" or "https"
                ? api
                : throw new InvalidOperationException($"{section.Path}:ApiBaseUrl must be an absolute http or https address."),
            section["SubscribeTemplateId"], section["SubscribeField"] is { Length: > 0 } field ? field : "thing1",
            section["TemplateId"], section["TemplateField"] is { Length: > 0 } other ? other : "content"))
        .ToFrozenDictionary(sender => sender.Name, StringComparer.OrdinalIgnoreCase);

    public override string ToString() => nameof(WeChatSender);
}

/// <summary>
/// Messages of an Official Account to a person: as customer service while the person has written within two days, else by the
/// templates that are configured. The address is <c>account/openid</c>.
/// </summary>
public sealed partial class WeChatChannel(FrozenDictionary<string, WeChatSender> senders, WeChatTokens tokens, ProviderClient http) : IChannel, IDisposable
{
    private const int LongestText = 600;
    /// <summary>A field of this kind holds no more.</summary>
    private const int LongestField = 20;
    private static readonly TimeSpan RateLimitPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan QuotaPause = TimeSpan.FromHours(1);

    public static WeChatChannel Create(FrozenDictionary<string, WeChatSender> senders, IServiceProvider services)
    {
        var time = services.GetRequiredService<TimeProvider>();
        var http = new ProviderClient(time);
        return new WeChatChannel(senders, new WeChatTokens(http, services.GetRequiredService<NpgsqlDataSource>(), time), http);
    }

    public string Kind => "wechat";

    public ChannelAbilities Abilities { get; } = new(Text: true, Voice: false);

    public void Dispose() => http.Dispose();

    public string? Refuse(Address address) => AccountAddress.Find(senders, address) switch
    {
        null => "unknown-account",
        var (_, openId) => OpenId().IsMatch(openId) ? null : "malformed-address",
    };

    public Replier? RepliesFrom(Address address) => AccountAddress.Find(senders, address) is var (sender, openId) ? new Replier($"wechat-{sender.Name}", openId) : null;

    public async Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation)
    {
        var (sender, openId) = AccountAddress.Find(senders, address) ?? throw new ArgumentException("The address should have been refused.", nameof(address));
        var letter = Letter.Of(message);
        var outcome = await CallAsync(sender, "cgi-bin/message/custom/send", new { touser = openId, msgtype = "text", text = new { content = letter.Written(LongestText, Cut) } }, cancellation);
        if (IsOutOfTime(outcome) && sender.SubscribeTemplateId is { } subscribe)
            outcome = await CallAsync(sender, "cgi-bin/message/subscribe/bizsend",
                new { touser = openId, template_id = subscribe, data = Data(sender.SubscribeField, letter.ShortText ?? Cut(letter.Text, LongestField)) }, cancellation);
        if (IsOutOfTime(outcome) && sender.TemplateId is { } template)
            outcome = await CallAsync(sender, "cgi-bin/message/template/send",
                // The same id within ten minutes is delivered once.
                new { touser = openId, template_id = template, client_msg_id = message.Id.Value.ToString("N"), data = Data(sender.TemplateField, letter.Written(LongestText, Cut)) }, cancellation);
        return outcome;
    }

    /// <summary>What WeChat's answer means for this message.</summary>
    public static SendOutcome OutcomeOf(int code) => code switch
    {
        0 => SendOutcome.Success,
        -1 => SendOutcome.Transient("wechat-busy"),
        45009 => SendOutcome.Transient("wechat-45009", QuotaPause),
        45011 => SendOutcome.Transient("wechat-45011", RateLimitPause),
        _ when WeChatTokens.IsRefusal(code) => SendOutcome.Transient($"wechat-{code}"),
        _ => SendOutcome.Refused($"wechat-{code.ToString(CultureInfo.InvariantCulture)}"),
    };

    /// <summary>The person has not written lately, or does not take this kind of message: another kind may still be taken.</summary>
    private static bool IsOutOfTime(SendOutcome outcome) => outcome.Reason is "wechat-45015" or "wechat-45047" or "wechat-48001" or "wechat-43101";

    private async Task<SendOutcome> CallAsync(WeChatSender sender, string path, object body, CancellationToken cancellation)
    {
        string? refused = null;
        while (true)
        {
            if (await tokens.GetAsync(sender, refused, cancellation) is not { } token)
                return SendOutcome.Transient("wechat-no-token");
            var reply = await http.PostAsync(() => new HttpRequestMessage(HttpMethod.Post, new Uri(sender.ApiBaseUrl, $"{path}?access_token={Uri.EscapeDataString(token)}"))
            {
                Content = JsonContent.Create(body, options: WeChatTokens.Json),
            }, cancellation);
            if (reply is not { Status: 200, Body: { } answer } || WeChatTokens.CodeOf(answer) is not { } code)
                return SendOutcome.Transient(reply is null ? "no-answer" : $"http-{reply.Status}");
            // A token may have been replaced elsewhere: once, another is fetched.
            if (!WeChatTokens.IsRefusal(code) || refused is not null)
                return OutcomeOf(code);
            refused = token;
        }
    }

    private static Dictionary<string, object> Data(string field, string text) => new() { [field] = new { value = text } };

    private static string Cut(string text, int longest) => text.Length <= longest ? text : text[..(char.IsHighSurrogate(text[longest - 2]) ? longest - 2 : longest - 1)] + "…";

    [GeneratedRegex(@"^[A-Za-z0-9_-]{1,128}\z", RegexOptions.CultureInvariant)]
    private static partial Regex OpenId();
}
