using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>The responder to ask and why; neither when there is none.</summary>
public sealed record Choice(Listing? Best, Explanation? Explanation);

/// <summary>What the hard rules say of one responder for one need.</summary>
/// <param name="State">As it was looked at.</param>
/// <param name="Reason">The rule that excludes it, a code of <see cref="ExclusionReasons"/>; null when it could be asked.</param>
/// <param name="DistanceMetres">Great-circle distance to the site that would serve, or to the nearest one; null for online help.</param>
public sealed record Assessment(Listing Listing, ResponderState State, string? Reason, double? DistanceMetres);

/// <summary>
/// Who gets the need: the hard rules, then the order. Pure: the same need, directory, policy, zones and time give the
/// same answer, in production, in tests and to an auditor. The index proposes, in order; the rules decide about each.
/// </summary>
public static class Ranker
{
    /// <param name="plan">Prices that the order minds, where the need is one of many that were assigned together or others are thought to come.</param>
    public static Choice Rank(MatchState match, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now, Plan? plan = null)
    {
        var asked = new Asked(match, policy.Policy, zones, now, plan);
        var (best, runnerUp) = asked.FirstTwo(directory);
        if (best is not { } chosen)
            return new Choice(null, null);
        var passed = asked.Minds ? ExclusionReasons.KeptForOthers : asked.Costs ? ExclusionReasons.WeighedAgainst : null;
        var explanation = Explain(policy, zones, chosen, chosen.Before(runnerUp, asked.Passing), runnerUp, asked.LeftOutBefore(chosen, directory, passed));
        return new Choice(chosen.Listing, explanation with
        {
            PlanId = asked.Minds && plan!.Version == 0 ? plan.Id : null,
            Priced = asked.Minds && plan!.Version > 0 ? new Priced(plan.Version, plan.PriceOf(chosen.Listing.Id)) : null,
            Weighed = asked.Weigh(chosen.Listing),
        });
    }

    /// <summary>Why nobody can be asked: looks at everybody, so only for a need that <see cref="Rank"/> found nobody for.</summary>
    public static Nobody WhyNobody(MatchState match, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now)
    {
        var asked = new Asked(match, policy.Policy, zones, now);
        var providers = directory.ProvidersOf(match.Need!.Kind);
        var leftOut = CountByReason(providers.Select(listing => asked.LookAt(listing)));
        if (directory.Count > providers.Count)
            leftOut[ExclusionReasons.Kind] = directory.Count - providers.Count;
        return new Nobody(leftOut.Count == 0 ? ExclusionReasons.Kind : leftOut.Keys.MaxBy(reason => RankOfReason[reason])!, leftOut);
    }

    /// <summary>
    /// Everybody who provides the need's service kind, and what the rules say of each: first those who could be asked, in the
    /// order in which they would be, then those left out, in the order in which they are placed. Does not use the index.
    /// </summary>
    public static IReadOnlyList<Assessment> Assess(MatchState match, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now)
    {
        var asked = new Asked(match, policy.Policy, zones, now);
        var all = directory.ProvidersOf(match.Need!.Kind).Select(asked.LookAt).ToList();
        all.Sort((one, other) => (one.Reason is not null, other.Reason is not null) is (var left, var right) && left != right ? left.CompareTo(right) : one.CompareTo(other));
        return all.ConvertAll(candidate => new Assessment(candidate.Listing, candidate.State, candidate.Reason, candidate.DistanceMetres));
    }

