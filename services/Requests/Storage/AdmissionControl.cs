using System.Diagnostics.Metrics;
using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Microsoft.AspNetCore.Http.Features;
using Npgsql;

namespace Huzhu.Requests.Storage;

/// <summary>
/// Looks once a second how much is under way, and has the intake shed or take in. The mode is the newest event of one stream,
/// which every replica reads at every look: whoever sees a reason to change it appends, the others follow within a second.
/// </summary>
public sealed class AdmissionControl(IDocumentStore store, NpgsqlDataSource database, IConfiguration configuration, TimeProvider time, ILogger<AdmissionControl> logger) : BackgroundService
{
    public const string UnaskedKey = "Admission:MostUnasked";
    public const string SecondsKey = "Admission:LongestSubmissionSeconds";
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Counted = TimeSpan.FromHours(1);
    private const int ShortestRetry = 10;
    private const int LongestRetry = 30;

    private static readonly Meter Meter = new("Huzhu.Requests");
    private static readonly Gauge<int> IsSheddingNow = Meter.CreateGauge<int>("huzhu.requests.shedding", description: "1 while only calls of people in danger of life are taken in");
    private static readonly Gauge<int> UnaskedNow = Meter.CreateGauge<int>("huzhu.requests.unasked", description: "Requests of the last hour for which nobody has been asked, because so much is under way");
    private static readonly Counter<long> Shed = Meter.CreateCounter<long>("huzhu.requests.shed", description: "Calls that were shed, by urgency and channel");

    private volatile AdmissionState _state = AdmissionState.Initial;
    private DateTimeOffset? _calmSince;

    public AdmissionSigns Limits { get; } = new(Read(configuration, UnaskedKey, 2_000, 1_000_000, int.Parse), Read(configuration, SecondsKey, 1.0, 3_600, double.Parse));

    /// <summary>As this replica saw it at its last look.</summary>
    public AdmissionSigns Seen { get; private set; } = new(0, 0);

    public AdmissionState State => _state;

    /// <summary>To be told of every commit of submissions.</summary>
    public SubmissionPace Pace { get; } = new(time);

    public bool Sheds(Urgency urgency) => Admission.Sheds(_state.Mode, urgency);

    /// <summary>Has whoever was shed come again, not all at once. Nothing of the call is kept, its idempotency key neither.</summary>
    public void Refuse(HttpContext http, Urgency urgency, string channel)
    {
        Shed.Add(1, new("urgency", Words.Of(urgency)), new("channel", channel));
        // So that the web server's own metric tells this 503, which is meant, from one of a fault.
        http.Features.Get<IHttpMetricsTagsFeature>()?.Tags.Add(new("error.type", "shedding"));
        http.Response.Headers.RetryAfter = Random.Shared.Next(ShortestRetry, LongestRetry + 1).ToString(CultureInfo.InvariantCulture);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                try
                {
                    await LookAsync(stoppingToken);
                }
                catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
                {
                    // The mode stays as it is. A database that is away takes nothing in, and another replica may have decided.
                    var level = Messaging.IsServerAway(exception) || Conflict.Is(exception) ? LogLevel.Debug : LogLevel.Warning;
                    logger.Log(level, exception, "It could not be seen how much is under way");
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task LookAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var (unasked, state, version) = await ReadAsync(now - Counted, cancellation);
        Seen = new AdmissionSigns(unasked, Math.Round(Pace.Look(await WaitForThreadAsync()), 3));
        _state = state;
        _calmSince = Seen.IsCalm(Limits) ? _calmSince ?? now : null;
        if (Admission.Decide(state, Seen, Limits, _calmSince, now).Events is [var changed])
        {
            await using var session = store.LightweightSession();
            (version == 0 ? session.Events.StartStream(Admission.StreamId, changed) : session.Events.Append(Admission.StreamId, version + 1, changed)).CausedBy(Cause.Current());
            await session.SaveChangesAsync(cancellation);
            _state = Admission.Evolve(state, changed);
            logger.LogWarning("{Change}: {Unasked} requests for which nobody has been asked, {Seconds} s to take one in", changed.GetType().Name, Seen.Unasked, Seen.SubmissionSeconds);
        }
        UnaskedNow.Record(unasked);
        IsSheddingNow.Record(_state.Mode is AdmissionMode.Shedding ? 1 : 0);
    }

    private async Task<TimeSpan> WaitForThreadAsync()
    {
        var ready = time.GetTimestamp();
        // Behind everything that is ready now.
        return await Task.Factory.StartNew(() => time.GetElapsedTime(ready), CancellationToken.None, TaskCreationOptions.PreferFairness, TaskScheduler.Default);
    }

    /// <summary>How many are unasked, and no more than it takes to know that they are too many; and the newest event of the stream.</summary>
    private async Task<(int Unasked, AdmissionState State, long Version)> ReadAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand(
            $"select count(*)::int from (select 1 from {EventStore.Schema}.mt_doc_requestview where {RequestView.IsUnasked} and submitted_at > $1 limit $2) few")
        {
            Parameters = { new NpgsqlParameter { Value = since.ToUniversalTime() }, new NpgsqlParameter { Value = Limits.Unasked + 1 } },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"select version, type, data->>'at' from {EventStore.Schema}.mt_events where stream_id = $1 order by version desc limit 1")
        {
            Parameters = { new NpgsqlParameter { Value = Admission.StreamId } },
        });
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var unasked = reader.GetInt32(0);
        await reader.NextResultAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? (unasked, new AdmissionState(reader.GetString(1) == Began ? AdmissionMode.Shedding : AdmissionMode.Open, DateTimeOffset.Parse(reader.GetString(2), CultureInfo.InvariantCulture)), reader.GetInt64(0))
            : (unasked, AdmissionState.Initial, 0);
    }

    private static readonly string Began = EventStore.NameOf(typeof(SheddingBegan));

    private static T Read<T>(IConfiguration configuration, string key, T otherwise, T most, Func<string, IFormatProvider, T> parse) where T : IComparable<T>
    {
        if (configuration[key] is not { Length: > 0 } text)
            return otherwise;
        try
        {
            if (parse(text, CultureInfo.InvariantCulture) is var value && value.CompareTo(default!) > 0 && value.CompareTo(most) <= 0)
                return value;
        }
        catch (FormatException)
        {
        }
        throw new InvalidOperationException($"{key} must be a number above 0 and up to {most}.");
    }
}
