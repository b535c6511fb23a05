using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;

namespace Huzhu.Requests.Storage;

/// <summary>
/// The requests that one transaction is about: their states as read, and what is to be appended to them. Every append
/// carries the version that was read, so that a decision never rests on a state that is no longer true.
/// </summary>
public sealed class StreamChanges(IDocumentSession session)
{
    private readonly Dictionary<Guid, Stream> _streams = [];

    /// <summary>Reads requests in one round trip; those that are not there yet are <see cref="RequestState.Initial"/>.</summary>
    public async Task LoadAsync(IReadOnlyCollection<Guid> ids, CancellationToken cancellation)
    {
        var wanted = ids.Where(id => !_streams.ContainsKey(id)).Distinct().ToArray();
        if (wanted.Length == 0)
            return;
        foreach (var id in wanted)
            _streams[id] = new Stream();
        foreach (var e in await session.ReadStreamsAsync(wanted, cancellation))
            _streams[e.StreamId].Take(e);
    }

    public RequestState StateOf(Guid id) => _streams[id].State;

    /// <summary>What the log holds of the request, and what this transaction adds.</summary>
    public IReadOnlyList<RequestEvent> EventsOf(Guid id) => _streams[id].Events;

    public void Append(Guid id, IReadOnlyList<RequestEvent> events, Cause cause)
    {
        foreach (var happened in events)
            _streams[id].Add(happened, cause);
    }

    /// <summary>Hands everything to the session, the streams in one order, or two transactions could wait for each other.</summary>
    public bool Queue()
    {
        var any = false;
        foreach (var (id, stream) in _streams.Where(pair => pair.Value.Added.Count > 0).OrderBy(pair => pair.Key))
        {
            any = true;
            var events = stream.Added.Select(added => added.Event).ToArray<object>();
            var action = stream.ReadVersion == 0
                ? session.Events.StartStream(id, events)
                : session.Events.Append(id, stream.ReadVersion + events.Length, events);
            for (var index = 0; index < events.Length; index++)
                action.Events[index].Mark(stream.Added[index].Cause);
        }
        return any;
    }

    private sealed class Stream
    {
        public RequestState State { get; private set; } = RequestState.Initial;
        public long ReadVersion { get; private set; }
        public List<RequestEvent> Events { get; } = [];
        public List<(RequestEvent Event, Cause Cause)> Added { get; } = [];

        /// <summary>Where the request's trace began.</summary>
        private string? _began;

        public void Take(IEvent stored)
        {
            var happened = (RequestEvent)stored.Data;
            Events.Add(happened);
            State = Request.Evolve(State, happened);
            ReadVersion++;
            _began ??= stored.TraceParent();
        }

        public void Add(RequestEvent happened, Cause cause)
        {
            Events.Add(happened);
            State = Request.Evolve(State, happened);
            _began ??= cause.TraceParent;
            Added.Add((happened, cause.Within(_began)));
        }
    }
}
