using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Features;

/// <param name="Version">Version of the responder's ledger.</param>
/// <param name="DirectoryVersion">Version of the directory's entry that the ledger knows.</param>
public sealed record ResponderView(
    ResponderId Id, ResponderKind Kind, Opening Opening, int Capacity, int Held, int Free, IReadOnlyList<OfferId> Offers, long Version, long DirectoryVersion);

/// <summary>Places of one responder, as they are in the log now: for the centre, and for whoever speaks for that responder.</summary>
public static class GetResponder
{
    public static void MapResponders(this IEndpointRouteBuilder app) => app.MapGet("/v1/responders/{id}", HandleAsync)
        .RequireRoles(Roles.Operator, Roles.Auditor, Roles.Service, Roles.Coordinator, Roles.Responder)
        .WithTags("Responders").WithSummary("Capacity, places held and free; for whoever speaks for the responder, and the centre.").Produces<ResponderView>().ProducesProblem(403).ProducesProblem(404);

    private static async Task<IResult> HandleAsync(ResponderId id, HttpContext http, Log log, CancellationToken cancellation)
    {
        var user = http.User;
        var isOfTheCentre = user.IsInRole(Roles.Operator) || user.IsInRole(Roles.Auditor) || user.IsInRole(Roles.Service);
        var ledger = (await log.LoadLedgersAsync([id], cancellation)).GetValueOrDefault(id);
        if (!isOfTheCentre && !user.AnswersFor(id, ledger?.Profile))
            // The same for one that there is not.
            return Problems.Of(StatusCodes.Status403Forbidden, "not-your-responder", "Only who speaks for the responder may see its places.");
        return ledger is null
            ? Problems.Of(StatusCodes.Status404NotFound, "no-such-responder", "Matching knows no such responder.")
            : Results.Ok(new ResponderView(id, ledger.Profile!.Kind, ledger.Opening, ledger.Capacity, ledger.Held.Count, ledger.Free,
                [.. ledger.Held.Values.OrderBy(place => place.At).ThenBy(place => place.OfferId.Value).Select(place => place.OfferId)], ledger.Version, ledger.DirectoryVersion));
    }
}
