using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// Three nodes with a quorum queue as the services declare theirs; its leader is killed, or stands still until the others
/// have given it up. What was confirmed is there. Only in the long form: three brokers take long to start.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class BrokerClusterTests(Servers servers, ITestOutputHelper output)
{
    private const string Queue = "cluster-test";

    [Fact]
    public async Task what_a_cluster_has_confirmed_survives_its_leader()
    {
        Assert.SkipUnless(FaultSettings.IsLong, "Part of ./huzhu test faults.");
        var cancellation = TestContext.Current.CancellationToken;
        var rounds = Math.Min(50, FaultSettings.Kills);
        var run = (await servers.InfrastructureAsync()).Run;
        var installation = (await Provisioning.FindOrInstallAsync(Repository.Find(), Narrator.Silent, cancellation)).RabbitMq as Installation.Native;
        Assert.SkipWhen(installation is null, "A broker in a container makes no cluster here.");
        var nodes = await RabbitMqServer.StartClusterAsync(installation!, run, 3, cancellation);
        try
        {
            var confirmed = new HashSet<string>();
            using var publishing = new CancellationTokenSource();
            await DeclareAsync(nodes[0]);
            var publisher = PublishAsync(nodes, confirmed, publishing.Token);
            var chance = new Random(FaultSettings.Seed);
            for (var round = 0; round < rounds; round++)
            {
                var leader = await LeaderAsync(nodes);
                await Task.Delay(chance.Next(500, 2000), cancellation);
                if (chance.Next(2) == 0)
                {
                    await nodes[leader].KillAsync();
                    await Task.Delay(chance.Next(500, 2000), cancellation);
                    await nodes[leader].StartAgainAsync(cancellation);
                }
                else
                {
                    nodes[leader].Freeze();
                    // Longer than the others wait for a sign of life.
                    await Task.Delay(TimeSpan.FromSeconds(14), cancellation);
                    nodes[leader].Thaw();
                }
                output.WriteLine($"{DateTime.UtcNow:HH:mm:ss} round {round + 1}/{rounds}: {confirmed.Count} confirmed.");
            }
            await publishing.CancelAsync();
            await publisher;

            var found = await DrainAsync(nodes);
            var lost = confirmed.Except(found).ToList();
            output.WriteLine($"Seed {FaultSettings.Seed}: {confirmed.Count} confirmed messages, {rounds} leaders killed or cut off, {lost.Count} lost.");
            Assert.Empty(lost);
            Assert.NotEmpty(confirmed);
        }
        finally
        {
            foreach (var node in nodes.Reverse())
                await node.DisposeAsync();
        }
    }

    private static async Task DeclareAsync(RabbitMqServer node)
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(node.AmqpUri()) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync(Queue, durable: true, exclusive: false, autoDelete: false,
            new Dictionary<string, object?> { ["x-queue-type"] = "quorum", ["x-quorum-initial-group-size"] = 3 });
    }

    private static async Task PublishAsync(IReadOnlyList<RabbitMqServer> nodes, HashSet<string> confirmed, CancellationToken stop)
    {
        for (int number = 0, node = 0; !stop.IsCancellationRequested; node++)
        {
            try
            {
                var factory = new ConnectionFactory { Uri = new Uri(nodes[node % nodes.Count].AmqpUri()), AutomaticRecoveryEnabled = false, RequestedHeartbeat = TimeSpan.FromSeconds(4) };
                await using var connection = await factory.CreateConnectionAsync(CancellationToken.None);
                await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), CancellationToken.None);
                while (!stop.IsCancellationRequested)
                {
                    var id = $"{number}";
                    using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
                    await channel.BasicPublishAsync("", Queue, mandatory: true, new BasicProperties { MessageId = id, DeliveryMode = DeliveryModes.Persistent }, Encoding.UTF8.GetBytes(id), limit.Token);
                    lock (confirmed)
                        confirmed.Add(id);
                    number++;
                    await Task.Delay(5, CancellationToken.None);
                }
            }
            catch (Exception exception) when (exception is BrokerUnreachableException or AlreadyClosedException or OperationInterruptedException or PublishException
                or OperationCanceledException or IOException or System.Net.Sockets.SocketException or TimeoutException or RabbitMQClientException)
            {
                // Whether it was taken is not known; the same message again, on the next node.
                await Task.Delay(200, CancellationToken.None);
            }
        }
    }

    private static async Task<int> LeaderAsync(IReadOnlyList<RabbitMqServer> nodes)
    {
        for (var deadline = DateTime.UtcNow.AddMinutes(2); DateTime.UtcNow < deadline; await Task.Delay(500))
        {
            foreach (var node in nodes)
            {
                try
                {
                    // The broker says some members of the object twice while it changes.
                    var queue = await node.Management.GetFromJsonAsync<JsonElement>($"api/queues/{RabbitMqServer.DefaultVirtualHost}/{Queue}");
                    // All three must be back before another one goes, or the two that are left could not agree.
                    if (queue.TryGetProperty("leader", out var named) && named.GetString() is { } leader
                        && queue.TryGetProperty("online", out var online) && online.GetArrayLength() == nodes.Count)
                        return int.Parse(leader.Split('@')[0].Split('-')[^1], System.Globalization.CultureInfo.InvariantCulture) - 1;
                }
                catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or JsonException or InvalidOperationException)
                {
                    // Another node may know.
                }
            }
        }
        throw new TimeoutException("The queue has no leader, or not all of its members.");
    }

    /// <summary>The node that was killed last is a member again before it takes connections.</summary>
    private static async Task<IConnection> ConnectAsync(IReadOnlyList<RabbitMqServer> nodes)
    {
        for (var (deadline, node) = (DateTime.UtcNow.AddMinutes(2), 0); ; node++)
        {
            try
            {
                return await new ConnectionFactory { Uri = new Uri(nodes[node % nodes.Count].AmqpUri()) }.CreateConnectionAsync();
            }
            catch (BrokerUnreachableException) when (DateTime.UtcNow < deadline)
            {
                await Task.Delay(500);
            }
        }
    }

    private static async Task<HashSet<string>> DrainAsync(IReadOnlyList<RabbitMqServer> nodes)
    {
        await LeaderAsync(nodes);
        var found = new HashSet<string>();
        await using var connection = await ConnectAsync(nodes);
        await using var channel = await connection.CreateChannelAsync();
        for (var empty = 0; empty < 20;)
        {
            if (await channel.BasicGetAsync(Queue, autoAck: true) is { } message)
            {
                (empty, _) = (0, found.Add(Encoding.UTF8.GetString(message.Body.Span)));
                continue;
            }
            empty++;
            await Task.Delay(100);
        }
        return found;
    }
}
