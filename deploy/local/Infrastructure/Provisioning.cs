using System.Globalization;
using System.Text.RegularExpressions;

namespace Huzhu.Local.Infrastructure;

/// <summary>Where the programs of one server come from.</summary>
public abstract record Installation
{
    /// <param name="Folder">Holds <c>postgres</c> and <c>initdb</c>, or <c>rabbitmq-server</c>.</param>
    public sealed record Native(string Folder) : Installation;

    public sealed record Image(ContainerEngine Engine, string Name) : Installation;
}

public sealed record Installations(Installation Postgres, Installation RabbitMq);

/// <summary>The two programs, by their paths.</summary>
public sealed record NodeJs(string Node, string Npm);

/// <summary>
/// Finds PostgreSQL and RabbitMQ, or gets them: servers of this machine first (they start fastest), then the images of a
/// container engine that answers, then the system's package manager. <c>HUZHU_SERVERS=native</c> or <c>container</c>
/// leaves out the other.
/// </summary>
public static partial class Provisioning
{
    public const string PostgresImage = "postgres:15";
    public const string RabbitMqImage = "rabbitmq:3-management";
    const int OldestPostgres = 15;
    const int OldestNode = 18;
    static readonly Version OldestRabbitMq = new(3, 10);
    static readonly TimeSpan InstallWithin = TimeSpan.FromMinutes(25);
    const string PolicyFile = "/usr/sbin/policy-rc.d";

    /// <summary>PostgreSQL alone, for what needs no broker.</summary>
    public static async Task<Installation> FindPostgresAsync(Repository repository, Narrator narrator, CancellationToken cancellation) =>
        FindPostgres() ?? (await FindOrInstallAsync(repository, narrator, cancellation)).Postgres;

    public static async Task<Installations> FindOrInstallAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        var allowed = Environment.GetEnvironmentVariable("HUZHU_SERVERS") is { Length: > 0 } choice ? choice : "any";
        if (allowed is not ("any" or "native" or "container"))
            throw new UsageException($"HUZHU_SERVERS is \"{allowed}\"; it can be native or container, or unset for either.");

        var postgres = allowed == "container" ? null : FindPostgres();
        var rabbit = allowed == "container" ? null : FindRabbitMq();
        if (postgres is not null && rabbit is not null) return new(postgres, rabbit);

        if (allowed != "native" && await ContainerEngine.FindAsync(cancellation) is { } engine)
        {
            var images = await narrator.DuringAsync(
                $"Getting images with {engine.Program}",
                async _ => (
                    Postgres: postgres ?? await ImageAsync(engine, PostgresImage, cancellation),
                    RabbitMq: rabbit ?? await ImageAsync(engine, RabbitMqImage, cancellation)));
            if (images is { Postgres: { } p, RabbitMq: { } r }) return new(p, r);
        }

        if (allowed == "container")
            throw new MissingRequirementException(
                $"HUZHU_SERVERS=container, but no container engine answers or it cannot get {PostgresImage} and {RabbitMqImage}.");

