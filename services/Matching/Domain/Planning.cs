using System.Text.Json.Serialization;
using Huzhu.Contracts;

namespace Huzhu.Matching.Domain;

public abstract record PlanEvent(DateTimeOffset At);

/// <summary>What one more place with the responder would have spared all the needs of the plan together, in metres.</summary>
public readonly record struct Price(ResponderId ResponderId, double Metres);

/// <summary>The version of a responder's ledger that was looked at.</summary>
public readonly record struct LedgerSeen(ResponderId ResponderId, long Version);

/// <summary>Whom a need of the plan was to be offered to; nobody where there was no place.</summary>
/// <param name="MatchVersion">At which the need's match was looked at; 0 in logs from before it was written down.</param>
public sealed record Assigned(
    NeedId NeedId, IReadOnlyList<ResponderId> ResponderIds,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] long MatchVersion = 0);

/// <summary>
/// Many needs that wanted somebody at once were assigned together; the only event of its stream. Offers that follow from
/// it name the stream, and mind these prices: each need has gone to whoever costs it least, distance and price together.
/// That everybody is full who has a price, and that no need has anybody cheaper, is what makes the whole the shortest
/// there is: an auditor checks it without solving anything.
/// </summary>
/// <param name="Assigned">Most urgent first, then oldest: where there are too few places, those behind go without.</param>
/// <param name="Wanted">How many offers were wanted for all of them.</param>
/// <param name="Served">How many could be planned.</param>
/// <param name="DistanceMetres">The way to all that are served, together.</param>
/// <param name="Prices">Nobody else has one.</param>
/// <param name="PolicyVersion">Of the policy that was followed; 0 in logs from before it was written down, as are the next two.</param>
/// <param name="ZonesVersion">Of the measures that were minded.</param>
/// <param name="Ledgers">The versions at which the ledgers of those that have a need or a price were looked at.</param>
public sealed record NeedsAssigned(
    IReadOnlyList<Assigned> Assigned, int Wanted, int Served, double DistanceMetres, IReadOnlyList<Price> Prices, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] long PolicyVersion = 0,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] long ZonesVersion = 0,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<LedgerSeen>? Ledgers = null) : PlanEvent(At);

/// <summary>
/// What places are worth to those who are still to come, worked out from those who came lately. Offers that follow name the
/// version of this stream: an offline need that nobody's life hangs on goes to whoever costs it least, distance and price together.
/// </summary>
/// <param name="Prices">Of those whose places others will need more; nobody else has one.</param>
/// <param name="Demand">How many offline needs came within the policy's time.</param>
/// <param name="Places">What they were set against: free ones, and some of those that are held.</param>
public sealed record PricesSet(IReadOnlyList<Price> Prices, int Demand, int Places, long PolicyVersion, long ZonesVersion, DateTimeOffset At) : PlanEvent(At)
{
    /// <summary>The one stream that holds every version.</summary>
    public static readonly Guid StreamId = new("3c5d2f1e-6a47-5b90-9e21-707269636573");
}
