using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

/// <summary>A built program that runs in this terminal: it ends with this program, even when that is killed.</summary>
static class Foreground
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public static async Task<int> RunAsync(
        Repository repository, RunFolder run, string name, string assembly, IEnumerable<string> arguments, CancellationToken cancellation,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        var process = run.Start(new ChildStart(
            name, DotNet.Program, [assembly, .. arguments], environment ?? new Dictionary<string, string?>(), LogFile: null, WorkingFolder: Environment.CurrentDirectory));
        try
        {
            return await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // It stops its own servers on this signal. When that takes too long it is killed, and its servers are ours to end.
            await process.StopAsync(Signal.Interrupt, Patience);
            await RunFolder.SweepAsync(repository);
            throw;
        }
    }
}
