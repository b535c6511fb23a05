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
    /// <summary>A builder with telemetry, problems, security and limits; the service adds its store, bus and features.</summary>
    public static WebApplicationBuilder CreateHuzhuBuilder(string[] args, string service)
    {
        var builder = WebApplication.CreateBuilder(args);
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
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealthCheck>("database", tags: ["ready"]);
        return builder;
    }

    /// <summary>The pipeline every service has. Call before mapping the features.</summary>
    public static WebApplication UseHuzhuDefaults(this WebApplication app)
    {
        app.UseHuzhuProblems();
        app.Use((context, next) =>
        {
            var headers = context.Response.Headers;
            headers.XContentTypeOptions = "nosniff";
            headers.CacheControl = "no-store";
            headers["Referrer-Policy"] = "no-referrer";
            return next(context);
        });
        app.UseAuthentication();
        app.UseRateLimiter();
        app.UseAuthorization();
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous().DisableRateLimiting();
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") }).AllowAnonymous().DisableRateLimiting();
        app.MapPrometheusScrapingEndpoint().AllowAnonymous().DisableRateLimiting();
        app.MapOpenApi().AllowAnonymous();
        app.MapScalarApiReference().AllowAnonymous();
        return app;
    }

    /// <summary>Runs the service; with <c>--migrate</c> only applies the database schema and ends.</summary>
    public static async Task RunHuzhuAsync(this WebApplication app, string[] args)
    {
        if (args.Contains("--migrate"))
            await app.Services.GetRequiredService<IDocumentStore>().Storage.ApplyAllConfiguredChangesToDatabaseAsync();
        else
            await app.RunAsync();
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
