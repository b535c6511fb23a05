using Huzhu.Matching.Deciding;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>What another replica was asked (an answer, a timer, a freed place) is decided by the one that decides.</summary>
public sealed class DecideForOthersConsumer(DecisionLoop loop, BacklogTrial backlog) : IConsumer<NeedCommand>, IConsumer<PlacesFreed>
{
    public async Task Consume(ConsumeContext<NeedCommand> context)
    {
        var command = context.Message;
        var answer = await loop.DoAsync(command.NeedId, command.Decide, Lane.Urgent, new Cause(command.TraceParent, command.CausationId), context.CancellationToken);
        if (context.ResponseAddress is not null)
            await context.RespondAsync(new NeedDecided(answer.Refusal));
    }

    public Task Consume(ConsumeContext<PlacesFreed> context) => backlog.TryAsync(context.Message, context.CancellationToken);
}

public sealed class DecideForOthersDefinition : DecidingConsumerDefinition<DecideForOthersConsumer>;
