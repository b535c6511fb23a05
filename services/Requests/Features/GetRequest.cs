using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>Where a request stands. Personal data only for an operator who asks for it.</summary>
public static class GetRequest
{
    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/v1/requests/{id}", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator, Roles.Auditor, Roles.Service)
        .WithSummary("Read a request")
        .Produces<RequestAnswer>()
        .ProducesProblem(403).ProducesProblem(404);

    private static async Task<IResult> HandleAsync(RequestId id, bool? personal, HttpContext http, IQuerySession session, PersonalRecords records, AccessLog access, FrontEndScope scope, CancellationToken cancellation)
    {
        if (personal == true && !http.User.IsInRole(Roles.Operator))
            return Problems.Of(StatusCodes.Status403Forbidden, "forbidden", "Personal data is shown to operators only.");
        var (state, events) = await session.LoadRequestAsync(id, cancellation);
        if (!state.Exists || !scope.MaySee(http.User, state.Source))
            return Request.RequestNotFound.ToProblem();
        var answer = await RequestAnswer.OfAsync(session, state, cancellation);
        if (personal != true)
            return Results.Ok(answer);
        var shown = await PersonalAnswer.OfAsync(records, state, events, cancellation);
        if (shown is not null)
            await access.RecordAsync(http, [state.PersonId.Value, state.CallerId.Value], id.Value, Revealed.Everything, cancellation);
        return Results.Ok(answer with { Personal = shown, Erased = shown is null ? true : null });
    }
}

/// <param name="DuplicateOf">The older need that this one repeats. While that is under way the state is <c>duplicate-of</c>; then it is how that one ended.</param>
/// <param name="Reason">Reason code of the state: why it waits, is escalated, went back to matching.</param>
/// <param name="RepeatCalls">How many later calls are linked to this need.</param>
public sealed record NeedAnswer(
    NeedId NeedId, string Kind, DeliveryMode Mode, int Quantity, int RemainingQuantity, Urgency Urgency, NeedState State,
    NeedId? DuplicateOf, RequestId? DuplicateOfRequest, ResponderId? ResponderId, string? Reason, DateTimeOffset? FulfilledAt, int RepeatCalls)
{
    public static NeedAnswer Of(TrackedNeed need) => new(
        need.NeedId, need.Kind, need.Mode, need.Quantity, need.RemainingQuantity, need.Urgency, need.State,
        need.DuplicateOf?.NeedId, need.DuplicateOf?.RequestId, need.ResponderId, need.Reason, need.FulfilledAt, need.RepeatCalls);
}

/// <param name="PersonId">Who needs the help, by the pseudonym that <c>DELETE /v1/people/{id}</c> takes.</param>
/// <param name="CallerId">Who called; the same when they called for themselves.</param>
/// <param name="Erased">True when personal data was asked for and is gone.</param>
public sealed record RequestAnswer(
    RequestId RequestId, PersonId PersonId, PersonId CallerId, string Source, string ExternalId, string Channel, DateTimeOffset ReceivedAt, DateTimeOffset SubmittedAt,
    RequestStatus Status, IReadOnlyList<string> Missing, string? SubDistrict, IReadOnlyList<CommunicationNeed> Communication,
    ResponderId? OwnGroupId, IReadOnlyList<NeedAnswer> Needs, PersonalAnswer? Personal = null, bool? Erased = null)
{
    public static async Task<RequestAnswer> OfAsync(IQuerySession session, RequestState state, CancellationToken cancellation) =>
        (await OfAllAsync(session, [state], cancellation))[0];

    /// <summary>Repeats show how the older need ended, once it has.</summary>
    public static async Task<IReadOnlyList<RequestAnswer>> OfAllAsync(IQuerySession session, IReadOnlyList<RequestState> states, CancellationToken cancellation)
    {
        var links = states.SelectMany(state => state.Needs).Where(need => need.State == NeedState.DuplicateOf).Select(need => need.DuplicateOf!.RequestId.Value).Distinct().ToArray();
        var older = links.Length == 0 ? [] : (await session.LoadManyAsync<RequestView>(cancellation, links)).SelectMany(view => view.State.Needs).ToDictionary(need => need.NeedId);
        return [.. states.Select(state => Of(state, older))];
    }

    /// <summary>As the request alone has it: a repeat is one, however the older need ended.</summary>
    public static RequestAnswer Of(RequestState state) => Of(state, []);

    private static RequestAnswer Of(RequestState state, Dictionary<NeedId, TrackedNeed> older)
    {
        var needs = state.Needs.Select(need => NeedAnswer.Of(need) with { State = Shown(need, older) }).ToList();
        return new RequestAnswer(state.Id, state.PersonId, state.CallerId, state.Source, state.ExternalId, state.Channel, state.ReceivedAt, state.SubmittedAt,
            state.Abandoned ? RequestStatus.Cancelled : RequestState.StatusOf(state.IsPartial, [.. needs.Select(need => need.State)]),
            state.Missing, state.SubDistrict, state.Communication, state.OwnGroupId, needs);
    }

    private static NeedState Shown(TrackedNeed need, Dictionary<NeedId, TrackedNeed> older) =>
        need.State == NeedState.DuplicateOf && older.TryGetValue(need.DuplicateOf!.NeedId, out var first) && RequestState.IsEnd(first.State)
            ? first.State
            : need.State;
}

/// <param name="Said">What people gave as reasons, in their own words.</param>
public sealed record PersonalAnswer(Caller Caller, PersonInNeed Person, IReadOnlyList<SaidAnswer> Said)
{
    /// <returns>Null when the data was erased.</returns>
    public static async Task<PersonalAnswer?> OfAsync(PersonalRecords records, RequestState state, IReadOnlyList<RequestEvent> events, CancellationToken cancellation)
    {
        if (await records.RevealAsync(state, cancellation) is not { } call)
            return null;
        var said = new List<SaidAnswer>();
        foreach (var happened in events)
            if (Words(happened) is var (what, needId, reason, by, at) && await records.WordsAsync(state, reason, cancellation) is { } text)
                said.Add(new SaidAnswer(what, needId, text, by, at));
        return new PersonalAnswer(call.Caller, call.Person, said);
    }

    private static (string What, NeedId? NeedId, Protected Reason, string By, DateTimeOffset At)? Words(RequestEvent happened) => happened switch
    {
        IntakeAbandoned { Reason: { } reason } e => ("cancel", null, reason, e.By, e.At),
        NeedCancelled { Reason: { } reason } e => ("cancel", e.NeedId, reason, e.By, e.At),
        NeedDisputed { Reason: { } reason } e => ("dispute", e.NeedId, reason, e.By, e.At),
        NeedReopened { Reason: { } reason } e => ("reopen", e.NeedId, reason, e.By, e.At),
        ConcernRaised { Reason: { } reason } e => ("concern", e.NeedId, reason, e.By, e.At),
        UpdateReceived { Words: { } words } e => ("update", null, words, e.By, e.At),
        _ => null,
    };
}

public sealed record SaidAnswer(string What, NeedId? NeedId, string Reason, string By, DateTimeOffset At);
