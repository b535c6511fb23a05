using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Formats.Cap;

/// <summary>
/// Does what an alert asks for, or ends it when another has taken its place. Called when an alert arrives, and by a timer
/// set with each of its events, so that a crash halfway is no harm: what has been done yields nothing.
/// </summary>
public sealed class ApplyAlert(Streams streams, TimeProvider time) : ITimerHandler
{
    public string Kind => Timetable.ApplyAlert;

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        // Another alert may take its place while this one is being applied: whoever sees the last version settles it.
        for (var seen = 0L; ;)
        {
            var alert = await streams.LoadAsync<Alert, AlertEvent>(subject, cancellation);
            if (alert.Version == seen || alert.State.Received is not { } received)
                return;
            seen = alert.Version;
            if (alert.State.EndedBy is { } end)
                await EndAsync(received, end, cancellation);
            else if (!received.IsDrill)
                await BeginAsync(received, cancellation);
            // After its own measures, so that who is under both is never seen open in between.
            foreach (var earlier in received.Replaces)
                await ReplaceAsync(earlier, received, cancellation);
        }
    }

    private async Task BeginAsync(AlertReceived received, CancellationToken cancellation)
    {
        var by = received.Alert.Sender;
        foreach (var plan in received.Measures)
        {
            await streams.ChangeAsync<Measure, MeasureEvent>(plan.Id.Value, (loaded, _) => ValueTask.FromResult(Measure.DecidePublication(loaded.State,
                new MeasurePublished(plan.Name, plan.Area, plan.From, plan.Until, plan.SealsZone, plan.ClosesProviders, by, time.GetUtcNow()))), cancellation, CausedBy(received));
        }
        foreach (var closure in received.Closures)
            await SayAsync(received, closure, closes: true, closure.Reason, cancellation);
    }

    private async Task EndAsync(AlertReceived received, AlertReplaced end, CancellationToken cancellation)
    {
        if (received.IsDrill)
            return;
        var reason = $"{(end.Cancelled ? "Cancelled" : "Replaced")} by {end.By.Identifier}.";
        foreach (var plan in received.Measures)
        {
            await streams.ChangeAsync<Measure, MeasureEvent>(plan.Id.Value, (loaded, _) => ValueTask.FromResult(
                Measure.DecideLift(loaded.State, reason, end.By.Sender, time.GetUtcNow())), cancellation, CausedBy(received));
        }
        foreach (var closure in received.Closures)
            await SayAsync(received, closure, closes: false, reason, cancellation);
    }

    /// <summary>
    /// A provider's closure, and its end over the very time that the closure spoke of: both are said at the alert's own
    /// time, so that neither undoes what the provider has said since.
    /// </summary>
    private Task SayAsync(AlertReceived received, PlannedClosure closure, bool closes, string reason, CancellationToken cancellation)
    {
        var saidAt = received.Alert.Sent < received.At ? received.Alert.Sent : received.At;
        var word = new OpeningWord(closes, reason, closure.From, closure.Until, saidAt);
        var origin = new CloudEventOrigin(received.Alert.Sender, $"{CapProfile.IdOf(received.Alert)}{(closes ? "" : " ended")}");
        return streams.ChangeAsync<Provider, ProviderEvent>(closure.ProviderId.Value, (loaded, _) => ValueTask.FromResult(
            // One that was never heard of closed needs no reopening.
            !closes && !loaded.State.Heard.Any(heard => heard == origin with { Id = CapProfile.IdOf(received.Alert).ToString() })
                ? Decision<ProviderEvent>.Nothing
                : Provider.DecideWord(loaded.State, word, received.Alert.Sender, origin, time.GetUtcNow())), cancellation, CausedBy(received));
    }

    private async Task ReplaceAsync(AlertReference earlier, AlertReceived received, CancellationToken cancellation)
    {
        var id = CapProfile.IdOf(earlier);
        var outcome = await streams.ChangeAsync<Alert, AlertEvent>(id, (loaded, _) => ValueTask.FromResult(Alert.DecideReplacement(loaded.State,
            new AlertReplaced(received.Alert, received.Cancels, received.IsDrill, time.GetUtcNow()))), cancellation, CausedBy(received));
        if (outcome is { Appended: > 0, State: { Received: { } replaced, EndedBy: { } end } })
            await EndAsync(replaced, end, cancellation);
    }

    private static string CausedBy(AlertReceived received) => $"{received.Alert.Sender},{received.Alert.Identifier}";
}
