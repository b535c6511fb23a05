using System.Security.Claims;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <summary>Whose offer it is, and whether the caller may answer it; the same for every answer.</summary>
public sealed class OfferDesk(Decider decider, Log log, NpgsqlDataSource database, LinkSigner links, TimeProvider time)
{
    /// <param name="key">The signature in the offer's own link, for whoever has no token.</param>
    /// <param name="named">The responder that the caller says it is, if it says so.</param>
    /// <returns>The offer as its responder sees it, and no other's.</returns>
    public async Task<IResult> AnswerAsync(OfferId offerId, HttpContext http, string? key, ResponderId? named, Func<NeedId, NeedCommand> command, CancellationToken cancellation)
    {
        var (asked, refused) = await FindAsync(offerId, http, key, cancellation);
        if (asked is not { } offer)
            return refused!;
        if (named is { } responder && responder != offer.ResponderId)
            return NotYours;
        var by = offer.Asker is Asker.HoldsLink ? OfferLinks.Holder : http.User.Subject();
        var answer = await decider.DoAsync(command(offer.NeedId) with { By = by }, Lane.Urgent, Cause.Current(), cancellation);
        return answer.Refusal is { } refusal ? refusal.ToProblem() : Show(answer.State, offerId, offer.Asker);
    }

    /// <summary>The offer for whoever may answer it.</summary>
    public async Task<IResult> ShowAsync(OfferId offerId, HttpContext http, string? key, CancellationToken cancellation)
    {
        var (asked, refused) = await FindAsync(offerId, http, key, cancellation);
        if (asked is not { } offer)
            return refused!;
        var (state, _) = await log.LoadMatchAsync(offer.NeedId, cancellation);
        return Show(state, offerId, offer.Asker);
    }

    /// <returns>The whole match: only the centre may revoke.</returns>
    public async Task<IResult> RevokeAsync(OfferId offerId, HttpContext http, string reason, CancellationToken cancellation)
    {
        if (await LoadAsync(offerId, cancellation) is not { } offer)
            return NoSuchOffer;
        var answer = await decider.DoAsync(new NeedCommand(offer.NeedId, NeedVerb.Revoke, offerId, reason, By: http.User.Subject()), Lane.Urgent, Cause.Current(), cancellation);
        return answer.Refusal is { } refusal ? refusal.ToProblem() : Results.Ok(MatchView.Of(offer.NeedId, answer.State, answer.Version));
    }

    private enum Asker { HoldsLink, SpeaksForIt, Operator }

    private readonly record struct Asked(NeedId NeedId, ResponderId ResponderId, Asker Asker);

    private static IResult NotYours => Problems.Of(StatusCodes.Status403Forbidden, "not-your-offer", "Only who speaks for the offer's responder may see and answer it.");

    private static IResult NoSuchOffer => Problems.Of(StatusCodes.Status404NotFound, "no-such-offer", "There is no such offer.");

    private IResult Show(MatchState state, OfferId offerId, Asker asker)
    {
        if (state.Find(offerId) is not { } offer)
            return asker is Asker.Operator ? NoSuchOffer : NotYours;
        var shown = OfferedView.Of(state, offer, time.GetUtcNow(), links);
        // The key of the visit is the responder's: what an operator sees of the person is written down under the operator's own name.
        return Results.Ok(asker is Asker.Operator ? shown with { VisitKey = null } : shown);
    }