        await InstallAsync(
            repository, narrator, () => [.. FindPostgres() is null ? ["postgresql"] : Array.Empty<string>(), .. FindRabbitMq() is null ? ["rabbitmq-server"] : Array.Empty<string>()],
            "or start Docker", cancellation);
        return new(
            FindPostgres() ?? throw new MissingRequirementException($"PostgreSQL {OldestPostgres} or newer was not found after the installation."),
            FindRabbitMq() ?? throw new MissingRequirementException($"RabbitMQ {OldestRabbitMq} or newer was not found after the installation."));
    }

    /// <summary>PostGIS for the native PostgreSQL that was found, for the peers of benchmarks.</summary>
    /// <returns>False when it is not there and cannot be installed: a container's PostgreSQL, or no such package.</returns>
    public static async Task<bool> EnsurePostGisAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        // Debian: /usr/lib/postgresql/15/bin beside /usr/share/postgresql/15/extension.
        if (FindPostgres() is not Installation.Native native || Major(Path.GetFileName(Path.GetDirectoryName(native.Folder))!) is not (> 0 and var version))
            return false;
        bool There() => Directory.Exists($"/usr/share/postgresql/{version}/extension") && Directory.EnumerateFiles($"/usr/share/postgresql/{version}/extension", "postgis--*.sql").Any();
        try
        {
            await InstallAsync(repository, narrator, () => There() ? [] : [$"postgresql-{version}-postgis-3"], "or install PostGIS", cancellation);
        }
        catch (MissingRequirementException exception)
        {
            narrator.Say(exception.Message);
        }
        return There();
    }

    /// <summary>Node.js and npm, for the tests that let other people's clients speak to the services.</summary>
    public static async Task<NodeJs> FindOrInstallNodeAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        await InstallAsync(
            repository, narrator, () => [.. Tool.Find("node") is null ? ["nodejs"] : Array.Empty<string>(), .. Tool.Find("npm") is null ? ["npm"] : Array.Empty<string>()],
            $"or put Node.js {OldestNode}+ on PATH", cancellation);
        var (node, npm) = (Tool.Find("node"), Tool.Find("npm"));
        if (node is null || npm is null || Major((await Tool.RunAsync(node, ["--version"], TimeSpan.FromSeconds(30), cancellation: cancellation)).Output) < OldestNode)
            throw new MissingRequirementException($"Node.js {OldestNode} or newer with npm was not found on PATH.");
        return new(node, npm);
    }

    /// <summary>Chromium, for the tests that walk through the console as people do.</summary>
    public static async Task<string> FindOrInstallChromiumAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        string? Find() => Tool.Find("chromium") ?? Tool.Find("chromium-browser") ?? Tool.Find("google-chrome");
        // With letters of Chinese: a picture of the pages would show boxes without.
        await InstallAsync(repository, narrator, () => Find() is null ? ["chromium", "fonts-noto-cjk"] : [], "or put chromium on PATH", cancellation);
        return Find() ?? throw new MissingRequirementException("Chromium was not found on PATH after the installation.");
    }

    /// <summary>A Python that has the library Pika, for the samples of the documentation.</summary>
    public static async Task<string> FindOrInstallPikaAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        async Task<string?> FindAsync()
        {
            foreach (var python in new[] { Tool.Find("python3"), "/usr/bin/python3" }.OfType<string>().Where(Tool.IsThere))
                if ((await Tool.RunAsync(python, ["-c", "import pika"], TimeSpan.FromSeconds(30), cancellation: cancellation)).Succeeded)
                    return python;
            return null;
        }

        if (await FindAsync() is { } found) return found;
        // What the package manager installs is seen by its own Python only.
        await InstallAsync(repository, narrator, () => Directory.Exists("/usr/lib/python3/dist-packages/pika") ? [] : ["python3-pika"], "or install the Python library Pika", cancellation);
        return await FindAsync() ?? throw new MissingRequirementException("A Python 3 with the library Pika was not found after the installation.");
    }

    /// <summary>strace, with which a test makes single system calls of a server slow.</summary>
    public static async Task<string> FindOrInstallStraceAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        await InstallAsync(repository, narrator, () => Tool.Find("strace") is null ? ["strace"] : [], "or put strace on PATH", cancellation);
        return Tool.Find("strace") ?? throw new MissingRequirementException("strace was not found on PATH after the installation.");
    }

    /// <summary>promtool, which plays cases through alert rules.</summary>
    public static async Task<string> FindOrInstallPromtoolAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        await InstallAsync(repository, narrator, () => Tool.Find("promtool") is null ? ["prometheus"] : [], "or put promtool on PATH", cancellation);
        return Tool.Find("promtool") ?? throw new MissingRequirementException("promtool was not found on PATH after the installation.");
    }

    /// <summary>The library that gives a process a clock of its own.</summary>
    public static async Task<string> FindOrInstallFakeTimeAsync(Repository repository, Narrator narrator, CancellationToken cancellation)
    {
        // Debian: /usr/lib/x86_64-linux-gnu/faketime; elsewhere: /usr/lib64/faketime.
        string? Find() => new[] { "/usr/lib", "/usr/lib64" }.Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateDirectories(folder).Append(folder))
            .Select(folder => Path.Combine(folder, "faketime", "libfaketimeMT.so.1")).FirstOrDefault(File.Exists);
        await InstallAsync(repository, narrator, () => Find() is null ? ["libfaketime"] : [], "or install libfaketime", cancellation);
        return Find() ?? throw new MissingRequirementException("libfaketimeMT.so.1 was not found after the installation.");
    }

    static async Task<Installation?> ImageAsync(ContainerEngine engine, string image, CancellationToken cancellation) =>
        await engine.HasImageAsync(image, cancellation) ? new Installation.Image(engine, image) : null;

    static Installation? FindPostgres()
    {
        // Debian keeps the servers of several versions side by side and none on PATH.
        string[] patterns = ["/usr/lib/postgresql", "/usr/lib64/postgresql", "/opt/postgresql"];
        var versioned = patterns
            .Where(Directory.Exists)
            .SelectMany(Directory.EnumerateDirectories)
            .Select(folder => (Bin: Path.Combine(folder, "bin"), Version: Major(Path.GetFileName(folder))))
            .Where(found => found.Version >= OldestPostgres && Has(found.Bin))
            .OrderByDescending(found => found.Version)
            .Select(found => found.Bin);
        var onPath = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(folder => Has(folder) && VersionOnPath(folder) >= OldestPostgres);
        return versioned.Concat(onPath).FirstOrDefault() is { } bin ? new Installation.Native(bin) : null;

        static bool Has(string folder) => Tool.IsThere(Path.Combine(folder, "postgres")) && Tool.IsThere(Path.Combine(folder, "initdb"));

        static int VersionOnPath(string folder) =>
            Major(Tool.RunAsync(Path.Combine(folder, "postgres"), ["--version"], TimeSpan.FromSeconds(5)).GetAwaiter().GetResult().Output);
    }

    static Installation? FindRabbitMq()
    {
        if (Tool.Find("erl") is null) return null;

        // Debian's /usr/sbin/rabbitmq-server is a wrapper that switches to the user of the system's own broker.
        string[] folders = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/lib/rabbitmq/sbin"];
        return folders.FirstOrDefault(Suits) is { } folder ? new Installation.Native(folder) : null;

        static bool Suits(string folder)
        {
            var script = new FileInfo(Path.Combine(folder, "rabbitmq-server"));
            if (!Tool.IsThere(script.FullName)) return false;
            var real = script.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? script.FullName;
            var version = RabbitMqVersion().Match(real);
            return !version.Success || new Version(version.Groups[1].Value) >= OldestRabbitMq;
        }
    }

    /// <summary>Python 3, with which a test verifies a log as an auditor would.</summary>
    public static Task EnsurePythonAsync(Repository repository, Narrator narrator, CancellationToken cancellation) =>
        InstallAsync(repository, narrator, () => Tool.Find("python3") is null ? ["python3-minimal"] : [], "or install Python 3", cancellation);

    static int Major(string text) => FirstNumber().Match(text) is { Success: true } match ? int.Parse(match.Value, CultureInfo.InvariantCulture) : 0;

    /// <param name="missing">The packages to install, asked when no other process installs any.</param>
    /// <param name="otherwise">What a person can do instead.</param>
    static async Task InstallAsync(Repository repository, Narrator narrator, Func<string[]> missing, string otherwise, CancellationToken cancellation)
    {
        if (missing().Length == 0) return;
        using var alone = await FileLock.TakeAsync(Path.Combine(repository.LocalFolder, "install.lock"), cancellation);
        var packages = missing();
        if (packages.Length == 0) return;

        var names = string.Join(" and ", packages);
        if (Tool.Find("apt-get") is null)
            throw new MissingRequirementException(
                $"Install {names} with your package manager, {otherwise}: this command can install them by itself only where there is apt-get.");

        string[] asRoot = [];
        if (!Environment.IsPrivilegedProcess)
        {
            if (Tool.Find("sudo") is null || !(await Tool.RunAsync("sudo", ["-n", "true"], TimeSpan.FromSeconds(10), cancellation: cancellation)).Succeeded)
                throw new MissingRequirementException(
                    $"Run \"sudo apt-get install {string.Join(' ', packages)}\" first, {otherwise}: {names} is missing, and this user may not install it.");
            asRoot = ["sudo", "-n"];
        }

        // Debian starts a server as soon as its package is installed, and again at every boot. We want only the programs:
        // a policy says no during the installation, unless the machine has a policy of its own, which is then the owner's.
        const string script = """
            set -e
            policy=$1; shift
            if [ ! -e "$policy" ]; then
              trap 'rm -f "$policy"' EXIT
              trap 'exit 130' INT TERM HUP
              printf '#!/bin/sh\nexit 101\n' > "$policy"
              chmod 755 "$policy"
            fi
            export DEBIAN_FRONTEND=noninteractive
            timeout 300 apt-get update -q -o DPkg::Lock::Timeout=300
            timeout 900 apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
            if [ -d /run/systemd/system ]; then
              for package in "$@"; do systemctl disable --quiet "$package" || true; done
            fi
            """;
        // In a session of its own and never cancelled: Ctrl-C in the middle of dpkg would leave packages half configured.
        string[] command = ["setsid", "--wait", .. asRoot, "sh", "-c", script, "huzhu-install", PolicyFile, .. packages];
        var outcome = await narrator.DuringAsync(
            $"Installing {names} with apt-get (only the programs: nothing of it is started)",
            _ => Tool.RunAsync(command[0], command[1..], InstallWithin, cancellation: CancellationToken.None));
        cancellation.ThrowIfCancellationRequested();
        if (!outcome.Succeeded)
            throw new MissingRequirementException($"apt-get could not install {names}:\n{outcome.Tail}");
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex FirstNumber();

    [GeneratedRegex(@"rabbitmq_server-(\d+\.\d+)")]
    private static partial Regex RabbitMqVersion();
}
