using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// Everything of this process that makes an offer or changes a ledger passes through here, so that one process never
/// conflicts with itself. What is queued while one transaction commits is decided and committed by the next: no timer,
/// no waiting at low load. Another replica may do the same beside it, when it takes over or is mistaken about who decides
/// (<see cref="Decider"/>); the expected versions of the streams settle who was first, and whoever was not reads again and
/// decides again.
/// </summary>
public sealed class DecisionLoop(Log log, NpgsqlDataSource database, TimeProvider time, ILogger<DecisionLoop> logger) : BackgroundService
{
    private const int MaxBatch = 128;
    private const int MaxQueued = 4096;
    private const int MaxAttempts = 40;
    // So that a surge of new needs cannot starve the sweep of a closure, nor the sweep the needs.
    private const int ReservedForLowerLanes = 32;
    private const int MaxRecentWaits = 1024;
    private static readonly TimeSpan TailInterval = TimeSpan.FromMilliseconds(100);
    private const int TicksAtLeisure = 10;
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(10);

    /// <summary>The streams that there is one of; every other one that is followed is a ledger.</summary>
    private static readonly Guid[] Settings = [PolicyState.StreamId, MeasuresState.StreamId, PricesSet.StreamId];

    private static readonly Meter Meter = new("Huzhu.Matching");
    private static readonly Counter<long> OffersMade = Meter.CreateCounter<long>("huzhu.matching.offers.made", description: "Offers made");
    private static readonly Counter<long> Conflicts = Meter.CreateCounter<long>("huzhu.matching.conflicts", description: "Commits that another replica came before");
    private static readonly Counter<long> Commits = Meter.CreateCounter<long>("huzhu.matching.commits", description: "Transactions of the decision loop");
    private static readonly Histogram<double> WaitSeconds = Meter.CreateHistogram<double>("huzhu.matching.work.duration", "s", "From being queued to being committed");
    private static readonly Histogram<double> DecideSeconds = Meter.CreateHistogram<double>("huzhu.matching.decide.duration", "s", "Deciding one batch, in memory");
    private static readonly Histogram<int> BatchSize = Meter.CreateHistogram<int>("huzhu.matching.batch.size", description: "Pieces of work in one batch");
    private static readonly Gauge<int> Untold = Meter.CreateGauge<int>("huzhu.matching.offers.untold", description: "Offers that are made and not yet told");
    private static readonly Histogram<double> TailLag = Meter.CreateHistogram<double>("huzhu.matching.directory.lag", "s", "Age of another replica's change when it is read here");

    private readonly Queue<Work>[] _lanes = [new(), new(), new()];
    private readonly SemaphoreSlim _queued = new(0);
    private readonly SemaphoreSlim _room = new(MaxQueued);
    private readonly ConcurrentQueue<(Guid Stream, TaskCompletionSource? Done)> _stale = new();
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<(NeedId NeedId, DateTimeOffset At)> _recentWaits = new();
    private TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopped;

    public Roster Roster { get; } = new();
    public PolicyState Policy { get; private set; } = PolicyState.Initial;
    public Zones Zones { get; private set; } = new(MeasuresState.Initial);

    /// <summary>Of those who are still to come, as they were last set.</summary>
    public Plan Prices { get; private set; } = Plan.None;

    /// <summary>Ends when the directory has been read; nothing is decided before.</summary>
    public Task Loaded => _loaded.Task;
    public bool IsReady => _loaded.Task.IsCompletedSuccessfully;

    /// <summary>See <see cref="Domain.Policy.TellingIsBehind"/>.</summary>
    public bool TellingIsBehind { get; private set; }

    /// <summary>Ends when telling has been behind, and is not any more.</summary>
    public Task CaughtUp => Volatile.Read(ref _caughtUp).Task;

    public Situation Look() => new(Roster, Policy, Zones, Now(), TellingIsBehind, Policy.Policy.Prices is not null && Prices.Prices.Count > 0 ? Prices : null);

    /// <summary>Queues the work and waits until it is in the log, or refused.</summary>
    public async Task<Answer> DoAsync(Work work, CancellationToken cancellation)
    {
        await _room.WaitAsync(cancellation);
        work.TakesRoom = true;
        lock (_lanes)
        {
            ObjectDisposedException.ThrowIf(_stopped, this);
            _lanes[(int)work.Lane].Enqueue(work);
        }
        _queued.Release();
        return await work.Done.WaitAsync(cancellation);
    }

