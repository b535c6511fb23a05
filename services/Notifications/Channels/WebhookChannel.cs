using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Huzhu.Notifications.Domain;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Huzhu.Notifications.Channels;

/// <param name="AllowedPrivateHosts">Host names or addresses of receivers on our own premises.</param>
/// <param name="DefaultSecret">Signs messages to addresses that have no secret of their own; null: those are refused.</param>
public sealed record WebhookOptions(IReadOnlySet<string> AllowedPrivateHosts, string? DefaultSecret)
{
    private const string SecretKey = "Channels:Webhook:DefaultSecret";

    public static WebhookOptions Read(IConfiguration configuration)
    {
        var secret = configuration[SecretKey] is { Length: > 0 } text ? text : null;
        if (secret is not null && !StandardWebhooks.IsUsable(secret))
            throw new InvalidOperationException($"{SecretKey} must be whsec_ and base64 of at least 16 bytes.");
        var hosts = configuration.GetSection("Channels:Webhook:AllowedPrivateHosts").Get<string[]>() ?? [];
        return new WebhookOptions(hosts.ToHashSet(StringComparer.OrdinalIgnoreCase), secret);
    }
}

/// <summary>
/// Signed webhooks (Standard Webhooks) to an integrator's front end. A machine receives them and renders them for the
/// person, so the channel carries text and voice.
/// </summary>
public sealed class WebhookChannel : IChannel, IDisposable
{
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWaitForHost = TimeSpan.FromMilliseconds(500);
    private const int MostRequestsPerHost = 16;
    private const int MostHosts = 4096;
    private const int LongestAddress = 2048;
    private static readonly MediaTypeHeaderValue ContentType = new("application/cloudevents+json") { CharSet = "utf-8" };

    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _http;
    private readonly ConcurrentDictionary<string, Host> _hosts = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>One receiver's bulkhead and circuit breaker: a slow or dead one must not hold up the others.</summary>
    private sealed record Host(SemaphoreSlim Slots, ResiliencePipeline<SendOutcome> Pipeline);

