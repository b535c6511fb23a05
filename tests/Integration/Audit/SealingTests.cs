using System.Diagnostics;
using System.Text.RegularExpressions;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;
using Huzhu.Audit.Verbs;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>The log of a real service, sealed, tampered with by the superuser of its database, and verified.</summary>
public sealed class SealingTests(AuditedMatching matching) : IClassFixture<AuditedMatching>
{
    private static readonly string[] Matching = ["--service", "matching"];

    [Fact]
    public async Task an_untouched_log_verifies_and_a_second_seal_changes_nothing()
    {
        var folder = matching.NewFolder();
        Assert.Equal((ExitCodes.Unknown, "matching: nothing is sealed, so nothing can be said.\n"), await matching.RunAsync(folder, ["verify", .. Matching]));
        var first = await matching.RunAsync(folder, ["seal", .. Matching]);
        Assert.Equal(ExitCodes.Ok, first.ExitCode);
        Assert.Equal(first, await matching.RunAsync(folder, ["seal", .. Matching]));
        Assert.Single(new SealFolder(folder, "matching").CheckpointFiles);
        var (exitCode, output) = await matching.RunAsync(folder, ["verify", .. Matching]);
        Assert.Equal(ExitCodes.Ok, exitCode);
        Assert.Matches(@"^matching: \d+ events are as 1 checkpoint sealed them; 0 came later\.\n$", output);
    }

    [Fact]
    public async Task an_event_that_commits_late_is_waited_for_and_sealed()
    {
        var folder = matching.NewFolder();
        await using var log = matching.OpenLog();
        var signer = NoteSigner.Generate("test");
        using var sealer = new Sealer(log, new SealFolder(folder, "matching"), "test", [signer], [signer.Key]);
        var before = (await sealer.SealAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken))!;
        Assert.Contains("another audit seals", Assert.Throws<AuditException>(() => new Sealer(log, new SealFolder(folder, "matching"), "test", [signer], [signer.Key])).Message);

