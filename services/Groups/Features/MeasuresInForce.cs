using System.Collections.Concurrent;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Groups.Features;

/// <summary>The measures in force, for decisions about providers.</summary>
public sealed class MeasuresInForce
{
    // A measure's area never changes, and it can have ten thousand points.
    private readonly ConcurrentDictionary<Guid, MeasureInForce> _known = new();

    /// <summary>
    /// Reads within the session's transaction and keeps each measure in force until that ends: a lift waits for it, and
    /// its own look at the providers comes after. Without the lock a provider could be held by a measure just lifted,
    /// with nobody left to release it.
    /// </summary>
    public async Task<IReadOnlyList<MeasureInForce>> LockAsync(IDocumentSession session, CancellationToken cancellation)
    {
        await session.BeginTransactionAsync(cancellation);
        var ids = await session.AdvancedSql.QueryAsync<Guid>(
            $"select id from {EventStore.Schema}.mt_doc_measureview where data ->> 'phase' = '{nameof(MeasurePhase.InForce)}' order by id for share", cancellation);
        foreach (var forgotten in _known.Keys.Except(ids))
            _known.TryRemove(forgotten, out _);
        var missing = ids.Where(id => !_known.ContainsKey(id)).ToArray();
        foreach (var view in missing.Length == 0 ? [] : await session.LoadManyAsync<MeasureView>(cancellation, missing))
            _known[view.Id] = Of(view);
        return [.. ids.Select(id => _known[id])];
    }

    public static MeasureInForce Of(MeasureView view) => Of(view.Id, view.Measure.Plan!);

    public static MeasureInForce Of(Guid id, MeasurePublished plan) => new(new MeasureId(id), plan.Name,
        Area.Of(plan.Area).Area ?? throw new InvalidOperationException($"The stored area of the measure {id} is none."), plan.ClosesProviders);
}
