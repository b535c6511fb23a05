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
    private const int FirstBuffer = 1 << 18;
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The first columns; those behind them are the context.</summary>
    public const string Content = "seq_id, id, stream_id, version, type, timestamp, data";
    public const string Context = "tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, is_archived";

    /// <param name="copy">The rows of <see cref="Content"/>, with <see cref="Context"/> or without.</param>
    /// <returns>What each read brought: one list, which the next one replaces.</returns>
    public static async IAsyncEnumerable<List<StoredEvent>> ReadAsync(Stream copy, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var (buffer, start, end, begun) = (new byte[FirstBuffer], 0, 0, false);
        var words = new HashSet<string>().GetAlternateLookup<ReadOnlySpan<char>>();
        while (true)
        {
            var rows = new List<StoredEvent>();
            var position = new Position(buffer.AsMemory(start..end));
            if (!begun)
                begun = position.TrySkipHeader();
            while (begun && position.TryRead(words) is { } row)
                rows.Add(row);
            start += position.Taken;
            if (rows.Count > 0)
                yield return rows;
            if (position.IsEnd)
                yield break;
            buffer.AsSpan(start..end).CopyTo(buffer);
            (start, end) = (0, end - start);
            if (end == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
            var read = await copy.ReadAsync(buffer.AsMemory(end), cancellation);
            if (read == 0)
                throw new EndOfStreamException("The rows end in the middle.");
            end += read;
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

        public StoredEvent? TryRead(HashSet<string>.AlternateLookup<ReadOnlySpan<char>> words)
        {
            var rest = bytes.Span[Taken..];
            if (rest.Length < 2)
                return null;
            var fields = BinaryPrimitives.ReadInt16BigEndian(rest);
            if (fields < 0)
            {
                IsEnd = true;
                return null;
            }
            // Look before leaping: a row that is not there as a whole waits for the next read.
            var at = 2;
            for (var field = 0; field < fields; field++)
            {
                if (rest.Length < at + 4)
                    return null;
                at += 4 + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(rest[at..]));
                if (rest.Length < at)
                    return null;
            }
            Taken += at;
            var row = new Fields(rest[2..at]);
            var stored = new StoredEvent(
                BinaryPrimitives.ReadInt64BigEndian(row.Next()), new Guid(row.Next(), bigEndian: true), new Guid(row.Next(), bigEndian: true),
                BinaryPrimitives.ReadInt64BigEndian(row.Next()), Word(row.Next(), words),
                Epoch.AddTicks(BinaryPrimitives.ReadInt64BigEndian(row.Next()) * TimeSpan.TicksPerMicrosecond), Json(row.Next()), null, null, null, null, null, false);
            return fields == 7 ? stored : stored with
            {
                Tenant = Nullable(ref row, words),
                DotNetType = Nullable(ref row, words),
                CorrelationId = Nullable(ref row, null),
                CausationId = Nullable(ref row, null),
                Headers = row.IsNull ? row.Skip() : Json(row.Next()),
                IsArchived = !row.IsNull && row.Next()[0] != 0,
            };
        }

        /// <summary>After the number of the format.</summary>
        private static byte[] Json(ReadOnlySpan<byte> field) => field[1..].ToArray();

        private static string? Nullable(ref Fields row, HashSet<string>.AlternateLookup<ReadOnlySpan<char>>? words)
        {
            if (row.IsNull)
            {
                row.Skip();
                return null;
            }
            return words is { } known ? Word(row.Next(), known) : Encoding.UTF8.GetString(row.Next());
        }

        /// <summary>One of few words that come again and again: each is made once.</summary>
        private static string Word(ReadOnlySpan<byte> field, HashSet<string>.AlternateLookup<ReadOnlySpan<char>> words)
        {
            if (field.Length > 256)
                return Encoding.UTF8.GetString(field);
            Span<char> text = stackalloc char[field.Length];
            text = text[..Encoding.UTF8.GetChars(field, text)];
            if (!words.TryGetValue(text, out var word) && words.Set.Count < 1000)
                words.Set.Add(word = text.ToString());
            return word ?? text.ToString();
        }
    }

    private ref struct Fields(ReadOnlySpan<byte> row)
    {
        private ReadOnlySpan<byte> _rest = row;

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
