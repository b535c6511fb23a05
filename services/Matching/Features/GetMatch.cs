using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Features;

/// <summary>Where a need stands with its offers, newest last.</summary>
/// <param name="Version">Version of the match stream.</param>
/// <param name="Reason">Why it waits, is escalated, held or cancelled.</param>
public sealed record MatchView(
    NeedId NeedId, RequestId? RequestId, NeedState State, string? Kind, string? SubDistrict, DeliveryMode? Mode, Urgency Urgency, int Quantity, int RemainingQuantity,
    DateTimeOffset? SubmittedAt, string? Reason, ResponderId? ResponderId, IReadOnlyList<OfferView> Offers, long Version)
{
    public static MatchView Of(NeedId id, MatchState state, long version) => new(
        id, state.Need?.RequestId, state.State, state.Need?.Kind, state.Need?.SubDistrict, state.Need?.Mode, state.Urgency, state.Need?.Quantity ?? 0, state.Remaining,
        state.Need?.SubmittedAt, state.Reason, HolderOf(state), [.. state.Offers.Select(OfferView.Of)], version);

    private static ResponderId? HolderOf(MatchState state) =>
        (state.Taken ?? (state.IsOver ? state.Offers.FindLast(offer => offer.Status is OfferStatus.Done) : null))?.ResponderId;
}

/// <param name="State">made, sent, accepted, started, done, declined, expired, undeliverable, superseded, revoked, released or disputed.</param>
public sealed record OfferView(
    OfferId OfferId, ResponderId ResponderId, ResponderKind ResponderKind, string State, double? DistanceMetres,
    DateTimeOffset MadeAt, DateTimeOffset ExpiresAt, DateTimeOffset? EndedAt, string? EndedBecause)
{
    public static OfferView Of(Offer offer) => new(
        offer.Id, offer.ResponderId, offer.ResponderKind, offer.Status.ToString().ToLowerInvariant(), offer.Explanation.DistanceMetres,
        offer.MadeAt, offer.ExpiresAt, offer.EndedAt, offer.EndedBecause);
}

public static class GetMatch
{
    public static void MapMatches(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/matches/{needId}", async (NeedId needId, Log log, CancellationToken cancellation) =>
            await log.LoadMatchAsync(needId, cancellation) is { Version: > 0 } match
                ? Results.Ok(MatchView.Of(needId, match.State, match.Version))
                : NotFound)
            .RequireRoles(WholeMatches)
            .WithTags("Matches").WithSummary("State of a need's match, with all its offers, for the centre and services.").Produces<MatchView>().ProducesProblem(404);
        app.MapGet("/v1/matches/{needId}/explanation", async (NeedId needId, ClaimsPrincipal user, Log log, CancellationToken cancellation, string language = "en") =>
            InWords.In(language) is not { } words ? Problems.Invalid(new Dictionary<string, string[]> { ["language"] = ["zh or en."] })
            : await log.LoadMatchAsync(needId, cancellation) is { Version: > 0 } match ? Results.Ok(ExplanationView.Of(needId, match.State, words, MayKnowWhoHelped(user)))
            : NotFound)
            .RequireRoles(WholeMatches)
            .WithTags("Matches").WithSummary("Every offer in words and in data: who was chosen, who was better placed, and why not; for the centre and services.").Produces<ExplanationView>().ProducesProblem(404).ProducesProblem(422);
    }

    /// <summary>Who else was asked, how far away, and what they said is for the centre: a responder sees its own offer.</summary>
    private static readonly string[] WholeMatches = [Roles.Operator, Roles.Auditor, Roles.Service];

    /// <summary>Whom a person was helped by may tell what about them: no other service need know.</summary>
    private static bool MayKnowWhoHelped(ClaimsPrincipal user) => user.IsInRole(Roles.Operator) || user.IsInRole(Roles.Auditor);

    private static IResult NotFound => Problems.Of(StatusCodes.Status404NotFound, "no-such-match", "Matching knows no such need.");
}
