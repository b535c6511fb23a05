using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>A need arrives and is settled at once: asked for, or in the backlog with a reason.</summary>
public sealed class ReceiveNeedConsumer(DecisionLoop loop, Decider decider) : IConsumer<NeedSubmitted>, IConsumer<WhoDecides>
{
    public Task Consume(ConsumeContext<NeedSubmitted> context)
    {
        decider.Heard();
        return ReceiveAsync(loop, context.Message.Need, context);
    }

    public Task Consume(ConsumeContext<WhoDecides> context)
    {
        decider.Heard();
        return Task.CompletedTask;
    }

    internal static Task ReceiveAsync(DecisionLoop loop, Need need, ConsumeContext context)
    {
        if (Messages.WhatIsWrong(need) is { } wrong)
            throw new MalformedMessageException($"Need {need.NeedId}: {wrong}");
        return loop.DoAsync(need.NeedId, (state, situation) => Match.DecideReceive(state, need, situation.Now),
            need.Urgency is Urgency.LifeThreatening ? Lane.Urgent : Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class ReceiveNeedDefinition : DecidingConsumerDefinition<ReceiveNeedConsumer>;

/// <summary>The lane of those whose life is in danger: told beside the others, and waiting behind none of them.</summary>
public sealed class ReceiveUrgentNeedConsumer(DecisionLoop loop) : IConsumer<LifeThreateningNeedSubmitted>
{
    public Task Consume(ConsumeContext<LifeThreateningNeedSubmitted> context) => ReceiveNeedConsumer.ReceiveAsync(loop, context.Message.Need, context);
}

public sealed class ReceiveUrgentNeedDefinition : DecidingConsumerDefinition<ReceiveUrgentNeedConsumer>;

/// <summary>A repeat call raised the urgency: more responders may be asked at once, and humans are told sooner.</summary>
public sealed class RaiseUrgencyConsumer(DecisionLoop loop) : IConsumer<Contracts.Requests.V1.NeedUrgencyRaised>
{
    public Task Consume(ConsumeContext<Contracts.Requests.V1.NeedUrgencyRaised> context)
    {
        var urgency = context.Message.Urgency;
        return loop.DoAsync(context.Message.NeedId, (state, situation) => Match.DecideRaiseUrgency(state, urgency, situation.Now),
            urgency is Urgency.LifeThreatening ? Lane.Urgent : Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class RaiseUrgencyDefinition : DecidingConsumerDefinition<RaiseUrgencyConsumer>;
