using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>The database's disk is full: nothing is promised that is not in the log, and when there is room again all goes on.</summary>
[Collection(FaultCollection.Name)]
public sealed class FullDiskTests(Servers servers, ITestOutputHelper output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task a_full_disk_breaks_no_promise()
    {
        Assert.SkipUnless(FaultSettings.IsLong, "Part of ./huzhu test faults.");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can mount a small disk.");
        var cancellation = TestContext.Current.CancellationToken;
        var installation = await Provisioning.FindPostgresAsync(Repository.Find(), Narrator.Silent, cancellation);
        Assert.SkipUnless(installation is Installation.Native, "The disk of a container is not ours.");
        await using var run = await RunFolder.CreateAsync(Repository.Find(), "full-disk");
        var disk = Path.Combine(run.FullPath, "postgres");
        Directory.CreateDirectory(disk);
        Assert.True((await Tool.RunAsync("mount", ["-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], Limit, cancellation: cancellation)).Succeeded, "The small disk could not be mounted.");
        try
        {
            await using var postgres = await PostgresServer.StartAsync(installation, run, cancellation);
            var databases = new Dictionary<string, string>();
            foreach (var service in Repository.ServiceNames)
                databases[service] = await postgres.CreateDatabaseAsync(service, 15, cancellation);
            await using var services = await ServiceHost.StartAsync(run, new ServiceHostOptions
            {
                Databases = databases,
                AmqpUri = await servers.CreateVirtualHostAsync("full_disk"),
                Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000" },
            }, cancellation: cancellation);
            await using var load = new FaultLoad(services);
            await load.RegisterGroupsAsync("disk", groups: 2);

            var ballast = Path.Combine(disk, "ballast");
            var filling = FillAsync();
            var submitted = await load.SubmitSteadilyAsync("disk", 20, filling);
            await filling;
            // A server that could not write its log stops itself, and starts again by itself or by whoever watches it.
            if (!await AnswersAsync(postgres))
                await postgres.StartAgainAsync(cancellation);
            await load.CheckAsync(databases, TimeSpan.FromMinutes(5));
            Assert.Equal(submitted, load.Accepted.Count(call => call.Call is Call.Submit));
            Assert.NotEmpty(load.Failures);
            output.WriteLine($"{submitted} requests, {load.Failures.Count} attempts refused while the disk was full.");

            async Task FillAsync()
            {
                for (var time = 0; time < 3; time++)
                {
                    await Task.Delay(3000, cancellation);
                    await Tool.RunAsync("dd", ["if=/dev/zero", $"of={ballast}", "bs=1M"], Limit, cancellation: cancellation);
                    // Until the server needs a new segment or page.
                    await Task.Delay(15_000, cancellation);
                    File.Delete(ballast);
                }
            }
        }
        finally
        {
            await Tool.RunAsync("umount", ["-l", disk], Limit, cancellation: CancellationToken.None);
        }
    }

    private static async Task<bool> AnswersAsync(PostgresServer postgres)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); DateTime.UtcNow < deadline; await Task.Delay(500))
        {
            try
            {
                await using var database = Npgsql.NpgsqlDataSource.Create(postgres.ConnectionString("postgres") + ";Pooling=false");
                await using var connection = await database.OpenConnectionAsync();
                return true;
            }
            catch (Npgsql.NpgsqlException)
            {
                // Still away.
            }
        }
        return false;
    }
}
