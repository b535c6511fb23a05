namespace Huzhu.Local.Infrastructure;

/// <summary>Docker or Podman, where a daemon answers: the client alone is often installed without one.</summary>
public sealed class ContainerEngine
{
    static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(10);
    static readonly TimeSpan PullWithin = TimeSpan.FromMinutes(10);
    static readonly TimeSpan StartsWithin = TimeSpan.FromMinutes(1);

    ContainerEngine(string program) => Program = program;

    public string Program { get; }

    public static async Task<ContainerEngine?> FindAsync(CancellationToken cancellation)
    {
        foreach (var program in new[] { "docker", "podman" })
        {
            if (Tool.Find(program) is null) continue;
            try
            {
                var info = await Tool.RunAsync(program, ["info"], AnswersWithin, cancellation: cancellation);
                if (info.Succeeded) return new ContainerEngine(program);
            }
            catch (TimeoutException)
            {
                // A daemon that hangs is as good as none.
            }
        }

        return null;
    }

    /// <returns>False when the image is neither here nor to be had, as behind a firewall.</returns>
    public async Task<bool> HasImageAsync(string image, CancellationToken cancellation)
    {
        var here = await Tool.RunAsync(Program, ["image", "inspect", image], AnswersWithin, cancellation: cancellation);
        if (here.Succeeded) return true;
        try
        {
            return (await Tool.RunAsync(Program, ["pull", "--quiet", image], PullWithin, cancellation: cancellation)).Succeeded;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    internal async Task RunAsync(
        RunFolder run, string name, IEnumerable<string> options, string image, IEnumerable<string> command, CancellationToken cancellation)
    {
        // Recorded first: a container that nobody knows of would live on.
        run.RecordContainer(Program, name);
        var outcome = await Tool.RunAsync(
            Program, ["run", "--detach", "--name", name, .. options, image, .. command], StartsWithin, cancellation: cancellation);
        if (!outcome.Succeeded) throw new DidNotStartException($"{Program} could not start {image}: {outcome.Tail}");
    }

    internal Task PauseAsync(string name) => Tool.RunAsync(Program, ["pause", name], StartsWithin);

    internal Task UnpauseAsync(string name) => Tool.RunAsync(Program, ["unpause", name], StartsWithin);

    internal Task RemoveAsync(string name) => Tool.RunAsync(Program, ["rm", "-f", name], StartsWithin);

    internal async Task<string> LogTailAsync(string name) =>
        (await Tool.RunAsync(Program, ["logs", "--tail", "25", name], AnswersWithin)).Output;
}
