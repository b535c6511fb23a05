using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Rechecking;
using Huzhu.Audit.Sealing;
using Huzhu.Local.Infrastructure;
using Npgsql;

namespace Huzhu.Benchmarks;

/// <summary>
/// Reading a log of Matching back: into state, into decisions, into hashes; beside what the database needs to hand the same
/// rows over at all. Whatever is compared takes turns, and a ratio is that of one turn with the next.
/// </summary>
static class ReplayBenchmark
{
    const int Rounds = 5;

    /// <param name="Ratio">Of the speeds, ours over the other's.</param>
    sealed record Figure(string Name, string Unit, double PerSecondMin, double PerSecondMedian, double PerSecondMax, string? Beside, double? BesidePerSecond, double? Ratio, double? RatioMin, double? RatioMax, string Target);

    /// <param name="HeapMegabytes">The most that was alive while the second half of the log was folded, and the first.</param>
    sealed record Report(string Machine, long Events, long Offers, double MegabytesOfData, IReadOnlyList<Figure> Figures, double HeapMegabytesFirstHalf, double HeapMegabytes);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var events = Machine.Number(arguments, "--events", 5_000_000);
        var only = Machine.Only(arguments, "fold", "recheck", "seal", "verify");
        var repository = Repository.Find();
        await using var run = await RunFolder.CreateAsync(repository, "bench");
        await using var server = await PostgresServer.StartAsync(await Provisioning.FindPostgresAsync(repository, Narrator.ToError(), default), run, default);
        var database = await server.CreateDatabaseAsync("replay");
        var written = await ReplayLog.WriteAsync(database, events);
        await using var log = new ServiceLog("matching", database);
        await using var source = NpgsqlDataSource.Create(database);

