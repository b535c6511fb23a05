using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Authentication;

namespace Huzhu.Web.Apis;

/// <summary>A service's answer that is not a success: an RFC 9457 problem.</summary>
/// <param name="Code">What programs switch on; <c>unavailable</c> when the service did not answer at all.</param>
/// <param name="Errors">What is wrong with the fields, each under its JSON path.</param>
public sealed record Problem(int Status, string Code, string? Detail, IReadOnlyDictionary<string, string[]> Errors)
{
    public static readonly Problem Away = new(StatusCodes.Status503ServiceUnavailable, "unavailable", null, new Dictionary<string, string[]>());
}

/// <summary>Either what was asked for, or why not.</summary>
public readonly record struct Answer<T>(T? Value, Problem? Problem)
{
    public bool IsOk => Problem is null;
}

/// <summary>Calls to one service: as the user who asks, with their own token; or with the key of a link, and no token.</summary>
public abstract class Api(HttpClient http)
{
    internal static readonly HttpRequestOptionsKey<bool> WithoutToken = new("without-token");

    protected static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    protected Task<Answer<T>> GetAsync<T>(string path, CancellationToken cancellation) => SendAsync<T>(HttpMethod.Get, path, null, cancellation);

    protected Task<Answer<T>> PostAsync<T>(string path, object body, CancellationToken cancellation) => SendAsync<T>(HttpMethod.Post, path, body, cancellation);

    /// <param name="key">The key of a link: it speaks for its holder, so the user's token stays out of it.</param>
    protected Task<Answer<T>> GetByKeyAsync<T>(string path, string key, CancellationToken cancellation) =>
        SendAsync<T>(HttpMethod.Get, WithKey(path, key), null, cancellation, withoutToken: true);

    /// <inheritdoc cref="GetByKeyAsync"/>
    protected Task<Answer<T>> PostByKeyAsync<T>(string path, string key, object body, CancellationToken cancellation) =>
        SendAsync<T>(HttpMethod.Post, WithKey(path, key), body, cancellation, withoutToken: true);

    protected async Task<Answer<T>> SendAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellation, string? idempotencyKey = null, bool withoutToken = false)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Options.Set(WithoutToken, withoutToken);
        if (body is not null)
            request.Content = body as HttpContent ?? JsonContent.Create(body, body.GetType(), options: Json);
        if (idempotencyKey is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{idempotencyKey}\"");
        try
        {
            using var response = await http.SendAsync(request, cancellation);
            return response.IsSuccessStatusCode
                ? new Answer<T>(await response.Content.ReadFromJsonAsync<T>(Json, cancellation), null)
                : new Answer<T>(default, await ProblemOfAsync(response, cancellation));
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or Polly.ExecutionRejectedException
            || exception is OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new Answer<T>(default, Problem.Away);
        }
    }

    private static string WithKey(string path, string key) => $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}key={Uri.EscapeDataString(key)}";

    private static async Task<Problem> ProblemOfAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var status = (int)response.StatusCode;
        var body = response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) == true
            ? await response.Content.ReadFromJsonAsync<Body>(Json, cancellation)
            : null;
        return new Problem(status, body?.Code ?? (status >= 500 ? "unavailable" : "error"), body?.Detail, body?.Errors ?? new Dictionary<string, string[]>());
    }

    private sealed record Body(string? Code, string? Detail, Dictionary<string, string[]>? Errors);
}

/// <summary>
/// Puts the user's own token on every call, unless the call goes by the key of a link: then the service is told whose
/// address it comes from, so that its limits are not for all people with a link together.
/// </summary>
public sealed class UserTokenHandler(IHttpContextAccessor accessor) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var byKey = request.Options.TryGetValue(Api.WithoutToken, out var without) && without;
        if (byKey && accessor.HttpContext?.Connection.RemoteIpAddress is { } address)
            request.Headers.TryAddWithoutValidation("X-Forwarded-For", address.ToString());
        if (!byKey && accessor.HttpContext is { User.Identity.IsAuthenticated: true } http
            && await http.GetTokenAsync(SignIn.UserSignIn.AccessToken) is { } token)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return await base.SendAsync(request, cancellationToken);
    }
}

/// <summary>The services that the console asks; their addresses are in <c>Services:…</c>.</summary>
public static class ApiSetup
{
    public static void AddApis(this WebApplicationBuilder builder)
    {
        builder.Services.AddTransient<UserTokenHandler>();
        Add<RequestsApi>("Services:Requests");
        Add<MatchingApi>("Services:Matching");
        Add<GroupsApi>("Services:Groups");
        Add<NotificationsApi>("Services:Notifications");
        Add<Operator.MatchingDesk>("Services:Matching");
        Add<Operator.RequestsDesk>("Services:Requests");
        Add<Operator.GroupsDesk>("Services:Groups");
        // Where no audit answers over HTTP, its pages say so; all others do without it.
        Add<Auditor.AuditApi>("Services:Audit", otherwise: new Uri("http://audit.invalid"));
        builder.Services.AddSingleton<Operator.Names>().AddSingleton<Operator.DeskTime>();
        // A stream has no end that could be waited for.
        builder.Services.AddHttpClient<Operations.BoardStream>(http =>
        {
            http.BaseAddress = ServiceAddress.Read(builder.Configuration, "Services:Matching");
            http.Timeout = Timeout.InfiniteTimeSpan;
        }).AddHttpMessageHandler<UserTokenHandler>();

        void Add<T>(string key, Uri? otherwise = null) where T : Api
        {
            var address = otherwise is not null && builder.Configuration[key] is not { Length: > 0 } ? otherwise : ServiceAddress.Read(builder.Configuration, key);
            var client = builder.Services.AddHttpClient<T>(http => http.BaseAddress = address);
            client.AddHuzhuResilience();
            // Handlers are made once and kept; which user asks is read at every call.
            client.AddHttpMessageHandler<UserTokenHandler>();
        }
    }
}