    /// <summary>
    /// Another replica decides: its changes are followed at leisure. What is missed costs a conflict when this one takes over.
    /// </summary>
    public bool StandsBy { get; set; }

    public Task<Answer> DoAsync(NeedId needId, DecideOnMatch decide, Lane lane, Cause cause, CancellationToken cancellation) =>
        DoAsync(new NeedWork(needId, decide, lane, cause), cancellation);

    /// <summary>Has these streams (ledgers, the policy, the measures, the prices) read again before the next decision, and waits for that.</summary>
    public async Task RefreshAsync(IReadOnlyCollection<Guid> streams, CancellationToken cancellation)
    {
        if (streams.Count == 0)
            return;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var stream in streams.SkipLast(1))
            _stale.Enqueue((stream, null));
        _stale.Enqueue((streams.Last(), done));
        _queued.Release();
        await done.Task.WaitAsync(cancellation);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var tail = Task.CompletedTask;
        // So that the first one is seen as one more.
        Conflicts.Add(0);
        try
        {
            var horizon = await LoadAsync(stoppingToken);
            _loaded.SetResult();
            tail = TailAsync(horizon, stoppingToken);
            while (true)
            {
                await _queued.WaitAsync(stoppingToken);
                await RefreshStaleAsync(stoppingToken);
                var batch = TakeBatch();
                if (batch.Count > 0)
                    await ProcessAsync(batch, attempt: 1, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
        finally
        {
            lock (_lanes)
            {
                _stopped = true;
                foreach (var work in _lanes.SelectMany(lane => lane))
                    work.Fail(new OperationCanceledException("The service is stopping."));
            }
            await tail.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private DateTimeOffset Now()
    {
        var now = time.GetUtcNow();
        return new DateTimeOffset(now.Ticks - now.Ticks % TimeSpan.TicksPerMillisecond, TimeSpan.Zero);
    }

    private async Task<LogHorizon> LoadAsync(CancellationToken cancellation)
    {
        for (var wait = TimeSpan.FromMilliseconds(200); ; wait = TimeSpan.FromSeconds(Math.Min(5, wait.TotalSeconds * 2)))
        {
            try
            {
                // First: what is committed after it is read by the tail.
                var horizon = await LogHorizon.AtRelayAsync(database, cancellation);
                Policy = await log.AppendAsync<PolicyState, PolicyEvent>(PolicyState.StreamId, PolicyState.Initial, PolicyState.Evolve,
                    state => PolicyState.DecideFirst(state, Now()).Events, Cause.Current(), cancellation);
                Zones = new Zones(await log.LoadMeasuresAsync(cancellation));
                Prices = await log.LoadPricesAsync(cancellation);
                foreach (var (id, state) in await log.LoadLedgersAsync(null, cancellation))
                    Roster.Set(id, state);
                return horizon;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                logger.LogWarning(exception, "The directory of responders could not be read; trying again");
                await Task.Delay(wait, time, cancellation);
            }
        }
    }

    private List<Work> TakeBatch()
    {
        var batch = new List<Work>();
        lock (_lanes)
        {
            for (var lane = 0; lane < _lanes.Length; lane++)
            {
                var lower = _lanes.Skip(lane + 1).Sum(queue => queue.Count);
                var limit = MaxBatch - Math.Min(lower, ReservedForLowerLanes * (_lanes.Length - 1 - lane));
                while (batch.Count < limit && _lanes[lane].TryDequeue(out var work))
                    batch.Add(work);
            }
        }
        if (batch.Count == 0)
            return batch;
        if (batch.Count(work => work.TakesRoom) is var places and > 0)
            _room.Release(places);
        // One signal was waited for; the others of the batch are taken here, and spurious ones do no harm.
        for (var taken = 1; taken < batch.Count && _queued.Wait(0); taken++)
        {
        }
        return batch;
    }

    private async Task ProcessAsync(List<Work> batch, int attempt, CancellationToken cancellation)
    {
        var touched = new Touched();
        try
        {
            await RefreshStaleAsync(cancellation);
            await DecideAndCommitAsync(batch, touched, cancellation);
        }
        catch (OperationCanceledException exception) when (cancellation.IsCancellationRequested)
        {
            foreach (var work in batch)
                work.Fail(exception);
            throw;
        }
        catch (Exception exception)
        {
            foreach (var id in touched.Ledgers)
                _stale.Enqueue((id.Value, null));
            var stale = exception as StaleLedgerException;
            if (stale is not null)
                _stale.Enqueue((stale.ResponderId.Value, null));
            var conflict = stale is not null || Log.IsConflict(exception);
            if (conflict)
                Conflicts.Add(1);
            if (batch.Count > 1 && (conflict || !Messaging.IsServerAway(exception)))
            {
                // Only what conflicted, or what is broken, is tried alone in the end.
                var half = batch.Count / 2;
                await ProcessAsync(batch[..half], 1, cancellation);
                await ProcessAsync(batch[half..], 1, cancellation);
            }
            else if (conflict && attempt < MaxAttempts)
            {
                await Task.Delay(Random.Shared.Next(1, Math.Min(200, 4 << Math.Min(attempt, 6))), cancellation);
                await ProcessAsync(batch, attempt + 1, cancellation);
            }
            else
            {
                if (conflict && stale is null)
                    exception = new TimeoutException("Other replicas came first again and again.", exception);
                foreach (var work in batch)
                    work.Fail(exception);
            }
        }
    }

    private async Task DecideAndCommitAsync(List<Work> batch, Touched touched, CancellationToken cancellation)
    {
        var needs = batch.SelectMany(work => work.Needs(Roster)).ToHashSet();
        var matches = await log.LoadMatchesAsync(needs, cancellation);
        var started = Stopwatch.GetTimestamp();
        var round = new Round(Look());
        touched.Round = round;
        foreach (var (id, match) in matches)
            round.Know(id, match.State, match.Version, match.Began);
        var answers = new Answer[batch.Count];
        for (var index = 0; index < batch.Count; index++)
        {
            round.Cause = batch[index].Cause;
            answers[index] = batch[index].Run(round);
        }
        DecideSeconds.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);
        BatchSize.Record(batch.Count);
        if (round.HasEvents)
        {
            // Not cancelled by a stop: a commit under way is finished, so that its callers know.
            await log.CommitAsync(round, CancellationToken.None);
            Commits.Add(1);
            OffersMade.Add(round.OffersMade);
            RoundMetrics.Count(round);
            Remember(round);
        }
        for (var index = 0; index < batch.Count; index++)
        {
            batch[index].Complete(answers[index]);
            WaitSeconds.Record(Stopwatch.GetElapsedTime(batch[index].QueuedAt).TotalSeconds);
        }
    }

    private void Remember(Round round)
    {
        foreach (var (needId, match) in round.Matches)
        {
            if (match.Events.Exists(change => change.Event is NeedWaits or NeedEscalated))
                _recentWaits.Enqueue((needId, round.Situation.Now));
        }
        while (_recentWaits.Count > MaxRecentWaits)
            _recentWaits.Dequeue();
    }

    /// <summary>
    /// A need that was sent to the backlog here, while another replica had just freed the place for it, is in nobody's
    /// sight: the subscription has passed the place and had not seen the need. Whoever sent it there tries it once more.
    /// </summary>
    private void TryRecentWaits()
    {
        var since = Now() - Recent;
        while (_recentWaits.TryDequeue(out var waits))
        {
            if (waits.At < since)
                continue;
            lock (_lanes)
                _lanes[(int)Lane.Bulk].Enqueue(new NeedWork(waits.NeedId, Sweeps.Retry, Lane.Bulk, Cause.Current("place-seen-late")));
            _queued.Release();
        }
    }

    /// <summary>Reads again what may have changed behind this process's back. Until that succeeds nothing is decided.</summary>
    private async Task RefreshStaleAsync(CancellationToken cancellation)
    {
        if (_stale.IsEmpty)
            return;
        var streams = new HashSet<Guid>();
        var waiting = new List<TaskCompletionSource>();
        while (_stale.TryDequeue(out var stale))
        {
            streams.Add(stale.Stream);
            if (stale.Done is not null)
                waiting.Add(stale.Done);
        }
        for (var wait = TimeSpan.FromMilliseconds(50); ; wait = TimeSpan.FromSeconds(Math.Min(2, wait.TotalSeconds * 2)))
        {
            try
            {
                if (streams.Contains(PolicyState.StreamId))
                    Policy = await log.LoadPolicyAsync(cancellation);
                if (streams.Contains(MeasuresState.StreamId))
                    Zones = new Zones(await log.LoadMeasuresAsync(cancellation));
                if (streams.Contains(PricesSet.StreamId))
                    Prices = await log.LoadPricesAsync(cancellation);
                var ids = streams.Except(Settings).Select(ResponderId.Of).ToArray();
                if (ids.Length > 0)
                {
                    var ledgers = await log.LoadLedgersAsync(ids, cancellation);
                    var gained = false;
                    foreach (var id in ids)
                    {
                        var (before, after) = (Roster.StateOf(id), ledgers.GetValueOrDefault(id, ResponderState.Initial));
                        gained |= after.Opening is Opening.Open && after.Free > (before.Opening is Opening.Open ? before.Free : 0);
                        Roster.Set(id, after);
                    }
                    if (gained)
                        TryRecentWaits();
                }
                break;
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Ledgers could not be read again; nothing is decided until they are");
                await Task.Delay(wait, time, cancellation);
            }
        }
        waiting.ForEach(done => done.TrySetResult());
    }

    /// <summary>
    /// Follows the ledgers, the policy, the measures and the prices as other replicas change them, as far as the log is complete.
    /// What is missed for a moment costs a conflict, never a place.
    /// </summary>
    private async Task TailAsync(LogHorizon horizon, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(TailInterval, time);
        var mark = horizon.At;
        var untold = new UntoldOffers(database, mark);
        for (var tick = 1; await timer.WaitForNextTickAsync(cancellation); tick++)
        {
            if (StandsBy && tick % TicksAtLeisure != 0)
                continue;
            try
            {
                await using var connection = await database.OpenConnectionAsync(cancellation);
                while (await horizon.AdvanceAsync(connection, cancellation) is var upTo && upTo > mark)
                {
                    await HearOfAsync(connection, mark, upTo, cancellation);
                    mark = upTo;
                }
                Judge(await untold.CountAsync(mark, cancellation));
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                logger.LogWarning(exception, "The changes of other replicas could not be read; trying again");
            }
        }
    }

    /// <summary>Has what changed between these two numbers of the log read again before the next decision.</summary>
    private async Task HearOfAsync(NpgsqlConnection connection, long after, long upTo, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"""
            select e.stream_id, max(e.version), max(e.timestamp) from {EventStore.Schema}.mt_events e
            where e.seq_id > $1 and e.seq_id <= $2 and (e.stream_id = any($3) or exists (select 1 from {Tables.Responders} r where r.id = e.stream_id))
            group by e.stream_id
            """, connection);
        command.Parameters.AddWithValue(after);
        command.Parameters.AddWithValue(upTo);
        command.Parameters.AddWithValue(Settings);
        var behind = false;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            if (reader.GetInt64(1) <= KnownVersionOf(reader.GetGuid(0)))
                continue;
            TailLag.Record(Math.Max(0, (time.GetUtcNow() - reader.GetFieldValue<DateTimeOffset>(2)).TotalSeconds));
            _stale.Enqueue((reader.GetGuid(0), null));
            behind = true;
        }
        if (behind)
            _queued.Release();
    }

    private void Judge(int untold)
    {
        Untold.Record(untold);
        var wasBehind = TellingIsBehind;
        TellingIsBehind = Policy.Policy.TellingIsBehind(untold, wasBehind);
        if (TellingIsBehind != wasBehind)
            logger.LogWarning("Offers are {Pace} told: {Count} are made and not yet told", TellingIsBehind ? "made faster than they are" : "again made as fast as they are", untold);
        if (wasBehind && !TellingIsBehind)
            Interlocked.Exchange(ref _caughtUp, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    private long KnownVersionOf(Guid stream) =>
        stream == PolicyState.StreamId ? Policy.Version
        : stream == MeasuresState.StreamId ? Zones.Version
        : stream == PricesSet.StreamId ? Prices.Version
        : Roster.StateOf(ResponderId.Of(stream)).Version;

    private sealed class Touched
    {
        public Round? Round { get; set; }
        public IEnumerable<ResponderId> Ledgers => Round?.Ledgers.Keys ?? [];
    }
}
