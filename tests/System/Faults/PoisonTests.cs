using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>Messages that make no sense, among those that do: each is set aside with its reason, and none is in the way.</summary>
[Collection(FaultCollection.Name)]
public sealed class PoisonTests(FaultFixture fixture, ITestOutputHelper output)
{
    private const string Exchange = "Huzhu.Contracts.Requests.V1:NeedSubmitted";
    private const string Queue = "matching-receive-need", SetAside = Queue + "_error";

    [Fact]
    public async Task poison_is_set_aside_one_by_one_and_what_is_good_is_done()
    {
        var bad = FaultSettings.IsLong ? 10_000 : 20;
        var broker = new Broker(fixture.Huzhu.Infrastructure.RabbitMq);
        Assert.Contains(Queue, await broker.QueuesAsync());
        await using var load = new FaultLoad(fixture.Huzhu.Services);
        await load.RegisterGroupsAsync("poison", groups: 4);
        var before = (await broker.QueuesAsync()).Contains(SetAside) ? await broker.CountAsync(SetAside) : 0;

        var began = DateTimeOffset.UtcNow;
        var poisoning = PoisonAsync();
        var submitted = await load.SubmitSteadilyAsync($"poison-{Guid.NewGuid():N}", FaultSettings.Rate, poisoning);
        await poisoning;
        var ended = DateTimeOffset.UtcNow;
        await load.CheckAsync(fixture.Huzhu.Description.Databases, TimeSpan.FromMinutes(FaultSettings.IsLong ? 30 : 5));
        await Client.EventuallyAsync($"{bad} messages to be set aside", async () =>
            (await broker.CountAsync(SetAside) - before == bad, JsonValue.Create(await broker.CountAsync(SetAside) - before)), seconds: 120);
        var pause = await LongestPauseAsync(began, ended);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{bad} bad among {submitted} good: all good done, {bad} set aside; Matching took in no need for {pause:0.0} s at the longest."));

        await using var connection = await broker.ConnectAsync();
        await using var channel = await connection.CreateChannelAsync();
        for (var index = 0; index < bad; index++)
        {
            var message = await channel.BasicGetAsync(SetAside, autoAck: true);
            Assert.NotNull(message);
            Assert.NotEmpty(Encoding.UTF8.GetString((byte[])message.BasicProperties.Headers!["MT-Fault-Message"]!));
        }

        async Task PoisonAsync()
        {
            await using var connection = await broker.ConnectAsync();
            await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
            for (var index = 0; index < bad; index++)
            {
                var properties = new BasicProperties { ContentType = "application/vnd.masstransit+json", MessageId = Guid.NewGuid().ToString(), DeliveryMode = DeliveryModes.Persistent };
                await channel.BasicPublishAsync(Exchange, "", mandatory: true, properties, Encoding.UTF8.GetBytes(Poison(index)));
                // At the pace of the others, so that they are among each other.
                await Task.Delay(1000 / FaultSettings.Rate);
            }
        }
    }

    /// <summary>In seconds, by its log.</summary>
    private async Task<double> LongestPauseAsync(DateTimeOffset from, DateTimeOffset to)
    {
        await using var data = NpgsqlDataSource.Create(fixture.Huzhu.Description.Databases["matching"]);
        await using var command = data.CreateCommand("""
            select coalesce(max(extract(epoch from pause)), 0)::float8 from (
                select timestamp - lag(timestamp) over (order by timestamp) as pause from huzhu.mt_events
                where type = 'need_received' and timestamp between $1 and $2) pauses
            """);
        command.Parameters.Add(new NpgsqlParameter { Value = from });
        command.Parameters.Add(new NpgsqlParameter { Value = to });
        return (double)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Not JSON, JSON of another shape, a need without sense, a word that nobody knows.</summary>
    private static string Poison(int index)
    {
        const string type = "urn:message:Huzhu.Contracts.Requests.V1:NeedSubmitted";
        string Envelope(string message) => $$"""{"messageId":"{{Guid.NewGuid()}}","messageType":["{{type}}"],"message":{{message}}}""";
        string Need(string quantity, string mode, string lat) => $$"""
            {"need":{"needId":"{{Guid.NewGuid()}}","requestId":"{{Guid.NewGuid()}}","personId":"{{Guid.NewGuid()}}","kind":"meals","mode":"{{mode}}","quantity":{{quantity}},
            "place":{"lat":{{lat}},"lon":120},"urgency":"hardship","communication":[],"excludedResponders":[],"submittedAt":"2022-04-01T08:00:00Z"},"at":"2022-04-01T08:00:00Z"}
            """;
        return (index % 5) switch
        {
            0 => "{\"message\":",
            1 => Envelope("{\"need\":42}"),
            2 => Envelope(Need("0", "offline", "30")),
            3 => Envelope(Need("1", "by-pigeon", "30")),
            _ => Envelope(Need("1", "offline", "300")),
        };
    }
}
