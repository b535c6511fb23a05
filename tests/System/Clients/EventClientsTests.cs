using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests.Clients;

/// <summary>Other people's libraries for webhooks and CloudEvents, and the samples of the documentation, against running services.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed class EventClientsTests(ConsoleHuzhu fixture) : IDisposable
{
    private const string Old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string New = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    private static readonly string Samples = Path.Combine(Repository.Find().Root, "docs", "integrators", "samples");

    private readonly Client _huzhu = new(fixture.Huzhu);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _huzhu.Dispose();

    [Fact]
    public async Task the_library_of_standard_webhooks_verifies_what_subscribers_receive_during_a_rotation_too()
    {
        var clients = await NodeClients.InstallAsync("Events", Cancellation);
        var listening = new TaskCompletionSource<int>();
        var received = new List<JsonNode>();
        var ending = clients.RunAsync("receive-webhooks.js", ["2", Old, New], onLine: line =>
        {
            if (line.StartsWith("listening ", StringComparison.Ordinal))
                listening.TrySetResult(int.Parse(line["listening ".Length..]));
            else if (line.StartsWith('{'))
                lock (received)
                    received.Add(JsonNode.Parse(line)!);
        }, cancellation: Cancellation);
        if (await Task.WhenAny(listening.Task, ending) == ending)
            await ending;
        var url = $"http://127.0.0.1:{await listening.Task.WaitAsync(Cancellation)}/hook";

        // Nobody here does that, so each need waits: one event each.
        var subscription = await _huzhu.PostAsync("notifications", "/v1/subscriptions", "intake", new { url, secret = Old, states = new[] { "waiting" } });
        await Task.Delay(1100, Cancellation);
        var (_, first) = await _huzhu.SubmitAsync(Client.Request("at-sea-1", kind: "specialised.rescue", lat: 5, lon: 160));
        Assert.Equal((true, false), Verified(await ReceivedAsync(first)));
        await _huzhu.PostAsync("notifications", $"/v1/subscriptions/{subscription["id"]}/secret", "intake", new { secret = New });
        var (_, second) = await _huzhu.SubmitAsync(Client.Request("at-sea-2", kind: "specialised.rescue", lat: 5, lon: 160));
        Assert.Equal((true, true), Verified(await ReceivedAsync(second)));
        await ending;
        await _huzhu.SendAsync(HttpMethod.Delete, "notifications", $"/v1/subscriptions/{subscription["id"]}", "intake");

        Task<JsonNode> ReceivedAsync(string need) => Client.EventuallyAsync($"the webhook of {need}", () =>
        {
            lock (received)
                return Task.FromResult((received.Any(IsOf), received.FirstOrDefault(IsOf)));
            bool IsOf(JsonNode one) => (string)one["event"]!["subject"]! == need;
        });

        static (bool Old, bool New) Verified(JsonNode received)
        {
            Assert.False((bool)received["tampered"]!);
            Assert.Equal((string)received["id"]!, (string)received["event"]!["id"]!);
            return ((bool)received["verified"]![0]!, (bool)received["verified"]![1]!);
        }
    }

    [Fact]
    public async Task a_closure_published_with_cloudevents_and_amqplib_is_taken()
    {
        var clients = await NodeClients.InstallAsync("Events", Cancellation);
        var modules = new Dictionary<string, string> { ["NODE_PATH"] = Path.Combine(Repository.Find().LocalFolder, "clients", "Events", "node_modules") };
        await ClosesAndOpensAsync((broker, provider, word) => clients.RunAsync(Path.Combine(Samples, "publish-closure.js"), [broker, provider, word], modules, cancellation: Cancellation));
    }

    [Fact]
    public async Task a_closure_published_in_python_is_taken()
    {
        var python = await Provisioning.FindOrInstallPikaAsync(Repository.Find(), Narrator.Silent, Cancellation);
        await ClosesAndOpensAsync((broker, provider, word) => RunAsync(python, [Path.Combine(Samples, "publish-closure.py"), broker, provider, word]));
    }

    [Fact]
    public async Task a_closure_published_in_csharp_is_taken()
    {
        // Where a reader has it: outside of the repository, whose own settings would be taken for the program's.
        var folder = Directory.CreateTempSubdirectory("huzhu-sample-");
        try
        {
            var program = Path.Combine(folder.FullName, "PublishClosure.cs");
            File.Copy(Path.Combine(Samples, "PublishClosure.cs"), program);
            await ClosesAndOpensAsync((broker, provider, word) => RunAsync("dotnet", ["run", program, broker, provider, word]));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task ClosesAndOpensAsync(Func<string, string, string, Task> publish)
    {
        var provider = await _huzhu.RegisterAsync("providers", Client.Entry($"clinic {Guid.NewGuid():N}", lat: 6, lon: 161));
        foreach (var (word, opening) in new[] { ("closed", "closed"), ("reopened", "open") })
        {
            await publish(fixture.Huzhu.Description.Broker.Amqp, provider, word);
            await Client.EventuallyAsync($"the provider to be {opening}", async () =>
            {
                var seen = await _huzhu.GetAsync("groups", $"/v1/providers/{provider}", "operator");
                return ((string)seen["opening"]! == opening, seen);
            });
        }
    }

    private static async Task RunAsync(string program, string[] arguments)
    {
        var outcome = await Tool.RunAsync(program, arguments, TimeSpan.FromMinutes(5), cancellation: Cancellation);
        Assert.True(outcome.Succeeded, $"{program} failed:\n{outcome.Tail}");
    }
}
