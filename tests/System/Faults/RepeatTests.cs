using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// A fifth of all messages comes up to five times more, each copy behind up to fifty others: on the real broker, into the
/// real queues. Nothing that the logs hold is there twice for it.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class RepeatTests(FaultFixture fixture, ITestOutputHelper output)
{
    private const int Deep = 50;
    private const string Mark = "x-test-repeated";

    [Fact]
    public async Task messages_that_come_again_and_in_another_order_change_nothing()
    {
        var wanted = FaultSettings.IsLong ? 100_000 : 150;
        var chance = new Random(FaultSettings.Seed);
        var broker = new Broker(fixture.Huzhu.Infrastructure.RabbitMq);
        await using var load = new FaultLoad(fixture.Huzhu.Services);
        await load.RegisterGroupsAsync("repeat", groups: 4);

        await using var connection = await broker.ConnectAsync();
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        var tap = await broker.TapAsync(channel);

        var (seen, repeated) = (0, 0);
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = new List<(string Exchange, BasicProperties Properties, byte[] Body)>();
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += async (_, delivery) =>
        {
            if (delivery.BasicProperties.Headers?.ContainsKey(Mark) == true)
                return;
            seen++;
            if (chance.Next(5) == 0)
            {
                var properties = new BasicProperties(delivery.BasicProperties) { Headers = new Dictionary<string, object?>(delivery.BasicProperties.Headers ?? new Dictionary<string, object?>()) { [Mark] = true } };
                for (var copies = 1 + chance.Next(5); copies > 0; copies--)
                    waiting.Add((delivery.Exchange, properties, delivery.Body.ToArray()));
            }
            while (waiting.Count > Deep)
                await RepeatAsync();
            if (seen + repeated >= wanted)
                enough.TrySetResult();
        };
        await channel.BasicConsumeAsync(tap, autoAck: true, consumer);

        var submitted = await load.SubmitSteadilyAsync($"repeat-{Guid.NewGuid():N}", FaultSettings.Rate, enough.Task);
        while (waiting.Count > 0)
            await RepeatAsync();
        await load.CheckAsync(fixture.Huzhu.Description.Databases, TimeSpan.FromMinutes(5));
        output.WriteLine($"Seed {FaultSettings.Seed}: {submitted} requests, {seen} messages, {repeated} repetitions.");
        Assert.True(repeated > 0, "Nothing was repeated.");

        async Task RepeatAsync()
        {
            var index = chance.Next(waiting.Count);
            var (exchange, properties, body) = waiting[index];
            waiting.RemoveAt(index);
            repeated++;
            await channel.BasicPublishAsync(exchange, "", mandatory: false, properties, body);
        }
    }
}
