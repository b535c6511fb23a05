using Huzhu.Contracts;
using Huzhu.Deciding;

namespace Huzhu.Groups.Domain;

/// <summary>What can happen to a collective measure.</summary>
public abstract record MeasureEvent(DateTimeOffset At);

/// <summary>A measure is announced; it is in force only once it has been imposed.</summary>
public sealed record MeasurePublished(
    string Name, IReadOnlyList<GeoPoint> Area, DateTimeOffset From, DateTimeOffset? Until, bool SealsZone, bool ClosesProviders,
    string By, DateTimeOffset At) : MeasureEvent(At);

/// <summary>The measure is in force: its zone is sealed and the providers inside are to be closed, each as the measure says.</summary>
public sealed record MeasureImposed(DateTimeOffset At) : MeasureEvent(At);

/// <summary>The measure is no longer in force, because its time was over or because somebody lifted it.</summary>
/// <param name="By">Who lifted it; null when its time was over.</param>
public sealed record MeasureLifted(string Reason, string? By, DateTimeOffset At) : MeasureEvent(At);

/// <summary>The measure was called off before it came into force.</summary>
/// <param name="By">Who called it off; null when its time was over before it could be imposed.</param>
public sealed record MeasureCancelled(string Reason, string? By, DateTimeOffset At) : MeasureEvent(At);

public enum MeasurePhase { Unknown, Planned, InForce, Lifted, Cancelled }

/// <summary>A measure as the providers' decisions see it.</summary>
public sealed record MeasureInForce(MeasureId Id, string Name, Area Area, bool ClosesProviders);

/// <summary>A collective measure: a lockdown of an area, from, until.</summary>
public sealed record Measure(MeasurePublished? Plan, MeasurePhase Phase, DateTimeOffset? ImposedAt, DateTimeOffset? EndedAt, string? EndedBecause)
    : IStreamState<Measure, MeasureEvent>
{
    public const string TimeIsOver = "Its time was over.";

    public static readonly Refusal NotKnown = Refusal.NotFound("not-found", "There is no such measure.");

    public static Measure Initial { get; } = new(null, MeasurePhase.Unknown, null, null, null);

    public static Measure Evolve(Measure state, MeasureEvent happened) => happened switch
    {
        MeasurePublished published => state with { Plan = published, Phase = MeasurePhase.Planned },
        MeasureImposed imposed => state with { Phase = MeasurePhase.InForce, ImposedAt = imposed.At },
        MeasureLifted lifted => state with { Phase = MeasurePhase.Lifted, EndedAt = lifted.At, EndedBecause = lifted.Reason },
        MeasureCancelled cancelled => state with { Phase = MeasurePhase.Cancelled, EndedAt = cancelled.At, EndedBecause = cancelled.Reason },
        _ => throw new InvalidOperationException($"A measure does not know the event {happened.GetType().Name}."),
    };

    /// <summary>The same measure published again under its id yields nothing.</summary>
    public static Decision<MeasureEvent> DecidePublication(Measure state, MeasurePublished plan)
    {
        if (state.Plan is { } known)
            return SamePlan(known, plan) ? Decision<MeasureEvent>.Nothing : Listing.IdTaken;
        if (plan.Until <= plan.From)
            return Refusal.Invalid("bad-period", "The time at which it ends must be after the time at which it begins.");
        return (List<MeasureEvent>)[plan, .. DecideReview(Evolve(state, plan), plan.At).Events];
    }

    /// <summary>Whether the time has come to impose the measure or to end it. Yields nothing when it has not.</summary>
    public static Decision<MeasureEvent> DecideReview(Measure state, DateTimeOffset now) => state switch
    {
        { Phase: MeasurePhase.Planned, Plan: { } plan } when plan.Until <= now => new MeasureCancelled(TimeIsOver, null, now),
        { Phase: MeasurePhase.Planned, Plan: { } plan } when plan.From <= now => new MeasureImposed(now),
        { Phase: MeasurePhase.InForce, Plan: { } plan } when plan.Until <= now => new MeasureLifted(TimeIsOver, null, now),
        _ => Decision<MeasureEvent>.Nothing,
    };

    public static Decision<MeasureEvent> DecideLift(Measure state, string reason, string by, DateTimeOffset now) => state.Phase switch
    {
        MeasurePhase.Unknown => NotKnown,
        MeasurePhase.Planned => new MeasureCancelled(reason, by, now),
        MeasurePhase.InForce => new MeasureLifted(reason, by, now),
        MeasurePhase.Lifted or MeasurePhase.Cancelled => Decision<MeasureEvent>.Nothing,
    };

    private static bool SamePlan(MeasurePublished one, MeasurePublished other) =>
        one.Name == other.Name && one.Area.SequenceEqual(other.Area) && one.From == other.From && one.Until == other.Until
        && one.SealsZone == other.SealsZone && one.ClosesProviders == other.ClosesProviders;
}
