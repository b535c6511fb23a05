using System.CommandLine;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;

namespace Huzhu.Audit.Verbs;

/// <summary>Compares the logs with what was sealed.</summary>
static class Verify
{
    private const int Shown = 50;

    public static Command Command(Settings settings)
    {
        var (services, folder, trust) = (Settings.ServiceOption(), Settings.FolderOption(), Settings.TrustOption());
        var since = new Option<bool>("--since-last") { Description = "Only what was sealed by the newest checkpoint; what the one before it sealed is taken from the sealed lines." };
        var copies = new Option<FileInfo[]>("--copy") { Description = "A checkpoint that you kept yourself; may be given more than once.", DefaultValueFactory = _ => [], HelpName = "FILE" };
        copies.AcceptExistingOnly();
        var command = new Command("verify", "Says whether anything that was sealed has been changed, and what.") { services, folder, trust, since, copies };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var trusted = settings.Trusted(parsed.GetValue(trust));
            var kept = parsed.GetValue(copies)!.Select(file => Open(file.FullName, trusted)).ToList();
            var exitCode = ExitCodes.Ok;
            foreach (var service in parsed.GetValue(services)!.Distinct())
            {
                var sealFolder = settings.FolderOf(service, parsed.GetValue(folder));
                var origin = $"{settings.Deployment}/{service}";
                var checkpoints = sealFolder.CheckpointFiles.Select(file => Open(file, trusted)).Concat(kept.Where(copy => copy.Origin == origin)).ToList();
                if (checkpoints.Find(checkpoint => checkpoint.Origin != origin) is { } foreign)
                    throw new AuditException($"{sealFolder.FullPath} holds a checkpoint of {foreign.Origin}, not of {origin}.");
                if (checkpoints.Count == 0)
                {
                    await output.WriteLineAsync($"{service}: nothing is sealed, so nothing can be said.");
                    exitCode = Math.Max(exitCode, ExitCodes.Unknown);
                    continue;
                }
                var from = parsed.GetValue(since) ? checkpoints.OrderBy(checkpoint => checkpoint.Size).SkipLast(1).LastOrDefault() : null;
                await using var log = settings.Open(service);
                var result = await Verification.RunAsync(
                    log.ReadAsync(from?.Sequence ?? long.MinValue, cancellation: cancellation), sealFolder.Lines(), checkpoints, from, cancellation);
                if (result.Findings.Count == 0)
                    await output.WriteLineAsync($"{service}: {result.Events - result.Unsealed} events are as {result.Checkpoints} checkpoint{(result.Checkpoints == 1 ? "" : "s")} sealed them; {result.Unsealed} came later.");
                else
                {
                    await output.WriteLineAsync($"{service}: TAMPERED: {result.Findings.Count} finding{(result.Findings.Count == 1 ? "" : "s")}.");
                    foreach (var finding in result.Findings.Take(Shown))
                        await output.WriteLineAsync($"  {finding.Kind}: {finding.Words}");
                    if (result.Findings.Count > Shown)
                        await output.WriteLineAsync($"  and {result.Findings.Count - Shown} more.");
                    exitCode = ExitCodes.Found;
                }
            }
            return exitCode;
        });
        return command;
    }

    private static Checkpoint Open(string file, IReadOnlyCollection<NoteKey> trusted)
    {
        try
        {
            return SignedCheckpoint.Open(File.ReadAllText(file), trusted).Checkpoint;
        }
        catch (FormatException exception)
        {
            throw new AuditException($"{file}: {exception.Message}", exception);
        }
    }
}
