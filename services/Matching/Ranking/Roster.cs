using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>
/// The responders as this process knows them: the state of every ledger, and lists by service kind. One writer, the
/// decision loop; any number of readers, each of which sees one responder whole but not all of one moment.
/// </summary>
public sealed class Roster
{
    private readonly ConcurrentDictionary<ResponderId, Listing> _listings = new();
    private volatile ConcurrentDictionary<string, Listing[]> _byKind = new();

    public int Count => _listings.Count;
    public IEnumerable<Listing> All => _listings.Values;

    public bool TryGet(ResponderId id, [MaybeNullWhen(false)] out Listing listing) => _listings.TryGetValue(id, out listing);

    public ResponderState StateOf(ResponderId id) => _listings.TryGetValue(id, out var listing) ? listing.State : ResponderState.Initial;

    public void Set(ResponderId id, ResponderState state)
    {
        if (state.Profile is null)
        {
            if (_listings.TryRemove(id, out _))
                _byKind = new();
            return;
        }
        if (_listings.TryGetValue(id, out var listing))
        {
            var kindsChanged = listing.Update(state);
            if (kindsChanged)
                _byKind = new();
            return;
        }
        _listings[id] = new Listing(id, state);
        _byKind = new();
    }

    /// <summary>Those that provide the service kind, in no order.</summary>
    public IReadOnlyList<Listing> ProvidersOf(string kind)
    {
        var lists = _byKind;
        // Built once for each kind between changes of the directory's entries, which are rare beside needs.
        return lists.GetOrAdd(kind, wanted => [.. _listings.Values.Where(listing => listing.State.Profile!.ServiceKinds.Any(provided => ServiceKinds.Covers(provided, wanted)))]);
    }
}

/// <summary>One responder in the directory.</summary>
public sealed class Listing
{
    private volatile Snapshot _current;

    public Listing(ResponderId id, ResponderState state)
    {
        Id = id;
        _current = new Snapshot(state, new Facts(state.Profile!));
    }

    public ResponderId Id { get; }
    public ResponderState State => _current.State;
    internal Snapshot Current => _current;

    /// <summary>Whether the service kinds have changed.</summary>
    internal bool Update(ResponderState state)
    {
        var before = _current;
        var sameProfile = ReferenceEquals(before.State.Profile, state.Profile);
        _current = new Snapshot(state, sameProfile ? before.Facts : new Facts(state.Profile!));
        return !sameProfile && !before.State.Profile!.ServiceKinds.SequenceEqual(state.Profile!.ServiceKinds);
    }

    internal sealed record Snapshot(ResponderState State, Facts Facts);

    /// <summary>What follows from a profile alone, worked out once.</summary>
    internal sealed class Facts
    {
        private volatile ZoneMarks? _marks;

        public Facts(Profile profile)
        {
            Profile = profile;
            Modes = profile.Modes.Aggregate(0u, (mask, mode) => mask | 1u << (int)mode);
            Communication = profile.CommunicationAbilities.Aggregate(0u, (mask, ability) => mask | 1u << (int)ability);
            Sites = [.. profile.Sites.Where(site => site.Place.IsOnEarth).Select(site => new SiteFacts(site))];
        }

        public Profile Profile { get; }
        public uint Modes { get; }
        public uint Communication { get; }
        public SiteFacts[] Sites { get; }

        public int[] ZonesOf(Zones zones)
        {
            var marks = _marks;
            if (marks is null || !ReferenceEquals(marks.Zones, zones))
                _marks = marks = new ZoneMarks(zones, [.. Sites.Select(site => zones.SignatureOf(site.Site.Place))]);
            return marks.Signatures;
        }

        private sealed record ZoneMarks(Zones Zones, int[] Signatures);
    }

    internal readonly struct SiteFacts(Contracts.Groups.V1.Site site)
    {
        public Contracts.Groups.V1.Site Site { get; } = site;
        public double Latitude { get; } = Sphere.Radians(site.Place.Latitude);
        public double Longitude { get; } = Sphere.Radians(site.Place.Longitude);
        public double Cosine { get; } = Math.Cos(Sphere.Radians(site.Place.Latitude));
    }
}
