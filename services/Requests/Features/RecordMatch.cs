using Huzhu.Contracts.Matching.V1;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;
using MassTransit;

namespace Huzhu.Requests.Features;

/// <summary>Keeps up where every need stands, from what Matching says.</summary>
public sealed class RecordMatchConsumer(MatchRecords records) : IConsumer<NeedStateChanged>
{
    public async Task Consume(ConsumeContext<NeedStateChanged> context)
    {
        var refusal = await records.AddAsync(new MatchRecord(context.Message, Cause.Current(context.MessageId?.ToString())), context.CancellationToken);
        // Matching knows only needs that were published here: this is no matter of waiting, so it is set aside with the reason.
        if (refusal is not null)
            throw new UnknownNeedException($"{refusal.Code}: {refusal.Reason} Need {context.Message.NeedId} of request {context.Message.RequestId}.");
    }
}

public sealed class RecordMatchConsumerDefinition : ConsumerDefinition<RecordMatchConsumer>
{
    /// <summary>As many as are fetched at once: they are committed together.</summary>
    public RecordMatchConsumerDefinition() => ConcurrentMessageLimit = 128;
}

public sealed class UnknownNeedException(string message) : Exception(message);

public sealed record MatchRecord(NeedStateChanged Said, Cause Cause);

/// <summary>Commits what Matching said, as much as waits, in one transaction.</summary>
public sealed class MatchRecords(IDocumentStore store, ILogger<MatchRecords> logger) : GroupCommit<MatchRecord, Refusal?>(capacity: 1_000, pageSize: 200, logger)
{
    protected override async Task<IReadOnlyList<Refusal?>> CommitAsync(IReadOnlyList<MatchRecord> items, CancellationToken cancellation)
    {
        await using var session = store.LightweightSession();
        var changes = new StreamChanges(session);
        await changes.LoadAsync([.. items.Select(item => item.Said.RequestId.Value)], cancellation);
        var answers = new Refusal?[items.Count];
        // What came out of order within the page is put in order, so that no state is recorded only to be replaced.
        foreach (var (item, index) in items.Select((item, index) => (item, index)).OrderBy(pair => pair.item.Said.Version))
        {
            var said = item.Said;
            var request = said.RequestId.Value;
            var decision = Request.DecideRecording(changes.StateOf(request),
                new NeedStateRecorded(said.NeedId, said.Version, said.State, said.ResponderId, said.Reason, said.RemainingQuantity, said.At.ToUniversalTime()));
            changes.Append(request, decision.Events, item.Cause);
            answers[index] = decision.Refusal;
        }
        if (changes.Queue())
            await session.SaveChangesAsync(cancellation);
        return answers;
    }
}