        var seals = Directory.CreateTempSubdirectory("huzhu-bench-");
        try
        {
            var figures = new List<Figure>();
            foreach (var (figure, measure) in new (string Figure, Func<Task<Figure>> Measure)[]
            {
                ("fold", () => BesideAsync("read, decode and fold into state", "events/s", written.Events, () => FoldAsync(log), "COPY of the same rows to nowhere", () => CopyAsync(source, "seq_id, id, stream_id, version, type, timestamp, data", null), "≥ 0.8")),
                ("recheck", () => BesideAsync("recheck", "offers/s", written.Offers, () => RecheckAsync(log, written.Offers), null, null, "≥ 20,000")),
                ("seal", () => BesideAsync("seal", "events/s", written.Events, () => SealAsync(log, seals), "SHA-256 over the same bytes as they are read", () => CopyAsync(source, "*", SHA256.Create()), "≥ 0.5")),
                ("verify", () => BesideAsync("verify", "events/s", written.Events, () => VerifyAsync(log, seals), "SHA-256 over the same bytes as they are read", () => CopyAsync(source, "*", SHA256.Create()), "≥ 0.5")),
            })
            {
                // What is verified must have been sealed.
                if (only is null || only == figure || (only, figure) is ("verify", "seal"))
                    figures.Add(await measure());
            }
            var (firstHalf, heap) = await HeapAsync(log, written.Events);
            var report = new Report($"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores, .NET {Environment.Version}",
                written.Events, written.Offers, Math.Round(written.Bytes / 1e6, 1), figures, firstHalf, heap);
            if (arguments.Contains("--json"))
            {
                Console.WriteLine(JsonSerializer.Serialize(report, JsonSerializerOptions.Web));
                return 0;
            }
            Console.WriteLine($"{"",-36}{"median",12}{"min",12}{"max",12}{"ratio",8}{"min",8}{"max",8}  beside");
            foreach (var one in figures)
                Console.WriteLine($"{$"{one.Name}, {one.Unit}",-36}{one.PerSecondMedian,12:N0}{one.PerSecondMin,12:N0}{one.PerSecondMax,12:N0}{one.Ratio,8:N2}{one.RatioMin,8:N2}{one.RatioMax,8:N2}  {(one.Beside is null ? "" : $"{one.Beside}, {one.BesidePerSecond:N0} ")}(target {one.Target})");
            Console.WriteLine($"{report.Events:N0} events, {report.Offers:N0} offers, {report.MegabytesOfData:N0} MB of JSON. Heap while folding: at most {report.HeapMegabytesFirstHalf:N0} MB in the first half, {report.HeapMegabytes:N0} MB in the second. {report.Machine}.");
            return 0;
        }
        finally
        {
            seals.Delete(recursive: true);
        }
    }

    static async Task<Figure> BesideAsync(string name, string unit, long count, Func<Task> ours, string? beside, Func<Task>? others, string target)
    {
        var (mine, theirs, ratios) = (new List<double>(), new List<double>(), new List<double>());
        // The first turn fills the caches of the database and compiles the code.
        for (var round = -1; round < Rounds; round++)
        {
            var other = others is null ? double.NaN : await SecondsAsync(others);
            var own = await SecondsAsync(ours);
            if (round < 0)
                continue;
            mine.Add(count / own);
            theirs.Add(count / other);
            ratios.Add(other / own);
        }
        mine.Sort();
        theirs.Sort();
        ratios.Sort();
        double? Ratio(int index) => others is null ? null : Math.Round(ratios[index], 3);
        return new Figure(name, unit, Math.Round(mine[0]), Math.Round(mine[Rounds / 2]), Math.Round(mine[^1]), beside,
            others is null ? null : Math.Round(theirs[Rounds / 2]), Ratio(Rounds / 2), Ratio(0), Ratio(Rounds - 1), target);
    }

    static async Task<double> SecondsAsync(Func<Task> run)
    {
        var started = Stopwatch.GetTimestamp();
        await run();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>All that a recheck does but for deciding: it is asked for no offer of this age.</summary>
    static async Task FoldAsync(ServiceLog log)
    {
        var result = await new Recheck(DateTimeOffset.MaxValue, null).RunAsync(log, default);
        if (result.Different > 0 || result.Offers > 0)
            throw new InvalidOperationException($"The log does not fold: {result.Differences.FirstOrDefault()?.Words}");
    }

    static async Task RecheckAsync(ServiceLog log, long offers)
    {
        var result = await new Recheck(null, null).RunAsync(log, default);
        if (result.Different > 0 || result.Offers != offers)
            throw new InvalidOperationException($"{result.Different} of {result.Offers} offers come out otherwise: {result.Differences.FirstOrDefault()?.Words}");
    }

    static async Task SealAsync(ServiceLog log, DirectoryInfo seals)
    {
        foreach (var folder in seals.EnumerateDirectories())
            folder.Delete(recursive: true);
        using var sealer = new Sealer(log, new SealFolder(seals.FullName, log.Service), "bench", [Signer], [Signer.Key]);
        _ = await sealer.SealAsync(TimeSpan.FromSeconds(30), default) ?? throw new InvalidOperationException("Nothing was sealed.");
    }

    static async Task VerifyAsync(ServiceLog log, DirectoryInfo seals)
    {
        var folder = new SealFolder(seals.FullName, log.Service);
        var checkpoints = folder.CheckpointFiles.Select(file => SignedCheckpoint.Open(File.ReadAllText(file), [Signer.Key]).Checkpoint);
        var result = await Verification.RunAsync(log.ReadAsync(), folder.Lines(), checkpoints, null, default);
        if (result.Findings.Count > 0 || result.Checkpoints == 0)
            throw new InvalidOperationException($"{result.Findings.Count} findings in a log that nobody has touched.");
    }

    static readonly NoteSigner Signer = NoteSigner.Generate("bench");

    static async Task CopyAsync(NpgsqlDataSource source, string columns, HashAlgorithm? hash)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var copy = await connection.BeginRawBinaryCopyAsync($"copy (select {columns} from huzhu.mt_events order by seq_id) to stdout (format binary)");
        var buffer = new byte[1 << 18];
        int read;
        while ((read = await copy.ReadAsync(buffer.AsMemory(), default)) > 0)
            hash?.TransformBlock(buffer, 0, read, null, 0);
        hash?.TransformFinalBlock([], 0, 0);
    }

    static async Task<(double FirstHalf, double SecondHalf)> HeapAsync(ServiceLog log, long events)
    {
        using var ended = new CancellationTokenSource();
        var (first, second, started) = (0L, 0L, Stopwatch.GetTimestamp());
        var fold = FoldAsync(log);
        var samples = new List<(double Second, long Bytes)>();
        while (!fold.IsCompleted)
        {
            await Task.WhenAny(fold, Task.Delay(250));
            // What is alive: what the last collection left, and not what waits for the next one.
            samples.Add((Stopwatch.GetElapsedTime(started).TotalSeconds, GC.GetGCMemoryInfo(GCKind.Any).HeapSizeBytes));
        }
        await fold;
        foreach (var (when, bytes) in samples)
        {
            if (when < samples[^1].Second / 2)
                first = Math.Max(first, bytes);
            else
                second = Math.Max(second, bytes);
        }
        return (Math.Round(first / 1e6, 1), Math.Round(second / 1e6, 1));
    }
}
