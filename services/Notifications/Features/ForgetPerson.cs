using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using MassTransit;

namespace Huzhu.Notifications.Features;

/// <summary>Somebody was erased: what channels have kept of messages about them, or to them, goes. The record of each message holds nothing of theirs and stays.</summary>
public sealed class ForgetPersonConsumer(IEnumerable<IChannel> channels, ContactCache contacts, AnswerBook answers, TimeProvider time) : IConsumer<PersonErased>, IConsumer<ContactErased>
{
    /// <summary>An attempt that had its contact before the erasure has ended by then.</summary>
    private static readonly TimeSpan LongestAttempt = TimeSpan.FromSeconds(6);

    public Task Consume(ConsumeContext<PersonErased> context)
    {
        var needs = context.Message.Needs.ToHashSet();
        return ForgetAsync((need, _) => needs.Contains(need), context.CancellationToken);
    }

    public async Task Consume(ConsumeContext<ContactErased> context)
    {
        var responder = context.Message.ResponderId;
        contacts.Forget(responder);
        await answers.ForgetAsync(responder, context.CancellationToken);
        await ForgetAsync((_, told) => told == responder, context.CancellationToken);
    }

    private async Task ForgetAsync(KeptMessage isTheirs, CancellationToken cancellation)
    {
        foreach (var channel in channels.OfType<IKeepsMessages>())
        {
            await channel.ForgetAsync(isTheirs, cancellation);
            await Task.Delay(LongestAttempt, time, cancellation);
            await channel.ForgetAsync(isTheirs, cancellation);
        }
    }
}

public sealed class ForgetPersonConsumerDefinition : ConsumerDefinition<ForgetPersonConsumer>
{
    /// <summary>Few at once: each reads all that is kept, and mostly waits.</summary>
    public ForgetPersonConsumerDefinition() => ConcurrentMessageLimit = 4;
}
