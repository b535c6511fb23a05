using Huzhu.Contracts;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using V1 = Huzhu.Contracts.Requests.V1;

namespace Huzhu.Requests;

/// <summary>What the stored events tell the other services: no personal data, places snapped, reasons as codes.</summary>
public static class Publishing
{
    public static async ValueTask<IReadOnlyList<object>> Map(IEvent stored, IQuerySession log, CancellationToken cancellation) => stored.Data switch
    {
        // The events of an intake say all about the needs; that of a single need is read together with what led to it.
        RequestSubmitted e => Submitted(Request.Evolve(RequestState.Initial, e), e.At),
        IntakeCompleted or NeedDisputed or NeedReopened or ConcernRaised => Map((RequestEvent)stored.Data,
            (await log.LoadRequestAsync(new RequestId(stored.StreamId), cancellation, stored.Version)).State),
        PersonErased e => [new V1.PersonErased(new PersonId(e.PersonId), await NeedsOfAsync(e.PersonId, log, cancellation), e.At)],
        RetentionChanged or DataKeysRewrapped => [],
        RequestEvent e => Map(e, new RequestState { Id = new RequestId(stored.StreamId) }),
        ConversationEvent or AdmissionEvent => [],
        _ => throw new InvalidOperationException($"Requests does not know the event {stored.Data.GetType().Name}."),
    };

    private static async Task<IReadOnlyList<NeedId>> NeedsOfAsync(Guid person, IQuerySession log, CancellationToken cancellation) =>
        [.. (await log.Query<RequestView>().Where(view => view.PersonId == person || view.CallerId == person).ToListAsync(cancellation))
            .SelectMany(view => view.State.Needs).Select(need => need.NeedId)];

    /// <param name="state">The request after the event.</param>
    public static IReadOnlyList<object> Map(RequestEvent happened, RequestState state) => happened switch
    {
        RequestSubmitted e => Submitted(state, e.At),
        IntakeCompleted e => Submitted(state, e.At),
        NeedUrgencyRaised e => [new V1.NeedUrgencyRaised(e.NeedId, e.Urgency, e.At)],
        NeedCancelled { WithMatching: true } e => [new V1.NeedCancelled(e.NeedId, state.Id, e.ReasonCode, e.At)],
        NeedConfirmed e => [new V1.NeedConfirmed(e.NeedId, state.Id, e.At)],
        NeedDisputed e => [new V1.NeedReopened(NeedOf(state, e.NeedId), e.ReasonCode, Disputed: true, e.At)],
        NeedReopened e when Find(state, e.NeedId).DuplicateOf is null => [new V1.NeedReopened(NeedOf(state, e.NeedId), e.ReasonCode, Disputed: false, e.At)],
        ConcernRaised e => [new V1.ConcernRaised(e.NeedId, state.Id, state.PersonId, e.ResponderId, e.At)],
        IntakeExtended or IntakeAbandoned or RepeatCallLinked or UpdateReceived or NeedStateRecorded or NeedCancelled or NeedReopened => [],
        _ => throw new InvalidOperationException($"Requests does not know the event {happened.GetType().Name}."),
    };

    private static IReadOnlyList<object> Submitted(RequestState state, DateTimeOffset at) =>
        [.. state.Needs.Where(need => need.State == NeedState.Open).Select(need => NeedOf(state, need.NeedId)).SelectMany(need => need.Urgency is Urgency.LifeThreatening
            ? new object[] { new V1.LifeThreateningNeedSubmitted(need, at), new V1.NeedSubmitted(need, at) }
            : [new V1.NeedSubmitted(need, at)])];

    private static V1.Need NeedOf(RequestState state, NeedId needId)
    {
        var need = Find(state, needId);
        return new V1.Need(need.NeedId, state.Id, state.PersonId, need.Kind, need.Mode, need.Quantity,
            state.Place ?? throw new InvalidOperationException("A need without a place was about to be published."), state.SubDistrict, need.Urgency,
            state.Communication, state.OwnGroupId, state.Excluded, state.SubmittedAt, state.HelpedBefore);
    }

    private static TrackedNeed Find(RequestState state, NeedId needId) => state.Needs.First(need => need.NeedId == needId);
}
