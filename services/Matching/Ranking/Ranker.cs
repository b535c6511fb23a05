using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>The responder to ask, or why there is none.</summary>
/// <param name="Waits">When nobody can be asked: the rule that stopped whoever came closest.</param>
/// <param name="LeftOut">How many responders each rule excluded.</param>
public sealed record Choice(Listing? Best, Explanation? Explanation, string? Waits, IReadOnlyDictionary<string, int> LeftOut);

/// <summary>
/// Who gets the need: the hard rules, then the order. Pure: the same need, directory, policy, zones and time give the
/// same answer, in production, in tests and to an auditor.
/// </summary>
public static class Ranker
{
    public static Choice Rank(MatchState match, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now)
    {
        var asked = new Asked(match, policy.Policy, zones, now);
        var providers = directory.ProvidersOf(match.Need!.Kind);
        var looked = new Candidate[providers.Count];
        int best = -1, second = -1;
        for (var index = 0; index < looked.Length; index++)
        {
            looked[index] = asked.LookAt(providers[index]);
            if (looked[index].Reason is not null)
                continue;
            if (best < 0 || looked[index].CompareTo(looked[best]) < 0)
                (best, second) = (index, best);
            else if (second < 0 || looked[index].CompareTo(looked[second]) < 0)
                second = index;
        }

        var leftOut = new SortedDictionary<string, int>(StringComparer.Ordinal);
        if (directory.Count > providers.Count)
            leftOut[ExclusionReasons.Kind] = directory.Count - providers.Count;
        if (best < 0)
        {
            var furthest = 0;
            foreach (var candidate in looked)
            {
                Count(candidate.Reason!);
                furthest = Math.Max(furthest, RankOfReason[candidate.Reason!]);
            }
            return new Choice(null, null, ExclusionReasons.InOrder[furthest], leftOut);
        }

        var chosen = looked[best];
        var better = new List<Candidate>();
        foreach (var candidate in looked)
        {
            if (candidate.Reason is null)
                continue;
            if (candidate.CompareTo(chosen) < 0)
                better.Add(candidate);
            else
                Count(candidate.Reason);
        }
        better.Sort();
        var named = Math.Min(better.Count, policy.Policy.MaxCandidatesExplained);
        foreach (var candidate in better[named..])
            Count(candidate.Reason!);
        var runnerUp = second < 0 ? (Candidate?)null : looked[second];
        var explanation = new Explanation(
            policy.Version, zones.Version, better.Count + 1, chosen.DistanceMetres, chosen.State.Held.Count, chosen.State.Capacity,
            chosen.State.Version, chosen.Before(runnerUp), runnerUp?.Listing.Id, runnerUp?.DistanceMetres,
            [.. better[..named].Select(candidate => new LeftOut(candidate.Listing.Id, candidate.State.Profile!.Kind, candidate.Reason!, candidate.DistanceMetres, candidate.State.Version))],
            leftOut);
        return new Choice(chosen.Listing, explanation, null, leftOut);

        void Count(string reason) => leftOut[reason] = leftOut.GetValueOrDefault(reason) + 1;
    }

    /// <summary>Whether this one responder could be asked for the need, as far as the need alone tells.</summary>
    public static bool CouldServe(MatchState match, Listing listing, PolicyState policy, Zones zones, DateTimeOffset now) =>
        listing.State.Profile!.ServiceKinds.Any(kind => ServiceKinds.Covers(kind, match.Need!.Kind))
        && new Asked(match, policy.Policy, zones, now).LookAt(listing).Reason is null;

    /// <summary>Whether offline help of this responder for this need crosses a sealed edge from each of its open sites.</summary>
    public static bool CrossesZone(Need need, Profile profile, Zones zones) =>
        need.Mode is DeliveryMode.Offline && !profile.ZonePermit && zones.Any && profile.Sites.Any(site => site.Open)
        && zones.SignatureOf(need.Place) is var zone && profile.Sites.All(site => !site.Open || zones.SignatureOf(site.Place) != zone);

    private static readonly Dictionary<string, int> RankOfReason =
        ExclusionReasons.InOrder.Select((reason, index) => (reason, index)).ToDictionary(pair => pair.reason, pair => pair.index);

