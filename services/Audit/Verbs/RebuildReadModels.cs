using System.CommandLine;
using Huzhu.Audit.Rebuilding;

namespace Huzhu.Audit.Verbs;

/// <summary>Makes the read models anew from the logs and compares them with the live ones. Writes nothing.</summary>
static class RebuildReadModels
{
    private const int Shown = 20;

    public static Command Command(Settings settings)
    {
        var services = Settings.ServiceOption();
        var command = new Command("rebuild", "Makes every read model anew from the log, and names the rows that differ from the live ones.") { services };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var exitCode = ExitCodes.Ok;
            foreach (var service in parsed.GetValue(services)!.Distinct())
            {
                await using var log = settings.Open(service);
                foreach (var table in await Rebuild.RunAsync(log, cancellation))
                {
                    await output.WriteLineAsync($"{service}: {table.Table}: {table.Rows} rows, {table.Differences.Count} differ.");
                    foreach (var difference in table.Differences.Take(Shown))
                        await output.WriteLineAsync($"  {difference}");
                    if (table.Differences.Count > 0)
                        exitCode = ExitCodes.Found;
                }
            }
            return exitCode;
        });
        return command;
    }
}
