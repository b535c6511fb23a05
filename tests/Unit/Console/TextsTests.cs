using System.Text.RegularExpressions;
using Huzhu.Web.Layout;
using Xunit;

namespace Huzhu.Tests.Unit.ConsolePages;

public partial class TextsTests
{
    private static readonly string Folder = Path.Combine(Root(), "services", "Console");

    [Fact]
    public void every_text_is_there_in_both_languages_with_the_places_of_the_other() => Assert.All(Language.Keys, text =>
    {
        Assert.False(string.IsNullOrWhiteSpace(text.Value.Zh) || string.IsNullOrWhiteSpace(text.Value.En), text.Key);
        // Where there is room for twenty characters, one language says less; none says what the other has no place for.
        Assert.Empty(Places(text.Value.En).Except(Places(text.Value.Zh)));
    });

    [Fact]
    public void every_key_that_a_page_names_has_a_text()
    {
        var named = Directory.EnumerateFiles(Folder, "*.razor", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal))
            .SelectMany(file => NamedKey().Matches(File.ReadAllText(file)).Select(match => match.Groups[1].Value)).Distinct().ToList();
        Assert.NotEmpty(named);
        Assert.DoesNotContain(named, key => !Language.Keys.ContainsKey(key));
    }

    private static IEnumerable<string> Places(string text) => Place().Matches(text).Select(match => match.Value).Order();

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return folder;
    }

    [GeneratedRegex(@"L\[""([a-z0-9.-]+)""[\],]")]
    private static partial Regex NamedKey();

    [GeneratedRegex(@"\{\w+\}")]
    private static partial Regex Place();
}
