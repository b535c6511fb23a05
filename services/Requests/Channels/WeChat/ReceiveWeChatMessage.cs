using System.Security.Cryptography;
using System.Text;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels.WeChat;

/// <summary>
/// The address that an Official Account is given: WeChat verifies it with a GET and sends every message with a POST, up to three
/// times until it is answered within five seconds.
/// </summary>
public sealed class ReceiveWeChatMessage : IFrontEnd
{
    private const string Understood = "success";
    private const int MaxEchoCharacters = 4096;

    public void Add(IServiceCollection services, IConfiguration configuration) => services.AddSingleton(new WeChatAccounts(configuration));

    public void Map(IEndpointRouteBuilder app)
    {
        app.MapCallback("GET", "/channels/wechat/{account}", Verify).WithSummary("WeChat verifies the address");
        app.MapCallback("POST", "/channels/wechat/{account}", ReceiveAsync).WithSummary("WeChat delivers a message");
    }

    private static IResult Verify(string account, HttpRequest request, WeChatAccounts accounts)
    {
        if (accounts.Find(account) is not { } known)
            return UnknownAccount;
        var (timestamp, nonce, echo) = (Query(request, "timestamp"), Query(request, "nonce"), Query(request, "echostr"));
        if (echo.Length is 0 or > MaxEchoCharacters)
            return Malformed;
        if (request.Query.ContainsKey("msg_signature"))
            return WeChatCrypto.Verify(Query(request, "msg_signature"), known.Token, timestamp, nonce, echo) && Decrypt(known, echo) is var (_, plain)
                ? Results.Text(plain)
                : Forged;
        return WeChatCrypto.Verify(Query(request, "signature"), known.Token, timestamp, nonce) ? Results.Text(echo) : Forged;
    }

    private static async Task<IResult> ReceiveAsync(string account, HttpRequest request, WeChatAccounts accounts, Inbox inbox, TimeProvider time, CancellationToken cancellation)
    {
        if (accounts.Find(account) is not { } known)
            return UnknownAccount;
        var now = time.GetUtcNow();
        var (timestamp, nonce) = (Query(request, "timestamp"), Query(request, "nonce"));
        if (!WeChatCrypto.IsFresh(timestamp, now))
            return Forged;
        // An account with a key takes nothing in clear: the plain signature does not cover the message.
        var isEncrypted = known.Keys.Count > 0;
        if (!isEncrypted && !WeChatCrypto.Verify(Query(request, "signature"), known.Token, timestamp, nonce))
            return Forged;
        if (await Callbacks.ReadBodyAsync(request, cancellation) is not { } body)
            return Problems.Of(StatusCodes.Status413PayloadTooLarge, "too-large", "The body is larger than is accepted.");
        if (WeChatMessage.Read(Encoding.UTF8.GetString(body.Span)) is not { } message)
            return Malformed;
        byte[]? key = null;
        if (isEncrypted)
        {
            if (message["Encrypt"] is not { } encrypted || !WeChatCrypto.Verify(Query(request, "msg_signature"), known.Token, timestamp, nonce, encrypted)
                || Decrypt(known, encrypted) is not var (used, plain))
                return Forged;
            if (WeChatMessage.Read(plain) is not { } inner)
                return Malformed;
            (key, message) = (used, inner);
        }
        if (!message.IsComplete)
            return Malformed;
        if (message.ToUtterance(now) is not { } said)
            return Results.Text(Understood);

        var who = new Correspondent(known.Source, "wechat", message.From, null, new ContactChannel("wechat", $"{known.Name}/{message.From}"), CanPin: true, Language.Zh);
        Answer answer;
        try
        {
            answer = await inbox.TakeAsync(who, said);
        }
        catch (IOException)
        {
            return Problems.Of(StatusCodes.Status503ServiceUnavailable, "unavailable", "Not taken in for now; send it again.");
        }
        if (answer.Text is null)
            return Results.Text(Understood);
        var reply = message.ReplyWith(answer.Text, now);
        return Results.Text(key is null ? reply : Seal(known, key, reply, now), "text/xml", Encoding.UTF8);
    }

    /// <summary>With the present key, else with the previous one.</summary>
    private static (byte[] Key, string Plain)? Decrypt(WeChatAccount account, string encrypted)
    {
        foreach (var key in account.Keys)
            if (WeChatCrypto.Decrypt(encrypted, key, account.AppId) is { } plain)
                return (key, plain);
        return null;
    }

    /// <summary>With the key that WeChat used: during a rotation it knows no other.</summary>
    private static string Seal(WeChatAccount account, byte[] key, string reply, DateTimeOffset now)
    {
        var (timestamp, nonce) = (now.ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture), RandomNumberGenerator.GetHexString(16, lowercase: true));
        var encrypted = WeChatCrypto.Encrypt(reply, key, account.AppId, RandomNumberGenerator.GetBytes(16));
        return WeChatMessage.Envelope(encrypted, WeChatCrypto.Sign(account.Token, timestamp, nonce, encrypted), timestamp, nonce);
    }

    /// <summary>Empty, and so refused, when it is there twice: it could mean one thing here and another elsewhere.</summary>
    private static string Query(HttpRequest request, string name) => request.Query[name] is [{ } value] ? value : "";

    private static IResult UnknownAccount => Problems.Of(StatusCodes.Status404NotFound, "no-such-account", "No account of this name is configured under Channels:WeChat:Accounts.");
    private static IResult Forged => Problems.Of(StatusCodes.Status403Forbidden, "bad-signature", "The signature does not fit: check Token, EncodingAesKey and AppId of the account, and the clock.");
    private static IResult Malformed => Problems.Of(StatusCodes.Status400BadRequest, "malformed", "It is not a message as WeChat sends it.");
}
