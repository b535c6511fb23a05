using System.Collections.Concurrent;
using System.Data.Common;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Marten.Internal.Operations;

namespace Huzhu.Groups.Features;

/// <summary>The measures in force, for decisions about providers.</summary>
public sealed class MeasuresInForce
{
    private static readonly string IdsInForce =
        $"select id from {EventStore.Schema}.mt_doc_measureview where data ->> 'phase' = '{Words.Of(MeasurePhase.InForce)}' order by id";

    // A measure's area never changes, and it can have ten thousand points.
    private readonly ConcurrentDictionary<Guid, MeasureInForce> _known = new();

    /// <summary>
    /// Reads what is in force, and makes the session's transaction hold only if that is still so when it commits. Without
    /// this a provider could be held by a measure lifted a moment ago, with nobody left to release it.
    /// </summary>
    public async Task<IReadOnlyList<MeasureInForce>> ReadAsync(IDocumentSession session, CancellationToken cancellation)
    {
        var ids = await session.AdvancedSql.QueryAsync<Guid>(IdsInForce, cancellation);
        session.QueueOperation(new StillInForce(ids));
        foreach (var forgotten in _known.Keys.Except(ids))
            _known.TryRemove(forgotten, out _);
        List<MeasureInForce> measures = [];
        foreach (var id in ids)
        {
            if (!_known.TryGetValue(id, out var measure))
                _known[id] = measure = Of(await session.LoadAsync<MeasureView>(id, cancellation) ?? throw new MeasuresChangedException());
            measures.Add(measure);
        }
        return measures;
    }

    public static MeasureInForce Of(MeasureView view) => Of(view.Id, view.Measure.Plan!);

    public static MeasureInForce Of(Guid id, MeasurePublished plan) => new(new MeasureId(id), plan.Name,
        Area.Of(plan.Area).Area ?? throw new InvalidOperationException($"The stored area of the measure {id} is none."), plan.ClosesProviders);

    /// <summary>
    /// Locks the measures until the transaction ends: a lift waits for it, and its own look at the providers comes after.
    /// Within the batch of the append, so that no transaction stays open while this process thinks.
    /// </summary>
    private sealed class StillInForce(IReadOnlyList<Guid> ids) : IStorageOperation
    {
        public Type DocumentType => typeof(MeasureView);

        public Weasel.Core.OperationRole Role() => Weasel.Core.OperationRole.Other;

        public void ConfigureCommand(Weasel.Postgresql.ICommandBuilder builder, Weasel.Storage.IStorageSession session) => builder.Append(IdsInForce + " for share");

        public async Task PostprocessAsync(DbDataReader reader, IList<Exception> exceptions, CancellationToken token)
        {
            List<Guid> now = [];
            while (await reader.ReadAsync(token))
                now.Add(reader.GetGuid(0));
            if (!now.SequenceEqual(ids))
                exceptions.Add(new MeasuresChangedException());
        }
    }
}

/// <summary>A measure came or went between the decision and its commit: decide again.</summary>
public sealed class MeasuresChangedException() : Exception("The measures in force changed meanwhile.");
