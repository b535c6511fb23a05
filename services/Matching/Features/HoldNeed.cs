using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using MassTransit;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <summary>
/// A concern: the need is for humans only, and whoever it is about is not asked for this person again, nor keeps another
/// need of the same person. Later needs come with the exclusion from Requests.
/// </summary>
public sealed class HoldNeedConsumer(DecisionLoop loop, NpgsqlDataSource database) : IConsumer<ConcernRaised>
{
    public async Task Consume(ConsumeContext<ConcernRaised> context)
    {
        var said = context.Message;
        var held = await loop.DoAsync(said.NeedId, (state, situation) => Match.DecideHold(state, said.RequestId, said.ResponderId, said.At, situation.Now),
            Lane.Urgent, context.Cause(), context.CancellationToken);
        // From the state and not from the message, so that a repeat finishes what was interrupted.
        var about = held.State.Excluded.Where(excluded => excluded.Value == ExclusionReasons.ExcludedConcern).Select(excluded => excluded.Key).ToList();
        if (about.Count == 0)
            return;
        foreach (var other in await OtherNeedsOfAsync(said.PersonId, said.NeedId, context.CancellationToken))
        {
            foreach (var responder in about)
                await loop.DoAsync(other, (state, situation) => Match.DecideExclude(state, responder, situation.Now),
                    Lane.Urgent, context.Cause(), context.CancellationToken);
        }
    }

    private async Task<List<NeedId>> OtherNeedsOfAsync(PersonId person, NeedId but, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"select need_id from {Tables.Needs} where person_id = $1 and not is_over and need_id <> $2 order by need_id limit 1000");
        command.Parameters.AddWithValue(person.Value);
        command.Parameters.AddWithValue(but.Value);
        var needs = new List<NeedId>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            needs.Add(NeedId.Of(reader.GetGuid(0)));
        return needs;
    }
}

public sealed class HoldNeedDefinition : DecidingConsumerDefinition<HoldNeedConsumer>;
