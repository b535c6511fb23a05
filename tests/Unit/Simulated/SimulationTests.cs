using System.Collections.Concurrent;
using System.Globalization;
using Xunit;

namespace Huzhu.Tests.Unit.Simulated;

/// <summary>
/// Seeded histories of the services' own decisions on a broker, databases and a clock that lose, double, reorder, delay
/// and crash. <c>HUZHU_HISTORIES=1000000</c> runs more of them, from <c>HUZHU_FIRST_SEED</c> on, and <c>HUZHU_SEED=n</c> only
/// the one with that seed, event by event. A history that shows a defect becomes a test of its own, because a seed is that
/// history only until somebody changes what the simulator can do.
/// </summary>
public class SimulationTests(ITestOutputHelper output)
{
    private const int Steps = 220;
    private const int UsualHistories = 1_500;

    [Fact]
    public void nothing_is_lost_doubled_or_overcommitted_whatever_fails()
    {
        var only = Number("HUZHU_SEED");
        var histories = only is null ? (int)(Number("HUZHU_HISTORIES") ?? UsualHistories) : 1;
        var first = only ?? Number("HUZHU_FIRST_SEED") ?? 1;
        var failures = new ConcurrentDictionary<ulong, IReadOnlyList<string>>();
        long deliveries = 0, events = 0, steps = 0;
        var seeds = Enumerable.Range(0, histories).Select(index => first + (ulong)index);
        Parallel.ForEach(Partitioner.Create(seeds, EnumerablePartitionerOptions.NoBuffering), (history, loop) =>
        {
            var world = new World(history);
            if (world.Run(Steps) is { Count: > 0 } found && failures.TryAdd(history, found) && failures.Count >= 5)
                loop.Stop();
            if (only is not null)
                Tell(world);
            Interlocked.Add(ref deliveries, world.Bus.Delivered);
            Interlocked.Add(ref events, world.Logs.Sum(log => log.All.Count));
            Interlocked.Add(ref steps, world.Steps);
        });
        output.WriteLine($"{histories} histories from seed {first}: {steps} steps, {deliveries} deliveries, {events} events.");
        Assert.True(failures.IsEmpty, string.Join("\n", failures.OrderBy(failure => failure.Key)
            .Select(failure => $"Seed {failure.Key} (HUZHU_SEED={failure.Key} plays it again): {string.Join(" | ", failure.Value.Take(5))}")));
        Assert.True(events > histories, "The histories are empty.");
    }

    private static ulong? Number(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? ulong.Parse(text, CultureInfo.InvariantCulture) : null;

    private void Tell(World world)
    {
        foreach (var stored in world.Logs.SelectMany(log => log.All))
            output.WriteLine($"{stored.Stream} {stored.Version} {stored.Event}");
    }

    [Fact]
    public void the_same_seed_is_the_same_history()
    {
        var hashes = new HashSet<string>();
        for (ulong seed = 1; seed <= 50; seed++)
        {
            var (one, other) = (new World(seed), new World(seed));
            one.Run(Steps);
            other.Run(Steps);
            var hash = SimulatedLog.HashOf(one.Logs);
            Assert.Equal(hash, SimulatedLog.HashOf(other.Logs));
            hashes.Add(hash);
        }
        Assert.Equal(50, hashes.Count);
    }

    [Theory]
    [InlineData(nameof(Defect.NoExpectedVersions))]
    [InlineData(nameof(Defect.TellsBeforePublishing))]
    [InlineData(nameof(Defect.ForgetsCauses))]
    public void what_is_broken_on_purpose_is_found(string defect)
    {
        const int most = 300;
        var seed = 1;
        while (seed <= most && new World((ulong)seed, Enum.Parse<Defect>(defect)).Run(Steps).Count == 0)
            seed++;
        Assert.True(seed <= most, $"No history among {most} shows that {defect} is wrong.");
        output.WriteLine($"{defect} is found by seed {seed}.");
    }
}
