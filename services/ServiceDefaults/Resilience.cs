using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Polly;
using Polly.Telemetry;

namespace Huzhu.ServiceDefaults;

/// <summary>Every HTTP call that leaves the process passes through a Polly pipeline.</summary>
public static class Resilience
{
    /// <summary>
    /// For calls between services: three tries with jitter, a circuit breaker, 2 s a try and 8 s in all. Only safe
    /// methods are repeated.
    /// </summary>
    public static IHttpClientBuilder AddHuzhuResilience(this IHttpClientBuilder client)
    {
        client.Services.Configure<TelemetryOptions>(options => options.SeverityProvider = Severity);
        client.AddStandardResilienceHandler(options =>
        {
            options.AttemptTimeout.Timeout = TimeSpan.FromSeconds(2);
            options.TotalRequestTimeout.Timeout = TimeSpan.FromSeconds(8);
            options.Retry.MaxRetryAttempts = 3;
            options.Retry.UseJitter = true;
            options.Retry.BackoffType = DelayBackoffType.Exponential;
            options.Retry.Delay = TimeSpan.FromMilliseconds(100);
            options.Retry.DisableForUnsafeHttpMethods();
            options.CircuitBreaker.SamplingDuration = TimeSpan.FromSeconds(10);
            options.CircuitBreaker.BreakDuration = TimeSpan.FromSeconds(2);
        });
        return client;
    }

    /// <summary>
    /// One try that failed is no news, its stack trace least of all: whoever called says how it ended, and the tries are
    /// counted. That a circuit has opened or closed is news.
    /// </summary>
    private static ResilienceEventSeverity Severity(SeverityProviderArguments arguments) => arguments.Event.EventName switch
    {
        "OnTimeout" or "OnRetry" or "ExecutionAttempt" => ResilienceEventSeverity.Debug,
        _ => arguments.Event.Severity,
    };
}
