using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Huzhu.Audit.Verbs;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>The audit over HTTP: the same answers as its verbs, to auditors and to nobody else.</summary>
public sealed class ServingTests(AuditedMatching matching) : IClassFixture<AuditedMatching>
{
    [Fact]
    public async Task it_answers_auditors_what_its_verbs_answer()
    {
        var folder = matching.NewFolder();
        Assert.Equal(ExitCodes.Ok, (await matching.RunAsync(folder, "seal", "--service", "matching")).ExitCode);
        await using var audit = await Served.StartAsync(matching, folder);
        var need = matching.Needs[38].NeedId;

        foreach (var (path, verb) in new (string, string[])[]
        {
            ("/v1/state", ["state", "--json"]),
            ("/v1/state?at=2022-04-01T00:00:00Z", ["state", "--at", "2022-04-01T00:00:00Z", "--json"]),
            ($"/v1/explanations/{need}", ["explain", $"{need}", "--json"]),
        })
        {
            var (status, body) = await audit.SendAsync(HttpMethod.Get, path);
            Assert.Equal((200, true), (status, JsonNode.DeepEquals(JsonNode.Parse((await matching.RunAsync(folder, verb)).Output), body)));
        }
        var (_, state) = await audit.SendAsync(HttpMethod.Get, "/v1/state");
        Assert.Contains(state!["subDistricts"]!.AsArray(), one => (string)one!["name"]! == "J" && (int)one["capacity"]! > 0);
        var (_, explained) = await audit.SendAsync(HttpMethod.Get, $"/v1/explanations/{need}");
        Assert.Contains(explained!["offers"]!.AsArray(), offer => (string?)offer!["data"]!["assignment"]?["reason"] == "knows the family");
        // Everybody that is named can be drawn.
        var drawn = explained["places"]!.AsArray().Select(place => (string)place!["responderId"]!).ToHashSet();
        Assert.All(explained["offers"]!.AsArray(), offer => Assert.Contains((string)offer!["responderId"]!, drawn));

        Assert.Equal((404, "not-found"), await CodeOf(audit, $"/v1/explanations/{Guid.NewGuid()}"));
        // Only one of the four logs is at hand here.
        Assert.Equal((409, "cannot-say"), await CodeOf(audit, "/v1/equity"));
        Assert.Equal((422, "invalid"), await CodeOf(audit, "/v1/equity?least=0"));
        Assert.Equal((404, "no-such-job"), await CodeOf(audit, $"/v1/jobs/{Guid.NewGuid()}"));
        Assert.Equal(422, (await audit.SendAsync(HttpMethod.Post, "/v1/replays", new { })).Status);
        Assert.Equal(403, (await audit.SendAsync(HttpMethod.Get, "/v1/state", role: Roles.Operator)).Status);
        Assert.Equal(401, (await audit.SendAsync(HttpMethod.Get, "/v1/state", role: null)).Status);

        // A job says where it stands, and why it could not be done.
        var (accepted, job) = await audit.SendAsync(HttpMethod.Post, "/v1/replays", new { withoutGroups = true });
        Assert.Equal(202, accepted);
        for (var watch = Stopwatch.StartNew(); (string)job!["state"]! is "waiting" or "running" && watch.Elapsed.TotalSeconds < 30; await Task.Delay(50))
            (_, job) = await audit.SendAsync(HttpMethod.Get, $"/v1/jobs/{job["id"]}");
        Assert.Equal("failed", (string)job["state"]!);
        Assert.Contains("ConnectionStrings:requests is missing", (string)job["problem"]!);
        Assert.Single((await audit.SendAsync(HttpMethod.Get, "/v1/jobs")).Body!.AsArray());
    }

    [Fact]
    public async Task verifying_as_json_says_what_the_words_say()
    {
        var folder = matching.NewFolder();
        var (unsealed, nothing) = await matching.RunAsync(folder, "verify", "--service", "matching", "--json");
        Assert.Equal((ExitCodes.Unknown, 0), (unsealed, (int)JsonNode.Parse(nothing)![0]!["checkpoints"]!));
        await matching.RunAsync(folder, "seal", "--service", "matching");
        var (exitCode, output) = await matching.RunAsync(folder, "verify", "--service", "matching", "--json");
        var log = JsonNode.Parse(output)![0]!;
        Assert.Equal((ExitCodes.Ok, 0, 1), (exitCode, (int)log["findings"]!, (int)log["checkpoints"]!));
        Assert.Equal(64, ((string)log["root"]!).Length);
    }

    private static async Task<(int, string?)> CodeOf(Served audit, string path)
    {
        var (status, body) = await audit.SendAsync(HttpMethod.Get, path);
        return (status, (string?)body!["code"]);
    }

    /// <summary>The program as it runs, on a port of its own.</summary>
    private sealed class Served : IAsyncDisposable
    {
        private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
        private readonly HttpClient _http = new();
        private Process _process = null!;

        public static async Task<Served> StartAsync(AuditedMatching matching, string folder)
        {
            var served = new Served();
            using (var listener = new TcpListener(System.Net.IPAddress.Loopback, 0))
            {
                listener.Start();
                served._http.BaseAddress = new Uri($"http://127.0.0.1:{((System.Net.IPEndPoint)listener.LocalEndpoint).Port}");
            }
            served._process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Huzhu.Audit.dll"), "serve"])
            {
                WorkingDirectory = AppContext.BaseDirectory,
                Environment =
                {
                    ["ASPNETCORE_ENVIRONMENT"] = "Development",
                    ["ASPNETCORE_URLS"] = served._http.BaseAddress.ToString().TrimEnd('/'),
                    ["ConnectionStrings__Matching"] = matching.ConnectionString,
                    ["Audit__Folder"] = folder,
                    ["Audit__KeyFile"] = matching.KeyFile,
                    ["Auth__Development__SigningKey"] = Convert.ToBase64String(served._key),
                    ["Logging__LogLevel__Default"] = "Warning",
                },
            })!;
            for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < 120 && !served._process.HasExited; await Task.Delay(50))
            {
                try
                {
                    using var answer = await served._http.GetAsync("/health/ready");
                    if (answer.IsSuccessStatusCode)
                        return served;
                }
                catch (HttpRequestException)
                {
                }
            }
            throw new Xunit.Sdk.XunitException("The audit did not get ready.");
        }

        public async Task<(int Status, JsonNode? Body)> SendAsync(HttpMethod method, string path, object? body = null, string? role = Roles.Auditor)
        {
            using var request = new HttpRequestMessage(method, path);
            if (role is not null)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Security.CreateDevelopmentToken(_key, "test", [role], DateTimeOffset.UtcNow));
            if (body is not null)
                request.Content = JsonContent.Create(body, body.GetType());
            using var response = await _http.SendAsync(request);
            var text = await response.Content.ReadAsStringAsync();
            return ((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
        }

        public ValueTask DisposeAsync()
        {
            if (!_process.HasExited)
                _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
            _http.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
