using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Features;

/// <param name="Reason">Why this one, in at most 500 characters; it is kept in the log and read by auditors. No personal data.</param>
public sealed record AssignmentForm(ResponderId? ResponderId, string? Reason);

/// <summary>One responder that provides the need's service kind, as the rules see it now.</summary>
/// <param name="CanTake">No hard rule excludes it: it can be assigned by hand.</param>
/// <param name="Reason">The rule that keeps it from being asked, or null; <c>asked-recently</c> does not stop an assignment.</param>
/// <param name="Words">The same as a clause: "is full".</param>
/// <param name="Place">Its nearest open site.</param>
/// <param name="DistanceMetres">Null for online help.</param>
public sealed record CandidateView(
    ResponderId ResponderId, ResponderKind Kind, bool CanTake, string? Reason, string? Words, double? DistanceMetres, GeoPoint? Place, string? SubDistrict,
    int Held, int Capacity, int Free, long LedgerVersion);

/// <summary>Who could take a need now, first those who can, each part in the order of the decision.</summary>
/// <param name="Place">The need's, snapped to about 100 m.</param>
/// <param name="Refusal">Why nobody can be assigned at all: over, already-taken, on-hold; null when somebody can.</param>
/// <param name="CanTake">How many no hard rule excludes.</param>
/// <param name="LeftOut">How many each rule keeps from being asked, those that are not listed included.</param>
public sealed record CandidateList(
    NeedId NeedId, NeedState State, string Kind, DeliveryMode Mode, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, GeoPoint Place, string? SubDistrict,
    string? Refusal, int CanTake, IReadOnlyDictionary<string, int> LeftOut, IReadOnlyList<CandidateView> Candidates);

/// <summary>The human queue: who could take a need, and giving it to one of them by hand.</summary>
public static class AssignNeed
{
    private const int MaxListed = 500;

    public static void MapAssignments(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/matches/{needId}/candidates", ListAsync).RequireRoles(Roles.Operator, Roles.Auditor)
            .WithTags("Matches").WithSummary("Who could take the need now, how far away, and who could not and why.")
            .Produces<CandidateList>().ProducesProblem(404).ProducesProblem(422);
        app.MapPost("/v1/matches/{needId}/assign", AssignAsync).RequireRoles(Roles.Operator)
            .WithTags("Matches").WithSummary("Offer the need to this responder, as the operating centre. The hard rules hold.")
            .Produces<MatchView>().ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);
    }

    private static async Task<IResult> AssignAsync(NeedId needId, AssignmentForm form, HttpContext http, DecisionLoop loop, CancellationToken cancellation)
    {
        var errors = new Dictionary<string, string[]>();
        if (form.ResponderId is null)
            errors["responderId"] = ["Required."];
        if (form.Reason?.Trim() is not { Length: > 0 and <= 500 })
            errors["reason"] = ["Must be given, in at most 500 characters."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        await loop.Loaded.WaitAsync(cancellation);
        // Another replica may just have listed it, or freed its place, and whoever names it by hand has seen that.
        await loop.RefreshAsync([form.ResponderId!.Value.Value], cancellation);
        var work = new HandAssignWork(needId, form.ResponderId.Value, new Assignment(http.User.Subject(), form.Reason!.Trim()), Cause.Current());
        var answer = await loop.DoAsync(work, cancellation);
        return answer.Refusal is { } refusal ? refusal.ToProblem() : Results.Ok(MatchView.Of(needId, answer.State, answer.Version));
    }

    private static async Task<IResult> ListAsync(NeedId needId, DecisionLoop loop, Log log, CancellationToken cancellation, int limit = 100)
    {
        if (limit is < 1 or > MaxListed)
            return Problems.Invalid(new Dictionary<string, string[]> { ["limit"] = [$"Must be between 1 and {MaxListed}."] });
        await loop.Loaded.WaitAsync(cancellation);
        var (match, _) = await log.LoadMatchAsync(needId, cancellation);
        if (match.Need is not { } need)
            return Problems.Of(StatusCodes.Status404NotFound, "no-such-match", "Matching knows no such need.");
        var situation = loop.Look();
        var all = Ranker.Assess(match, situation.Roster, situation.Policy, situation.Zones, situation.Now);
        return Results.Ok(new CandidateList(
            needId, match.State, need.Kind, need.Mode, match.Urgency, need.Communication, need.Place, need.SubDistrict,
            Match.RefuseAssignment(match)?.Code, all.Count(one => !ExclusionReasons.ForbidsAssignment(one.Reason)),
            all.Select(one => one.Reason).OfType<string>().CountBy(reason => reason).ToDictionary(),
            [.. all.Take(limit).Select(one => Of(one, need.Place))]));
    }

    private static CandidateView Of(Assessment one, GeoPoint place)
    {
        var sites = one.State.Profile!.Sites;
        var site = sites.OrderBy(site => !site.Open).ThenBy(site => Sphere.DistanceMetres(place, site.Place)).FirstOrDefault();
        return new CandidateView(one.Listing.Id, one.State.Profile.Kind, !ExclusionReasons.ForbidsAssignment(one.Reason), one.Reason,
            one.Reason is { } reason ? InWords.English.Reason(reason) : null, one.DistanceMetres, site?.Place, site?.SubDistrict,
            one.State.Held.Count, one.State.Capacity, one.State.Free, one.State.Version);
    }
}
