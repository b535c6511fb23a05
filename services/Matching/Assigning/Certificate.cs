using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Matching.Assigning;

/// <param name="Suspect">Whose ledger, at another version, could make it right.</param>
public sealed record Flaw(string Words, ResponderId? Suspect = null);

/// <summary>
/// Whether a plan is the best there is, without solving anything: whoever has a price is full, nobody is given more than is
/// free, and no need has anybody who costs it less at these prices than whom it was given, or than going without. By the
/// complementary slackness of linear programming no other assignment then costs less (Dantzig 1951). All pairs are looked at,
/// in the order of the index, as far as one could cost less.
/// </summary>
public static class Certificate
{
    // Costs and prices are whole millimetres, each rounded on its own.
    private const double RoundingMetres = 0.003;

    /// <param name="needs">As they stood, in the plan's order.</param>
    /// <param name="directory">As it stood.</param>
    /// <returns>Null when the plan is certified.</returns>
    public static Flaw? FlawOf(NeedsAssigned plan, IReadOnlyList<MatchState> needs, Roster directory, PolicyState policy, Zones zones)
    {
        var prices = Plan.Of(Guid.Empty, plan);
        foreach (var price in plan.Prices)
        {
            if (!(price.Metres > 0))
                return new Flaw($"it has a price of {Metres(price.Metres)} for {price.ResponderId}");
        }
        var given = new Dictionary<ResponderId, int>();
        foreach (var responder in plan.Assigned.SelectMany(need => need.ResponderIds))
            given[responder] = given.GetValueOrDefault(responder) + 1;
        foreach (var (responder, count) in given)
        {
            if (count > directory.StateOf(responder).Free)
                return new Flaw($"it gives {count} needs to {responder}, which had {directory.StateOf(responder).Free} free places", responder);
        }
        foreach (var price in plan.Prices)
        {
            if (given.GetValueOrDefault(price.ResponderId) != directory.StateOf(price.ResponderId).Free)
                return new Flaw($"{price.ResponderId} has a price, and only {given.GetValueOrDefault(price.ResponderId)} of its {directory.StateOf(price.ResponderId).Free} free places are given", price.ResponderId);
        }

        var (wanted, served, distance) = (0, 0, 0.0);
        for (var number = 0; number < needs.Count; number++)
        {
            var (need, assigned) = (needs[number], plan.Assigned[number]);
            var wants = policy.Policy.For(need.Urgency).ParallelOffers;
            if (assigned.ResponderIds.Count > wants || assigned.ResponderIds.Distinct().Count() < assigned.ResponderIds.Count)
                return new Flaw($"it gives need {assigned.NeedId} to {assigned.ResponderIds.Count} responders, and {wants} different ones are wanted");
            var costs = new Dictionary<ResponderId, double>();
            Ranker.VisitEligible(need, directory, policy, zones, plan.At, prices, double.PositiveInfinity, (listing, metres, cost) =>
            {
                if (assigned.ResponderIds.Contains(listing.Id))
                {
                    costs[listing.Id] = cost;
                    distance += metres;
                }
                return costs.Count == assigned.ResponderIds.Count ? double.NegativeInfinity : double.PositiveInfinity;
            });
            if (assigned.ResponderIds.FirstOrDefault(id => !costs.ContainsKey(id)) is var unable && unable != default)
                return new Flaw($"it gives need {assigned.NeedId} to {unable}, which could not be asked", unable);
            var pays = assigned.ResponderIds.Count < wants ? Planner.UnservedMetresOf(number, needs.Count) : costs.Values.DefaultIfEmpty(double.NegativeInfinity).Max();
            Flaw? flaw = null;
            Ranker.VisitEligible(need, directory, policy, zones, plan.At, prices, pays - RoundingMetres, (listing, metres, cost) =>
            {
                if (!assigned.ResponderIds.Contains(listing.Id))
                    flaw ??= new Flaw($"need {assigned.NeedId} would go to {listing.Id} for {Metres(cost)} at the plan's prices and {(assigned.ResponderIds.Count < wants ? "goes without" : $"pays {Metres(pays)}")}", listing.Id);
                return flaw is null ? pays - RoundingMetres : double.NegativeInfinity;
            });
            if (flaw is not null)
                return flaw;
            (wanted, served) = (wanted + wants, served + assigned.ResponderIds.Count);
        }
        if ((wanted, served) != (plan.Wanted, plan.Served))
            return new Flaw($"{served} of {wanted} offers are planned instead of {plan.Served} of {plan.Wanted}");
        return Math.Abs(distance - plan.DistanceMetres) > RoundingMetres * Math.Max(1, served)
            ? new Flaw($"the way to all is {Metres(distance)} instead of {Metres(plan.DistanceMetres)}")
            : null;
    }

    private static string Metres(double metres) => string.Create(CultureInfo.InvariantCulture, $"{metres:0.000} m");
}
