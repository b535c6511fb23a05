using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Huzhu.ServiceDefaults;
using k8s.Models;
using Xunit;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>
/// One Dockerfile makes all images. With HUZHU_CONTAINERS=1, as root on Debian with the packages buildah and mmdebstrap,
/// all of them are really made, without a container engine and on a base of Debian's own, and a service takes work.
/// </summary>
public sealed partial class ContainerImageTests
{
    private static readonly string Dockerfile = Path.Combine(Manifests.Repository, "deploy", "docker", "Dockerfile");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Where an image listens.</summary>
    public static int Port() => int.Parse(Listening().Match(File.ReadAllText(Dockerfile)).Groups[1].Value, CultureInfo.InvariantCulture);

    [Fact]
    public void a_container_image_is_made_from_what_the_project_has()
    {
        var lines = File.ReadAllLines(Dockerfile);
        var copied = lines.Where(line => line.StartsWith("COPY ", StringComparison.Ordinal) && !line.Contains("--from", StringComparison.Ordinal))
            .SelectMany(line => line.Split(' ')[1..^1]).ToList();
        Assert.NotEmpty(copied);
        Assert.All(copied, path => Assert.True(Path.Exists(Path.Combine(Manifests.Repository, path)), path));
        Assert.Contains($"EXPOSE {Port()}", lines);
        Assert.All(Manifests.Answering, name =>
        {
            // The entry is the program that the project's name gives.
            var project = Huzhu.Local.Infrastructure.Repository.ProjectName(name);
            Assert.True(File.Exists(Path.Combine(Manifests.Repository, "services", project, $"{project}.csproj")));
            Assert.NotNull(System.Reflection.Assembly.Load($"Huzhu.{project}").EntryPoint);
        });
        var user = Assert.Single(lines, line => line.StartsWith("USER ", StringComparison.Ordinal))[5..];
        Assert.All(Manifests.Base.Pods().Where(pod => pod.Template.Spec.Containers[0].Image.StartsWith("huzhu/", StringComparison.Ordinal)),
            pod => Assert.Equal(user, $"{pod.Template.Spec.SecurityContext.RunAsUser}:{pod.Template.Spec.SecurityContext.RunAsGroup}"));
    }

