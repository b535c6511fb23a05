using System.Diagnostics;
using Spectre.Console;

namespace Huzhu.Local.Infrastructure;

/// <summary>Says in plain words what is being done. Colours and moving bars only on a terminal, an occasional line elsewhere.</summary>
public sealed class Narrator
{
    static readonly TimeSpan FirstQuietFor = TimeSpan.FromSeconds(10);
    static readonly TimeSpan QuietFor = TimeSpan.FromSeconds(30);

    readonly IAnsiConsole? _console;
    readonly bool _moves;

    Narrator(IAnsiConsole? console, bool moves)
    {
        _console = console;
        _moves = moves;
    }

    /// <summary>For tests, whose output belongs to the test runner.</summary>
    public static Narrator Silent { get; } = new(null, moves: false);

    public static Narrator ToOutput() => For(Console.Out, Console.IsOutputRedirected);

    /// <summary>For verbs whose standard output is data.</summary>
    public static Narrator ToError() => For(Console.Error, Console.IsErrorRedirected);

    static Narrator For(TextWriter writer, bool redirected)
    {
        var moves = !redirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = moves ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = moves ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = moves ? InteractionSupport.Detect : InteractionSupport.No,
        });
        // A pipe has no width; without this, long sentences would be broken at 80 characters.
        if (redirected) console.Profile.Width = 4096;
        return new Narrator(console, moves);
    }

    /// <summary>For work beside other work that has a moving bar: lines only, because there can be one bar.</summary>
    public Narrator Beside() => new(_console, moves: false);

    public void Say(string sentence) => _console?.WriteLine(sentence);

    public void Write(Spectre.Console.Rendering.IRenderable what) => _console?.Write(what);

    /// <summary>Does long work under one sentence; <paramref name="work"/> may report how far it is, from 0 to 1.</summary>
    public async Task<T> DuringAsync<T>(string sentence, Func<IProgress<double>, Task<T>> work)
    {
        if (_console is null) return await work(new Ignored());
        return _moves ? await WithBarAsync(_console, sentence, work) : await WithLinesAsync(_console, sentence, work);
    }

    public Task DuringAsync(string sentence, Func<IProgress<double>, Task> work) =>
        DuringAsync(sentence, async progress =>
        {
            await work(progress);
            return true;
        });

    static async Task<T> WithBarAsync<T>(IAnsiConsole console, string sentence, Func<IProgress<double>, Task<T>> work)
    {
        var watch = Stopwatch.StartNew();
        var result = await console.Progress()
            .AutoClear(true)
            .Columns(new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(Markup.Escape(sentence), maxValue: 1);
                task.IsIndeterminate = true;
                return await work(new Reported(done =>
                {
                    task.IsIndeterminate = false;
                    task.Value = done;
                }));
            });
        console.WriteLine($"{sentence} · {watch.Elapsed.TotalSeconds:0.0} s");
        return result;
    }

    static async Task<T> WithLinesAsync<T>(IAnsiConsole console, string sentence, Func<IProgress<double>, Task<T>> work)
    {
        console.WriteLine($"{sentence} ...");
        var watch = Stopwatch.StartNew();
        var done = 0.0;
        var running = work(new Reported(value => done = value));
        while (await Task.WhenAny(running, Task.Delay(watch.Elapsed < FirstQuietFor ? FirstQuietFor : QuietFor)) != running)
            console.WriteLine($"  {(done > 0 ? $"{done:P0}, " : "")}{watch.Elapsed.TotalSeconds:0} s so far");
        return await running;
    }

    sealed class Ignored : IProgress<double>
    {
        public void Report(double value)
        {
        }
    }

    /// <summary>Unlike <see cref="Progress{T}"/>, reports at once and in order.</summary>
    sealed class Reported(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }
}
