using Huzhu.Audit.Reading;

namespace Huzhu.Audit.Sealing;

/// <summary>One thing that is not as it was sealed.</summary>
/// <param name="Kind">changed, replaced, deleted, inserted, swapped, moved, truncated; checkpoint where no line says more; seal where the folder itself is wrong.</param>
public sealed record Finding(string Kind, long Sequence, string Words);

/// <param name="Events">Events in the database.</param>
/// <param name="Unsealed">How many of them came after the newest checkpoint: nothing is known about them.</param>
/// <param name="Checkpoints">How many checkpoints were compared.</param>
public sealed record VerificationResult(long Events, long Unsealed, int Checkpoints, IReadOnlyList<Finding> Findings);

/// <summary>
/// Compares a log with what was sealed. The roots say whether anything was changed; the sealed lines, when they are at
/// hand and fit the roots, say what.
/// </summary>
public static class Verification
{
    /// <summary>So many differing rows are named; beyond, only the roots speak.</summary>
    private const int MaxNamed = 200_000;

    /// <param name="rows">The log, in the order of its numbers.</param>
    /// <param name="lines">The sealed lines, in order; none when only checkpoints are at hand.</param>
    /// <param name="checkpoints">With signatures checked.</param>
    /// <param name="since">Rows up to this checkpoint are not among <paramref name="rows"/>: the lines stand for them.</param>
    public static async Task<VerificationResult> RunAsync(IAsyncEnumerable<StoredEvent> rows, IEnumerable<byte[]> lines,
        IEnumerable<Checkpoint> checkpoints, Checkpoint? since, CancellationToken cancellation)
    {
        var findings = new List<Finding>();
        var due = checkpoints.Where(checkpoint => since is null || checkpoint.Size >= since.Size).Distinct(new SameContent())
            .OrderBy(checkpoint => checkpoint.Sequence).ThenBy(checkpoint => checkpoint.Size).ToList();
        var differences = new Differences();
        var sealedLines = new SealedLines(lines, due, since, findings);
        var (inDatabase, writer) = (new MerkleTree(), new LeafWriter());
        if (since is not null)
            sealedLines.SkipTo(since, inDatabase);

        var last = due.Count > 0 ? due[^1].Sequence : 0;
        var (next, events, unsealed) = (0, inDatabase.Size, 0L);
        Checkpoint? held = since;
        var broken = new List<(Checkpoint? After, Checkpoint At, long Size)>();
        await foreach (var row in rows.WithCancellation(cancellation))
        {
            PassCheckpoints(row.Sequence);
            events++;
            if (row.Sequence > last)
            {
                unsealed++;
                continue;
            }
            var line = writer.Write(row);
            var hash = MerkleTree.HashOfLeaf(line);
            inDatabase.Add(hash);
            if (sealedLines.AreAtHand)
                differences.Compare(sealedLines, row.Sequence, line, hash);
        }
        PassCheckpoints(long.MaxValue);
        if (sealedLines.AreAtHand)
        {
            differences.TakeRest(sealedLines);
            sealedLines.CheckAll();
        }
        // Lines that the roots do not confirm name nothing.
        if (sealedLines.AreTrue)
            findings.AddRange(differences.Name());
        if (broken.Count > 0 && (!sealedLines.AreTrue || !findings.Exists(finding => finding.Kind != "seal")))
        {
            var (after, at, size) = broken[0];
            var where = after is null ? $"up to sequence {at.Sequence}" : $"after sequence {after.Sequence} and up to {at.Sequence}";
            findings.Add(new Finding("checkpoint", at.Sequence, size == at.Size
                ? $"The {at.Size} events {where} are not those of the checkpoint."
                : $"There are {size} events up to sequence {at.Sequence}, and the checkpoint has {at.Size}; the first difference lies {where}."));
        }
        return new VerificationResult(events, unsealed, due.Count, findings);

        void PassCheckpoints(long sequence)
        {
            for (; next < due.Count && due[next].Sequence < sequence; next++)
            {
                if (inDatabase.Size == due[next].Size && inDatabase.Root().AsSpan().SequenceEqual(due[next].Root))
                    held = due[next];
                else
                    broken.Add((held, due[next], inDatabase.Size));
            }
        }
    }

