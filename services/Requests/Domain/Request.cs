using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Domain;

/// <summary>Something that happened to one request. The stream's id is the request's.</summary>
public abstract record RequestEvent(DateTimeOffset At);

/// <summary>A front end took in a person's call for help, complete or with parts missing.</summary>
/// <param name="PersonId">Who needs the help; with whose key <see cref="IntakeContent.Person"/> is encrypted.</param>
/// <param name="CallerId">Who called: the same, or a proxy; with whose key <see cref="IntakeContent.Caller"/> is encrypted.</param>
/// <param name="Fingerprint">Keyed hash of the whole intake, to tell a repeated call to the API from another one.</param>
/// <param name="At">The original clock of the needs.</param>
public sealed record RequestSubmitted(
    RequestId RequestId, PersonId PersonId, PersonId CallerId, string Source, string ExternalId, string Channel,
    DateTimeOffset ReceivedAt, string? OperatorId, IntakeContent Content, string Fingerprint, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>A partial intake learned more, and parts are still missing.</summary>
public sealed record IntakeExtended(IntakeContent Content, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>A partial intake has all that matching needs; its needs go there now.</summary>
public sealed record IntakeCompleted(IntakeContent Content, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>A partial intake was given up before it was complete.</summary>
public sealed record IntakeAbandoned(string ReasonCode, Protected? Reason, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>The person called again about this need while it was under way; the other need is linked to it and not matched itself.</summary>
public sealed record RepeatCallLinked(NeedId NeedId, NeedLink Repeat, DateTimeOffset At) : RequestEvent(At);

/// <summary>A repeat call was more urgent, and so the need is now. Urgency never falls.</summary>
public sealed record NeedUrgencyRaised(NeedId NeedId, Urgency Urgency, DateTimeOffset At) : RequestEvent(At);

/// <summary>Matching said where the need stands.</summary>
/// <param name="MatchVersion">Matching's version: what is older than the newest one recorded says nothing any more.</param>
public sealed record NeedStateRecorded(
    NeedId NeedId, long MatchVersion, NeedState State, ResponderId? ResponderId, string? Reason, int RemainingQuantity, DateTimeOffset At) : RequestEvent(At);

/// <summary>The requester, a proxy or a coordinator no longer wants help with the need.</summary>
/// <param name="WithMatching">False when Matching was never told of the need, because it was a linked repeat.</param>
public sealed record NeedCancelled(NeedId NeedId, bool WithMatching, string ReasonCode, Protected? Reason, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>The requester said that the help came; the need is closed.</summary>
public sealed record NeedConfirmed(NeedId NeedId, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>The requester said that the help did not come; the need goes back to matching with its original clock.</summary>
/// <param name="ExcludedResponders">Everybody whom earlier concerns keep away from this person, as known now.</param>
public sealed record NeedDisputed(
    NeedId NeedId, IReadOnlyList<ResponderId> ExcludedResponders, string ReasonCode, Protected? Reason, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>A need that had ended is wanted again; it goes back to matching with its original clock.</summary>
/// <param name="ExcludedResponders">Everybody whom earlier concerns keep away from this person, as known now.</param>
public sealed record NeedReopened(
    NeedId NeedId, IReadOnlyList<ResponderId> ExcludedResponders, string ReasonCode, Protected? Reason, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>Somebody is worried about safety: only humans handle the need from here, and the responder is never again asked for this person.</summary>
public sealed record ConcernRaised(NeedId NeedId, ResponderId? ResponderId, string ReasonCode, Protected? Reason, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>A front end passed on an update of its caller: their words, and whether they still want the help; what follows stands in events of its own.</summary>
/// <param name="UpdateId">The front end's own id of the update, or one made for it: a repeat is known by it.</param>
public sealed record UpdateReceived(string UpdateId, Wish? Wish, Protected? Words, string By, DateTimeOffset At) : RequestEvent(At);

/// <summary>What an update asks for. Without one it is words only.</summary>
[JsonConverter(typeof(KebabEnumConverter<Wish>))]
public enum Wish { StillWanted, NoLongerWanted }

/// <summary>Points at a need of another request of the same person.</summary>
public sealed record NeedLink(RequestId RequestId, NeedId NeedId);

/// <summary>One need as it was asked for; the note about it is in <see cref="IntakeContent.Person"/>.</summary>
/// <param name="DuplicateOf">The older need that this one repeats.</param>
public sealed record AskedNeed(NeedId NeedId, string Kind, DeliveryMode Mode, int Quantity, NeedLink? DuplicateOf);

/// <summary>On what ground the person's data is kept, and since when.</summary>
public sealed record Consent(string Basis, DateTimeOffset At);

/// <summary>What an intake says, once the personal part is encrypted.</summary>
/// <param name="Place">Snapped; the exact one is in <paramref name="Person"/>.</param>
/// <param name="ExcludedResponders">Everybody whom earlier concerns keep away from this person, as known at the intake.</param>
/// <param name="Person">Name, exact place, address and notes, with the key of the person in need.</param>
/// <param name="Caller">Reference, name, phone and channels, with the key of the caller.</param>
/// <param name="HelpedBefore">Who has helped this person before, as known at the intake; null for nobody.</param>
public sealed record IntakeContent(
    GeoPoint? Place, string? SubDistrict, IReadOnlyList<AskedNeed> Needs, Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication, ResponderId? OwnGroupId, Consent? Consent, bool CallbackOk,
    IReadOnlyList<ResponderId> ExcludedResponders, Protected Person, Protected Caller,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<ResponderId>? HelpedBefore = null)
{
    /// <summary>The fields without which nobody can be asked to help.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Missing =>
    [
        .. Place is null ? ["location"] : Array.Empty<string>(),
        .. Needs.Count == 0 ? ["needs"] : Array.Empty<string>(),
        .. Consent is null ? ["consent"] : Array.Empty<string>(),
    ];
}

/// <summary>Where a request stands as a whole; see <see cref="RequestState.StatusOf"/>.</summary>
[JsonConverter(typeof(KebabEnumConverter<RequestStatus>))]
public enum RequestStatus { Partial, Open, InProgress, OnHold, DuplicateOf, Fulfilled, Closed, Cancelled }

/// <summary>One need of a request, with all that has happened to it.</summary>
/// <param name="MatchVersion">The newest version that Matching told; 0 before the first.</param>
/// <param name="ResponderId">Who holds it, or held it when it was fulfilled.</param>
/// <param name="Reason">Matching's reason code for the present state.</param>
/// <param name="HoldReachedMatching">Matching itself said that the need is on hold; before that, what it says may be older than the concern.</param>
/// <param name="WantedAgain">It was disputed or reopened, and has not ended since.</param>
/// <param name="RepeatCalls">How many later calls are linked to it.</param>
/// <param name="CancelledLast">The last word said here about it was that help is no longer wanted.</param>
public sealed record TrackedNeed(
    NeedId NeedId, string Kind, DeliveryMode Mode, int Quantity, Urgency Urgency, NeedState State, NeedLink? DuplicateOf,
    long MatchVersion, ResponderId? ResponderId, string? Reason, int RemainingQuantity, DateTimeOffset? FulfilledAt,
    bool HoldReachedMatching, bool WantedAgain, int RepeatCalls,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool CancelledLast = false)
{
    /// <summary>Somebody looks for help, or gives it, or humans handle it.</summary>
    [JsonIgnore]
    public bool IsUnderWay => State is not (NeedState.Partial or NeedState.DuplicateOf) && !RequestState.IsEnd(State);

    /// <summary>Who has helped, as long as nobody disputes it, is worried about it, or wants the help again.</summary>
    [JsonIgnore]
    public ResponderId? HelpedBy => State is NeedState.Fulfilled or NeedState.Closed ? ResponderId : null;
}

/// <summary>What the decisions about one request rest on. Without personal data in clear, so that it may be stored as a view.</summary>
public sealed record RequestState
{
    public static readonly RequestState Initial = new();

    /// <summary>How many events made it: the version of the stream.</summary>
    public int Version { get; init; }
    public RequestId Id { get; init; }
    public PersonId PersonId { get; init; }
    public PersonId CallerId { get; init; }
    public string Source { get; init; } = "";
    public string ExternalId { get; init; } = "";
    public string Channel { get; init; } = "";
    public string? OperatorId { get; init; }
    public string Fingerprint { get; init; } = "";
    public DateTimeOffset ReceivedAt { get; init; }
    public DateTimeOffset SubmittedAt { get; init; }
    /// <summary>When something was last said here. What is said next is later, whatever another replica's clock shows.</summary>
    public DateTimeOffset SaidAt { get; init; }
    public GeoPoint? Place { get; init; }
    public string? SubDistrict { get; init; }
    public IReadOnlyList<CommunicationNeed> Communication { get; init; } = [];
    public ResponderId? OwnGroupId { get; init; }
    public Consent? Consent { get; init; }
    public bool CallbackOk { get; init; }
    public IReadOnlyList<string> Missing { get; init; } = [];
    public bool Abandoned { get; init; }
    public IReadOnlyList<TrackedNeed> Needs { get; init; } = [];
    /// <summary>Ids of the updates that were received.</summary>
    public IReadOnlyList<string> Updates { get; init; } = [];
    /// <summary>Whom concerns about this request keep away from the person.</summary>
    public IReadOnlyList<ResponderId> Concerned { get; init; } = [];
    /// <summary>Whom any concern about the person keeps away, as far as this request was told.</summary>
    public IReadOnlyList<ResponderId> Excluded { get; init; } = [];
    /// <summary>Who had helped the person before this request.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ResponderId>? HelpedBefore { get; init; }

    /// <summary>The newest intake; only in a state folded from the log, the view does without.</summary>
    [JsonIgnore]
    public IntakeContent? Content { get; init; }

    [JsonIgnore]
    public bool Exists => Version > 0;

    [JsonIgnore]
    public bool IsPartial => Missing.Count > 0;

    [JsonIgnore]
    public RequestStatus Status => Abandoned ? RequestStatus.Cancelled : StatusOf(IsPartial, [.. Needs.Select(need => need.State)]);

    /// <summary>
    /// A request is on hold when a need is; ended when all needs are (fulfilled before closed before cancelled); a repeat
    /// when all that is left of it is linked to older needs; in progress as soon as somebody has taken a need.
    /// </summary>
    public static RequestStatus StatusOf(bool isPartial, IReadOnlyCollection<NeedState> needs) => 0 switch
    {
        _ when isPartial => RequestStatus.Partial,
        _ when needs.Contains(NeedState.OnHold) => RequestStatus.OnHold,
        _ when needs.All(IsEnd) => needs switch
        {
            _ when needs.Contains(NeedState.Fulfilled) => RequestStatus.Fulfilled,
            _ when needs.Contains(NeedState.Closed) => RequestStatus.Closed,
            _ => RequestStatus.Cancelled,
        },
        _ when needs.Any(state => state is NeedState.Accepted or NeedState.Started or NeedState.Fulfilled or NeedState.Closed) => RequestStatus.InProgress,
        _ when needs.All(state => state == NeedState.DuplicateOf || IsEnd(state)) => RequestStatus.DuplicateOf,
        _ => RequestStatus.Open,
    };

    public static bool IsEnd(NeedState state) => state is NeedState.Fulfilled or NeedState.Closed or NeedState.Cancelled;

    internal RequestState With(NeedId needId, Func<TrackedNeed, TrackedNeed> change) =>
        this with { Needs = [.. Needs.Select(need => need.NeedId == needId ? change(need) : need)] };

    internal RequestState Keep(IReadOnlyList<ResponderId> excluded) => this with { Excluded = [.. Excluded.Union(excluded)] };

    internal RequestState Concern(ResponderId? responder) => responder is not { } id
        ? this
        : this with { Concerned = [.. Concerned.Union([id])], Excluded = [.. Excluded.Union([id])] };
}

/// <summary>Who says something about a need, and why: a code that may be published, and the person's own words, encrypted.</summary>
public sealed record Said(string By, string ReasonCode, Protected? Reason, DateTimeOffset At);

/// <summary>What may happen to a request, and what it leads to.</summary>
public static class Request
{
    /// <summary>How long after the help was reported done its receiver can say that it was not.</summary>
    public static readonly TimeSpan DisputeWindow = TimeSpan.FromDays(14);

    public const int MaxUpdates = 200;

    public static RequestState Fold(IEnumerable<RequestEvent> events) => events.Aggregate(RequestState.Initial, Evolve);

    public static RequestState Evolve(RequestState state, RequestEvent happened)
    {
        var next = state with
        {
            Version = state.Version + 1,
            SaidAt = happened is NeedStateRecorded || happened.At < state.SaidAt ? state.SaidAt : happened.At,
        };
        return happened switch
        {
            RequestSubmitted e => Take(next with
            {
                Id = e.RequestId,
                PersonId = e.PersonId,
                CallerId = e.CallerId,
                Source = e.Source,
                ExternalId = e.ExternalId,
                Channel = e.Channel,
                OperatorId = e.OperatorId,
                Fingerprint = e.Fingerprint,
                ReceivedAt = e.ReceivedAt,
                SubmittedAt = e.At,
            }, e.Content),
            IntakeExtended e => Take(next, e.Content),
            IntakeCompleted e => Take(next, e.Content),
            IntakeAbandoned => next with { Abandoned = true, Needs = [.. next.Needs.Select(need => need with { State = NeedState.Cancelled })] },
            RepeatCallLinked e => next.With(e.NeedId, need => need with { RepeatCalls = need.RepeatCalls + 1 }),
            NeedUrgencyRaised e => next.With(e.NeedId, need => need with { Urgency = e.Urgency }),
            NeedStateRecorded e => next.With(e.NeedId, need => Record(need, e)),
            NeedCancelled e => next.With(e.NeedId, need => need with { State = NeedState.Cancelled, WantedAgain = false, CancelledLast = true }),
            NeedConfirmed e => next.With(e.NeedId, need => need with { State = NeedState.Closed, WantedAgain = false, CancelledLast = false }),
            NeedDisputed e => next.Keep(e.ExcludedResponders).With(e.NeedId, Reopen),
            NeedReopened e => next.Keep(e.ExcludedResponders).With(e.NeedId, Reopen),
            UpdateReceived e => next with { Updates = [.. next.Updates, e.UpdateId] },
            ConcernRaised e => next.Concern(e.ResponderId).With(e.NeedId, need => need.State is NeedState.Closed or NeedState.Cancelled
                ? need
                : need with { State = NeedState.OnHold, HoldReachedMatching = false, CancelledLast = false }),
            _ => throw new InvalidOperationException($"A request does not know the event {happened.GetType().Name}."),
        };
    }

    private static RequestState Take(RequestState state, IntakeContent content)
    {
        var missing = content.Missing;
        return state with
        {
            Content = content,
            Place = content.Place,
            SubDistrict = content.SubDistrict,
            Communication = content.Communication,
            OwnGroupId = content.OwnGroupId,
            Consent = content.Consent,
            CallbackOk = content.CallbackOk,
            Excluded = content.ExcludedResponders,
            HelpedBefore = content.HelpedBefore,
            Missing = missing,
            Needs =
            [
                .. content.Needs.Select(need => new TrackedNeed(
                    need.NeedId, need.Kind, need.Mode, need.Quantity, content.Urgency,
                    missing.Count > 0 ? NeedState.Partial : need.DuplicateOf is null ? NeedState.Open : NeedState.DuplicateOf,
                    need.DuplicateOf, 0, null, null, need.Quantity, null, false, false, 0)),
            ],
        };
    }

    private static TrackedNeed Record(TrackedNeed need, NeedStateRecorded said)
    {
        var told = need with { MatchVersion = said.MatchVersion };
        var state = (need.State, said.State) switch
        {
            // Help that crossed a cancellation, and a concern of before it, and then Matching heard of the cancellation.
            (not NeedState.Closed, NeedState.Cancelled) when need.CancelledLast => NeedState.Cancelled,
            // Cancelling and closing are said here and only echoed there, perhaps after they were undone here.
            (_, NeedState.Cancelled or NeedState.Closed) => need.State,
            // Help that came is true even when a cancellation crossed it on the way.
            (NeedState.Cancelled, NeedState.Fulfilled) => NeedState.Fulfilled,
            (NeedState.Cancelled or NeedState.Closed, _) => need.State,
            // What was under way before Matching heard of the concern does not end the hold.
            (NeedState.OnHold, not (NeedState.OnHold or NeedState.Fulfilled)) when !need.HoldReachedMatching => NeedState.OnHold,
            _ => said.State,
        };
        if (state != said.State)
            return told;
        return told with
        {
            State = state,
            ResponderId = said.ResponderId,
            Reason = said.Reason,
            // On hold nothing is left to be done by anybody, but as much is still missing.
            RemainingQuantity = state == NeedState.OnHold ? need.RemainingQuantity : said.RemainingQuantity,
            HoldReachedMatching = state == NeedState.OnHold,
            FulfilledAt = state == NeedState.Fulfilled ? said.At : null,
            WantedAgain = need.WantedAgain && state != NeedState.Fulfilled,
        };
    }

    private static TrackedNeed Reopen(TrackedNeed need) => need with
    {
        State = need.DuplicateOf is null ? NeedState.Reopened : NeedState.DuplicateOf,
        ResponderId = null,
        Reason = null,
        RemainingQuantity = need.Quantity,
        FulfilledAt = null,
        WantedAgain = true,
        CancelledLast = false,
    };

    /// <param name="isSameIntake">Whether the intake equals the one that made <paramref name="state"/>.</param>
    public static Decision<RequestEvent> DecideSubmission(RequestState state, RequestSubmitted submitted, bool isSameIntake) => state switch
    {
        { Exists: false } => submitted,
        _ when isSameIntake => Decision<RequestEvent>.Nothing,
        _ => ExternalIdTaken,
    };

    public static Refusal ExternalIdTaken { get; } =
        Refusal.Conflict("external-id-taken", "This source has already sent another request with this external id.");

    /// <param name="content">The whole intake with the new parts in it.</param>
    /// <param name="changesNothing">Whether the new parts were known already.</param>
    public static Decision<RequestEvent> DecideCompletion(RequestState state, IntakeContent content, bool changesNothing, string by, DateTimeOffset at) => state switch
    {
        { Exists: false } => RequestNotFound,
        { Abandoned: true } => Refusal.Conflict("cancelled", "The request was cancelled before it was complete; submit a new one."),
        _ when changesNothing => Decision<RequestEvent>.Nothing,
        { IsPartial: false } => Refusal.Conflict("already-complete", "The request is complete and with matching; its intake can no longer be changed."),
        _ when content.Missing.Count > 0 => new IntakeExtended(content, by, at),
        _ => new IntakeCompleted(content, by, at),
    };

    /// <summary>Links a repeat call to a need that is under way; the higher urgency wins.</summary>
    public static Decision<RequestEvent> DecideRepeat(RequestState state, NeedId needId, NeedLink repeat, Urgency urgency, DateTimeOffset at)
    {
        if (state.Needs.FirstOrDefault(need => need.NeedId == needId) is not { } need)
            return NeedNotFound;
        if (!need.IsUnderWay)
            return Refusal.Conflict("not-under-way", "Only a need that is under way can take a repeat call.");
        var linked = new RepeatCallLinked(needId, repeat, at);
        return urgency > need.Urgency
            ? new RequestEvent[] { linked, new NeedUrgencyRaised(needId, urgency, at) }
            : linked;
    }

    public static Decision<RequestEvent> DecideCancellation(RequestState state, NeedId? needId, Said said)
    {
        if (state is { Exists: true, IsPartial: true, Abandoned: false })
            return needId is null
                ? new IntakeAbandoned(said.ReasonCode, said.Reason, said.By, said.At)
                : Refusal.Conflict("partial", "The intake is partial: complete it first, or cancel the whole request.");
        return ForEach(state, needId, need => need.State switch
        {
            NeedState.Cancelled => Decision<RequestEvent>.Nothing,
            NeedState.Fulfilled or NeedState.Closed => Refusal.Conflict("already-fulfilled", "The help was already given; dispute it if that is wrong."),
            _ => new NeedCancelled(need.NeedId, need.State != NeedState.DuplicateOf, said.ReasonCode, said.Reason, said.By, said.At),
        });
    }

    public static Decision<RequestEvent> DecideConfirmation(RequestState state, NeedId? needId, string by, DateTimeOffset at) =>
        ForEach(state, needId, need => need.State switch
        {
            NeedState.Closed => Decision<RequestEvent>.Nothing,
            NeedState.Fulfilled => new NeedConfirmed(need.NeedId, by, at),
            NeedState.DuplicateOf => IsRepeat(need),
            _ => Refusal.Conflict("not-fulfilled", "Nobody has reported this help as done yet."),
        });

    public static Decision<RequestEvent> DecideDispute(RequestState state, NeedId? needId, IReadOnlyList<ResponderId> excluded, Said said) =>
        ForEach(state, needId, need => need.State switch
        {
            NeedState.Fulfilled or NeedState.Closed when need.FulfilledAt is { } done && said.At > done + DisputeWindow =>
                Refusal.Conflict("too-late", "Help can be disputed within 14 days; reopen the need instead."),
            NeedState.Fulfilled or NeedState.Closed => new NeedDisputed(need.NeedId, excluded, said.ReasonCode, said.Reason, said.By, said.At),
            NeedState.DuplicateOf => IsRepeat(need),
            _ when need is { IsUnderWay: true, WantedAgain: true, State: not NeedState.OnHold } => Decision<RequestEvent>.Nothing,
            _ => Refusal.Conflict("not-fulfilled", "Only help that was reported as done can be disputed."),
        });

    public static Decision<RequestEvent> DecideReopening(RequestState state, NeedId? needId, IReadOnlyList<ResponderId> excluded, Said said) => state.Abandoned
        ? Refusal.Conflict("cancelled", "The request was cancelled before it was complete; submit a new one.")
        : ForEach(state, needId, need => need switch
        {
            _ when RequestState.IsEnd(need.State) => new NeedReopened(need.NeedId, excluded, said.ReasonCode, said.Reason, said.By, said.At),
            { State: NeedState.OnHold } => Refusal.Conflict("on-hold", "The need is on hold for humans: release the hold, if help is to be sought again."),
            { State: NeedState.DuplicateOf } or { WantedAgain: true } => Decision<RequestEvent>.Nothing,
            _ => Refusal.Conflict("still-under-way", "The need has not ended."),
        });

    /// <summary>Humans have looked into the concern: help is sought again, on the original clock, and whoever it was about stays away.</summary>
    public static Decision<RequestEvent> DecideReleasingHold(RequestState state, NeedId? needId, IReadOnlyList<ResponderId> excluded, Said said) => state.Abandoned
        ? Refusal.Conflict("cancelled", "The request was cancelled before it was complete; nobody was asked to help.")
        : ForEach(state, needId, need => need switch
        {
            { State: NeedState.OnHold } => new NeedReopened(need.NeedId, excluded, HoldReleased, said.Reason, said.By, said.At),
            { WantedAgain: true } => Decision<RequestEvent>.Nothing,
            _ => Refusal.Conflict("not-on-hold", "The need is not on hold."),
        });

    /// <summary>The reason code of a reopening that ends a hold.</summary>
    public const string HoldReleased = "hold-released";

    /// <param name="responder">Who is meant; when nobody is named, who holds the need.</param>
    public static Decision<RequestEvent> DecideConcern(RequestState state, NeedId? needId, ResponderId? responder, Said said)
    {
        if (state.Abandoned)
            return Refusal.Conflict("cancelled", "The request was cancelled before it was complete; nobody was asked to help.");
        // Without a named need, all that go on are meant; when none does, those that have ended.
        var meansOnlyThoseUnderWay = needId is null && state.Needs.Any(need => need.IsUnderWay);
        return ForEach(state, needId, need =>
        {
            var about = responder ?? need.ResponderId;
            var isKnown = about is not { } named || state.Concerned.Contains(named);
            return need switch
            {
                { DuplicateOf: not null } => IsRepeat(need),
                { IsUnderWay: false } when meansOnlyThoseUnderWay => Decision<RequestEvent>.Nothing,
                { State: NeedState.OnHold } when isKnown => Decision<RequestEvent>.Nothing,
                { State: NeedState.Closed or NeedState.Cancelled } when isKnown && about is not null => Decision<RequestEvent>.Nothing,
                _ => new ConcernRaised(need.NeedId, about, said.ReasonCode, said.Reason, said.By, said.At),
            };
        });
    }

    /// <summary>The update is kept whatever it asks for; what it asks for is done where it can be.</summary>
    public static Decision<RequestEvent> DecideUpdate(RequestState state, string updateId, Wish? wish, IReadOnlyList<ResponderId> excluded, Said said) => state switch
    {
        { Exists: false } => RequestNotFound,
        _ when state.Updates.Contains(updateId) => Decision<RequestEvent>.Nothing,
        { Updates.Count: >= MaxUpdates } => Refusal.Conflict("too-many-updates", $"A request takes at most {MaxUpdates} updates."),
        _ => (List<RequestEvent>)[new UpdateReceived(updateId, wish, said.Reason, said.By, said.At), .. Fulfil(state, wish, excluded, said with { Reason = null })],
    };

    private static IEnumerable<RequestEvent> Fulfil(RequestState state, Wish? wish, IReadOnlyList<ResponderId> excluded, Said said) => wish switch
    {
        // Each of the two takes the needs that the other refuses.
        Wish.NoLongerWanted => [.. DecideConfirmation(state, null, said.By, said.At).Events, .. DecideCancellation(state, null, said).Events],
        Wish.StillWanted => state.Needs.SelectMany(need => DecideReturn(state, need.NeedId, excluded, said).Events),
        null => [],
    };

    /// <summary>Help that was only reported is disputed while it can be; what has ended otherwise is reopened.</summary>
    public static Decision<RequestEvent> DecideReturn(RequestState state, NeedId needId, IReadOnlyList<ResponderId> excluded, Said said) =>
        state.Needs.Any(need => need.NeedId == needId && need.State == NeedState.Fulfilled) && DecideDispute(state, needId, excluded, said) is { Refusal: null } disputed
            ? disputed
            : DecideReopening(state, needId, excluded, said);

    public static Decision<RequestEvent> DecideRecording(RequestState state, NeedStateRecorded said)
    {
        if (!state.Exists)
            return RequestNotFound;
        if (state.Needs.FirstOrDefault(need => need.NeedId == said.NeedId) is not { } need)
            return NeedNotFound;
        if (need.DuplicateOf is not null || state.IsPartial)
            return Refusal.Conflict("not-with-matching", "Matching was never told of this need.");
        return said.MatchVersion <= need.MatchVersion ? Decision<RequestEvent>.Nothing : said;
    }

    public static Refusal RequestNotFound { get; } = Refusal.NotFound("request-not-found", "There is no such request.");

    public static Refusal NeedNotFound { get; } = Refusal.NotFound("need-not-found", "The request has no such need.");

    private static Refusal IsRepeat(TrackedNeed need) =>
        Refusal.Conflict("duplicate-of", $"The need repeats {need.DuplicateOf!.NeedId} of request {need.DuplicateOf.RequestId}: act on that one.");

    /// <summary>
    /// One need: its own answer. All of them: what happens to any; when nothing does, that is no refusal as long as
    /// it is so because it has happened before.
    /// </summary>
    private static Decision<RequestEvent> ForEach(RequestState state, NeedId? needId, Func<TrackedNeed, Decision<RequestEvent>> decide)
    {
        if (!state.Exists)
            return RequestNotFound;
        if (state is { IsPartial: true, Abandoned: false })
            return Refusal.Conflict("partial", "The intake is partial: complete it first.");
        if (needId is { } id)
            return state.Needs.FirstOrDefault(need => need.NeedId == id) is { } one ? decide(one) : NeedNotFound;
        return Together([.. state.Needs.Select(decide)]);
    }

    /// <summary>Several decisions as one: what happens to any; a refusal only when every one is.</summary>
    public static Decision<RequestEvent> Together(IReadOnlyCollection<Decision<RequestEvent>> decisions)
    {
        var events = decisions.SelectMany(decision => decision.Events).ToList();
        return events.Count > 0 || decisions.Count == 0 || decisions.Any(decision => decision.Refusal is null)
            ? events
            : decisions.First().Refusal!;
    }
}