    /// <summary>Why this responder may not be asked, or else the explanation of an offer that goes to it because a person says so.</summary>
    public static (string? Reason, Explanation? Explanation) ExplainAssigned(MatchState match, Listing listing, Roster directory, PolicyState policy, Zones zones,
        DateTimeOffset now, Assignment assignment)
    {
        if (!listing.Provides(match.Need!.Kind))
            return (ExclusionReasons.Kind, null);
        var asked = new Asked(match, policy.Policy, zones, now);
        var chosen = asked.LookAt(listing);
        if (ExclusionReasons.ForbidsAssignment(chosen.Reason))
            return (chosen.Reason, null);
        var (best, second) = asked.FirstTwo(directory);
        var next = best?.Listing == listing ? second : best;
        return (null, Explain(policy, zones, chosen, OrderReasons.ByOperator, next, asked.LeftOutBefore(chosen, directory, ExclusionReasons.PassedOver)) with { Assignment = assignment });
    }

    private static Explanation Explain(PolicyState policy, Zones zones, in Candidate chosen, string because, Candidate? next, List<Candidate> better)
    {
        better.Sort();
        var named = Math.Min(better.Count, policy.Policy.MaxCandidatesExplained);
        return new Explanation(
            policy.Version, zones.Version, better.Count + 1, chosen.DistanceMetres, chosen.State.Held.Count, chosen.State.Capacity,
            chosen.State.Version, because, next?.Listing.Id, next?.DistanceMetres,
            [.. better[..named].Select(candidate => new LeftOut(candidate.Listing.Id, candidate.State.Profile!.Kind, candidate.Reason!, candidate.DistanceMetres, candidate.State.Version))],
            CountByReason(better.Skip(named)));
    }

