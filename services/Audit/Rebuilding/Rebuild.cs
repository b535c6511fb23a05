using Huzhu.Audit.Reading;
using Npgsql;

namespace Huzhu.Audit.Rebuilding;

/// <param name="Rows">Rows that the log makes.</param>
public sealed record TableResult(string Table, long Rows, IReadOnlyList<string> Differences);

/// <summary>Makes every read model of one service anew from its log, and compares it with the live one, row by row.</summary>
public static class Rebuild
{
    private const int MaxNamed = 1000;

    public static async Task<IReadOnlyList<TableResult>> RunAsync(ServiceLog log, CancellationToken cancellation)
    {
        var models = ReadModel.All.Where(model => model.Service.Length == 0 || model.Service == log.Service).ToList();
        var connections = await log.OpenTogetherAsync(1 + models.Count, cancellation);
        var tables = new List<LiveTable>();
        try
        {
            for (var index = 0; index < models.Count; index++)
                tables.Add(await LiveTable.OpenAsync(models[index], connections[index + 1], cancellation));
            var stream = new List<(StoredEvent Stored, object Event)>();
            await foreach (var stored in ServiceLog.ReadByStreamAsync(connections[0], cancellation))
            {
                if (stream.Count > 0 && stream[0].Stored.Stream != stored.Stream)
                    await EndStreamAsync();
                if (EventTypes.Decode(log.Service, stored) is { } change)
                    stream.Add((stored, change));
            }
            await EndStreamAsync();
            foreach (var table in tables)
                await table.TakeRestAsync(cancellation);
            return [.. tables.Select(table => table.Result)];

            async Task EndStreamAsync()
            {
                if (stream.Count == 0)
                    return;
                var id = stream[0].Stored.Stream;
                foreach (var table in tables)
                    await table.CompareAsync(id, stream, cancellation);
                stream.Clear();
            }
        }
        finally
        {
            foreach (var table in tables)
                await table.DisposeAsync();
            foreach (var connection in connections)
                await connection.DisposeAsync();
        }
    }

    private sealed class LiveTable : IAsyncDisposable
    {
        private readonly ReadModel _model;
        private readonly NpgsqlCommand _command;
        private readonly NpgsqlDataReader _reader;
        private readonly List<string> _differences = [];
        private (Guid Stream, Guid Id, string Json)? _current;
        private long _rows;

        private LiveTable(ReadModel model, NpgsqlCommand command, NpgsqlDataReader reader) => (_model, _command, _reader) = (model, command, reader);

        public TableResult Result => new(_model.Table, _rows, _differences);

        public static async Task<LiveTable> OpenAsync(ReadModel model, NpgsqlConnection connection, CancellationToken cancellation)
        {
            var command = new NpgsqlCommand(model.Live, connection);
            var table = new LiveTable(model, command, await command.ExecuteReaderAsync(cancellation));
            await table.AdvanceAsync(cancellation);
            return table;
        }

        public async Task CompareAsync(Guid stream, IReadOnlyList<(StoredEvent, object)> events, CancellationToken cancellation)
        {
            foreach (var (id, row) in _model.Rebuild(stream, events))
            {
                _rows++;
                while (_current is { } extra && Order(extra.Stream, extra.Id, stream, id) < 0)
                {
                    Differs(extra.Id, "is in the table, and nothing in the log makes it");
                    await AdvanceAsync(cancellation);
                }
                if (_current is { } live && live.Stream == stream && live.Id == id)
                {
                    if (ReadModel.Canonical(live.Json) is var now && ReadModel.Canonical(row.ToJsonString()) is var wanted && now != wanted)
                        Differs(id, $"is {now}, and the log makes it {wanted}");
                    await AdvanceAsync(cancellation);
                }
                else
                    Differs(id, "is missing from the table");
            }
        }

        public async Task TakeRestAsync(CancellationToken cancellation)
        {
            for (; _current is { } extra; await AdvanceAsync(cancellation))
                Differs(extra.Id, "is in the table, and nothing in the log makes it");
        }

        public async ValueTask DisposeAsync()
        {
            await _reader.DisposeAsync();
            await _command.DisposeAsync();
        }

        private async Task AdvanceAsync(CancellationToken cancellation) =>
            _current = await _reader.ReadAsync(cancellation) ? (_reader.GetGuid(0), _reader.GetGuid(1), _reader.GetString(2)) : null;

        private void Differs(Guid id, string how)
        {
            if (_differences.Count < MaxNamed)
                _differences.Add($"{_model.Table} {id} {how}.");
        }

        private static int Order(Guid stream, Guid id, Guid otherStream, Guid otherId) =>
            ReadModel.ById.Compare(stream, otherStream) is not 0 and var byStream ? byStream : ReadModel.ById.Compare(id, otherId);
    }
}
