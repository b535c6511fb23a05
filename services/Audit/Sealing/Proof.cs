using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Sealing;

/// <summary>A file that proves something about a log to somebody who has nothing but it and the public key.</summary>
public static class Proof
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>That the event is in the log that the checkpoint has signed.</summary>
    public static string OfEvent(StoredEvent stored, IReadOnlyList<byte[]> leaves, int index, SignedCheckpoint signed)
    {
        using var row = new MemoryStream();
        using (var writer = new Utf8JsonWriter(row))
            stored.WriteTo(writer);
        return new JsonObject
        {
            ["proves"] = "event",
            ["event"] = JsonNode.Parse(row.ToArray()),
            ["index"] = index,
            ["path"] = Path(MerkleProofs.OfInclusion(leaves, index)),
            ["checkpoint"] = signed.Note,
        }.ToJsonString(Json) + "\n";
    }

    /// <summary>That the newer checkpoint's log begins with the older one's, whole and unchanged.</summary>
    public static string OfGrowth(SignedCheckpoint old, IReadOnlyList<byte[]> leaves, SignedCheckpoint signed) => new JsonObject
    {
        ["proves"] = "growth",
        ["old"] = old.Note,
        ["path"] = Path(MerkleProofs.OfConsistency(leaves, checked((int)old.Checkpoint.Size))),
        ["checkpoint"] = signed.Note,
    }.ToJsonString(Json) + "\n";

    /// <returns>What is proven, in a sentence; or why nothing is.</returns>
    public static (bool Holds, string Words) Check(string text, IReadOnlyCollection<NoteKey> trusted)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var proof = document.RootElement;
            var (checkpoint, _) = SignedCheckpoint.Open(proof.GetProperty("checkpoint").GetString()!, trusted);
            var path = proof.GetProperty("path").EnumerateArray().Select(node => Convert.FromHexString(node.GetString()!)).ToList();
            switch (proof.GetProperty("proves").GetString())
            {
                case "event":
                    var stored = StoredEvent.Parse(proof.GetProperty("event"));
                    var what = $"event {stored.Id} ({stored.Type}, sequence {stored.Sequence}) is in the log of {checkpoint.Origin} as of its checkpoint over {checkpoint.Size} events";
                    return MerkleProofs.Includes(checkpoint.Root, checkpoint.Size, new LeafWriter().Hash(stored), proof.GetProperty("index").GetInt64(), path)
                        ? (true, $"Proven: {what}.")
                        : (false, $"Not proven: that {what}. The event was changed, or the path is of another one.");
                case "growth":
                    var (old, _) = SignedCheckpoint.Open(proof.GetProperty("old").GetString()!, trusted);
                    what = $"the log of {checkpoint.Origin} with {checkpoint.Size} events begins with the {old.Size} that were signed before";
                    return old.Origin == checkpoint.Origin && MerkleProofs.Extends(old.Root, old.Size, checkpoint.Root, checkpoint.Size, path)
                        ? (true, $"Proven: {what}.")
                        : (false, $"Not proven: that {what}. History was rewritten between the two, or the path is of others.");
                default:
                    return (false, "This is no proof: it does not say what it proves.");
            }
        }
        catch (Exception exception) when (exception is FormatException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return (false, $"This is no proof: {exception.Message}");
        }
    }

    private static JsonArray Path(IEnumerable<byte[]> nodes) => [.. nodes.Select(node => (JsonNode)Convert.ToHexStringLower(node))];
}
