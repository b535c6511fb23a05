using System.CommandLine;
using System.Text.RegularExpressions;

namespace Huzhu.Local.Verbs;

/// <summary>What is wrong with a command line, in one sentence for people.</summary>
static partial class BadUsage
{
    public static string Sentence(ParseResult parsed)
    {
        if (parsed.Tokens.Count == 0)
            return "Say what to do: demo, up, down, status, test, bench or audit; ./huzhu --help explains them.";

        var command = parsed.CommandResult.Command is Verb verb ? $"./huzhu {verb.Name}" : "./huzhu";
        var what = parsed.UnmatchedTokens is [var token, ..]
            ? $"{command} does not know \"{token}\""
            : Number().Replace(Blanks().Replace(parsed.Errors[0].Message.TrimEnd('.', ' '), " "), "as a whole number");
        return $"{what}; see {command} --help.";
    }

    /// <summary>The library names .NET types and puts lists on lines of their own.</summary>
    [GeneratedRegex("as expected type '[^']*Int32[^']*'")]
    private static partial Regex Number();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
