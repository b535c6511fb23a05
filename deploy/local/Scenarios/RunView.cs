using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Huzhu.Local.Scenarios;

/// <summary>Shows the run as it goes: a table that moves on a terminal, a line now and then elsewhere.</summary>
sealed class RunView(Scenario scenario, Agenda agenda, Callers callers, Coordinators coordinators)
{
    static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(400);
    static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(8);

    public async Task ShowAsync(CancellationToken cancellation)
    {
        var moves = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        Say($"One day of the story is {scenario.Calendar.SecondsPerDay:0.00} s. All providers close after {scenario.Calendar.SecondsAt(scenario.Calendar.ClosureDay):0} s and reopen after {scenario.Calendar.SecondsAt(scenario.Calendar.ReopeningDay):0} s.");
        if (moves)
            await AnsiConsole.Live(Text.Empty).AutoClear(false).StartAsync(async context =>
            {
                while (!cancellation.IsCancellationRequested)
                {
                    context.UpdateTarget(Picture());
                    await Task.WhenAny(Task.Delay(Frame, cancellation));
                }
            });
        else
        {
            Phase? announced = null;
            while (!cancellation.IsCancellationRequested)
            {
                var day = scenario.Calendar.DayAt(agenda.Now);
                var phase = scenario.Calendar.PhaseOf(day);
                if (phase != announced)
                    Say(phase switch
                    {
                        Phase.Open => "Providers are open.",
                        Phase.Lockdown => $"All {scenario.Providers.Count()} providers close.",
                        Phase.Recovery => "Providers reopen.",
                    });
                announced = phase;
                Say($"  {Line(day)}");
                await Task.WhenAny(Task.Delay(LineEvery, cancellation));
            }
        }
    }

    string Line(double day)
    {
        var (submitted, helped, inHand) = Counts();
        return $"day {day,3:0} of {scenario.Calendar.EndDay:0}: {submitted:N0} of {scenario.NeedCount:N0} needs came, {helped:N0} fulfilled, {inHand:N0} in hand, {Math.Max(0, submitted - helped - inHand):N0} without a responder"
            + (agenda.MostBelatedSeconds > 1 ? $" (the machine is up to {agenda.MostBelatedSeconds:0.0} s late)" : "");
    }

    IRenderable Picture()
    {
        var calendar = scenario.Calendar;
        var day = calendar.DayAt(agenda.Now);
        var (submitted, helped, inHand) = Counts();
        var waiting = Math.Max(0, submitted - helped - inHand);
        var grid = new Grid().AddColumn().AddColumn();
        grid.AddRow(new Markup($"[bold]day {day:0}[/] of {calendar.EndDay:0}"), Stretches(day));
        grid.AddRow(new Text("needs"), new BreakdownChart().Width(60).ShowTags().UseValueFormatter(value => value.ToString("N0", CultureInfo.InvariantCulture))
            .AddItem("fulfilled", helped, Color.Green).AddItem("in hand", inHand, Color.Blue).AddItem("without a responder", waiting, Color.Orange1)
            .AddItem("to come", Math.Max(0, scenario.NeedCount - submitted), Color.Grey));
        if (agenda.MostBelatedSeconds > 1)
            grid.AddRow(new Text(""), new Markup($"[yellow]the machine is up to {agenda.MostBelatedSeconds:0.0} s late[/]"));
        return grid;
    }

    Markup Stretches(double day)
    {
        const int width = 60;
        var calendar = scenario.Calendar;
        string Stretch(string name, double from, double to)
        {
            var cells = Math.Max(name.Length + 1, (int)Math.Round((to - from) / calendar.EndDay * width));
            var text = name.PadRight(cells);
            var done = (int)Math.Clamp((day - from) / (to - from) * cells, 0, cells);
            return $"[invert]{text[..done]}[/]{text[done..]}";
        }
        return new Markup(string.Join("│", Stretch("open", 0, calendar.ClosureDay), Stretch("lockdown", calendar.ClosureDay, calendar.ReopeningDay),
            Stretch("recovery", calendar.ReopeningDay, calendar.PhasesEndDay), Stretch("follow-up", calendar.PhasesEndDay, calendar.EndDay)));
    }

    (int Submitted, int Helped, int InHand) Counts() => (callers.NeedsSubmitted, callers.NeedsHelped, coordinators.InHand);

    static void Say(string line) => Console.WriteLine(line);
}
