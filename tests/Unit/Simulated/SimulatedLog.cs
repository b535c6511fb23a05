using System.Security.Cryptography;
using System.Text.Json;

namespace Huzhu.Tests.Unit.Simulated;

internal sealed record Stored(Guid Id, Guid Stream, long Version, object Event);

/// <param name="Version">Version of the stream that the events were decided on.</param>
internal sealed record Change(Guid Stream, long Version, IReadOnlyList<object> Events);

internal sealed class SimulatedTimer(string kind, Guid subject, DateTimeOffset dueAt)
{
    public string Kind { get; } = kind;
    public Guid Subject { get; } = subject;
    public DateTimeOffset DueAt { get; } = dueAt;
    public bool IsTaken { get; set; }
}

/// <summary>
/// One service's event store: streams with expected versions, one log in the order of the commits, timers written in the
/// same transaction, and how far the relay has told it.
/// </summary>
/// <param name="checksVersions">False breaks it: an append goes to the end of its stream, whatever it was decided on.</param>
internal sealed class SimulatedLog(short service, bool checksVersions)
{
    private static readonly IReadOnlyList<object> Nothing = [];
    private readonly Dictionary<Guid, List<object>> _streams = [];

    public List<Stored> All { get; } = [];
    public List<SimulatedTimer> Timers { get; } = [];
    public int Told { get; set; }
    public IEnumerable<KeyValuePair<Guid, List<object>>> Streams => _streams;

    public IReadOnlyList<object> Read(Guid stream) => _streams.TryGetValue(stream, out var events) ? events : Nothing;

    /// <summary>All or nothing; false when another commit came first to one of the streams.</summary>
    public bool TryCommit(IReadOnlyList<Change> changes, params IEnumerable<SimulatedTimer> timers)
    {
        if (checksVersions && changes.Any(change => Read(change.Stream).Count != change.Version))
            return false;
        foreach (var change in changes)
        {
            var stream = _streams.TryGetValue(change.Stream, out var known) ? known : _streams[change.Stream] = [];
            foreach (var happened in change.Events)
            {
                stream.Add(happened);
                All.Add(new Stored(new Guid(All.Count + 1, service, 0, 0, 0, 0, 0, 0, 0, 0, 0), change.Stream, stream.Count, happened));
            }
        }
        Timers.AddRange(timers);
        return true;
    }

    public static string HashOf(IEnumerable<SimulatedLog> logs)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var stored in logs.SelectMany(log => log.All))
            hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(new { stored.Id, stored.Stream, stored.Version, stored.Event.GetType().Name, Event = stored.Event }));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
