using System.CommandLine;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Huzhu.Local.Verbs;

static class Status
{
    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    /// <summary>The board is not read more often than this by anybody.</summary>
    static readonly TimeSpan Frame = TimeSpan.FromSeconds(2);

    public static Verb Command()
    {
        var json = new Option<bool>("--json") { Description = "As JSON: {running, ready, run, processes: [{name, pid, alive, ready, url}]}." };
        var watch = new Option<bool>("--watch") { Description = "Goes on showing what waits and what is under way; Ctrl+C ends it." };
        var command = new Verb(
            "status",
            "Shows what up started, and whether it is ready.",
            """
            Lists the services and servers that ./huzhu up started, with their process ids and addresses. With --watch, how
            things stand: needs by urgency, the oldest in the backlog, time to offer, places, relay, queues, as Matching's board
            has them; where the output is no terminal, once. Without a board to be had, the list.

            Exit codes: 0 all are ready, 1 nothing runs or something is not ready.
            """)
        {
            json, watch,
        };
        command.SetAction((parsed, cancellation) => parsed.GetValue(watch) && !parsed.GetValue(json) ? WatchAsync(cancellation) : RunAsync(parsed.GetValue(json), cancellation));
        return command;
    }

    static async Task<int> WatchAsync(CancellationToken cancellation)
    {
        var repository = Repository.Find();
        if (Up.Running(repository) is null || LocalDescription.Read(repository) is not { } description || !description.Services.TryGetValue("matching", out var matching) || !description.Tokens.TryGetValue("operator", out var token))
            return await RunAsync(json: false, cancellation);
        using var http = new HttpClient { BaseAddress = new Uri(matching), Timeout = TimeSpan.FromSeconds(10) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (await ReadAsync(http, cancellation) is not { } first)
            return await RunAsync(json: false, cancellation);
        if (Console.IsOutputRedirected || Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb")
        {
            Narrator.ToOutput().Write(BoardPicture.Of(first));
            return ExitCodes.Ok;
        }
        try
        {
            await AnsiConsole.Live(BoardPicture.Of(first)).StartAsync(async context =>
            {
                for (var answers = true; answers;)
                {
                    await Task.Delay(Frame, cancellation);
                    // A moment's silence is shown, and an end of it too.
                    IRenderable picture = await ReadAsync(http, cancellation) is { } board ? BoardPicture.Of(board) : new Text("Matching does not answer.", new Style(Color.Yellow));
                    context.UpdateTarget(picture);
                    answers = Up.Running(repository) is not null;
                }
            });
        }
        catch (OperationCanceledException)
        {
            return ExitCodes.Ok;
        }
        return await RunAsync(json: false, cancellation);
    }

    /// <returns>Null when there is no answer.</returns>
    static async Task<JsonNode?> ReadAsync(HttpClient http, CancellationToken cancellation)
    {
        try
        {
            using var answer = await http.GetAsync("/v1/board", cancellation);
            return answer.IsSuccessStatusCode ? JsonNode.Parse(await answer.Content.ReadAsStringAsync(cancellation)) : null;
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException || exception is OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    sealed record Line(string Name, int Pid, bool Alive, bool? Ready, string? Url);

    static async Task<int> RunAsync(bool json, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var run = Up.Running(repository);
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
