using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>A need arrives and is settled at once: asked for, or in the backlog with a reason.</summary>
public sealed class ReceiveNeedConsumer(DecisionLoop loop) : IConsumer<NeedSubmitted>
{
    public Task Consume(ConsumeContext<NeedSubmitted> context)
    {
        var need = context.Message.Need;
        if (Messages.WhatIsWrong(need) is { } wrong)
            throw new MalformedMessageException($"Need {need.NeedId}: {wrong}");
        return loop.DoAsync(need.NeedId, (state, situation) => Match.DecideReceive(state, need, situation.Now),
            need.Urgency is Urgency.LifeThreatening ? Lane.Urgent : Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class ReceiveNeedDefinition : MatchingConsumerDefinition<ReceiveNeedConsumer>;

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

public sealed class RaiseUrgencyDefinition : MatchingConsumerDefinition<RaiseUrgencyConsumer>;
