using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <summary>Whose offer it is, and whether the caller may answer it; the same for every answer.</summary>
public sealed class OfferDesk(DecisionLoop loop, Decider decider, NpgsqlDataSource database, LinkSigner links)
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

public static class AnswerOffer
{
    public static void MapAnswers(this IEndpointRouteBuilder app)
    {
        // The desk decides who may answer: a token is not the only way.
        var offers = app.MapGroup("/v1/offers/{id}").WithTags("Offers").AllowAnonymous();
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
