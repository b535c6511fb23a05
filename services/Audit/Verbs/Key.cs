using System.CommandLine;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;

namespace Huzhu.Audit.Verbs;

/// <summary>Makes the key that checkpoints are signed with.</summary>
static class Key
{
    public static Command Command(Settings settings)
    {
        var file = new Argument<FileInfo>("file") { Description = "The file for the private key; an existing one gets it as a further line, for rotation." };
        var command = new Command("key", "Makes a signing key, and prints the public one for those who verify.") { file };
        command.SetAction((parsed, _) =>
        {
            var signer = NoteSigner.Generate(settings.Deployment);
            if (OperatingSystem.IsWindows())
                throw new AuditException("Keys are kept in files that only their owner may read, which needs Linux.");
            var options = new FileStreamOptions
            {
                Mode = FileMode.Append,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            using (var writer = new StreamWriter(parsed.GetValue(file)!.FullName, options))
                writer.Write(signer + "\n");
            parsed.InvocationConfiguration.Output.WriteLine(signer.Key);
            return Task.FromResult(ExitCodes.Ok);
        });
        return command;
    }
}
