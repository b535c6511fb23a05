using System.Diagnostics;
using System.Diagnostics.Metrics;
using JasperFx.Events;
using Marten;
using MassTransit;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// What a stored event tells the other services: no message, one, or several. Pure but for the log itself, which it may
/// read through <paramref name="log"/> where the event alone does not say enough.
/// </summary>
public delegate ValueTask<IReadOnlyList<object>> PublishMap(IEvent stored, IQuerySession log, CancellationToken cancellation);

/// <summary>What the relay tells, and how.</summary>
internal sealed record Told(IReadOnlyCollection<Type> Types, PublishMap Map);

/// <summary>
/// The relay: reads the log in order and publishes what the service's map says. The event log is the outbox, so nothing
/// can be lost between append and publish. At least once; the message id is the event id, so that a consumer knows a
/// repeat. A publish is mandatory and confirmed: a message that no queue takes is an error here, tried again until one does.
/// </summary>
internal sealed class EventPublisher(Told told, IDocumentStore store, IBus bus, BusConnection connection, ILogger<EventPublisher> logger, TimeProvider time) : ILogSubscription
{
    public const string SubscriptionName = "Relay";

    public static readonly ActivitySource Activities = new("Huzhu.Relay");
    private static readonly Meter Meter = new("Huzhu.Relay");
    private static readonly Counter<long> Published = Meter.CreateCounter<long>("huzhu.relay.published", description: "Messages confirmed by the broker");
    private static readonly Histogram<double> Lag = Meter.CreateHistogram<double>("huzhu.relay.lag", "s", "From the event's commit to the broker's confirm");

    private readonly ResiliencePipeline _retry = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            Delay = TimeSpan.FromMilliseconds(100),
            MaxDelay = TimeSpan.FromSeconds(5),
            UseJitter = true,
            OnRetry = retry =>
            {
                logger.LogWarning(retry.Outcome.Exception, "The relay could not publish and tries again (attempt {Attempt})", retry.AttemptNumber + 1);
                if (retry.Outcome.Exception is TimeoutRejectedException or RabbitMqConnectionException { InnerException: RabbitMQ.Client.Exceptions.PublishException })
                    connection.Refused();
                return ValueTask.CompletedTask;
            },
        })
        // A broker that is blocked by an alarm answers nothing at all, and no error either.
        .AddTimeout(TimeSpan.FromSeconds(10))
        .Build();

    public string Name => SubscriptionName;

    public IReadOnlyCollection<Type> EventTypes => told.Types;

    public async Task HandleAsync(IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        await using var log = store.QuerySession();
        var sends = new List<Task>(events.Count);
        foreach (var stored in events)
        {
            var messages = await told.Map(stored, log, cancellation);
            for (var index = 0; index < messages.Count; index++)
                sends.Add(PublishAsync(stored, messages[index], index, cancellation));
        }
        await Task.WhenAll(sends);
    }

    private async Task PublishAsync(IEvent stored, object message, int index, CancellationToken cancellation)
    {
        var messageId = index == 0 ? stored.Id : DeterministicId.Of(stored.Id, index.ToString());
        using var activity = Activities.StartActivity($"relay {message.GetType().Name}", ActivityKind.Internal, Cause.ContextOf(stored.TraceParent()), links: LinksOf(stored));
        activity?.SetTag("huzhu.event.id", stored.Id);
        await _retry.ExecuteAsync(async (state, token) =>
        {
            var (bus, message, messageId) = state;
            // On a channel that ends, a publish may wait for ever, whatever its token says (see EndedChannelFilter).
            await bus.Publish(message, message.GetType(), context =>
            {
                context.MessageId = messageId;
                if (context.TryGetPayload<RabbitMqSendContext>(out var rabbit))
                    rabbit.Mandatory = true;
            }, token).WaitAsync(token);
        }, (bus, message, messageId), cancellation);
        connection.Took();
        Published.Add(1);
        Lag.Record(Math.Max(0, (time.GetUtcNow() - stored.Timestamp).TotalSeconds));
    }

    private static ActivityLink[] LinksOf(IEvent stored) =>
        Cause.ContextOf(stored.Headers?.GetValueOrDefault(Cause.TraceLinkHeader)?.ToString()) is var context && context != default ? [new ActivityLink(context)] : [];
}
