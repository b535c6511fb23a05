using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using Npgsql;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// The four services on a broker of three nodes, whose leaders are killed, stand still, or are cut off by the network: from
/// the other nodes, so that clients still reach a node that may promise nothing any more, or from everybody. Each time the
/// services must go on before the node comes back. What was confirmed is there, and no promise is broken.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class BrokerClusterTests(Servers servers, ITestOutputHelper output)
{
    private const string Queue = "cluster-test", Exchange = "amq.direct";
    private const int Nodes = 3, Rate = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A cut that is over before the nodes have noticed it (eight seconds, and a fourth of that), or a node that stood still,
    /// can leave a broker without Khepri apart for good. The first is avoided; where it happens, the runbook is followed.
    /// </summary>
    private static readonly TimeSpan ShortestCut = TimeSpan.FromSeconds(15), TimeToJoin = TimeSpan.FromSeconds(30);

    private enum Fault
    {
        CutOffFromNodes,
        Killed,
        CutOffFromAll,
        StandsStill,
    }

    [Fact]
    public async Task the_services_go_on_while_leaders_of_a_cluster_are_killed_and_cut_off_and_what_is_confirmed_is_there()
    {
        Assert.SkipUnless(FaultSettings.IsAsked, "HUZHU_FAULTS=short asks for it.");
        var cancellation = TestContext.Current.CancellationToken;
        var run = (await servers.InfrastructureAsync()).Run;
        var installation = (await Provisioning.FindOrInstallAsync(Repository.Find(), Narrator.Silent, cancellation)).RabbitMq as Installation.Native;
        Assert.SkipWhen(installation is null, "A broker in a container makes no cluster here.");
        var whyNoNetwork = await ClusterNetwork.WhyNotAsync(cancellation);
        if (whyNoNetwork is not null)
            output.WriteLine($"Nobody is cut off, only stopped: {whyNoNetwork}");
        await using var network = whyNoNetwork is null ? await ClusterNetwork.StartAsync(run, Nodes, cancellation) : null;
        Fault[] faults = network is null ? [Fault.Killed, Fault.StandsStill] : Enum.GetValues<Fault>();
        // In the short form: cut off, and killed.
        var rounds = FaultSettings.IsLong ? Math.Min(50, FaultSettings.Kills) : 2;
        var chance = new Random(FaultSettings.Seed);
        var restarted = 0;

        var nodes = await RabbitMqServer.StartClusterAsync(installation!, run, Nodes, cancellation, network?.Places);
        try
        {
            await DeclareAsync(nodes[0]);
            var databases = new Dictionary<string, string>();
            foreach (var service in Repository.ServiceNames)
                databases[service] = await servers.CreateDatabaseAsync($"cluster_{service}");
            await using var services = await ServiceHost.StartAsync(run, new ServiceHostOptions
            {
                Databases = databases,
                AmqpUri = string.Join(',', nodes.Select(node => node.AmqpUri())),
                Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000", ["Admission__LongestSubmissionSeconds"] = "3600" },
            }, cancellation: cancellation);
            await using var load = new FaultLoad(services);
            await load.RegisterGroupsAsync("cluster");

            var confirmed = new HashSet<string>();
            using var publishing = new CancellationTokenSource();
            var publisher = PublishAsync(nodes, confirmed, publishing.Token);
            var breaking = BreakAsync();
            var submitted = await load.SubmitSteadilyAsync($"cluster-{FaultSettings.Seed}", Rate, breaking);
            await breaking;
            await publishing.CancelAsync();
            await publisher;
            await load.CheckAsync(databases, Patience);
            Assert.Equal(submitted + rounds, load.Accepted.Count(call => call.Call is Call.Submit));

            var found = await DrainAsync(nodes);
            var lost = confirmed.Except(found).ToList();
            output.WriteLine($"Seed {FaultSettings.Seed}: {rounds} leaders lost; {restarted} nodes restarted because they stayed apart; {submitted} requests, {load.Accepted.Count} answers with a 2xx, {load.Failures.Count} attempts failed on the way; {confirmed.Count} confirmed messages of a bare client, {lost.Count} lost.");
            Assert.Empty(lost);

            async Task BreakAsync()
            {
                for (var round = 0; round < rounds; round++)
                {
                    var leader = await LeaderAsync(nodes, chance);
                    await Task.Delay(chance.Next(500, 2000), cancellation);
                    var fault = faults[round % faults.Length];
                    await StrikeAsync(fault, leader);
                    var watch = System.Diagnostics.Stopwatch.StartNew();
                    // What is confirmed from now on may still be from before.
                    await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
                    var before = Confirmed();
                    var need = await load.SubmitAsync($"cluster-{FaultSettings.Seed}-round-{round}");
                    await UntilAsync(() => load.Accepted.Any(call => call.Call is Call.Complete && call.Needs[0] == need), $"the services to go on without node {leader + 1}, {fault}",
                        async () => $"{await StoryAsync(databases, need)}\n{await QueuesAsync(nodes.Where(node => node != nodes[leader]))}\nRefused: {string.Join(" | ", load.Refused.TakeLast(5))}\nFailed: {string.Join(" | ", load.Failures.TakeLast(5))}");
                    var services = watch.Elapsed;
                    await UntilAsync(() => Confirmed() > before, $"messages to be confirmed without node {leader + 1}, {fault}");
                    if (fault is Fault.CutOffFromNodes or Fault.CutOffFromAll && ShortestCut - watch.Elapsed is { Ticks: > 0 } left)
                        await Task.Delay(left, cancellation);
                    await MendAsync(fault, leader);
                    // The one that was lost first; the other two may have parted over it.
                    for (var next = 0; next < Nodes && !await AreTogetherAsync(nodes, TimeToJoin); next++)
                    {
                        var apart = nodes[(leader + next) % Nodes];
                        restarted++;
                        await apart.KillAsync();
                        await apart.StartAgainAsync(cancellation);
                    }
                    output.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {round + 1}/{rounds} node {leader + 1} {fault}: a need came to its end after {services.TotalSeconds:0.0} s; {Confirmed()} confirmed.");
                }
                // All are members again.
                await LeaderAsync(nodes, chance);
            }

            int Confirmed()
            {
                lock (confirmed)
                    return confirmed.Count;
            }
        }
        finally
        {
            foreach (var node in nodes.Reverse())
                await node.DisposeAsync();
        }

        async Task StrikeAsync(Fault fault, int node)
        {
            switch (fault)
            {
                case Fault.Killed:
                    await nodes[node].KillAsync();
                    break;
                case Fault.StandsStill:
                    nodes[node].Freeze();
                    break;
                case Fault.CutOffFromNodes or Fault.CutOffFromAll:
                    await network!.CutOffAsync(node, fromClientsToo: fault == Fault.CutOffFromAll);
                    break;
            }
        }

        async Task MendAsync(Fault fault, int node)
        {
            switch (fault)
            {
                case Fault.Killed:
                    await nodes[node].StartAgainAsync(cancellation);
                    break;
                case Fault.StandsStill:
                    nodes[node].Thaw();
                    break;
                case Fault.CutOffFromNodes or Fault.CutOffFromAll:
                    await network!.MendAsync(node);
                    break;
            }
        }
    }

    private static async Task UntilAsync(Func<bool> holds, string what, Func<Task<string>>? seen = null)
    {
        for (var deadline = DateTime.UtcNow + Patience; !holds(); await Task.Delay(100))
        {
            if (DateTime.UtcNow > deadline)
                Assert.Fail($"Waited {Patience.TotalSeconds} s for {what}.\n{(seen is null ? "" : await seen())}");
        }
    }

    /// <summary>What the logs say of a need.</summary>
    private static async Task<string> StoryAsync(IReadOnlyDictionary<string, string> databases, Guid need)
    {
        var story = new StringBuilder();
        foreach (var (service, database) in databases)
        {
            await using var data = NpgsqlDataSource.Create(database);
            await using var command = data.CreateCommand("select timestamp, type from huzhu.mt_events where data::text like '%' || $1 || '%' order by seq_id");
            command.Parameters.AddWithValue(need.ToString());
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                story.AppendLine($"{reader.GetDateTime(0):HH:mm:ss.fff} {service} {reader.GetString(1)}");
        }
        return story.ToString();
    }

    /// <summary>The queues in which something waits, or that nobody reads.</summary>
    private static async Task<string> QueuesAsync(IEnumerable<RabbitMqServer> nodes)
    {
        return await AskAsync(nodes) is not { } queues
            ? "No node tells of its queues."
            : string.Join("\n", queues.Select(queue =>
                $"{queue.GetProperty("name").GetString()}: {Number(queue, "messages_ready")} ready, {Number(queue, "messages_unacknowledged")} unacknowledged, {Number(queue, "consumers")} consumers")
                .Where(line => !line.Contains(": 0 ready, 0 ", StringComparison.Ordinal) || line.EndsWith(" 0 consumers", StringComparison.Ordinal)));

        static string Number(JsonElement queue, string name) => queue.TryGetProperty(name, out var number) && number.ValueKind == JsonValueKind.Number ? number.ToString() : "?";
    }

    /// <summary>What the first node that answers says of the queues; null when none does. It says some members twice while it changes: the last counts.</summary>
    private static async Task<IReadOnlyList<JsonElement>?> AskAsync(IEnumerable<RabbitMqServer> nodes)
    {
        foreach (var node in nodes)
        {
            try
            {
                return await node.Management.GetFromJsonAsync<List<JsonElement>>($"api/queues/{RabbitMqServer.DefaultVirtualHost}");
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or JsonException)
            {
                // Another node may know.
            }
        }
        return null;
    }

    private static async Task DeclareAsync(RabbitMqServer node)
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(node.AmqpUri()) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync(Queue, durable: true, exclusive: false, autoDelete: false,
            new Dictionary<string, object?> { ["x-queue-type"] = "quorum", ["x-quorum-initial-group-size"] = Nodes });
        await channel.QueueBindAsync(Queue, Exchange, Queue);
    }

    private static async Task PublishAsync(IReadOnlyList<RabbitMqServer> nodes, HashSet<string> confirmed, CancellationToken stop)
    {
        for (int number = 0, node = 0; !stop.IsCancellationRequested; node++)
        {
            try
            {
                var factory = new ConnectionFactory
                {
                    Uri = new Uri(nodes[node % nodes.Count].AmqpUri()),
                    AutomaticRecoveryEnabled = false,
                    RequestedHeartbeat = TimeSpan.FromSeconds(4),
                    RequestedConnectionTimeout = TimeSpan.FromSeconds(3),
                };
                await using var connection = await factory.CreateConnectionAsync(CancellationToken.None);
                await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), CancellationToken.None);
                while (!stop.IsCancellationRequested)
                {
                    var id = $"{number}";
                    using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
                    await channel.BasicPublishAsync(Exchange, Queue, mandatory: true, new BasicProperties { MessageId = id, DeliveryMode = DeliveryModes.Persistent }, Encoding.UTF8.GetBytes(id), limit.Token);
                    lock (confirmed)
                        confirmed.Add(id);
                    number++;
                    await Task.Delay(20, CancellationToken.None);
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

    /// <summary>
    /// The node that leads one of the queues, once every node sees all others and every queue has all of its members: before
    /// that another one that goes would leave two that cannot agree.
    /// </summary>
    private static async Task<int> LeaderAsync(IReadOnlyList<RabbitMqServer> nodes, Random chance)
    {
        if (!await AreTogetherAsync(nodes, Patience))
            throw new TimeoutException("The nodes do not see each other.");
        for (var deadline = DateTime.UtcNow + Patience; DateTime.UtcNow < deadline; await Task.Delay(500))
        {
            var leaders = (await AskAsync(nodes) ?? []).Where(queue => queue.TryGetProperty("type", out var type) && type.ValueEquals("quorum")).Select(queue =>
                queue.TryGetProperty("leader", out var named) && named.ValueKind == JsonValueKind.String
                && queue.TryGetProperty("online", out var online) && online.ValueKind == JsonValueKind.Array && online.GetArrayLength() == nodes.Count ? named.GetString() : null).ToList();
            if (leaders.Count > 0 && leaders.TrueForAll(leader => !string.IsNullOrEmpty(leader)))
                return int.Parse(leaders[chance.Next(leaders.Count)]!.Split('@')[0].Split('-')[^1], System.Globalization.CultureInfo.InvariantCulture) - 1;
        }
        throw new TimeoutException("A queue has no leader, or not all of its members.");
    }

    private static async Task<bool> AreTogetherAsync(IReadOnlyList<RabbitMqServer> nodes, TimeSpan within)
    {
        for (var deadline = DateTime.UtcNow + within; DateTime.UtcNow < deadline; await Task.Delay(500))
        {
            var seen = await Task.WhenAll(nodes.Select(SeesAllAsync));
            if (seen.All(all => all))
                return true;
        }
        return false;

        async Task<bool> SeesAllAsync(RabbitMqServer node)
        {
            try
            {
                var seen = await node.Management.GetFromJsonAsync<List<JsonElement>>("api/nodes");
                return seen!.Count == nodes.Count && seen.TrueForAll(one =>
                    one.GetProperty("running").GetBoolean() && one.TryGetProperty("partitions", out var partitions) && partitions.GetArrayLength() == 0);
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or JsonException)
            {
                return false;
            }
        }
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
