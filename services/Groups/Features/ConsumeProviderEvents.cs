using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Threading.Channels;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Polly;
using Polly.Retry;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Huzhu.Groups.Features;

/// <summary>
/// Reads the closures and reopenings that providers' own systems publish as CloudEvents. The raw client, because what
/// comes here is not in MassTransit's envelope. A message is acknowledged after its commit; one that cannot be understood
/// goes to the error queue with its reason; one that meets a server that is away waits. See docs/integrators/providers.md.
/// </summary>
public sealed class ConsumeProviderEvents(IConfiguration configuration, Streams streams, TimeProvider time, ILogger<ConsumeProviderEvents> logger) : BackgroundService
{
    public const string Exchange = "huzhu.providers";
    public const string Queue = "groups-provider-events";
    public const string ErrorQueue = Queue + "_error";
    public const string ReasonHeader = "x-reason";

    private const ushort Prefetch = 32;
    private const int Lanes = 8;
    private static readonly string[] Prefixes = ["cloudEvents_", "cloudEvents:"];

    private static readonly ActivitySource Activities = new("Huzhu.Groups");
    private static readonly Meter Meter = new("Huzhu.Groups");
    private static readonly Counter<long> Read = Meter.CreateCounter<long>("huzhu.groups.provider_events", description: "CloudEvents of providers' systems, by outcome");

