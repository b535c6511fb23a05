using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>
/// The responders as this process knows them: the state of every ledger, lists by service kind, and an index of their
/// sites. One writer, the decision loop, which alone uses the index; any number of other readers, each of which sees one
/// responder whole but not all of one moment.
/// </summary>
public sealed class Roster
{
    private readonly ConcurrentDictionary<ResponderId, Listing> _listings = new();
    private volatile ConcurrentDictionary<string, Listing[]> _byKind = new();
    private readonly SpatialIndex _index = new();
    private Listing?[] _byHandle = [];
    private Zones? _zones;
    private int _looks;

    public int Count => _listings.Count;
    public IEnumerable<Listing> All => _listings.Values;

    public bool TryGet(ResponderId id, [MaybeNullWhen(false)] out Listing listing) => _listings.TryGetValue(id, out listing);

    public ResponderState StateOf(ResponderId id) => _listings.TryGetValue(id, out var listing) ? listing.State : ResponderState.Initial;

    public void Set(ResponderId id, ResponderState state)
    {
        var known = _listings.TryGetValue(id, out var listing);
        if (state.Profile is null)
        {
            if (!known)
                return;
            _listings.TryRemove(id, out _);
            _byKind = new();
            Unplace(listing!);
            return;
        }
        if (!known)
        {
            _listings[id] = listing = new Listing(id, state);
            _byKind = new();
            Place(listing);
            return;
        }
        var before = listing!.Current;
        listing.Update(state);
        var after = listing.Current;
        if (!ReferenceEquals(before.Facts, after.Facts) && !before.Facts.Profile.ServiceKinds.SequenceEqual(after.Facts.Profile.ServiceKinds))
            _byKind = new();
        if (before.Facts.IsPlacedLike(after.Facts))
        {
            Mark(listing);
            return;
        }
        Unplace(listing);
        Place(listing);
    }

    /// <summary>Those that provide the service kind, in no order.</summary>
    public IReadOnlyList<Listing> ProvidersOf(string kind)
    {
        var lists = _byKind;
        // Built once for each kind between changes of the directory's entries, which are rare beside needs.
        return lists.GetOrAdd(kind, wanted => [.. _listings.Values.Where(listing => listing.Provides(wanted))]);
    }

    /// <summary>The index, for a search under these zones; what it gives is told apart by <see cref="At"/>.</summary>
    internal SpatialIndex IndexFor(Zones zones)
    {
        if (zones.Any && !ReferenceEquals(zones, _zones))
        {
            _zones = zones;
            foreach (var listing in _listings.Values)
                Mark(listing);
        }
        return _index;
    }

    internal Listing At(int handle) => _byHandle[handle]!;

    /// <summary>A number that no look before had, to mark the listings that it has come by.</summary>
    internal int NextLook() => ++_looks;

    private void Place(Listing listing)
    {
        var (state, facts) = listing.Current;
        // Who has no site is found everywhere: the rules say what follows from that.
        listing.Handles = new int[Math.Max(1, facts.Sites.Length)];
        for (var index = 0; index < listing.Handles.Length; index++)
        {
            var place = index < facts.Sites.Length ? facts.Sites[index].Site.Place : default;
            var handle = _index.Add(place, state.Profile!.RadiusMetres ?? double.PositiveInfinity, listing.TraitsAt(index, _zones), listing.Load, listing.Order);
            listing.Handles[index] = handle;
            if (handle >= _byHandle.Length)
                Array.Resize(ref _byHandle, Math.Max(64, handle * 2));
            _byHandle[handle] = listing;
        }
    }

    private void Unplace(Listing listing)
    {
        foreach (var handle in listing.Handles)
        {
            _index.Remove(handle);
            _byHandle[handle] = null;
        }
    }

    private void Mark(Listing listing)
    {
        for (var index = 0; index < listing.Handles.Length; index++)
            _index.Update(listing.Handles[index], listing.TraitsAt(index, _zones), listing.Load);
    }
}

/// <summary>One responder in the directory.</summary>
public sealed class Listing
{
    private volatile Snapshot _current;

    public Listing(ResponderId id, ResponderState state)
    {
        Id = id;
        Order = OrderOf(id);
        _current = new Snapshot(state, new Facts(state.Profile!));
    }

    public ResponderId Id { get; }
    public ResponderState State => _current.State;
    internal Snapshot Current => _current;

    // For the decision loop alone: its places in the index, and the last look that came by.
    internal int[] Handles { get; set; } = [];
    internal int SeenAt { get; set; }
    internal ulong Order { get; }
    internal double Load => LoadOf(State);

    /// <summary>The share of its places that are held.</summary>
    internal static double LoadOf(ResponderState state) => state.Capacity == 0 ? 1 : (double)state.Held.Count / state.Capacity;

    /// <summary>The beginning of an id, as a number that orders like it.</summary>
    internal static ulong OrderOf(ResponderId id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.Value.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    internal bool Provides(string kind)
    {
        foreach (var provided in State.Profile!.ServiceKinds)
        {
            if (ServiceKinds.Covers(provided, kind))
                return true;
        }
        return false;
    }

    internal ulong TraitsAt(int site, Zones? zones)
    {
        var (state, facts) = _current;
        var traits = state is { Opening: Opening.Open, Free: > 0 } ? facts.Traits | Traits.Available | Traits.AvailableAs(facts.Profile.Kind) : facts.Traits;
        if (site >= facts.Sites.Length)
            return traits;
        traits = Traits.At(traits, facts.Sites[site].Site);
        return zones is null ? traits : traits | Traits.At(facts.ZonesOf(zones)[site], facts.Profile.ZonePermit);
    }

    internal void Update(ResponderState state)
    {
        var before = _current;
        _current = new Snapshot(state, ReferenceEquals(before.State.Profile, state.Profile) ? before.Facts : new Facts(state.Profile!));
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
            Traits = Ranking.Traits.Of(profile);
            Sites = [.. profile.Sites.Where(site => site.Place.IsOnEarth).Select(site => new SiteFacts(site))];
        }

        public Profile Profile { get; }
        public uint Modes { get; }
        public uint Communication { get; }
        public ulong Traits { get; }
        public SiteFacts[] Sites { get; }

        /// <summary>Whether the index has both at the same places, with the same reach.</summary>
        public bool IsPlacedLike(Facts other) => ReferenceEquals(this, other) || Profile.RadiusMetres == other.Profile.RadiusMetres
            && Sites.Select(site => site.Site.Place).SequenceEqual(other.Sites.Select(site => site.Site.Place));

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
