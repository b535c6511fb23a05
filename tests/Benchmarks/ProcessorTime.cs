using System.Globalization;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Benchmarks;

/// <summary>What the processes of a run have used, from /proc.</summary>
static class ProcessorTime
{
    const double TicksPerSecond = 100;

    /// <returns>By the name that the run gave its process: seconds of it and of everything below it.</returns>
    public static IReadOnlyDictionary<string, double> Of(RunFolder run)
    {
        var stats = Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(name => Read(int.Parse(name!, CultureInfo.InvariantCulture)))
            .OfType<Stat>().ToDictionary(stat => stat.Pid);
        var owners = run.Processes().Where(process => stats.ContainsKey(process.Identity.Pid)).ToDictionary(process => process.Identity.Pid, process => process.Name);
        for (var grown = true; grown;)
            grown = stats.Values.Count(stat => owners.TryGetValue(stat.Parent, out var owner) && owners.TryAdd(stat.Pid, owner)) > 0;
        return owners.GroupBy(owner => owner.Value, owner => stats[owner.Key].Seconds).ToDictionary(group => group.Key, group => group.Sum());
    }

    /// <summary>Its own time, and that of the children that it has waited for.</summary>
    sealed record Stat(int Pid, int Parent, double Seconds);

    static Stat? Read(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return new Stat(pid, int.Parse(fields[1], CultureInfo.InvariantCulture), fields[11..15].Sum(ticks => long.Parse(ticks, CultureInfo.InvariantCulture)) / TicksPerSecond);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
