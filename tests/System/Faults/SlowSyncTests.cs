using System.Diagnostics;
using System.Globalization;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// Every sync of the database's disk takes 300 ms more: all is slow, nothing is promised that is not in the log, and
/// nothing is decided otherwise.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class SlowSyncTests(Servers servers, ITestOutputHelper output)
{
    private const int DelayMilliseconds = 300;
    private static readonly TimeSpan AttachedWithin = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task slow_syncs_break_no_promise()
    {
        Assert.SkipUnless(FaultSettings.IsLong, "Part of ./huzhu test faults.");
        var cancellation = TestContext.Current.CancellationToken;
        var repository = Repository.Find();
        var installation = await Provisioning.FindPostgresAsync(repository, Narrator.Silent, cancellation);
        Assert.SkipUnless(installation is Installation.Native, "The processes of a container are not ours.");
        var strace = await Provisioning.FindOrInstallStraceAsync(repository, Narrator.Silent, cancellation);
        await using var run = await RunFolder.CreateAsync(repository, "slow-sync");
        await using var postgres = await PostgresServer.StartAsync(installation, run, cancellation);
        var databases = new Dictionary<string, string>();
        foreach (var service in Repository.ServiceNames)
            databases[service] = await postgres.CreateDatabaseAsync(service, 15, cancellation);
        await using var probe = NpgsqlDataSource.Create(postgres.ConnectionString("postgres", maximumPoolSize: 1));
        await using (var table = probe.CreateCommand("create table probe (at timestamptz)"))
            await table.ExecuteNonQueryAsync(cancellation);
        var before = await CommitAsync(probe);

        var trace = Path.Combine(run.FullPath, "syncs");
        var slowing = await SlowDownAsync(strace, trace, run, await PostmasterAsync(probe, cancellation), cancellation);
        try
        {
            await using var services = await ServiceHost.StartAsync(run, new ServiceHostOptions
            {
                Databases = databases,
                AmqpUri = await servers.CreateVirtualHostAsync("slow_sync"),
                Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000", ["Admission__LongestSubmissionSeconds"] = "3600" },
            }, cancellation: cancellation);
            await using var load = new FaultLoad(services);
            await load.RegisterGroupsAsync("sync");

            var commits = new List<double>();
            var probing = ProbeAsync();
            var submitted = await load.SubmitSteadilyAsync($"sync-{FaultSettings.Seed}", 5, probing);
            await probing;
            var invariants = await load.CheckAsync(databases, TimeSpan.FromMinutes(10));

            var delayed = File.ReadLines(trace).Count(line => line.EndsWith("(DELAYED)", StringComparison.Ordinal));
            output.WriteLine($"{submitted} requests, {load.Accepted.Count} answers with a 2xx, {load.Failures.Count} attempts failed on the way; {delayed} syncs delayed.");
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"A commit took {before:0} ms before, {commits.Min():0} to {commits.Max():0} ms meanwhile ({commits.Count} measured)."));
            output.WriteLine(string.Join(", ", invariants.Select(invariant => $"{invariant.Name} {invariant.Checked}")));
            // No commit is answered before its sync has come back: that each took so long shows that the disk was slow.
            Assert.True(commits.Min() >= DelayMilliseconds, $"A commit took {commits.Min()} ms.");
            Assert.True(delayed >= commits.Count, $"{delayed} syncs were slow.");
            Assert.Equal(submitted, load.Accepted.Count(call => call.Call is Huzhu.Local.Scenarios.Call.Submit));

            async Task ProbeAsync()
            {
                for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(1000, cancellation))
                    commits.Add(await CommitAsync(probe));
            }
        }
        finally
        {
            await slowing.StopAsync(Signal.Terminate, StopPatience);
        }
    }

    private static async Task<double> CommitAsync(NpgsqlDataSource probe)
    {
        await using var command = probe.CreateCommand("insert into probe values (now())");
        var began = Stopwatch.GetTimestamp();
        await command.ExecuteNonQueryAsync();
        return Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static async Task<ProcessIdentity> PostmasterAsync(NpgsqlDataSource probe, CancellationToken cancellation)
    {
        await using var command = probe.CreateCommand("show data_directory");
        var file = Path.Combine((string)(await command.ExecuteScalarAsync(cancellation))!, "postmaster.pid");
        return ProcessIdentity.Of(int.Parse((await File.ReadAllLinesAsync(file, cancellation))[0], CultureInfo.InvariantCulture))!.Value;
    }

    /// <summary>The server, its workers, and whatever it starts for connections that are still to come.</summary>
    private static async Task<ChildProcess> SlowDownAsync(string strace, string trace, RunFolder run, ProcessIdentity postmaster, CancellationToken cancellation)
    {
        var traced = postmaster.Children().Prepend(postmaster).ToList();
        var process = run.Start(new ChildStart(
            "strace",
            strace,
            [
                "-f", "-o", trace, "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-e", $"inject=fsync,fdatasync:delay_exit={DelayMilliseconds * 1000}",
                .. traced.SelectMany(each => new[] { "-p", $"{each.Pid}" }),
            ],
            new Dictionary<string, string?>(),
            Path.Combine(run.LogsFolder, "strace.log")));
        for (var began = Stopwatch.StartNew(); process.IsAlive && began.Elapsed < AttachedWithin; await Task.Delay(100, cancellation))
            if (traced.TrueForAll(each => !each.IsAlive || IsTraced(each.Pid)))
                return process;
        await process.StopAsync(Signal.Terminate, StopPatience);
        Assert.Skip($"The server's system calls cannot be slowed down here: {process.LogTail()}");
        return process;
    }

    private static bool IsTraced(int pid)
    {
        try
        {
            return File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("TracerPid:", StringComparison.Ordinal)).Split('\t')[1] != "0";
        }
        catch (IOException)
        {
            // Ended in the meantime.
            return true;
        }
    }
}
