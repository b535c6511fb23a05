using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>Tells the responder where to go and whom to see, and the requester who comes.</summary>
public sealed class TellOfAcceptanceConsumer(Delivery delivery, TimeProvider time) : IConsumer<OfferAccepted>
{
    public Task Consume(ConsumeContext<OfferAccepted> context) => delivery.TellAsync(
        Messages.Of(context.Message, context.CauseId(), time.GetUtcNow()), context.CauseId().ToString(), context.CancellationToken);
}

public sealed class TellOfAcceptanceConsumerDefinition : TellingDefinition<TellOfAcceptanceConsumer>;
