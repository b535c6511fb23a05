using System.CommandLine;
using System.Text.Json;
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
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var command = new Command("verify", "Says whether anything that was sealed has been changed, and what.") { services, folder, trust, since, copies, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var trusted = settings.Trusted(parsed.GetValue(trust));
            var kept = parsed.GetValue(copies)!.Select(file => Open(file.FullName, trusted)).ToList();
            var exitCode = ExitCodes.Ok;
            var verified = new List<VerifiedLog>();
            var words = parsed.GetValue(json) ? TextWriter.Null : output;
            foreach (var service in parsed.GetValue(services)!.Distinct())
            {
                var sealFolder = settings.FolderOf(service, parsed.GetValue(folder));
                var origin = $"{settings.Deployment}/{service}";
                var checkpoints = sealFolder.CheckpointFiles.Select(file => Open(file, trusted)).Concat(kept.Where(copy => copy.Origin == origin)).ToList();
                if (checkpoints.Find(checkpoint => checkpoint.Origin != origin) is { } foreign)
                    throw new AuditException($"{sealFolder.FullPath} holds a checkpoint of {foreign.Origin}, not of {origin}.");
                if (checkpoints.Count == 0)
                {
                    await words.WriteLineAsync($"{service}: nothing is sealed, so nothing can be said.");
                    verified.Add(new VerifiedLog(service, 0, 0, 0, null, 0, []));
                    exitCode = Math.Max(exitCode, ExitCodes.Unknown);
                    continue;
                }
                var from = parsed.GetValue(since) ? checkpoints.OrderBy(checkpoint => checkpoint.Size).SkipLast(1).LastOrDefault() : null;
                await using var log = settings.Open(service);
                var result = await Verification.RunAsync(
                    log.ReadAsync(from?.Sequence ?? long.MinValue, cancellation: cancellation), sealFolder.Lines(), checkpoints, from, cancellation);
                var newest = checkpoints.MaxBy(checkpoint => checkpoint.Size)!;
                verified.Add(new VerifiedLog(service, result.Events, result.Unsealed, result.Checkpoints, Convert.ToHexStringLower(newest.Root), result.Findings.Count,
                    [.. result.Findings.Take(Shown)]));
                if (result.Findings.Count == 0)
                    await words.WriteLineAsync($"{service}: {result.Events - result.Unsealed} events are as {result.Checkpoints} checkpoint{(result.Checkpoints == 1 ? "" : "s")} sealed them; {result.Unsealed} came later.");
                else
                {
                    await words.WriteLineAsync($"{service}: TAMPERED: {result.Findings.Count} finding{(result.Findings.Count == 1 ? "" : "s")}.");
                    foreach (var finding in result.Findings.Take(Shown))
                        await words.WriteLineAsync($"  {finding.Kind}: {finding.Words}");
                    if (result.Findings.Count > Shown)
                        await words.WriteLineAsync($"  and {result.Findings.Count - Shown} more.");
                    exitCode = ExitCodes.Found;
                }
            }
            if (parsed.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(verified, Replay.Json));
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

/// <summary>One log beside what was sealed of it.</summary>
/// <param name="Events">In the log; nothing is known of <paramref name="Unsealed"/> of them yet.</param>
/// <param name="Checkpoints">0: nothing is sealed, so nothing can be said.</param>
/// <param name="Root">Of the newest checkpoint's tree, in hexadecimal.</param>
/// <param name="Findings">How many differences there are; 0: everything is as it was sealed.</param>
/// <param name="Named">The first of them.</param>
public sealed record VerifiedLog(string Service, long Events, long Unsealed, int Checkpoints, string? Root, int Findings, IReadOnlyList<Finding> Named);
