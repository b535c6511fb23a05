using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>
/// Records, for each subscription that wants it, that an event is to be delivered. It sends nothing itself: a timer of the
/// subscriptions' own lane does, so that one slow receiver holds up neither the other subscribers nor, in any way, the
/// telling of people.
/// </summary>
public sealed class TellSubscribersConsumer(Subscriptions subscriptions, NotificationLog log, MatchingDirectory matching, RequestsDirectory requests, TimeProvider time)
    : IConsumer<NeedStateChanged>, IConsumer<OfferMade>, IConsumer<OfferAccepted>, IConsumer<OfferEnded>
{
    public Task Consume(ConsumeContext<NeedStateChanged> context) => TellAsync(context, Messages.ToSubscriber(context.Message, context.CauseId(), time.GetUtcNow()));

    public Task Consume(ConsumeContext<OfferMade> context) => TellAsync(context, Messages.ToSubscriber(context.Message, context.CauseId(), time.GetUtcNow()));

    public Task Consume(ConsumeContext<OfferAccepted> context) => TellAsync(context, Messages.ToSubscriber(context.Message, context.CauseId(), time.GetUtcNow()));

    public Task Consume(ConsumeContext<OfferEnded> context) => TellAsync(context, Messages.ToSubscriber(context.Message, context.CauseId(), time.GetUtcNow()));

    private async Task TellAsync(ConsumeContext context, NotificationRequested request)
    {
        var cancellation = context.CancellationToken;
        var known = await subscriptions.ActiveAsync(cancellation);
        var (type, state) = (Messages.EventTypeOf(request), Messages.StateOf(request));
        NeedFacts? facts = null;
        foreach (var subscription in known.Active.Where(one => one.Subscription.Filter.Wants(type, state)))
        {
            if (known.Full.Contains(subscription.Id))
            {
                await subscriptions.ChangeAsync(subscription.Id, one => ValueTask.FromResult(Subscription.DecideDisabling(one, Subscription.TooManyWaiting, null, time.GetUtcNow())), cancellation);
                continue;
            }
            if (subscription.Subscription.Filter.AsksForNeed)
            {
                facts ??= await matching.FindNeedAsync(request.NeedId, cancellation);
                if (!subscription.Subscription.Filter.WantsNeed(facts.Kind, facts.SubDistrict))
                    continue;
            }
            if (subscription.Subscription.Filter.Sources is { } sources && (await requests.FindSourceAsync(request.RequestId, cancellation) is not { } source || !sources.Contains(source)))
                continue;
            var own = request with { SubscriptionId = subscription.Id };
            // A conflict means that the message has come twice, and then there is nothing to add.
            await log.RecordAsync(NotificationLog.IdOf(own), NotificationLog.BeginUnread(own), _ => [], context.CauseId().ToString(), cancellation);
        }
    }
}

/// <summary>Few at once: nobody waits for these.</summary>
public sealed class TellSubscribersConsumerDefinition() : TellingDefinition<TellSubscribersConsumer>(mostAtOnce: 8);

/// <summary>The same for deliveries to subscribers, in their lane.</summary>
public sealed class DeliverEventTimer(IServiceScopeFactory scopes) : DeliverNotificationTimer(scopes)
{
    public new const string TimerKind = "deliver-event";

    public override string Kind => TimerKind;
}
