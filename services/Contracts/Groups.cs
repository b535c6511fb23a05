namespace Huzhu.Contracts.Groups.V1;

/// <summary>A place that a responder works from.</summary>
public sealed record Site(GeoPoint Place, string SubDistrict, bool Open = true);

/// <summary>
/// The directory's whole current entry of one responder. Whole on purpose: the newest <paramref name="Version"/> wins,
/// so that a late or repeated message can do no harm.
/// </summary>
/// <param name="Version">Version of the responder's stream in Groups; grows with every change.</param>
/// <param name="Sites">At least one. Distance is to the nearest open one.</param>
/// <param name="RadiusMetres">Offline help reaches this far from an open site; null: no limit.</param>
/// <param name="SubDistricts">Sub-districts served; empty: no limit.</param>
/// <param name="Capacity">How many needs it can hold at once.</param>
/// <param name="ZonePermit">May carry offline help into and out of a sealed zone.</param>
/// <param name="ManagedBy">Subjects (the <c>sub</c> of a token) that may answer in its name.</param>
/// <param name="ClosedBecause">Reason of the closure, when closed.</param>
/// <param name="ClosedByMeasureId">The measure that closed it, when a measure did.</param>
/// <param name="LeaderHasDisability">Null when not told. Peers lead peers: the study's strongest trait of a group.</param>
public sealed record ResponderChanged(
    ResponderId ResponderId,
    ResponderKind Kind,
    long Version,
    Opening Opening,
    string? ClosedBecause,
    MeasureId? ClosedByMeasureId,
    IReadOnlyList<Site> Sites,
    double? RadiusMetres,
    IReadOnlyList<string> SubDistricts,
    IReadOnlyList<string> ServiceKinds,
    IReadOnlyList<DeliveryMode> Modes,
    IReadOnlyList<CommunicationNeed> CommunicationAbilities,
    int Capacity,
    bool ZonePermit,
    bool? LeaderHasDisability,
    IReadOnlyList<string> ManagedBy,
    DateTimeOffset At);

/// <summary>
/// A collective measure is in force: its area, a closed ring of WGS84 positions, is a zone. When
/// <paramref name="SealsZone"/>, offline help does not cross its edge without a permit.
/// The providers that it closes are told by <see cref="ResponderChanged"/>.
/// </summary>
public sealed record MeasureImposed(
    MeasureId MeasureId, string Name, IReadOnlyList<GeoPoint> Area, bool SealsZone, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset At);

/// <summary>A collective measure has ended, because its time came or because somebody lifted it.</summary>
public sealed record MeasureLifted(MeasureId MeasureId, string Reason, DateTimeOffset At);

/// <summary>A responder's contact data was erased. Whoever keeps something that was told to it forgets it.</summary>
public sealed record ContactErased(ResponderId ResponderId, DateTimeOffset At);
