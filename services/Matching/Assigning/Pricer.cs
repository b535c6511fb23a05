using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Matching.Assigning;

/// <summary>
/// What places are worth to those who are still to come. Those who came lately are taken for them and assigned together, on
/// paper; the prices of that assignment say where one place more would spare others a detour. Pure: the same needs and
/// ledgers give the same prices.
/// </summary>
public static class Pricer
{
    /// <summary>So many needs are enough of a picture; where more came, the places are as many fewer.</summary>
    public const int MostNeeds = 3_000;

    /// <summary>Fewer say nothing of those to come.</summary>
    private const int FewestNeeds = 30;
    private const int MostPrices = 2_000;

    /// <summary>
    /// What a held place counts beside a free one: some of them come back while others come. Where all do, prices of what is
    /// free alone are far too high; where none does, those of all places are too low. Half was best of 0, ½, ¾ and 1.
    /// </summary>
    private const double Held = 0.5;

    /// <param name="recent">Offline needs, the newest first, up to <see cref="MostNeeds"/>.</param>
    /// <param name="demand">How many there were in all within the policy's time.</param>
    /// <param name="directory">Only read.</param>
    public static PricesSet Price(IReadOnlyList<Need> recent, int demand, IEnumerable<Listing> directory, PolicyState policy, Zones zones, DateTimeOffset now)
    {
        var pricing = policy.Policy.Prices ?? throw new ArgumentException("The policy has no prices.", nameof(policy));
        var open = directory.Select(listing => (listing.Id, listing.State)).Where(listing => listing.State.Opening is Opening.Open).OrderBy(listing => listing.Id.Value).ToList();
        var places = (int)open.Sum(listing => PlacesOf(listing.State));
        var expected = Math.Min(demand, (int)(pricing.MostLoad * places));
        var needs = recent.Take(expected).Select(need => MatchState.Evolve(MatchState.Initial, new NeedReceived(need, now))).ToList();
        if (needs.Count < FewestNeeds)
            return new PricesSet([], demand, places, policy.Version, zones.Version, now);

        var paper = new Roster();
        // What is left over of one's places when they are made fewer goes to the next, so that none are lost.
        var (share, left) = ((double)needs.Count / expected, 0.5);
        foreach (var (id, state) in open)
        {
            left += PlacesOf(state) * share;
            var whole = (int)left;
            left -= whole;
            paper.Set(id, state with { Held = ResponderState.Initial.Held, Profile = state.Profile! with { Capacity = whole } });
        }
        var assigned = Planner.Assign(needs, paper, policy, zones, now, Plan.CostOf(1, policy.Policy.ProviderBeforeGroup ? 1 : 0, pricing.MostMetres)).Event;
        // A little more than what makes no difference: whoever would have it as near elsewhere leaves the place to others.
        var prices = assigned.Prices.Select(price => price with { Metres = Math.Min(Math.Floor(price.Metres) + 1, pricing.MostMetres) })
            .OrderByDescending(price => price.Metres).ThenBy(price => price.ResponderId.Value).Take(MostPrices).OrderBy(price => price.ResponderId.Value);
        return new PricesSet([.. prices], demand, places, policy.Version, zones.Version, now);
    }

    private static double PlacesOf(ResponderState state) => state.Free + Held * state.Held.Count;
}
