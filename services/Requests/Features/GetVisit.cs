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
        // A service or an operator with a token; or the responder itself, by the key that Matching gives it while it has the need in hand.
        .AllowAnonymous().KnownByLink()
        .WithSummary("What the responder that accepted must know")
        .Produces<VisitAnswer>()
        .ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesProblem(410);

    private static async Task<IResult> HandleAsync(RequestId id, NeedId? needId, string? key, HttpContext http, IQuerySession session, PersonalRecords records, VisitKeys keys, AccessLog access, CancellationToken cancellation)
    {
        var may = http.User.IsInRole(Roles.Service) || http.User.IsInRole(Roles.Operator);
        if (!may && key is null)
            return http.User.Identity?.IsAuthenticated == true
                ? Problems.Of(StatusCodes.Status403Forbidden, "forbidden", "Only services and operators may ask, or who has the key of the visit.")
                : Problems.Of(StatusCodes.Status401Unauthorized, "unauthenticated", "A token, or the key of the visit, is needed.");
        var (state, _) = await session.LoadRequestAsync(id, cancellation);
        var holder = may ? null : keys.HolderOf(state, needId, key);
        if (!may && holder is null)
            return Problems.Of(StatusCodes.Status403Forbidden, "not-your-visit", "Only who has the need in hand may know whom to see and where.");
        if (!state.Exists)
            return Request.RequestNotFound.ToProblem();
        var index = needId is { } wanted ? state.Needs.TakeWhile(need => need.NeedId != wanted).Count() : 0;
        if (needId is not null && index == state.Needs.Count)
            return Request.NeedNotFound.ToProblem();
        if (await records.RevealAsync(state, cancellation) is not { } call)
            return PersonalRecords.Gone;
        if (call.Person.Place is not { } place)
            return Problems.Of(StatusCodes.Status409Conflict, "partial", "The intake has no place yet.");
        Guid[] people = [state.PersonId.Value, state.CallerId.Value];
        await (holder is { } responder
            ? access.RecordAsync($"responder-{responder}", people, id.Value, Revealed.Visit, cancellation)
            : access.RecordAsync(http, people, id.Value, Revealed.Visit, cancellation));

        // Without a need named, the note is told only when it is clear which need is meant.
        var note = needId is null && call.Needs.Count > 1 ? null : call.Needs.ElementAtOrDefault(index)?.Note;
        return Results.Ok(new VisitAnswer(
            call.Person.Ref is null ? call.Caller.Name : call.Person.Name, call.CallbackOk ? call.Caller.Phone : null,
            place.Lat, place.Lon, call.Person.AddressText, note));
    }
}

/// <summary>
/// The keys of visits, signed by Matching with the key of offers' links. What they open is this log's to say: only while
/// the need is in the hands of the responder that the key was made for.
/// </summary>
public sealed class VisitKeys(IConfiguration configuration)
{
    private const string Purpose = "visit";
    private readonly LinkSigner? _signer = configuration[LinkSigner.OffersKey] is { Length: > 0 } ? LinkSigner.OfOffers(configuration) : null;

    /// <returns>The responder that has the need in hand, when the key is its own.</returns>
    public ResponderId? HolderOf(RequestState state, NeedId? needId, string? key) =>
        state.Needs.FirstOrDefault(need => need.NeedId == needId) is { State: NeedState.Accepted or NeedState.Started, ResponderId: { } responder } held
        && _signer?.Verify(Purpose, held.NeedId.Value, responder.Value, key) == true
            ? responder
            : null;
}

/// <param name="Lat">WGS84, not snapped.</param>
/// <param name="Phone">The caller's; left out when they do not want to be called back.</param>
public sealed record VisitAnswer(string? Name, string? Phone, double Lat, double Lon, string? AddressText, string? Note);
