using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>Asks the responder of an offer whether it takes the need.</summary>
public sealed class TellOfOfferConsumer(Delivery delivery, TimeProvider time) : IConsumer<OfferMade>
{
    public Task Consume(ConsumeContext<OfferMade> context) => delivery.TellAsync(
        Messages.Of(context.Message, context.CauseId(), time.GetUtcNow()), context.CauseId().ToString(), context.CancellationToken);
}

public sealed class TellOfOfferConsumerDefinition : TellingDefinition<TellOfOfferConsumer>;
