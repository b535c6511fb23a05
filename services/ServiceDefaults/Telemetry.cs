using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Traces follow one need from HTTP through the log and the broker to the notification; metrics at <c>/metrics</c>.
/// Everything goes to an OTLP collector when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set.
/// </summary>
public static class Telemetry
{
    /// <summary>Limits of the buckets of our histograms in seconds, but for those that have limits of their own.</summary>
    public static IReadOnlyList<double> LimitsInSeconds { get; } = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

    public static IHostApplicationBuilder AddHuzhuTelemetry(this IHostApplicationBuilder builder, string service)
    {
        // Whole addresses, and so the keys of links, whatever level is asked for.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.Warning).AddFilter("System.Net.Http.HttpClient", LogLevel.Warning);
        var exports = !string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService($"huzhu-{service}"))
            .WithMetrics(metrics => metrics
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddRuntimeInstrumentation()
                .AddMeter("Huzhu.*", "MassTransit", "Npgsql", "Polly")
                // The library's own limits are made for milliseconds: the first of them after zero is 5. An instrument may have limits of its own.
                .AddView(instrument => instrument is Histogram<double> { Unit: "s", Advice: null } && instrument.Meter.Name.StartsWith("Huzhu.", StringComparison.Ordinal)
                    ? new ExplicitBucketHistogramConfiguration { Boundaries = [.. LimitsInSeconds] }
                    : null)
                .AddPrometheusExporter())
            // Recorded even when nobody collects them: the trace would break between the log and the broker without.
            .WithTracing(tracing => tracing
                .AddSource("Huzhu.*", "MassTransit")
                .AddAspNetCoreInstrumentation(options => options.Filter = context =>
                    !context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments("/metrics"))
                .AddHttpClientInstrumentation());
        if (exports)
        {
            // A span for each statement is costly, and nothing hangs on it.
            telemetry.WithTracing(tracing => tracing.AddNpgsql()).UseOtlpExporter();
            builder.Logging.AddOpenTelemetry(logging => logging.IncludeFormattedMessage = true);
        }
        return builder;
    }
}
