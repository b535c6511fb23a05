using System.CommandLine;
using System.Text.Json;
using Huzhu.Local.Infrastructure;
using Spectre.Console;

namespace Huzhu.Local.Verbs;

static class Status
{
    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static Verb Command()
    {
        var json = new Option<bool>("--json") { Description = "As JSON: {running, ready, run, processes: [{name, pid, alive, ready, url}]}." };
        var command = new Verb(
            "status",
            "Shows what up started, and whether it is ready.",
            """
            Lists the services and servers that ./huzhu up started, with their process ids and addresses.

            Exit codes: 0 all are ready, 1 nothing runs or something is not ready.
            """)
        {
            json,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(json), cancellation));
        return command;
    }

    sealed record Line(string Name, int Pid, bool Alive, bool? Ready, string? Url);

    static async Task<int> RunAsync(bool json, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var run = RunFolder.Existing(repository).FirstOrDefault(run => run.Kind == Up.Kind && run.IsLive);
        var description = run is null ? null : LocalDescription.Read(repository);
        var lines = run is null ? [] : await Task.WhenAll(
            // A service that was started again is listed twice; the last line is the living one.
            run.Processes().GroupBy(process => process.Name).OrderBy(group => !ServerNames.IsServer(group.Key)).ThenBy(group => group.Key).Select(group => LineAsync(group.Last(), description, cancellation)));
        var ready = run is not null && description is not null && lines.All(line => line.Alive && line.Ready is not false);

        if (json)
        {
            var report = new { Running = run is not null, Ready = ready, Run = run?.Id, Processes = lines };
            Console.WriteLine(JsonSerializer.Serialize(report, Json));
        }
        else if (run is null)
        {
            Console.WriteLine("Nothing is running; ./huzhu up starts it.");
        }
        else
        {
            var table = new Table().Border(TableBorder.None).AddColumns("", "pid", "state", "address");
            foreach (var line in lines)
                table.AddRow(
                    new Text(line.Name),
                    new Text($"{line.Pid}"),
                    line switch
                    {
                        { Alive: false } => new Text("ended", new Style(Color.Red)),
                        { Ready: false } => new Text("not ready", new Style(Color.Yellow)),
                        _ => new Text("ready", new Style(Color.Green)),
                    },
                    new Text(line.Url ?? ""));
            Narrator.ToOutput().Write(table);
            if (description is null) Console.WriteLine("It is still starting.");
        }

        return ready ? ExitCodes.Ok : ExitCodes.Failed;
    }

    static async Task<Line> LineAsync(RecordedProcess process, LocalDescription? description, CancellationToken cancellation)
    {
        var alive = process.Identity.IsAlive;
        // Replicas beyond the first have no address in huzhu.json: they are only known to live.
        var url = description?.Services.GetValueOrDefault(process.Name);
        bool? ready = url is null ? null : alive && await ServiceProcess.IsReadyAsync(new Uri(url), cancellation);
        return new Line(process.Name, process.Identity.Pid, alive, ready, url);
    }
}
