using System.Collections.Frozen;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Huzhu.Notifications.Domain;

namespace Huzhu.Notifications.Channels;

/// <summary>A gateway that speaks Twilio's interface.</summary>
/// <param name="From">The number, or the name, to send from.</param>
/// <param name="PublicUrl">Where the gateway reaches Requests, to say which key a person pressed; null: offers are not told by voice.</param>
public sealed record GatewaySender(string Name, Uri GatewayUrl, string AccountSid, string AuthToken, string From, Uri? PublicUrl)
{
    private const string Section = "Channels:Hotline:Accounts";

    /// <summary>The accounts that have a gateway; one without only listens.</summary>
    /// <exception cref="InvalidOperationException">Something is missing or malformed; the message names the key.</exception>
    public static FrozenDictionary<string, GatewaySender> Read(IConfiguration configuration) => configuration.GetSection(Section).GetChildren()
        .Where(section => section["GatewayUrl"] is { Length: > 0 }).Select(section => new GatewaySender(
            section.Key,
            Address(section, "GatewayUrl")!,
            section["AccountSid"] is { Length: > 0 } sid ? sid : section.Key,
            section["AuthToken"] is { Length: > 0 } token ? token : throw new InvalidOperationException($"{section.Path}:AuthToken is missing: it goes with GatewayUrl."),
            section["From"] is { Length: > 0 } from ? from : section.Key,
            Address(section, "PublicUrl")))
        .ToFrozenDictionary(sender => sender.Name, StringComparer.OrdinalIgnoreCase);

    public override string ToString() => nameof(GatewaySender);

    private static Uri? Address(IConfigurationSection section, string name) => section[name] is not { Length: > 0 } text ? null
        : Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? url
            : throw new InvalidOperationException($"{section.Path}:{name} must be an absolute http or https address.");
}

/// <summary>
/// Messages by telephone through a Twilio-compatible gateway. The address is <c>account/number</c>. Every call carries the
/// account's password, and Twilio's signature for gateways that check it.
/// </summary>
public abstract partial class GatewayChannel(FrozenDictionary<string, GatewaySender> senders, TimeProvider time) : IChannel, IDisposable
{
    private readonly ProviderClient _http = new(time);

    public const string SignatureHeader = "X-Twilio-Signature";

    public abstract string Kind { get; }

    public abstract ChannelAbilities Abilities { get; }

    /// <summary>The last part of the interface's address.</summary>
    protected abstract string Resource { get; }

    /// <summary>What is to be sent or said.</summary>
    protected abstract KeyValuePair<string, string> Content(Letter letter, GatewaySender sender);

    /// <summary>Whether what a person presses or writes in answer reaches us.</summary>
    protected abstract bool HearsFrom(GatewaySender sender);

    public Replier? RepliesFrom(Address address) =>
        AccountAddress.Find(senders, address) is var (sender, number) && HearsFrom(sender) ? new Replier($"hotline-{sender.Name}", number) : null;

    public void Dispose() => _http.Dispose();

    public string? Refuse(Address address) => AccountAddress.Find(senders, address) switch
    {
        null => "unknown-account",
        var (_, number) => PhoneNumber().IsMatch(number) ? null : "malformed-address",
    };

    public async Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation)
    {
        var (sender, number) = AccountAddress.Find(senders, address) ?? throw new ArgumentException("The address should have been refused.", nameof(address));
        var letter = Letter.Of(message);
        // The responder's next channel can carry it with its links.
        if (letter is { AsksForAnswer: true, AnswerNumber: null })
            return SendOutcome.Refused("cannot-be-answered-here");
        var url = new Uri(sender.GatewayUrl, $"2010-04-01/Accounts/{Uri.EscapeDataString(sender.AccountSid)}/{Resource}");
        KeyValuePair<string, string>[] form = [new("To", number), new("From", sender.From), Content(letter, sender)];
        var reply = await _http.PostAsync(() =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(form) };
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{sender.AccountSid}:{sender.AuthToken}")));
            request.Headers.Add(SignatureHeader, Sign(sender.AuthToken, url.AbsoluteUri, form));
            // A gateway that knows it sends a repeated message once.
            request.Headers.Add("Idempotency-Key", message.Id.ToString());
            return request;
        }, cancellation);
        return reply switch
        {
            null => SendOutcome.Transient("no-answer"),
            { Status: >= 200 and < 300 } => SendOutcome.Success,
            { Status: 408 or 429 or >= 500 } => SendOutcome.Transient($"http-{reply.Status}"),
            _ => SendOutcome.Refused($"http-{reply.Status}"),
        };
    }

    /// <summary>Twilio's signature: HMAC-SHA1 of the address and of the form's names and values, in the order of the names.</summary>
    public static string Sign(string authToken, string url, IEnumerable<KeyValuePair<string, string>> form) => Convert.ToBase64String(HMACSHA1.HashData(
        Encoding.UTF8.GetBytes(authToken),
        Encoding.UTF8.GetBytes(url + string.Concat(form.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => field.Key + field.Value)))));

    [GeneratedRegex(@"^(whatsapp:)?\+?[0-9]{3,15}\z", RegexOptions.CultureInvariant)]
    private static partial Regex PhoneNumber();
}

public sealed class SmsChannel(FrozenDictionary<string, GatewaySender> senders, TimeProvider time) : GatewayChannel(senders, time)
{
    private const int LongestText = 600;

    public override string Kind => "sms";
    public override ChannelAbilities Abilities { get; } = new(Text: true, Voice: false);
    protected override string Resource => "Messages.json";
    protected override bool HearsFrom(GatewaySender sender) => true;
    protected override KeyValuePair<string, string> Content(Letter letter, GatewaySender sender) => new("Body", letter.Written(LongestText, (text, longest) => text.Length <= longest ? text : text[..longest]));
}

public sealed class VoiceChannel(FrozenDictionary<string, GatewaySender> senders, TimeProvider time) : GatewayChannel(senders, time)
{
    public override string Kind => "voice";
    public override ChannelAbilities Abilities { get; } = new(Text: false, Voice: true);
    protected override string Resource => "Calls.json";

    protected override bool HearsFrom(GatewaySender sender) => sender.PublicUrl is not null;

    protected override KeyValuePair<string, string> Content(Letter letter, GatewaySender sender)
    {
        var language = new XAttribute("language", letter.IsChinese ? "zh-CN" : "en-US");
        // Twice: whoever picks up late hears it whole.
        var verb = new XElement("Say", language, new XAttribute("loop", "2"), letter.Text);
        // What is pressed or said goes where the calls of this account go. A menu's first turn would greet.
        if (letter.AnswerNumber is not null)
            verb = new XElement("Gather", new XAttribute("input", "dtmf speech"), new XAttribute("numDigits", "1"), language,
                new XAttribute("action", new Uri(sender.PublicUrl!, $"channels/hotline/{Uri.EscapeDataString(sender.Name)}/voice?turn=1")), new XAttribute("method", "POST"), verb);
        return new("Twiml", new XElement("Response", verb).ToString(SaveOptions.DisableFormatting));
    }
}
