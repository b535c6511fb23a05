using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using RabbitMQ.Client;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// The connection of the bus to its broker, which is given up when the broker takes nothing by it for long. A channel that was
/// open while a cluster lost the node that led a queue may be left with nobody to pass messages on to (RabbitMQ 3.10):
/// whatever is published on it is rejected, or never confirmed, while every new channel works. Nothing in the client ends it.
/// </summary>
internal sealed class BusConnection(ILogger<BusConnection> logger)
{
    /// <summary>For a cluster that elects new leaders, or has run into an alarm for a moment.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private Socket? _socket;
    private long _refusesSince;

    /// <summary>Has the connections that this factory makes from now on known here.</summary>
    public Task FollowAsync(ConnectionFactory factory)
    {
        factory.SocketFactory = family =>
        {
            var client = ConnectionFactoryBase.DefaultSocketFactory(family);
            Volatile.Write(ref _socket, client.Client);
            return client;
        };
        return Task.CompletedTask;
    }

    /// <summary>The broker has confirmed a message.</summary>
    public void Took() => Volatile.Write(ref _refusesSince, 0);

    /// <summary>
    /// A message was rejected, or not confirmed in time. Where nothing else has been taken for a while either, the connection
    /// is ended as a network ends it, and the bus connects again: in a cluster, to whichever node takes it.
    /// </summary>
    public void Refused()
    {
        var now = Stopwatch.GetTimestamp();
        var since = Interlocked.CompareExchange(ref _refusesSince, now, 0);
        // The first one begins the time, and of those that come when it is over one ends the connection.
        if (since == 0 || Stopwatch.GetElapsedTime(since, now) < Patience || Interlocked.CompareExchange(ref _refusesSince, now, since) != since)
            return;
        logger.LogWarning("The broker has taken nothing for {Seconds:0} s: the connection is given up for a new one", Stopwatch.GetElapsedTime(since, now).TotalSeconds);
        try
        {
            Interlocked.Exchange(ref _socket, null)?.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }
}
