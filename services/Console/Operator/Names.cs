using Huzhu.Contracts;

namespace Huzhu.Web.Operator;

/// <summary>The names of groups and providers, as the directory lists them; kept for a few minutes, since they are nobody's secret.</summary>
public sealed class Names(TimeProvider time)
{
    private const int MaxPages = 50;
    private static readonly TimeSpan KeptFor = TimeSpan.FromMinutes(5);
    /// <summary>An id that is not known may be of somebody who has just registered, or of nobody: asked for again only so often.</summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);
    private volatile IReadOnlyDictionary<Guid, DirectoryEntry> _known = new Dictionary<Guid, DirectoryEntry>();
    private DateTimeOffset _readAt = DateTimeOffset.MinValue;

    /// <summary>The directory, with these in it if they are listed; where it cannot be read, what was known before.</summary>
    public async Task<IReadOnlyDictionary<Guid, DirectoryEntry>> WithAsync(GroupsDesk groups, IEnumerable<Guid> ids, CancellationToken cancellation)
    {
        var age = time.GetUtcNow() - _readAt;
        if (age < AskAgain || age < KeptFor && ids.All(_known.ContainsKey))
            return _known;
        var entries = new Dictionary<Guid, DirectoryEntry>();
        foreach (var kind in Enum.GetValues<ResponderKind>())
        {
            for (var page = 1; page <= MaxPages; page++)
            {
                if ((await groups.ListAsync(kind, page, cancellation)).Value is not { } found)
                    return _known;
                foreach (var entry in found.Items)
                    entries[entry.Id] = entry;
                if (page * (long)found.PageSize >= found.Total)
                    break;
            }
        }
        (_known, _readAt) = (entries, time.GetUtcNow());
        return entries;
    }
}

public static class NameLookup
{
    /// <summary>The name, or the beginning of the id of one that is not listed any more.</summary>
    public static string Of(this IReadOnlyDictionary<Guid, DirectoryEntry> names, Guid id) => names.TryGetValue(id, out var entry) ? entry.Name : id.ToString()[..8];
}
