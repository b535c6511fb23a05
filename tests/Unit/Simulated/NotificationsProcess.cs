using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;

namespace Huzhu.Tests.Unit.Simulated;

/// <summary>Tells responders and requesters, on two channels that may fail, and by durable timers after a failure.</summary>
internal sealed class NotificationsProcess(World world) : SimulatedProcess(world)
{
    public const string Deliver = "deliver-notification";
    private static readonly ChannelOption[] Channels = [new("wechat", new ChannelAbilities(Text: true, Voice: false)), new("sms", new ChannelAbilities(Text: true, Voice: false))];

    protected override SimulatedLog Log => World.Notifications;

    public static Notification Fold(IEnumerable<object> events) => Notification.Fold(Notification.Initial, events.Cast<NotificationEvent>());

    protected override IEnumerable<bool> Handle(Delivery delivery)
    {
        var requested = delivery.Message switch
        {
            OfferMade made => Messages.Of(made, delivery.Id, Now),
            OfferAccepted accepted => Messages.Of(accepted, delivery.Id, Now),
            OfferEnded ended => Messages.Of(ended, delivery.Id, Now),
            NeedStateChanged changed => Messages.Of(changed, delivery.Id, Now),
            var other => throw new InvalidOperationException($"Notifications does not listen to {other.GetType()}."),
        };
        return requested.SelectMany(Tell);
    }

    protected override IEnumerable<bool> Handle(SimulatedTimer timer)
    {
        var id = new NotificationId(timer.Subject);
        var events = Log.Read(id.Value);
        var (version, state) = (events.Count, Fold(events));
        yield return true;
        if (state.NextAt is not { } next || next > Now)
            yield break;
        foreach (var step in Attempt(id, version, state, []))
            yield return step;
    }

    private IEnumerable<bool> Tell(NotificationRequested request)
    {
        var id = World.ForgetsCauses ? new NotificationId(World.NewId()) : NotificationLog.IdOf(request);
        var events = Log.Read(id.Value);
        var (version, before) = (events.Count, Fold(events));
        yield return true;
        var begun = Notification.DecideRequest(before, request).Events;
        var state = Notification.Fold(before, begun);
        if (state is not { HasEnded: false, NextAt: null })
            yield break;
        foreach (var step in Attempt(id, version, state, begun))
            yield return step;
    }

    private IEnumerable<bool> Attempt(NotificationId id, long version, Notification state, IReadOnlyList<NotificationEvent> begun)
    {
        Func<Notification, IReadOnlyList<NotificationEvent>> decide;
        var now = Now;
        if (Notification.DecideRelevance(state, overtaken: false, now).Events.Count > 0)
        {
            decide = current => Notification.DecideRelevance(current, overtaken: false, Now).Events;
        }
        else
        {
            var chosen = Notification.Fold(state, Notification.DecideChannel(state, Channels, [], now).Events);
            if (chosen.HasEnded)
            {
                decide = current => Notification.DecideChannel(current, Channels, [], now).Events;
            }
            else
            {
                var outcome = World.Faults.On && World.Chance.OneIn(5) ? World.Chance.OneIn(2) ? SendOutcome.Refused("http-410") : SendOutcome.Transient("timeout") : SendOutcome.Success;
                if (outcome.Succeeded)
                    World.People.Hear(id, state.Request!);
                yield return true;
                var attempt = new Attempt(chosen.Attempts + 1, chosen.Position, chosen.Channel!, Notification.HasFittingChannelAfter(chosen.Position, Channels, []), outcome);
                var jitter = World.Chance.Below(100) / 100.0;
                decide = current =>
                {
                    var again = Notification.DecideChannel(current, Channels, [], now).Events;
                    var result = Notification.DecideOutcome(Notification.Fold(current, again), attempt, jitter, Now).Events;
                    return result.Count == 0 ? [] : [.. again, .. result];
                };
            }
        }
        for (var conflicts = 0; ; conflicts++)
        {
            var events = decide(state);
            IReadOnlyList<NotificationEvent> all = [.. begun, .. events];
            if (all.Count == 0)
                yield break;
            var timers = Notification.Fold(state, events).NextAt is { } next ? new[] { new SimulatedTimer(Deliver, id.Value, next) } : [];
            if (Log.TryCommit([new Change(id.Value, version, all)], timers))
                break;
            if (conflicts == 5)
                throw new ConsumerFailedException("conflicts");
            yield return true;
            var stored = Log.Read(id.Value);
            (version, state, begun) = (stored.Count, Fold(stored), []);
        }
        yield return true;
    }
}