    /// <summary>Whose offer it is, for whoever may answer it. Of another's nobody but the centre is told whether there is one.</summary>
    private async Task<(Asked? Asked, IResult? Refused)> FindAsync(OfferId offerId, HttpContext http, string? key, CancellationToken cancellation)
    {
        var (user, signedIn) = (http.User, http.User.Identity?.IsAuthenticated == true);
        if (!signedIn && key is null)
            return (null, Problems.Of(StatusCodes.Status401Unauthorized, "unauthenticated", "A token, or the key of the offer's own link, is needed."));
        if (await LoadAsync(offerId, cancellation) is not { } offer)
            return (null, user.IsInRole(Roles.Operator) ? NoSuchOffer : NotYours);
        if (!signedIn)
            return links.Verify("offer", offerId.Value, offer.ResponderId.Value, key) ? (new Asked(offer.NeedId, offer.ResponderId, Asker.HoldsLink), null) : (null, NotYours);
        if (user.AnswersFor(offer.ResponderId, offer.Profile))
            return (new Asked(offer.NeedId, offer.ResponderId, Asker.SpeaksForIt), null);
        return user.IsInRole(Roles.Operator) ? (new Asked(offer.NeedId, offer.ResponderId, Asker.Operator), null) : (null, NotYours);
    }

