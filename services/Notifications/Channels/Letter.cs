using System.Text.Json;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Huzhu.Notifications.Channels;

/// <summary>What of a message a person is shown or told, on channels that reach people without a front end in between.</summary>
/// <param name="Text">In the person's language. Personal data where the message is an acceptance.</param>
/// <param name="ShortText">The same in twenty characters, where the message has such a form.</param>
/// <param name="AnswerNumber">Set where the person answers by a message: the text says how.</param>
/// <param name="AsksForAnswer">It is an offer.</param>
/// <param name="Page">Where more is to be seen, for channels on which an address can be opened.</param>
public sealed record Letter(string Text, string? ShortText, bool IsChinese, int? AnswerNumber, bool AsksForAnswer, string? Page)
{
    private const string OfferMade = "org.huzhu.offer.made.v1";
    private static readonly string[] VisitFields = ["name", "phone", "addressText", "note"];

    public static Letter Of(Message message)
    {
        using var document = JsonDocument.Parse(message.Body);
        var data = document.RootElement.GetProperty("data");
        // Who has told no language is written to in that of the place.
        var isChinese = !(data.TryGetProperty("language", out var language) && language.GetString() is { } tag && tag.StartsWith("en", StringComparison.OrdinalIgnoreCase));
        var tongue = isChinese ? "zh" : "en";
        var text = data.GetProperty("text").GetProperty(tongue).GetString() ?? "";
        // Whoever has taken a need must know whom to see and where, and has no front end that shows it.
        if (data.TryGetProperty("visit", out var visit))
            text = string.Join('\n', VisitFields.Select(field => visit.TryGetProperty(field, out var value) ? value.GetString() : null).Where(value => !string.IsNullOrEmpty(value)).Prepend(text));
        return new Letter(text, data.TryGetProperty("shortText", out var brief) ? brief.GetProperty(tongue).GetString() : null, isChinese,
            data.TryGetProperty("answerNumber", out var number) ? number.GetInt32() : null, document.RootElement.GetProperty("type").GetString() == OfferMade,
            data.TryGetProperty("page", out var page) ? page.GetString() : null);
    }

    /// <summary>To be read and not heard, in so many characters: the page's address stays whole, the text before it may be cut.</summary>
    public string Written(int longest, Func<string, int, string> cut) => Page is null || Page.Length + 1 >= longest
        ? cut(Text, longest)
        : $"{cut(Text, longest - Page.Length - 1)}\n{Page}";

    public override string ToString() => nameof(Letter);
}

/// <summary>An address of the form <c>account/receiver</c>; without an account, when there is only one.</summary>
public static class AccountAddress
{
    public static (T Account, string Receiver)? Find<T>(IReadOnlyDictionary<string, T> accounts, Address address) where T : class
    {
        var slash = address.Value.IndexOf('/');
        if (slash < 0)
            return accounts.Count == 1 ? (accounts.Values.Single(), address.Value) : null;
        return accounts.TryGetValue(address.Value[..slash], out var account) ? (account, address.Value[(slash + 1)..]) : null;
    }
}

/// <summary>Calls to one provider's interface: bounded in time, no redirects, and none at all for a moment when it keeps failing.</summary>
public sealed class ProviderClient : IDisposable
{
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromSeconds(5);
    private const int MostAnswerBytes = 64 * 1024;

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        // Addresses hold tokens and numbers, and must not become the tags of a trace.
        ActivityHeadersPropagator = null,
    })
    { MaxResponseContentBufferSize = MostAnswerBytes, Timeout = Timeout.InfiniteTimeSpan };

    private readonly ResiliencePipeline<Reply?> _pipeline;

    /// <param name="Body">Null when it was not JSON.</param>
    public sealed record Reply(int Status, JsonElement? Body);

    public ProviderClient(TimeProvider time) => _pipeline = new ResiliencePipelineBuilder<Reply?> { TimeProvider = time }
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions<Reply?>
        {
            FailureRatio = 0.5,
            MinimumThroughput = 8,
            SamplingDuration = TimeSpan.FromSeconds(10),
            BreakDuration = TimeSpan.FromSeconds(2),
            ShouldHandle = new PredicateBuilder<Reply?>().Handle<TimeoutRejectedException>().HandleResult(reply => reply is null or { Status: >= 500 }),
        })
        .AddTimeout(AttemptTimeout)
        .Build();

    /// <returns>Null when there was no answer.</returns>
    public async Task<Reply?> PostAsync(Func<HttpRequestMessage> write, CancellationToken cancellation)
    {
        try
        {
            return await _pipeline.ExecuteAsync(static async (state, token) => await state.Client.SendAsync(state.write, token), (Client: this, write), cancellation);
        }
        catch (Exception exception) when (exception is BrokenCircuitException or TimeoutRejectedException)
        {
            return null;
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<Reply?> SendAsync(Func<HttpRequestMessage> write, CancellationToken cancellation)
    {
        try
        {
            using var request = write();
            using var response = await _http.SendAsync(request, cancellation);
            var body = await response.Content.ReadAsByteArrayAsync(cancellation);
            return new Reply((int)response.StatusCode, Parse(body));
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    private static JsonElement? Parse(byte[] body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            return JsonElement.TryParseValue(ref reader, out var element) ? element : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
