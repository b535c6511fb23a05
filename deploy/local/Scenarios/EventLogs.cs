using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;

namespace Huzhu.Local.Scenarios;

/// <summary>One stored event, as the database has it.</summary>
/// <param name="Service">Whose log: requests, groups, matching or notifications.</param>
/// <param name="Type">Marten's name of the event type: the record's name in snake case.</param>
public sealed record LogRow(
    string Service, long Sequence, Guid EventId, Guid Stream, long Version, string Type, JsonElement Data, DateTimeOffset StoredAt);

/// <summary>Words of a code list as events hold them.</summary>
static class StoredWord
{
    public static string? Word(this JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static IEnumerable<string> Words(this JsonElement data, string name) => data.GetProperty(name).EnumerateArray().Select(value => value.GetString()!);
}

/// <summary>Reads the event logs of the four services: the tables, not the services.</summary>
public sealed class EventLogs(IReadOnlyDictionary<string, string> databases) : IAsyncDisposable
{
    readonly Dictionary<string, NpgsqlDataSource> _sources = databases.ToDictionary(
        entry => entry.Key, entry => NpgsqlDataSource.Create(entry.Value));

    /// <summary>Every event of one service in the order of its log.</summary>
    public async IAsyncEnumerable<LogRow> ReadAsync(string service, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var command = _sources[service].CreateCommand(
            "select seq_id, id, stream_id, version, type, data::text, timestamp from huzhu.mt_events order by seq_id");
        await using var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess, cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var (sequence, id, stream, version, type) =
                (reader.GetInt64(0), reader.GetGuid(1), reader.GetGuid(2), reader.GetInt64(3), reader.GetString(4));
            using var document = JsonDocument.Parse(reader.GetString(5));
            yield return new LogRow(service, sequence, id, stream, version, type, document.RootElement.Clone(),
                reader.GetFieldValue<DateTimeOffset>(6));
        }
    }

    /// <summary>The last sequence number that each log has given out: when none moves, nothing happens.</summary>
    public async Task<IReadOnlyList<long>> LastSequencesAsync(CancellationToken cancellation)
    {
        var last = await Task.WhenAll(_sources.Values.Select(async source =>
        {
            await using var command = source.CreateCommand("select coalesce(max(seq_id), 0) from huzhu.mt_events");
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }));
        return last;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources.Values)
            await source.DisposeAsync();
    }
}
