using Huzhu.Contracts;
using Huzhu.Deciding;

namespace Huzhu.Groups.Domain;

/// <summary>What can happen to a warning that came from outside, in the Common Alerting Protocol.</summary>
public abstract record AlertEvent(DateTimeOffset At);

/// <summary>A warning was taken in: what it asks for, and which earlier ones it takes the place of.</summary>
/// <param name="IsDrill">An exercise: what it asks for is shown and never done.</param>
/// <param name="Cancels">It ends the earlier ones; otherwise it brings them up to date.</param>
public sealed record AlertReceived(
    AlertReference Alert, bool IsDrill, bool Cancels, IReadOnlyList<AlertReference> Replaces,
    IReadOnlyList<PlannedMeasure> Measures, IReadOnlyList<PlannedClosure> Closures, string By, DateTimeOffset At) : AlertEvent(At);

/// <summary>A later warning has taken the place of this one, which may not have arrived yet.</summary>
/// <param name="InDrill">Only an exercise says so: it ends exercises and nothing else.</param>
public sealed record AlertReplaced(AlertReference By, bool Cancelled, bool InDrill, DateTimeOffset At) : AlertEvent(At);

/// <summary>The three things that together name one warning, everywhere and for ever.</summary>
public sealed record AlertReference(string Sender, string Identifier, DateTimeOffset Sent);

/// <summary>A measure that a warning asks for.</summary>
public sealed record PlannedMeasure(
    MeasureId Id, string Name, IReadOnlyList<GeoPoint> Area, DateTimeOffset From, DateTimeOffset? Until, bool SealsZone, bool ClosesProviders);

/// <summary>One provider's closure that a warning asks for.</summary>
public sealed record PlannedClosure(ResponderId ProviderId, string Reason, DateTimeOffset From, DateTimeOffset? Until);

/// <summary>A warning: in force from its arrival until another takes its place.</summary>
public sealed record Alert(AlertReceived? Received, AlertReplaced? Replaced, AlertReplaced? ReplacedInDrill) : IStreamState<Alert, AlertEvent>
{
    public static readonly Refusal NotKnown = Refusal.NotFound("not-found", "There is no such alert.");

    public static Alert Initial { get; } = new(null, null, null);

    /// <summary>What has taken its place; an exercise does not end what is meant.</summary>
    public AlertReplaced? EndedBy => Replaced ?? (Received is { IsDrill: true } ? ReplacedInDrill : null);

    public static Alert Evolve(Alert state, AlertEvent happened) => happened switch
    {
        AlertReceived received => state with { Received = received },
        AlertReplaced { InDrill: false } replaced => state with { Replaced = replaced },
        AlertReplaced replaced => state with { ReplacedInDrill = replaced },
        _ => throw new InvalidOperationException($"An alert does not know the event {happened.GetType().Name}."),
    };

    /// <summary>The same warning again yields nothing.</summary>
    public static Decision<AlertEvent> DecideReceipt(Alert state, AlertReceived received) =>
        state.Received is null ? received : Decision<AlertEvent>.Nothing;

    /// <summary>The first that takes its place counts; the feed may show the newer one first.</summary>
    public static Decision<AlertEvent> DecideReplacement(Alert state, AlertReplaced replaced) =>
        (replaced.InDrill ? state.ReplacedInDrill : state.Replaced) is null ? replaced : Decision<AlertEvent>.Nothing;
}
