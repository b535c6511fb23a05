using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Polly;
using Polly.Retry;

namespace Huzhu.Groups;

/// <summary>A stream as it was read.</summary>
/// <param name="IsForeign">The id is that of a stream of another kind.</param>
public readonly record struct Loaded<TState>(Guid Id, TState State, long Version, bool IsForeign);

/// <summary>What became of a stream, or why nothing did.</summary>
public readonly record struct Outcome<TState>(TState State, long Version, int Appended, Refusal? Refusal);

/// <summary>
/// The one way in which streams of the directory are read and changed: load, decide, append with the expected version,
/// and with the events, in the same transaction, the timers that they ask for.
/// </summary>
public sealed class Streams(IDocumentStore store, TimeProvider time)
{
    // A conflict is ordinary: two coordinators, or a measure and a coordinator, at the same provider.
    private static readonly ResiliencePipeline Conflicts = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = arguments => ValueTask.FromResult(IsConflict(arguments.Outcome.Exception)),
            MaxRetryAttempts = 8,
            BackoffType = DelayBackoffType.Exponential,
            Delay = TimeSpan.FromMilliseconds(5),
            MaxDelay = TimeSpan.FromMilliseconds(250),
            UseJitter = true,
        })
        .Build();

    public static async Task<Loaded<TState>> LoadAsync<TState, TEvent>(IQuerySession session, Guid id, CancellationToken cancellation, long upToVersion = 0)
        where TState : IStreamState<TState, TEvent> where TEvent : notnull
    {
        var stored = await session.Events.FetchStreamAsync(id, upToVersion, token: cancellation);
        if (stored.Any(one => one.Data is not TEvent))
            return new(id, TState.Initial, 0, IsForeign: true);
        return new(id, stored.Aggregate(TState.Initial, (state, one) => TState.Evolve(state, (TEvent)one.Data)), stored.Count == 0 ? 0 : stored[^1].Version, false);
    }

    public async Task<Loaded<TState>> LoadAsync<TState, TEvent>(Guid id, CancellationToken cancellation)
        where TState : IStreamState<TState, TEvent> where TEvent : notnull
    {
        await using var session = store.QuerySession();
        return await LoadAsync<TState, TEvent>(session, id, cancellation);
    }

    /// <param name="decide">May read through the session, and queue what the append's transaction is to do. Called again after a conflict.</param>
    /// <param name="whenForeign">The refusal when the id is that of a stream of another kind; otherwise there is no such entry.</param>
    /// <exception cref="TimeoutException">Others were faster every time.</exception>
    public async Task<Outcome<TState>> ChangeAsync<TState, TEvent>(Guid id,
        Func<Loaded<TState>, IDocumentSession, ValueTask<Decision<TEvent>>> decide, CancellationToken cancellation, string? causationId = null, Refusal? whenForeign = null)
        where TState : IStreamState<TState, TEvent> where TEvent : notnull
    {
        try
        {
            return await Conflicts.ExecuteAsync(async token =>
            {
                await using var session = store.LightweightSession();
                var loaded = await LoadAsync<TState, TEvent>(session, id, token);
                var decision = loaded.IsForeign ? whenForeign ?? Listing.Unknown : await decide(loaded, session);
                if (decision.Refusal is not null || decision.Events.Count == 0)
                    return new Outcome<TState>(loaded.State, loaded.Version, 0, decision.Refusal);
                foreach (var (kind, dueAt) in decision.Events.SelectMany(happened => Timetable.TimersOf(happened, time.GetUtcNow())))
                    session.Schedule(kind, id, dueAt);
                var appended = loaded.Version == 0
                    ? session.Events.StartStream(id, decision.Events.Cast<object>())
                    : session.Events.Append(id, loaded.Version + decision.Events.Count, decision.Events.Cast<object>());
                appended.CausedBy(Cause.Current(causationId));
                await session.SaveChangesAsync(token);
                return new Outcome<TState>(decision.Events.Aggregate(loaded.State, TState.Evolve), loaded.Version + decision.Events.Count, decision.Events.Count, null);
            }, cancellation);
        }
        catch (Exception exception) when (IsConflict(exception))
        {
            throw new TimeoutException("Others changed the entry at the same time, again and again.", exception);
        }
    }

    private static bool IsConflict(Exception? exception) => exception switch
    {
        null => false,
        // The same conflict has different names: quick appends and new streams throw the first kind.
        Marten.Exceptions.ExistingStreamIdCollisionException or EventStreamUnexpectedMaxEventIdException or MeasuresChangedException => true,
        AggregateException several => several.InnerExceptions.Any(IsConflict),
        _ => IsConflict(exception.InnerException),
    };
}

/// <summary>Which timers an event asks for. Timers are never cancelled: the state decides what they still mean.</summary>
public static class Timetable
{
    /// <summary>Subject a provider: brings it in line with the time and the measures in force.</summary>
    public const string ReviewProvider = "review-provider";
    /// <summary>Subject a measure: imposes or ends it when its time has come.</summary>
    public const string ReviewMeasure = "review-measure";
    /// <summary>Subject a measure: reviews every provider that it shuts or has shut.</summary>
    public const string SpreadMeasure = "spread-measure";
    /// <summary>Subject an alert: does what it asks for, or ends it.</summary>
    public const string ApplyAlert = "apply-alert";

    public static IEnumerable<(string Kind, DateTimeOffset DueAt)> TimersOf(object happened, DateTimeOffset now) => happened switch
    {
        // A measure may be imposed while the provider is being written, and each not see the other: whoever commits
        // last looks again.
        ProviderRegistered or ProviderChanged => [(ReviewProvider, now)],
        ClosurePublished said => Later(ReviewProvider, now, said.From, said.Until),
        ReopeningPublished said => Later(ReviewProvider, now, said.From, said.Until),
        MeasurePublished plan => Later(ReviewMeasure, now, plan.From, plan.Until),
        MeasureImposed or MeasureLifted => [(SpreadMeasure, now)],
        AlertReceived or AlertReplaced => [(ApplyAlert, now)],
        _ => [],
    };

    private static IEnumerable<(string, DateTimeOffset)> Later(string kind, DateTimeOffset now, params DateTimeOffset?[] moments) =>
        moments.Where(moment => moment > now).Select(moment => (kind, moment!.Value));
}
