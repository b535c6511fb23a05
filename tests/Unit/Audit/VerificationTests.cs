using System.Runtime.CompilerServices;
using System.Text;
using CsCheck;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>What can be done to a log, and what the verification calls it. On rows in memory; the integration tests do it to a database.</summary>
public class VerificationTests
{
    private static readonly List<StoredEvent> Log = [.. Enumerable.Range(1, 40).Where(number => number != 7).Select(Row)];

    [Fact]
    public async Task an_untouched_log_is_as_it_was_sealed_and_what_came_later_is_counted()
    {
        var result = await VerifyAsync([.. Log, Row(41), Row(42)]);
        Assert.Equal((41, 2, 4), (result.Events, result.Unsealed, result.Checkpoints));
        Assert.Empty(result.Findings);
    }

    [Fact]
    public async Task a_changed_field_is_named()
    {
        await Finds("changed: data", At(5, row => row with { Data = "{\"a\":5.0000000000000001}"u8.ToArray() }));
        await Finds("changed: type", At(5, row => row with { Type = "offer_mad" }));
        await Finds("changed: version", At(5, row => row with { Version = 3 }));
        await Finds("changed: stream", At(5, row => row with { Stream = Guid.NewGuid() }));
        await Finds("changed: time", At(5, row => row with { StoredAt = row.StoredAt.AddMicroseconds(1) }));
        await Finds("changed: context", At(5, row => row with { IsArchived = true }));
        await Finds("changed: context", At(5, row => row with { CausationId = "another" }));
        await Finds("changed: context", At(5, row => row with { Headers = """{"traceparent":"00-1"}"""u8.ToArray() }));
    }

    [Fact]
    public async Task an_event_that_became_another_is_replaced() => await Finds("replaced", At(5, row => row with { Id = Guid.NewGuid() }));

    [Fact]
    public async Task a_deleted_event_is_named() => await Finds("deleted", [.. Log.Where(row => row.Sequence != 20)]);

    [Fact]
    public async Task an_inserted_event_is_named_even_where_a_number_was_missing() =>
        await Finds("inserted", [.. Log.Append(Row(7) with { Id = Guid.NewGuid() }).OrderBy(row => row.Sequence)]);

    [Fact]
    public async Task two_events_that_changed_places_are_named_once() =>
        await Finds("swapped", [.. Log.Select(row => row.Sequence switch { 10 => Of(30) with { Sequence = 10 }, 30 => Of(10) with { Sequence = 30 }, _ => row })]);

    [Fact]
    public async Task a_rewritten_and_renumbered_log_is_named()
    {
        var result = await VerifyAsync([.. Log.Where(row => row.Sequence != 20).Select(row => row.Sequence > 20 ? row with { Sequence = row.Sequence - 1 } : row)]);
        Assert.Equal(["deleted", "moved"], result.Findings.Select(finding => finding.Kind).Order());
        Assert.Contains(result.Findings, finding => finding.Words == "The 20 events at sequences 21 to 40 were renumbered to 20 to 39.");
    }

    [Fact]
    public async Task a_truncated_tail_is_named() => await Finds("truncated", [.. Log.Where(row => row.Sequence < 36)]);

    [Fact]
    public async Task a_truncated_tail_is_found_with_an_auditors_own_checkpoint_alone()
    {
        var result = await VerifyAsync([.. Log.Where(row => row.Sequence < 36)], lines: []);
        Assert.Equal("checkpoint", Assert.Single(result.Findings).Kind);
    }

    [Fact]
    public async Task without_the_lines_the_checkpoints_say_between_which_of_them_it_was()
    {
        var result = await VerifyAsync(At(15, row => row with { Type = "another" }), lines: []);
        Assert.Equal("The 19 events after sequence 10 and up to 20 are not those of the checkpoint.", Assert.Single(result.Findings).Words);
    }

    [Fact]
    public async Task lines_that_were_changed_along_with_the_log_are_not_believed()
    {
        var forged = At(15, row => row with { Type = "another" });
        var result = await VerifyAsync(forged, lines: forged.Select(row => Line(row)));
        Assert.Equal(["checkpoint", "seal"], result.Findings.Select(finding => finding.Kind).Order());
        result = await VerifyAsync(Log, lines: ["no line at all"u8.ToArray(), .. Log.Skip(1).Select(row => Line(row))]);
        Assert.Equal(["seal"], result.Findings.Select(finding => finding.Kind));
    }

