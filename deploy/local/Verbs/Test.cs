using System.CommandLine;
using System.Globalization;
using System.Xml.Linq;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

static class Test
{
    public static Verb Command()
    {
        var filter = new Argument<string?>("filter")
        {
            Description = "unit, integration or system for one suite, faults for the fault suite; anything else is looked for in the names of classes and methods.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var seed = new Option<int?>("--seed") { Description = "With faults: what happens when; one is drawn and printed without it.", HelpName = "N" };
        var kills = new Option<int?>("--kills") { Description = "With faults: how many processes are killed or stopped under load, 500 without it.", HelpName = "N" };
        var command = new Verb(
            "test",
            "Builds and runs the tests.",
            """
            Builds the tests and runs them on real servers, which they start and stop themselves. At the end stands
            every test that failed, once more, and in the last line the sum: "N passed, N failed", with
            ", N skipped" when there are any.

              ./huzhu test                    all
              ./huzhu test unit               one suite: unit, integration or system
              ./huzhu test late_acceptance    the tests whose class or method has this in its name
              ./huzhu test faults             the long form of the fault suite, which takes hours: what is killed,
                                              cut and restarted under load; its short form is part of all

            Exit codes: 0 all passed, 1 a test failed, none ran, or the build failed, 3 something is missing and
            could not be installed, 130 interrupted.
            """)
        {
            filter, seed, kills,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(filter) != Faults && (result.GetValue(seed) ?? result.GetValue(kills)) is not null)
                result.AddError("--seed and --kills go with ./huzhu test faults");
            if (result.GetValue(kills) is < 1)
                result.AddError("--kills takes a number from 1");
        });
        command.SetAction((parsed, cancellation) => parsed.GetValue(filter) == Faults
            ? RunFaultsAsync(parsed.GetValue(seed) ?? Random.Shared.Next(), parsed.GetValue(kills) ?? 500, cancellation)
            : RunAsync(parsed.GetValue(filter), cancellation));
        return command;
    }

    const string Faults = "faults";

    /// <summary>The same tests as in the whole, told by their environment to go on for long.</summary>
    static async Task<int> RunFaultsAsync(int seed, int kills, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        await Builds.AllTests.EnsureAsync(repository, narrator, cancellation);
        await Builds.Services.EnsureAsync(repository, narrator, cancellation);
        await using var run = await RunFolder.CreateAsync(repository, "test");
        narrator.Say($"Faults with the seed {seed}: ./huzhu test faults --seed {seed} --kills {kills} asks for the same again.");
        var environment = new Dictionary<string, string?>
        {
            ["HUZHU_FAULTS"] = "long",
            ["HUZHU_FAULTS_SEED"] = $"{seed}",
            ["HUZHU_FAULTS_KILLS"] = $"{kills}",
            ["HUZHU_LATE_COMMITS"] = "100000",
            ["HUZHU_HISTORIES"] = "1000000",
            ["HUZHU_FIRST_SEED"] = $"{seed}",
            ["HUZHU_FUZZ"] = "1000000",
            ["HUZHU_MUTATIONS"] = "1000000",
        };
        var outcomes = new List<Outcome>();
        foreach (var (suite, tests) in new[] { ("Unit", "SimulationTests."), ("System", "SystemTests.Faults."), ("Integration", "late_commits"), ("Integration", "FuzzTests."), ("Integration", "mutated_callbacks") })
            outcomes.Add(await RunSuiteAsync(repository, run, suite, tests, narrator, cancellation, environment));
        return Close(outcomes);
    }

    readonly record struct Sum(int Passed, int Failed, int Skipped)
    {
        public static Sum operator +(Sum a, Sum b) => new(a.Passed + b.Passed, a.Failed + b.Failed, a.Skipped + b.Skipped);
        public override string ToString() => $"{Passed} passed, {Failed} failed{(Skipped > 0 ? $", {Skipped} skipped" : "")}";
    }

    /// <summary>What a suite's report says: the sum, what failed and why, and what took longest.</summary>
    sealed record Outcome(Sum Sum, IReadOnlyList<string> Failures, IReadOnlyList<string> Slowest);

    /// <summary>What failed stands at the end: a suite's own output is long, and what runs the suites may keep only its tail.</summary>
    static int Close(IReadOnlyCollection<Outcome> outcomes)
    {
        foreach (var failure in outcomes.SelectMany(outcome => outcome.Failures))
            Console.WriteLine(failure);
        var sum = outcomes.Aggregate(new Sum(), (sum, outcome) => sum + outcome.Sum);
        Console.WriteLine(sum);
        return sum.Failed > 0 || sum.Passed == 0 ? ExitCodes.Failed : ExitCodes.Ok;
    }

    static async Task<int> RunAsync(string? filter, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        var suite = Builds.Suites.FirstOrDefault(suite => string.Equals(suite, filter, StringComparison.OrdinalIgnoreCase));
        await (suite is null ? Builds.AllTests : Builds.OneSuite(suite)).EnsureAsync(repository, narrator, cancellation);
        // System tests start services as processes.
        if (suite is null or "System") await Builds.Services.EnsureAsync(repository, narrator, cancellation);

        await using var run = await RunFolder.CreateAsync(repository, "test");
        var outcomes = new List<Outcome>();
        foreach (var each in suite is null ? Builds.Suites : [suite])
        {
            narrator.Say($"{each} tests");
            outcomes.Add(await RunSuiteAsync(repository, run, each, suite is null ? filter : null, narrator, cancellation));
        }

        if (outcomes.All(outcome => outcome.Sum.Passed + outcome.Sum.Failed == 0))
            Console.Error.WriteLine(filter is null ? "No test ran." : $"No test ran: no class or method is named like \"{filter}\".");
        return Close(outcomes);
    }

    static async Task<Outcome> RunSuiteAsync(
        Repository repository, RunFolder run, string suite, string? filter, Narrator narrator, CancellationToken cancellation,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        var results = Path.Combine(run.FullPath, $"{suite}.xml");
        string[] arguments =
        [
            "-noLogo", "-result-xml", results,
            .. Console.IsOutputRedirected ? ["-noColor"] : Array.Empty<string>(),
            // The name of a method begins with those of its namespace and class, so this finds either.
            .. environment is null ? Array.Empty<string>() : ["-showLiveOutput"],
            .. filter is null ? Array.Empty<string>() : ["-method", $"*{filter}*"],
        ];
        var exitCode = await Foreground.RunAsync(repository, run, $"{suite} tests", repository.TestAssembly(suite), arguments, cancellation, environment);
        var outcome = File.Exists(results) ? Read(results) : new Outcome(default, [], []);
        if (outcome.Slowest.Count > 0)
            narrator.Say($"The slowest {suite} tests: {string.Join(", ", outcome.Slowest)}");

        // A crash, or a failure outside any test such as in a fixture's clean-up, is no success because all tests were.
        if (exitCode == 0 || outcome.Sum.Failed > 0 || (filter is not null && outcome.Sum == default)) return outcome;
        return outcome with
        {
            Sum = outcome.Sum with { Failed = 1 },
            Failures = [$"FAILED {suite}: it ended with exit code {exitCode} although no test failed"],
        };
    }

    // xUnit's other structured reports do not escape a control character in the name of a test.
    static Outcome Read(string results)
    {
        var report = XDocument.Load(results);
        var sum = report.Descendants("assembly").Aggregate(new Sum(), (sum, assembly) =>
            sum + new Sum(Number(assembly, "passed"), Number(assembly, "failed") + Number(assembly, "errors"), Number(assembly, "skipped")));
        var failures = report.Descendants("failure")
            .Select(failure => $"""
                FAILED {(string?)failure.Parent!.Attribute("name")}
                  {Indented(failure.Element("message"))}
                  {Indented(failure.Element("stack-trace"))}
                """);
        var slowest = report.Descendants("test")
            .Select(test => (Name: $"{((string)test.Attribute("type")!).Split('.')[^1]}.{(string)test.Attribute("method")!}", Seconds: (double)test.Attribute("time")!))
            .Where(test => test.Seconds >= 10).OrderByDescending(test => test.Seconds).Take(5);
        return new Outcome(sum, [.. failures], [.. slowest.Select(test => string.Create(CultureInfo.InvariantCulture, $"{test.Name} {test.Seconds:0} s"))]);

        static int Number(XElement assembly, string name) => (int)assembly.Attribute(name)!;
        static string Indented(XElement? text) => ((string?)text ?? "").Trim().ReplaceLineEndings("\n  ");
    }
}
