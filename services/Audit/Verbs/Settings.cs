using System.CommandLine;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;
using Huzhu.Notifications.Channels;
using Microsoft.Extensions.Configuration;

namespace Huzhu.Audit.Verbs;

/// <summary>
/// Where the logs are and what they are sealed with. <c>ConnectionStrings:Requests</c> and so on name the databases,
/// <c>Audit:Folder</c> the sealed lines and checkpoints, <c>Audit:KeyFile</c> the private keys, <c>Audit:TrustFile</c> the
/// public ones, <c>Audit:Deployment</c> whose logs these are. Only <c>erase</c> speaks to running services: at
/// <c>Services:Requests</c> and <c>Services:Groups</c>, with <c>Audit:Token</c>.
/// </summary>
public sealed class Settings(IConfiguration configuration)
{
    public static readonly IReadOnlyList<string> Services = ["requests", "groups", "matching", "notifications"];

    public string Deployment => configuration["Audit:Deployment"] ?? "huzhu.local";

    public ServiceLog Open(string service) =>
        new(service, configuration.GetConnectionString(service) is { Length: > 0 } connection
            ? connection
            : throw new AuditException($"ConnectionStrings:{service} is missing: where is the database of {service}?"));

    /// <summary>
    /// Who gets a copy of each checkpoint: <c>Audit:Webhook:Url</c> with <c>Secret</c>, and <c>Audit:ObjectStore:Url</c>
    /// with <c>AccessKey</c>, <c>SecretKey</c> and <c>Region</c>. Nobody, when neither is set.
    /// </summary>
    public IReadOnlyList<ICopyReceiver> Receivers()
    {
        var receivers = new List<ICopyReceiver>();
        if (configuration["Audit:Webhook:Url"] is { Length: > 0 } webhook)
        {
            var secret = configuration["Audit:Webhook:Secret"];
            receivers.Add(new WebhookCopies(Address("Audit:Webhook:Url", webhook), StandardWebhooks.IsUsable(secret)
                ? secret!
                : throw new AuditException("Audit:Webhook:Secret must be whsec_ and base64 of at least 16 bytes."), TimeProvider.System));
        }
        if (configuration["Audit:ObjectStore:Url"] is { Length: > 0 } store)
        {
            var address = Address("Audit:ObjectStore:Url", store);
            if (address.AbsolutePath.Trim('/').Length == 0)
                throw new AuditException("Audit:ObjectStore:Url names no bucket: https://store.example/bucket is expected.");
            receivers.Add(new ObjectStoreCopies(address, Required("Audit:ObjectStore:AccessKey"), Required("Audit:ObjectStore:SecretKey"), configuration["Audit:ObjectStore:Region"] ?? "us-east-1"));
        }
        return receivers;
    }

    private static Uri Address(string key, string text) => Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
        ? address
        : throw new AuditException($"{key} is no absolute http or https address.");

    /// <summary>Where a running service answers.</summary>
    public Uri AddressOf(string service) =>
        Uri.TryCreate(configuration[$"Services:{service}"]?.TrimEnd('/') + "/", UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new AuditException($"Services:{service} is missing: {service} must run, and this must know where.");

    /// <summary>An operator's token for the running services.</summary>
    public string Token => configuration["Audit:Token"] is { Length: > 0 } token ? token : throw new AuditException("Audit:Token is missing: an operator's token is needed, and services that run.");

    public SealFolder FolderOf(string service, DirectoryInfo? option) => new(option?.FullName ?? Required("Audit:Folder", "--folder"), service);

    /// <summary>One private key a line; all of them sign, so that a new one can be told to auditors before the old one goes.</summary>
    public IReadOnlyList<NoteSigner> Signers(FileInfo? option) => [.. Lines(option?.FullName ?? Required("Audit:KeyFile", "--key")).Select(NoteSigner.Parse)];

    /// <summary>One public key a line, and those of the private keys where these are at hand.</summary>
    public IReadOnlyList<NoteKey> Trusted(FileInfo? option, IReadOnlyList<NoteSigner>? signers = null)
    {
        var file = option?.FullName ?? configuration["Audit:TrustFile"];
        if (file is null && signers is null)
            signers = Signers(null);
        return [.. file is null ? [] : Lines(file).Select(NoteKey.Parse), .. signers?.Select(signer => signer.Key) ?? []];
    }

    public static Option<string[]> ServiceOption()
    {
        var option = new Option<string[]>("--service") { Description = "Only this log; may be given more than once.", DefaultValueFactory = _ => [.. Services], HelpName = "NAME" };
        option.AcceptOnlyFromAmong([.. Services]);
        return option;
    }

    public static Option<DirectoryInfo?> FolderOption() => new("--folder") { Description = "Where the sealed lines and checkpoints lie.", HelpName = "DIR" };
    public static Option<FileInfo?> KeyOption() => new("--key") { Description = "File of private keys, one a line.", HelpName = "FILE" };
    public static Option<FileInfo?> TrustOption() => new("--trust") { Description = "File of public keys, one a line.", HelpName = "FILE" };

    private string Required(string name, string? option = null) => configuration[name] is { Length: > 0 } value
        ? value
        : throw new AuditException($"{name} is missing: set it{(option is null ? "" : $", or give {option}")}.");

    private static IEnumerable<string> Lines(string file) => File.ReadLines(file).Select(line => line.Trim()).Where(line => line.Length > 0);
}
