using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// Any process is killed or stands still while requests come in at an even pace: whatever was answered with a 2xx is in
/// the logs, once. The seed says who, how and when; what the machine does in between it cannot say.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class KillTests(FaultFixture fixture, ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(FaultSettings.IsLong ? 10 : 5);

    [Fact]
    public async Task whatever_is_killed_or_stands_still_no_promise_is_broken()
    {
        var huzhu = fixture.Huzhu;
        var chance = new Random(FaultSettings.Seed);
        var kills = new Dictionary<string, int>();
        output.WriteLine($"Seed {FaultSettings.Seed}, {FaultSettings.Kills} kills, {FaultSettings.Rate} requests/s.");
        await using var load = new FaultLoad(huzhu.Services);
        await load.RegisterGroupsAsync("kill");

        var killing = KillAsync();
        var submitted = await load.SubmitSteadilyAsync($"kill-{FaultSettings.Seed}", FaultSettings.Rate, killing);
        await killing;
        var invariants = await load.CheckAsync(huzhu.Description.Databases, Patience);
        output.WriteLine($"{submitted} requests, {load.Accepted.Count} answers with a 2xx, {load.Failures.Count} attempts failed on the way.");
        output.WriteLine($"Killed or stopped: {string.Join(", ", kills.OrderBy(kill => kill.Key).Select(kill => $"{kill.Key} {kill.Value}"))}.");
        output.WriteLine(string.Join(", ", invariants.Select(invariant => $"{invariant.Name} {invariant.Checked}")));
        Assert.Equal(submitted, load.Accepted.Count(call => call.Call is Huzhu.Local.Scenarios.Call.Submit));

        async Task KillAsync()
        {
            for (var kill = 0; kill < FaultSettings.Kills; kill++)
            {
                await Task.Delay(FaultSettings.IsLong ? chance.Next(3000, 15_000) : chance.Next(1000, 3000));
                var victim = chance.Next(Repository.ServiceNames.Count + 2);
                // A process that stands still keeps its connections and its locks: the harder case, and the rarer one.
                var freezes = chance.Next(3) == 0;
                var standstill = TimeSpan.FromMilliseconds(chance.Next(500, FaultSettings.IsLong ? 12_000 : 4000));
                var replica = 1 + chance.Next(2);
                var name = victim switch { 0 => "postgres", 1 => "rabbitmq", _ => huzhu.Services[Repository.ServiceNames[victim - 2], replica].Name };
                var word = $"{name} {(freezes ? "stopped" : "killed")}";
                kills[word] = kills.GetValueOrDefault(word) + 1;
                var (postgres, rabbit) = (huzhu.Infrastructure.Postgres, huzhu.Infrastructure.RabbitMq);
                switch (victim, freezes)
                {
                    case (0, true):
                        postgres.Freeze();
                        await Task.Delay(standstill);
                        postgres.Thaw();
                        break;
                    case (0, false):
                        await postgres.KillAsync();
                        await postgres.StartAgainAsync();
                        break;
                    case (1, true):
                        rabbit.Freeze();
                        await Task.Delay(standstill);
                        rabbit.Thaw();
                        break;
                    case (1, false):
                        await rabbit.KillAsync();
                        await rabbit.StartAgainAsync();
                        break;
                    case (_, true):
                        huzhu.Services[Repository.ServiceNames[victim - 2], replica].Freeze();
                        await Task.Delay(standstill);
                        huzhu.Services[Repository.ServiceNames[victim - 2], replica].Thaw();
                        break;
                    default:
                        await huzhu.Services[Repository.ServiceNames[victim - 2], replica].KillAsync();
                        await huzhu.Services[Repository.ServiceNames[victim - 2], replica].RestartAsync();
                        break;
                }
                if (FaultSettings.IsLong)
                    output.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {kill + 1}/{FaultSettings.Kills} {word}");
            }
        }
    }
}
