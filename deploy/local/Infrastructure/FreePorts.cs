using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// Ports of the loopback address that nobody listens on. They come from below the range that the kernel gives to
/// outgoing connections: a port found by binding to 0 lies inside it and can be taken between the look and the bind.
/// Two runs can still draw the same port at once, so whoever starts a server tries again when the bind fails.
/// </summary>
public static class FreePorts
{
    const int Lowest = 18_000;
    const int Highest = 32_000;
    const int Attempts = 200;

    static readonly ConcurrentDictionary<int, bool> Given = new();

    public static int Next()
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var port = Random.Shared.Next(Lowest, Highest);
            if (IsFree(port) && Given.TryAdd(port, true)) return port;
        }

        throw new DidNotStartException($"No free port was found between {Lowest} and {Highest} on 127.0.0.1.");
    }

    static bool IsFree(int port)
    {
        // With the option, a port in TIME_WAIT counts as free, as it does for the servers that bind it.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
