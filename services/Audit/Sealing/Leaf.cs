using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// What of one event is sealed: a line of canonical JSON that holds no content, only its hashes. Whoever has the lines
/// and a checkpoint can say what was changed, without having the events.
/// </summary>
/// <param name="Data">SHA-256 of the event's data in canonical form.</param>
/// <param name="Context">SHA-256 of everything else in the row, in canonical form; see <see cref="StoredEvent.Context"/>.</param>
public sealed record Leaf(Guid Id, long Sequence, Guid Stream, long Version, string Type, DateTimeOffset Time, string Data, string Context)
{
    public static Leaf Of(StoredEvent stored) => new(
        stored.Id, stored.Sequence, stored.Stream, stored.Version, stored.Type, stored.StoredAt, HashOf(stored.Data), HashOf(stored.Context()));

    /// <summary>The line, without a newline at its end: what the tree hashes.</summary>
    public string Line
    {
        get
        {
            var type = new ArrayBufferWriter<byte>(64);
            CanonicalJson.WriteString(Type, type);
            return string.Create(CultureInfo.InvariantCulture,
                $$"""{"context":"{{Context}}","data":"{{Data}}","id":"{{Id}}","sequence":{{Sequence}},"stream":"{{Stream}}","time":"{{StoredEvent.TimeText(Time)}}","type":{{Encoding.UTF8.GetString(type.WrittenSpan)}},"version":{{Version}}}""");
        }
    }

    public byte[] Hash => HashOfLine(Line);

    public static byte[] HashOfLine(string line) => MerkleTree.HashOfLeaf(Encoding.UTF8.GetBytes(line));

    /// <returns>Null when the line is no leaf.</returns>
    public static Leaf? Parse(string line)
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

    private static string HashOf(ReadOnlyMemory<byte> json) => Convert.ToHexStringLower(SHA256.HashData(CanonicalJson.Of(json, exactDigits: true)));
}
