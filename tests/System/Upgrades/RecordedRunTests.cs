using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Huzhu.Audit.Verbs;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.SystemTests.Faults;
using Huzhu.TestKit;
using Microsoft.Extensions.Configuration;
using Npgsql;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.SystemTests.Upgrades;

/// <summary>
/// A database that a release left is migrated, and today's services go on with it. A folder a release under <c>Runs</c>,
/// recorded once with HUZHU_WRITE_RELEASE=VERSION and never edited: see docs/operations/upgrades.md.
/// </summary>
public sealed class RecordedRunTests(Servers servers, ITestOutputHelper output)
{
    public static TheoryData<string> EveryRun => [.. Directory.EnumerateDirectories(RecordedRun.Folder).Select(folder => Path.GetFileName(folder)).Order()];

    [Theory, MemberData(nameof(EveryRun))]
    public async Task todays_services_go_on_with_what_a_release_left(string release)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var run = RecordedRun.Read(release);
        var infrastructure = await servers.InfrastructureAsync();
        var broker = await servers.CreateVirtualHostAsync("upgrade");
        var databases = new Dictionary<string, string>();
        foreach (var service in Repository.ServiceNames)
            databases[service] = await servers.CreateDatabaseAsync($"upgrade_{service}");
        await Task.WhenAll(Repository.ServiceNames.Select(async service =>
        {
            await RecordedRun.RestoreAsync(release, service, databases[service]);
            // Nobody is called while it migrates.
            var migrated = await Tool.RunAsync("dotnet", [Repository.Find().ServiceAssembly(service), "--migrate"], TimeSpan.FromMinutes(2), new Dictionary<string, string>(
                Repository.ServiceNames.Select(other => KeyValuePair.Create($"Services__{Repository.ProjectName(other)}", "http://127.0.0.1:9")))
            {
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["ConnectionStrings__EventStore"] = databases[service],
                ["ConnectionStrings__Broker"] = broker,
                ["Auth__Development__SigningKey"] = run.Keys.Signing,
                ["PersonalData__MasterKey"] = run.Keys.PersonalData,
                ["Offers__LinkKey"] = run.Keys.OfferLinks,
            }, cancellation: cancellation);
            Assert.True(migrated.Succeeded, $"{service}: {migrated.Tail}");
        }));
        await using var logs = new EventLogs(databases);
        var left = (await logs.LastSequencesAsync(cancellation)).Sum();

        var folder = Directory.CreateDirectory(Path.Combine(infrastructure.Run.FullPath, $"upgraded-{release}"));

