using System.Security.Cryptography;
using System.Text;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// A build in Release of some projects, skipped when no source changed since the last one: asking the compiler takes
/// seconds, looking at the files takes milliseconds.
/// </summary>
/// <param name="Sources">Folders whose files decide whether it is stale.</param>
/// <param name="Target">A project or solution filter, from the root.</param>
/// <param name="Outputs">What must exist afterwards.</param>
/// <param name="Includes">Another build whose projects this one builds too.</param>
/// <param name="Options">More options of <c>dotnet build</c>.</param>
public sealed record Build(
    string Name, string Target, IReadOnlyList<string> Sources, Func<Repository, IEnumerable<string>> Outputs, Build? Includes = null,
    IReadOnlyList<string>? Options = null)
{
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);
    static readonly string[] Everywhere = ["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "global.json", ".editorconfig"];

    /// <exception cref="BuildFailedException">The message holds the compiler's errors.</exception>
    public async Task EnsureAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        // The script ./huzhu takes the same lock: two builds in one obj folder spoil each other.
        using var alone = await FileLock.TakeAsync(Path.Combine(repository.LocalFolder, "build.lock"), cancellation);
        // Taken before the build: a file that changes in the middle of it makes the next one necessary.
        var fingerprints = SelfAndIncluded.ToDictionary(build => build.Name, build => build.Fingerprint(repository));
        var stamp = StampFile(repository, Name);
        if (File.Exists(stamp) && await File.ReadAllTextAsync(stamp, cancellation) == fingerprints[Name] && Outputs(repository).All(File.Exists)) return;

        var outcome = await narrator.DuringAsync($"Building the {Name}", _ => RunAsync(repository, cancellation));
        if (!outcome.Succeeded) throw new BuildFailedException($"The {Name} could not be built:\n{Errors(outcome.Output)}");
        Directory.CreateDirectory(Path.GetDirectoryName(stamp)!);
        foreach (var (name, fingerprint) in fingerprints)
            await File.WriteAllTextAsync(StampFile(repository, name), fingerprint, CancellationToken.None);
    }

    IEnumerable<Build> SelfAndIncluded => Includes is null ? [this] : [this, .. Includes.SelfAndIncluded];

    static string StampFile(Repository repository, string name) => Path.Combine(repository.LocalFolder, "build", name);

    async Task<Tool.Outcome> RunAsync(Repository repository, CancellationToken cancellation)
    {
        // MSBuild and the compiler leave servers behind for the next build. Ours keeps none: nodes are not reused, and
        // the compiler's server gets a name of its own, by which it is found and ended.
        var compiler = $"huzhu-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
        try
        {
            return await Tool.RunAsync(
                DotNet.Program,
                [
                    "build", Path.Combine(repository.Root, Target), "-c", "Release", "-v", "q", "--nologo",
                    "-nodeReuse:false", $"-p:SharedCompilationId={compiler}", "-tl:off", .. Options ?? [],
                ],
                Limit,
                // A compiler that ends after a minute gains nothing from code that is measured first: it takes a sixth more time.
                new Dictionary<string, string> { ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0", ["MSBUILDDISABLENODEREUSE"] = "1", ["DOTNET_TieredPGO"] = "0" },
                cancellation: cancellation);
        }
        finally
        {
            EndCompilerServer(compiler);
        }
    }

    static void EndCompilerServer(string name)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var pid)) continue;
            try
            {
                if (File.ReadAllText(Path.Combine(folder, "cmdline")).Contains($"-pipename:{name}", StringComparison.Ordinal))
                    ProcessIdentity.Of(pid)?.Signal(Signal.Kill);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Gone in the meantime, or not ours to look at.
            }
        }
    }

    string Fingerprint(Repository repository)
    {
        var files = Sources
            .SelectMany(source => Files(new DirectoryInfo(Path.Combine(repository.Root, source))))
            .Concat(Everywhere.Select(name => new FileInfo(Path.Combine(repository.Root, name))).Where(file => file.Exists));
        var listing = string.Join('\n', files.Select(f => $"{Path.GetRelativePath(repository.Root, f.FullName)} {f.Length} {f.LastWriteTimeUtc.Ticks}").Order(StringComparer.Ordinal));
        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(listing)));
    }

    static IEnumerable<FileInfo> Files(DirectoryInfo folder) =>
        folder.EnumerateFiles().Concat(folder.EnumerateDirectories()
            .Where(inner => inner.Name is not ("bin" or "obj" or "TestResults") && !inner.Name.StartsWith('.'))
            .SelectMany(Files));

    /// <summary>MSBuild says every error twice, at once and in its summary.</summary>
    static string Errors(string output)
    {
        var errors = output.Split('\n').Select(line => line.Trim()).Where(line => line.Contains(": error ", StringComparison.Ordinal)).Distinct().ToList();
        return errors.Count > 0 ? string.Join('\n', errors.Take(40)) : output.TrimEnd();
    }
}

public static class Builds
{
    public static readonly IReadOnlyList<string> Suites = ["Unit", "Integration", "System"];

    public static readonly Build Services = new(
        "services", "deploy/local/Services.slnf", ["services"], repository => Repository.ServiceNames.Concat([Repository.Console, Repository.Audit]).Select(repository.ServiceAssembly));

    public static readonly Build AllTests = new(
        "tests", "deploy/local/Tests.slnf", ["services", "tests", "deploy/local"], repository => Suites.Select(repository.TestAssembly), Services);

    public static Build OneSuite(string suite) => new(
        $"{suite} tests", $"tests/{suite}/{suite}.csproj", ["services", "tests", "deploy/local"], repository => [repository.TestAssembly(suite)]);

    public static readonly Build Benchmarks = new(
        "benchmarks",
        "tests/Benchmarks/Benchmarks.csproj",
        ["services", "tests/Benchmarks", "tests/TestKit", "deploy/local"],
        repository => [repository.TestAssembly("Benchmarks")]);
}
