using System.Text.Json.Serialization;
using Huzhu.Contracts;

namespace Huzhu.Matching.Domain;

/// <summary>
/// Why an offer went to this responder and to no other, in data that an auditor can decide again from. Versions are
/// those of the streams as they were looked at.
/// </summary>
/// <param name="PolicyVersion">Version of the policy stream.</param>
/// <param name="ZonesVersion">Version of the measures stream: which zones were sealed.</param>
/// <param name="Rank">Place in the whole order, those left out included: 1 when nobody was better placed.</param>
/// <param name="DistanceMetres">Great-circle distance to the nearest open site that may serve; null for online help.</param>
/// <param name="Held">Places that the responder held before this offer.</param>
/// <param name="LedgerVersion">Version of the responder's ledger before this offer.</param>
/// <param name="FirstBecause">A code of <see cref="OrderReasons"/>: what put it before the next one that could have been asked.</param>
/// <param name="RunnerUp">The next one that could have been asked.</param>
/// <param name="LeftOut">Those that provide the service kind and are better placed, in order, up to the policy's limit.</param>
/// <param name="OthersLeftOut">
/// Those better placed beyond that limit, counted by reason. Nothing is said of whoever comes after the chosen one: it
/// had no part in the decision, and a decision must not cost more the larger the directory is.
/// </param>
/// <param name="Weighed">Null when nothing is weighed.</param>
/// <param name="PlanId">The stream of the plan whose prices the order minded, where many needs were assigned together.</param>
/// <param name="Assignment">Who chose the responder by hand, where a person did; the hard rules held all the same.</param>
/// <param name="Priced">Null when no prices of those who are still to come were minded.</param>
public sealed record Explanation(
    long PolicyVersion,
    long ZonesVersion,
    int Rank,
    double? DistanceMetres,
    int Held,
    int Capacity,
    long LedgerVersion,
    string FirstBecause,
    ResponderId? RunnerUp,
    double? RunnerUpDistanceMetres,
    IReadOnlyList<LeftOut> LeftOut,
    IReadOnlyDictionary<string, int> OthersLeftOut,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? PlanId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Assignment? Assignment = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Weighed? Weighed = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Priced? Priced = null);

/// <summary>A person of the operating centre chose whom to ask.</summary>
/// <param name="By">The subject of the token.</param>
/// <param name="Reason">What the person gave as the reason. No personal data.</param>
public sealed record Assignment(string By, string Reason);

/// <summary>What the policy's weights made of the responder, in metres added to its distance; in all and one by one.</summary>
/// <param name="NotHelpedBefore">0: it has helped the person before. Null: that was not weighed, or nobody has.</param>
public sealed record Weighed(double OtherSubDistrict, double NoPeer, double Load, double Turn,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? NotHelpedBefore = null)
{
    [JsonIgnore]
    public double Metres => OtherSubDistrict + NoPeer + Load + Turn + (NotHelpedBefore ?? 0);
}

/// <summary>The prices that the order minded, and what the responder's was.</summary>
/// <param name="Version">Of the stream of prices.</param>
/// <param name="Metres">Added to its distance.</param>
public sealed record Priced(long Version, double Metres);

/// <summary>A responder that is better placed than the one chosen, and the hard rule that excluded it.</summary>
public sealed record LeftOut(ResponderId ResponderId, ResponderKind Kind, string Reason, double? DistanceMetres, long LedgerVersion);

/// <summary>Why nobody can be asked.</summary>
/// <param name="Reason">The rule that stopped whoever came closest, a code of <see cref="ExclusionReasons"/>.</param>
/// <param name="LeftOut">How many responders each rule excluded, over the whole directory.</param>
public sealed record Nobody(string Reason, IReadOnlyDictionary<string, int> LeftOut);

/// <summary>The hard rules by the code they give when they exclude, in the order in which they are looked at.</summary>
public static class ExclusionReasons
{
    public const string Kind = "kind";
    public const string Mode = "mode";
    public const string Communication = "communication";
    public const string OutOfArea = "out-of-area";
    public const string ZoneSealed = "zone-sealed";
    public const string Withdrawn = "withdrawn";
    public const string Closed = "closed";
    public const string Paused = "paused";
    public const string ExcludedByPerson = "excluded-by-person";
    public const string ExcludedConcern = "excluded-concern";
    public const string ExcludedDisputed = "excluded-disputed";
    public const string ExcludedDeclined = "excluded-declined";
    public const string ExcludedReleased = "excluded-released";
    public const string ExcludedRevoked = "excluded-revoked";
    public const string AskedRecently = "asked-recently";
    public const string AlreadyOffered = "already-offered";
    public const string Full = "full";
    public const string WeighedAgainst = "weighed-against";
    public const string KeptForOthers = "kept-for-others";
    public const string PassedOver = "passed-over";

    /// <summary>Later means closer to being asked: the furthest one that anybody reached says best why a need waits.</summary>
    public static IReadOnlyList<string> InOrder { get; } =
    [
        Kind, Mode, Communication, OutOfArea, ZoneSealed, Withdrawn, Closed, Paused, ExcludedByPerson, ExcludedConcern,
        ExcludedDisputed, ExcludedDeclined, ExcludedReleased, ExcludedRevoked, AskedRecently, AlreadyOffered, Full, WeighedAgainst, KeptForOthers, PassedOver,
    ];

    /// <summary>Being asked again soon is a courtesy of the timers and no hard rule: a person who has spoken with the responder may.</summary>
    public static bool ForbidsAssignment(string? reason) => reason is not (null or AskedRecently);
}

/// <summary>What put one responder before another.</summary>
public static class OrderReasons
{
    public const string OnlyOne = "only-one";
    public const string OwnGroup = "own-group";
    public const string ProviderFirst = "provider-first";
    public const string Nearest = "nearest";
    public const string SameSubDistrict = "same-sub-district";
    public const string LeastLoaded = "least-loaded";
    public const string LeastTogether = "least-together";
    public const string LeastPriced = "least-priced";
    public const string LeastWeighed = "least-weighed";
    public const string LowestId = "lowest-id";
    public const string ByOperator = "by-operator";
}
