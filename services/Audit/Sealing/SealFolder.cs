using System.Globalization;
using System.Text;
using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// What is kept outside the database for one log: <c>leaves.jsonl</c>, one sealed line for each event, and
/// <c>SIZE.checkpoint</c>, one signed note for each checkpoint. Only the notes are trusted: the lines are whatever the
/// roots in the notes say.
/// </summary>
public sealed class SealFolder
{
    private const string Extension = ".checkpoint";

    public SealFolder(string folder, string service) => FullPath = Path.Combine(folder, service);

    public string FullPath { get; }

    public string LeavesFile => Path.Combine(FullPath, "leaves.jsonl");

    /// <summary>Paths of the checkpoints, smallest first.</summary>
    public IReadOnlyList<string> CheckpointFiles =>
        Directory.Exists(FullPath) ? [.. Directory.EnumerateFiles(FullPath, "*" + Extension).Order(StringComparer.Ordinal)] : [];

    /// <summary>The sealed lines, without the newline at their ends; a last one that has none is not finished, and is left out.</summary>
    public IEnumerable<byte[]> Lines()
    {
        if (!File.Exists(LeavesFile))
            yield break;
        using var file = new FileStream(LeavesFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        foreach (var line in LinesOf(file))
            yield return line;
    }

    internal static IEnumerable<byte[]> LinesOf(Stream file)
    {
        var (buffer, start, end) = (new byte[1 << 16], 0, 0);
        while (true)
        {
            while (buffer.AsSpan(start..end).IndexOf((byte)'\n') is var length and >= 0)
            {
                yield return buffer[start..(start + length)];
                start += length + 1;
            }
            buffer.AsSpan(start..end).CopyTo(buffer);
            (start, end) = (0, end - start);
            if (end == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
            var read = file.Read(buffer.AsSpan(end));
            if (read == 0)
                yield break;
            end += read;
        }
    }

    public void Write(SignedCheckpoint signed)
    {
        // Seen whole or not at all.
        var path = Path.Combine(FullPath, signed.Checkpoint.Size.ToString("D12", CultureInfo.InvariantCulture) + Extension);
        var draft = path + ".draft";
        using (var file = new FileStream(draft, FileMode.Create, FileAccess.Write))
        {
            file.Write(Encoding.UTF8.GetBytes(signed.Note));
            file.Flush(flushToDisk: true);
        }
        File.Move(draft, path, overwrite: true);
    }
}

/// <summary>Extends the seal of one log: new events become lines, then the checkpoint over all lines is signed.</summary>
public sealed class Sealer : IDisposable
{
    /// <summary>Bytes of lines that are written to the file at once.</summary>
    private const int Buffered = 1 << 16;

    private readonly ServiceLog _log;
    private readonly SealFolder _folder;
    private readonly IReadOnlyList<NoteSigner> _signers;
    private readonly FileStream _alone;
    private readonly FileStream _leaves = null!;
    private readonly MerkleTree _tree = new();
    private readonly LeafWriter _writer = new();
    private readonly string _origin;
    private long _sequence;

    /// <exception cref="AuditException">Somebody else seals into the folder, or what it holds does not fit together.</exception>
    public Sealer(ServiceLog log, SealFolder folder, string deployment, IReadOnlyList<NoteSigner> signers, IReadOnlyCollection<NoteKey> trusted)
    {
        (_log, _folder, _signers, _origin) = (log, folder, signers, $"{deployment}/{log.Service}");
        Directory.CreateDirectory(folder.FullPath);
        try
        {
            // Readers are let in, so what keeps a second writer out is a file of its own.
            _alone = new FileStream(Path.Combine(folder.FullPath, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception)
        {
            throw new AuditException($"{folder.FullPath} cannot be written to: another audit seals into this folder (./huzhu up does so by itself), or its files are somebody else's.", exception);
        }
        try
        {
            _leaves = new FileStream(folder.LeavesFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, Buffered);
            Resume(trusted);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The newest number that is sealed.</summary>
    public long Sequence => _sequence;

    /// <returns>The checkpoint, which is the one before when nothing was appended; null while a transaction stays open.</returns>
    public async Task<Checkpoint?> SealAsync(TimeSpan patience, CancellationToken cancellation)
    {
        if (await _log.FindSettledAsync(patience, cancellation) is not { } settled)
            return null;
        if (settled == _sequence && _tree.Size > 0)
            return new Checkpoint(_origin, _tree.Size, _tree.Root(), _sequence);
        await foreach (var stored in _log.ReadAsync(_sequence, settled, cancellation))
        {
            var line = _writer.Write(stored);
            _leaves.Write(line);
            _leaves.WriteByte((byte)'\n');
            _tree.Add(MerkleTree.HashOfLeaf(line));
        }
        _leaves.Flush(flushToDisk: true);
        _sequence = settled;
        var checkpoint = new Checkpoint(_origin, _tree.Size, _tree.Root(), _sequence);
        _folder.Write(SignedCheckpoint.Make(checkpoint, _signers));
        return checkpoint;
    }

    public void Dispose()
    {
        _leaves?.Dispose();
        _alone.Dispose();
    }

    /// <summary>Goes on from the newest checkpoint. Lines that were written after it and never signed are taken away.</summary>
    private void Resume(IReadOnlyCollection<NoteKey> trusted)
    {
        if (_folder.CheckpointFiles is not [.., var newest])
        {
            _leaves.SetLength(0);
            return;
        }
        var checkpoint = SignedCheckpoint.Open(File.ReadAllText(newest), trusted).Checkpoint;
        if (checkpoint.Origin != _origin)
            throw new AuditException($"{newest} is of {checkpoint.Origin}, not of {_origin}.");
        long length = 0;
        foreach (var line in SealFolder.LinesOf(_leaves))
        {
            if (_tree.Size == checkpoint.Size)
                break;
            _tree.Add(MerkleTree.HashOfLeaf(line));
            length += line.Length + 1;
        }
        if (_tree.Size != checkpoint.Size || !_tree.Root().AsSpan().SequenceEqual(checkpoint.Root))
            throw new AuditException($"{_folder.LeavesFile} is not what {newest} has signed: put back a copy of the folder, or seal into a new one and keep this as evidence.");
        _leaves.SetLength(length);
        _leaves.Position = length;
        _sequence = checkpoint.Sequence;
    }
}
