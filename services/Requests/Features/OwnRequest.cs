using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>
/// A request's own link: whoever took the call gets it with the answer, and messages to the person carry it. It tells
/// where things stand and takes what the person says. Nothing personal is behind it, and it ends a while after the help.
/// </summary>
public sealed class RequestLinks(IConfiguration configuration)
{
    private const string Purpose = "request";

    /// <summary>How long after the last word about a request that has ended.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromDays(30);

    private readonly LinkSigner _signer = PersonalDataVault.DeriveSigner(configuration, "huzhu request links"u8);

    public string KeyOf(RequestId id, PersonId person) => _signer.Sign(Purpose, id.Value, person.Value);

    public bool IsOf(RequestState state, string? key) => state.Exists && _signer.Verify(Purpose, state.Id.Value, state.PersonId.Value, key);

    public static bool HasEnded(RequestState state, DateTimeOffset now) =>
        (state.Abandoned || state.Needs.All(need => RequestState.IsEnd(need.State)))
        && state.Needs.Select(need => need.FulfilledAt ?? DateTimeOffset.MinValue).Append(state.SaidAt).Append(state.SubmittedAt).Max() + Life < now;
}

/// <summary>What the person sees and says by the request's own link.</summary>
public static class OwnRequest
{
    private const string By = "own-link";
    private const int MaxUpdateId = 100;
    private const int MaxWords = 1000;
    private static readonly string[] Sayings = ["still-needed", "helped", "cancel", "not-delivered", "partly-delivered", "wrong-help", "unsafe"];

    public static void Map(IEndpointRouteBuilder app)
    {
        // The key decides who may: nobody who needs help needs an account.
        app.MapGet("/v1/requests/{id}/own", ShowAsync).AllowAnonymous().KnownByLink()
            .WithSummary("Where a request stands, by its own link").Produces<OwnAnswer>().ProducesProblem(403).ProducesProblem(410);
        app.MapPost("/v1/requests/{id}/own", SayAsync).AllowAnonymous().KnownByLink()
            .WithSummary("What the person says, by the request's own link").Produces<OwnAnswer>().ProducesProblem(403).ProducesProblem(409).ProducesProblem(410).ProducesProblem(422);
    }

    private static async Task<IResult> ShowAsync(RequestId id, string? key, IQuerySession session, RequestLinks links, PersonalRecords records, TimeProvider time, CancellationToken cancellation)
    {
        var (state, _) = await session.LoadRequestAsync(id, cancellation);
        return await RefuseAsync(state, key, links, records, time, cancellation)
            ?? Results.Ok(OwnAnswer.Of(await RequestAnswer.OfAsync(session, state, cancellation)));
    }

    private static async Task<IResult> SayAsync(RequestId id, string? key, OwnWords form, IQuerySession session, RequestLinks links, PersonalRecords records, ActOnRequest act, TimeProvider time, CancellationToken cancellation)
    {
        var (known, _) = await session.LoadRequestAsync(id, cancellation);
        if (await RefuseAsync(known, key, links, records, time, cancellation) is { } refused)
            return refused;
        var errors = new Dictionary<string, string[]>();
        if (!Sayings.Contains(form.Says))
            errors["says"] = [$"One of {string.Join(", ", Sayings)}."];
        if (form.Id is not { Length: > 0 and <= MaxUpdateId } || form.Id.Any(char.IsControl))
            errors["id"] = [$"Required: a name for this saying, the same when it is repeated, at most {MaxUpdateId} characters."];
        if (form.Words?.Length > MaxWords)
            errors["words"] = [$"At most {MaxWords} characters."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);

        var own = $"{By}/{form.Id}";
        var (state, refusal) = await act.ActAsync(By, id, form.NeedId, form.Words,
            // A repeat's need goes on in the older request; only taking back a repeat leaves that alone.
            follow: need => form.Says != "cancel" && need.State == NeedState.DuplicateOf,
            (state, needId, excluded, said) => Decide(form.Says!, own, state, needId, excluded, said, isOwn: state.Id == id), cancellation);
        return refusal is not null ? refusal.ToProblem() : Results.Ok(OwnAnswer.Of(await RequestAnswer.OfAsync(session, state, cancellation)));
    }

    private static Decision<RequestEvent> Decide(string says, string own, RequestState state, NeedId? needId, IReadOnlyList<ResponderId> excluded, Said said, bool isOwn) => says switch
    {
        // What was reported as done is confirmed; what was still being looked for is not needed any more.
        "helped" => isOwn
            ? Request.DecideUpdate(state, own, Wish.NoLongerWanted, excluded, said with { ReasonCode = "helped-otherwise" })
            : Request.DecideConfirmation(state, needId, said.By, said.At),
        "cancel" => Request.DecideCancellation(state, needId, said with { ReasonCode = "no-longer-needed" }),
        "unsafe" => Request.DecideConcern(state, needId, null, said with { ReasonCode = "unsafe" }),
        "still-needed" => isOwn
            ? Request.DecideUpdate(state, own, Wish.StillWanted, excluded, said with { ReasonCode = "needed-again" })
            : Request.DecideReturn(state, needId!.Value, excluded, said with { ReasonCode = "needed-again", Reason = null }),
        _ => Request.DecideDispute(state, needId, excluded, said with { ReasonCode = says }),
    };

    private static async Task<IResult?> RefuseAsync(RequestState state, string? key, RequestLinks links, PersonalRecords records, TimeProvider time, CancellationToken cancellation)
    {
        // The same for a request that there is not: who has no key learns nothing.
        if (!links.IsOf(state, key))
            return Problems.Of(StatusCodes.Status403Forbidden, "not-your-request", "Only who has the request's own link sees it.");
        if (RequestLinks.HasEnded(state, time.GetUtcNow()))
            return Problems.Of(StatusCodes.Status410Gone, "link-ended", "The request has ended some time ago, and its link with it.");
        return await records.PersonAsync(state, cancellation) is null ? PersonalRecords.Gone : null;
    }
}

/// <param name="Says"><c>still-needed</c>, <c>helped</c>, <c>cancel</c>, <c>not-delivered</c>, <c>partly-delivered</c>, <c>wrong-help</c> or <c>unsafe</c>.</param>
/// <param name="Id">A name for this saying: said twice with the same, it counts once.</param>
/// <param name="NeedId">Which need is meant; all of them without.</param>
/// <param name="Words">In the person's own words; kept encrypted.</param>
public sealed record OwnWords(string? Says = null, string? Id = null, NeedId? NeedId = null, string? Words = null);

/// <summary>A request as the person sees it.</summary>
/// <param name="Number">What the front end calls it.</param>
public sealed record OwnAnswer(
    RequestId RequestId, string Number, DateTimeOffset SubmittedAt, RequestStatus Status, IReadOnlyList<string> Missing,
    IReadOnlyList<CommunicationNeed> Communication, IReadOnlyList<OwnNeed> Needs)
{
    public static OwnAnswer Of(RequestAnswer request) => new(request.RequestId, request.ExternalId, request.SubmittedAt, request.Status, request.Missing, request.Communication,
        [.. request.Needs.Select(need => new OwnNeed(need.NeedId, need.Kind, need.Mode, need.Quantity, need.RemainingQuantity, need.Urgency, need.State, need.FulfilledAt))]);
}

public sealed record OwnNeed(
    NeedId NeedId, string Kind, DeliveryMode Mode, int Quantity, int RemainingQuantity, Urgency Urgency, NeedState State, DateTimeOffset? FulfilledAt);
