using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Requests.Domain;

namespace Huzhu.Audit.Replaying;

/// <summary>How somebody answered who was asked; silence is no answer.</summary>
/// <param name="After">From the offer to the answer.</param>
/// <param name="StartedAfter">From the acceptance to the beginning of the help.</param>
/// <param name="ReleasedAfter">From the acceptance to the moment at which it could not go on.</param>
public sealed record Answer(AnswerKind Kind, TimeSpan After, TimeSpan? StartedAfter, TimeSpan? ReleasedAfter);

public enum AnswerKind { Accepts, Declines, StaysSilent, IsNotReached }

/// <summary>Something that came from outside: people, the directory, measures, operators. Decisions and answers are not among it.</summary>
/// <param name="Sequence">Its order among what came at the same instant.</param>
public sealed record Input(DateTimeOffset At, long Sequence, Guid Stream, object Event)
{
    /// <summary>The responder whom the words are about; a replay heeds them only where the same one had the need.</summary>
    public ResponderId? About { get; init; }
}

/// <summary>An entry of the directory as the ledger had it.</summary>
public sealed record DirectoryEntry(Profile Profile, Opening Opening, long Version);

/// <summary>
/// What happened, read from the logs of Requests and Matching: what came from outside, how those who were asked answered,
/// how long help took, and what became of every need.
/// </summary>
public sealed class History
{
    private readonly Dictionary<NeedId, AskedNeed> _asked = [];
    private readonly HashSet<NeedId> _cancelled = [];
    private readonly List<Input> _inputs = [];
    private readonly List<Asking> _askings = [];
    private readonly Dictionary<OfferId, Asking> _byOffer = [];
    private (NeedId Need, ResponderId Responder, DateTimeOffset At)? _disputed;
    private readonly Dictionary<(NeedId, DateTimeOffset), ResponderId> _concerns = [];

    private sealed class Asking(NeedId need, OfferMade made)
    {
        public NeedId Need { get; } = need;
        public OfferMade Made { get; } = made;
        public DateTimeOffset? AcceptedAt { get; set; }
        public TimeSpan? StartedAfter { get; set; }
        public TimeSpan? ReleasedAfter { get; set; }
        public Answer? Answer { get; set; }
    }

    public Course Course { get; } = new();

    /// <summary>In the order in which they came.</summary>
    public IReadOnlyList<Input> Inputs => [.. _inputs.OrderBy(input => input.At).ThenBy(input => input.Sequence)];

    public IReadOnlyCollection<AskedNeed> Asked => _asked.Values;
    public DateTimeOffset StartsAt { get; private set; } = DateTimeOffset.MaxValue;
    public DateTimeOffset EndsAt { get; private set; } = DateTimeOffset.MinValue;

    /// <summary>When the first provider closed, and when the first reopened after that.</summary>
    public DateTimeOffset? ClosedAt { get; private set; }
    public DateTimeOffset? ReopenedAt { get; private set; }

    public IReadOnlyList<NeedOutcome> Outcomes(Course course) => course.Outcomes(_asked.Values, _cancelled, EndsAt);

    public static async Task<History> ReadAsync(ServiceLog? requests, ServiceLog matching, CancellationToken cancellation)
    {
        var history = new History();
        foreach (var log in requests is null ? [matching] : new[] { requests, matching })
        {
            await foreach (var next in log.ReadDecodedAsync(cancellation))
                history.Take(next.Sequence, next.Stream, next.StoredAt, next.Event);
        }
        return history;
    }

    /// <param name="change">Null for what the store writes for itself.</param>
    public void Take(long sequence, Guid stream, DateTimeOffset storedAt, object? change)
    {
        switch (change)
        {
            case RequestEvent said:
                TakeRequest(stream, storedAt, said);
                break;
            case ResponderEvent ledger:
                Extend(storedAt);
                TakeLedger(sequence, ResponderId.Of(stream), storedAt, ledger);
                break;
            case MatchEvent match:
                Extend(storedAt);
                TakeMatch(sequence, NeedId.Of(stream), storedAt, match);
                break;
            case MeasuresEvent or PolicyEvent:
                Extend(storedAt);
                _inputs.Add(new Input(change is MeasuresEvent measures ? measures.At : ((PolicyEvent)change).At, sequence, stream, change));
                break;
        }
    }

    private void Extend(DateTimeOffset storedAt)
    {
        StartsAt = storedAt < StartsAt ? storedAt : StartsAt;
        EndsAt = storedAt > EndsAt ? storedAt : EndsAt;
    }

    private readonly Dictionary<Guid, (DateTimeOffset SubmittedAt, string Channel)> _calls = [];

