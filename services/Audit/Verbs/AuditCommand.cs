using System.CommandLine;
using System.CommandLine.Help;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace Huzhu.Audit.Verbs;

public static class ExitCodes
{
    public const int Ok = 0;
    /// <summary>Something is not as it should be; the output names it.</summary>
    public const int Found = 1;
    public const int Usage = 2;
    /// <summary>A log or a file cannot be read, so nothing is known.</summary>
    public const int Unknown = 3;
    public const int Interrupted = 130;
}

/// <summary>The command line as a whole.</summary>
public static class AuditCommand
{
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, IConfiguration configuration, TextWriter output, TextWriter error, CancellationToken cancellation)
    {
        try
        {
            return await InvokeAsync(arguments, configuration, output, error, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return ExitCodes.Interrupted;
        }
        catch (Exception exception) when (exception is Reading.AuditException or NpgsqlException or IOException or UnauthorizedAccessException or FormatException)
        {
            await error.WriteLineAsync(exception.Message);
            return ExitCodes.Unknown;
        }
    }

    /// <summary>The same for a caller that tells failures apart itself.</summary>
    /// <exception cref="Reading.AuditException">Why nothing can be said, in one sentence.</exception>
    internal static async Task<int> InvokeAsync(IReadOnlyList<string> arguments, IConfiguration configuration, TextWriter output, TextWriter error, CancellationToken cancellation)
    {
        var settings = new Settings(configuration);
        // A plain command instead of RootCommand, whose help would call it by the name of its dll.
        var root = new Command("audit", "Reads the event logs: what happened and why, and whether anything was changed since.\nExit codes: 0 all is well, 1 something is not as it should be, 2 bad usage, 3 nothing can be said.")
        {
            new HelpOption(),
            Timeline.Command(settings), Explain.Command(settings), StateAt.Command(settings), RecheckOffers.Command(settings), RebuildReadModels.Command(settings),
            Replay.Command(settings), EquityReport.Command(settings),
            Export.Command(settings), Key.Command(settings), Seal.Command(settings), Verify.Command(settings), Prove.Command(settings), CheckProof.Command(settings),
            Erase.Command(settings), ErasureReport.Command(settings), ShowAccess.Command(settings), Serve.Command(configuration),
        };
        var parsed = root.Parse([.. arguments]);
        if (parsed.Errors.Count > 0)
        {
            await error.WriteLineAsync($"{parsed.Errors[0].Message.TrimEnd('.')}; see ./huzhu audit --help.");
            return ExitCodes.Usage;
        }
        return await parsed.InvokeAsync(
            new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancellation);
    }
}
