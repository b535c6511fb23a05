using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Storage;

/// <summary>
/// Finds the older needs that a person's new call repeats, and links them. A link is written to the older request too,
/// with the version that was read: it can never point at a need that ended a moment before.
/// </summary>
public sealed class RepeatCalls
{
    private readonly StreamChanges _changes;
    private readonly Dictionary<PersonId, PersonHistory> _histories = [];

    private RepeatCalls(StreamChanges changes) => _changes = changes;

    /// <summary>What earlier requests of these people their next intake must know of.</summary>
    public sealed record Earlier(IReadOnlyDictionary<PersonId, IReadOnlyList<Guid>> Requests, IReadOnlyList<RequestState> Helped);

    public static async Task<RepeatCalls> LoadAsync(IQuerySession session, StreamChanges changes, IEnumerable<PersonId> people, CancellationToken cancellation) =>
        await LoadAsync(changes, await FindAsync(session, people, cancellation), cancellation);

    public static async Task<Earlier> FindAsync(IQuerySession session, IEnumerable<PersonId> people, CancellationToken cancellation)
    {
        var found = await PersonHistory.FindRequestsAsync(session, people, cancellation);
        return new Earlier(found, [.. await PersonHistory.FindHelpedAsync(session, found.Keys, cancellation)]);
    }

    public static async Task<RepeatCalls> LoadAsync(StreamChanges changes, Earlier earlier, CancellationToken cancellation)
    {
        var repeats = new RepeatCalls(changes);
        await changes.LoadAsync([.. earlier.Requests.Values.SelectMany(requests => requests)], cancellation);
        foreach (var (person, requests) in earlier.Requests)
        {
            var history = repeats._histories[person] = new PersonHistory();
            foreach (var request in requests)
                history.Add(changes.StateOf(request));
        }
        foreach (var helped in earlier.Helped)
            repeats._histories[helped.PersonId].AddHelp(helped);
        return repeats;
    }

    public PersonHistory HistoryOf(PersonId person) => _histories[person];

    /// <summary>Writes the links of a request just taken in to the older ones, and lets the person's next call know of it.</summary>
    public void Link(RequestState request, Cause cause, DateTimeOffset now)
    {
        foreach (var need in request.Needs.Where(need => need.DuplicateOf is not null))
        {
            var older = need.DuplicateOf!;
            var decision = Request.DecideRepeat(_changes.StateOf(older.RequestId.Value), older.NeedId, new NeedLink(request.Id, need.NeedId), need.Urgency, now);
            if (decision.Refusal is { } refusal)
                throw new InvalidOperationException($"A repeat was found but cannot be linked: {refusal.Reason}");
            _changes.Append(older.RequestId.Value, decision.Events, cause);
        }
        _histories[request.PersonId].Add(request);
    }
}
