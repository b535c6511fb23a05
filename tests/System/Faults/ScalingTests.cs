using System.Diagnostics;
using System.Globalization;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>Four replicas of Matching drain a burst that waits for them, while some of them are taken away and come back.</summary>
[Collection(FaultCollection.Name)]
public sealed class ScalingTests(Servers servers, ITestOutputHelper output)
{
    private const string Matching = "matching";
    private const int Replicas = 4, Callers = 32;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(FaultSettings.IsLong ? 10 : 2);

    [Fact]
    public async Task a_burst_is_drained_while_replicas_come_and_go()
    {
        Assert.SkipUnless(FaultSettings.IsAsked, "HUZHU_FAULTS=short asks for it.");
        var needs = FaultSettings.IsLong ? 10_000 : 200;
        var cancellation = TestContext.Current.CancellationToken;
        var databases = new Dictionary<string, string>();
        foreach (var service in Repository.ServiceNames)
            databases[service] = await servers.CreateDatabaseAsync($"scaling_{service}");
        await using var services = await ServiceHost.StartAsync((await servers.InfrastructureAsync()).Run, new ServiceHostOptions
        {
            Databases = databases,
            AmqpUri = await servers.CreateVirtualHostAsync("scaling"),
            ReplicasOf = new Dictionary<string, int> { [Matching] = Replicas },
            // All of the burst is taken in here, so that it is Matching's to work off.
            Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000", ["Admission__LongestSubmissionSeconds"] = "3600", ["Admission__MostUnasked"] = "1000000" },
        }, cancellation: cancellation);
        await using var data = NpgsqlDataSource.Create(databases[Matching]);
        await using var load = new FaultLoad(services);
        var groups = needs / FaultLoad.PlacesEach + 1;
        await load.RegisterGroupsAsync("scaling", groups);
        await UntilAsync(groups, "select count(*) from huzhu.responders");

        await TogetherAsync(1, Replicas, replica => replica.StopAsync());
        await Parallel.ForEachAsync(Enumerable.Range(0, needs), new ParallelOptions { MaxDegreeOfParallelism = Callers, CancellationToken = cancellation },
            async (index, _) => await load.SubmitAsync($"scaling-{FaultSettings.Seed}-{index}"));

        var watch = Stopwatch.StartNew();
        await TogetherAsync(1, Replicas, replica => replica.RestartAsync());
        var ready = watch.Elapsed;
        await UntilDecidedAsync(0.2);
        await TogetherAsync(1, 2, replica => replica.StopAsync());
        await UntilDecidedAsync(0.4);
        await TogetherAsync(1, 2, replica => replica.RestartAsync());
        await UntilDecidedAsync(0.6);
        await TogetherAsync(3, 4, replica => replica.KillAsync());
        await UntilDecidedAsync(0.8);
        await TogetherAsync(3, 4, replica => replica.RestartAsync());
        await UntilDecidedAsync(1);
        var drained = watch.Elapsed;

        var invariants = await load.CheckAsync(databases, Patience);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{needs} needs waited; {Replicas} replicas were ready after {ready.TotalSeconds:0.0} s, every need decided after {drained.TotalSeconds:0.0} s, two replicas stopped and two killed meanwhile, all four come back."));
        output.WriteLine($"{load.Accepted.Count} answers with a 2xx, {load.Failures.Count} attempts failed on the way. {string.Join(", ", invariants.Select(invariant => $"{invariant.Name} {invariant.Checked}"))}");
        Assert.Equal(needs, load.Accepted.Count(call => call.Call is Call.Submit));

        Task TogetherAsync(int first, int last, Func<ServiceProcess, Task> change) =>
            Task.WhenAll(Enumerable.Range(first, last - first + 1).Select(replica => change(services[Matching, replica])));

        Task UntilDecidedAsync(double share) =>
            UntilAsync((long)(needs * share), "select count(distinct stream_id) from huzhu.mt_events where type in ('offer_made', 'need_waits')");

        async Task UntilAsync(long wanted, string sql)
        {
            for (var waited = Stopwatch.StartNew(); ; await Task.Delay(100, cancellation))
            {
                await using var command = data.CreateCommand(sql);
                var count = (long)(await command.ExecuteScalarAsync(cancellation))!;
                if (count >= wanted)
                    return;
                Assert.True(waited.Elapsed < Patience, $"{count} of {wanted} after {Patience.TotalSeconds} s: {sql}");
            }
        }
    }
}
