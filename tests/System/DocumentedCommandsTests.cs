using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>What integrators' pages tell a reader to type is typed here.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed partial class DocumentedCommandsTests(ConsoleHuzhu fixture) : IDisposable
{
    private const string ProviderOfTheDocs = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    [Theory]
    [InlineData("cap.md", 1)]
    [InlineData("providers.md", 3)]
    [InlineData("subscriptions.md", 1)]
    public async Task every_call_of_the_page_succeeds(string page, int calls)
    {
        Assert.SkipWhen(Tool.Find("curl") is null, "curl is not installed, and the pages' commands need it.");
        var (status, _) = await _huzhu.SendAsync(HttpMethod.Put, "groups", $"/v1/providers/{ProviderOfTheDocs}", "operator", Client.Entry("clinic of the docs", lat: 7, lon: 162));
        if (status == 404)
        {
            var entry = System.Text.Json.JsonSerializer.SerializeToNode(Client.Entry("clinic of the docs", lat: 7, lon: 162))!;
            entry["id"] = ProviderOfTheDocs;
            await _huzhu.RegisterAsync("providers", entry);
        }
        var text = await File.ReadAllTextAsync(Path.Combine(Repository.Find().Root, "docs", "integrators", page), TestContext.Current.CancellationToken);
        var commands = Block().Matches(text).Select(match => match.Groups["commands"].Value).Where(block => block.Contains("$GROUPS") || block.Contains("$NOTIFICATIONS")).ToList();
        Assert.Equal(calls, commands.Count);
        foreach (var command in commands)
        {
            var outcome = await Tool.RunAsync("bash", ["-euc", $"curl() {{ command curl --fail-with-body \"$@\"; }}\n{command}"], TimeSpan.FromSeconds(60), new Dictionary<string, string>
            {
                ["GROUPS"] = fixture.Huzhu.Description.Services["groups"].ToString().TrimEnd('/'),
                ["NOTIFICATIONS"] = fixture.Huzhu.Description.Services["notifications"].ToString().TrimEnd('/'),
                ["TOKEN"] = fixture.Huzhu.Description.Tokens["operator"],
            }, cancellation: TestContext.Current.CancellationToken);
            Assert.True(outcome.Succeeded, $"{command}\n{outcome.Tail}");
        }
    }

    [GeneratedRegex(@"^```\n(?<commands>curl .*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Block();
}
