using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;

namespace Huzhu.Audit.Reading;

/// <summary>
/// Events out of PostgreSQL's binary COPY format, cut from the bytes as they come. A reader that is asked for one field at
/// a time costs more than the database's own work on the row.
/// </summary>
internal static class CopyRows
{
    private const int Page = 1 << 16;
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The first columns; those behind them are the context.</summary>
    public const string Content = "seq_id, id, stream_id, version, type, timestamp, data";
    public const string Context = "tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, is_archived";

    /// <summary>One row in the bytes at hand: whatever is kept of it must be copied.</summary>
    public readonly ref struct Row(long sequence, Guid id, Guid stream, long version, string type, DateTimeOffset storedAt, ReadOnlySpan<byte> data, Fields context)
    {
        private readonly Fields _context = context;

        public long Sequence => sequence;
        public Guid Stream => stream;
        public long Version => version;
        public string Type => type;
        public DateTimeOffset StoredAt => storedAt;

        /// <summary>JSON, in UTF-8.</summary>
        public ReadOnlySpan<byte> Data { get; } = data;

        public StoredEvent Store()
        {
            var rest = _context;
            var stored = new StoredEvent(sequence, id, stream, version, type, storedAt, Data.ToArray(), null, null, null, null, null, false);
            return rest.AreOver ? stored : stored with
            {
                Tenant = Text(ref rest, WordOf),
                DotNetType = Text(ref rest, WordOf),
                CorrelationId = Text(ref rest, Encoding.UTF8.GetString),
                CausationId = Text(ref rest, Encoding.UTF8.GetString),
                Headers = rest.IsNull ? rest.Skip() : JsonOf(rest.Next()).ToArray(),
                IsArchived = !rest.IsNull && rest.Next()[0] != 0,
            };
        }

        private static string? Text(ref Fields fields, Func<ReadOnlySpan<byte>, string> read)
        {
            if (!fields.IsNull)
                return read(fields.Next());
            fields.Skip();
            return null;
        }
    }

    public delegate T Take<out T>(Row row);

    /// <param name="copy">The rows of <see cref="Content"/>, with <see cref="Context"/> or without.</param>
    /// <returns>What was taken of each page's rows.</returns>
    public static async IAsyncEnumerable<List<T>> ReadAsync<T>(Stream copy, Take<T> take, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var (buffer, start, end, begun, most) = (new byte[Page], 0, 0, false, 0);
        while (true)
        {
            var rows = new List<T>(most);
            var position = new Position(buffer.AsMemory(start..end));
            if (!begun)
                begun = position.TrySkipHeader();
            while (begun && position.TryRead(out var row))
                rows.Add(take(row));
            start += position.Taken;
            most = Math.Max(most, rows.Count);
            if (rows.Count > 0)
                yield return rows;
            if (position.IsEnd)
                yield break;
            buffer.AsSpan(start..end).CopyTo(buffer);
            (start, end) = (0, end - start);
            if (end == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
            var before = end;
            // One read gives one row, as the server sends them. Whoever hands rows on one by one spends more on that than on the rows.
            while (end < buffer.Length && await copy.ReadAsync(buffer.AsMemory(end), cancellation) is var read and > 0)
                end += read;
            if (end == before)
                throw new EndOfStreamException("The rows end in the middle.");
        }
    }

    /// <summary>How far the bytes at hand have been taken: always to the end of a whole row.</summary>
    private struct Position(ReadOnlyMemory<byte> bytes)
    {
        private const int Signature = 11;

        public int Taken { get; private set; }
        public bool IsEnd { get; private set; }

        public bool TrySkipHeader()
        {
            var rest = bytes.Span;
            if (rest.Length < Signature + 8 || BinaryPrimitives.ReadInt32BigEndian(rest[(Signature + 4)..]) is var extension && rest.Length < Signature + 8 + extension)
                return false;
            Taken = Signature + 8 + extension;
            return true;
        }

        public bool TryRead(out Row row)
        {
            row = default;
            var rest = bytes.Span[Taken..];
            if (rest.Length < 2)
                return false;
            var fields = BinaryPrimitives.ReadInt16BigEndian(rest);
            if (fields < 0)
            {
                IsEnd = true;
                return false;
            }
            // Look before leaping: a row that is not there as a whole waits for the next read.
            var at = 2;
            for (var field = 0; field < fields; field++)
            {
                if (rest.Length < at + 4)
                    return false;
                at += 4 + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(rest[at..]));
                if (rest.Length < at)
                    return false;
            }
            Taken += at;
            var next = new Fields(rest[2..at]);
            row = new Row(
                BinaryPrimitives.ReadInt64BigEndian(next.Next()), new Guid(next.Next(), bigEndian: true), new Guid(next.Next(), bigEndian: true),
                BinaryPrimitives.ReadInt64BigEndian(next.Next()), WordOf(next.Next()),
                Epoch.AddTicks(BinaryPrimitives.ReadInt64BigEndian(next.Next()) * TimeSpan.TicksPerMicrosecond), JsonOf(next.Next()), next);
            return true;
        }
    }

    /// <summary>After the number of the format.</summary>
    private static ReadOnlySpan<byte> JsonOf(ReadOnlySpan<byte> field) => field[1..];

    private static string WordOf(ReadOnlySpan<byte> field) => Word.Of(field) ?? Encoding.UTF8.GetString(field);

    public ref struct Fields(ReadOnlySpan<byte> row)
    {
        private ReadOnlySpan<byte> _rest = row;

        public readonly bool AreOver => _rest.IsEmpty;

        public readonly bool IsNull => BinaryPrimitives.ReadInt32BigEndian(_rest) < 0;

        public ReadOnlySpan<byte> Next()
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(_rest);
            var field = _rest.Slice(4, length);
            _rest = _rest[(4 + length)..];
            return field;
        }

        public byte[]? Skip()
        {
            _rest = _rest[4..];
            return null;
        }
    }
}
