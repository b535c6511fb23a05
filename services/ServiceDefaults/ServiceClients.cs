using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Huzhu.ServiceDefaults;

/// <summary>A service's base address from configuration.</summary>
public static class ServiceAddress
{
    /// <exception cref="InvalidOperationException">It is missing or not an absolute HTTP address.</exception>
    public static Uri Read(IConfiguration configuration, string key) =>
        Uri.TryCreate(configuration[key]?.TrimEnd('/') + "/", UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? uri
            : throw new InvalidOperationException($"{key} is missing or not an absolute http or https address.");
}

/// <summary>Clients of the other services.</summary>
public static class ServiceClients
{
    /// <summary>An HTTP client, named as its key, of the service at the address under <paramref name="key"/>, with this service's token on every call.</summary>
    /// <exception cref="InvalidOperationException">The address is missing or malformed.</exception>
    public static IHttpClientBuilder AddServiceClient(this IServiceCollection services, IConfiguration configuration, string key)
    {
        services.AddHttpClient(ServiceToken.HttpClientName).AddHuzhuResilience();
        services.TryAddSingleton<ServiceToken>();
        services.TryAddTransient<ServiceTokenHandler>();
        var address = ServiceAddress.Read(configuration, key);
        var client = services.AddHttpClient(key, http => http.BaseAddress = address);
        client.AddHuzhuResilience();
        return client.AddHttpMessageHandler<ServiceTokenHandler>();
    }
}

/// <summary>The token that this service shows to the others: from the issuer by client credentials, or signed here on one machine.</summary>
public sealed class ServiceToken : IDisposable
{
    public const string HttpClientName = "token";

    private static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan DevelopmentLifetime = TimeSpan.FromHours(1);

    private readonly IHttpClientFactory _http;
    private readonly TimeProvider _time;
    private readonly string _service;
    private readonly byte[]? _developmentKey;
    private readonly Uri? _endpoint;
    private readonly Dictionary<string, string> _form = [];
    private readonly SemaphoreSlim _renewing = new(1, 1);
    private volatile Token? _token;

    private sealed record Token(string Value, DateTimeOffset RenewAt);

    public ServiceToken(IConfiguration configuration, IHttpClientFactory http, IHostEnvironment environment, TimeProvider time)
    {
        (_http, _time) = (http, time);
        _service = environment.ApplicationName[(environment.ApplicationName.LastIndexOf('.') + 1)..].ToLowerInvariant();
        _developmentKey = Security.ReadKey(configuration, "Auth:Development:SigningKey", required: false);
        if (_developmentKey is not null)
            return;
        _endpoint = Uri.TryCreate(Required("Auth:Client:TokenEndpoint"), UriKind.Absolute, out var endpoint)
            ? endpoint
            : throw new InvalidOperationException("Auth:Client:TokenEndpoint is not an absolute address.");
        _form["grant_type"] = "client_credentials";
        _form["client_id"] = Required("Auth:Client:ClientId");
        _form["client_secret"] = Required("Auth:Client:ClientSecret");
        _form["audience"] = configuration["Auth:Audience"] ?? Security.Audience;

        string Required(string key) => configuration[key] is { Length: > 0 } value
            ? value
            : throw new InvalidOperationException($"{key} is missing: this service asks others with a token of its own.");
    }

    public async ValueTask<string> GetAsync(CancellationToken cancellation)
    {
        if (_token is { } current && _time.GetUtcNow() < current.RenewAt)
            return current.Value;
        await _renewing.WaitAsync(cancellation);
        try
        {
            var now = _time.GetUtcNow();
            if (_token is { } renewed && now < renewed.RenewAt)
                return renewed.Value;
            _token = _developmentKey is null
                ? await AskIssuerAsync(now, cancellation)
                : new Token(Security.CreateDevelopmentToken(_developmentKey, _service, [Roles.Service], now, lifetime: DevelopmentLifetime),
                    now + DevelopmentLifetime - RenewBefore);
            return _token.Value;
        }
        finally
        {
            _renewing.Release();
        }
    }

    /// <summary>A service has refused the token; the next call fetches another.</summary>
    public void Forget(string refused)
    {
        if (_token is { } current && current.Value == refused)
            _token = null;
    }

    public void Dispose() => _renewing.Dispose();

    private async Task<Token> AskIssuerAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        using var client = _http.CreateClient(HttpClientName);
        using var response = await client.PostAsync(_endpoint, new FormUrlEncodedContent(_form), cancellation);
        response.EnsureSuccessStatusCode();
        var issued = await response.Content.ReadFromJsonAsync<Issued>(cancellation);
        if (issued is not { AccessToken.Length: > 0 })
            throw new HttpRequestException("The token endpoint answered without an access token.");
        var lifetime = TimeSpan.FromSeconds(Math.Max(issued.ExpiresIn, 0));
        return new Token(issued.AccessToken, now + (lifetime > 2 * RenewBefore ? lifetime - RenewBefore : lifetime / 2));
    }

    private sealed record Issued(
        [property: JsonPropertyName("access_token")] string? AccessToken, [property: JsonPropertyName("expires_in")] int ExpiresIn);
}

/// <summary>Puts the service's token on every call to another service.</summary>
public sealed class ServiceTokenHandler(ServiceToken token) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var value = await token.GetAsync(cancellationToken);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", value);
        var response = await base.SendAsync(request, cancellationToken);
        if (response.StatusCode == HttpStatusCode.Unauthorized)
            token.Forget(value);
        return response;
    }
}
