using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Deciding;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Domain;

/// <summary>A place that a responder works from, as registered. Whether it is shut now is not part of the entry.</summary>
public sealed record Location(GeoPoint Place, string SubDistrict);

/// <summary>
/// What the directory knows of one group or provider. <paramref name="Contact"/> is ciphertext: channels, their secrets
/// and the coordinator's name, under the responder's own key.
/// </summary>
public sealed record DirectoryEntry(
    string Name,
    IReadOnlyList<Location> Sites,
    double? RadiusMetres,
    IReadOnlyList<string> SubDistricts,
    IReadOnlyList<string> ServiceKinds,
    IReadOnlyList<DeliveryMode> Modes,
    IReadOnlyList<CommunicationNeed> CommunicationAbilities,
    int Capacity,
    bool ZonePermit,
    bool? LeaderHasDisability,
    IReadOnlyList<string> ManagedBy,
    Protected? Contact,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ImportedRecord? Imported = null)
{
    /// <summary>Equal in content. The lists are compared item by item: that is what tells a repeat from a change.</summary>
    public bool Equals(DirectoryEntry? other) => other is not null
        && Name == other.Name && RadiusMetres.Equals(other.RadiusMetres) && Capacity == other.Capacity && ZonePermit == other.ZonePermit
        && LeaderHasDisability == other.LeaderHasDisability && Contact == other.Contact && Imported == other.Imported
        && Sites.SequenceEqual(other.Sites) && SubDistricts.SequenceEqual(other.SubDistricts)
        && ServiceKinds.SequenceEqual(other.ServiceKinds) && Modes.SequenceEqual(other.Modes)
        && CommunicationAbilities.SequenceEqual(other.CommunicationAbilities) && ManagedBy.SequenceEqual(other.ManagedBy);

    public override int GetHashCode() => HashCode.Combine(Name, Capacity, Sites.Count);
}

/// <summary>What another directory says of a service beyond what matching needs, as it was imported: it is shown again, and nothing is decided by it.</summary>
/// <param name="OrganizationId">Whose service it is there; several may be one organisation's.</param>
/// <param name="Status">Whether it is open, in that directory's word.</param>
/// <param name="Record">The service in JSON, keys in order, contact data taken out.</param>
public sealed record ImportedRecord(Guid OrganizationId, string Status, string Record);

/// <summary>Where an entry stands in the directory. Closures are not part of it.</summary>
public enum Standing { Unknown, Active, Paused, Withdrawn }

/// <summary>
/// What a stream of the directory is made of: how its state begins and how an event changes it.
/// </summary>
public interface IStreamState<TSelf, TEvent> where TSelf : IStreamState<TSelf, TEvent> where TEvent : notnull
{
    static abstract TSelf Initial { get; }
    static abstract TSelf Evolve(TSelf state, TEvent happened);
}

/// <summary>The events that groups and providers have in common, each kind under its own names.</summary>
public interface IListingEvents<TEvent> where TEvent : IListingEvents<TEvent>
{
    static abstract TEvent Registered(DirectoryEntry entry, string by, DateTimeOffset at);
    static abstract TEvent Changed(DirectoryEntry entry, string by, DateTimeOffset at);
    static abstract TEvent Paused(string reason, string by, DateTimeOffset at);
    static abstract TEvent Resumed(string reason, string by, DateTimeOffset at);
    static abstract TEvent Withdrawn(string reason, string by, DateTimeOffset at);
}

/// <summary>A group or a provider as everybody else sees it: the entry, and whether it takes needs.</summary>
public interface IResponder
{
    ResponderKind Kind { get; }
    Listing Listing { get; }
    Opening Opening { get; }
    string? ClosedBecause { get; }
    MeasureId? ClosedByMeasureId { get; }
    IReadOnlyList<Site> Sites { get; }
}

/// <summary>A responder's stream. Registration and change are told which measures are in force; a group does not mind them.</summary>
public interface IResponder<TSelf, TEvent> : IResponder, IStreamState<TSelf, TEvent>
    where TSelf : IResponder<TSelf, TEvent> where TEvent : IListingEvents<TEvent>
{
    static abstract ResponderKind KindOfStream { get; }
    static abstract Decision<TEvent> DecideRegistration(TSelf state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at);
    static abstract Decision<TEvent> DecideChange(TSelf state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at);
}

/// <summary>What groups and providers have in common: an entry that is registered, changed, paused, resumed and withdrawn.</summary>
public sealed record Listing(DirectoryEntry? Entry, Standing Standing)
{
    public static readonly Listing Initial = new(null, Standing.Unknown);

    public static readonly Refusal Unknown = Refusal.NotFound("not-found", "There is no such entry in the directory.");
    public static readonly Refusal Gone = Refusal.Conflict("withdrawn", "The entry was withdrawn, which is final.");
    public static readonly Refusal IdTaken = Refusal.Conflict("id-taken", "Something else is registered under this id.");

    public bool IsListed => Standing is Standing.Active or Standing.Paused;

    public static Decision<TEvent> DecideRegistration<TEvent>(Listing state, DirectoryEntry entry, string by, DateTimeOffset at)
        where TEvent : IListingEvents<TEvent> => state.Standing switch
        {
            Standing.Unknown => TEvent.Registered(entry, by, at),
            Standing.Active or Standing.Paused => entry.Equals(state.Entry) ? Decision<TEvent>.Nothing : IdTaken,
            Standing.Withdrawn => entry.Equals(state.Entry) ? Gone : IdTaken,
        };

    public static Decision<TEvent> DecideChange<TEvent>(Listing state, DirectoryEntry entry, string by, DateTimeOffset at)
        where TEvent : IListingEvents<TEvent> => state.Standing switch
        {
            Standing.Unknown => Unknown,
            Standing.Active or Standing.Paused => entry.Equals(state.Entry) ? Decision<TEvent>.Nothing : TEvent.Changed(entry, by, at),
            Standing.Withdrawn => Gone,
        };

    public static Decision<TEvent> DecidePause<TEvent>(Listing state, string reason, string by, DateTimeOffset at)
        where TEvent : IListingEvents<TEvent> => state.Standing switch
        {
            Standing.Unknown => Unknown,
            Standing.Active => TEvent.Paused(reason, by, at),
            Standing.Paused => Decision<TEvent>.Nothing,
            Standing.Withdrawn => Gone,
        };

    public static Decision<TEvent> DecideResumption<TEvent>(Listing state, string reason, string by, DateTimeOffset at)
        where TEvent : IListingEvents<TEvent> => state.Standing switch
        {
            Standing.Unknown => Unknown,
            Standing.Active => Decision<TEvent>.Nothing,
            Standing.Paused => TEvent.Resumed(reason, by, at),
            Standing.Withdrawn => Gone,
        };

    public static Decision<TEvent> DecideWithdrawal<TEvent>(Listing state, string reason, string by, DateTimeOffset at)
        where TEvent : IListingEvents<TEvent> => state.Standing switch
        {
            Standing.Unknown => Unknown,
            Standing.Active or Standing.Paused => TEvent.Withdrawn(reason, by, at),
            Standing.Withdrawn => Decision<TEvent>.Nothing,
        };
}
