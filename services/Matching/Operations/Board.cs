using Huzhu.Contracts;

namespace Huzhu.Matching.Operations;

/// <summary>How things stand, for the people who run the centre. Counts and coarse places only: nothing of one person.</summary>
/// <param name="Needs">Under way, and what ended in the last hour.</param>
/// <param name="Oldest">The need that has waited longest in the backlog; null when nobody waits.</param>
/// <param name="TimeToOffer">Of needs submitted in the last hour, by urgency.</param>
/// <param name="Capacity">By sub-district and service kind, of responders that take needs now.</param>
/// <param name="Queues">Matching's own; null when the broker does not answer.</param>
/// <param name="Replicas">Of Matching, as many as consume needs; null when the broker does not answer.</param>
public sealed record Board(
    DateTimeOffset At, IReadOnlyList<NeedCount> Needs, OldestWaiting? Oldest, IReadOnlyList<TimeToOffer> TimeToOffer, IReadOnlyList<SubDistrictLoad> SubDistricts,
    IReadOnlyList<KindCapacity> Capacity, IReadOnlyList<OpeningCount> Responders, int SealedZones, RelayState Relay, IReadOnlyList<QueueDepth>? Queues, int? Replicas);

/// <param name="State">offered, accepted, started, waiting, escalated or on-hold; fulfilled, closed and cancelled of needs submitted in the last hour.</param>
public sealed record NeedCount(string State, Urgency Urgency, int Needs);

/// <param name="State">waiting or escalated.</param>
public sealed record OldestWaiting(NeedId NeedId, string State, Urgency Urgency, DateTimeOffset SubmittedAt);

/// <summary>From the need's own clock to its first offer.</summary>
/// <param name="Needs">Submitted in the last hour, cancelled ones left out.</param>
/// <param name="Offered">Of these: have had an offer.</param>
/// <param name="ObjectiveSeconds">The policy's <c>escalateAfterSeconds</c>: after so long people have to look for help.</param>
/// <param name="Within">The share of all that had their offer by then, or may still have it.</param>
public sealed record TimeToOffer(Urgency Urgency, int Needs, int Offered, double? P50Seconds, double? P95Seconds, double ObjectiveSeconds, double Within);

/// <param name="Name">Empty: the map does not know where the needs lie.</param>
/// <param name="Place">The middle of its responders' sites, to about a kilometre; null where there is none.</param>
/// <param name="UnderWay">Offered, accepted or started.</param>
/// <param name="Free">Places of responders that work from here and take needs now.</param>
public sealed record SubDistrictLoad(string Name, GeoPoint? Place, int Waiting, int Escalated, int UnderWay, int OpenResponders, int ClosedResponders, int Free, int Capacity);

/// <param name="Free">A place counts under every kind that its responder provides.</param>
public sealed record KindCapacity(string SubDistrict, string Kind, int Responders, int Free, int Capacity);

public sealed record OpeningCount(ResponderKind Kind, Opening Opening, int Responders);

/// <param name="EventsBehind">Appended and not yet told to the other services.</param>
/// <param name="Since">When the first of them was appended; null when there is none.</param>
public sealed record RelayState(long EventsBehind, DateTimeOffset? Since);

public sealed record QueueDepth(string Name, uint Messages, uint Consumers);
