using System.Globalization;
using System.Text;
using System.Text.Json;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Http.Features;

namespace Huzhu.Requests.Channels.Hotline;

/// <summary>
/// The addresses that a telephone number is given: calls and text messages as Twilio's webhooks, which many gateways speak, and
/// the records of calls that a call centre pushes. A caller and a sender of the same number are one person in one conversation.
/// </summary>
public sealed class ReceiveCall : IFrontEnd
{
    private const int MaxId = 100;
    private const int MaxTurns = 40;
    private const int MaxSilences = 3;
    private const string Repeat = "menu";
    private const string Person = "0";

    /// <summary>Keys that the menus leave free mean the same at every step.</summary>
    private static readonly Dictionary<string, string> Keys = new() { ["8"] = "中文", ["9"] = "English", ["*"] = Repeat, ["#"] = Repeat };

    public void Add(IServiceCollection services, IConfiguration configuration) => services.AddSingleton(new HotlineAccounts(configuration));

    public void Map(IEndpointRouteBuilder app)
    {
        app.MapCallback("POST", "/channels/hotline/{account}/sms", SmsAsync).WithSummary("A gateway delivers a text message");
        app.MapCallback("POST", "/channels/hotline/{account}/voice", VoiceAsync).WithSummary("A gateway asks what to do with a call");
        app.MapCallback("POST", "/channels/hotline/{account}/calls", RecordAsync).WithSummary("A call centre pushes the record of a call");
    }

    private static async Task<IResult> SmsAsync(string account, HttpRequest request, HotlineAccounts accounts, Inbox inbox, TimeProvider time, CancellationToken cancellation)
    {
        var (known, form, problem) = await OpenAsync(account, request, accounts, cancellation);
        if (problem is not null)
            return problem;
        var (id, from) = (form["MessageSid"] ?? form["SmsSid"], form["From"]);
        if (id is not { Length: > 0 and <= MaxId } || from is not { Length: > 0 and <= MaxId })
            return Malformed;
        // Services that reach people by more than text messages pass positions on.
        var pin = Degrees(form["Latitude"], 90) is { } latitude && Degrees(form["Longitude"], 180) is { } longitude ? new ExactPlace(latitude, longitude, null) : null;
        var said = new Utterance(id, form["Body"], pin, form["Address"], IsPassive: false, time.GetUtcNow());
        return await TakeAsync(inbox, Who(known!, from, "sms", canPin: from.Contains(':')), said) is { } answer
            ? Markup(answer.Text is null ? TwiML.Nothing : TwiML.Message(answer.Text))
            : Busy;
    }

    private static async Task<IResult> VoiceAsync(string account, HttpRequest request, HotlineAccounts accounts, Inbox inbox, TimeProvider time, CancellationToken cancellation)
    {
        var (known, form, problem) = await OpenAsync(account, request, accounts, cancellation);
        if (problem is not null)
            return problem;
        if (form["CallSid"] is not { Length: > 0 and <= MaxId } call || Count(request, "turn") is not { } turn || Count(request, "silences") is not { } silences)
            return Malformed;
        // The end of a call needs no answer.
        if (form["CallStatus"] is "completed" or "busy" or "failed" or "no-answer" or "canceled")
            return Markup(TwiML.Nothing);

        var heard = form["Digits"] is { Length: > 0 } digits ? Keys.GetValueOrDefault(digits, digits) : form["SpeechResult"];
        // Whoever says nothing, or goes round and round, is put through to a person.
        var text = turn >= MaxTurns || silences >= MaxSilences ? Person : string.IsNullOrWhiteSpace(heard) ? Repeat : heard;
        // In a call that we made, the person is the one who is called. A number that is withheld stands for nobody.
        var isOurs = form["Direction"]?.StartsWith("outbound", StringComparison.Ordinal) == true;
        var from = form[isOurs ? "To" : "From"] is { } number && HotlineAccounts.PhoneNumber().IsMatch(number) ? number : $"call:{call}";
        var said = new Utterance($"{call} {turn} {silences}", text, null, null, IsPassive: false, time.GetUtcNow());
        if (await TakeAsync(inbox, Who(known!, from, "phone", canPin: false), said) is not { Text: { } spoken } answer)
            return Busy;
        if (answer.Reply is Reply.Human && (known!.OperatorNumber is not null || text == Person && (turn >= MaxTurns || silences >= MaxSilences))
            || answer.Reply is Reply.Later or Reply.TooMany or Reply.Taken or Reply.TakenWithoutPlace or Reply.Cancelled || answer.IsAboutOffer)
            return Markup(TwiML.End(spoken, answer.Language, answer.Reply is Reply.Human or Reply.Later or Reply.TooMany ? known!.OperatorNumber : null));
        // Who calls for the first time hears both languages.
        IEnumerable<(string, Language)> texts = turn == 0 && answer.Reply == Reply.Welcome
            ? [(Replies.Of(Reply.Welcome, Language.Zh, isSpoken: true), Language.Zh), (Replies.Of(Reply.Welcome, Language.En, isSpoken: true), Language.En)]
            : [(spoken, answer.Language)];
        return Markup(TwiML.Ask(texts, answer.Language, turn + 1, silences));
    }

