using Google.OrTools.Graph;

namespace Huzhu.Matching.Assigning;

/// <summary>One responder that a need could go to.</summary>
/// <param name="Cost">In whole millimetres: the distance, and what else the order counts.</param>
public readonly record struct Edge(int Responder, long Cost, double Metres);

/// <summary>
/// The transport problem: which needs go to which places so that the sum of the costs is least. Solved as a min-cost flow
/// by OR-Tools, and certified by prices: every need has the responders that are cheapest for it at their prices, and only
/// who is full has a price. Whoever holds the prices can check that without solving anything.
/// </summary>
/// <param name="places">Free places by responder.</param>
/// <param name="wanted">How many responders each need is to have.</param>
/// <param name="penalties">What it costs to leave one of a need's wants unserved; more than any way to serve it.</param>
public sealed class Transport(IReadOnlyList<int> places, IReadOnlyList<int> wanted, IReadOnlyList<long> penalties)
{
    private readonly List<Edge>[] _edges = [.. wanted.Select(_ => new List<Edge>())];

    public int Needs => wanted.Count;

    public void Add(int need, Edge edge) => _edges[need].Add(edge);

    public IReadOnlyList<Edge> EdgesOf(int need) => _edges[need];

    /// <summary>The best among the edges added so far.</summary>
    public Solution Solve()
    {
        var (responders, needs) = (places.Count, wanted.Count);
        var (nobody, sink) = (needs + responders, needs + responders + 1);
        using var flow = new MinCostFlow(needs + responders + 2, _edges.Sum(edges => edges.Count) + needs + responders + 1);
        var arcs = new int[needs][];
        for (var need = 0; need < needs; need++)
        {
            arcs[need] = new int[_edges[need].Count];
            for (var edge = 0; edge < arcs[need].Length; edge++)
                arcs[need][edge] = flow.AddArcWithCapacityAndUnitCost(need, needs + _edges[need][edge].Responder, 1, _edges[need][edge].Cost);
            flow.AddArcWithCapacityAndUnitCost(need, nobody, wanted[need], penalties[need]);
            flow.SetNodeSupply(need, wanted[need]);
        }
        for (var responder = 0; responder < responders; responder++)
            flow.AddArcWithCapacityAndUnitCost(needs + responder, sink, places[responder], 0);
        var total = wanted.Sum();
        flow.AddArcWithCapacityAndUnitCost(nobody, sink, total, 0);
        flow.SetNodeSupply(sink, -total);
        if (flow.Solve() is var status && status != MinCostFlowBase.Status.OPTIMAL)
            throw new InvalidOperationException($"The assignment of {needs} needs could not be solved: {status}.");

        var chosen = new List<Edge>[needs];
        for (var need = 0; need < needs; need++)
        {
            chosen[need] = [];
            for (var edge = 0; edge < arcs[need].Length; edge++)
            {
                if (flow.Flow(arcs[need][edge]) > 0)
                    chosen[need].Add(_edges[need][edge]);
            }
        }
        return new Solution(chosen, PricesOf(chosen), flow.OptimalCost());
    }

    /// <summary>
    /// What a need pays at these prices for the dearest of what it has: an edge that costs less than this, price
    /// included, would be better.
    /// </summary>
    public long WorstOf(int need, Solution solution) => Worst(need, solution.Chosen[need], solution.Prices);

    private long Worst(int need, List<Edge> chosen, long[] prices)
    {
        var worst = chosen.Count < wanted[need] ? penalties[need] : long.MinValue;
        foreach (var edge in chosen)
            worst = Math.Max(worst, edge.Cost + prices[edge.Responder]);
        return worst;
    }

    /// <summary>The least prices that certify the choice: raised from zero until nobody has a cheaper edge.</summary>
    private long[] PricesOf(List<Edge>[] chosen)
    {
        var prices = new long[places.Count];
        var held = new List<int>[places.Count];
        for (var responder = 0; responder < held.Length; responder++)
            held[responder] = [];
        for (var need = 0; need < chosen.Length; need++)
        {
            foreach (var edge in chosen[need])
                held[edge.Responder].Add(need);
        }
        var (raised, queued) = (new Queue<int>(), new bool[places.Count]);
        for (var need = 0; need < chosen.Length; need++)
            Look(need);
        while (raised.TryDequeue(out var responder))
        {
            queued[responder] = false;
            foreach (var need in held[responder])
                Look(need);
        }
        return prices;

        void Look(int need)
        {
            var worst = Worst(need, chosen[need], prices);
            foreach (var edge in _edges[need])
            {
                var (responder, cost, _) = edge;
                if (cost + prices[responder] >= worst || chosen[need].Contains(edge))
                    continue;
                prices[responder] = worst - cost;
                if (!queued[responder])
                    raised.Enqueue(responder);
                queued[responder] = true;
            }
        }
    }
}

/// <param name="Chosen">By need; fewer than wanted where there are no places.</param>
/// <param name="Prices">By responder: what everybody's cost would gain by one more place there.</param>
/// <param name="Cost">All that is chosen, and the penalties of what is not served.</param>
public sealed record Solution(IReadOnlyList<List<Edge>> Chosen, long[] Prices, long Cost);
