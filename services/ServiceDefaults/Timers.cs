using System.Collections.Concurrent;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Weasel.Postgresql;
using Weasel.Postgresql.Tables;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// What a durable timer does when it fires. It is told the subject, looks at the subject's state, and decides whether
/// the timer still means anything. It may be told twice.
/// </summary>
public interface ITimerHandler
{
    /// <summary>The kind of timer that this handles: a kebab-case word.</summary>
    string Kind { get; }

    /// <summary>How late it may be. The table is looked into as often as the most exact kind of a service asks for.</summary>
    TimeSpan Precision => TimeSpan.FromMilliseconds(100);

    Task HandleAsync(Guid subject, CancellationToken cancellation);
}

/// <summary>
/// Durable timers: rows with a due time, scheduled in the transaction of the events that ask for them, taken with
/// <c>FOR UPDATE SKIP LOCKED</c> by any replica under a lease. A timer is never cancelled.
/// </summary>
public static class Timers
{
    private const string Name = EventStore.Schema + ".timers";
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    public static Table Table()
    {
        var table = new Table(Name);
        table.AddColumn<Guid>("id").AsPrimaryKey();
        table.AddColumn<string>("kind").NotNull();
        table.AddColumn<Guid>("subject").NotNull();
        table.AddColumn<DateTimeOffset>("due_at").NotNull();
        table.AddColumn<int>("attempts").NotNull().DefaultValue(0);
        table.Indexes.Add(new IndexDefinition("timers_due_at") { Columns = ["due_at"] });
        return table;
    }

    /// <summary>Schedules within the session's transaction.</summary>
    public static void Schedule(this IDocumentOperations session, string kind, Guid subject, DateTimeOffset dueAt) =>
        session.QueueSqlCommand($"insert into {Name} (id, kind, subject, due_at) values (?, ?, ?, ?)",
            Guid.CreateVersion7(), kind, subject, dueAt.ToUniversalTime());