    /// <summary>A call that nobody answered is a call for help all the same. One that was answered comes in by the call-taker's own form.</summary>
    private static async Task<IResult> RecordAsync(string account, HttpRequest request, HotlineAccounts accounts, Inbox inbox, TimeProvider time, CancellationToken cancellation)
    {
        if (accounts.Find(account) is not { HmacSecret: { } secret } known)
            return UnknownAccount;
        if (await Callbacks.ReadBodyAsync(request, cancellation) is not { } body)
            return TooLarge;
        if (!RecordSignature.Verify(request.Headers[RecordSignature.Header], secret, body.Span, time.GetUtcNow()))
            return Forged;
        CallRecord? record;
        try
        {
            record = JsonSerializer.Deserialize<CallRecord>(body.Span, JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            return Malformed;
        }
        if (record is not { CallId.Length: > 0 and <= MaxId, From.Length: > 0 and <= MaxId, Outcome: { } outcome } || !CallRecord.Outcomes.Contains(outcome))
            return Problems.Invalid(new Dictionary<string, string[]>
            {
                ["callId, from, outcome"] = [$"callId and from are needed, at most {MaxId} characters; outcome is one of {string.Join(", ", CallRecord.Outcomes)}."],
            });
        if (outcome == CallRecord.Answered)
            return Results.Accepted();
        var started = record.StartedAt is { } at && at < time.GetUtcNow() ? at : time.GetUtcNow();
        var words = string.IsNullOrWhiteSpace(record.Transcript) ? "（未接来电 / missed call）" : $"（未接来电 / missed call）{record.Transcript}";
        var from = HotlineAccounts.PhoneNumber().IsMatch(record.From) ? record.From : $"call:{record.CallId}";
        var said = new Utterance($"record {record.CallId}", words, null, null, IsPassive: false, started);
        return await TakeAsync(inbox, Who(known, from, "phone", canPin: false), said) is null ? Busy : Results.Accepted();
    }

    private sealed record CallRecord(string? CallId, string? From, string? Outcome, DateTimeOffset? StartedAt, string? Transcript)
    {
        public const string Answered = "answered";
        public static readonly string[] Outcomes = [Answered, "abandoned", "missed", "voicemail"];
    }

    private static Correspondent Who(HotlineAccount account, string from, string channel, bool canPin)
    {
        var isNumber = HotlineAccounts.PhoneNumber().IsMatch(from);
        var reachedBy = channel == "sms" || isNumber ? new ContactChannel(channel == "sms" ? "sms" : "voice", $"{account.Name}/{from}") : null;
        return new Correspondent(account.Source, channel, from, isNumber ? from : null, reachedBy, canPin, Language.Zh);
    }

    /// <returns>Null when it was not taken in and must be sent again.</returns>
    private static async Task<Answer?> TakeAsync(Inbox inbox, Correspondent who, Utterance said)
    {
        try
        {
            return await inbox.TakeAsync(who, said);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static async Task<(HotlineAccount? Account, Form Form, IResult? Problem)> OpenAsync(string name, HttpRequest request, HotlineAccounts accounts, CancellationToken cancellation)
    {
        if (accounts.Find(name) is not { AuthToken: { } token } account)
            return (null, Form.Empty, UnknownAccount);
        if (await Callbacks.ReadBodyAsync(request, cancellation) is not { } body)
            return (null, Form.Empty, TooLarge);
        if (Form.Read(body) is not { } form)
            return (null, Form.Empty, Malformed);
        return TwilioSignature.Verify(request.Headers[TwilioSignature.Header], token, UrlOf(account, request), form.Fields)
            ? (account, form, null)
            : (null, Form.Empty, Forged);
    }

    /// <summary>The address as the gateway knows it: what was asked for, byte for byte, behind the public address when a proxy hides it.</summary>
    private static string UrlOf(HotlineAccount account, HttpRequest request)
    {
        var target = request.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        return (account.PublicUrl ?? $"{request.Scheme}://{request.Host}") + (target.StartsWith('/') ? target : request.Path + request.QueryString);
    }

    private static int? Count(HttpRequest request, string name) => request.Query[name].ToString() switch
    {
        "" => 0,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= 1000 => count,
        _ => null,
    };

    private static double? Degrees(string? text, double most) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var degrees) && Math.Abs(degrees) <= most ? degrees : null;

    private static IResult Markup(string markup) => Results.Text(markup, TwiML.ContentType, Encoding.UTF8);

    private static IResult UnknownAccount => Problems.Of(StatusCodes.Status404NotFound, "no-such-account", "No account of this name with the secret for this is configured under Channels:Hotline:Accounts.");
    private static IResult Forged => Problems.Of(StatusCodes.Status403Forbidden, "bad-signature", "The signature does not fit: check the account's secret, its PublicUrl, and the clock.");
    private static IResult Malformed => Problems.Of(StatusCodes.Status400BadRequest, "malformed", "A field is missing or has the wrong form.");
    private static IResult TooLarge => Problems.Of(StatusCodes.Status413PayloadTooLarge, "too-large", "The body is larger than is accepted.");
    private static IResult Busy => Problems.Of(StatusCodes.Status503ServiceUnavailable, "unavailable", "Not taken in for now; send it again.");
}