    [Fact]
    public async Task since_a_checkpoint_only_the_rows_after_it_are_looked_at()
    {
        var (lines, checkpoints) = Seal();
        var since = checkpoints[1];
        var forged = At(35, row => row with { Type = "another" });
        var result = await Verification.RunAsync(Async(forged.Where(row => row.Sequence > since.Sequence)), lines, checkpoints, since, default);
        Assert.Equal(["changed"], result.Findings.Select(finding => finding.Kind));
        result = await Verification.RunAsync(Async(Log.Where(row => row.Sequence > since.Sequence)), lines, checkpoints, since, default);
        Assert.Empty(result.Findings);
    }

    [Fact]
    public void no_tampering_goes_unseen() => Gen.Select(Gen.Int[0, 6], Gen.Int[0, Log.Count - 2], Gen.Int[0, Log.Count - 2]).Sample((how, at, other) =>
    {
        var rows = new List<StoredEvent>(Log);
        switch (how)
        {
            case 0:
                var data = (byte[])rows[at].Data.Clone();
                data[5] = (byte)(data[5] == (byte)'1' ? '2' : '1');
                rows[at] = rows[at] with { Data = data };
                break;
            case 1:
                rows.RemoveAt(at);
                break;
            case 2:
                rows.Insert(at, rows[at] with { Id = Guid.NewGuid(), Sequence = rows[at].Sequence == 1 ? 0 : rows[at].Sequence });
                break;
            case 3:
                other = other == at ? at + 1 : other;
                (rows[at], rows[other]) = (rows[other] with { Sequence = rows[at].Sequence }, rows[at] with { Sequence = rows[other].Sequence });
                break;
            case 4:
                (rows[at], rows[at + 1]) = (rows[at] with { Data = rows[at + 1].Data }, rows[at + 1] with { Data = rows[at].Data });
                break;
            case 5:
                rows.RemoveRange(at, rows.Count - at);
                break;
            case 6:
                rows.RemoveAt(at);
                for (var index = at; index < rows.Count; index++)
                    rows[index] = rows[index] with { Sequence = rows[index].Sequence - 1 };
                break;
        }
        // xUnit has no synchronisation context to wait on here: nothing in it is truly asynchronous.
        Assert.NotEmpty(VerifyAsync(rows).GetAwaiter().GetResult().Findings);
        Assert.NotEmpty(VerifyAsync(rows, lines: []).GetAwaiter().GetResult().Findings);
    }, iter: 2000, threads: 1);

    private static async Task Finds(string what, List<StoredEvent> rows)
    {
        var finding = Assert.Single((await VerifyAsync(rows)).Findings);
        Assert.StartsWith(what.Split(':')[0], finding.Kind, StringComparison.Ordinal);
        if (what.Split(": ") is [_, var field])
            Assert.EndsWith($"is not as it was: {field}.", finding.Words, StringComparison.Ordinal);
        Assert.NotEmpty((await VerifyAsync(rows, lines: [])).Findings);
    }

    private static Task<VerificationResult> VerifyAsync(List<StoredEvent> rows, IEnumerable<byte[]>? lines = null)
    {
        var (written, checkpoints) = Seal();
        return Verification.RunAsync(Async(rows), lines ?? written, checkpoints, null, default);
    }

    private static (List<byte[]> Lines, List<Checkpoint> Checkpoints) Seal()
    {
        var (lines, checkpoints, tree) = (new List<byte[]>(), new List<Checkpoint>(), new MerkleTree());
        foreach (var row in Log)
        {
            lines.Add(Line(row));
            tree.Add(MerkleTree.HashOfLeaf(lines[^1]));
            if (row.Sequence % 10 == 0)
                checkpoints.Add(new Checkpoint("test/log", tree.Size, tree.Root(), row.Sequence));
        }
        return (lines, checkpoints);
    }

    private static byte[] Line(StoredEvent row) => new LeafWriter().Write(row).ToArray();

    private static List<StoredEvent> At(long sequence, Func<StoredEvent, StoredEvent> change) => [.. Log.Select(row => row.Sequence == sequence ? change(row) : row)];

    private static StoredEvent Of(long sequence) => Log.Single(row => row.Sequence == sequence);

    private static StoredEvent Row(int number) => new(
        number, new Guid(number, 0, 0, new byte[8]), new Guid(number / 4, 1, 0, new byte[8]), number % 4 + 1, "offer_made",
        new DateTimeOffset(2022, 4, 1, 8, 0, 0, TimeSpan.Zero).AddSeconds(number), Encoding.UTF8.GetBytes($"{{\"a\":{number}}}"),
        "*DEFAULT*", "Some, Type", null, "cause", null, false);

    private static async IAsyncEnumerable<StoredEvent> Async(IEnumerable<StoredEvent> rows, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await Task.CompletedTask;
        foreach (var row in rows)
        {
            cancellation.ThrowIfCancellationRequested();
            yield return row;
        }
    }
}
