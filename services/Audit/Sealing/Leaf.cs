using System.Security.Cryptography;
using System.Text.Json;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// What of one event is sealed: a line of canonical JSON that holds no content, only its hashes. Whoever has the lines
/// and a checkpoint can say what was changed, without having the events.
/// </summary>
/// <param name="Data">SHA-256 of the event's data in canonical form.</param>
/// <param name="Context">SHA-256 of everything else in the row, in canonical form; see <see cref="StoredEvent.WriteContext"/>.</param>
public sealed record Leaf(Guid Id, long Sequence, Guid Stream, long Version, string Type, DateTimeOffset Time, string Data, string Context)
{
    /// <returns>Null when the line is no leaf.</returns>
    public static Leaf? Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var leaf = json.RootElement;
            return new Leaf(leaf.GetProperty("id").GetGuid(), leaf.GetProperty("sequence").GetInt64(), leaf.GetProperty("stream").GetGuid(),
                leaf.GetProperty("version").GetInt64(), leaf.GetProperty("type").GetString()!, leaf.GetProperty("time").GetDateTimeOffset(),
                leaf.GetProperty("data").GetString()!, leaf.GetProperty("context").GetString()!);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    /// <summary>What of the same event is not as it was.</summary>
    public IEnumerable<string> ChangesTo(Leaf other)
    {
        if (Stream != other.Stream)
            yield return "stream";
        if (Version != other.Version)
            yield return "version";
        if (Type != other.Type)
            yield return "type";
        if (Time != other.Time)
            yield return "time";
        if (Data != other.Data)
            yield return "data";
        if (Context != other.Context)
            yield return "context";
    }
}

/// <summary>Writes the lines of leaves, one after another in the same memory.</summary>
public sealed class LeafWriter
{
    private readonly CanonicalJson _line = new(exactDigits: true);
    private readonly CanonicalJson _content = new(exactDigits: true);

    /// <returns>The line, without a newline at its end: what the tree hashes. The next one takes its place.</returns>
    public ReadOnlySpan<byte> Write(StoredEvent stored)
    {
        _line.Clear();
        _line.WriteRaw("{\"context\":\""u8);
        _content.Clear();
        stored.WriteContext(_content);
        WriteHash();
        _line.WriteRaw("\",\"data\":\""u8);
        _content.Clear();
        _content.Write(stored.Data);
        WriteHash();
        _line.WriteRaw("\",\"id\":\""u8);
        _line.WriteRaw(stored.Id);
        _line.WriteRaw("\",\"sequence\":"u8);
        _line.WriteRaw(stored.Sequence);
        _line.WriteRaw(",\"stream\":\""u8);
        _line.WriteRaw(stored.Stream);
        _line.WriteRaw("\",\"time\":\""u8);
        _line.WriteRaw(stored.StoredAt.UtcDateTime, StoredEvent.TimeFormat);
        _line.WriteRaw("\",\"type\":"u8);
        _line.WriteString(stored.Type);
        _line.WriteRaw(",\"version\":"u8);
        _line.WriteRaw(stored.Version);
        _line.WriteRaw("}"u8);
        return _line.Written;
    }

    public byte[] Hash(StoredEvent stored) => MerkleTree.HashOfLeaf(Write(stored));

    private void WriteHash()
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> hex = stackalloc byte[SHA256.HashSizeInBytes * 2];
        SHA256.HashData(_content.Written, hash);
        Convert.TryToHexStringLower(hash, hex, out _);
        _line.WriteRaw(hex);
    }
}
