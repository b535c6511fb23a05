using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Npgsql;

namespace Huzhu.SystemTests.Faults;

/// <summary>Four services that reach their database and the broker only through proxies of their own.</summary>
internal sealed class WiredServices : IAsyncDisposable
{
    public required ServiceHost Services { get; init; }
    public required IReadOnlyDictionary<string, FaultProxy> Databases { get; init; }
    public required IReadOnlyDictionary<string, FaultProxy> Brokers { get; init; }

    public IEnumerable<FaultProxy> Proxies => Databases.Values.Concat(Brokers.Values);

    /// <summary>Past the proxies.</summary>
    public required Uri Broker { get; init; }

    /// <summary>Likewise.</summary>
    public required IReadOnlyDictionary<string, string> ConnectionStrings { get; init; }

    public static async Task<WiredServices> StartAsync(Servers servers, string name)
    {
        var infrastructure = await servers.InfrastructureAsync();
        var (direct, databases, brokers) = (new Dictionary<string, string>(), new Dictionary<string, FaultProxy>(), new Dictionary<string, FaultProxy>());
        var broker = await servers.CreateVirtualHostAsync(name);
        foreach (var service in Repository.ServiceNames)
        {
            direct[service] = await servers.CreateDatabaseAsync($"{name}_{service}");
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
        return new WiredServices { Services = services, Databases = databases, Brokers = brokers, Broker = new Uri(broker), ConnectionStrings = direct };
    }

    public async ValueTask DisposeAsync()
    {
        await Services.DisposeAsync();
        foreach (var proxy in Proxies)
            await proxy.DisposeAsync();
    }
}
