using System.CommandLine;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

static class Down
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    static readonly TimeSpan OwnerPatience = TimeSpan.FromSeconds(40);

    public static Verb Command()
    {
        var command = new Verb(
            "down",
            "Stops what up started.",
            """
            Stops what ./huzhu up started, in this terminal or another, and removes its data. Also ends what is
            left of runs that were killed. Tests, benchmarks and demos that are running go on.

            Exit codes: 0 nothing of it runs any more, 1 something could not be stopped, 130 interrupted.
            """);
        command.SetAction((_, cancellation) => RunAsync(cancellation));
        return command;
    }

    static async Task<int> RunAsync(CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        var runs = RunFolder.Existing(repository).Where(run => run.Kind == Up.Kind && run.IsLive).ToList();
        foreach (var run in runs)
            await narrator.DuringAsync("Stopping the services and servers", async _ => await StopAsync(run));

        var swept = await RunFolder.SweepAsync(repository);
        if (swept > 0) narrator.Say($"Cleaned up after {swept} run{(swept == 1 ? "" : "s")} that had been killed.");
        cancellation.ThrowIfCancellationRequested();
        File.Delete(repository.DescriptionFile);
        narrator.Say(runs.Count > 0 ? "Stopped." : "Nothing was running.");
        return ExitCodes.Ok;
    }

    static async Task StopAsync(RunFolder run)
    {
        // An up in the foreground, or one that still starts, cleans up after itself when it is asked to end.
        if (run.LiveOwner is { } owner && !run.IsDetached)
        {
            owner.Signal(Signal.Terminate);
            if (await owner.WaitUntilGoneAsync(OwnerPatience)) return;
            owner.Signal(Signal.Kill);
            await owner.WaitUntilGoneAsync(OwnerPatience);
        }

        await run.StopRecordedAsync(Patience);
    }
}