    private readonly ResiliencePipeline _reconnect = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            Delay = TimeSpan.FromMilliseconds(200),
            MaxDelay = TimeSpan.FromSeconds(5),
            UseJitter = true,
            OnRetry = retry =>
            {
                logger.LogWarning(retry.Outcome.Exception, "The exchange of the providers' systems cannot be read; trying again (attempt {Attempt})", retry.AttemptNumber + 1);
                return ValueTask.CompletedTask;
            },
        })
        .Build();

    private readonly ResiliencePipeline _handle = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } exception && Messaging.IsServerAway(exception)),
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            Delay = TimeSpan.FromMilliseconds(200),
            MaxDelay = TimeSpan.FromSeconds(10),
            UseJitter = true,
            OnRetry = retry =>
            {
                logger.LogWarning(retry.Outcome.Exception, "A provider's event waits for the database");
                return ValueTask.CompletedTask;
            },
        })
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } exception and not OperationCanceledException && !Messaging.IsServerAway(exception)),
            MaxRetryAttempts = 3,
            Delay = TimeSpan.FromMilliseconds(100),
            BackoffType = DelayBackoffType.Exponential,
        })
        .Build();

    /// <summary>Whether the queue is being read now.</summary>
    public bool IsConsuming { get; private set; }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var reading = await _reconnect.ExecuteAsync(async token => await StartAsync(token), stoppingToken);
                IsConsuming = true;
                await reading.RunAsync(HandleAsync, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Whatever was not acknowledged comes again.
                logger.LogWarning(exception, "The connection to the providers' exchange was lost; connecting again");
            }
            finally
            {
                IsConsuming = false;
            }
        }
    }

    private new async Task<Reading> StartAsync(CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            ClientProvidedName = "huzhu-groups provider events",
            RequestedHeartbeat = TimeSpan.FromSeconds(5),
            // One way to come back, and it is the loop above: the client's own recovery would keep delivery tags that mean nothing.
            AutomaticRecoveryEnabled = false,
            TopologyRecoveryEnabled = false,
        };
        var connection = await factory.ConnectAsync(configuration, cancellation);
        try
        {
            var channel = await connection.CreateChannelAsync(
                new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), cancellation);
            await channel.ExchangeDeclareAsync(Exchange, ExchangeType.Topic, durable: true, cancellationToken: cancellation);
            await channel.QueueDeclareAsync(ErrorQueue, durable: true, exclusive: false, autoDelete: false,
                new Dictionary<string, object?> { ["x-queue-type"] = "quorum" }, cancellationToken: cancellation);
            await channel.QueueDeclareAsync(Queue, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?>
            {
                ["x-queue-type"] = "quorum",
                // One replica reads at a time, so that what one provider said keeps its order; another takes over when it goes.
                ["x-single-active-consumer"] = true,
                // A newer broker gives up on a message that was delivered too often: then it must be found here and not nowhere.
                ["x-dead-letter-exchange"] = "",
                ["x-dead-letter-routing-key"] = ErrorQueue,
                ["x-dead-letter-strategy"] = "at-least-once",
                ["x-overflow"] = "reject-publish",
            }, cancellationToken: cancellation);
            await channel.QueueBindAsync(Queue, Exchange, "#", cancellationToken: cancellation);
            await channel.BasicQosAsync(0, Prefetch, global: false, cancellation);
            return await Reading.StartAsync(connection, channel, cancellation);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task HandleAsync(Delivery delivery, Reading reading, CancellationToken cancellation)
    {
        using var activity = Activities.StartActivity("provider event", ActivityKind.Consumer, delivery.TraceParent);
        var (said, problem) = delivery.Parsed;
        if (said is not null)
        {
            try
            {
                problem = await _handle.ExecuteAsync(async token =>
                {
                    var outcome = await PublishOpening.PublishAsync(streams, time, said.ProviderId, said.At(time.GetUtcNow()), said.Origin.Source, said.Origin, null, token);
                    return outcome.Refusal switch
                    {
                        null => null,
                        { Code: "not-found" } => "The subject is not the id of a provider in the directory.",
                        { } refusal => refusal.Reason,
                    };
                }, cancellation);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                logger.LogError(exception, "A provider's event could not be handled and goes to {Queue}", ErrorQueue);
                problem = $"It could not be handled: {exception.GetType().Name}.";
            }
        }
        await reading.SettleAsync(delivery, problem, cancellation);
        Read.Add(1, new KeyValuePair<string, object?>("outcome", problem is null ? "taken" : "dead-lettered"));
        if (problem is not null)
            logger.LogWarning("A provider's event went to {Queue}: {Reason}", ErrorQueue, problem);
    }

    /// <summary>One message, its content copied: the client takes its own memory back.</summary>
    private sealed record Delivery(ulong Tag, string RoutingKey, IReadOnlyBasicProperties Properties, byte[] Body, (ProviderWord? Word, string? Problem) Parsed, ActivityContext TraceParent)
    {
        public static Delivery Of(BasicDeliverEventArgs arrived)
        {
            var body = arrived.Body.ToArray();
            var attributes = (arrived.BasicProperties.Headers ?? new Dictionary<string, object?>())
                .SelectMany(header => Prefixes.Where(prefix => header.Key.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                    .Select(prefix => (Name: header.Key[prefix.Length..].ToLowerInvariant(), Value: TextOf(header.Value))))
                .ToList();
            var parsed = ProviderEventFormat.Read(arrived.BasicProperties.ContentType, attributes, body);
            // Where the broker ties a user to routing keys that begin with a provider's id, the content must not say another.
            if (parsed.Word is { } word && Guid.TryParse(arrived.RoutingKey.Split('.')[0], out var named) && named != word.ProviderId)
                parsed = (null, "The routing key names another provider than the subject.");
            var traceParent = attributes.FirstOrDefault(attribute => attribute.Name == "traceparent").Value
                ?? (arrived.BasicProperties.Headers?.TryGetValue("traceparent", out var header) == true ? TextOf(header) : null);
            return new Delivery(arrived.DeliveryTag, arrived.RoutingKey, new BasicProperties(arrived.BasicProperties), body, parsed,
                ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent) ? parent : default);
        }

        private static string TextOf(object? value) => value switch
        {
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            AmqpTimestamp seconds => DateTimeOffset.FromUnixTimeSeconds(seconds.UnixTime).ToString("O"),
            _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
        };
    }

    /// <summary>One connection, from consume to loss.</summary>
    private sealed class Reading(IConnection connection, IChannel channel) : IAsyncDisposable
    {
        // What concerns one provider stays in one lane, in order; providers do not wait for each other.
        private readonly Channel<Delivery>[] _lanes = [.. Enumerable.Range(0, Lanes).Select(_ => Channel.CreateBounded<Delivery>(Prefetch))];
        private readonly TaskCompletionSource<Exception> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly SemaphoreSlim _oneAtATime = new(1, 1);

        public static async Task<Reading> StartAsync(IConnection connection, IChannel channel, CancellationToken cancellation)
        {
            var reading = new Reading(connection, channel);
            channel.ChannelShutdownAsync += (_, shutdown) => reading.Lose(new IOException($"The broker closed the channel: {shutdown.ReplyText}"));
            var consumer = new AsyncEventingBasicConsumer(channel);
            consumer.UnregisteredAsync += (_, _) => reading.Lose(new IOException("The broker ended the consumer."));
            consumer.ReceivedAsync += async (_, arrived) =>
            {
                var delivery = Delivery.Of(arrived);
                var lane = (uint)(delivery.Parsed.Word?.ProviderId.GetHashCode() ?? 0) % Lanes;
                await reading._lanes[lane].Writer.WriteAsync(delivery);
            };
            await channel.BasicConsumeAsync(Queue, autoAck: false, consumer, cancellation);
            return reading;
        }

        public async Task RunAsync(Func<Delivery, Reading, CancellationToken, Task> handle, CancellationToken stopping)
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            var lanes = _lanes.Select(lane => Task.Run(async () =>
            {
                await foreach (var delivery in lane.Reader.ReadAllAsync(ending.Token))
                    await handle(delivery, this, ending.Token);
            }, CancellationToken.None)).ToList();
            try
            {
                var first = await Task.WhenAny([_lost.Task.WaitAsync(stopping), .. lanes]);
                await first;
                throw await _lost.Task.WaitAsync(stopping);
            }
            finally
            {
                await ending.CancelAsync();
                // Their own end is of no interest any more: what they had in hand comes again.
                await Task.WhenAll(lanes).ContinueWith(_ => { }, TaskScheduler.Default);
            }
        }

        /// <summary>Acknowledges; a message with a problem only once the broker has confirmed it on the error queue.</summary>
        public async Task SettleAsync(Delivery delivery, string? problem, CancellationToken cancellation)
        {
            await _oneAtATime.WaitAsync(cancellation);
            try
            {
                if (problem is not null)
                    await channel.BasicPublishAsync("", ErrorQueue, mandatory: true, DeadLetterOf(delivery, problem), delivery.Body, cancellation);
                await channel.BasicAckAsync(delivery.Tag, multiple: false, cancellation);
            }
            finally
            {
                _oneAtATime.Release();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await connection.DisposeAsync();
            _oneAtATime.Dispose();
        }

        private Task Lose(Exception reason)
        {
            _lost.TrySetResult(reason);
            return Task.CompletedTask;
        }

        private static BasicProperties DeadLetterOf(Delivery delivery, string problem)
        {
            var properties = new BasicProperties(delivery.Properties) { Persistent = true };
            var headers = new Dictionary<string, object?>(delivery.Properties.Headers ?? new Dictionary<string, object?>())
            {
                [ReasonHeader] = problem,
                ["x-original-routing-key"] = delivery.RoutingKey,
            };
            // These three would make the broker refuse the letter, drop it, or send copies of it elsewhere.
            if (properties.UserId is { } user)
                headers["x-original-user"] = user;
            properties.ClearUserId();
            properties.ClearExpiration();
            headers.Remove("CC");
            headers.Remove("BCC");
            properties.Headers = headers;
            return properties;
        }
    }
}

public static class ProviderEventConsumption
{
    public static IHostApplicationBuilder AddProviderEventConsumer(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ConsumeProviderEvents>();
        builder.Services.AddHostedService(services => services.GetRequiredService<ConsumeProviderEvents>());
        builder.Services.AddHealthChecks().AddCheck<ConsumptionHealthCheck>("provider-events", tags: ["ready", Hosting.BrokerTag]);
        return builder;
    }

    private sealed class ConsumptionHealthCheck(ConsumeProviderEvents consumer) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(consumer.IsConsuming ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The queue of the providers' events is not being read."));
    }
}
