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

    /// <summary>A queue of the channel's own, to which everything comes too that goes to any contract that somebody listens to.</summary>
    public async Task<string> TapAsync(IChannel channel)
    {
        var tap = (await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true)).QueueName;
        foreach (var exchange in (await ListAsync("exchanges")).Select(exchange => (string)exchange!["name"]!).Where(name => name.StartsWith(ContractsPrefix, StringComparison.Ordinal)))
            await channel.QueueBindAsync(tap, exchange, "");
        return tap;
    }

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
