using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary><c>POST /v1/measures/{id}/lift</c>: ends the measure now, or calls it off when it has not begun.</summary>
public static class LiftMeasure
{
    public static void MapLiftMeasure(this IEndpointRouteBuilder app) =>
        app.MapPost("/v1/measures/{id:guid}/lift", HandleAsync)
            .RequireRoles(Roles.Operator)
            .WithSummary("End a measure now, or call it off before it begins")
            .Produces<MeasureResource>().ProducesProblem(404).ProducesValidationProblem(422);

    private static async Task<IResult> HandleAsync(Guid id, ReasonBody body, HttpContext http, Streams streams, TimeProvider time, CancellationToken cancellation)
    {
        if (body.Validate() is { Count: > 0 } errors)
            return Problems.Invalid(errors);
        var outcome = await streams.ChangeAsync<Measure, MeasureEvent>(id, (loaded, _) => ValueTask.FromResult(
            Measure.DecideLift(loaded.State, body.Reason!.Trim(), http.User.Subject(), time.GetUtcNow())), cancellation, whenForeign: Measure.NotKnown);
        return outcome.Refusal is { } refusal ? refusal.ToProblem() : Results.Ok(MeasureResource.Of(id, outcome.Version, outcome.State));
    }
}
