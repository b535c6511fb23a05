using System.Text.Json.Serialization;

namespace Huzhu.Audit.Replaying;

/// <summary>One need in a course of things, for whoever counts in another way.</summary>
/// <param name="Repeats">The need that it repeats; then it waits with that one.</param>
public sealed record ReplayedNeed(Guid Id, Guid? Repeats, DateTimeOffset SubmittedAt, bool Met, DateTimeOffset? FulfilledAt, IReadOnlyList<Stretch> Waits);

/// <summary>What happened, the same on paper (which shows how far paper can be trusted), and what would have.</summary>
/// <param name="Question">What is otherwise, in words.</param>
/// <param name="Simulated">Nothing is otherwise: what it differs from <paramref name="Happened"/> is the simulation's own error.</param>
public sealed record Comparison(
    string Question, double? PatienceSeconds, DateTimeOffset StartsAt, DateTimeOffset EndsAt, DateTimeOffset? ClosedAt, DateTimeOffset? ReopenedAt,
    Summary Happened, Summary Simulated, Summary Instead)
{
    /// <summary>Left out of what is printed, and in the file: it may be long.</summary>
    [JsonIgnore]
    public IReadOnlyList<ReplayedNeed> NeedsInstead { get; init; } = [];

    [JsonIgnore]
    public IReadOnlyList<ReplayedNeed> NeedsHappened { get; init; } = [];

    public static Comparison Of(History history, Variant variant, string question, TimeSpan? patience, int leastShown)
    {
        var happened = history.Outcomes(history.Course);
        var behaviour = Behaviour.Of(history, happened);
        var simulated = Simulation.Run(history, behaviour, new Variant());
        var instead = Simulation.Run(history, behaviour, variant);
        var otherwise = history.Outcomes(instead);
        return new Comparison(question, patience?.TotalSeconds, history.StartsAt, history.EndsAt, history.ClosedAt, history.ReopenedAt,
            Summary.Of(history, history.Course, happened, patience, leastShown),
            Summary.Of(history, simulated, history.Outcomes(simulated), patience, leastShown),
            Summary.Of(history, instead, otherwise, patience, leastShown))
        {
            NeedsHappened = [.. happened.Select(Needed)],
            NeedsInstead = [.. otherwise.Select(Needed)],
        };

        ReplayedNeed Needed(NeedOutcome need) => new(need.Asked.Id.Value, need.Asked.Repeats?.Value, need.Asked.SubmittedAt, Summary.IsMet(need, patience), need.FulfilledAt, need.Waits);
    }
}
