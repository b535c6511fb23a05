using System.CommandLine;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

static class Bench
{
    public static Verb Command()
    {
        var name = new Argument<string?>("name") { Description = "Which benchmark; without one they are listed.", Arity = ArgumentArity.ZeroOrOne };
        var json = new Option<bool>("--json") { Description = "Print the result as JSON on standard output." };
        var command = new Verb(
            "bench",
            "Runs a benchmark.",
            """
            Runs a benchmark on real servers of its own; without a name it lists them. Other options go to the
            benchmark as they are. Standard output is the benchmark's alone.

            Exit codes: 0 measured, 1 a benchmark or the build failed, 2 there is no such benchmark, 3 something is
            missing and could not be installed, 4 a server or a service did not start, 130 interrupted.
            """)
        {
            name, json,
        };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((parsed, cancellation) => RunAsync(
            [
                .. parsed.GetValue(name) is { } which ? [which] : Array.Empty<string>(),
                .. parsed.GetValue(json) ? ["--json"] : Array.Empty<string>(),
                .. parsed.UnmatchedTokens,
            ],
            cancellation));
        return command;
    }

    static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        // Standard output is the benchmark's: with --json a program reads it.
        var narrator = Narrator.ToError();
        await Builds.Benchmarks.EnsureAsync(repository, narrator, cancellation);
        await Builds.Services.EnsureAsync(repository, narrator, cancellation);
        await using var run = await RunFolder.CreateAsync(repository, "bench");
        return await Foreground.RunAsync(repository, run, "benchmarks", repository.TestAssembly("Benchmarks"), arguments, cancellation);
    }
}
