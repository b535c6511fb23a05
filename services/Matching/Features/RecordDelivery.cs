using Huzhu.Contracts.Notifications.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>The offer reached the responder: from now on it has its time to answer.</summary>
public sealed class RecordDeliveryConsumer(DecisionLoop loop) : IConsumer<OfferDelivered>
{
    public Task Consume(ConsumeContext<OfferDelivered> context)
    {
        var said = context.Message;
        return loop.DoAsync(said.NeedId, (state, situation) => Match.DecideDelivered(state, said.OfferId, said.Channel, said.At, situation.Now),
            Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class RecordDeliveryDefinition : MatchingConsumerDefinition<RecordDeliveryConsumer>;

/// <summary>No channel could carry the offer: the next candidate, and no mark against the responder.</summary>
public sealed class RecordUndeliverableConsumer(DecisionLoop loop) : IConsumer<Contracts.Notifications.V1.OfferUndeliverable>
{
    public Task Consume(ConsumeContext<Contracts.Notifications.V1.OfferUndeliverable> context)
    {
        var said = context.Message;
        return loop.DoAsync(said.NeedId, (state, situation) => Match.DecideUndeliverable(state, said.OfferId, said.Reason, situation.Now),
            Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class RecordUndeliverableDefinition : DecidingConsumerDefinition<RecordUndeliverableConsumer>;
