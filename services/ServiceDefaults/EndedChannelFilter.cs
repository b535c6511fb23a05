using MassTransit;
using MassTransit.RabbitMqTransport;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Gives up what still waits for an answer on a channel that has ended, so that the queue is consumed by a new one. The
/// client disposes of a semaphore that calls are waiting for when a connection ends while queues and exchanges are being
/// declared, and those calls then wait for ever (rabbitmq-dotnet-client 7.2, issue 1976): without this the queue would have
/// no consumer until the process is started again.
/// </summary>
internal sealed class EndedChannelFilter : IFilter<ChannelContext>
{
    private static readonly TimeSpan Glance = TimeSpan.FromSeconds(2);

    /// <summary>For consumers to come to their end; longer than a stop gives them.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public async Task Send(ChannelContext context, IPipe<ChannelContext> next)
    {
        var use = next.Send(context);
        while (context.Channel.IsOpen && await Task.WhenAny(use, Task.Delay(Glance, CancellationToken.None)) != use)
        {
        }
        if (await Task.WhenAny(use, Task.Delay(Patience, CancellationToken.None)) != use)
            throw new RabbitMqConnectionException("The channel has ended, and what waited for it has not; the queue is consumed by another channel.");
        await use;
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("endedChannel");
}
