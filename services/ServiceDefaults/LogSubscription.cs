using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Data;
using JasperFx.Events;
using Marten;
using Marten.Services;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// What is to be done about the events of a log, once, in their order, on one replica at a time. A page is given again
/// when the process ends before it has been handled.
/// </summary>
public interface ILogSubscription
{
    /// <summary>Names its place in the log.</summary>
    string Name { get; }

    /// <summary>What it wants to hear of.</summary>
    IReadOnlyCollection<Type> EventTypes { get; }

    /// <summary>Returns when the events need not be given again. An exception has them given again, here or at another replica.</summary>
    Task HandleAsync(IReadOnlyList<IEvent> events, CancellationToken cancellation);
}

/// <summary>Every event type of the service's log.</summary>
internal sealed record KnownEvents(IReadOnlyCollection<Type> Types);

/// <summary>
/// Runs a subscription on the replica that holds its lock. One session of the database holds the lock, reads the log and
/// writes down how far it has come: who has lost it cannot write any more. The server ends the session of a process that is
/// silent for <see cref="SubscriptionSessions.Patience"/>, because it hangs, and another replica goes on. See docs/adr/0016.
/// </summary>
internal sealed class LogSubscriptionRunner(
    ILogSubscription subscription, SubscriptionSessions sessions, KnownEvents known, IDocumentStore store, AppendSignal signal,
    IHostApplicationLifetime lifetime, ILogger<LogSubscriptionRunner> logger) : BackgroundService
{
    /// <summary>Where each subscription is; the table and its names are Marten's, whose daemon once did this.</summary>
    internal const string Places = EventStore.Schema + ".mt_event_progression";

    /// <summary>How often another replica tries for the lock.</summary>
    private static readonly TimeSpan StandBy = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SignOfLife = SubscriptionSessions.Patience / 5;
    /// <summary>What other replicas append is found by looking.</summary>
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan IdleGlance = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan UntilIdle = TimeSpan.FromSeconds(5);
    /// <summary>What was handled since is handled again after a crash, as a page is anyway.</summary>
    private static readonly TimeSpan WriteEvery = TimeSpan.FromMilliseconds(200);

    private readonly EventRows _rows = new(known.Types, subscription.EventTypes, store);
    private readonly Appends _appends = signal.Of(subscription.EventTypes);

    /// <summary>How far a subscription has come; 0 when it has not begun.</summary>
    public static async Task<long> PlaceAsync(NpgsqlConnection session, string subscription, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select coalesce(max(last_seq_id), 0) from {Places} where name = $1", session);
        command.Parameters.AddWithValue(PlaceOf(subscription));
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var session = await sessions.OpenAsync(stop.Token);
                while (!await TryLeadAsync(session, stop.Token))
                    await Task.Delay(StandBy, stop.Token);
                await FollowAsync(session, stop.Token);
            }
            catch (Exception) when (stop.IsCancellationRequested)
            {
            }
            catch (Exception exception)
            {
                logger.LogWarning(exception, "{Subscription} stopped following the log and tries again", subscription.Name);
                await Task.Delay(StandBy, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task<bool> TryLeadAsync(NpgsqlConnection session, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select pg_try_advisory_lock(hashtextextended($1, 0))", session);
        command.Parameters.AddWithValue($"huzhu/{PlaceOf(subscription.Name)}");
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private async Task FollowAsync(NpgsqlConnection session, CancellationToken cancellation)
    {
        var written = await PlaceAsync(session, subscription.Name, cancellation);
        var (horizon, done) = (new LogHorizon(written), written);
        var (writtenAt, movedAt) = (Environment.TickCount64, Environment.TickCount64);
        try
        {
            while (true)
            {
                // Before the look: what is appended after it wakes this up.
                var appended = _appends.Next;
                var events = new List<IEvent>();
                await horizon.AdvanceAsync(_rows.Command(session), row => _rows.Take(row, events), cancellation);
                if (events.Count > 0)
                    await HandleAsync(session, events, cancellation);
                var moved = horizon.At > done;
                if (moved)
                    (done, movedAt) = (horizon.At, Environment.TickCount64);
                if (done > written && Environment.TickCount64 - writtenAt >= WriteEvery.TotalMilliseconds)
                {
                    await WritePlaceAsync(session, done, cancellation);
                    (written, writtenAt) = (done, Environment.TickCount64);
                }
                if (!moved)
                    await Task.WhenAny(appended, Task.Delay(Environment.TickCount64 - movedAt > UntilIdle.TotalMilliseconds ? IdleGlance : Glance, cancellation));
                cancellation.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            // Who goes on need not do again what has been done. When the session is lost, another one may have gone on already.
            if (done > written && session.State == ConnectionState.Open)
                await WritePlaceAsync(session, done, CancellationToken.None);
        }
    }

    /// <summary>However long it takes, the session shows meanwhile that somebody is there; when it is lost, the work is somebody else's.</summary>
    private async Task HandleAsync(NpgsqlConnection session, IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        using var lost = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var handling = subscription.HandleAsync(events, lost.Token);
        try
        {
            while (await Task.WhenAny(handling, Task.Delay(SignOfLife, cancellation)) != handling)
            {
                cancellation.ThrowIfCancellationRequested();
                await using var command = new NpgsqlCommand("select 1", session);
                await command.ExecuteScalarAsync(cancellation);
            }
        }
        catch
        {
            await lost.CancelAsync();
            await handling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
        await handling;
    }

    /// <summary>The name under which the place of a subscription is written down.</summary>
    internal static string PlaceOf(string name) => $"{name}:All";

    private async Task WritePlaceAsync(NpgsqlConnection session, long number, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"""
            insert into {Places} (name, last_seq_id, last_updated) values ($1, $2, transaction_timestamp())
            on conflict (name) do update set last_seq_id = excluded.last_seq_id, last_updated = excluded.last_updated
            """, session);
        command.Parameters.AddWithValue(PlaceOf(subscription.Name));
        command.Parameters.AddWithValue(number);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}

/// <summary>
/// Sessions that hold the lock of a subscription, outside the pool. What they write is only how far a subscription has come:
/// when a crash of the server loses the last of it, some events are given again, so their commits wait for no disk.
/// </summary>
internal sealed class SubscriptionSessions(NpgsqlDataSource database) : IAsyncDisposable
{
    /// <summary>A session that is silent for so long belongs to a process that hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellation) => await database.OpenConnectionAsync(cancellation);

    public ValueTask DisposeAsync() => database.DisposeAsync();
}

/// <summary>Hears of the appends of this process; those of other replicas are found by looking.</summary>
internal sealed class AppendSignal : DocumentSessionListenerBase
{
    private ImmutableList<Appends> _all = [];

    /// <summary>Those of events of these types.</summary>
    public Appends Of(IReadOnlyCollection<Type> types)
    {
        var appends = new Appends(types.ToHashSet());
        ImmutableInterlocked.Update(ref _all, all => all.Add(appends));
        return appends;
    }

    public override Task AfterCommitAsync(IDocumentSession session, IChangeSet commit, CancellationToken token)
    {
        foreach (var appends in _all)
            appends.HearOf(commit);
        return Task.CompletedTask;
    }
}

internal sealed class Appends(IReadOnlySet<Type> types)
{
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the next one.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    public void HearOf(IChangeSet commit)
    {
        if (commit.GetEvents().Any(appended => types.Contains(appended.EventType)))
            Interlocked.Exchange(ref _next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }
}

/// <summary>Reads rows of the log as the store would.</summary>
internal sealed class EventRows(IReadOnlyCollection<Type> known, IReadOnlyCollection<Type> wanted, IDocumentStore store)
{
    private const int Page = 500;
    private static readonly ConcurrentDictionary<Type, Func<object, IEvent>> Wraps = new();

    private readonly Dictionary<string, Type> _types = wanted.ToDictionary(EventStore.NameOf);
    // What a newer version has appended is asked for too, so that it is not passed over by one that does not know it.
    private readonly string[] _notWanted = [.. known.Except(wanted).Select(EventStore.NameOf), "tombstone"];

    /// <summary>Numbers above its first parameter, a page of them, with what is wanted where it is.</summary>
    public NpgsqlCommand Command(NpgsqlConnection connection) => new($"""
        select e.seq_id, w.type, w.id, w.stream_id, w.version, w.timestamp, w.causation_id, w.correlation_id, w.headers, w.data from {EventStore.Schema}.mt_events e
        left join lateral (select e.type, e.id, e.stream_id, e.version, e.timestamp, e.causation_id, e.correlation_id, e.headers, e.data) w on e.type <> all($2)
        where e.seq_id > $1 order by e.seq_id limit {Page}
        """, connection)
    { Parameters = { new NpgsqlParameter { Value = _notWanted } } };

    /// <summary>Adds the row's event, when it is wanted.</summary>
    /// <exception cref="InvalidOperationException">It is of a type that this version does not know.</exception>
    public void Take(NpgsqlDataReader row, List<IEvent> events)
    {
        if (row.IsDBNull(1))
            return;
        var name = row.GetString(1);
        if (!_types.TryGetValue(name, out var type))
            throw new InvalidOperationException($"Event {row.GetInt64(0)} is a {name}, which this version does not know: a newer one has to go on from here.");
        var serializer = store.Options.Serializer();
        var stored = Wraps.GetOrAdd(type, WrapOf)(serializer.FromJson(type, row, 9));
        (stored.Sequence, stored.EventTypeName, stored.Id, stored.StreamId, stored.Version) = (row.GetInt64(0), name, row.GetGuid(2), row.GetGuid(3), row.GetInt64(4));
        stored.Timestamp = row.GetFieldValue<DateTimeOffset>(5);
        (stored.CausationId, stored.CorrelationId) = (row.IsDBNull(6) ? null : row.GetString(6), row.IsDBNull(7) ? null : row.GetString(7));
        stored.Headers = row.IsDBNull(8) ? null : serializer.FromJson<Dictionary<string, object>>(row, 8);
        events.Add(stored);
    }

    private static Func<object, IEvent> WrapOf(Type type)
    {
        var constructor = typeof(Event<>).MakeGenericType(type).GetConstructor([type])!;
        return data => (IEvent)constructor.Invoke([data]);
    }
}

public static class LogSubscriptions
{
    /// <summary>Runs a subscription of the service's log; <see cref="EventStore.AddEventStore"/> comes before.</summary>
    public static IServiceCollection AddLogSubscription<T>(this IServiceCollection services) where T : class, ILogSubscription =>
        services.AddSingleton<T>().AddSingleton<IHostedService>(provider =>
            ActivatorUtilities.CreateInstance<LogSubscriptionRunner>(provider, provider.GetRequiredService<T>()));
}
