using System.Collections.Immutable;
using Huzhu.Contracts;
using Huzhu.Deciding;

namespace Huzhu.Matching.Domain;

public abstract record MeasuresEvent(MeasureId MeasureId, DateTimeOffset At);

/// <summary>A measure sealed a zone: offline help does not cross its edge without a permit.</summary>
public sealed record ZoneSealed(MeasureId MeasureId, string Name, IReadOnlyList<GeoPoint> Area, DateTimeOffset From, DateTimeOffset At)
    : MeasuresEvent(MeasureId, At);

/// <summary>The measure has ended and its zone, if it had one, is open again. It may be heard before the measure itself.</summary>
public sealed record ZoneLifted(MeasureId MeasureId, string Reason, DateTimeOffset At) : MeasuresEvent(MeasureId, At);

/// <summary>The zones that Matching knows to be sealed. The stream's version is the zones version in every explanation.</summary>
public sealed record MeasuresState(ImmutableSortedDictionary<Guid, ZoneSealed> Zones, ImmutableHashSet<MeasureId> Lifted, long Version)
{
    public static readonly Guid StreamId = new("0f4b8a52-9d1e-5c63-8f0a-6d6561737572");

    public static MeasuresState Initial { get; } = new(ImmutableSortedDictionary<Guid, ZoneSealed>.Empty, [], 0);

    public static MeasuresState Evolve(MeasuresState state, MeasuresEvent change) => change switch
    {
        ZoneSealed zone => state with { Zones = state.Zones.SetItem(zone.MeasureId.Value, zone), Version = state.Version + 1 },
        ZoneLifted lifted => state with
        {
            Zones = state.Zones.Remove(lifted.MeasureId.Value),
            Lifted = state.Lifted.Add(lifted.MeasureId),
            Version = state.Version + 1,
        },
        _ => throw new InvalidOperationException($"Unknown event {change.GetType().Name} in the measures stream."),
    };

    public static Decision<MeasuresEvent> DecideSeal(MeasuresState state, MeasureId id, string name, IReadOnlyList<GeoPoint> area,
        DateTimeOffset from, DateTimeOffset at)
    {
        if (state.Lifted.Contains(id) || state.Zones.ContainsKey(id.Value))
            return Decision<MeasuresEvent>.Nothing;
        if (area.Distinct().Count() < 3 || area.Any(point => !point.IsOnEarth))
            return Refusal.Invalid("area", "A zone needs at least three different positions on Earth.");
        return new ZoneSealed(id, name, area, from, at);
    }

    public static Decision<MeasuresEvent> DecideLift(MeasuresState state, MeasureId id, string reason, DateTimeOffset at) =>
        state.Lifted.Contains(id) ? Decision<MeasuresEvent>.Nothing : new ZoneLifted(id, reason, at);
}
