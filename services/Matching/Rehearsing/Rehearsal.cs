using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Matching.Rehearsing;

/// <summary>A place that an offer holds, and the need it is held for.</summary>
public sealed record HeldOffer(OfferId OfferId, ResponderId ResponderId, Need Need);

/// <summary>What would become of one need that is taken from its responder.</summary>
/// <param name="To">Who would be asked first; null when it would wait.</param>
/// <param name="DistanceMetres">To whom it would go.</param>
/// <param name="Reason">Why it would wait, a code of <see cref="ExclusionReasons"/>.</param>
public sealed record Moved(NeedId NeedId, Urgency Urgency, ResponderId From, ResponderId? To, ResponderKind? ToKind, double? DistanceMetres, string? Reason);

/// <summary>
/// What a closure or a measure would do, decided on paper: on a copy of the directory, by the very decisions that the real
/// one would be followed by, with nothing written and nothing told. Pure.
/// </summary>
public static class Rehearsal
{
    /// <summary>A responder's ledger as it would be: the sites that lie inside are shut, and where none is left open it is closed.</summary>
    public static ResponderState Shut(ResponderState state, Func<Site, bool> isInside)
    {
        var sites = state.Profile!.Sites.Select(site => site.Open && isInside(site) ? site with { Open = false } : site).ToList();
        return state with
        {
            Profile = state.Profile with { Sites = sites },
            Opening = state.Opening is Opening.Open or Opening.Paused && sites.TrueForAll(site => !site.Open) ? Opening.Closed : state.Opening,
        };
    }

    /// <param name="directory">A copy, in which whoever would close is closed; it is written to.</param>
    /// <param name="held">What would be taken, most urgent then oldest.</param>
    /// <param name="matches">Those needs' matches, as they stand.</param>
    public static IReadOnlyList<Moved> Run(Roster directory, PolicyState policy, Zones zones, IReadOnlyList<HeldOffer> held,
        IReadOnlyDictionary<NeedId, MatchState> matches, DateTimeOffset now, Plan? prices = null)
    {
        var situation = new Situation(directory, policy, zones, now, Prices: prices);
        var round = new Round(situation);
        foreach (var (id, match) in matches)
            round.Know(id, match, 0);
        // Somebody may have ended the offer since the rows were read.
        var moving = held.Where(offer => Take(offer)(matches[offer.Need.NeedId], situation).Events.Count > 0).ToList();
        var offline = moving.Where(offer => offer.Need.Mode is DeliveryMode.Offline).DistinctBy(offer => offer.Need.NeedId).Select(offer => matches[offer.Need.NeedId]).ToList();
        var plan = Planner.AreMany(offline.Count, policy.Policy) ? Plan.Of(Guid.Empty, Planner.Assign(offline, directory, policy, zones, now).Event) : null;
        var moved = new List<Moved>();
        foreach (var offer in moving)
        {
            var before = round.StateOf(offer.Need.NeedId).Offers.Count;
            var after = round.Decide(offer.Need.NeedId, Take(offer), plan).State;
            var next = after.Offers.Count > before ? after.Offers[before] : null;
            moved.Add(new Moved(offer.Need.NeedId, after.Urgency, offer.ResponderId, next?.ResponderId, next?.ResponderKind, next?.Explanation.DistanceMetres,
                after.State is NeedState.Waiting or NeedState.Escalated ? after.Reason : null));
        }
        return moved;
    }

    /// <summary>As the sweeps take it: from whoever closed, or where its way would cross a sealed edge.</summary>
    private static DecideOnMatch Take(HeldOffer offer) => (state, situation) => situation.Roster.StateOf(offer.ResponderId).Opening is Opening.Closed
        ? Sweeps.TakeFrom(offer.ResponderId, offer.OfferId)(state, situation)
        : Sweeps.TakeAcrossZone(offer.ResponderId, offer.OfferId)(state, situation);
}