    private sealed class SameContent : IEqualityComparer<Checkpoint>
    {
        public bool Equals(Checkpoint? a, Checkpoint? b) => a?.Text == b?.Text;
        public int GetHashCode(Checkpoint checkpoint) => checkpoint.Text.GetHashCode(StringComparison.Ordinal);
    }

    /// <summary>The sealed lines as they are read, held against the roots of the checkpoints on the way.</summary>
    private sealed class SealedLines
    {
        private readonly IEnumerator<byte[]> _lines;
        private readonly List<Checkpoint> _due;
        private readonly List<Finding> _findings;
        private readonly long _limit;
        private readonly MerkleTree _tree = new();
        private int _next;

        public SealedLines(IEnumerable<byte[]> lines, List<Checkpoint> due, Checkpoint? since, List<Finding> findings)
        {
            (_lines, _due, _findings) = (lines.GetEnumerator(), due, findings);
            _limit = due.Count > 0 ? due.Max(checkpoint => checkpoint.Size) : 0;
            Advance();
            AreAtHand = Current is not null;
            AreTrue = AreAtHand || _limit == 0;
            if (since is not null && !AreAtHand)
                throw new AuditException("To verify since a checkpoint, the sealed lines up to it are needed: leaves.jsonl is missing.");
        }

        public bool AreAtHand { get; }
        public bool AreTrue { get; private set; }
        public byte[]? Current { get; private set; }

        public void SkipTo(Checkpoint since, MerkleTree tree)
        {
            while (tree.Size < since.Size && Current is not null)
            {
                var hash = MerkleTree.HashOfLeaf(Current);
                tree.Add(hash);
                Advance(hash);
            }
            if (tree.Size != since.Size || !tree.Root().AsSpan().SequenceEqual(since.Root))
                throw new AuditException("The sealed lines are not those of the checkpoint to verify since.");
        }

        /// <summary>Lines after the newest checkpoint are signed by nobody, and are not read.</summary>
        /// <param name="hash">That of the current line, where it is known.</param>
        public void Advance(byte[]? hash = null)
        {
            if (Current is not null)
                _tree.Add(hash ?? MerkleTree.HashOfLeaf(Current));
            for (; _next < _due.Count && _due[_next].Size <= _tree.Size; _next++)
            {
                if (_due[_next].Size == _tree.Size && !_tree.Root().AsSpan().SequenceEqual(_due[_next].Root))
                    Doubt(_due[_next]);
            }
            Current = _tree.Size < _limit && _lines.MoveNext() ? _lines.Current : null;
        }

        public void CheckAll()
        {
            if (_next < _due.Count)
                Doubt(_due[_next]);
            _lines.Dispose();
        }

        private void Doubt(Checkpoint checkpoint)
        {
            if (AreTrue)
                _findings.Add(new Finding("seal", checkpoint.Sequence, $"The sealed lines (leaves.jsonl) are not those of the checkpoint over {checkpoint.Size} events: the folder was changed or is incomplete."));
            AreTrue = false;
        }
    }

    /// <summary>Rows that differ, kept by event id, so that what was moved is told from what was deleted and made up.</summary>
    private sealed class Differences
    {
        private readonly Dictionary<Guid, Leaf> _sealed = [];
        private readonly Dictionary<Guid, Leaf> _found = [];
        private readonly List<Leaf> _repeated = [];
        private long _newestFound;
        private bool _tooMany;

        /// <param name="line">The row's, as it is now.</param>
        public void Compare(SealedLines lines, long sequence, ReadOnlySpan<byte> line, byte[] hash)
        {
            _newestFound = sequence;
            while (lines.Current is { } wanted)
            {
                if (line.SequenceEqual(wanted))
                {
                    lines.Advance(hash);
                    return;
                }
                // A line that is none is not what was signed; the roots will say so.
                var before = Leaf.Parse(wanted);
                if (before?.Sequence > sequence)
                    break;
                lines.Advance();
                if (before is null)
                    continue;
                if (Room)
                    _sealed[before.Id] = before;
                if (before.Sequence == sequence)
                    break;
            }
            var leaf = Leaf.Parse(line.ToArray())!;
            if (Room && !_found.TryAdd(leaf.Id, leaf))
                _repeated.Add(leaf);
        }

        public void TakeRest(SealedLines lines)
        {
            for (; lines.Current is { } line; lines.Advance())
            {
                if (Room && Leaf.Parse(line) is { } before)
                    _sealed[before.Id] = before;
            }
        }

