using System.Collections.Concurrent;
using System.Diagnostics;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;
using Microsoft.AspNetCore.Mvc;
using Npgsql;

namespace Huzhu.Requests.Features;

/// <summary>Takes in a call for help. Answered when it is durable; safe to repeat.</summary>
public static class SubmitRequest
{
    /// <summary>Keys whose first use is in this process and not answered yet.</summary>
    private static readonly ConcurrentDictionary<string, byte> InProgress = new();

    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("Submit a request")
        .Produces<SubmissionAnswer>(StatusCodes.Status202Accepted)
        .ProducesProblem(400).ProducesProblem(403).ProducesProblem(409).ProducesProblem(422).ProducesProblem(503);

    private static async Task<IResult> HandleAsync([FromHeader(Name = "Idempotency-Key")] string? idempotencyKey, IntakeForm form,
        HttpContext http, Submissions submissions, Fingerprints fingerprints, PersonLinks links, RequestLinks own, FrontEndScope scope, AdmissionControl admission, TimeProvider time)
    {
        if (!TryReadKey(idempotencyKey, out var key, out var problem))
            return problem;
        var (call, errors) = IntakeCheck.Run(form, time.GetUtcNow());
        if (call is null)
            return Problems.Invalid(errors);
        if (!scope.MayActFor(http.User, call.Source))
            return FrontEndScope.NotYourSource;
        var keyHashes = fingerprints.OfIdempotencyKey(http.User.Subject(), key);
        var first = Convert.ToBase64String(keyHashes[0]);
        if (!InProgress.TryAdd(first, 0))
            return Problems.Of(StatusCodes.Status409Conflict, "idempotency-key-in-progress", "The first request with this Idempotency-Key is still being worked on.");
        try
        {
            // Whoever repeats a call that was taken in before hears so.
            if (admission.Sheds(call.Urgency) && !await submissions.KnowsAsync(keyHashes, http.RequestAborted))
            {
                admission.Refuse(http, call.Urgency, call.Channel);
                return Problems.Of(StatusCodes.Status503ServiceUnavailable, "shedding",
                    "More people call than can be helped at once, so for now only those in danger of life are taken in. Nothing of this call was kept: send it again, with the same Idempotency-Key, after the time that Retry-After says.");
            }
            var submission = new Submission(call, keyHashes, http.User.Subject(), Cause.Current());
            if (submissions.TryTake(submission) is not { } committed)
                return Busy(http);
            var outcome = await committed;
            return outcome.Refusal is { } refusal
                ? refusal.ToProblem()
                : Results.Accepted(StatusUrl(http, outcome.Taken!.RequestId), SubmissionAnswer.Of(outcome.Taken, StatusUrl(http, outcome.Taken.RequestId), person => links.Of(http, person),
                    $"{StatusUrl(http, outcome.Taken.RequestId)}/own?key={own.KeyOf(outcome.Taken.RequestId, outcome.Taken.PersonId)}"));
        }
        catch (Exception exception) when (Messaging.IsServerAway(exception))
        {
            // Whether it was committed is not known; the same call again, with the same key, finds out.
            return Busy(http);
        }
        finally
        {
            InProgress.TryRemove(first, out _);
        }
    }

    /// <summary>The header is a structured string, in quotes; a bare token is understood too.</summary>
    private static bool TryReadKey(string? header, out string key, out IResult problem)
    {
        problem = Results.Empty;
        key = header?.Trim() ?? "";
        if (key.Length >= 2 && key[0] == '"' && key[^1] == '"')
            key = key[1..^1];
        if (key.Length == 0)
            problem = Problems.Of(StatusCodes.Status400BadRequest, "idempotency-key-missing", "Send an Idempotency-Key header: a string of your choice, the same when you repeat the call.");
        else if (key.Length > 255 || key.Any(character => character is < ' ' or > '~' or '"'))
            problem = Problems.Of(StatusCodes.Status400BadRequest, "idempotency-key-malformed", "An Idempotency-Key is a quoted string of at most 255 printable ASCII characters.");
        else
            return true;
        return false;
    }

    private static IResult Busy(HttpContext http)
    {
        http.Response.Headers.RetryAfter = "1";
        return Problems.Of(StatusCodes.Status503ServiceUnavailable, "unavailable", "Not taken in for now; send it again with the same Idempotency-Key.");
    }

    public static string StatusUrl(HttpContext http, RequestId id) => $"{http.Request.Scheme}://{http.Request.Host}{http.Request.PathBase}/v1/requests/{id}";
}

