using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Marten;

namespace Huzhu.Groups.Formats.Cap;

/// <param name="Closed">It would be closed; otherwise only some of its sites would be shut.</param>
public sealed record DrillConcern(ResponderId ProviderId, string Name, bool Closed, int SitesShut, int Capacity);

/// <summary>Whom an exercise would concern if it were meant, worked out from the directory as it is now.</summary>
/// <param name="Providers">By name, at most <see cref="MaxProviders"/> of them.</param>
/// <param name="ProvidersClosed">How many would be closed.</param>
/// <param name="CapacityLost">How many needs those could hold at once.</param>
/// <param name="GroupsInside">Groups with a site inside: they stay open, and would be asked first.</param>
public sealed record DrillReport(IReadOnlyList<DrillConcern> Providers, int ProvidersClosed, int CapacityLost, int GroupsInside)
{
    public const int MaxProviders = 500;
    private const int Page = 1000;

    public static async Task<DrillReport> OfAsync(IDocumentStore store, AlertReceived drill, CancellationToken cancellation)
    {
        // Not drawn again for every entry of the directory.
        var areas = drill.Measures.Select(measure => (measure.ClosesProviders, Area.Of(measure.Area).Area!)).ToList();
        var named = drill.Closures.Select(closure => closure.ProviderId.Value).ToHashSet();
        var concerns = new List<DrillConcern>();
        var groups = 0;
        for (var last = Guid.Empty; ;)
        {
            await using var session = store.QuerySession();
            var page = await session.Query<ResponderView>().Where(view => view.Listed && view.Id.CompareTo(last) > 0).OrderBy(view => view.Id).Take(Page).ToListAsync(cancellation);
            foreach (var view in page)
            {
                var entry = view.Responder.Listing.Entry!;
                if (!view.IsProvider)
                {
                    groups += entry.Sites.Any(site => areas.Any(area => area.Item2.Contains(site.Place))) ? 1 : 0;
                    continue;
                }
                var shut = entry.Sites.Count(site => areas.Any(area => area.ClosesProviders && area.Item2.Contains(site.Place)));
                var closed = shut == entry.Sites.Count || named.Contains(view.Id);
                if (shut > 0 || closed)
                    concerns.Add(new DrillConcern(new ResponderId(view.Id), entry.Name, closed, closed ? entry.Sites.Count : shut, entry.Capacity));
            }
            if (page.Count < Page)
                break;
            last = page[^1].Id;
        }
        var closes = concerns.Where(concern => concern.Closed).ToList();
        return new DrillReport([.. concerns.OrderBy(concern => concern.Name, StringComparer.Ordinal).Take(MaxProviders)], closes.Count, closes.Sum(concern => concern.Capacity), groups);
    }
}
