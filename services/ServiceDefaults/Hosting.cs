using System.Text.Json.Serialization;
using Marten;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Scalar.AspNetCore;

namespace Huzhu.ServiceDefaults;

/// <summary>What every service has in common: start, defaults, health, API description, orderly stop.</summary>
public static class Hosting
{
    /// <summary>Answers as long as the process can. It looks at nothing outside, so that an outage elsewhere restarts nothing.</summary>
    public const string LivePath = "/health/live";
    /// <summary>Answers when work can be taken: the database answers, and the broker has been reached since the start.</summary>
    public const string ReadyPath = "/health/ready";
    /// <summary>Metrics in Prometheus' format.</summary>
    public const string MetricsPath = "/metrics";

    /// <summary>Marks the health checks that ask the broker.</summary>
    public const string BrokerTag = "broker";

    /// <summary>A builder with telemetry, problems, security and limits; the service adds its store, bus and features.</summary>
    public static WebApplicationBuilder CreateHuzhuBuilder(string[] args, string service)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.Configuration.AddSecretFiles();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(25));
        builder.Services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.RespectNullableAnnotations = true;
            options.SerializerOptions.RespectRequiredConstructorParameters = true;
            options.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        });
        builder.AddHuzhuTelemetry(service).AddHuzhuSecurity();
        builder.Services.AddHuzhuProblems();
        builder.Services.AddOpenApi("v1", options => options.AddSchemaTransformer((schema, context, _) =>
        {
            // A typed id is a UUID on the wire, whatever its record looks like.
            if (context.JsonTypeInfo.Type.GetInterfaces().Any(type => type.Name.StartsWith("ITypedId", StringComparison.Ordinal)))
            {
                schema.Type = Microsoft.OpenApi.JsonSchemaType.String;
                schema.Format = "uuid";
                schema.Properties?.Clear();
            }
            return Task.CompletedTask;
        }));
        builder.Services.AddSingleton<Draining>().AddHostedService(services => services.GetRequiredService<Draining>());
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealthCheck>("database", tags: ["ready"]).AddCheck<Draining>("stopping", tags: ["ready"]);
        builder.Services.PostConfigure<HealthCheckServiceOptions>(LetWorkInWithoutTheBroker);
        return builder;
    }

    /// <summary>The pipeline every service has. Call before mapping the features.</summary>
    public static WebApplication UseHuzhuDefaults(this WebApplication app)
    {
        app.UseTrustedProxies();
        var draining = app.Services.GetRequiredService<Draining>();
        app.Use((context, next) =>
        {
            if (!context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments(MetricsPath))
                draining.Called();
            // At the last moment: an answer to an exception begins with no headers at all.
            context.Response.OnStarting(() =>
            {
                var headers = context.Response.Headers;
                if (draining.HasBegun && HttpProtocol.IsHttp11(context.Request.Protocol))
                    headers.Connection = "close";
                headers.XContentTypeOptions = "nosniff";
                headers.CacheControl = "no-store";
                headers["Referrer-Policy"] = "no-referrer";
                // Data is no page; only the description of the API is shown with scripts.
                headers.ContentSecurityPolicy = context.Request.Path.StartsWithSegments("/scalar")
                    ? "frame-ancestors 'none'"
                    : "default-src 'none'; frame-ancestors 'none'";
                return Task.CompletedTask;
            });
            return next(context);
        });
        app.UseHuzhuProblems();
        app.UseAuthentication();
        app.UseCallers();
        app.UseRateLimiter();
        app.UseAuthorization();
        app.MapHealthChecks(LivePath, new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous().DisableRateLimiting();
        app.MapHealthChecks(ReadyPath, new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") }).AllowAnonymous().DisableRateLimiting();
        app.MapPrometheusScrapingEndpoint(MetricsPath).AllowAnonymous().DisableRateLimiting();
        app.MapOpenApi().AllowAnonymous();
        app.MapScalarApiReference().AllowAnonymous();
        return app;
    }

    /// <summary>
    /// Runs the service; with <c>--migrate</c> only applies the database schema and ends, with <c>--rewrap-keys --by SUBJECT</c> only
    /// wraps people's data keys with the current master key. A service that does not apply the schema at its start looks
    /// first whether it is there.
    /// </summary>
    public static async Task RunHuzhuAsync(this WebApplication app, string[] args)
    {
        var store = app.Services.GetRequiredService<IDocumentStore>();
        if (args.Contains("--migrate"))
        {
            await store.Storage.ApplyAllConfiguredChangesToDatabaseAsync();
            return;
        }
        if (!EventStore.AppliesSchema(app.Configuration, app.Environment))
            await EventStore.CheckSchemaAsync(store, app.Logger, app.Lifetime.ApplicationStopping);
        if (args.Contains("--rewrap-keys"))
            await MasterKeys.RewrapAsync(app.Services, args.SkipWhile(arg => arg != "--by").ElementAtOrDefault(1), Console.Out, app.Lifetime.ApplicationStopping);
        else
            await app.RunAsync();
    }

    /// <summary>
    /// A service that has never reached the broker is not ready: its address or password may be wrong, and an upgrade must
    /// not go on over that. Once it has, an outage of the broker must not take the service away from those who call it:
    /// what they bring is committed here and published later.
    /// </summary>
    private static void LetWorkInWithoutTheBroker(HealthCheckServiceOptions options)
    {
        foreach (var registration in options.Registrations.Where(registration => registration.Tags.Contains(BrokerTag)))
        {
            var (make, reached) = (registration.Factory, new Reached());
            registration.Factory = services => new OnceReached(make(services), reached);
        }
    }

    private sealed class Reached
    {
        public volatile bool Ever;
    }

    private sealed class OnceReached(IHealthCheck broker, Reached reached) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            var result = await broker.CheckHealthAsync(context, cancellationToken);
            reached.Ever |= result.Status == HealthStatus.Healthy;
            return result.Status == HealthStatus.Unhealthy && reached.Ever ? HealthCheckResult.Degraded(result.Description) : result;
        }
    }

    private sealed class DatabaseHealthCheck(NpgsqlDataSource database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                await using var command = database.CreateCommand("select 1");
                await command.ExecuteScalarAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
            {
                return HealthCheckResult.Unhealthy("The database does not answer.", exception);
            }
        }
    }
}
