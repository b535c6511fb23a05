using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <summary>Whose offer it is, and whether the caller may answer it; the same for every answer.</summary>
public sealed class OfferDesk(DecisionLoop loop, Decider decider, Log log, NpgsqlDataSource database, LinkSigner links, TimeProvider time)
{
    /// <param name="key">The signature in the offer's own link, for whoever has no token.</param>
    /// <param name="named">The responder that the caller says it is, if it says so.</param>
    public async Task<IResult> AnswerAsync(OfferId offerId, HttpContext http, string? key, ResponderId? named, Func<NeedId, NeedCommand> command, CancellationToken cancellation,
        bool operatorsOnly = false)
    {
        var signedIn = http.User.Identity?.IsAuthenticated == true;
        if (!signedIn && (key is null || operatorsOnly))
            return Problems.Of(StatusCodes.Status401Unauthorized, "unauthenticated", "A token, or the key of the offer's own link, is needed.");
        if (await FindAsync(offerId, cancellation) is not { } offer)
            return signedIn
                ? Problems.Of(StatusCodes.Status404NotFound, "no-such-offer", "There is no such offer.")
                : NotYours;
        await loop.Loaded.WaitAsync(cancellation);
        var may = operatorsOnly ? http.User.IsInRole(Roles.Operator) : Speaks(http.User, signedIn, offerId, offer.ResponderId, key);
        if (!may || named is { } responder && responder != offer.ResponderId)
            return NotYours;
        var answer = await decider.DoAsync(command(offer.NeedId), Lane.Urgent, Cause.Current(), cancellation);
        return answer.Refusal is { } refusal ? refusal.ToProblem() : Results.Ok(MatchView.Of(offer.NeedId, answer.State, answer.Version));
    }

    /// <summary>The offer for whoever may answer it.</summary>
    public async Task<IResult> ShowAsync(OfferId offerId, HttpContext http, string? key, CancellationToken cancellation)
    {
        var signedIn = http.User.Identity?.IsAuthenticated == true;
        if (!signedIn && key is null)
            return Problems.Of(StatusCodes.Status401Unauthorized, "unauthenticated", "A token, or the key of the offer's own link, is needed.");
        await loop.Loaded.WaitAsync(cancellation);
        if (await FindAsync(offerId, cancellation) is not { } known || !Speaks(http.User, signedIn, offerId, known.ResponderId, key))
            return NotYours;
        var (state, _) = await log.LoadMatchAsync(known.NeedId, cancellation);
        return state.Find(offerId) is { } offer ? Results.Ok(OfferedView.Of(state, offer, time.GetUtcNow(), links)) : NotYours;
    }

    private static IResult NotYours => Problems.Of(StatusCodes.Status403Forbidden, "not-your-offer", "Only who speaks for the offer's responder may answer it.");

    private bool Speaks(ClaimsPrincipal user, bool signedIn, OfferId offerId, ResponderId responderId, string? key)
    {
        if (!signedIn)
            return links.Verify("offer", offerId.Value, responderId.Value, key);
        var managedBy = loop.Roster.StateOf(responderId).Profile?.ManagedBy ?? [];
        return user.IsInRole(Roles.Operator)
            || (user.IsInRole(Roles.Coordinator) || user.IsInRole(Roles.Responder)) && user.SpeaksFor(responderId.Value, [.. managedBy]);
    }

    private async Task<(NeedId NeedId, ResponderId ResponderId)?> FindAsync(OfferId offerId, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"select need_id, responder_id from {Tables.Offers} where offer_id = $1");
        command.Parameters.AddWithValue(offerId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? (NeedId.Of(reader.GetGuid(0)), ResponderId.Of(reader.GetGuid(1))) : null;
    }
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
        var offers = app.MapGroup("/v1/offers/{id}").WithTags("Offers").AllowAnonymous().KnownByLink();
        offers.MapGet("/", (OfferId id, string? key, HttpContext http, OfferDesk desk, CancellationToken cancellation) => desk.ShowAsync(id, http, key, cancellation))
            .WithSummary("What is asked, for whoever may answer; once accepted, the key of the visit.").Produces<OfferedView>();
        offers.MapPost("/accept", (OfferId id, string? key, OfferAnswer? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Accept, id), cancellation))
            .WithSummary("Take the need. The first to accept gets it.").Produces<MatchView>();
        offers.MapPost("/decline", Decline).WithSummary("Say no; the next candidate is asked at once.").Produces<MatchView>();
        offers.MapPost("/start", (OfferId id, string? key, OfferAnswer? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Start, id), cancellation))
            .WithSummary("Help has begun.").Produces<MatchView>();
        offers.MapPost("/complete", (OfferId id, string? key, Completion? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            desk.AnswerAsync(id, http, key, body?.ResponderId, needId => new NeedCommand(needId, NeedVerb.Complete, id, Quantity: body?.Quantity), cancellation))
            .WithSummary("Help is done; less than asked leaves the rest open.").Produces<MatchView>();
        offers.MapPost("/release", (OfferId id, string? key, Release? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            Reasoned(body?.Reason) is not { } reason
                ? Task.FromResult(ReasonIsMissing)
                : desk.AnswerAsync(id, http, key, body!.ResponderId, needId => new NeedCommand(needId, NeedVerb.Release, id, reason), cancellation))
            .WithSummary("Cannot go on: the need goes back with its original clock.").Produces<MatchView>();
        offers.MapPost("/revoke", (OfferId id, Revocation? body, HttpContext http, OfferDesk desk, CancellationToken cancellation) =>
            Reasoned(body?.Reason) is not { } reason
                ? Task.FromResult(ReasonIsMissing)
                : desk.AnswerAsync(id, http, null, null, needId => new NeedCommand(needId, NeedVerb.Revoke, id, reason), cancellation, operatorsOnly: true))
            .WithSummary("Take the offer away, as the operating centre.").Produces<MatchView>();
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
