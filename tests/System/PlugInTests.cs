using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>What docs/integrators/write-your-own-channel.md says is done, in a copy of the services, and the outcome is run.</summary>
public sealed partial class PlugInTests(Servers servers)
{
    private static readonly string[] Copied = ["Requests", "Notifications"];

    [Fact]
    public async Task the_guides_channel_is_built_as_it_stands_there_and_works()
    {
        var example = Copy(Repository.Find());
        Follow(await File.ReadAllTextAsync(Path.Combine(Repository.Find().Root, "docs", "integrators", "write-your-own-channel.md")), example);
        string[] services = ["requests", "notifications"];
        await File.WriteAllTextAsync(Path.Combine(example.Root, "example.slnx"), $"<Solution>{string.Concat(services.Select(Repository.ProjectName).Select(project => $"<Project Path=\"services/{project}/{project}.csproj\" />"))}</Solution>");
        // A solution takes what is not in it for Debug.
        await new Build("example", "example.slnx", ["services"], repository => services.Select(repository.ServiceAssembly), Options:
                ["--no-restore", "-p:RunAnalyzers=false", "-p:BuildProjectReferences=false", "-p:ShouldUnsetParentConfigurationAndPlatform=false"])
            .EnsureAsync(example, Narrator.Silent, TestContext.Current.CancellationToken);

        await using var telegram = await Telegram.StartAsync();
        var infrastructure = await servers.InfrastructureAsync();
        await using var host = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string>
            {
                ["requests"] = await servers.CreateDatabaseAsync("plug_in_requests"),
                ["notifications"] = await servers.CreateDatabaseAsync("plug_in_notifications"),
            },
            AmqpUri = await servers.CreateVirtualHostAsync("plug_in"),
            Services = services,
            Environment = new Dictionary<string, string>
            {
                ["Channels__Telegram__Accounts__main__Secret"] = Telegram.Secret,
                ["Channels__Telegram__Accounts__main__BotToken"] = "123:abc",
                ["Channels__Telegram__Accounts__main__ApiBaseUrl"] = telegram.Address,
                ["Channels__AnswerWithinMilliseconds"] = "15000",
                ["Services__Groups"] = "http://127.0.0.1:9",
                ["Services__Matching"] = "http://127.0.0.1:9",
            },
        }, example);
        using var http = new HttpClient();
        async Task<(int Status, string? Text)> SayAsync(int id, object content, string secret = Telegram.Secret)
        {
            var message = JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(content))!.AsObject();
            message["chat"] = new JsonObject { ["id"] = 42, ["type"] = "private" };
            message["date"] = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(host.BaseAddress("requests"), "/channels/telegram/main")) { Content = JsonContent.Create(new { update_id = id, message }) };
            request.Headers.Add("X-Telegram-Bot-Api-Secret-Token", secret);
            using var response = await http.SendAsync(request);
            var body = await response.Content.ReadAsStringAsync();
            return ((int)response.StatusCode, response.IsSuccessStatusCode && body.Length > 0 ? (string?)JsonNode.Parse(body)!["text"] : null);
        }

        Assert.Equal(403, (await SayAsync(1, new { text = "no food" }, secret: "another")).Status);
        var asked = await SayAsync(2, new { text = "no food since Monday" });
        Assert.Contains("Where should the help go", asked.Text);
        Assert.Equal(asked, await SayAsync(2, new { text = "no food since Monday" }));
        Assert.Contains("Please check", (await SayAsync(3, new { location = new { latitude = 31.2201, longitude = 121.4401 } })).Text);
        Assert.Contains("Taken", (await SayAsync(4, new { text = "yes" })).Text);

        http.DefaultRequestHeaders.Authorization = new("Bearer", host.Token("test", ["operator", "service"]));
        var requests = JsonNode.Parse(await http.GetStringAsync(new Uri(host.BaseAddress("requests"), "/v1/requests")))!;
        Assert.Equal((1, "open", "telegram-main"), ((int)requests["total"]!, (string)requests["items"]![0]!["status"]!, (string)requests["items"]![0]!["source"]!));
        using var told = await http.PostAsJsonAsync(new Uri(host.BaseAddress("notifications"), "/v1/replies"),
            new { id = Guid.NewGuid(), kind = "telegram", address = "main/42", language = "en", text = "Somebody will help you." });
        Assert.Equal(204, (int)told.StatusCode);
        Assert.Equal(("/bot123:abc/sendMessage", 42, "Somebody will help you."), Assert.Single(telegram.Sent));
    }

    /// <summary>
    /// The services' sources and restored packages as they are; what was compiled of them the last time stays, so that it
    /// need not be again. What they stand on has been compiled in its place.
    /// </summary>
    private static Repository Copy(Repository repository)
    {
        var example = new Repository(Path.Combine(repository.LocalFolder, "plug-in"));
        foreach (var project in Copied)
        {
            var (from, to) = (Path.Combine(repository.Root, "services", project), Path.Combine(example.Root, "services", project));
            Directory.CreateDirectory(to);
            foreach (var old in Sources(to))
                File.Delete(old);
            foreach (var file in Sources(from))
            {
                var copy = Path.Combine(to, Path.GetRelativePath(from, file));
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
                File.Copy(file, copy);
            }
            Directory.CreateDirectory(Path.Combine(to, "obj"));
            foreach (var restored in Directory.GetFiles(Path.Combine(from, "obj")))
                File.Copy(restored, Path.Combine(to, "obj", Path.GetFileName(restored)), overwrite: true);
            var settings = Path.Combine(to, $"{project}.csproj");
            File.WriteAllText(settings, File.ReadAllText(settings).Replace("Include=\"../", "Include=\"../../../../services/", StringComparison.Ordinal));
        }
        return example;
    }

    private static IEnumerable<string> Sources(string folder) => Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
        .Where(file => Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar)[0] is not ("bin" or "obj"));

    private static void Follow(string guide, Repository repository)
    {
        var files = NewFile().Matches(guide);
        var lines = NewLine().Matches(guide);
        Assert.Equal((2, 2), (files.Count, lines.Count));
        foreach (Match file in files)
        {
            var path = Path.Combine(repository.Root, file.Groups[1].Value);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, file.Groups[2].Value);
        }
        foreach (Match line in lines)
        {
            var path = Path.Combine(repository.Root, line.Groups[1].Value);
            var (text, anchor) = (File.ReadAllText(path), line.Groups[2].Value + "\n");
            Assert.Contains(anchor, text, StringComparison.Ordinal);
            File.WriteAllText(path, text.Replace(anchor, anchor + line.Groups[3].Value, StringComparison.Ordinal));
        }
    }

    [GeneratedRegex(@"^`(services/[^`]+\.cs)`:\n\n```csharp\n([\s\S]*?)```", RegexOptions.Multiline)]
    private static partial Regex NewFile();

    [GeneratedRegex(@"^Add to `([^`]+)`, below `([^`]+)`:\n\n```csharp\n([\s\S]*?)```", RegexOptions.Multiline)]
    private static partial Regex NewLine();

    /// <summary>As much of Telegram's interface as the example calls.</summary>
    private sealed class Telegram(WebApplication app) : IAsyncDisposable
    {
        public const string Secret = "a secret of at least 16 characters";
        private readonly ConcurrentQueue<(string Path, int Chat, string Text)> _sent = [];

        public string Address => app.Urls.Single();
        public IReadOnlyCollection<(string Path, int Chat, string Text)> Sent => _sent;

        public static async Task<Telegram> StartAsync()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            var telegram = new Telegram(builder.Build());
            await telegram.StartListeningAsync();
            return telegram;
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();

        private Task StartListeningAsync()
        {
            app.Run(async context =>
            {
                var body = (await JsonNode.ParseAsync(context.Request.Body))!;
                _sent.Enqueue((context.Request.Path, (int)body["chat_id"]!, (string)body["text"]!));
                await context.Response.WriteAsync("""{"ok":true,"result":{}}""");
            });
            return app.StartAsync();
        }
    }
}
