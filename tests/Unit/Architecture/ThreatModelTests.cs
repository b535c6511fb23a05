using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.Tests.Unit.Architecture;

/// <summary>A promise that names its test is worth something while there is that test.</summary>
public partial class ThreatModelTests
{
    [Fact]
    public void every_test_that_the_threat_model_names_exists()
    {
        var repository = Repository.Find().Root;
        var named = TestName().Matches(File.ReadAllText(Path.Combine(repository, "docs", "operations", "threat-model.md"))).Select(match => match.Groups[1].Value).ToHashSet();
        Assert.InRange(named.Count, 40, 1000);
        var existing = new[] { "Unit", "Integration", "System" }.SelectMany(suite => Directory.EnumerateFiles(Path.Combine(repository, "tests", suite), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal)).SelectMany(file => TestMethod().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).ToHashSet();
        Assert.Empty(named.Except(existing));
    }

    [GeneratedRegex("`([a-z][a-z0-9]*(?:_[a-z0-9]+){3,})`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"public (?:async Task|void) ([a-z][a-z0-9_]*)\(")]
    private static partial Regex TestMethod();
}
