using System.CommandLine;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;

namespace Huzhu.Audit.Verbs;

/// <summary>Makes a file that proves, to somebody who has the public key, that an event is in a log or that a log only grew.</summary>
static class Prove
{
    public static Command Command(Settings settings)
    {
        var (services, folder, trust) = (Settings.ServiceOption(), Settings.FolderOption(), Settings.TrustOption());
        var id = new Argument<Guid?>("event") { Description = "Id of the event.", Arity = ArgumentArity.ZeroOrOne };
        var since = new Option<FileInfo>("--since") { Description = "Instead of an event: a checkpoint; proves that the log only grew since then.", HelpName = "CHECKPOINT" };
        since.AcceptExistingOnly();
        var command = new Command("prove", "Proves that an event is in a log, or that a log only grew.") { id, since, services, folder, trust };
        command.Validators.Add(result =>
        {
            if (result.GetResult(since) is null == (result.GetResult(id) is not { Tokens.Count: > 0 }))
                result.AddError("Give either the id of an event or --since CHECKPOINT");
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            var trusted = settings.Trusted(parsed.GetValue(trust));
            var proof = parsed.GetValue(since) is { } old
                ? Growth(SignedCheckpoint.Open(File.ReadAllText(old.FullName), trusted), settings, parsed.GetValue(folder), trusted)
                : await EventAsync(parsed.GetValue(id)!.Value, parsed.GetValue(services)!, settings, parsed.GetValue(folder), trusted, cancellation);
            await parsed.InvocationConfiguration.Output.WriteAsync(proof);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task<string> EventAsync(Guid id, string[] services, Settings settings, DirectoryInfo? option, IReadOnlyCollection<NoteKey> trusted, CancellationToken cancellation)
    {
        foreach (var service in services)
        {
            await using var log = settings.Open(service);
            await foreach (var stored in log.FindAsync("id = any($1)", [id], cancellation))
            {
                var (signed, leaves) = ReadSealed(settings.FolderOf(service, option), trusted);
                var hash = new LeafWriter().Hash(stored);
                var index = leaves.FindIndex(leaf => leaf.AsSpan().SequenceEqual(hash));
                return index >= 0
                    ? Proof.OfEvent(stored, leaves, index, signed)
                    : throw new AuditException(stored.Sequence > signed.Checkpoint.Sequence
                        ? $"The event is newer than the newest checkpoint of {service}: seal first."
                        : $"The event as it is now was never sealed: ./huzhu audit verify --service {service} says more.");
            }
        }
        throw new UnknownIdException($"No log has an event {id}.");
    }

    private static string Growth(SignedCheckpoint old, Settings settings, DirectoryInfo? option, IReadOnlyCollection<NoteKey> trusted)
    {
        var service = Settings.Services.FirstOrDefault(service => old.Checkpoint.Origin == $"{settings.Deployment}/{service}")
            ?? throw new AuditException($"The checkpoint is of {old.Checkpoint.Origin}, which is none of our logs.");
        var (signed, leaves) = ReadSealed(settings.FolderOf(service, option), trusted);
        return old.Checkpoint.Size is > 0 && old.Checkpoint.Size <= leaves.Count
            ? Proof.OfGrowth(old, leaves, signed)
            : throw new AuditException($"The newest checkpoint of {service} has {leaves.Count} events and this one {old.Checkpoint.Size}: nothing grew out of it.");
    }

    private static (SignedCheckpoint Signed, List<byte[]> Leaves) ReadSealed(SealFolder folder, IReadOnlyCollection<NoteKey> trusted)
    {
        if (folder.CheckpointFiles is not [.., var newest])
            throw new AuditException($"Nothing is sealed in {folder.FullPath}.");
        var signed = SignedCheckpoint.Open(File.ReadAllText(newest), trusted);
        var leaves = folder.Lines().Take(checked((int)signed.Checkpoint.Size)).Select(line => MerkleTree.HashOfLeaf(line)).ToList();
        var tree = new MerkleTree();
        leaves.ForEach(tree.Add);
        return tree.Root().AsSpan().SequenceEqual(signed.Checkpoint.Root)
            ? (signed, leaves)
            : throw new AuditException($"The sealed lines in {folder.FullPath} are not what {newest} has signed.");
    }
}

/// <summary>Checks such a file. Needs no database and no network.</summary>
static class CheckProof
{
    public static Command Command(Settings settings)
    {
        var file = new Argument<FileInfo>("file") { Description = "What prove has written." };
        file.AcceptExistingOnly();
        var trust = Settings.TrustOption();
        var command = new Command("check-proof", "Checks a proof; needs nothing but the file and the public key.") { file, trust };
        command.SetAction((parsed, _) =>
        {
            var (holds, words) = Proof.Check(File.ReadAllText(parsed.GetValue(file)!.FullName), settings.Trusted(parsed.GetValue(trust)));
            parsed.InvocationConfiguration.Output.WriteLine(words);
            return Task.FromResult(holds ? ExitCodes.Ok : ExitCodes.Found);
        });
        return command;
    }
}
