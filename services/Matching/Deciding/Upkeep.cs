using Huzhu.Contracts;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Npgsql;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// When a place is freed, a responder registers, changes or reopens, or a zone is lifted, the backlog that can be served
/// is tried. Reads the log, so that it happens even if the process that freed the place dies; runs on one replica.
/// </summary>
public sealed class BacklogSubscription(DecisionLoop loop, Decider decider, BacklogTrial trial, ILogger<BacklogSubscription> logger) : ILogSubscription
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    public string Name => "Backlog";

    public IReadOnlyCollection<Type> EventTypes { get; } = [typeof(PlaceReleased), typeof(ResponderListed), typeof(ResponderUpdated), typeof(ResponderReopened), typeof(ZoneLifted)];

    public async Task HandleAsync(IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        await loop.Loaded.WaitAsync(cancellation);
        for (var wait = TimeSpan.FromMilliseconds(100); ; wait = wait < LongestWait ? wait * 2 : LongestWait)
        {
            try
            {
                await TryAsync(events, cancellation);
                return;
            }
            catch (Exception exception) when (exception is not OperationCanceledException && Messaging.IsServerAway(exception))
            {
                logger.LogWarning(exception, "The backlog could not be tried; trying again");
                await Task.Delay(wait, cancellation);
            }
        }
    }

    private async Task TryAsync(IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        var versions = new Dictionary<Guid, long>();
        var everywhere = false;
        foreach (var stored in events)
        {
            everywhere |= stored.Data is ZoneLifted;
            versions[stored.StreamId] = stored.Version;
        }
        var freed = new PlacesFreed(versions, everywhere, events[^1].Id.ToString(), events[^1].TraceParent());
        if (!await decider.PassOnAsync(freed, cancellation))
            await trial.TryAsync(freed, cancellation);
    }
}

/// <summary>Tries the backlog where places were freed, once this process knows of them.</summary>
public sealed class BacklogTrial(DecisionLoop loop, Sweeps sweeps)
{
    private readonly SemaphoreSlim _alone = new(1);

    public async Task TryAsync(PlacesFreed freed, CancellationToken cancellation)
    {
        await loop.Loaded.WaitAsync(cancellation);
        // One after the other: two at once would try the same needs for the same places.
        await _alone.WaitAsync(cancellation);
        try
        {
            await TryAloneAsync(freed, cancellation);
        }
        finally
        {
            _alone.Release();
        }
    }

    private async Task TryAloneAsync(PlacesFreed freed, CancellationToken cancellation)
    {
        // The change may be another replica's, and not be known here yet.
        var unknown = freed.Versions.Where(stream => stream.Key == MeasuresState.StreamId
            ? loop.Zones.Version < stream.Value
            : loop.Roster.StateOf(ResponderId.Of(stream.Key)).Version < stream.Value).Select(stream => stream.Key).ToArray();
        await loop.RefreshAsync(unknown, cancellation);
        var responders = freed.Everywhere ? [.. loop.Roster.All.Select(listing => listing.Id)] : freed.Versions.Keys.Select(ResponderId.Of).ToList();
        await sweeps.TryBacklogAsync(responders, new Cause(freed.TraceParent, freed.CausationId), cancellation);
    }
}

