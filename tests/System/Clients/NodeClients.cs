using System.Security.Cryptography;
using Huzhu.Local.Infrastructure;

namespace Huzhu.SystemTests.Clients;

/// <summary>
/// Clients that nobody here wrote, from npm, run against the services. Each folder beside this file holds a pinned
/// <c>package.json</c> and <c>package-lock.json</c> and the scripts that use them; it is copied to <c>.local/clients</c> and
/// installed there once, with no script of a package run.
/// </summary>
/// <remarks>
/// The lock names no registry, so that npm takes the one that is configured. To change a package, in its folder:
/// <c>npm install --package-lock-only --omit-lockfile-registry-resolved NAME@VERSION</c>. Packages must run on Node.js 18.
/// </remarks>
public sealed class NodeClients
{
    static readonly TimeSpan InstallWithin = TimeSpan.FromMinutes(5);
    static readonly TimeSpan EndsWithin = TimeSpan.FromMinutes(2);

    readonly NodeJs _programs;
    readonly string _folder;

    NodeClients(NodeJs programs, string folder)
    {
        _programs = programs;
        _folder = folder;
    }

    /// <param name="name">The folder beside this file.</param>
    public static async Task<NodeClients> InstallAsync(string name, CancellationToken cancellation = default)
    {
        var repository = Repository.Find();
        var programs = await Provisioning.FindOrInstallNodeAsync(repository, Narrator.Silent, cancellation);
        var source = Path.Combine(repository.Root, "tests", "System", "Clients", name);
        var folder = Path.Combine(repository.LocalFolder, "clients", name);
        using var alone = await FileLock.TakeAsync(folder + ".lock", cancellation);
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(source)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);

        var done = Path.Combine(folder, "installed");
        var wanted = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(source, "package-lock.json"), cancellation)));
        if (!File.Exists(done) || await File.ReadAllTextAsync(done, cancellation) != wanted)
        {
            var outcome = await Tool.RunAsync(
                programs.Npm, ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                InstallWithin, new Dictionary<string, string> { ["npm_config_update_notifier"] = "false" }, cancellation: cancellation);
            if (!outcome.Succeeded) throw new MissingRequirementException($"npm could not install the clients of {source}:\n{outcome.Tail}");
            await File.WriteAllTextAsync(done, wanted, cancellation);
        }
        return new(programs, folder);
    }

    /// <summary>Runs a script of the folder to its end.</summary>
    /// <param name="onLine">Called with every line as it is printed, from any thread: for a script that says when it is ready.</param>
    /// <param name="limit">Two minutes by default; a server runs until <paramref name="cancellation"/>.</param>
    /// <returns>What it printed.</returns>
    /// <exception cref="Xunit.Sdk.XunitException">It ended with an error; its last lines say why.</exception>
    public async Task<string> RunAsync(
        string script, IEnumerable<string>? arguments = null, IReadOnlyDictionary<string, string>? environment = null,
        Action<string>? onLine = null, TimeSpan? limit = null, CancellationToken cancellation = default)
    {
        // Old packages make Node.js warn of itself, in the middle of what they print.
        var settings = new Dictionary<string, string>(environment ?? new Dictionary<string, string>()) { ["NODE_NO_WARNINGS"] = "1" };
        var outcome = await Tool.RunAsync(
            _programs.Node, [Path.Combine(_folder, script), .. arguments ?? []], limit ?? EndsWithin, settings, onLine, cancellation);
        return outcome.Succeeded ? outcome.Output : throw new Xunit.Sdk.XunitException($"{script} failed:\n{outcome.Tail}");
    }
}
