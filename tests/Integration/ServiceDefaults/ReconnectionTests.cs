using System.Collections.Concurrent;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>Connections that end while a service is still declaring what it consumes.</summary>
public sealed class ReconnectionTests(Servers servers)
{
    private const int Storms = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task every_queue_is_consumed_again_whenever_its_connection_ended()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var address = new Uri(await servers.CreateVirtualHostAsync("reconnection"));
        await using var path = new FaultProxy(address.Port);
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["ConnectionStrings:Broker"] = new UriBuilder(address) { Port = path.Port }.Uri.AbsoluteUri;
        builder.Services.AddSingleton<Told>();
        builder.AddMessaging("reconnection", bus =>
        {
            bus.AddConsumer<FirstConsumer>();
            bus.AddConsumer<SecondConsumer>();
            bus.AddConsumer<ThirdConsumer>();
            bus.AddConsumer<FourthConsumer>();
        });
        var host = builder.Build();
        await host.StartAsync(cancellation);
        await using var connection = await new ConnectionFactory { Uri = address }.CreateConnectionAsync(cancellation);
        await using var broker = await connection.CreateChannelAsync(cancellationToken: cancellation);
        string[] queues = ["reconnection-first", "reconnection-second", "reconnection-third", "reconnection-fourth"];
        await UntilConsumedAsync();

        var chance = new Random(1);
        // Slow enough for a connection to end in the midst of what it takes to declare everything again.
        path.Latency = TimeSpan.FromMilliseconds(50);
        for (var storm = 0; storm < Storms; storm++)
        {
            path.Cut();
            await Task.Delay(chance.Next(500, 2500), cancellation);
        }
        path.Latency = TimeSpan.Zero;
        await UntilConsumedAsync();

        var bus = host.Services.GetRequiredService<IBus>();
        await bus.Publish(new One(Guid.NewGuid()), cancellation);
        var told = host.Services.GetRequiredService<Told>();
        for (var waited = System.Diagnostics.Stopwatch.StartNew(); told.By.Count < queues.Length; await Task.Delay(50, cancellation))
            Assert.True(waited.Elapsed < Patience, $"Told: {string.Join(", ", told.By.Keys)}.");
        await host.StopAsync(cancellation);

        async Task UntilConsumedAsync()
        {
            var waited = System.Diagnostics.Stopwatch.StartNew();
            foreach (var queue in queues)
            {
                while (await ConsumersAsync(queue) == 0)
                {
                    Assert.True(waited.Elapsed < Patience, $"Nobody consumes {queue} {waited.Elapsed.TotalSeconds:0} s after the last connection ended.");
                    await Task.Delay(100, cancellation);
                }
            }
        }

        async Task<uint> ConsumersAsync(string queue)
        {
            // A queue that is not declared yet ends the channel that asks for it.
            await using var asking = await connection.CreateChannelAsync(cancellationToken: cancellation);
            try
            {
                return (await asking.QueueDeclarePassiveAsync(queue, cancellation)).ConsumerCount;
            }
            catch (RabbitMQ.Client.Exceptions.OperationInterruptedException)
            {
                return 0;
            }
        }
    }

    public sealed record One(Guid Id);

    public sealed record Two(Guid Id);

    public sealed record Three(Guid Id);

    public sealed record Four(Guid Id);

    public sealed class Told
    {
        public ConcurrentDictionary<string, byte> By { get; } = new();
    }

    /// <summary>Each type of message is an exchange to declare.</summary>
    public abstract class Consumer(Told told) : IConsumer<One>, IConsumer<Two>, IConsumer<Three>, IConsumer<Four>
    {
        public Task Consume(ConsumeContext<One> context)
        {
            told.By[GetType().Name] = 0;
            return Task.CompletedTask;
        }

        public Task Consume(ConsumeContext<Two> context) => Task.CompletedTask;
        public Task Consume(ConsumeContext<Three> context) => Task.CompletedTask;
        public Task Consume(ConsumeContext<Four> context) => Task.CompletedTask;
    }

    public sealed class FirstConsumer(Told told) : Consumer(told);

    public sealed class SecondConsumer(Told told) : Consumer(told);

    public sealed class ThirdConsumer(Told told) : Consumer(told);

    public sealed class FourthConsumer(Told told) : Consumer(told);
}
