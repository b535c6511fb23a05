using System.Diagnostics;
using System.Text;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Huzhu.TestKit;

/// <summary>Messages that were set aside, with the reason in their headers.</summary>
public static class SetAside
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Waits for a message in the queue, takes it, and gives the reason for which it is there.</summary>
    /// <param name="broker">AMQP address with its virtual host.</param>
    /// <param name="queue">The queue's name; it need not exist yet.</param>
    public static async Task<string> TakeReasonAsync(string broker, string queue, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory { Uri = new Uri(broker) };
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < Patience; await Task.Delay(100, cancellation))
        {
            try
            {
                // The queue is made with its first message. Asking before that ends the channel; asking before its
                // members have chosen their leader ends the connection.
                await using var connection = await factory.CreateConnectionAsync(cancellation);
                await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
                if (await channel.BasicGetAsync(queue, autoAck: true, cancellation) is { } message)
                    return Encoding.UTF8.GetString((byte[])message.BasicProperties.Headers!["MT-Fault-Message"]!);
            }
            catch (Exception exception) when (exception is OperationInterruptedException or AlreadyClosedException)
            {
            }
        }
        throw new TimeoutException($"Nothing came into {queue} within {Patience.TotalSeconds:0} s.");
    }
}
