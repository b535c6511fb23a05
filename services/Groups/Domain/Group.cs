using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Deciding;

namespace Huzhu.Groups.Domain;

/// <summary>What can happen to a self-organised group.</summary>
public abstract record GroupEvent(DateTimeOffset At) : IListingEvents<GroupEvent>
{
    public static GroupEvent Registered(DirectoryEntry entry, string by, DateTimeOffset at) => new GroupRegistered(entry, by, at);
    public static GroupEvent Changed(DirectoryEntry entry, string by, DateTimeOffset at) => new GroupChanged(entry, by, at);
    public static GroupEvent Paused(string reason, string by, DateTimeOffset at) => new GroupPaused(reason, by, at);
    public static GroupEvent Resumed(string reason, string by, DateTimeOffset at) => new GroupResumed(reason, by, at);
    public static GroupEvent Withdrawn(string reason, string by, DateTimeOffset at) => new GroupWithdrawn(reason, by, at);
}

/// <summary>A group has joined the directory and takes needs from now on.</summary>
public sealed record GroupRegistered(DirectoryEntry Entry, string By, DateTimeOffset At) : GroupEvent(At);

/// <summary>The group's entry is another one from now on; the event holds all of it.</summary>
public sealed record GroupChanged(DirectoryEntry Entry, string By, DateTimeOffset At) : GroupEvent(At);

/// <summary>The group takes no new needs until it resumes.</summary>
public sealed record GroupPaused(string Reason, string By, DateTimeOffset At) : GroupEvent(At);

/// <summary>The group takes needs again.</summary>
public sealed record GroupResumed(string Reason, string By, DateTimeOffset At) : GroupEvent(At);

/// <summary>The group has left the directory for good.</summary>
public sealed record GroupWithdrawn(string Reason, string By, DateTimeOffset At) : GroupEvent(At);

/// <summary>A self-organised group. Measures do not close it: that groups go on is what the whole system rests on.</summary>
public sealed record Group(Listing Listing) : IResponder<Group, GroupEvent>
{
    public static Group Initial { get; } = new(Listing.Initial);
    public static ResponderKind KindOfStream => ResponderKind.Group;

    public ResponderKind Kind => KindOfStream;
    public Opening Opening => Listing.Standing switch
    {
        Standing.Active => Opening.Open,
        Standing.Paused => Opening.Paused,
        Standing.Unknown or Standing.Withdrawn => Opening.Withdrawn,
    };
    public string? ClosedBecause => null;
    public MeasureId? ClosedByMeasureId => null;
    public IReadOnlyList<Site> Sites => [.. (Listing.Entry?.Sites ?? []).Select(site => new Site(site.Place, site.SubDistrict))];

    public static Group Evolve(Group state, GroupEvent happened) => new(happened switch
    {
        GroupRegistered registered => new Listing(registered.Entry, Standing.Active),
        GroupChanged changed => state.Listing with { Entry = changed.Entry },
        GroupPaused => state.Listing with { Standing = Standing.Paused },
        GroupResumed => state.Listing with { Standing = Standing.Active },
        GroupWithdrawn => state.Listing with { Standing = Standing.Withdrawn },
        _ => throw new InvalidOperationException($"A group does not know the event {happened.GetType().Name}."),
    });

    public static Decision<GroupEvent> DecideRegistration(Group state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at) =>
        Listing.DecideRegistration<GroupEvent>(state.Listing, entry, by, at);

    public static Decision<GroupEvent> DecideChange(Group state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at) =>
        Listing.DecideChange<GroupEvent>(state.Listing, entry, by, at);
}
