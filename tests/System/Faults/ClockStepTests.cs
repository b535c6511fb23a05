using System.Diagnostics;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// The clock of one service after the other jumps an hour ahead, back, an hour behind and back, under load. Its monotonic
/// time goes on as it was, as on a machine whose clock is set. Nothing is lost, nothing twice, and no place is given away
/// a second time because an offer seems to have ended.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class ClockStepTests(Servers servers, ITestOutputHelper output)
{
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan SeenWithin = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);
    private static readonly IReadOnlyList<TimeSpan> Steps = [TimeSpan.FromHours(1), TimeSpan.Zero, TimeSpan.FromHours(-1), TimeSpan.Zero];

    [Fact]
    public async Task a_clock_that_jumps_breaks_no_promise()
    {
        Assert.SkipUnless(FaultSettings.IsLong, "Part of ./huzhu test faults.");
        var cancellation = TestContext.Current.CancellationToken;
        var library = await Provisioning.FindOrInstallFakeTimeAsync(Repository.Find(), Narrator.Silent, cancellation);
        await using var run = await RunFolder.CreateAsync(Repository.Find(), "clock-step");
        foreach (var service in Repository.ServiceNames)
            SetClock(service, TimeSpan.Zero);
        var databases = new Dictionary<string, string>();
        foreach (var service in Repository.ServiceNames)
            databases[service] = await servers.CreateDatabaseAsync($"clock_{service}");
        await using var services = await ServiceHost.StartAsync(run, new ServiceHostOptions
        {
            Databases = databases,
            AmqpUri = await servers.CreateVirtualHostAsync("clock"),
            Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000", ["Admission__LongestSubmissionSeconds"] = "3600" },
            EnvironmentOf = Repository.ServiceNames.ToDictionary(service => service, service => (IReadOnlyDictionary<string, string>)new Dictionary<string, string>
            {
                ["LD_PRELOAD"] = library,
                ["FAKETIME_TIMESTAMP_FILE"] = ClockOf(service),
                ["FAKETIME_CACHE_DURATION"] = "1",
                ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
            }),
        }, cancellation: cancellation);
        using var http = new HttpClient();
        // An offer that nobody is told of, because it seems to be over where it should be told, ends in the time of this test.
        using (var calls = new ServiceCalls())
            await calls.ChangePolicyAsync(services.BaseAddress("matching"), services.Token("clock", ["operator"]),
                policy => (policy["hardship"]!["offerLifeSeconds"], policy["hardship"]!["askAgainAfterSeconds"]) = (60, 60), cancellation);
        await using var load = new FaultLoad(services);
        await load.RegisterGroupsAsync("clock");

        var stepping = StepAsync();
        var submitted = await load.SubmitSteadilyAsync($"clock-{FaultSettings.Seed}", 5, stepping);
        await stepping;
        var invariants = await load.CheckAsync(databases, TimeSpan.FromMinutes(10));
        output.WriteLine($"{submitted} requests, {load.Accepted.Count} answers with a 2xx, {load.Failures.Count} attempts failed on the way, "
            + $"{load.Failures.Count(failure => failure.EndsWith(" 422", StringComparison.Ordinal))} of them refused as of the future.");
        output.WriteLine(string.Join(", ", invariants.Select(invariant => $"{invariant.Name} {invariant.Checked}")));
        Assert.Equal(submitted, load.Accepted.Count(call => call.Call is Call.Submit));

        string ClockOf(string service) => Path.Combine(run.FullPath, $"clock-{service}");

        // Put in its place whole: half a line is another time.
        void SetClock(string service, TimeSpan off)
        {
            File.WriteAllText($"{ClockOf(service)}.new", $"{(off < TimeSpan.Zero ? "" : "+")}{(int)off.TotalSeconds}\n");
            File.Move($"{ClockOf(service)}.new", ClockOf(service), overwrite: true);
        }

        async Task StepAsync()
        {
            foreach (var service in Repository.ServiceNames)
            {
                foreach (var off in Steps)
                {
                    await Task.Delay(Held, cancellation);
                    SetClock(service, off);
                    var seen = await SeeAsync(service, off);
                    output.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {service} is {seen.TotalSeconds:0} s off.");
                }
            }
            await Task.Delay(Held, cancellation);
        }

        // Every answer says what time it is where it comes from: without that, nothing would show that a clock was wrong.
        async Task<TimeSpan> SeeAsync(string service, TimeSpan off)
        {
            for (var began = Stopwatch.StartNew(); ; await Task.Delay(200, cancellation))
            {
                using var answer = await http.GetAsync(new Uri(services.BaseAddress(service), "/health/live"), cancellation);
                var seen = answer.Headers.Date!.Value - DateTimeOffset.UtcNow;
                if ((seen - off).Duration() < Tolerance)
                    return seen;
                Assert.True(began.Elapsed < SeenWithin, $"{service} is {seen} off, not {off}.");
            }
        }
    }
}