        // The migration was all: whatever it did not bring, a service would say at its start.
        await using var services = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
        {
            Databases = databases,
            AmqpUri = broker,
            Keys = run.Keys,
            Environment = new Dictionary<string, string> { ["EventStore__ApplySchema"] = "false" },
            EnvironmentOf = new Dictionary<string, IReadOnlyDictionary<string, string>> { ["notifications"] = new Dictionary<string, string> { ["Channels__File__Folder"] = folder.FullName } },
        }, cancellation: cancellation);
        using var huzhu = new Client(LocalDeployment.Describe(infrastructure, services), folder.FullName);

        // Help that had begun is done, and the person says so.
        Assert.Equal("done", await huzhu.AnswerAsync(run.StartedOffer, "complete", role: "operator"));
        await huzhu.RequestInAsync(run.StartedRequest, "fulfilled");
        await huzhu.PostAsync("requests", $"/v1/requests/{run.StartedRequest}/confirm", "intake");
        await huzhu.MatchInAsync(run.StartedNeed, "closed");
        // Whoever waited for somebody who signs gets them, and what is known of the person opens with the old keys.
        await huzhu.RegisterAsync("groups", Client.Entry("signs at last", 31.5, 121.5, abilities: ["sign-language"], radiusMetres: 3000));
        var waited = await huzhu.MatchAsync(run.Waiting, match => (string)match["state"]! == "offered", "the waiting need to be offered");
        await huzhu.AnswerAsync((string)waited["offers"]!.AsArray()[^1]!["offerId"]!, "accept");
        await huzhu.RequestInAsync(run.WaitingRequest, "accepted");
        var known = await huzhu.GetAsync("requests", $"/v1/requests/{run.WaitingRequest}?personal=true&purpose=drill", "operator");
        Assert.Contains("Lin", known.ToJsonString());
        await RestAsync(logs);

        // All that was sent comes once more, and behind it something new, through the same queues.
        var marks = Repository.ServiceNames.Zip(await logs.LastSequencesAsync(cancellation)).ToDictionary(mark => mark.First, mark => mark.Second);
        var told = huzhu.FileMessages().Select(message => message.ToJsonString()).ToHashSet();
        var messages = await RecordedRun.MessagesAsync(release);
        await using (var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync(cancellation))
        await using (var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), cancellation))
        {
            foreach (var message in messages)
                await message.SendAsync(channel);
        }
        var fresh = await LiveAsync(huzhu, "fresh", 41, 121);
        var ended = await LiveAsync(huzhu, "ended", 42, 121, cancelled: true);
        await RestAsync(logs);
        foreach (var (service, mark) in marks)
        {
            var others = await huzhu.QueryAsync<string>(service, """
                select distinct e.stream_id || ' ' || e.type from huzhu.mt_events e where e.seq_id > $1 and e.type not in ('personal_data_read', 'prices_set')
                and not exists (select from huzhu.mt_events of where of.stream_id = e.stream_id and (of.stream_id::text = any($2) or of.data::text ~ array_to_string($2, '|')))
                """, mark, fresh.Concat(ended).ToArray());
            Assert.True(others.Count == 0, $"{service} has stored of what it had heard before: {string.Join(", ", others)}");
        }
        Assert.All(huzhu.FileMessages().Select(message => message.ToJsonString()).Where(message => !told.Contains(message)),
            message => Assert.Contains(fresh.Concat(ended), id => message.Contains(id, StringComparison.Ordinal)));

        var invariants = await Checker.CheckAsync(Repository.ServiceNames.ToAsyncEnumerable().SelectMany(service => logs.ReadAsync(service, cancellation)), []);
        // Most of what was recorded is left in the middle of things.
        Assert.All(invariants.Where(invariant => invariant.Name != "every-need-is-final-or-waiting-with-a-reason"), invariant => Assert.True(invariant.Holds, $"{invariant.Name}: {string.Join(" | ", invariant.Violations)}"));
        foreach (var verb in new[] { "rebuild", "recheck" })
        {
            var said = new StringWriter();
            var settings = databases.Select(database => KeyValuePair.Create($"ConnectionStrings:{database.Key}", (string?)database.Value));
            var exitCode = await AuditCommand.RunAsync([verb], new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), said, said, cancellation);
            Assert.True(exitCode == ExitCodes.Ok, $"{verb}: {said}");
        }
        output.WriteLine($"{release}: {left} events and {messages.Count} messages.");
    }

    /// <summary>With HUZHU_WRITE_RELEASE=VERSION records the run of the release that is going out; a recorded one is left alone.</summary>
    [Fact]
    public async Task a_release_can_be_written_down_as_it_runs()
    {
        var version = Environment.GetEnvironmentVariable("HUZHU_WRITE_RELEASE");
        Assert.SkipWhen(string.IsNullOrEmpty(version), "HUZHU_WRITE_RELEASE says of which version.");
        Assert.SkipWhen(Directory.Exists(Path.Combine(RecordedRun.Folder, version)), $"{version} is recorded.");
        var cancellation = TestContext.Current.CancellationToken;
        await using var deployment = await LocalDeployment.StartAsync(new LocalDeploymentOptions { Kind = "recording" }, cancellation);
        await using var connection = await new ConnectionFactory { Uri = new Uri(deployment.Infrastructure.RabbitMq.AmqpUri()) }.CreateConnectionAsync(cancellation);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        var messages = await RecordedMessage.RecordAsync(channel, new Broker(deployment.Infrastructure.RabbitMq));
        using var huzhu = new Client(deployment);

        var subscription = (string)(await huzhu.PostAsync("notifications", "/v1/subscriptions", "operator", new { url = "http://127.0.0.1:9/nobody" }))["id"]!;
        Assert.Equal(204, (await huzhu.SendAsync(HttpMethod.Delete, "notifications", $"/v1/subscriptions/{subscription}", "operator")).Status);
        await LiveAsync(huzhu, "confirmed", 30, 120);
        await LiveAsync(huzhu, "done", 30.1, 120, confirmed: false);
        await LiveAsync(huzhu, "cancelled", 31, 120, cancelled: true);
        await DeclineAsync(huzhu, 32);
        await ExpireAsync(huzhu, deployment, 33);
        await CloseAsync(huzhu, 34);
        await SealAsync(huzhu, 35);
        await WorryAsync(huzhu, 36);
        await DisputeAsync(huzhu, 37);
        await EraseAsync(huzhu, 38);
        await huzhu.GetAsync("requests", $"/v1/requests/{(await huzhu.SubmitAsync(Client.Request("nobody", lat: 39, lon: 120))).RequestId}?personal=true&purpose=drill", "operator");

        // What is still open: offered, begun, and waiting for somebody who signs.
        await huzhu.RegisterAsync("groups", Client.Entry("open", 31.5, 121.4, capacity: 3, radiusMetres: 3000));
        await huzhu.MatchInAsync((await huzhu.SubmitAsync(Client.Request("offered", lat: 31.5, lon: 121.4))).NeedId, "offered");
        var (begun, begunNeed) = await huzhu.SubmitAsync(Client.Request("begun", lat: 31.5, lon: 121.4));
        var offer = await OfferAsync(huzhu, begunNeed);
        await huzhu.AnswerAsync(offer, "accept");
        await huzhu.AnswerAsync(offer, "start");
        await huzhu.RequestInAsync(begun, "started");
        var (waits, waitsNeed) = await huzhu.SubmitAsync(Client.Request("waits", lat: 31.5, lon: 121.5, communication: ["sign-language"]));
        await huzhu.RequestInAsync(waits, "waiting");

        await using (var logs = new EventLogs(deployment.Description.Databases))
            await RestAsync(logs);
        var run = new RecordedRun(deployment.Services.Options.Keys, offer, begunNeed, begun, waitsNeed, waits);
        await deployment.Services.DisposeAsync();
        await run.WriteAsync(version, deployment, messages);
        output.WriteLine($"{messages.Count} messages recorded.");
    }

    /// <summary>One need from the call to the end, at a place of its own.</summary>
    /// <returns>Every id of it.</returns>
    private static async Task<IReadOnlyList<string>> LiveAsync(Client huzhu, string name, double lat, double lon, bool cancelled = false, bool confirmed = true)
    {
        var group = await huzhu.RegisterAsync("groups", Client.Entry(name, lat, lon, radiusMetres: 3000));
        var (request, need) = await huzhu.SubmitAsync(Client.Request(name, lat: lat, lon: lon));
        var offer = await OfferAsync(huzhu, need);
        await huzhu.AnswerAsync(offer, "accept");
        if (cancelled)
        {
            await huzhu.PostAsync("requests", $"/v1/requests/{request}/cancel", "intake", new { reason = "helped-otherwise" });
            await huzhu.MatchInAsync(need, "cancelled");
            return [group, request, need, offer];
        }
        await huzhu.AnswerAsync(offer, "start");
        await huzhu.AnswerAsync(offer, "complete");
        await huzhu.RequestInAsync(request, "fulfilled");
        if (confirmed)
        {
            await huzhu.PostAsync("requests", $"/v1/requests/{request}/confirm", "intake");
            await huzhu.MatchInAsync(need, "closed");
        }
        return [group, request, need, offer];
    }

    private static async Task DeclineAsync(Client huzhu, double lat)
    {
        await huzhu.RegisterAsync("groups", Client.Entry($"declines {lat}", lat, 120, radiusMetres: 3000, file: "declines"));
        await huzhu.RegisterAsync("groups", Client.Entry($"takes {lat}", lat + 0.01, 120, radiusMetres: 3000, file: "takes"));
        var (_, need) = await huzhu.SubmitAsync(Client.Request($"declined {lat}", lat: lat, lon: 120));
        await huzhu.AnswerAsync(await OfferAsync(huzhu, need), "decline", new { reason = "no-capacity" });
        var match = await huzhu.MatchAsync(need, seen => seen["offers"]!.AsArray().Count == 2, "the second offer");
        await huzhu.AnswerAsync((string)match["offers"]![1]!["offerId"]!, "accept");
    }

    /// <summary>Under a policy by which offers of this urgency live for a second; it is taken back.</summary>
    private static async Task ExpireAsync(Client huzhu, LocalDeployment deployment, double lat)
    {
        await huzhu.RegisterAsync("groups", Client.Entry("silent", lat, 120, radiusMetres: 3000));
        var policy = (await huzhu.GetAsync("matching", "/v1/policy", "operator")).AsObject();
        var life = (double)policy["health"]!["offerLifeSeconds"]!;
        await ChangeAsync(1, 1);
        var (_, need) = await huzhu.SubmitAsync(Client.Request("expired", lat: lat, lon: 120, urgency: "health"));
        await huzhu.MatchAsync(need, match => match["offers"]!.AsArray().Any(offer => (string)offer!["state"]! == "expired"), "the offer to expire");
        await ChangeAsync(life, 2);

        async Task ChangeAsync(double seconds, int version)
        {
            policy["health"]!["offerLifeSeconds"] = seconds;
            using var http = new HttpClient();
            using var change = new HttpRequestMessage(HttpMethod.Put, deployment.Description.Services["matching"] + "/v1/policy") { Content = JsonContent.Create(policy) };
            change.Headers.Authorization = new AuthenticationHeaderValue("Bearer", deployment.Description.Tokens["operator"]);
            change.Headers.TryAddWithoutValidation("If-Match", $"\"{version}\"");
            using var answer = await http.SendAsync(change);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    private static async Task CloseAsync(Client huzhu, double lat)
    {
        var provider = await huzhu.RegisterAsync("providers", Client.Entry("kitchen", lat, 120, capacity: 5, radiusMetres: 3000));
        await huzhu.RegisterAsync("groups", Client.Entry("fall back", lat, 120, capacity: 2, radiusMetres: 3000));
        var needs = new List<string>();
        foreach (var index in Enumerable.Range(0, 3))
        {
            needs.Add((await huzhu.SubmitAsync(Client.Request($"closed {index}", lat: lat, lon: 120))).NeedId);
            await huzhu.AnswerAsync(await OfferAsync(huzhu, needs[index]), "accept");
        }
        await huzhu.PostAsync("groups", $"/v1/providers/{provider}/closures", "operator", new { reason = "lockdown" });
        await huzhu.MatchInAsync(needs[2], "waiting");
        foreach (var need in needs.Take(2))
        {
            var match = await huzhu.MatchAsync(need, seen => seen["offers"]!.AsArray().Count == 2, "the fallback's offer");
            await huzhu.AnswerAsync((string)match["offers"]![1]!["offerId"]!, "accept");
        }
        await huzhu.PostAsync("groups", $"/v1/providers/{provider}/reopenings", "operator", new { reason = "over" });
        await huzhu.MatchInAsync(needs[2], "offered");
    }

    private static async Task SealAsync(Client huzhu, double lat)
    {
        await huzhu.RegisterAsync("groups", Client.Entry("outside", lat + 0.05, 120, radiusMetres: 9000));
        var corners = new (double Lat, double Lon)[] { (-0.02, -0.02), (-0.02, 0.02), (0.02, 0.02), (0.02, -0.02), (-0.02, -0.02) };
        var measure = (string)(await huzhu.PostAsync("groups", "/v1/measures", "operator", new
        {
            name = "sealed",
            area = corners.Select(corner => new { lat = lat + corner.Lat, lon = 120 + corner.Lon }),
            from = DateTimeOffset.UtcNow,
            sealsZone = true,
            closesProviders = true,
        }))["id"]!;
        await Client.EventuallyAsync("the zone to be sealed", async () => (await huzhu.CountEventsAsync("matching", "zone_sealed") > 0, null));
        var (_, need) = await huzhu.SubmitAsync(Client.Request("sealed", lat: lat, lon: 120));
        await huzhu.MatchInAsync(need, "waiting");
        await huzhu.PostAsync("groups", $"/v1/measures/{measure}/lift", "operator", new { reason = "over" });
        await huzhu.AnswerAsync(await OfferAsync(huzhu, need), "accept");
    }

    private static async Task WorryAsync(Client huzhu, double lat)
    {
        await huzhu.RegisterAsync("groups", Client.Entry("worrying", lat, 120, radiusMetres: 3000));
        var (request, need) = await huzhu.SubmitAsync(Client.Request("worried", lat: lat, lon: 120));
        await huzhu.AnswerAsync(await OfferAsync(huzhu, need), "accept");
        await huzhu.PostAsync("requests", $"/v1/requests/{request}/concern", "intake", new { reason = "unsafe" });
        await Client.EventuallyAsync("the need to be held", async () => (await huzhu.CountEventsAsync("matching", "need_held") > 0, null));
    }

    private static async Task DisputeAsync(Client huzhu, double lat)
    {
        var ids = await LiveAsync(huzhu, "disputed", lat, 120, confirmed: false);
        await huzhu.PostAsync("requests", $"/v1/requests/{ids[1]}/dispute", "intake", new { reason = "not-delivered" });
        await Client.EventuallyAsync("the need to be reopened", async () => (await huzhu.CountEventsAsync("matching", "need_reopened") > 0, null));
    }

    private static async Task EraseAsync(Client huzhu, double lat)
    {
        var ids = await LiveAsync(huzhu, "erased", lat, 120);
        var person = (string)(await huzhu.GetAsync("requests", $"/v1/requests/{ids[1]}", "operator"))["personId"]!;
        var (status, answer) = await huzhu.SendAsync(HttpMethod.Delete, "requests", $"/v1/people/{person}?basis=drill&force=true", "operator");
        Assert.True(status == 200, $"{answer}");
    }

    private static async Task<string> OfferAsync(Client huzhu, string need) =>
        (string)(await huzhu.MatchInAsync(need, "offered"))["offers"]!.AsArray()[^1]!["offerId"]!;

    /// <summary>Waits until nothing is stored any more.</summary>
    private static Task RestAsync(EventLogs logs)
    {
        IReadOnlyList<long> last = [];
        var still = 0;
        return Client.EventuallyAsync("the services to come to rest", async () =>
        {
            var now = await logs.LastSequencesAsync(CancellationToken.None);
            still = now.SequenceEqual(last) ? still + 1 : 0;
            last = now;
            // Looks are a twentieth of a second and more apart.
            return (still == 20, (JsonNode?)string.Join(' ', now));
        });
    }
}
