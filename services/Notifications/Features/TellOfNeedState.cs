using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications.Domain;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>Tells the requester what has become of the need.</summary>
public sealed class TellOfNeedStateConsumer(Delivery delivery, TimeProvider time) : IConsumer<NeedStateChanged>
{
    public Task Consume(ConsumeContext<NeedStateChanged> context) => delivery.TellAsync(
        Messages.Of(context.Message, context.CauseId(), time.GetUtcNow()), context.CauseId().ToString(), context.CancellationToken);
}

public sealed class TellOfNeedStateConsumerDefinition() : TellingDefinition<TellOfNeedStateConsumer>(mostAtOnce: 8);