        await using var late = await matching.Superuser.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await late.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var insert = late.CreateCommand())
        {
            insert.CommandText = Insert;
            await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        await matching.ExecuteAsync(Insert);
        Assert.Null(await sealer.SealAsync(TimeSpan.FromMilliseconds(300), TestContext.Current.CancellationToken));
        var waiting = sealer.SealAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.False(waiting.IsCompleted);
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(before.Size + 2, (await waiting)!.Size);

        // One that fails leaves a number behind that nothing has.
        await using (var failing = await late.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var insert = late.CreateCommand();
            insert.CommandText = Insert;
            await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        var after = (await sealer.SealAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken))!;
        Assert.Equal((before.Size + 2, before.Sequence + 3), (after.Size, after.Sequence));
        var result = await Verification.RunAsync(log.ReadAsync(long.MinValue, cancellation: TestContext.Current.CancellationToken), new SealFolder(folder, "matching").Lines(),
            [before, after], null, TestContext.Current.CancellationToken);
        Assert.Empty(result.Findings);
        await matching.ExecuteAsync("delete from huzhu.mt_events where type = 'audit_test'; delete from huzhu.mt_streams where type = 'audit_test'");
    }

    [Fact]
    public async Task every_random_tampering_is_detected_and_named()
    {
        var folder = matching.NewFolder();
        Assert.Equal(ExitCodes.Ok, (await matching.RunAsync(folder, ["seal", .. Matching])).ExitCode);
        var seal = new SealFolder(folder, "matching");
        var lines = seal.Lines().ToList();
        IReadOnlyList<NoteKey> trusted = [.. File.ReadLines(matching.KeyFile).Select(line => NoteSigner.Parse(line).Key)];
        var checkpoint = SignedCheckpoint.Open(File.ReadAllText(seal.CheckpointFiles[0]), trusted).Checkpoint;
        await using var log = matching.OpenLog();
        await using var tampering = await Tampering.PrepareAsync(matching.Superuser, new Random(20220401));
        var times = int.TryParse(Environment.GetEnvironmentVariable("HUZHU_TAMPERINGS"), out var wanted) ? wanted : 300;
        var watch = Stopwatch.StartNew();
        var named = new SortedDictionary<string, int>();
        for (var time = 0; time < times; time++)
        {
            // Now and then for good, and read as the auditor reads; mostly within a transaction, which is not committed.
            if (time % 100 == 0)
            {
                await tampering.CleanAsync();
                await FindAsync(await tampering.TamperAsync(), log.ReadAsync(long.MinValue, cancellation: TestContext.Current.CancellationToken));
                await tampering.RestoreAsync();
            }
            else
                await tampering.TamperAsync((done, connection) => FindAsync(done, ServiceLog.ReadAsync(connection, TestContext.Current.CancellationToken)));
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{times} tamperings of a log of {lines.Count} events in {watch.Elapsed.TotalSeconds:0} s; findings: {string.Join(", ", named.Select(kind => $"{kind.Key} {kind.Value}"))}");
        Assert.Equal(ExitCodes.Ok, (await matching.RunAsync(folder, ["verify", .. Matching])).ExitCode);

        async Task FindAsync((string Done, string[] Named) tampered, IAsyncEnumerable<StoredEvent> log)
        {
            var rows = await log.ToListAsync(TestContext.Current.CancellationToken);
            var result = await Verification.RunAsync(rows.ToAsyncEnumerable(), lines, [checkpoint], null, TestContext.Current.CancellationToken);
            Assert.True(result.Findings.Count > 0, $"{tampered.Done}: not detected");
            Assert.True(result.Findings.Any(finding => tampered.Named.Contains(finding.Kind)), $"{tampered.Done}: named {string.Join("; ", result.Findings.Select(finding => $"{finding.Kind}: {finding.Words}"))}");
            foreach (var finding in result.Findings)
                named[finding.Kind] = named.GetValueOrDefault(finding.Kind) + 1;
            // The roots are those of the same rows whether the lines are at hand or not, so every tenth shows it.
            if (named.Values.Sum() % 10 > 0)
                return;
            var alone = await Verification.RunAsync(rows.ToAsyncEnumerable(), [], [checkpoint], null, TestContext.Current.CancellationToken);
            Assert.True(alone.Findings.Count > 0, $"{tampered.Done}: not detected by the checkpoint alone");
        }
    }

    [Fact]
    public async Task an_administrator_who_rewrites_database_and_folder_is_caught_by_a_copy_of_a_checkpoint()
    {
        var folder = matching.NewFolder();
        await matching.RunAsync(folder, ["seal", .. Matching]);
        var copy = Path.Combine(matching.NewFolder(), "mine");
        File.Copy(new SealFolder(folder, "matching").CheckpointFiles[0], copy);

        await using var tampering = await Tampering.PrepareAsync(matching.Superuser, new Random(1));
        await matching.ExecuteAsync("update huzhu.mt_events set data = jsonb_set(data, '{distance}', '1') where seq_id = (select max(seq_id) from huzhu.mt_events where type = 'offer_made')");
        var forged = matching.NewFolder();
        await matching.RunAsync(forged, ["seal", .. Matching]);
        Assert.Equal(ExitCodes.Ok, (await matching.RunAsync(forged, ["verify", .. Matching])).ExitCode);
        var (exitCode, output) = await matching.RunAsync(forged, ["verify", .. Matching, "--copy", copy]);
        Assert.Equal(ExitCodes.Found, exitCode);
        Assert.Contains("matching: TAMPERED", output);
        await tampering.RestoreAsync();
        Assert.Equal(ExitCodes.Ok, (await matching.RunAsync(folder, ["verify", .. Matching, "--copy", copy])).ExitCode);
    }

    [Fact]
    public async Task a_proof_needs_nothing_but_itself_and_the_public_key()
    {
        var folder = matching.NewFolder();
        await matching.RunAsync(folder, ["seal", .. Matching]);
        var old = new SealFolder(folder, "matching").CheckpointFiles[0];
        var id = await matching.QueryAsync<Guid>("select id from huzhu.mt_events where type = 'offer_made' order by seq_id limit 1");
        await using var log = matching.OpenLog();
        await matching.ExecuteAsync(Insert);
        await matching.RunAsync(folder, ["seal", .. Matching]);

        // The other services' logs are elsewhere; the event is in the first one that has it.
        var (exitCode, proof) = await matching.RunAsync(folder, "prove", id.ToString(), "--service", "matching");
        Assert.True(exitCode == ExitCodes.Ok, proof);
        var file = Path.Combine(folder, "proof.json");
        await File.WriteAllTextAsync(file, proof, TestContext.Current.CancellationToken);
        (exitCode, var words) = await matching.RunAsync("", "check-proof", file);
        Assert.True(exitCode == ExitCodes.Ok, words);
        Assert.StartsWith($"Proven: event {id} (offer_made", words, StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, Regex.Replace(proof, "\"capacity\": \\d+", "\"capacity\": 99"), TestContext.Current.CancellationToken);
        Assert.Equal(ExitCodes.Found, (await matching.RunAsync("", "check-proof", file)).ExitCode);

        (exitCode, proof) = await matching.RunAsync(folder, "prove", "--since", old);
        Assert.True(exitCode == ExitCodes.Ok, proof);
        await File.WriteAllTextAsync(file, proof, TestContext.Current.CancellationToken);
        (exitCode, words) = await matching.RunAsync("", "check-proof", file);
        Assert.True(exitCode == ExitCodes.Ok, words);
        Assert.Contains("begins with the", words);
        await matching.ExecuteAsync("delete from huzhu.mt_events where type = 'audit_test'; delete from huzhu.mt_streams where type = 'audit_test'");
    }

    [Fact]
    public async Task the_verifier_in_another_language_is_short_enough_to_read() =>
        Assert.InRange((await File.ReadAllLinesAsync(Path.Combine(Repository.Find().Root, "docs", "auditors", "verify.py"), TestContext.Current.CancellationToken)).Length, 1, 100);

    [Fact]
    public async Task a_verifier_in_another_language_agrees_on_a_real_export()
    {
        var (folder, export) = (matching.NewFolder(), matching.NewFolder());
        await matching.RunAsync(folder, ["seal", .. Matching]);
        var (exitCode, output) = await matching.RunAsync(folder, ["export", .. Matching, "--format", "log", "--out", export]);
        Assert.True(exitCode == ExitCodes.Ok, output);
        var publicKey = Path.Combine(export, "public");
        await File.WriteAllLinesAsync(publicKey, File.ReadLines(matching.KeyFile).Select(line => NoteSigner.Parse(line).Key.ToString()), TestContext.Current.CancellationToken);
        var (log, checkpoint) = (Path.Combine(export, "matching.jsonl"), new SealFolder(folder, "matching").CheckpointFiles[0]);

        var verified = await PythonAsync(publicKey, checkpoint, log);
        Assert.True(verified.ExitCode == 0, verified.Output);
        Assert.Contains("is as it was signed", verified.Output);
        var rows = await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(log, Regex.Replace(rows, "\"capacity\": ?(\\d+)", match => $"\"capacity\":{int.Parse(match.Groups[1].Value) + 1}", RegexOptions.None, TimeSpan.FromSeconds(5)), TestContext.Current.CancellationToken);
        Assert.Equal(1, (await PythonAsync(publicKey, checkpoint, log)).ExitCode);
        await File.WriteAllTextAsync(log, rows, TestContext.Current.CancellationToken);
        var note = await File.ReadAllTextAsync(checkpoint, TestContext.Current.CancellationToken);
        var forged = Path.Combine(export, "forged");
        await File.WriteAllTextAsync(forged, Regex.Replace(note, "sequence (\\d)", "sequence 9$1"), TestContext.Current.CancellationToken);
        Assert.Equal(1, (await PythonAsync(publicKey, forged, log)).ExitCode);
    }

    private const string Insert = """
        with stream as (insert into huzhu.mt_streams (id, type, version) values (gen_random_uuid(), 'audit_test', 1) returning id)
        insert into huzhu.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, is_archived)
        select nextval('huzhu.mt_events_sequence'), gen_random_uuid(), id, 1, '{"late": true}', 'audit_test', now(), '*DEFAULT*', '', false from stream
        """;

    private static async Task<(int ExitCode, string Output)> PythonAsync(params string[] arguments)
    {
        var repository = Repository.Find();
        await Provisioning.EnsurePythonAsync(repository, Narrator.Silent, TestContext.Current.CancellationToken);
        using var python = Process.Start(new ProcessStartInfo("python3", [Path.Combine(repository.Root, "docs", "auditors", "verify.py"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var (output, error) = (python.StandardOutput.ReadToEndAsync(), python.StandardError.ReadToEndAsync());
        await python.WaitForExitAsync();
        return (python.ExitCode, await output + await error);
    }
}
