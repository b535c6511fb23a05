using System.CommandLine;
using System.CommandLine.Help;
using Huzhu.Local;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Verbs;

// A plain command instead of RootCommand, whose help would call it by the name of its dll.
var help = new HelpOption();
help.Action = new ExplainingHelp((HelpAction)help.Action!, ExitCodes.Explained);
var root = new Command("./huzhu", "Huzhu on this machine: a demo, the services, tests and benchmarks.")
{
    help, new VersionOption(),
    Demo.Command(), Up.Command(), Down.Command(), Status.Command(), Test.Command(), Bench.Command(), Audit.Command(), Backup.Command(), Restore.Command(),
};

var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    Console.Error.WriteLine(BadUsage.Sentence(parsed));
    return ExitCodes.Usage;
}

using var interruption = new Interruption();
try
{
    return await parsed.InvokeAsync(
        new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, interruption.Token);
}
catch (OperationCanceledException) when (interruption.Token.IsCancellationRequested)
{
    return ExitCodes.Interrupted;
}
catch (ToldException told)
{
    Console.Error.WriteLine(told.Message);
    return told.ExitCode;
}
catch (Exception e)
{
    // Not foreseen, so the place where it happened is worth more than a short sentence.
    Console.Error.WriteLine($"Something went wrong that ./huzhu does not know: {e}");
    return ExitCodes.Failed;
}
