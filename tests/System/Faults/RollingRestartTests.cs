using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>An upgrade at noon: one replica after the other is asked to stop and started again, and nobody who calls notices.</summary>
[Collection(FaultCollection.Name)]
public sealed class RollingRestartTests(FaultFixture fixture, ITestOutputHelper output)
{
    [Fact]
    public async Task a_rolling_restart_fails_no_request()
    {
        var huzhu = fixture.Huzhu;
        var rate = FaultSettings.RateOr(100);
        IReadOnlyList<string> services = FaultSettings.IsLong ? Repository.ServiceNames : ["requests", "matching"];
        await using var load = new FaultLoad(huzhu.Services);
        await load.RegisterGroupsAsync("rolling");

        var rolling = RollAsync();
        var submitted = await load.SubmitSteadilyAsync($"rolling-{Guid.NewGuid():N}", rate, rolling);
        await rolling;
        await load.CheckAsync(huzhu.Description.Databases, TimeSpan.FromMinutes(5));
        output.WriteLine($"{string.Join(", ", services)} restarted under {rate} requests/s: {submitted} requests, {load.Calls} calls, {load.Failures.Count} failed.");
        Assert.True(load.Failures.IsEmpty, $"{load.Failures.Count} of {load.Calls} calls failed:\n{string.Join("\n", load.Failures.Take(20))}");

        async Task RollAsync()
        {
            await Task.Delay(1000);
            foreach (var service in services)
            {
                foreach (var replica in FaultSettings.IsLong ? new[] { 1, 2 } : [1])
                {
                    await huzhu.Services[service, replica].StopAsync();
                    await huzhu.Services[service, replica].RestartAsync();
                    // As a deployment waits before it goes on.
                    await Task.Delay(1000);
                }
            }
        }
    }
}
