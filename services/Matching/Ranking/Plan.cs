using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>
/// How many needs were assigned together, or are thought to come: the price of each responder in metres, and who is to have which need. A need
/// of the plan goes to whoever costs it least, distance and price taken together, among those that can be asked when its
/// turn comes; the assignment says only which one of equals.
/// </summary>
/// <param name="Id">Of the stream that says what was planned.</param>
/// <param name="Prices">Only of those who have one: places that others need more.</param>
/// <param name="Version">Of the prices of those who are still to come, where it is these; 0 when needs were assigned together.</param>
public sealed record Plan(Guid Id, IReadOnlyDictionary<ResponderId, double> Prices, IReadOnlyDictionary<NeedId, IReadOnlyList<ResponderId>> Assigned, long Version = 0)
{
    /// <summary>What the rest of the order counts for beside distance and price: rather so much further than not in one's own group, or not with a provider.</summary>
    private const double NotOwnMetres = 1_000_000, GroupMetres = 100_000;

    /// <summary>Costs are assigned in whole millimetres; what differs by less is equal.</summary>
    private const double RoundingMetres = 0.002;

    public static Plan Of(Guid id, NeedsAssigned assigned) => new(
        id, assigned.Prices.ToDictionary(price => price.ResponderId, price => price.Metres), assigned.Assigned.ToDictionary(need => need.NeedId, need => need.ResponderIds));

    /// <param name="version">Of the stream, with this event.</param>
    public static Plan Of(PricesSet prices, long version) => new(
        PricesSet.StreamId, prices.Prices.ToDictionary(price => price.ResponderId, price => price.Metres), None.Assigned, version);

    /// <summary>No prices.</summary>
    public static Plan None { get; } = new(Guid.Empty, new Dictionary<ResponderId, double>(), new Dictionary<NeedId, IReadOnlyList<ResponderId>>());

    public static double CostOf(int own, int tier, double metres) => own * NotOwnMetres + tier * GroupMetres + metres;

    public double PriceOf(ResponderId responder) => Prices.GetValueOrDefault(responder);

    /// <summary>Whom the plan has for the need, where that is as good as the best that is found.</summary>
    public bool Prefers(NeedId need, ResponderId responder, double cost, double leastCost) =>
        cost <= leastCost + RoundingMetres && Assigned.TryGetValue(need, out var assigned) && assigned.Contains(responder);

    public IReadOnlyList<ResponderId> AssignedTo(NeedId need) => Assigned.GetValueOrDefault(need, []);
}
