using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Marten;

namespace Huzhu.Requests.Storage;

public static class RequestLog
{
    /// <summary>One request as the log has it, up to and with <paramref name="version"/>, or to its end.</summary>
    public static async Task<(RequestState State, IReadOnlyList<RequestEvent> Events)> LoadRequestAsync(
        this IQuerySession session, RequestId id, CancellationToken cancellation, long version = 0)
    {
        var stored = await session.Events.FetchStreamAsync(id.Value, version, token: cancellation);
        var events = stored.Select(e => (RequestEvent)e.Data).ToList();
        return (Request.Fold(events), events);
    }
}