    /// <summary>As the log has it: the directory in memory may not know yet who answers for a responder that another replica has listed.</summary>
    private async Task<(NeedId NeedId, ResponderId ResponderId, Profile? Profile)?> LoadAsync(OfferId offerId, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select o.need_id, o.responder_id, r.profile from {Tables.Offers} o join {Tables.Responders} r on r.id = o.responder_id where o.offer_id = $1
            """);
        command.Parameters.AddWithValue(offerId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? (NeedId.Of(reader.GetGuid(0)), ResponderId.Of(reader.GetGuid(1)), JsonSerializer.Deserialize<Profile>(reader.GetString(2), Tables.Json))
            : null;
    }
}

internal static class Answering
{
    /// <summary>Whether the token is a coordinator's or a system's that speaks for this responder.</summary>
    public static bool AnswersFor(this ClaimsPrincipal user, ResponderId responder, Profile? profile) =>
        (user.IsInRole(Roles.Coordinator) || user.IsInRole(Roles.Responder)) && user.SpeaksFor(responder.Value, [.. profile?.ManagedBy ?? []]);
}

/// <summary>What an answer may carry. Every field is optional unless the answer says otherwise.</summary>
public sealed record OfferAnswer(ResponderId? ResponderId = null);

/// <summary>
/// An offer as its responder sees it: what is asked while it may be answered and while it is being done; of one that is
/// over, that it is over. Nothing in it is personal; the key of the visit opens what is, at Requests, while the need is in hand.
/// </summary>
/// <param name="State">made, sent, accepted, started, done, declined, expired, undeliverable, superseded, revoked, released or disputed.</param>
/// <param name="ExpiresAt">Until when it may be answered.</param>
/// <param name="Quantity">What is still asked for.</param>
/// <param name="VisitKey">For <c>GET /v1/requests/{requestId}/visit?needId=&amp;key=</c>; only while the offer is accepted or started.</param>
public sealed record OfferedView(
    OfferId OfferId, string State, DateTimeOffset ExpiresAt, string? Kind = null, DeliveryMode? Mode = null, int? Quantity = null, Urgency? Urgency = null,
    IReadOnlyList<CommunicationNeed>? Communication = null, double? DistanceMetres = null, string? SubDistrict = null,
    NeedId? NeedId = null, RequestId? RequestId = null, string? VisitKey = null)
{
    public const string VisitPurpose = "visit";

    public static OfferedView Of(MatchState match, Offer offer, DateTimeOffset now, LinkSigner links)
    {
        // Between its end and the timer that says so it cannot be accepted either.
        var over = offer.IsOpen && offer.ExpiresAt <= now;
        var shown = new OfferedView(offer.Id, over ? "expired" : offer.Status.ToString().ToLowerInvariant(), offer.ExpiresAt);
        if (match.Need is not { } need || over || !offer.HoldsPlace)
            return shown;
        shown = shown with
        {
            Kind = need.Kind,
            Mode = need.Mode,
            Quantity = match.Remaining,
            Urgency = match.Urgency,
            Communication = need.Communication,
            DistanceMetres = offer.Explanation.DistanceMetres,
            SubDistrict = need.SubDistrict,
        };
        return offer.IsTaken
            ? shown with { NeedId = need.NeedId, RequestId = need.RequestId, VisitKey = links.Sign(VisitPurpose, need.NeedId.Value, offer.ResponderId.Value) }
            : shown;
    }
}

public static class AnswerOffer
{
    public static void MapAnswers(this IEndpointRouteBuilder app)
    {
        // The desk decides who may answer: a token is not the only way.
        var offers = app.MapGroup("/v1/offers/{id}").WithTags("Offers").AllowAnonymous().ProducesProblem(401).ProducesProblem(403).ProducesProblem(404);
        offers.MapGet("/", (OfferId id, string? key, HttpContext http, OfferDesk desk, CancellationToken cancellation) => desk.ShowAsync(id, http, key, cancellation))
            .WithSummary("What is asked, for whoever may answer; once accepted, the key of the visit.").Produces<OfferedView>();
        offers.MapPost("/accept", (OfferId id, string? key, OfferAnswer? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Accept, id), cancellation))
            .WithSummary("Take the need. The first to accept gets it.").Produces<OfferedView>().ProducesProblem(409);
        offers.MapPost("/decline", Decline).WithSummary("Say no; the next candidate is asked at once.").Produces<OfferedView>().ProducesProblem(409).ProducesProblem(422);
        offers.MapPost("/start", (OfferId id, string? key, OfferAnswer? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Start, id), cancellation))
            .WithSummary("Help has begun.").Produces<OfferedView>().ProducesProblem(409);
        offers.MapPost("/complete", (OfferId id, string? key, Completion? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Complete, id, Quantity: body?.Quantity), cancellation))
            .WithSummary("Help is done; less than asked leaves the rest open.").Produces<OfferedView>().ProducesProblem(409).ProducesProblem(422);
        offers.MapPost("/release", (OfferId id, string? key, Release? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            Reasoned(body?.Reason) is not { } reason
                ? Task.FromResult(ReasonIsMissing)
                : desk.AnswerAsync(id, http, key, body!.ResponderId, needId => new NeedCommand(needId, NeedVerb.Release, id, reason), cancellation))
            .WithSummary("Cannot go on: the need goes back with its original clock.").Produces<OfferedView>().ProducesProblem(409).ProducesProblem(422);
        app.MapPost("/v1/offers/{id}/revoke", (OfferId id, Revocation? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            Reasoned(body?.Reason) is not { } reason
                ? Task.FromResult(ReasonIsMissing)
                : desk.RevokeAsync(id, http, reason, cancellation))
            .RequireRoles(Roles.Operator)
            .WithTags("Offers").WithSummary("Take the offer away, as the operating centre; the answer is the whole match.").Produces<MatchView>().ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);
    }

    public sealed record Refused(string? Reason, string? Note = null, ResponderId? ResponderId = null);
    public sealed record Completion(int? Quantity = null, ResponderId? ResponderId = null);
    public sealed record Release(string? Reason, ResponderId? ResponderId = null);
    public sealed record Revocation(string? Reason);

    private static Task<IResult> Decline(OfferId id, string? key, Refused? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
        !Words.TryRead<DeclineReason>(body?.Reason, out var reason)
            ? Task.FromResult(Problems.Invalid(new Dictionary<string, string[]>
            {
                ["reason"] = [$"Must be one of {Words.List<DeclineReason>()}."],
            }))
            : desk.AnswerAsync(id, http, key, body!.ResponderId, needId => new NeedCommand(needId, NeedVerb.Decline, id, DeclineReason: reason), cancellation);

    private static string? Reasoned(string? reason) => reason?.Trim() is { Length: > 0 and <= 500 } text ? text : null;

    private static IResult ReasonIsMissing => Problems.Invalid(new Dictionary<string, string[]> { ["reason"] = ["Must be given, in at most 500 characters."] });
}
