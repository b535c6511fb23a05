using System.Diagnostics;
using System.Globalization;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Benchmarks;

/// <summary>What a service costs when nobody asks it anything, and how long it takes to start.</summary>
static class RestBenchmark
{
    static readonly TimeSpan Settled = TimeSpan.FromSeconds(30);

    /// <param name="CoreShare">Of one core, in per cent.</param>
    /// <param name="Megabytes">Resident, at the end.</param>
    /// <param name="ReadySeconds">From the start of the process to 200 from /health/ready; its database is there already.</param>
    sealed record Figure(string Service, double CoreShare, double Megabytes, double ReadySeconds, double ReadyMin, double ReadyMax);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var (seconds, turns) = (Machine.Number(arguments, "--seconds", 60), Machine.Number(arguments, "--turns", 5));
        await using var deployment = await LocalDeployment.StartAsync(new LocalDeploymentOptions { Kind = "bench", Narrator = Narrator.ToError() });
        var services = deployment.Services.Processes;
        var starts = services.ToDictionary(service => service.Name, _ => new List<double>());
        for (var turn = 0; turn < turns; turn++)
        {
            // One after the other: they share the cores.
            foreach (var service in services)
            {
                await service.StopAsync();
                var watch = Stopwatch.StartNew();
                await service.RestartAsync();
                starts[service.Name].Add(watch.Elapsed.TotalSeconds);
            }
        }

        await Task.Delay(Settled);
        var before = ProcessorTime.Of(deployment.Infrastructure.Run);
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        var after = ProcessorTime.Of(deployment.Infrastructure.Run);
        var figures = services.Select(service => new Figure(service.Name, (after[service.Name] - before[service.Name]) * 100 / seconds, ResidentMegabytes(service.Pid),
            Machine.Median(starts[service.Name]), starts[service.Name].Min(), starts[service.Name].Max())).ToList();
        var json = arguments.Contains("--json");
        if (!json)
            foreach (var figure in figures)
                Console.WriteLine($"{figure.Service}: {figure.CoreShare:0.0} % of a core (target ≤ 1 %), {figure.Megabytes:0} MB (target ≤ 120 MB), ready after {figure.ReadySeconds:0.00} s ({figure.ReadyMin:0.00} to {figure.ReadyMax:0.00}; target ≤ 3 s)");
        return Machine.Close(json, figures);
    }

    static double ResidentMegabytes(int pid) =>
        double.Parse(File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
}