    private static SortedDictionary<string, int> CountByReason(IEnumerable<Candidate> candidates)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var candidate in candidates)
            counts[candidate.Reason!] = counts.GetValueOrDefault(candidate.Reason!) + 1;
        return counts;
    }

    /// <summary>
    /// Everybody who could be asked for the offline need, while it costs less than the limit, which may be lowered on the
    /// way; cheapest first where there are no prices.
    /// </summary>
    /// <param name="visit">Takes one, its distance and what it costs in metres, prices included, and returns the limit from then on.</param>
    internal static void VisitEligible(MatchState match, Roster directory, PolicyState policy, Zones zones, DateTimeOffset now, Plan? plan, double limit,
        Func<Listing, double, double, double> visit) => new Asked(match, policy.Policy, zones, now, plan).VisitEligible(directory, limit, visit);

    /// <summary>Whether this one responder could be asked for the need, as far as the need alone tells.</summary>
    public static bool CouldServe(MatchState match, Listing listing, PolicyState policy, Zones zones, DateTimeOffset now) =>
        listing.Provides(match.Need!.Kind) && new Asked(match, policy.Policy, zones, now).LookAt(listing).Reason is null;

    /// <summary>Whether offline help of this responder for this need crosses a sealed edge from each of its open sites.</summary>
    public static bool CrossesZone(Need need, Profile profile, Zones zones) =>
        need.Mode is DeliveryMode.Offline && !profile.ZonePermit && zones.Any && profile.Sites.Any(site => site.Open)
        && zones.SignatureOf(need.Place) is var zone && profile.Sites.All(site => !site.Open || zones.SignatureOf(site.Place) != zone);

    private static readonly Dictionary<string, int> RankOfReason =
        ExclusionReasons.InOrder.Select((reason, index) => (reason, index)).ToDictionary(pair => pair.reason, pair => pair.index);

    private sealed class Asked
    {
        private static readonly (int Tier, ulong Traits, ulong Available)[] Together = [(0, 0, Traits.Available)];
        private static readonly (int Tier, ulong Traits, ulong Available)[] ProvidersFirst =
        [
            (0, Traits.Of(ResponderKind.Provider), Traits.AvailableAs(ResponderKind.Provider)), (1, Traits.Of(ResponderKind.Group), Traits.AvailableAs(ResponderKind.Group)),
        ];
        private static readonly SpatialIndex.Key Unlimited = SpatialIndex.Key.Last;

        private readonly MatchState _match;
        private readonly Need _need;
        private readonly Policy _policy;
        private readonly Zones _zones;
        private readonly DateTimeOffset _now;
        private readonly uint _communication;
        private readonly int _zone;
        private readonly bool _kindIsExact;
        private readonly double _latitude, _longitude, _cosine;
        private readonly Plan? _plan;
        private readonly Weights? _weights;

        public Asked(MatchState match, Policy policy, Zones zones, DateTimeOffset now, Plan? plan = null)
        {
            (_match, _need, _policy, _zones, _now) = (match, match.Need!, policy, zones, now);
            // Online help knows no distance that a price could be weighed against.
            _plan = _need.Mode is DeliveryMode.Offline ? plan : null;
            _weights = _need.Mode is DeliveryMode.Offline && policy.Weights is { WeighNothing: false } weights ? weights : null;
            _communication = _need.Communication.Aggregate(0u, (mask, need) => mask | 1u << (int)need);
            _kindIsExact = Traits.IsExact(_need.Kind);
            _zone = zones.SignatureOf(_need.Place);
            _latitude = Sphere.Radians(_need.Place.Latitude);
            _longitude = Sphere.Radians(_need.Place.Longitude);
            _cosine = Math.Cos(_latitude);
        }

        /// <summary>The order minds a plan's prices.</summary>
        public bool Minds => _plan is not null;

        /// <summary>What has put one before others that were better placed.</summary>
        public string Passing => _plan is null ? OrderReasons.LeastWeighed : _plan.Version > 0 ? OrderReasons.LeastPriced : OrderReasons.LeastTogether;

        /// <summary>The order is by cost, and not by distance alone.</summary>
        public bool Costs => _plan is not null || _weights is not null;

        /// <summary>What the policy's weights add to the responder's distance; null when they weigh nothing.</summary>
        public Weighed? Weigh(Listing listing)
        {
            if (_weights is not { } weights)
                return null;
            var (state, facts) = listing.Current;
            var inSubDistrict = false;
            foreach (var site in facts.Sites)
                inSubDistrict |= site.Site.Open && _need.SubDistrict is not null && site.Site.SubDistrict == _need.SubDistrict;
            var turn = 0;
            if (weights.TurnMetres > 0)
            {
                var since = _now - TimeSpan.FromSeconds(weights.TurnSeconds);
                foreach (var (_, place) in state.Held)
                    turn += place.At > since ? 1 : 0;
            }
            return new Weighed(
                inSubDistrict ? 0 : weights.OtherSubDistrictMetres,
                facts.Profile.LeaderHasDisability is true ? 0 : weights.NoPeerMetres,
                weights.FullLoadMetres * Listing.LoadOf(state),
                turn >= weights.OffersInATurn ? weights.TurnMetres : 0,
                weights.NotHelpedBeforeMetres == 0 || _need.HelpedBefore is not { Count: > 0 } helpers ? null : helpers.Contains(listing.Id) ? 0 : weights.NotHelpedBeforeMetres);
        }

        /// <summary>The best of those that can be asked, and the next best.</summary>
        public (Candidate? Best, Candidate? Second) FirstTwo(Roster directory)
        {
            Candidate? best = null, second = null;
            if (OwnOf(directory) is { } own)
                Consider(LookAt(own));
            var wanted = Traits.WantedBy(_need, _zones);
            foreach (var (tier, _, available) in Tiers)
            {
                if (_need is { Mode: DeliveryMode.Online, SubDistrict: { } subDistrict } && second is null)
                    Search(tier, wanted | available | Traits.IsIn(subDistrict), sameSubDistrict: true);
                // A price can make one of the next tier the better choice.
                if (second is null || Costs)
                    Search(tier, wanted | available, sameSubDistrict: false);
            }
            foreach (var id in _plan?.AssignedTo(_need.NeedId) ?? [])
            {
                if (best is { } cheapest && id != cheapest.Listing.Id && directory.TryGet(id, out var listing) && listing.Provides(_need.Kind)
                    && LookAt(listing) is { Reason: null } assigned && _plan!.Prefers(_need.NeedId, id, assigned.Cost, cheapest.Cost))
                    return (assigned, cheapest);
            }
            return (best, second);

            void Search(int tier, ulong traits, bool sameSubDistrict)
            {
                var index = Begin(directory, traits, hardRules: true);
                var limit = second is { } found ? LimitBy(found, tier) : Unlimited;
                while (index.Next(out var handle, out var by) && by.CompareTo(limit) <= 0)
                {
                    var listing = directory.At(handle);
                    if (!Provides(listing))
                        continue;
                    var candidate = LookAt(listing);
                    // A sub-district shares its bit with others.
                    if (candidate.Reason is not null || sameSubDistrict && candidate.SubDistrict != 0)
                        continue;
                    Consider(candidate);
                    if (second is { } last)
                        limit = LimitBy(last, tier);
                }
            }

            void Consider(in Candidate candidate)
            {
                if (candidate.Reason is not null || candidate.Listing == best?.Listing || candidate.Listing == second?.Listing)
                    return;
                if (best is not { } first || candidate.IsBetterThan(first))
                    (best, second) = (candidate, best);
                else if (second is not { } next || candidate.IsBetterThan(next))
                    second = candidate;
            }
        }

        /// <summary>See <see cref="Ranker.VisitEligible"/>.</summary>
        public void VisitEligible(Roster directory, double limit, Func<Listing, double, double, double> visit)
        {
            var look = directory.NextLook();
            if (OwnOf(directory) is { } own)
                Visit(own);
            var wanted = Traits.WantedBy(_need, _zones);
            foreach (var (tier, _, available) in Tiers)
            {
                var index = Begin(directory, wanted | available, hardRules: true);
                while (index.Next(out var handle, out var by) && by.First <= Sphere.SquaredChord(Math.Max(0, limit - Plan.CostOf(1, tier, 0))))
                {
                    if (Provides(directory.At(handle)))
                        Visit(directory.At(handle));
                }
            }

            void Visit(Listing listing)
            {
                if (listing.SeenAt == look)
                    return;
                listing.SeenAt = look;
                if (LookAt(listing) is { Reason: null } candidate && candidate.Cost < limit)
                    limit = visit(listing, candidate.DistanceMetres!.Value, candidate.Cost);
            }
        }

        /// <summary>
        /// Everybody who provides the service kind, comes before the chosen one in the order without prices, and is not
        /// chosen: most are left out, some could have been asked.
        /// </summary>
        /// <param name="passed">Why somebody was not chosen who could have been asked; null where whoever can and comes first is.</param>
        public List<Candidate> LeftOutBefore(in Candidate chosen, Roster directory, string? passed)
        {
            var better = new List<Candidate>();
            if (chosen.Own == 0)
                return better;
            var (last, look) = (chosen, directory.NextLook());
            if (OwnOf(directory) is { } own)
                Consider(own);
            foreach (var (tier, traits, _) in Tiers)
            {
                if (tier > chosen.Tier)
                    break;
                var before = tier < chosen.Tier;
                if (_need is { Mode: DeliveryMode.Online, SubDistrict: { } subDistrict })
                    Search(traits | Traits.IsIn(subDistrict), before || chosen.SubDistrict > 0 ? Unlimited : KeyOf(chosen));
                if (before || _need.Mode is DeliveryMode.Offline || chosen.SubDistrict > 0)
                    Search(traits, before ? Unlimited : KeyOf(chosen));
            }
            return better;

            void Search(ulong traits, SpatialIndex.Key limit)
            {
                var index = Begin(directory, traits | Traits.Of(_need.Kind), hardRules: false);
                while (index.Next(out var handle, out var by) && by.CompareTo(limit) <= 0)
                {
                    var listing = directory.At(handle);
                    if (Provides(listing))
                        Consider(listing);
                }
            }

            void Consider(Listing listing)
            {
                if (listing.SeenAt == look)
                    return;
                listing.SeenAt = look;
                var candidate = LookAt(listing);
                if ((candidate.Reason ?? passed) is { } reason && candidate.CompareTo(last) < 0)
                    better.Add(candidate with { Reason = reason });
            }
        }

        private (int Tier, ulong Traits, ulong Available)[] Tiers => _policy.ProviderBeforeGroup ? ProvidersFirst : Together;

        private Listing? OwnOf(Roster directory) =>
            _need.OwnGroupId is { } id && directory.TryGet(id, out var listing) && listing.Provides(_need.Kind) ? listing : null;

        private bool Provides(Listing listing) => _kindIsExact || listing.Provides(_need.Kind);

        private SpatialIndex Begin(Roster directory, ulong traits, bool hardRules)
        {
            var index = directory.IndexFor(_zones);
            if (_need.Mode is DeliveryMode.Offline)
                index.SearchNear(_need.Place, traits, withinReach: hardRules);
            else
                index.SearchLight(traits);
            return index;
        }

        /// <summary>Beyond which the index gives nobody that comes before this one, within one tier and sub-district.</summary>
        private SpatialIndex.Key KeyOf(in Candidate candidate) => _need.Mode is DeliveryMode.Offline
            ? new SpatialIndex.Key(Sphere.SquaredChord(candidate.DistanceMetres ?? double.PositiveInfinity), ulong.MaxValue)
            : new SpatialIndex.Key(candidate.Load, candidate.Listing.Order);

        /// <summary>Beyond which the index gives nobody of this tier that is better than this one.</summary>
        private SpatialIndex.Key LimitBy(in Candidate found, int tier) => !Costs
            ? KeyOf(found)
            : new SpatialIndex.Key(Sphere.SquaredChord(Math.Max(0, found.Cost - Plan.CostOf(1, tier, 0))), ulong.MaxValue);

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
            var own = _need.OwnGroupId == listing.Id ? 0 : 1;
            var tier = _policy.ProviderBeforeGroup && profile.Kind is ResponderKind.Group ? 1 : 0;
            return new Candidate(
                listing, state, reason, own, tier,
                DistanceMetres: place.Metres,
                SubDistrict: _need.Mode is DeliveryMode.Online && !place.SameSubDistrict ? 1 : 0,
                Load: _need.Mode is DeliveryMode.Offline ? 0 : Listing.LoadOf(state),
                Cost: !Costs ? 0 : Plan.CostOf(own, tier, place.Metres ?? double.PositiveInfinity) + (_plan?.PriceOf(listing.Id) ?? 0) + (Weigh(listing)?.Metres ?? 0));
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

    /// <param name="Cost">In metres, where there are prices or weights; 0 without.</param>
    private readonly record struct Candidate(
        Listing Listing, ResponderState State, string? Reason, int Own, int Tier, double? DistanceMetres, int SubDistrict, double Load, double Cost)
        : IComparable<Candidate>
    {
        public bool IsBetterThan(in Candidate other) => Cost != other.Cost ? Cost < other.Cost : CompareTo(other) < 0;

        /// <summary>The order, prices left aside.</summary>
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
        /// <param name="passing">What it is where the next one is better placed.</param>
        public string Before(Candidate? next, string passing) => next switch
        {
            null => OrderReasons.OnlyOne,
            { } other when CompareTo(other) > 0 => passing,
            { } other when Own != other.Own => OrderReasons.OwnGroup,
            { } other when Tier != other.Tier => OrderReasons.ProviderFirst,
            { } other when DistanceMetres != other.DistanceMetres => OrderReasons.Nearest,
            { } other when SubDistrict != other.SubDistrict => OrderReasons.SameSubDistrict,
            { } other when Load != other.Load => OrderReasons.LeastLoaded,
            _ => OrderReasons.LowestId,
        };
    }
}
