using System.Text.Json;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>What the consumers that tell people have in common.</summary>
public abstract class TellingDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    /// <summary>Twice what one receiver may have in flight, so that a slow one leaves room for the others.</summary>
    private const int MostAtOnce = 32;

    /// <param name="mostAtOnce">Fewer for what nobody acts on, so that it leaves room for what somebody waits for.</param>
    protected TellingDefinition(int mostAtOnce = MostAtOnce) => ConcurrentMessageLimit = mostAtOnce;
}

internal static class Causes
{
    /// <summary>The message's id, which is the id of the event behind it and makes the notification's own.</summary>
    /// <exception cref="JsonException">There is none, so a repeat could not be told: the message is set aside at once.</exception>
    public static Guid CauseId(this ConsumeContext context) =>
        context.MessageId ?? throw new JsonException("The message has no id, so that a repeat of it could not be recognised.");
}
