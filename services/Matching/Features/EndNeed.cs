using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>Help is no longer wanted: whoever was asked or had accepted is told, and its place is free.</summary>
public sealed class CancelNeedConsumer(DecisionLoop loop) : IConsumer<Contracts.Requests.V1.NeedCancelled>
{
    public Task Consume(ConsumeContext<Contracts.Requests.V1.NeedCancelled> context)
    {
        var said = context.Message;
        return loop.DoAsync(said.NeedId, (state, situation) => Match.DecideCancel(state, said.RequestId, said.Reason, said.At, situation.Now),
            Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class CancelNeedDefinition : DecidingConsumerDefinition<CancelNeedConsumer>;

/// <summary>The person says that the help came.</summary>
public sealed class ConfirmNeedConsumer(DecisionLoop loop) : IConsumer<Contracts.Requests.V1.NeedConfirmed>
{
    public Task Consume(ConsumeContext<Contracts.Requests.V1.NeedConfirmed> context)
    {
        var said = context.Message;
        return loop.DoAsync(said.NeedId, (state, situation) => Match.DecideConfirm(state, said.RequestId, said.At, situation.Now),
            Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class ConfirmNeedDefinition : DecidingConsumerDefinition<ConfirmNeedConsumer>;

/// <summary>A need that had ended, or was held for humans, goes back to matching on its original clock.</summary>
public sealed class ReopenNeedConsumer(DecisionLoop loop) : IConsumer<Contracts.Requests.V1.NeedReopened>
{
    public Task Consume(ConsumeContext<Contracts.Requests.V1.NeedReopened> context)
    {
        var said = context.Message;
        if (Messages.WhatIsWrong(said.Need) is { } wrong)
            throw new MalformedMessageException($"Need {said.Need.NeedId}: {wrong}");
        return loop.DoAsync(said.Need.NeedId, (state, situation) => Match.DecideReopen(state, said.Need, said.Reason, said.Disputed, said.At, situation.Now),
            Lane.Normal, context.Cause(), context.CancellationToken);
    }
}

public sealed class ReopenNeedDefinition : DecidingConsumerDefinition<ReopenNeedConsumer>;