/// <summary>
/// Finishes what may have been interrupted: at start, when telling has caught up, and at least once a minute. Everything
/// else here is also caused by events; this is the net below them.
/// </summary>
public sealed class SafetyNet(DecisionLoop loop, Sweeps sweeps, Decider decider, TimeProvider time, ILogger<SafetyNet> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await loop.Loaded.WaitAsync(stoppingToken);
            while (true)
            {
                var caughtUp = loop.CaughtUp;
                try
                {
                    await SweepAsync(stoppingToken);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    logger.LogWarning(exception, "The backlog could not be swept; trying again later");
                }
                await caughtUp.WaitAsync(Interval(loop.Policy.Policy), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                stoppingToken.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>A minute, or as often as the policy would have silent responders asked again.</summary>
    internal static TimeSpan Interval(Policy policy) => TimeSpan.FromSeconds(Math.Clamp(
        Enum.GetValues<Urgency>().Min(urgency => policy.For(urgency).AskAgainAfterSeconds) / 2, 1, 60));

    private async Task SweepAsync(CancellationToken cancellation)
    {
        if (decider.IsElsewhere)
            return;
        var cause = Cause.Current("safety-net");
        foreach (var listing in loop.Roster.All.Where(listing => listing.State is { Opening: not Opening.Open, Held.Count: > 0 }))
            await sweeps.TakeFromAsync(listing.Id, cause, cancellation);
        await sweeps.TakeAcrossZonesAsync(cause, cancellation);
        await sweeps.EscalateOverdueAsync(cause, cancellation);
        if (await sweeps.HasBacklogAsync(cancellation))
            await sweeps.TryBacklogAsync([.. loop.Roster.All.Select(listing => listing.Id)], cause, cancellation);
    }
}

/// <summary>
/// Works out what places are worth to those who are still to come, as often as the policy says, where needs are decided: on
/// a copy of the directory, beside the loop.
/// </summary>
public sealed class PriceSetting(DecisionLoop loop, Log log, Sweeps sweeps, Decider decider, TimeProvider time, ILogger<PriceSetting> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await loop.Loaded.WaitAsync(stoppingToken);
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
            var last = time.GetTimestamp();
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (loop.Policy.Policy.Prices is not { } pricing || time.GetElapsedTime(last).TotalSeconds < pricing.EverySeconds)
                    continue;
                last = time.GetTimestamp();
                try
                {
                    if (!decider.IsElsewhere)
                        await SetAsync(pricing, stoppingToken);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    logger.LogWarning(exception, "Prices could not be set; those from before hold until they can");
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task SetAsync(Pricing pricing, CancellationToken cancellation)
    {
        var (situation, before) = (loop.Look(), loop.Prices);
        var (recent, demand) = await sweeps.RecentAsync(situation.Now - TimeSpan.FromSeconds(pricing.DemandSeconds), Pricer.MostNeeds, cancellation);
        var prices = Pricer.Price(recent, demand, situation.Roster.All, situation.Policy, situation.Zones, situation.Now);
        if (prices.Prices.Count == before.Prices.Count && prices.Prices.All(price => before.PriceOf(price.ResponderId) == price.Metres))
            return;
        await log.AppendPricesAsync(prices, before.Version, Cause.Current("prices"), cancellation);
        await loop.RefreshAsync([PricesSet.StreamId], cancellation);
    }
}

/// <summary>An offer's life is over, unless it has ended before.</summary>
public sealed class OfferExpiryTimer(Decider decider, NpgsqlDataSource database, TimeProvider time) : ITimerHandler
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    public string Kind => Log.OfferExpiry;

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        var answer = await decider.DoAsync(new NeedCommand(NeedId.Of(subject), NeedVerb.Expire), Lane.Normal, Cause.Current("timer:offer-expiry"), cancellation);
        // Whoever decided may go by a later clock, or this one may have been set back: an open offer always has a timer to come.
        if (answer.State.OpenOffers.Min(offer => (DateTimeOffset?)offer.EndsAt) is not { } endsAt)
            return;
        var soonest = time.GetUtcNow() + Pause;
        await Timers.EnsureAsync(database, Kind, subject, endsAt + Log.Later > soonest ? endsAt + Log.Later : soonest, cancellation);
    }
}

/// <summary>The urgency's limit has passed: if the need still waits, humans are told.</summary>
public sealed class EscalationTimer(Decider decider) : ITimerHandler
{
    public string Kind => Log.Escalation;

    public Task HandleAsync(Guid subject, CancellationToken cancellation) => decider.DoAsync(
        new NeedCommand(NeedId.Of(subject), NeedVerb.Retry), Lane.Normal, Cause.Current("timer:escalation"), cancellation);
}
