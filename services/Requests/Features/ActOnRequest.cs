using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>
/// What is said about a request that was taken in: cancel, confirm, dispute, reopen, concern. A need that repeats an
/// older one has no life of its own, so what is said about it is said about the older one.
/// </summary>
public sealed class ActOnRequest(IDocumentStore store, PersonalRecords records, PersonalDataVault vault, FrontEndScope scope, TimeProvider time)
{
    private const int MaxReason = 1000;

    /// <summary>Reasons that may be published as they are. Anything else is a person's own words and stays encrypted.</summary>
    private static readonly HashSet<string> PublicReasons =
    [
        "no-longer-needed", "helped-otherwise", "mistake", "unreachable", "not-delivered", "partly-delivered", "wrong-help", "needed-again", "unsafe",
    ];
    private const string OtherReason = "other";

    /// <param name="reason">Null when the action needs none.</param>
    /// <param name="follow">Whether the action, on a need in this state, is meant for the older need that it repeats.</param>
    /// <param name="decide">The decision about one request: its state, the need meant or null for all, whom to keep away, and what was said.</param>
    public async Task<IResult> RunAsync(HttpContext http, RequestId id, NeedId? needId, string? reason, bool needsReason, Func<TrackedNeed, bool> follow,
        Func<RequestState, NeedId?, IReadOnlyList<ResponderId>, Said, Decision<RequestEvent>> decide, CancellationToken cancellation)
    {
        if (needsReason && string.IsNullOrWhiteSpace(reason))
            return Invalid("Required.");
        if (reason?.Length > MaxReason)
            return Invalid($"At most {MaxReason} characters.");
        var (state, refusal) = await ActAsync(http.User.Subject(), id, needId, reason, follow, decide, cancellation, source => scope.MayActFor(http.User, source));
        if (refusal is not null)
            return refusal.ToProblem();
        await using var session = store.QuerySession();
        return Results.Ok(await RequestAnswer.OfAsync(session, state, cancellation));
    }

    /// <inheritdoc cref="RunAsync"/>
    /// <param name="mayFor">Whether it may be said about requests of this source; null where whoever asks has been let in to this very request.</param>
    public Task<(RequestState State, Refusal? Refusal)> ActAsync(string by, RequestId id, NeedId? needId, string? reason, Func<TrackedNeed, bool> follow,
        Func<RequestState, NeedId?, IReadOnlyList<ResponderId>, Said, Decision<RequestEvent>> decide, CancellationToken cancellation,
        Func<string, bool>? mayFor = null) =>
        Conflict.RetryAsync<(RequestState, Refusal?)>(async () =>
        {
            await using var session = store.LightweightSession();
            var changes = new StreamChanges(session);
            await changes.LoadAsync([id.Value], cancellation);
            var state = changes.StateOf(id.Value);
            if (!state.Exists || mayFor?.Invoke(state.Source) == false)
                return (state, Request.RequestNotFound);

            var excluded = await ExcludedAsync(session, state, cancellation);
            var decisions = new List<Decision<RequestEvent>>();
            var links = state.Needs.Where(need => (needId is null || need.NeedId == needId) && need.DuplicateOf is not null && follow(need))
                .Select(need => need.DuplicateOf!).Distinct().ToList();
            await changes.LoadAsync([.. links.Select(link => link.RequestId.Value)], cancellation);
            var after = links.Select(link => changes.StateOf(link.RequestId.Value).SaidAt).Append(state.SaidAt).Max();
            var said = await SayAsync(by, state, reason, after, cancellation);
            foreach (var link in links)
                decisions.Add(Apply(changes, link.RequestId, decide(changes.StateOf(link.RequestId.Value), link.NeedId, excluded, said)));
            decisions.Add(Apply(changes, id, decide(state, needId, excluded, said)));

            if (Request.Together(decisions).Refusal is { } refusal)
                return (state, refusal);
            if (changes.Queue())
                await session.SaveChangesAsync(cancellation);
            return (changes.StateOf(id.Value), null);
        });

    private static Decision<RequestEvent> Apply(StreamChanges changes, RequestId id, Decision<RequestEvent> decision)
    {
        changes.Append(id.Value, decision.Events, Cause.Current());
        return decision;
    }

    private static async Task<IReadOnlyList<ResponderId>> ExcludedAsync(IQuerySession session, RequestState state, CancellationToken cancellation)
    {
        var person = state.PersonId.Value;
        var views = await session.Query<RequestView>().Where(view => view.PersonId == person && view.Matters).ToListAsync(cancellation);
        return [.. views.SelectMany(view => view.State.Concerned).Distinct().OrderBy(responder => responder.Value)];
    }

    private async Task<Said> SayAsync(string by, RequestState state, string? reason, DateTimeOffset after, CancellationToken cancellation)
    {
        // Matching puts what is said in order by its time.
        var now = time.GetUtcNow();
        var isPublic = reason is null || PublicReasons.Contains(reason);
        // Words about a person who was erased are not kept: there is no key, and none is made for this.
        var keepsWords = !isPublic && await records.PersonAsync(state, cancellation) is not null;
        return new Said(by, isPublic && reason is not null ? reason : OtherReason,
            keepsWords ? await PersonalRecords.ProtectWordsAsync(vault, state, reason!, cancellation) : null, now > after ? now : after.AddTicks(1));
    }

    private static IResult Invalid(string message) => Problems.Invalid(new Dictionary<string, string[]> { ["reason"] = [message] });
}

/// <summary>Without <c>needId</c> all needs of the request are meant.</summary>
public sealed record ReasonForm
{
    public string? Reason { get; init; }
    public NeedId? NeedId { get; init; }
}

public sealed record ConfirmForm
{
    public NeedId? NeedId { get; init; }
}

public sealed record ConcernForm
{
    public string? Reason { get; init; }
    public NeedId? NeedId { get; init; }
    public ResponderId? ResponderId { get; init; }
}