    private void TakeRequest(Guid stream, DateTimeOffset storedAt, RequestEvent said)
    {
        switch (said)
        {
            case RequestSubmitted submitted:
                _calls[stream] = (storedAt, submitted.Channel);
                Ask(submitted.Content);
                break;
            case IntakeExtended extended:
                Ask(extended.Content);
                break;
            case IntakeCompleted completed:
                Ask(completed.Content);
                break;
            case Requests.Domain.NeedCancelled cancelled:
                _cancelled.Add(cancelled.NeedId);
                break;
            case Requests.Domain.NeedReopened reopened:
                _cancelled.Remove(reopened.NeedId);
                break;
        }

        void Ask(IntakeContent content)
        {
            var (submittedAt, channel) = _calls[stream];
            foreach (var need in content.Needs)
            {
                _asked[need.NeedId] = new AskedNeed(need.NeedId, need.DuplicateOf?.NeedId, need.Kind, content.SubDistrict, content.Communication, channel,
                    submittedAt, content.Missing.Count == 0 ? storedAt : null);
            }
        }
    }

    private void TakeLedger(long sequence, ResponderId id, DateTimeOffset storedAt, ResponderEvent change)
    {
        Course.Take(id, change);
        if (change is PlaceHeld or PlaceReleased)
            return;
        var ledger = Course.LedgerOf(id);
        _inputs.Add(new Input(change.At, sequence, id.Value, new DirectoryEntry(ledger.Profile!, ledger.Opening, ledger.Version)));
        if (ledger.Profile!.Kind is not ResponderKind.Provider)
            return;
        if (change is ResponderClosed)
            ClosedAt ??= storedAt;
        if (change is ResponderReopened && ClosedAt is not null)
            ReopenedAt ??= storedAt;
    }

    private void TakeMatch(long sequence, NeedId id, DateTimeOffset storedAt, MatchEvent change)
    {
        var before = Course.MatchOf(id);
        Course.Take(id, change, storedAt);
        switch (change)
        {
            case NeedReceived { Need: var need }:
                if (!_asked.TryGetValue(id, out var known))
                    _asked[id] = new AskedNeed(id, null, need.Kind, need.SubDistrict, need.Communication, null, need.SubmittedAt, change.At);
                else if (known.CompleteAt is null)
                    _asked[id] = known with { CompleteAt = change.At };
                FromOutside();
                break;
            case Matching.Domain.NeedUrgencyRaised or Matching.Domain.NeedCancelled:
                FromOutside();
                break;
            // Where one of ours helped, the help itself ends the need in a replay.
            case Matching.Domain.NeedConfirmed when before.Taken is null && before.State is not NeedState.Fulfilled
                && !before.Offers.Exists(offer => offer.Status is OfferStatus.Done):
                FromOutside();
                break;
            case OfferDisputed disputed:
                _disputed = (id, disputed.ResponderId, disputed.At);
                break;
            case Matching.Domain.NeedReopened:
                FromOutside(_disputed is { } last && last.Need == id && last.At == change.At ? last.Responder : null);
                break;
            case ResponderExcluded { Reason: ExclusionReasons.ExcludedConcern } excluded:
                _concerns[(id, change.At)] = excluded.ResponderId;
                FromOutside();
                break;
            case NeedHeld:
                FromOutside(_concerns.TryGetValue((id, change.At), out var about) ? about : null);
                break;
            case OfferMade made:
                _askings.Add(_byOffer[made.OfferId] = new Asking(id, made));
                break;
            case OfferAccepted accepted when _byOffer.TryGetValue(accepted.OfferId, out var asking):
                asking.AcceptedAt = change.At;
                asking.Answer = AnswerOf(asking, AnswerKind.Accepts, change.At);
                break;
            case HelpStarted started when _byOffer.TryGetValue(started.OfferId, out var asking):
                asking.StartedAfter = change.At - asking.AcceptedAt;
                break;
            case OfferReleased released when _byOffer.TryGetValue(released.OfferId, out var asking):
                asking.ReleasedAfter = change.At - asking.AcceptedAt;
                break;
            case OfferDeclined or OfferExpired or OfferUndeliverable when _byOffer.TryGetValue(((OfferEnding)change).OfferId, out var asking):
                // Whoever was never told has not answered; that is the house's doing, not the responder's.
                if (!Course.MatchOf(id).Find(asking.Made.OfferId)!.WasNeverTold)
                {
                    asking.Answer = AnswerOf(asking, change switch
                    {
                        OfferDeclined => AnswerKind.Declines,
                        OfferExpired => AnswerKind.StaysSilent,
                        _ => AnswerKind.IsNotReached,
                    }, change.At);
                }
                break;
        }

        void FromOutside(ResponderId? about = null) => _inputs.Add(new Input(change.At, sequence, id.Value, change) { About = about });
    }

    private static Answer AnswerOf(Asking asking, AnswerKind kind, DateTimeOffset at) => new(kind, at - asking.Made.At, null, null);

    /// <summary>How each who was asked answered, in the order of asking.</summary>
    public IEnumerable<(NeedId Need, ResponderId Responder, ResponderKind Kind, Answer Answer)> Answers => _askings.Where(asking => asking.Answer is not null)
        .Select(asking => (asking.Need, asking.Made.ResponderId, asking.Made.ResponderKind,
            asking.Answer! with { StartedAfter = asking.StartedAfter, ReleasedAfter = asking.ReleasedAfter }));
}
