using System.CommandLine;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;

namespace Huzhu.Local.Verbs;

/// <param name="Needs">A CSV file, for a scenario that replays one.</param>
/// <param name="Services">A CSV file of responders, beside <paramref name="Needs"/>.</param>
/// <param name="Out">Where report.json and report.html go; it may not exist yet.</param>
/// <param name="Size">Number of needs; null leaves it to the scenario.</param>
/// <param name="Chaos">Kill each service once, in the middle.</param>
/// <param name="Replicas">Processes of every service.</param>
/// <param name="Open">Show the console in a browser while it runs, and the report at the end.</param>
public sealed record DemoOptions(
    string Scenario, FileInfo? Needs, FileInfo? Services, DirectoryInfo Out, int Seed, int? Size, bool Chaos, int Replicas, bool Open);

static class Demo
{
    const string Replay = "haiti-2010";

    public static Verb Command()
    {
        var scenario = new Option<string>("--scenario")
        {
            Description = $"w-district is generated from a seed; {Replay} replays two files.",
            DefaultValueFactory = _ => "w-district",
            HelpName = "NAME",
        };
        scenario.AcceptOnlyFromAmong("w-district", Replay);
        var needs = new Option<FileInfo>("--needs") { Description = $"CSV file of needs, for {Replay}.", HelpName = "FILE" };
        needs.AcceptExistingOnly();
        var services = new Option<FileInfo>("--services") { Description = $"CSV file of services, for {Replay}.", HelpName = "FILE" };
        services.AcceptExistingOnly();
        var output = new Option<DirectoryInfo>("--out")
        {
            Description = "Folder for report.json and report.html; .local/demo without it.",
            HelpName = "DIR",
        };
        var seed = new Option<int>("--seed") { Description = "The same seed gives the same needs and responders.", DefaultValueFactory = _ => 1, HelpName = "N" };
        var size = new Option<int?>("--size") { Description = "How many needs; the scenario has its own number.", HelpName = "N" };
        size.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var value) && value < 1)
                result.AddError($"--size takes a number above 0, not {value}");
        });
        var chaos = new Option<bool>("--chaos") { Description = "Kill every service once while it runs, with kill -9; the story takes twice as long." };
        var replicas = Up.ReplicasOption("Processes of every service");
        var open = new Option<bool>("--open") { Description = "Open the console while it runs, and report.html at the end." };

        var command = new Verb(
            "demo",
            "Runs a scenario and writes a report.",
            $"""
            Runs a scenario on the real services: needs arrive, a closure takes the providers away, groups take
            over. Writes report.json and report.html, and checks the event logs at the end.

              ./huzhu demo --out report
              ./huzhu demo --scenario {Replay} --needs needs.csv --services services.csv --out report

            Exit codes: 0 done and every invariant holds, 1 an invariant is broken or the build failed, 2 bad
            usage, 3 something is missing and could not be installed, 4 a server or a service did not start,
            130 interrupted.
            """)
        {
            scenario, needs, services, output, seed, size, chaos, replicas, open,
        };
        command.Validators.Add(result =>
        {
            var replays = result.GetValue(scenario) == Replay;
            var files = (result.GetResult(needs) is not null ? 1 : 0) + (result.GetResult(services) is not null ? 1 : 0);
            if (replays && files < 2) result.AddError($"The scenario {Replay} needs --needs FILE and --services FILE");
            if (!replays && files > 0) result.AddError($"--needs and --services belong to --scenario {Replay}");
        });
        command.SetAction((parsed, cancellation) => ScenarioRunner.RunAsync(
            new DemoOptions(
                parsed.GetValue(scenario)!,
                parsed.GetValue(needs),
                parsed.GetValue(services),
                parsed.GetValue(output) ?? new DirectoryInfo(Path.Combine(Repository.Find().LocalFolder, "demo")),
                parsed.GetValue(seed),
                parsed.GetValue(size),
                parsed.GetValue(chaos),
                parsed.GetValue(replicas),
                parsed.GetValue(open)),
            cancellation));
        return command;
    }
}
