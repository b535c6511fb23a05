using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Huzhu.SystemTests.Clients;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>A Huzhu with the jurisdiction that the Open311 page sets up, from the very lines that a reader is told to type.</summary>
public sealed partial class CityHuzhu : HuzhuFixture
{
    protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(base.Environment
        .Concat(Setting().Matches(CityTests.Page("open311.md")).Select(line => KeyValuePair.Create(line.Groups["key"].Value, line.Groups["value"].Value.Trim('\'')))));

    [GeneratedRegex(@"^export (?<key>\w+)=(?<value>.+)$", RegexOptions.Multiline)]
    private static partial Regex Setting();
}

/// <summary>What a city's own systems do with Huzhu: the documented commands, and a client that nobody here wrote.</summary>
public sealed partial class CityTests(CityHuzhu fixture) : IClassFixture<CityHuzhu>, IDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    public static string Page(string name) => File.ReadAllText(Path.Combine(Repository.Find().Root, "docs", "integrators", name));

    /// <summary>In one shell, as a reader has it: what one block sets, the next uses.</summary>
    [Theory, InlineData("open311.md"), InlineData("hsds.md")]
    public async Task the_commands_of_the_page_succeed_in_their_order(string page)
    {
        Assert.SkipWhen(Tool.Find("curl") is null, "curl is not installed, and the page's commands need it.");
        var blocks = Block().Matches(Page(page)).Select(block => block.Groups["commands"].Value).Where(commands => !commands.Contains("./huzhu", StringComparison.Ordinal)).ToList();
        Assert.True(blocks.Count >= 2, $"{page} has {blocks.Count} blocks of commands.");
        var description = fixture.Huzhu.Description;
        var outcome = await Tool.RunAsync("bash", ["-euo", "pipefail", "-c", string.Join('\n', blocks)], TimeSpan.FromMinutes(1), new Dictionary<string, string>
        {
            ["REQUESTS"] = description.Services["requests"],
            ["GROUPS_"] = description.Services["groups"],
            ["OPERATOR"] = description.Tokens["operator"],
            ["AUDITOR"] = description.Tokens["auditor"],
        }, cancellation: TestContext.Current.CancellationToken);
        Assert.True(outcome.Succeeded, $"{page}:\n{outcome.Tail}");
        Assert.Contains(page == "hsds.md" ? "\"registered\":1" : "no longer wanted", outcome.Output, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task an_open311_client_that_nobody_here_wrote_reports_and_its_report_is_offered_to_a_group()
    {
        await _huzhu.RegisterAsync("groups", Client.Entry("cooks for the city", lat: 31.2210, lon: 121.4415, capacity: 10, abilities: ["text-only"]));
        var clients = await NodeClients.InstallAsync("Open311", TestContext.Current.CancellationToken);
        var printed = await clients.RunAsync("report.js", [fixture.Huzhu.Description.Services["requests"], "w.example", "desk-0123456789abcdef"], cancellation: TestContext.Current.CancellationToken);
        await _huzhu.RequestInAsync(printed.Trim(), "offered");
    }

    [GeneratedRegex(@"^```sh\n(?<commands>.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Block();
}
