using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>What the responder that accepted must know to help: who, where exactly, and the note.</summary>
public static class GetVisit
{
    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/v1/requests/{id}/visit", HandleAsync)
        .RequireRoles(Roles.Service, Roles.Operator)
        .WithSummary("What the responder that accepted must know")
        .Produces<VisitAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(410);

    private static async Task<IResult> HandleAsync(RequestId id, NeedId? needId, HttpContext http, IQuerySession session, PersonalRecords records, AccessLog access, CancellationToken cancellation)
    {
        var (state, _) = await session.LoadRequestAsync(id, cancellation);
        if (!state.Exists)
            return Request.RequestNotFound.ToProblem();
        var index = needId is { } wanted ? state.Needs.TakeWhile(need => need.NeedId != wanted).Count() : 0;
        if (needId is not null && index == state.Needs.Count)
            return Request.NeedNotFound.ToProblem();
        if (await records.RevealAsync(state, cancellation) is not { } call)
            return PersonalRecords.Gone;
        if (call.Person.Place is not { } place)
            return Problems.Of(StatusCodes.Status409Conflict, "partial", "The intake has no place yet.");
        await access.RecordAsync(http, [state.PersonId.Value, state.CallerId.Value], id.Value, Revealed.Visit, cancellation);

        // Without a need named, the note is told only when it is clear which need is meant.
        var note = needId is null && call.Needs.Count > 1 ? null : call.Needs.ElementAtOrDefault(index)?.Note;
        return Results.Ok(new VisitAnswer(
            call.Person.Ref is null ? call.Caller.Name : call.Person.Name, call.CallbackOk ? call.Caller.Phone : null,
            place.Lat, place.Lon, call.Person.AddressText, note));
    }
}

/// <param name="Lat">WGS84, not snapped.</param>
/// <param name="Phone">The caller's; left out when they do not want to be called back.</param>
public sealed record VisitAnswer(string? Name, string? Phone, double Lat, double Lon, string? AddressText, string? Note);