/// <summary>What the front end gets: the same for every repetition of the same call.</summary>
/// <param name="EraseUrl">With <c>DELETE</c>, the person's own way to have their data erased; whoever has it needs no account.</param>
/// <param name="OwnUrl">The request's own link: where it stands, and what the person says about it; whoever has it needs no account.</param>
/// <param name="EraseCallerUrl">The caller's, when somebody called for the person.</param>
public sealed record SubmissionAnswer(
    RequestId RequestId, string StatusUrl, RequestStatus Status, IReadOnlyList<string> Missing, IReadOnlyList<SubmittedNeed> Needs, string EraseUrl, string? EraseCallerUrl, string OwnUrl)
{
    public static SubmissionAnswer Of(RequestSubmitted taken, string statusUrl, Func<PersonId, string> eraseUrl, string ownUrl)
    {
        var state = Request.Evolve(RequestState.Initial, taken);
        return new SubmissionAnswer(taken.RequestId, statusUrl, state.Status, state.Missing,
            [.. state.Needs.Select(need => new SubmittedNeed(need.NeedId, need.Kind, need.State, need.DuplicateOf?.NeedId))],
            eraseUrl(taken.PersonId), taken.CallerId == taken.PersonId ? null : eraseUrl(taken.CallerId), ownUrl);
    }
}

public sealed record SubmittedNeed(NeedId NeedId, string Kind, NeedState State, NeedId? DuplicateOf);

/// <summary>One checked call on its way into the log.</summary>
public sealed record Submission(CallForHelp Call, IReadOnlyList<byte[]> KeyHashes, string By, Cause Cause)
{
    public long CameAt { get; } = Stopwatch.GetTimestamp();
}

/// <summary>Either what was taken in, now or the first time, or why not.</summary>
public readonly record struct SubmissionOutcome(RequestSubmitted? Taken, Refusal? Refusal);

