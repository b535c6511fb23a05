using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Huzhu.Local.Verbs;

/// <summary>A verb with one line for the list of all, and an explanation for its own <c>--help</c>.</summary>
sealed class Verb(string name, string summary, string explained) : Command(name, summary)
{
    public string Explained { get; } = explained;
}

/// <summary>The help of the library, followed by the explanation.</summary>
sealed class ExplainingHelp(HelpAction help, string otherwise) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => help.ClearsParseErrors;

    public override int Invoke(ParseResult parsed)
    {
        var exitCode = help.Invoke(parsed);
        parsed.InvocationConfiguration.Output.WriteLine((parsed.CommandResult.Command as Verb)?.Explained ?? otherwise);
        return exitCode;
    }
}
