using System.Globalization;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// What a log was at one moment, as <c>c2sp.org/tlog-checkpoint</c> says: whose log, how many events, and the root of
/// their tree. One line more says up to which sequence number, because numbers of transactions that failed are missing.
/// </summary>
/// <param name="Origin">Whose log: the service's name below the name of the deployment.</param>
/// <param name="Sequence">Every event up to this number is in the tree, and no later one.</param>
public sealed record Checkpoint(string Origin, long Size, byte[] Root, long Sequence)
{
    private const string SequencePrefix = "sequence ";

    public string Text => string.Create(CultureInfo.InvariantCulture, $"{Origin}\n{Size}\n{Convert.ToBase64String(Root)}\n{SequencePrefix}{Sequence}\n");

    /// <exception cref="FormatException">It is no checkpoint of ours.</exception>
    public static Checkpoint Parse(string text)
    {
        var lines = text.Split('\n');
        if (lines.Length < 5 || lines[0].Length == 0 || !TryNumber(lines[1], out var size) || !lines[3].StartsWith(SequencePrefix, StringComparison.Ordinal)
            || !TryNumber(lines[3][SequencePrefix.Length..], out var sequence))
            throw new FormatException("This is no checkpoint: origin, size, root and sequence are expected, each on a line.");
        var root = Convert.FromBase64String(lines[2]);
        return root.Length == 32 ? new Checkpoint(lines[0], size, root, sequence) : throw new FormatException("The root of the checkpoint is no SHA-256.");
    }

    private static bool TryNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}

/// <summary>A checkpoint with the note that carries it.</summary>
public sealed record SignedCheckpoint(Checkpoint Checkpoint, string Note)
{
    public static SignedCheckpoint Make(Checkpoint checkpoint, IEnumerable<NoteSigner> signers) => new(checkpoint, SignedNote.Sign(checkpoint.Text, signers));

    /// <exception cref="FormatException">It is no checkpoint, or none of the trusted keys has signed it.</exception>
    public static SignedCheckpoint Open(string note, IReadOnlyCollection<NoteKey> trusted)
    {
        var (text, signedBy) = SignedNote.Open(note, trusted);
        return signedBy.Count > 0
            ? new SignedCheckpoint(Checkpoint.Parse(text), note)
            : throw new FormatException("None of the keys that are trusted has signed this checkpoint.");
    }
}