    public WebhookChannel(WebhookOptions options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            // A proxy would resolve names by itself, past the check below.
            UseProxy = false,
            ConnectCallback = ConnectAsync,
            ConnectTimeout = AttemptTimeout,
            MaxConnectionsPerServer = MostRequestsPerHost,
            MaxResponseDrainSize = 4096,
            ResponseDrainTimeout = TimeSpan.FromSeconds(1),
            MaxResponseHeadersLength = 16,
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            // Addresses are personal data and must not become the tags of a trace; the receiver has no use for our trace ids.
            ActivityHeadersPropagator = null,
        });
    }

    public string Kind => "webhook";

    public ChannelAbilities Abilities { get; } = new(Text: true, Voice: true);

    public string? Refuse(Address address)
    {
        if (UriOf(address) is not { } uri)
            return "malformed-address";
        var allowed = _options.AllowedPrivateHosts.Contains(uri.IdnHost);
        if (uri.Scheme != Uri.UriSchemeHttps && !allowed)
            return "not-https";
        if (!allowed && IPAddress.TryParse(uri.IdnHost, out var literal) && !MayReach(literal))
            return "private-address";
        return (address.Secret ?? _options.DefaultSecret) switch
        {
            null => "no-secret",
            var secret => StandardWebhooks.IsUsable(secret) ? null : "malformed-secret",
        };
    }

    public async Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation)
    {
        var uri = UriOf(address) ?? throw new ArgumentException("The address should have been refused.", nameof(address));
        var host = HostOf(uri);
        if (!await host.Slots.WaitAsync(LongestWaitForHost, cancellation))
            return SendOutcome.Transient("receiver-busy");
        try
        {
            return await host.Pipeline.ExecuteAsync(
                static async (state, token) => await state.Channel.PostAsync(state.message, state.uri, state.Secret, token),
                (Channel: this, message, uri, Secret: address.Secret ?? _options.DefaultSecret!), cancellation);
        }
        catch (BrokenCircuitException)
        {
            return SendOutcome.Transient("circuit-open");
        }
        catch (TimeoutRejectedException)
        {
            return SendOutcome.Transient("timeout");
        }
        finally
        {
            host.Slots.Release();
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        foreach (var host in _hosts.Values)
            host.Slots.Dispose();
    }

    private async Task<SendOutcome> PostAsync(Message message, Uri uri, string secret, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        var id = message.Id.ToString();
        using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new ReadOnlyMemoryContent(message.Body) };
        request.Content.Headers.ContentType = ContentType;
        request.Headers.UserAgent.ParseAdd("Huzhu-Notifications/1");
        request.Headers.Add(StandardWebhooks.IdHeader, id);
        request.Headers.Add(StandardWebhooks.TimestampHeader, now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        request.Headers.Add(StandardWebhooks.SignatureHeader, StandardWebhooks.Sign(secret, id, now, message.Body.Span));
        try
        {
            // Only the headers are read. What the receiver says beside its status is of no use here, and could be endless;
            // up to 4 KiB are drained so that the connection can be used again.
            using var response = await _http.SendAsync(request, cancellation);
            return OutcomeOf(response, now);
        }
        catch (HttpRequestException exception)
        {
            return exception.GetBaseException() switch
            {
                PrivateAddressException => SendOutcome.Refused("private-address"),
                SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain } => SendOutcome.Transient("name-not-found"),
                System.Security.Authentication.AuthenticationException => SendOutcome.Transient("tls-failed"),
                _ => SendOutcome.Transient("no-answer"),
            };
        }
    }

    private static SendOutcome OutcomeOf(HttpResponseMessage response, DateTimeOffset now)
    {
        var status = (int)response.StatusCode;
        return status switch
        {
            >= 200 and < 300 => SendOutcome.Success,
            // A redirect could lead anywhere, a private address too, and would repeat the message to somebody else.
            >= 300 and < 400 => SendOutcome.Refused("redirect"),
            408 or 429 or >= 500 => SendOutcome.Transient($"http-{status}", RetryAfterOf(response, now)),
            410 => SendOutcome.Refused("gone"),
            _ => SendOutcome.Refused($"http-{status}"),
        };
    }

    private static TimeSpan? RetryAfterOf(HttpResponseMessage response, DateTimeOffset now) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } when date > now => date - now,
        _ => null,
    };

    /// <summary>Resolves, checks, and connects to the very address that was checked: a second look-up could answer differently.</summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = await Dns.GetHostAddressesAsync(host, cancellation);
        if (!_options.AllowedPrivateHosts.Contains(host) && !addresses.All(MayReach))
            throw new PrivateAddressException();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool MayReach(IPAddress address) => PublicAddresses.IsPublic(address) || _options.AllowedPrivateHosts.Contains(address.ToString());

    private Host HostOf(Uri uri)
    {
        // Forgetting all circuits at once is harmless: they are learnt again within a few attempts.
        if (_hosts.Count >= MostHosts)
            _hosts.Clear();
        return _hosts.GetOrAdd(uri.Authority, static (_, time) => new Host(
            new SemaphoreSlim(MostRequestsPerHost, MostRequestsPerHost),
            new ResiliencePipelineBuilder<SendOutcome> { TimeProvider = time }
                .AddCircuitBreaker(new CircuitBreakerStrategyOptions<SendOutcome>
                {
                    FailureRatio = 0.5,
                    MinimumThroughput = 8,
                    SamplingDuration = TimeSpan.FromSeconds(10),
                    BreakDuration = TimeSpan.FromSeconds(2),
                    ShouldHandle = new PredicateBuilder<SendOutcome>().Handle<TimeoutRejectedException>().HandleResult(IsHostSick),
                })
                .AddTimeout(AttemptTimeout)
                .Build()), _time);
    }

    /// <summary>A failure of the receiver as a whole, not of this message.</summary>
    private static bool IsHostSick(SendOutcome outcome) => outcome is { Succeeded: false, Permanent: false, Reason: not ("http-429" or "http-408") };

    private static Uri? UriOf(Address address) =>
        address.Value.Length <= LongestAddress && Uri.TryCreate(address.Value, UriKind.Absolute, out var uri)
        && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0
            ? uri
            : null;

    private sealed class PrivateAddressException : Exception;
}
