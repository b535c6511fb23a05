using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Matching.Assigning;

/// <summary>What was assigned together.</summary>
/// <param name="Rounds">How often the flow was solved until no pair that had been left out could make it cheaper.</param>
public sealed record Draft(NeedsAssigned Event, int Rounds);

/// <summary>
/// Assigns many offline needs at once so that as many as possible are served, the most urgent and then the oldest before
/// others, and the way to all of them together is shortest. The flow is solved over the nearest few responders of each need; the
/// prices then tell of every pair that was left out whether it could make anything better, and those that could are added
/// until none is left: the result is the best over all pairs without ever holding them.
/// </summary>
/// <remarks>Column generation over a transport problem (Dantzig and Wolfe 1960); the prices are its dual values.</remarks>
public static class Planner
{
    private const int NearestFirst = 12, AddedAtMost = 8;
    private const double Millimetres = 1_000;
    // More than any way there is; and what comes first in the order of needs is worth more than any detour of those behind.
    private const double UnservedMetres = 10_000_000, BeforeMetres = 200_000;

    /// <summary>Whether the policy has so many offline needs assigned together.</summary>
    public static bool AreMany(int needs, Policy policy) => policy.AssignTogetherFrom > 0 && needs >= policy.AssignTogetherFrom;

    /// <summary>What it costs the plan to leave the need without one of the responders that it wants.</summary>
    /// <param name="position">In the order of needs, from 0.</param>
    internal static double UnservedMetresOf(int position, int needs) => UnservedMetres + BeforeMetres * (needs - position);

    /// <param name="needs">In the order in which they are to be served where there are too few places.</param>
    /// <param name="unservedMetres">What it costs to leave any of them without somebody; null: more than any way there is, and more for whoever comes before.</param>
    public static Draft Assign(IReadOnlyList<MatchState> needs, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now, double? unservedMetres = null)
    {
        var (numbers, responders) = (new Dictionary<ResponderId, int>(), new List<Listing>());
        var transport = new Transport(
            new Places(responders), [.. needs.Select(need => policy.Policy.For(need.Urgency).ParallelOffers)],
            [.. needs.Select((_, position) => (long)(Millimetres * (unservedMetres ?? UnservedMetresOf(position, needs.Count))))]);
        var found = new HashSet<(int Need, int Responder)>();
        for (var need = 0; need < needs.Count; need++)
            Add(need, null, double.PositiveInfinity, NearestFirst);

        for (var rounds = 1; ; rounds++)
        {
            var solution = transport.Solve();
            var plan = new Plan(Guid.Empty, PricesOf(solution), new Dictionary<NeedId, IReadOnlyList<ResponderId>>());
            var added = 0;
            for (var need = 0; need < needs.Count; need++)
                added += Add(need, plan, (transport.WorstOf(need, solution) - 1) / Millimetres, AddedAtMost * rounds);
            if (added > 0)
                continue;
            return new Draft(new NeedsAssigned(
                [.. needs.Select((need, number) => new Assigned(need.Need!.NeedId, [.. solution.Chosen[number].Select(edge => responders[edge.Responder].Id)]))],
                Wanted: needs.Sum(need => policy.Policy.For(need.Urgency).ParallelOffers),
                Served: solution.Chosen.Sum(chosen => chosen.Count),
                DistanceMetres: solution.Chosen.Sum(chosen => chosen.Sum(edge => edge.Metres)),
                [.. plan.Prices.OrderBy(price => price.Key.Value).Select(price => new Price(price.Key, price.Value))], now,
                policy.Version, zones.Version,
                [.. solution.Chosen.SelectMany(chosen => chosen.Select(edge => responders[edge.Responder].Id)).Concat(plan.Prices.Keys).Distinct()
                    .OrderBy(id => id.Value).Select(id => new LedgerSeen(id, directory.StateOf(id).Version))]), rounds);
        }

        int Add(int need, Plan? plan, double limit, int atMost)
        {
            var added = 0;
            Ranker.VisitEligible(needs[need], directory, policy, zones, now, plan ?? Plan.None, limit, (listing, metres, cost) =>
            {
                if (!numbers.TryGetValue(listing.Id, out var number))
                {
                    numbers[listing.Id] = number = responders.Count;
                    responders.Add(listing);
                }
                if (found.Add((need, number)))
                {
                    transport.Add(need, new Edge(number, (long)Math.Round((cost - (plan?.PriceOf(listing.Id) ?? 0)) * Millimetres), metres));
                    added++;
                }
                return added < atMost ? limit : double.NegativeInfinity;
            });
            return added;
        }

        Dictionary<ResponderId, double> PricesOf(Solution solution)
        {
            var prices = new Dictionary<ResponderId, double>();
            for (var responder = 0; responder < responders.Count; responder++)
            {
                if (solution.Prices[responder] > 0)
                    prices[responders[responder].Id] = solution.Prices[responder] / Millimetres;
            }
            return prices;
        }
    }

    private sealed class Places(List<Listing> responders) : IReadOnlyList<int>
    {
        public int this[int index] => responders[index].State.Free;
        public int Count => responders.Count;
        public IEnumerator<int> GetEnumerator() => responders.Select(listing => listing.State.Free).GetEnumerator();
        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