        public IEnumerable<Finding> Name()
        {
            var bySequence = _sealed.Values.ToDictionary(leaf => leaf.Sequence);
            var foundAt = new Dictionary<long, Leaf>();
            foreach (var leaf in _found.Values)
                foundAt.TryAdd(leaf.Sequence, leaf);
            var named = new HashSet<Guid>();
            var moved = new List<(Leaf Before, Leaf Now)>();
            var cut = new List<Leaf>();
            foreach (var before in _sealed.Values.OrderBy(leaf => leaf.Sequence))
            {
                if (named.Contains(before.Id))
                    continue;
                if (!_found.TryGetValue(before.Id, out var now))
                {
                    if (foundAt.TryGetValue(before.Sequence, out var other) && !_sealed.ContainsKey(other.Id))
                    {
                        named.Add(other.Id);
                        yield return new Finding("replaced", before.Sequence, $"Event {before.Id} ({before.Type}) at sequence {before.Sequence} has become event {other.Id} ({other.Type}).");
                    }
                    else if (before.Sequence > _newestFound)
                        cut.Add(before);
                    else
                        yield return new Finding("deleted", before.Sequence, $"Event {before.Id} ({before.Type}, stream {before.Stream}) at sequence {before.Sequence} is gone.");
                    continue;
                }
                var changes = string.Join(", ", before.ChangesTo(now));
                if (now.Sequence == before.Sequence && changes.Length > 0)
                    yield return new Finding("changed", before.Sequence, $"Event {before.Id} ({before.Type}) at sequence {before.Sequence} is not as it was: {changes}.");
                else if (now.Sequence == before.Sequence)
                    continue;
                else if (bySequence.TryGetValue(now.Sequence, out var partner) && _found.TryGetValue(partner.Id, out var partnerNow) && partnerNow.Sequence == before.Sequence)
                {
                    named.Add(partner.Id);
                    yield return new Finding("swapped", before.Sequence, $"Events {before.Id} and {partner.Id} at sequences {before.Sequence} and {now.Sequence} have changed places.");
                }
                else
                    moved.Add((before, now));
            }
            foreach (var run in RunsOf(moved))
            {
                var (first, final) = (run[0], run[^1]);
                yield return new Finding("moved", first.Before.Sequence, run.Count == 1
                    ? $"Event {first.Before.Id} ({first.Before.Type}) was at sequence {first.Before.Sequence} and is at {first.Now.Sequence}."
                    : $"The {run.Count} events at sequences {first.Before.Sequence} to {final.Before.Sequence} were renumbered to {first.Now.Sequence} to {final.Now.Sequence}.");
            }
            foreach (var leaf in _found.Values.Where(leaf => !_sealed.ContainsKey(leaf.Id) && !named.Contains(leaf.Id)).Concat(_repeated).OrderBy(leaf => leaf.Sequence))
                yield return new Finding("inserted", leaf.Sequence, $"Event {leaf.Id} ({leaf.Type}, stream {leaf.Stream}) at sequence {leaf.Sequence} was never sealed.");
            if (cut.Count > 0)
                yield return new Finding("truncated", cut[0].Sequence, $"Nothing sealed is left after sequence {_newestFound}: {cut.Count} events from {cut[0].Sequence} to {cut[^1].Sequence} are gone.");
            if (_tooMany)
                yield return new Finding("changed", 0, $"More than {MaxNamed} rows differ; not all of them are named here.");
        }

        private bool Room
        {
            get
            {
                if (_sealed.Count + _found.Count < 2 * MaxNamed)
                    return true;
                _tooMany = true;
                return false;
            }
        }

        /// <summary>What was moved by as much as the one before it.</summary>
        private static IEnumerable<List<(Leaf Before, Leaf Now)>> RunsOf(List<(Leaf Before, Leaf Now)> moved)
        {
            var run = new List<(Leaf Before, Leaf Now)>();
            foreach (var move in moved)
            {
                if (run.Count > 0 && run[^1].Now.Sequence - run[^1].Before.Sequence != move.Now.Sequence - move.Before.Sequence)
                {
                    yield return run;
                    run = [];
                }
                run.Add(move);
            }
            if (run.Count > 0)
                yield return run;
        }
    }
}
