using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Huzhu.Notifications.Channels;

/// <param name="DefaultSecret">Signs messages to addresses that have no secret of their own; null: those are refused.</param>
public sealed record WebhookOptions(OutboundHttp Outbound, string? DefaultSecret)
{
    private const string SecretKey = "Channels:Webhook:DefaultSecret";

    public static WebhookOptions Read(IConfiguration configuration)
    {
        var secret = configuration[SecretKey] is { Length: > 0 } text ? text : null;
        if (secret is not null && !StandardWebhooks.IsUsable(secret))
            throw new InvalidOperationException($"{SecretKey} must be whsec_ and base64 of at least 16 bytes.");
        return new WebhookOptions(OutboundHttp.Read(configuration, "Channels:Webhook:AllowedPrivateHosts"), secret);
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

    /// <summary>For what nobody waits for: a burst is spread rather than tried again minutes later.</summary>
    public static readonly TimeSpan PatientWaitForHost = TimeSpan.FromSeconds(5);

    private const int MostRequestsPerHost = 16;
    private const int MostHosts = 4096;
    private static readonly MediaTypeHeaderValue ContentType = new("application/cloudevents+json") { CharSet = "utf-8" };

    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly TimeSpan _longestWaitForHost;
    private readonly HttpMessageInvoker _http;
    private readonly ConcurrentDictionary<string, Host> _hosts = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>One receiver's bulkhead and circuit breaker: a slow or dead one must not hold up the others.</summary>
    private sealed record Host(SemaphoreSlim Slots, ResiliencePipeline<SendOutcome> Pipeline);

    /// <param name="longestWaitForHost">How long a message waits while its receiver has as many in hand as it gets at once.</param>
    public WebhookChannel(WebhookOptions options, TimeProvider time, TimeSpan? longestWaitForHost = null)
    {
        (_options, _time, _longestWaitForHost) = (options, time, longestWaitForHost ?? LongestWaitForHost);
        var handler = options.Outbound.CreateHandler();
        (handler.ConnectTimeout, handler.MaxConnectionsPerServer) = (AttemptTimeout, MostRequestsPerHost);
        _http = new HttpMessageInvoker(handler);
    }

    public string Kind => "webhook";

    public ChannelAbilities Abilities { get; } = new(Text: true, Voice: true);

    public string? Refuse(Address address) => _options.Outbound.Refuse(OutboundHttp.UriOf(address.Value)) ?? (address.Secret ?? _options.DefaultSecret) switch
    {
        null => "no-secret",
        var secret => StandardWebhooks.IsUsable(secret) ? null : "malformed-secret",
    };

    public async Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation)
    {
        var uri = OutboundHttp.UriOf(address.Value) ?? throw new ArgumentException("The address should have been refused.", nameof(address));
        var host = HostOf(uri);
        if (!await host.Slots.WaitAsync(_longestWaitForHost, cancellation))
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
                OutboundHttp.PrivateAddressException => SendOutcome.Refused("private-address"),
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
}
