using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Groups.Features;

/// <param name="Area">The ring, its first point repeated at the end; left out in lists.</param>
/// <param name="Reason">Why it ended, when it has.</param>
public sealed record MeasureResource(
    Guid Id, long Version, string Name, string State, DateTimeOffset From, DateTimeOffset? Until, bool SealsZone, bool ClosesProviders,
    DateTimeOffset PublishedAt, DateTimeOffset? ImposedAt, DateTimeOffset? EndedAt, string? Reason, IReadOnlyList<GeoPoint>? Area)
{
    public static MeasureResource Of(Guid id, long version, Measure measure)
    {
        var plan = measure.Plan!;
        var state = measure.Phase switch
        {
            MeasurePhase.Unknown => throw new InvalidOperationException("A measure that was never published cannot be shown."),
            MeasurePhase.Planned => "planned",
            MeasurePhase.InForce => "in-force",
            MeasurePhase.Lifted => "lifted",
            MeasurePhase.Cancelled => "cancelled",
        };
        return new(id, version, plan.Name, state, plan.From, plan.Until, plan.SealsZone, plan.ClosesProviders, plan.At, measure.ImposedAt,
            measure.EndedAt, measure.EndedBecause, plan.Area);
    }
}

/// <summary><c>GET /v1/measures</c>, newest first, and <c>GET /v1/measures/{id}</c>.</summary>
public static class GetMeasures
{
    public static void MapGetMeasures(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/measures", ListAsync)
            .RequireRoles(Access.AnyRole)
            .WithSummary("All measures, the last to begin first, without their areas")
            .Produces<PageOf<MeasureResource>>().ProducesValidationProblem(422);
        app.MapGet("/v1/measures/{id:guid}", GetAsync)
            .RequireRoles(Access.AnyRole)
            .WithSummary("One measure with its area")
            .Produces<MeasureResource>().ProducesProblem(404);
    }

    private static async Task<IResult> ListAsync(IDocumentStore store, CancellationToken cancellation, int page = 1, int pageSize = ListResponders.DefaultPageSize)
    {
        if (ListResponders.CheckPage(page, pageSize).All is { Count: > 0 } wrong)
            return Problems.Invalid(wrong);
        await using var session = store.QuerySession();
        var found = await session.Query<MeasureView>().OrderByDescending(view => view.Measure.Plan!.From).ThenBy(view => view.Id)
            .Stats(out var statistics).Skip((page - 1) * pageSize).Take(pageSize).ToListAsync(cancellation);
        return Results.Ok(new PageOf<MeasureResource>(
            [.. found.Select(view => MeasureResource.Of(view.Id, view.Version, view.Measure) with { Area = null })], page, pageSize, statistics.TotalResults));
    }

    private static async Task<IResult> GetAsync(Guid id, Streams streams, CancellationToken cancellation)
    {
        var loaded = await streams.LoadAsync<Measure, MeasureEvent>(id, cancellation);
        return loaded.Version == 0 ? Measure.NotKnown.ToProblem() : Results.Ok(MeasureResource.Of(id, loaded.Version, loaded.State));
    }
}
