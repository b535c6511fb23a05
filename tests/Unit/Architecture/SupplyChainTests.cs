using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.Tests.Unit.Architecture;

/// <summary>What is known of the packages: their weaknesses, where the feed knows any, and their names.</summary>
public sealed class SupplyChainTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
    private static readonly string Root = Repository.Find().Root;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-supply-");

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>A project with our rules, and a feed that knows something of a package that came with another one.</summary>
    [Fact]
    public async Task a_package_with_a_known_weakness_stops_what_ci_runs_and_warns_everybody_else()
    {
        using var feed = Feed.ThatKnowsOf("polly.core");
        File.WriteAllText(Path.Combine(_folder.FullName, "Directory.Build.props"), $"""<Project><Import Project="{Root}/Directory.Build.props" /></Project>""");
        File.WriteAllText(Path.Combine(_folder.FullName, "Directory.Packages.props"), $"""<Project><Import Project="{Root}/Directory.Packages.props" /></Project>""");
        File.WriteAllText(Path.Combine(_folder.FullName, "nuget.config"), $"""<configuration><auditSources><clear /><add key="ours" value="{feed.Address}index.json" allowInsecureConnections="true" /></auditSources></configuration>""");
        var project = Path.Combine(_folder.FullName, "Some.csproj");
        File.WriteAllText(project, """<Project Sdk="Microsoft.NET.Sdk"><ItemGroup><PackageReference Include="Polly" /></ItemGroup></Project>""");

        var warned = await RestoreAsync("");
        Assert.True(warned.Succeeded && warned.Output.Contains("warning NU1904", StringComparison.Ordinal), warned.Output);
        var stopped = await RestoreAsync("strict");
        Assert.True(!stopped.Succeeded && stopped.Output.Contains("error NU1904", StringComparison.Ordinal), stopped.Output);
        // It is what CI asks for, before it restores.
        Assert.Matches("(?s)export HUZHU_AUDIT=strict\n.*dotnet restore", File.ReadAllText(Path.Combine(Root, ".ci", "run")));

        Task<Tool.Outcome> RestoreAsync(string audit) => Tool.RunAsync("dotnet", ["restore", project, "--force", "-v", "q", "-nodeReuse:false"], Limit,
            new Dictionary<string, string> { ["HUZHU_AUDIT"] = audit }, cancellation: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task every_program_has_a_list_of_what_it_is_made_of()
    {
        var script = Path.Combine(Root, "deploy", "sbom.sh");
        var programs = Directory.EnumerateFiles(Path.Combine(Root, "services"), "Program.cs", SearchOption.AllDirectories).Select(file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order();
        Assert.Equal(programs, File.ReadLines(script).Single(line => line.StartsWith("programs=(", StringComparison.Ordinal))["programs=(".Length..^1].Split(' ').Order());

        var made = await Tool.RunAsync(script, [_folder.FullName, "Audit"], Limit, cancellation: TestContext.Current.CancellationToken);
        Assert.True(made.Succeeded, made.Output);
        var list = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.FullName, "audit.json")))!;
        Assert.Equal("huzhu-audit", (string)list["metadata"]!["component"]!["name"]!);
        // Ours and theirs, with what identifies them.
        var packages = list["components"]!.AsArray().ToDictionary(package => (string)package!["name"]!, package => package!);
        Assert.All(new[] { "Marten", "Npgsql", "Polly.Core" }, name => Assert.True(packages[name]["hashes"]!.AsArray().Count > 0 && packages[name]["licenses"]!.AsArray().Count > 0, name));
    }

    private sealed class Feed : IDisposable
    {
        private readonly HttpListener _listener = new();

        private Feed(string package)
        {
            Address = $"http://127.0.0.1:{FreePorts.Next()}/";
            _listener.Prefixes.Add(Address);
            _listener.Start();
            _ = ServeAsync(new Dictionary<string, string>
            {
                ["/index.json"] = $$"""{"version": "3.0.0", "resources": [{"@id": "{{Address}}known.json", "@type": "VulnerabilityInfo/6.7.0"}]}""",
                ["/known.json"] = $$"""[{"@name": "base", "@id": "{{Address}}base.json", "@updated": "2026-01-01T00:00:00Z"}]""",
                ["/base.json"] = $$"""{"{{package}}": [{"url": "https://example.org/advisory", "severity": 3, "versions": "(, 999.0.0)"}]}""",
            });
        }

        public string Address { get; }

        public static Feed ThatKnowsOf(string package) => new(package);

        public void Dispose() => _listener.Close();

        private async Task ServeAsync(Dictionary<string, string> documents)
        {
            try
            {
                while (true)
                {
                    var context = await _listener.GetContextAsync();
                    context.Response.StatusCode = documents.TryGetValue(context.Request.Url!.AbsolutePath, out var document) ? 200 : 404;
                    context.Response.Close(Encoding.UTF8.GetBytes(document ?? ""), willBlock: false);
                }
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                // The test is over.
            }
        }
    }
}