    [Fact]
    public async Task a_container_image_starts_answers_its_probes_and_writes_nowhere()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("HUZHU_CONTAINERS") == "1", "Takes root, buildah and mmdebstrap: HUZHU_CONTAINERS=1.");
        using var builder = new Builder();
        builder.MakeBaseImages();
        foreach (var name in Manifests.Answering)
            builder.Build(name);

        await using var servers = await LocalInfrastructure.StartAsync("test", cancellation: TestContext.Current.CancellationToken);
        var settings = new Dictionary<string, string>
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Development",
            ["EventStore__ApplySchema"] = "false",
            ["Auth__Development__SigningKey"] = Convert.ToBase64String(new byte[32]),
            ["PersonalData__MasterKey"] = Convert.ToBase64String(new byte[32]),
            ["ConnectionStrings__EventStore"] = await servers.Postgres.CreateDatabaseAsync("image", maximumPoolSize: 20),
            ["ConnectionStrings__Broker"] = servers.RabbitMq.AmqpUri(),
        };
        var container = builder.Container("requests");
        builder.Run(container, settings, "--migrate");
        var before = Files(builder.Root(container));
        var address = new Uri($"http://127.0.0.1:{FreePorts.Next()}");
        settings["ASPNETCORE_URLS"] = address.AbsoluteUri;
        using var service = builder.Start(container, settings);
        try
        {
            using var http = new HttpClient { BaseAddress = address };
            Assert.Equal(HttpStatusCode.OK, await AnswerAsync(http, Hosting.LivePath));
            Assert.Equal(HttpStatusCode.OK, await AnswerAsync(http, Hosting.ReadyPath));
            await http.GetAsync("/v1/requests", TestContext.Current.CancellationToken);
            Assert.Contains("http_server_request_duration_seconds_count", await http.GetStringAsync(Hosting.MetricsPath, TestContext.Current.CancellationToken));
        }
        finally
        {
            Process.Start("kill", ["-TERM", service.Id.ToString(CultureInfo.InvariantCulture)]).WaitForExit();
            var stopped = service.WaitForExit(Patience);
            if (!stopped)
                service.Kill(entireProcessTree: true);
            Assert.True(stopped, "It did not stop.");
        }
        Assert.Empty(Files(builder.Root(container)).Except(before));
        Assert.Contains("checkpoint", builder.Run(builder.Container("audit"), [], "--help"));
    }

    private static async Task<HttpStatusCode?> AnswerAsync(HttpClient http, string path)
    {
        HttpStatusCode? answer = null;
        for (var deadline = DateTime.UtcNow + Patience; answer != HttpStatusCode.OK && DateTime.UtcNow < deadline; await Task.Delay(200))
        {
            try
            {
                using var response = await http.GetAsync(path);
                answer = response.StatusCode;
            }
            catch (HttpRequestException)
            {
                // Not yet.
            }
        }
        return answer;
    }

    /// <summary>Every file of a container's root, with its time, but for what the builder itself mounts.</summary>
    private static HashSet<string> Files(string root) =>
    [
        .. new DirectoryInfo(root).EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint })
            .Select(file => $"{Path.GetRelativePath(root, file.FullName)} {file.LastWriteTimeUtc.Ticks}")
            .Where(file => !file.StartsWith("proc/", StringComparison.Ordinal) && !file.StartsWith("sys/", StringComparison.Ordinal) && !file.StartsWith("dev/", StringComparison.Ordinal)
                && !file.StartsWith("tmp/", StringComparison.Ordinal) && !file.StartsWith("etc/resolv.conf", StringComparison.Ordinal) && !file.StartsWith("etc/hosts", StringComparison.Ordinal)),
    ];

    /// <summary>buildah with a store of its own, which goes with it.</summary>
    private sealed class Builder : IDisposable
    {
        /// <summary>Above shared/Microsoft.NETCore.App/VERSION.</summary>
        private static readonly string DotNetFolder = Path.GetFullPath("../../..", System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory());

        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-images-");

        public void MakeBaseImages()
        {
            var system = Path.Combine(_folder.FullName, "system.tar");
            Run("mmdebstrap", ["--quiet", "--variant=minbase", "--include=ca-certificates,libssl3,libstdc++6,zlib1g", "bookworm", system]);
            foreach (var (image, parts) in new[] { ("runtime", new[] { "dotnet", "host", "shared" }), ("sdk", [""]) })
            {
                var container = Buildah("from", image == "runtime" ? "scratch" : "localhost/runtime");
                if (image == "runtime")
                    Buildah("add", "--quiet", container, system, "/");
                foreach (var part in parts)
                    Buildah("add", "--quiet", container, Path.Combine(DotNetFolder, part), Path.Combine("/usr/share/dotnet", part));
                // What the SDK itself speaks other languages with is not in this base.
                Buildah("config", "--env", "PATH=/usr/share/dotnet:/usr/sbin:/usr/bin:/sbin:/bin", "--env", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1", container);
                Buildah("commit", "--quiet", container, $"localhost/{image}");
                Buildah("rm", container);
            }
        }

        public void Build(string name) => Buildah(
            "bud", "--isolation=chroot", "--file", Dockerfile, "--ignorefile", Dockerfile + ".dockerignore",
            "--build-arg", "SDK_IMAGE=localhost/sdk", "--build-arg", "RUNTIME_IMAGE=localhost/runtime",
            "--build-arg", $"PROJECT={Huzhu.Local.Infrastructure.Repository.ProjectName(name)}",
            // What this machine restores its packages with; none of it stays in an image.
            "--volume", $"{Environment.GetFolderPath(Environment.SpecialFolder.UserProfile)}/.nuget:/root/.nuget", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro",
            "--tag", $"localhost/huzhu/{name}", Manifests.Repository);

        public string Container(string name) => Buildah("from", $"localhost/huzhu/{name}");

        public string Root(string container) => Buildah("mount", container);

        public string Run(string container, Dictionary<string, string> settings, params string[] arguments) => Run("buildah", RunArguments(container, settings, arguments));

        public Process Start(string container, Dictionary<string, string> settings) => Process.Start(new ProcessStartInfo("buildah", RunArguments(container, settings, [])))!;

        public void Dispose()
        {
            Buildah("rm", "--all");
            _folder.Delete(recursive: true);
        }

        private string[] RunArguments(string container, Dictionary<string, string> settings, string[] arguments) =>
            [.. Store, "run", "--isolation=chroot", .. settings.SelectMany(setting => new[] { "--env", $"{setting.Key}={setting.Value}" }), container, "--", Entry(), .. arguments];

        private string[] Store => ["--root", Path.Combine(_folder.FullName, "store"), "--runroot", Path.Combine(_folder.FullName, "run"), "--storage-driver", "vfs"];

        private string Buildah(params string[] arguments) => Run("buildah", [.. Store, .. arguments]);

        private static string Run(string program, IEnumerable<string> arguments)
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{output}\n{errors.Result}");
            return output.Trim();
        }

        private static string Entry() => EntryPoint().Match(File.ReadAllText(Dockerfile)).Groups[1].Value;
    }

    [GeneratedRegex(@"ASPNETCORE_URLS=http://\+:(\d+)")]
    private static partial Regex Listening();

    [GeneratedRegex(@"ENTRYPOINT \[""([^""]+)""\]")]
    private static partial Regex EntryPoint();
}
