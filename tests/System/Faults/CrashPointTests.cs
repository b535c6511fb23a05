using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// A service dies at a chosen step between append, relay, confirm, consume and acknowledge. The step is caught on the wire,
/// where the process stands still and is killed: nothing in the services knows of this. After each the need goes on to
/// its end, and at the end the logs keep every promise.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class CrashPointTests(Servers servers, ITestOutputHelper output)
{
    private static readonly TimeSpan ReachedWithin = TimeSpan.FromSeconds(20);
    private static readonly IReadOnlyList<string> Services = ["requests", "matching", "notifications"];

    /// <summary>Which steps each of them takes for one need, and how often a step is caught further on.</summary>
    private static IEnumerable<(string Service, WireStep Step, int Nth)> AllPoints() =>
        from service in Services
        from step in Enum.GetValues<WireStep>()
        from nth in new[] { 1, 2 }
        select (service, step, nth);

    [Fact]
    public async Task a_service_that_dies_at_any_step_goes_on_where_it_was()
    {
        var chance = new Random(FaultSettings.Seed);
        var points = AllPoints().ToArray();
        chance.Shuffle(points);
        if (!FaultSettings.IsLong)
            points = points[..(FaultSettings.IsAsked ? 3 : 1)];
        output.WriteLine($"Seed {FaultSettings.Seed}, {points.Length} crash points.");

        await using var wired = await WiredServices.StartAsync(servers);
        await using var load = new FaultLoad(wired.Services);
        await load.RegisterGroupsAsync("crash", groups: 2);
        await load.SubmitAsync($"crash-{FaultSettings.Seed}-first");

        var caught = new List<string>();
        foreach (var (index, (service, step, nth)) in points.Index())
        {
            var proxy = step is WireStep.Commit or WireStep.Committed ? wired.Databases[service] : wired.Brokers[service];
            var reached = proxy.StopAt(step, nth);
            var submission = load.SubmitAsync($"crash-{FaultSettings.Seed}-{index}");
            // Some steps come with the next need: a page tells more than one, an acknowledgement is for several.
            var second = nth > 1 ? load.SubmitAsync($"crash-{FaultSettings.Seed}-{index}-next") : Task.FromResult(Guid.Empty);
            if (await Task.WhenAny(reached, Task.Delay(ReachedWithin)) == reached)
            {
                caught.Add($"{service} {step} {nth}");
                await wired.Services[service].KillAsync();
            }
            else
            {
                output.WriteLine($"{service} takes no step {step} for the {nth}th time.");
            }
            proxy.Release();
            if (!wired.Services[service].IsAlive)
                await wired.Services[service].RestartAsync();
            await Task.WhenAll(submission, second);
        }
        await load.CheckAsync(wired.ConnectionStrings, TimeSpan.FromMinutes(5));
        output.WriteLine($"{caught.Count} of {points.Length} caught, each recovered: {string.Join(", ", caught)}.");
        Assert.Equal(points.Length, caught.Count);
    }

    /// <summary>Four services that reach their database and the broker only through proxies of their own.</summary>
    private sealed class WiredServices : IAsyncDisposable
    {
        public required ServiceHost Services { get; init; }
        public required IReadOnlyDictionary<string, FaultProxy> Databases { get; init; }
        public required IReadOnlyDictionary<string, FaultProxy> Brokers { get; init; }

        /// <summary>Past the proxies.</summary>
        public required IReadOnlyDictionary<string, string> ConnectionStrings { get; init; }

        public static async Task<WiredServices> StartAsync(Servers servers)
        {
            var infrastructure = await servers.InfrastructureAsync();
            var (direct, databases, brokers) = (new Dictionary<string, string>(), new Dictionary<string, FaultProxy>(), new Dictionary<string, FaultProxy>());
            var broker = await servers.CreateVirtualHostAsync("crash");
            foreach (var service in Repository.ServiceNames)
            {
                direct[service] = await servers.CreateDatabaseAsync($"crash_{service}");
                databases[service] = new FaultProxy(infrastructure.Postgres.Port);
                brokers[service] = new FaultProxy(infrastructure.RabbitMq.AmqpPort);
            }
            var services = await ServiceHost.StartAsync(infrastructure.Run, new ServiceHostOptions
            {
                Databases = direct.ToDictionary(entry => entry.Key, entry => new NpgsqlConnectionStringBuilder(entry.Value) { Port = databases[entry.Key].Port }.ConnectionString),
                AmqpUri = broker,
                Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000" },
                EnvironmentOf = brokers.ToDictionary(entry => entry.Key, entry => (IReadOnlyDictionary<string, string>)new Dictionary<string, string>
                {
                    ["ConnectionStrings__Broker"] = new UriBuilder(broker) { Port = entry.Value.Port }.Uri.AbsoluteUri,
                }),
            });
            return new WiredServices { Services = services, Databases = databases, Brokers = brokers, ConnectionStrings = direct };
        }

        public async ValueTask DisposeAsync()
        {
            await Services.DisposeAsync();
            foreach (var proxy in Databases.Values.Concat(Brokers.Values))
                await proxy.DisposeAsync();
        }
    }
}