    /// <summary>
    /// Schedules the next firing of a timer that goes on by itself. A timer may fire twice; when another firing is
    /// scheduled already, this one adds none, so that one stays one.
    /// </summary>
    public static async Task ScheduleNextAsync(NpgsqlDataSource database, string kind, Guid subject, DateTimeOffset now, TimeSpan pause, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            insert into {Name} (id, kind, subject, due_at) select $1, $2, $3, $4
            where not exists (select 1 from {Name} where kind = $2 and subject = $3 and due_at > $5)
            """);
        command.Parameters.AddWithValue(Guid.CreateVersion7());
        command.Parameters.AddWithValue(kind);
        command.Parameters.AddWithValue(subject);
        command.Parameters.AddWithValue((now + pause).ToUniversalTime());
        // The one that is firing is due again at the end of its lease.
        command.Parameters.AddWithValue((now + Lease).ToUniversalTime());
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Schedules a timer unless one of this very time is waiting already.</summary>
    public static async Task EnsureAsync(NpgsqlDataSource database, string kind, Guid subject, DateTimeOffset dueAt, CancellationToken cancellation)
    {
        // One that has been taken goes when it has fired.
        await using var command = database.CreateCommand($"""
            insert into {Name} (id, kind, subject, due_at) select $1, $2, $3, $4
            where not exists (select 1 from {Name} where due_at = $4 and kind = $2 and subject = $3 and attempts = 0)
            """);
        command.Parameters.AddWithValue(Guid.CreateVersion7());
        command.Parameters.AddWithValue(kind);
        command.Parameters.AddWithValue(subject);
        command.Parameters.AddWithValue(dueAt.ToUniversalTime());
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <param name="lane">Timers of one lane share their slots, and hold up no timer of another.</param>
    public static IServiceCollection AddTimer<THandler>(this IServiceCollection services, string lane = "") where THandler : class, ITimerHandler
    {
        var isFirst = services.All(service => service.ServiceType != typeof(ITimerHandler) || !lane.Equals(service.ServiceKey));
        services.AddKeyedSingleton<ITimerHandler, THandler>(lane);
        if (isFirst)
            services.AddSingleton<IHostedService>(provider => ActivatorUtilities.CreateInstance<TimerLoop>(provider, provider.GetKeyedServices<ITimerHandler>(lane)));
        return services;
    }

    private sealed class TimerLoop(NpgsqlDataSource database, IEnumerable<ITimerHandler> handlers, TimeProvider time, ILogger<TimerLoop> logger)
        : BackgroundService
    {
        private const int Slots = 64;

        /// <summary>So many free slots make a look into the table worth its cost.</summary>
        private const int LeastFreeSlots = 16;

        private readonly Dictionary<string, ITimerHandler> _handlers = handlers.ToDictionary(handler => handler.Kind);
        private readonly TimeSpan _longestWait = handlers.Min(handler => handler.Precision);

        /// <summary>Timers that have fired and whose rows go with the next look into the table. One that is forgotten here fires again.</summary>
        private readonly ConcurrentQueue<Guid> _fired = new();

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            // A timer that takes long holds its own slot, and holds up no other timer.
            using var slots = new SemaphoreSlim(Slots, Slots);
            while (!stoppingToken.IsCancellationRequested)
            {
                try
                {
                    await WaitForSlotsAsync(slots, stoppingToken);
                    var free = slots.CurrentCount;
                    var due = await TakeAsync(free, stoppingToken);
                    foreach (var timer in due)
                    {
                        // There is one: nobody but this loop takes slots.
                        await slots.WaitAsync(CancellationToken.None);
                        _ = FireAsync(timer, slots, stoppingToken);
                    }
                    if (due.Count < free)
                        await Task.Delay(_longestWait, time, stoppingToken);
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    break;
                }
                catch (Exception exception)
                {
                    logger.LogWarning(exception, "Timers could not be taken; trying again");
                    await Task.Delay(TimeSpan.FromSeconds(1), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            for (var slot = 0; slot < Slots; slot++)
                await slots.WaitAsync(CancellationToken.None);
            await ((Task)TakeAsync(0, CancellationToken.None)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private static async Task WaitForSlotsAsync(SemaphoreSlim slots, CancellationToken cancellation)
        {
            var held = 0;
            try
            {
                for (; held < LeastFreeSlots; held++)
                    await slots.WaitAsync(cancellation);
            }
            finally
            {
                if (held > 0)
                    slots.Release(held);
            }
        }

        /// <summary>Takes due timers by moving their due time to the end of a lease: a replica that dies gives them back by itself.</summary>
        private async Task<List<(Guid Id, string Kind, Guid Subject)>> TakeAsync(int limit, CancellationToken cancellation)
        {
            var now = time.GetUtcNow();
            var fired = new List<Guid>();
            while (_fired.TryDequeue(out var id))
                fired.Add(id);
            await using var command = database.CreateCommand($"""
                with gone as (delete from {Name} where id = any($5)),
                     due as (select id, due_at from {Name} where due_at <= $1 and kind = any($4) and id <> all($5) order by due_at limit $3 for update skip locked),
                     taken as (update {Name} t set due_at = $2, attempts = attempts + 1 from due where t.id = due.id
                               returning t.id, t.kind, t.subject, due.due_at as was_due_at)
                select id, kind, subject from taken order by was_due_at
                """);
            command.Parameters.AddWithValue(now);
            command.Parameters.AddWithValue(now + Lease);
            command.Parameters.AddWithValue(limit);
            command.Parameters.AddWithValue(_handlers.Keys.ToArray());
            command.Parameters.AddWithValue(fired);
            try
            {
                var taken = new List<(Guid, string, Guid)>();
                await using var reader = await command.ExecuteReaderAsync(cancellation);
                while (await reader.ReadAsync(cancellation))
                    taken.Add((reader.GetGuid(0), reader.GetString(1), reader.GetGuid(2)));
                return taken;
            }
            catch (Exception)
            {
                fired.ForEach(_fired.Enqueue);
                throw;
            }
        }

        private async Task FireAsync((Guid Id, string Kind, Guid Subject) timer, SemaphoreSlim slots, CancellationToken cancellation)
        {
            try
            {
                await _handlers[timer.Kind].HandleAsync(timer.Subject, cancellation);
                _fired.Enqueue(timer.Id);
            }
            catch (Exception exception)
            {
                // The row is still there; it is due again when the lease ends.
                if (exception is not OperationCanceledException || !cancellation.IsCancellationRequested)
                    logger.LogError(exception, "The timer {Kind} of {Subject} failed and fires again", timer.Kind, timer.Subject);
            }
            finally
            {
                slots.Release();
            }
        }
    }
}
