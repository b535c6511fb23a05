using System.Diagnostics.Metrics;
using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Operations;

/// <summary>
/// How the backlog and the places stand, as metrics: every few seconds, by the index of the backlog and from memory. The
/// replica that decides tells them; one that has told them and stands by says 0, so that the most of all is what holds.
/// </summary>
public sealed class StandingMetrics(DecisionLoop loop, Decider decider, NpgsqlDataSource database, TimeProvider time, ILogger<StandingMetrics> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private static readonly string[] BacklogStates = [Words.Of(NeedState.Waiting), Words.Of(NeedState.Escalated)];

    private static readonly Meter Meter = new("Huzhu.Matching");
    private static readonly Gauge<int> BacklogSize = Meter.CreateGauge<int>("huzhu.matching.backlog.size", "{need}", "Needs that wait or are escalated, by urgency");
    private static readonly Gauge<double> BacklogAge = Meter.CreateGauge<double>("huzhu.matching.backlog.age", "s", "How long ago the oldest need that waits or is escalated was asked for, by urgency; 0 for none");
    private static readonly Gauge<int> PlacesHeld = Meter.CreateGauge<int>("huzhu.matching.places.held", "{place}", "Places that hold a need, of responders that are open");
    private static readonly Gauge<int> PlacesInAll = Meter.CreateGauge<int>("huzhu.matching.places.capacity", "{place}", "Places in all, of responders that are open");

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await loop.Loaded.WaitAsync(stoppingToken);
            using var timer = new PeriodicTimer(Interval, time);
            var told = false;
            do
            {
                try
                {
                    if (!decider.IsElsewhere)
                        await TellAsync(stoppingToken);
                    else if (told)
                        Record(_ => 0, _ => 0, _ => (0, 0));
                    told = !decider.IsElsewhere;
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    logger.LogWarning(exception, "The backlog could not be counted; trying again");
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task TellAsync(CancellationToken cancellation)
    {
        var (needs, ages) = (new Dictionary<(Urgency, string), int>(), new Dictionary<Urgency, double>());
        await using var command = database.CreateCommand($"""
            select urgency_rank, backlog, count(*)::int, extract(epoch from $1 - min(submitted_at))::float8 from {Tables.Needs} where backlog is not null group by 1, 2
            """);
        command.Parameters.AddWithValue(time.GetUtcNow().ToUniversalTime());
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                var urgency = Tables.UrgencyOf(reader.GetInt32(0));
                needs[(urgency, reader.GetString(1))] = reader.GetInt32(2);
                ages[urgency] = Math.Max(ages.GetValueOrDefault(urgency), reader.GetDouble(3));
            }
        }
        var places = new Dictionary<ResponderKind, (int Held, int InAll)>();
        foreach (var state in loop.Roster.All.Select(listing => listing.State).Where(state => state.Opening is Opening.Open))
        {
            var (held, inAll) = places.GetValueOrDefault(state.Profile!.Kind);
            places[state.Profile.Kind] = (held + state.Held.Count, inAll + state.Capacity);
        }
        Record(key => needs.GetValueOrDefault(key), urgency => ages.GetValueOrDefault(urgency), kind => places.GetValueOrDefault(kind));
    }

    /// <summary>All of them, those that are 0 too.</summary>
    private static void Record(Func<(Urgency, string), int> needs, Func<Urgency, double> age, Func<ResponderKind, (int Held, int InAll)> places)
    {
        foreach (var urgency in Enum.GetValues<Urgency>())
        {
            var said = new KeyValuePair<string, object?>("urgency", Words.Of(urgency));
            foreach (var state in BacklogStates)
                BacklogSize.Record(needs((urgency, state)), said, new("state", state));
            BacklogAge.Record(age(urgency), said);
        }
        foreach (var kind in Enum.GetValues<ResponderKind>())
        {
            var (held, inAll) = places(kind);
            var said = new KeyValuePair<string, object?>("responder_kind", Words.Of(kind));
            PlacesHeld.Record(held, said);
            PlacesInAll.Record(inAll, said);
        }
    }
}
