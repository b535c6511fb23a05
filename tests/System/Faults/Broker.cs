using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using RabbitMQ.Client;

namespace Huzhu.SystemTests.Faults;

/// <summary>The broker from outside of the services.</summary>
internal sealed class Broker(RabbitMqServer server)
{
    public const string ContractsPrefix = "Huzhu.Contracts.";

    public Task<IConnection> ConnectAsync() => new ConnectionFactory { Uri = new Uri(server.AmqpUri()) }.CreateConnectionAsync();

    /// <summary>An exchange for every contract that somebody listens to.</summary>
    public async Task<IReadOnlyList<string>> ContractsAsync() =>
        [.. (await ListAsync("exchanges")).Select(exchange => (string)exchange!["name"]!).Where(name => name.StartsWith(ContractsPrefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public async Task<long> CountAsync(string queue)
    {
        await using var connection = await ConnectAsync();
        await using var channel = await connection.CreateChannelAsync();
        return await channel.MessageCountAsync(queue);
    }

    public async Task<IReadOnlyList<string>> QueuesAsync() => [.. (await ListAsync("queues")).Select(queue => (string)queue!["name"]!)];

    private async Task<JsonArray> ListAsync(string what) =>
        await server.Management.GetFromJsonAsync<JsonArray>($"api/{what}/{RabbitMqServer.DefaultVirtualHost}") ?? [];
}
