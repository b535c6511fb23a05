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

    public static async Task<RepeatCalls> LoadAsync(IQuerySession session, StreamChanges changes, IEnumerable<PersonId> people, CancellationToken cancellation)
    {
        var repeats = new RepeatCalls(changes);
        var found = await PersonHistory.FindRequestsAsync(session, people, cancellation);
        await changes.LoadAsync([.. found.Values.SelectMany(requests => requests)], cancellation);
        foreach (var (person, requests) in found)
        {
            var history = repeats._histories[person] = new PersonHistory();
            foreach (var request in requests)
                history.Add(changes.StateOf(request));
        }
        foreach (var helped in await PersonHistory.FindHelpedAsync(session, found.Keys, cancellation))
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
