using Parquet;
using Parquet.Schema;

namespace Huzhu.Audit.Exporting;

/// <summary>Events as a Parquet file: the columns of the CSV, the data as JSON. One group of rows is in memory at a time.</summary>
public sealed class ParquetFile : IAsyncDisposable
{
    private const int RowsInAGroup = 16_384;

    private static readonly DataField<long> Sequence = new("sequence"), Version = new("version");
    private static readonly DataField<DateTime> Time = new("time");
    private static readonly DataField Type = Text("type"), Stream = Text("stream"), Event = Text("event"), Data = Text("data");
    private static readonly ParquetSchema Schema = new(Sequence, Time, Type, Stream, Version, Event, Data);

    private readonly ParquetWriter _writer;
    private readonly List<Row> _rows = new(RowsInAGroup);

    private ParquetFile(ParquetWriter writer) => _writer = writer;

    public sealed record Row(long Sequence, DateTimeOffset Time, string Type, Guid Stream, long Version, Guid Event, string Data);

    public static async Task<ParquetFile> CreateAsync(Stream stream, CancellationToken cancellation) =>
        new(await ParquetWriter.CreateAsync(Schema, stream, cancellationToken: cancellation));

    public async Task AddAsync(Row row, CancellationToken cancellation)
    {
        _rows.Add(row);
        if (_rows.Count == RowsInAGroup)
            await WriteGroupAsync(cancellation);
    }

    /// <summary>Writes what is left; a file that is not completed has no end and cannot be read.</summary>
    public async Task CompleteAsync(CancellationToken cancellation)
    {
        if (_rows.Count > 0)
            await WriteGroupAsync(cancellation);
    }

    public ValueTask DisposeAsync() => _writer.DisposeAsync();

    private async Task WriteGroupAsync(CancellationToken cancellation)
    {
        using var group = _writer.CreateRowGroup();
        await group.WriteAsync<long>(Sequence, _rows.Select(row => row.Sequence).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<DateTime>(Time, _rows.Select(row => row.Time.UtcDateTime).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync(Type, _rows.ConvertAll(row => row.Type));
        await group.WriteAsync(Stream, _rows.ConvertAll(row => row.Stream.ToString()));
        await group.WriteAsync<long>(Version, _rows.Select(row => row.Version).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync(Event, _rows.ConvertAll(row => row.Event.ToString()));
        await group.WriteAsync(Data, _rows.ConvertAll(row => row.Data));
        group.CompleteValidate();
        _rows.Clear();
    }

    private static DataField Text(string name) => new(name, typeof(string), isNullable: false);
}