    private readonly struct Asked
    {
        private readonly MatchState _match;
        private readonly Need _need;
        private readonly Policy _policy;
        private readonly Zones _zones;
        private readonly DateTimeOffset _now;
        private readonly uint _communication;
        private readonly int _zone;
        private readonly double _latitude, _longitude, _cosine;

        public Asked(MatchState match, Policy policy, Zones zones, DateTimeOffset now)
        {
            (_match, _need, _policy, _zones, _now) = (match, match.Need!, policy, zones, now);
            _communication = _need.Communication.Aggregate(0u, (mask, need) => mask | 1u << (int)need);
            _zone = zones.SignatureOf(_need.Place);
            _latitude = Sphere.Radians(_need.Place.Latitude);
            _longitude = Sphere.Radians(_need.Place.Longitude);
            _cosine = Math.Cos(_latitude);
        }

        public Candidate LookAt(Listing listing)
        {
            var (state, facts) = listing.Current;
            var profile = facts.Profile;
            var place = PlaceOf(facts);
            var reason =
                (facts.Modes & 1u << (int)_need.Mode) == 0 ? ExclusionReasons.Mode
                : (facts.Communication & _communication) != _communication ? ExclusionReasons.Communication
                : place.Reason ?? (state.Opening switch
                {
                    Opening.Open => null,
                    Opening.Closed => ExclusionReasons.Closed,
                    Opening.Paused => ExclusionReasons.Paused,
                    Opening.Withdrawn => ExclusionReasons.Withdrawn,
                })
                ?? _match.WhyNot(listing.Id, _policy, _now)
                ?? (state.Free == 0 ? ExclusionReasons.Full : null);
            return new Candidate(
                listing, state, reason,
                Own: _need.OwnGroupId == listing.Id ? 0 : 1,
                Tier: _policy.ProviderBeforeGroup && profile.Kind is ResponderKind.Group ? 1 : 0,
                DistanceMetres: place.Metres,
                SubDistrict: _need.Mode is DeliveryMode.Online && !place.SameSubDistrict ? 1 : 0,
                Load: _need.Mode is DeliveryMode.Offline ? 0 : state.Capacity == 0 ? 1 : (double)state.Held.Count / state.Capacity);
        }

        /// <summary>
        /// Offline help comes from the nearest open site that reaches the place and need not cross a sealed edge; the
        /// distance of one that is left out is that of its nearest site, so that it has its place in the order.
        /// </summary>
        private (string? Reason, double? Metres, bool SameSubDistrict) PlaceOf(Listing.Facts facts)
        {
            var profile = facts.Profile;
            var subDistrict = _need.SubDistrict;
            var served = profile.SubDistricts.Count == 0 || subDistrict is not null && profile.SubDistricts.Contains(subDistrict);
            if (_need.Mode is DeliveryMode.Online)
            {
                var same = false;
                foreach (var site in facts.Sites)
                    same |= site.Site.Open && subDistrict is not null && site.Site.SubDistrict == subDistrict;
                // A place whose sub-district nobody knows can still be known to lie within the radius.
                if (!served && subDistrict is null && profile.RadiusMetres is { } radius)
                {
                    foreach (var site in facts.Sites)
                        served |= site.Site.Open && DistanceTo(site) <= radius;
                }
                return (served ? null : ExclusionReasons.OutOfArea, null, same);
            }

            var zones = _zones.Any && !profile.ZonePermit ? facts.ZonesOf(_zones) : null;
            double nearest = double.PositiveInfinity, usable = double.PositiveInfinity;
            bool anyOpen = false, anyReached = false;
            for (var index = 0; index < facts.Sites.Length; index++)
            {
                ref readonly var site = ref facts.Sites[index];
                var metres = DistanceTo(site);
                nearest = Math.Min(nearest, metres);
                if (!site.Site.Open)
                    continue;
                anyOpen = true;
                if (profile.RadiusMetres is { } radius ? metres > radius || !served && subDistrict is not null : !served)
                    continue;
                anyReached = true;
                if (zones is null || zones[index] == _zone)
                    usable = Math.Min(usable, metres);
            }
            double? shown = double.IsFinite(usable) ? usable : double.IsFinite(nearest) ? nearest : null;
            var reason = double.IsFinite(usable) ? null
                : !anyOpen && facts.Sites.Length > 0 ? ExclusionReasons.Closed
                : !anyReached ? ExclusionReasons.OutOfArea
                : ExclusionReasons.ZoneSealed;
            return (reason, shown, false);
        }

        private double DistanceTo(in Listing.SiteFacts site) =>
            Sphere.DistanceMetres(_latitude, _longitude, _cosine, site.Latitude, site.Longitude, site.Cosine);
    }

    private readonly record struct Candidate(
        Listing Listing, ResponderState State, string? Reason, int Own, int Tier, double? DistanceMetres, int SubDistrict, double Load)
        : IComparable<Candidate>
    {
        public int CompareTo(Candidate other)
        {
            var order = Own.CompareTo(other.Own);
            if (order == 0)
                order = Tier.CompareTo(other.Tier);
            if (order == 0)
                order = (DistanceMetres ?? double.PositiveInfinity).CompareTo(other.DistanceMetres ?? double.PositiveInfinity);
            if (order == 0)
                order = SubDistrict.CompareTo(other.SubDistrict);
            if (order == 0)
                order = Load.CompareTo(other.Load);
            return order != 0 ? order : Listing.Id.Value.CompareTo(other.Listing.Id.Value);
        }

        /// <summary>The first thing in the order that tells the two apart.</summary>
        public string Before(Candidate? next) => next switch
        {
            null => OrderReasons.OnlyOne,
            { } other when Own != other.Own => OrderReasons.OwnGroup,
            { } other when Tier != other.Tier => OrderReasons.ProviderFirst,
            { } other when DistanceMetres != other.DistanceMetres => OrderReasons.Nearest,
            { } other when SubDistrict != other.SubDistrict => OrderReasons.SameSubDistrict,
            { } other when Load != other.Load => OrderReasons.LeastLoaded,
            _ => OrderReasons.LowestId,
        };
    }
}
