using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>Tells the responder that an offer ended, unless it ended the offer itself.</summary>
public sealed class TellOfOfferEndConsumer(Delivery delivery, TimeProvider time) : IConsumer<OfferEnded>
{
    public Task Consume(ConsumeContext<OfferEnded> context) => delivery.TellAsync(
        Messages.Of(context.Message, context.CauseId(), time.GetUtcNow()), context.CauseId().ToString(), context.CancellationToken);
}

public sealed class TellOfOfferEndConsumerDefinition : TellingDefinition<TellOfOfferEndConsumer>;
