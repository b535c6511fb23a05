using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Features;

/// <param name="Version">Version of the responder's ledger.</param>
/// <param name="DirectoryVersion">Version of the directory's entry that the ledger knows.</param>
public sealed record ResponderView(
    ResponderId Id, ResponderKind Kind, Opening Opening, int Capacity, int Held, int Free, IReadOnlyList<OfferId> Offers, long Version, long DirectoryVersion);

/// <summary>Places of one responder, as they are in the log now.</summary>
public static class GetResponder
{
    public static void MapResponders(this IEndpointRouteBuilder app) => app.MapGet("/v1/responders/{id}", async (ResponderId id, Log log, CancellationToken cancellation) =>
        (await log.LoadLedgersAsync([id], cancellation)).TryGetValue(id, out var ledger)
            ? Results.Ok(new ResponderView(id, ledger.Profile!.Kind, ledger.Opening, ledger.Capacity, ledger.Held.Count, ledger.Free,
                [.. ledger.Held.Values.OrderBy(place => place.At).ThenBy(place => place.OfferId.Value).Select(place => place.OfferId)], ledger.Version, ledger.DirectoryVersion))
            : Problems.Of(StatusCodes.Status404NotFound, "no-such-responder", "Matching knows no such responder."))
        .WithTags("Responders").WithSummary("Capacity, places held and free.").Produces<ResponderView>();
}
