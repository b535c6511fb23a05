using System.Collections.Immutable;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Deciding;

namespace Huzhu.Matching.Domain;

public abstract record ResponderEvent(DateTimeOffset At);

/// <summary>The directory told of a responder that Matching did not know.</summary>
public sealed record ResponderListed(Profile Profile, Opening Opening, long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The directory's entry has changed: what the responder can do, where, for whom, how many at once.</summary>
public sealed record ResponderUpdated(Profile Profile, long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The responder published that it shuts. From this version on nothing new goes to it, and what it holds is taken away.</summary>
public sealed record ResponderClosed(string? Reason, MeasureId? MeasureId, long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The responder takes new needs again, after a closure or a pause.</summary>
public sealed record ResponderReopened(long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The responder takes no new needs for a while; help that it has begun goes on.</summary>
public sealed record ResponderPaused(long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The responder left for good.</summary>
public sealed record ResponderWithdrawn(long DirectoryVersion, DateTimeOffset At) : ResponderEvent(At);

/// <summary>One place is taken by an offer, and stays taken until the offer ends.</summary>
public sealed record PlaceHeld(OfferId OfferId, NeedId NeedId, DateTimeOffset At) : ResponderEvent(At);

/// <summary>The place of an offer is free again; the reason is how the offer ended.</summary>
public sealed record PlaceReleased(OfferId OfferId, NeedId NeedId, string Reason, DateTimeOffset At) : ResponderEvent(At);

/// <summary>What a responder can do, as the directory says. See <see cref="ResponderChanged"/> for the meaning of each field.</summary>
public sealed record Profile(
    ResponderKind Kind,
    IReadOnlyList<Site> Sites,
    double? RadiusMetres,
    IReadOnlyList<string> SubDistricts,
    IReadOnlyList<string> ServiceKinds,
    IReadOnlyList<DeliveryMode> Modes,
    IReadOnlyList<CommunicationNeed> CommunicationAbilities,
    int Capacity,
    bool ZonePermit,
    bool? LeaderHasDisability,
    IReadOnlyList<string> ManagedBy)
{
    public static Profile Of(ResponderChanged entry) => new(
        entry.Kind, entry.Sites, entry.RadiusMetres, entry.SubDistricts, entry.ServiceKinds, entry.Modes,
        entry.CommunicationAbilities, Math.Max(0, entry.Capacity), entry.ZonePermit, entry.LeaderHasDisability, entry.ManagedBy);

    public bool Equals(Profile? other) =>
        other is not null && Kind == other.Kind && RadiusMetres == other.RadiusMetres && Capacity == other.Capacity
        && ZonePermit == other.ZonePermit && LeaderHasDisability == other.LeaderHasDisability
        && Sites.SequenceEqual(other.Sites) && SubDistricts.SequenceEqual(other.SubDistricts)
        && ServiceKinds.SequenceEqual(other.ServiceKinds) && Modes.SequenceEqual(other.Modes)
        && CommunicationAbilities.SequenceEqual(other.CommunicationAbilities) && ManagedBy.SequenceEqual(other.ManagedBy);

    public override int GetHashCode() => HashCode.Combine(Kind, RadiusMetres, Capacity, ZonePermit, Sites.Count, ServiceKinds.Count);
}

public readonly record struct HeldPlace(OfferId OfferId, NeedId NeedId, DateTimeOffset At);

/// <summary>The ledger of one responder's places. Held is never above capacity, at any version.</summary>
public sealed record ResponderState(
    Profile? Profile, Opening Opening, long DirectoryVersion, ImmutableDictionary<OfferId, HeldPlace> Held, long Version)
{
    public static ResponderState Initial { get; } = new(null, Opening.Closed, 0, ImmutableDictionary<OfferId, HeldPlace>.Empty, 0);

    public int Capacity => Profile?.Capacity ?? 0;
    public int Free => Math.Max(0, Capacity - Held.Count);

    public static ResponderState Evolve(ResponderState state, ResponderEvent change)
    {
        state = state with { Version = state.Version + 1 };
        return change switch
        {
            ResponderListed listed => state with { Profile = listed.Profile, Opening = listed.Opening, DirectoryVersion = listed.DirectoryVersion },
            ResponderUpdated updated => state with { Profile = updated.Profile, DirectoryVersion = updated.DirectoryVersion },
            ResponderClosed closed => state with { Opening = Opening.Closed, DirectoryVersion = closed.DirectoryVersion },
            ResponderReopened reopened => state with { Opening = Opening.Open, DirectoryVersion = reopened.DirectoryVersion },
            ResponderPaused paused => state with { Opening = Opening.Paused, DirectoryVersion = paused.DirectoryVersion },
            ResponderWithdrawn withdrawn => state with { Opening = Opening.Withdrawn, DirectoryVersion = withdrawn.DirectoryVersion },
            PlaceHeld held => state with { Held = state.Held.Add(held.OfferId, new HeldPlace(held.OfferId, held.NeedId, held.At)) },
            PlaceReleased released => state with { Held = state.Held.Remove(released.OfferId) },
            _ => throw new InvalidOperationException($"Unknown event {change.GetType().Name} in a responder's stream."),
        };
    }

    /// <summary>
    /// The newest entry of the directory wins. Whoever applies it below the places held must have released the excess
    /// before, in the same append: otherwise it is refused.
    /// </summary>
    public static Decision<ResponderEvent> DecideChange(ResponderState state, Profile profile, Opening opening, string? closedBecause,
        MeasureId? closedByMeasure, long directoryVersion, DateTimeOffset at)
    {
        if (directoryVersion <= state.DirectoryVersion)
            return Decision<ResponderEvent>.Nothing;
        if (state.Held.Count > profile.Capacity)
            return Refusal.Conflict("holds-more", $"{state.Held.Count} places are held and the capacity would be {profile.Capacity}.");
        if (state.Profile is null)
            return new ResponderListed(profile, opening, directoryVersion, at);

        var events = new List<ResponderEvent>(2);
        // The fence stands before anything else that the entry says.
        if (opening != state.Opening)
        {
            events.Add(opening switch
            {
                Opening.Open => new ResponderReopened(directoryVersion, at),
                Opening.Paused => new ResponderPaused(directoryVersion, at),
                Opening.Closed => new ResponderClosed(closedBecause, closedByMeasure, directoryVersion, at),
                Opening.Withdrawn => new ResponderWithdrawn(directoryVersion, at),
            });
        }
        // An unchanged entry is stored for its version alone, so that an older one that comes later is known to be older.
        if (events.Count == 0 || !profile.Equals(state.Profile))
            events.Add(new ResponderUpdated(profile, directoryVersion, at));
        return events;
    }

    public static Decision<ResponderEvent> DecideHold(ResponderState state, OfferId offerId, NeedId needId, DateTimeOffset at)
    {
        if (state.Held.ContainsKey(offerId))
            return Decision<ResponderEvent>.Nothing;
        if (state.Opening != Opening.Open)
            return Refusal.Conflict("not-open", "The responder takes no new needs.");
        if (state.Free == 0)
            return Refusal.Conflict("full", "The responder has no free place.");
        return new PlaceHeld(offerId, needId, at);
    }

    public static Decision<ResponderEvent> DecideRelease(ResponderState state, OfferId offerId, string reason, DateTimeOffset at) =>
        state.Held.TryGetValue(offerId, out var place)
            ? new PlaceReleased(offerId, place.NeedId, reason, at)
            : Decision<ResponderEvent>.Nothing;
}
