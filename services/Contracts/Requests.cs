using System.Text.Json.Serialization;

namespace Huzhu.Contracts.Requests.V1;

/// <summary>
/// One need as Matching sees it. No personal data: the person is a pseudonym, the place is snapped to about 100 m.
/// </summary>
/// <param name="SubmittedAt">The need's original clock. It never restarts, whatever happens to the need.</param>
/// <param name="SubDistrict">Name of the sub-district that the place lies in; null when the map does not know.</param>
/// <param name="ExcludedResponders">Responders never to be asked for this person (an earlier concern), with no reason told.</param>
/// <param name="HelpedBefore">
/// Responders that have helped this person before, and nobody disputed it: at most ten, the newest, in order of id. Null when there are none.
/// </param>
public sealed record Need(
    NeedId NeedId,
    RequestId RequestId,
    PersonId PersonId,
    string Kind,
    DeliveryMode Mode,
    int Quantity,
    GeoPoint Place,
    string? SubDistrict,
    Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication,
    ResponderId? OwnGroupId,
    IReadOnlyList<ResponderId> ExcludedResponders,
    DateTimeOffset SubmittedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<ResponderId>? HelpedBefore = null);

/// <summary>A need is complete and waits for a responder.</summary>
public sealed record NeedSubmitted(Need Need, DateTimeOffset At);

/// <summary>
/// The same need as in its <see cref="NeedSubmitted"/>, told once more and before it: whoever is in danger of life waits
/// behind nobody else's message. Which of the two comes first does not matter.
/// </summary>
public sealed record LifeThreateningNeedSubmitted(Need Need, DateTimeOffset At);

/// <summary>A repeat call raised the urgency of a need that is already on its way. Urgency never falls.</summary>
public sealed record NeedUrgencyRaised(NeedId NeedId, Urgency Urgency, DateTimeOffset At);

/// <summary>The requester, a proxy or a coordinator no longer wants help with this need.</summary>
public sealed record NeedCancelled(NeedId NeedId, RequestId RequestId, string Reason, DateTimeOffset At);

/// <summary>The requester says that the need was met. The need is closed.</summary>
public sealed record NeedConfirmed(NeedId NeedId, RequestId RequestId, DateTimeOffset At);

/// <summary>
/// A need that had ended is to be matched again, with its original clock. <paramref name="Disputed"/> names the
/// offer's outcome as disputed; the responder that had it is not asked again.
/// </summary>
public sealed record NeedReopened(Need Need, string Reason, bool Disputed, DateTimeOffset At);

/// <summary>
/// Somebody is worried about safety. The need is held for humans. <paramref name="ResponderId"/>, when known, is
/// never again asked for this person.
/// </summary>
public sealed record ConcernRaised(NeedId NeedId, RequestId RequestId, PersonId PersonId, ResponderId? ResponderId, DateTimeOffset At);

/// <summary>
/// A person's data was erased. Whoever keeps something that was told about these needs, or to this person, forgets it.
/// </summary>
/// <param name="Needs">Every need of theirs, and every one that they called about.</param>
public sealed record PersonErased(PersonId PersonId, IReadOnlyList<NeedId> Needs, DateTimeOffset At);
