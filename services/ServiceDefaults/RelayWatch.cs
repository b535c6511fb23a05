using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Tells, as a metric, how old the oldest event is that has not been published: by the log and by how far the relay has
/// come, whoever relays and whether or not anybody does. Every replica looks, at one row. While the log cannot be read, the
/// age counts on from the last look: nothing newer is known to have been published.
/// </summary>
internal sealed class RelayWatch(NpgsqlDataSource database, TimeProvider time, ILogger<RelayWatch> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private static readonly Meter Meter = new("Huzhu.Relay");
    private static readonly Gauge<double> UnpublishedAge = Meter.CreateGauge<double>(
        "huzhu.relay.unpublished.age", "s", "Age of the oldest event that has not been published; 0 when all have been");

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var (age, lookedAt) = (0.0, time.GetTimestamp());
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                try
                {
                    (age, lookedAt) = (await ReadAsync(stoppingToken), time.GetTimestamp());
                    UnpublishedAge.Record(age);
                }
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
                {
                    logger.LogDebug(exception, "It could not be seen what is not published yet");
                    UnpublishedAge.Record(age + time.GetElapsedTime(lookedAt).TotalSeconds);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task<double> ReadAsync(CancellationToken cancellation)
    {
        using var within = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        within.CancelAfter(Interval);
        // By the database's clock, which dated the event. One that the relay has nothing to say of is passed over at once, so the next one is the oldest whatever it is.
        await using var command = database.CreateCommand($"""
            select greatest(0, extract(epoch from clock_timestamp() - e.timestamp))::float8 from {EventStore.Schema}.mt_events e
            where e.seq_id > (select coalesce(max(last_seq_id), 0) from {LogSubscriptionRunner.Places} where name = $1) order by e.seq_id limit 1
            """);
        command.Parameters.AddWithValue(LogSubscriptionRunner.PlaceOf(EventPublisher.SubscriptionName));
        return await command.ExecuteScalarAsync(within.Token) is double age ? age : 0;
    }
}
