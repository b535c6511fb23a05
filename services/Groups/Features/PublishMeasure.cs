using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Mvc;

namespace Huzhu.Groups.Features;

public sealed record PointBody(double? Lat = null, double? Lon = null);

public sealed record MeasureBody(Guid? Id = null, string? Name = null, IReadOnlyList<PointBody?>? Area = null, string? From = null, string? Until = null, bool? SealsZone = null, bool? ClosesProviders = null);

/// <summary><c>POST /v1/measures</c>: a collective measure is announced, and imposed when its time has come.</summary>
public static class PublishMeasure
{
    /// <summary>Ten thousand points do not fit into the limit that is enough for everything else.</summary>
    private const int MaxBodyBytes = 1024 * 1024;

    public static void MapPublishMeasure(this IEndpointRouteBuilder app) =>
        app.MapPost("/v1/measures", HandleAsync)
            .RequireRoles(Roles.Operator)
            .WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
            .WithSummary("A measure in an area, from now or later, until a time or until lifted")
            .Produces<MeasureResource>(StatusCodes.Status201Created).ProducesProblem(409).ProducesValidationProblem(422);

    private static async Task<IResult> HandleAsync(MeasureBody body, HttpContext http, Streams streams, TimeProvider time, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var errors = new FieldErrors();
        if (body.Id == Guid.Empty)
            errors.Add("id", "The id must not be all zeros; leave it out to be given one.");
        errors.Text("name", body.Name, EntryBody.MaxName, required: true);
        if (!Moments.TryRead(body.From, out var from))
            errors.Add("from", Moments.Expected);
        if (!Moments.TryRead(body.Until, out var until))
            errors.Add("until", Moments.Expected);
        else if (body.Id is null || until <= from)
            // With an id it may be the repeat of a measure that is over by now.
            errors.Period(from ?? now, until, now);
        var area = ReadArea(body.Area, errors);
        if (errors.All is { Count: > 0 } wrong)
            return Problems.Invalid(wrong);

        var id = body.Id ?? Guid.CreateVersion7();
        var outcome = await streams.ChangeAsync<Measure, MeasureEvent>(id, (loaded, _) =>
        {
            var begins = from ?? loaded.State.Plan?.From ?? now.InMilliseconds();
            return ValueTask.FromResult(Measure.DecidePublication(loaded.State, new MeasurePublished(
                body.Name!.Trim(), area!.Ring, begins, until, body.SealsZone ?? true, body.ClosesProviders ?? true, http.User.Subject(), time.GetUtcNow())));
        }, cancellation, whenForeign: Listing.IdTaken);
        return outcome.Refusal is { } refusal
            ? refusal.ToProblem()
            : Results.Created($"/v1/measures/{id}", MeasureResource.Of(id, outcome.Version, outcome.State));
    }

    private static Area? ReadArea(IReadOnlyList<PointBody?>? points, FieldErrors errors)
    {
        if (points is null || points.Any(point => point?.Lat is null || point.Lon is null))
        {
            errors.Add("area", "The area must be a list of points with lat and lon.");
            return null;
        }
        var (area, problem) = Area.Of([.. points.Select(point => new GeoPoint(point!.Lat!.Value, point.Lon!.Value))]);
        if (problem is not null)
            errors.Add("area", problem);
        return area;
    }
}
