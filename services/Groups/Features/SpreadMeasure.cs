using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Groups.Features;

/// <summary>
/// A timer, set with the event that imposes or ends a measure: reviews every provider that the measure shuts or has shut.
/// A crash halfway is no harm: the timer fires again, and the providers already in line yield nothing.
/// </summary>
public sealed class SpreadMeasure(IDocumentStore store, Streams streams, ReviewProvider review) : ITimerHandler
{
    private const int Page = 1000;
    private const int AtOnce = 4;

    public string Kind => Timetable.SpreadMeasure;

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        var measure = (await streams.LoadAsync<Measure, MeasureEvent>(subject, cancellation)).State;
        var area = measure is { Phase: MeasurePhase.InForce, Plan: { ClosesProviders: true } plan } ? MeasuresInForce.Of(subject, plan).Area : null;
        var last = Guid.Empty;
        while (true)
        {
            await using var session = store.QuerySession();
            var page = await session.Query<ResponderView>()
                .Where(view => view.IsProvider && view.Listed && view.Id.CompareTo(last) > 0)
                .OrderBy(view => view.Id).Take(Page).ToListAsync(cancellation);
            await Parallel.ForEachAsync(page.Where(view => IsConcerned(view.Provider!, new MeasureId(subject), area)),
                new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation },
                async (view, token) => await review.HandleAsync(view.Id, token));
            if (page.Count < Page)
                return;
            last = page[^1].Id;
        }
    }

    private static bool IsConcerned(Provider provider, MeasureId id, Area? area) =>
        provider.Holds.Any(hold => hold.MeasureId == id)
        || (area is not null && provider.Listing.Entry!.Sites.Any(site => area.Contains(site.Place)));
}