/// <summary>Commits submissions, as many as wait, in one transaction.</summary>
public sealed class Submissions(IDocumentStore store, NpgsqlDataSource database, PersonalDataVault vault, Fingerprints fingerprints,
    SubDistrictMap districts, AdmissionControl admission, TimeProvider time, ILogger<Submissions> logger)
    : GroupCommit<Submission, SubmissionOutcome>(Capacity, PageSize, logger)
{
    private const int Capacity = 2_000;
    private const int PageSize = 200;
    private const int KeptForDangerOfLife = 500;

    /// <summary>Queues a call and waits for its commit; null when the queue is full, in which those in danger of life find a place last of all.</summary>
    public Task<SubmissionOutcome>? TryTake(Submission submission) => TryAdd(submission, submission.Call.Urgency is Urgency.LifeThreatening ? 0 : KeptForDangerOfLife);

    /// <summary>Whether a submission with one of these hashes of its idempotency key is in the log.</summary>
    public async Task<bool> KnowsAsync(IReadOnlyList<byte[]> keyHashes, CancellationToken cancellation) => (await IdempotencyKeys.FindAsync(database, keyHashes, cancellation)).Count > 0;

    protected override async Task<IReadOnlyList<SubmissionOutcome>> CommitAsync(IReadOnlyList<Submission> items, CancellationToken cancellation)
    {
        var youngest = items.Max(item => item.CameAt);
        admission.Pace.Begin(youngest);
        try
        {
            var outcomes = await CommitPageAsync(items, cancellation);
            admission.Pace.End(youngest);
            return outcomes;
        }
        catch
        {
            admission.Pace.Abandon();
            throw;
        }
    }

    private async Task<IReadOnlyList<SubmissionOutcome>> CommitPageAsync(IReadOnlyList<Submission> items, CancellationToken cancellation)
    {
        await using var session = store.LightweightSession();
        var changes = new StreamChanges(session);
        await using var beside = store.QuerySession();
        // None needs what the others find, and each has a connection of its own.
        var keys = IdempotencyKeys.FindAsync(database, items.SelectMany(item => item.KeyHashes), cancellation);
        var earlier = RepeatCalls.FindAsync(beside, items.Select(item => item.Call.PersonId), cancellation);
        var loaded = changes.LoadAsync([.. items.Select(item => item.Call.RequestId.Value)], cancellation);
        await Task.WhenAll(keys, earlier, loaded);
        var knownKeys = await keys;
        var repeats = await RepeatCalls.LoadAsync(changes, await earlier, cancellation);

        // Only who is about to be stored gets a key.
        var newcomers = items.Where(item => !changes.StateOf(item.Call.RequestId.Value).Exists && UsedFor(knownKeys, item) is null).Select(item => item.Call);
        await vault.PrepareAsync(newcomers.SelectMany(call => new[] { call.PersonId.Value, call.CallerId.Value }), cancellation);

        var now = time.GetUtcNow();
        var outcomes = new List<SubmissionOutcome>(items.Count);
        foreach (var item in items)
            outcomes.Add(await DecideAsync(session, changes, repeats, knownKeys, item, now, cancellation));
        // A page of repetitions has nothing to commit.
        if (changes.Queue() || session.PendingChanges.Operations().Any())
            await session.SaveChangesAsync(cancellation);
        return outcomes;
    }

    private async Task<SubmissionOutcome> DecideAsync(IDocumentSession session, StreamChanges changes, RepeatCalls repeats,
        IReadOnlyDictionary<string, string> knownKeys, Submission item, DateTimeOffset now, CancellationToken cancellation)
    {
        var call = item.Call;
        var id = call.RequestId.Value;
        var usedFor = UsedFor(knownKeys, item);
        if (usedFor is not null && !await fingerprints.IsOfAsync(usedFor, call, cancellation))
            return new SubmissionOutcome(null, Refusal.Invalid("idempotency-key-reused", "This Idempotency-Key was used for another payload."));

        var state = changes.StateOf(id);
        if (state.Exists)
        {
            var repeated = (RequestSubmitted)changes.EventsOf(id)[0];
            if (!await fingerprints.IsOfAsync(state.Fingerprint, call, cancellation))
                return new SubmissionOutcome(null, Request.ExternalIdTaken);
            if (usedFor is null)
                IdempotencyKeys.Remember(session, item.KeyHashes[0], state.Fingerprint, id, now);
            return new SubmissionOutcome(repeated, null);
        }

        var content = await ContentOfAsync(call, repeats.HistoryOf(call.PersonId), vault, districts, cancellation);
        var fingerprint = await fingerprints.OfAsync(call, cancellation);
        var submitted = new RequestSubmitted(call.RequestId, call.PersonId, call.CallerId, call.Source, call.ExternalId, call.Channel,
            call.ReceivedAt, call.OperatorId, content, fingerprint, item.By, now);
        var decision = Request.DecideSubmission(state, submitted, isSameIntake: false);
        if (decision.Refusal is { } refusal)
            return new SubmissionOutcome(null, refusal);
        changes.Append(id, decision.Events, item.Cause);
        repeats.Link(changes.StateOf(id), item.Cause, now);
        IdempotencyKeys.Remember(session, item.KeyHashes[0], fingerprint, id, now);
        return new SubmissionOutcome(submitted, null);
    }

    /// <summary>The fingerprint of the intake that the submission's idempotency key was used for before.</summary>
    private static string? UsedFor(IReadOnlyDictionary<string, string> knownKeys, Submission item) =>
        item.KeyHashes.Select(hash => knownKeys.GetValueOrDefault(Convert.ToBase64String(hash))).FirstOrDefault(found => found is not null);

    /// <summary>The call as it is stored: personal data encrypted, place snapped, repeats of older needs marked.</summary>
    public static async Task<IntakeContent> ContentOfAsync(CallForHelp call, PersonHistory history, PersonalDataVault vault, SubDistrictMap districts, CancellationToken cancellation)
    {
        var place = call.ExactPlace;
        var content = new IntakeContent(
            place?.Snapped(), call.Person.SubDistrict ?? (place is { } exact ? districts.Find(exact) : null),
            [.. call.Needs.Select((need, index) => new AskedNeed(CallForHelp.NeedIdOf(call.RequestId, index), need.Kind, need.Mode, need.Quantity, null))],
            call.Urgency, call.Communication, call.OwnGroupId, call.Consent, call.CallbackOk, history.Excluded,
            await vault.ProtectAsync(call.PersonId.Value, call.Person, cancellation),
            await vault.ProtectAsync(call.CallerId.Value, call.Caller, cancellation),
            history.Helpers is { Count: > 0 } helpers ? helpers : null);
        // A partial intake is not with matching yet, so it repeats nothing yet.
        return content.Missing.Count > 0
            ? content
            : content with { Needs = [.. content.Needs.Select(need => need with { DuplicateOf = history.FindRepeated(need.Kind, call.RequestId) })] };
    }
}
