using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>
/// A measure sealed a zone: no offline help crosses its edge any more, and what was on its way across and has not begun
/// is matched again.
/// </summary>
public sealed class SealZoneConsumer(DecisionLoop loop, Log log, Sweeps sweeps, TimeProvider time) : IConsumer<MeasureImposed>
{
    public async Task Consume(ConsumeContext<MeasureImposed> context)
    {
        var said = context.Message;
        if (!said.SealsZone)
            return;
        await log.AppendAsync<MeasuresState, MeasuresEvent>(MeasuresState.StreamId, MeasuresState.Initial, MeasuresState.Evolve, state =>
        {
            var decision = MeasuresState.DecideSeal(state, said.MeasureId, said.Name, said.Area, said.From, time.GetUtcNow());
            return decision.Refusal is { } refusal ? throw new MalformedMessageException($"Measure {said.MeasureId}: {refusal.Reason}") : decision.Events;
        }, context.Cause(), context.CancellationToken);
        await loop.RefreshAsync([MeasuresState.StreamId], context.CancellationToken);
        await sweeps.TakeAcrossZonesAsync(context.Cause(), context.CancellationToken);
    }
}

public sealed class SealZoneDefinition : DecidingConsumerDefinition<SealZoneConsumer>;

/// <summary>The zone is open again; the backlog subscription tries what waited for it.</summary>
public sealed class LiftZoneConsumer(DecisionLoop loop, Log log, TimeProvider time) : IConsumer<MeasureLifted>
{
    public async Task Consume(ConsumeContext<MeasureLifted> context)
    {
        var said = context.Message;
        await log.AppendAsync<MeasuresState, MeasuresEvent>(MeasuresState.StreamId, MeasuresState.Initial, MeasuresState.Evolve,
            state => MeasuresState.DecideLift(state, said.MeasureId, said.Reason, time.GetUtcNow()).Events, context.Cause(), context.CancellationToken);
        await loop.RefreshAsync([MeasuresState.StreamId], context.CancellationToken);
    }
}

public sealed class LiftZoneDefinition : DecidingConsumerDefinition<LiftZoneConsumer>;
