using Huzhu.Matching.Deciding;
using Huzhu.Matching.Features;
using Huzhu.Matching.Operations;
using Huzhu.ServiceDefaults;
using JasperFx.Events.Projections;
using Marten;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Huzhu.Matching;

/// <summary>The parts of Matching beside its store and its bus.</summary>
public static class Setup
{
    public static void Configure(StoreOptions options)
    {
        // The loser of a race for a stream then waits for the winner and is refused before it has burnt a sequence number.
        options.Events.UseExclusiveLockOnConcurrentAppends = true;
        options.Projections.Add(new Tables(), ProjectionLifecycle.Inline);
        foreach (var table in Tables.All())
            options.Storage.ExtendedSchemaObjects.Add(table);
    }

    public static void AddMatching(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton(LinkSigner.OfOffers(builder.Configuration));
        services.AddSingleton<Log>();
        services.AddSingleton<Sweeps>();
        services.AddSingleton<OfferDesk>();
        services.AddSingleton<PreviewClosure>();
        services.AddSingleton<QueueDepths>();
        services.AddSingleton<BoardReader>();
        services.AddSingleton<BoardFeed>();
        services.AddSingleton<DecisionLoop>();
        // Before the bus, so that it stops after it: what is being consumed can still be committed.
        services.AddHostedService(provider => provider.GetRequiredService<DecisionLoop>());
        services.AddSingleton<Decider>();
        services.AddHostedService(provider => provider.GetRequiredService<Decider>());
        services.AddSingleton<BacklogTrial>();
        services.AddHostedService<SafetyNet>();
        services.AddHostedService<PriceSetting>();
        services.AddHostedService<StandingMetrics>();
        services.AddTimer<OfferExpiryTimer>();
        services.AddTimer<EscalationTimer>();
        services.AddLogSubscription<BacklogSubscription>();
        services.AddHealthChecks().AddCheck<DirectoryHealthCheck>("directory", tags: ["ready"]);
    }

    private sealed class DirectoryHealthCheck(DecisionLoop loop) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(loop.IsReady ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The directory of responders has not been read yet."));
    }
}
