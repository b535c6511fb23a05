using System.Text.Json;
using Huzhu.Contracts.Requests.V1;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>
/// The content of a message makes no sense: it is set aside with this reason, and not tried again. A kind of
/// <see cref="JsonException"/>, because that is what the endpoints do not retry.
/// </summary>
public sealed class MalformedMessageException(string reason) : JsonException(reason);

/// <summary>How Matching consumes: so many at once that batches form.</summary>
public abstract class MatchingConsumerDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    protected MatchingConsumerDefinition() => ConcurrentMessageLimit = 64;
}

/// <summary>
/// A consumer whose messages change ledgers: of its queue one replica at a time is given anything, and the next one when
/// that is gone. Measured against replicas that compete: docs/adr/0011.
/// </summary>
public abstract class DecidingConsumerDefinition<TConsumer> : MatchingConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    protected override void ConfigureConsumer(IReceiveEndpointConfigurator endpoint, IConsumerConfigurator<TConsumer> consumer, IRegistrationContext context)
    {
        if (endpoint is IRabbitMqReceiveEndpointConfigurator queue)
            queue.SingleActiveConsumer = true;
    }
}

internal static class Messages
{
    public static Cause Cause(this ConsumeContext context) => ServiceDefaults.Cause.Current(context.MessageId?.ToString());

    public static string? WhatIsWrong(Need need) =>
        need.Quantity < 1 ? "the quantity must be at least 1."
        : string.IsNullOrWhiteSpace(need.Kind) ? "the service kind is missing."
        : !need.Place.IsOnEarth ? "the place is not on Earth."
        : null;
}
