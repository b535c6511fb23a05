using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Huzhu.TestKit;

/// <summary>A step that a service takes towards its database or its broker, as it looks on the wire.</summary>
public enum WireStep
{
    /// <summary>A transaction is about to be committed: the database has not heard of it.</summary>
    Commit,

    /// <summary>It has been committed, and the service does not know.</summary>
    Committed,

    /// <summary>A message is about to be published.</summary>
    Publish,

    /// <summary>The broker has it and has confirmed it, and the service does not know.</summary>
    Confirm,

    /// <summary>A message is on its way to its consumer.</summary>
    Deliver,

    /// <summary>A message has been handled, and the broker does not know.</summary>
    Acknowledge,
}

/// <summary>
/// A TCP relay on loopback between a service and PostgreSQL or RabbitMQ that misbehaves on demand: slow, cut, deaf in one
/// direction or both, or standing still at a chosen step. It reads as much of the two protocols as it takes to know a step.
/// </summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Connection, byte> _connections = new();
    private readonly int _target;
    private readonly Lock _lock = new();
    private TcpListener _listener = new(IPAddress.Loopback, 0);
    private Task _accepting;
    private int _cuts, _taken;
    private (WireStep Step, int Left, TaskCompletionSource Reached)? _trap;
    private TaskCompletionSource _held = Open();

    public FaultProxy(int targetPort)
    {
        _target = targetPort;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync(_listener);
    }

    public int Port { get; }

    /// <summary>Every piece of data is passed on this much later.</summary>
    public TimeSpan Latency { get; set; }

    /// <summary>What the service sends gets lost; the connection stays, and once it has lost something it loses all that follows.</summary>
    public bool LosesRequests { get; set; }

    /// <summary>What the server sends gets lost; likewise.</summary>
    public bool LosesAnswers { get; set; }

    public int Connections => _connections.Count;

    /// <summary>How many have come since the start.</summary>
    public int Taken => Volatile.Read(ref _taken);

    /// <summary>Resets every connection.</summary>
    public void Cut()
    {
        Interlocked.Increment(ref _cuts);
        foreach (var connection in _connections.Keys)
            connection.Reset();
    }

    /// <summary>Resets every connection and takes no more, as if the server were away, until <see cref="Mend"/>.</summary>
    public void TakeAway()
    {
        _listener.Stop();
        Cut();
    }

    public void Mend()
    {
        _listener = new TcpListener(IPAddress.Loopback, Port);
        _listener.Start();
        _accepting = AcceptAsync(_listener);
    }

    /// <summary>Stands still just before the n-th such step from now on, with everything behind it.</summary>
    /// <returns>A task that ends when the step is reached.</returns>
    public Task StopAt(WireStep step, int nth)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _trap = (step, nth, reached);
        return reached.Task;
    }

    /// <summary>Goes on, for connections that come: those that stood still are cut.</summary>
    public void Release()
    {
        TaskCompletionSource held;
        lock (_lock)
        {
            _trap = null;
            (held, _held) = (_held, Open());
        }
        Cut();
        held.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        Release();
        await _accepting;
        _stop.Dispose();
    }

    private static TaskCompletionSource Open()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        open.SetResult();
        return open;
    }

    private async Task AcceptAsync(TcpListener listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await listener.AcceptTcpClientAsync(_stop.Token);
                Interlocked.Increment(ref _taken);
                _ = ServeAsync(client, Volatile.Read(ref _cuts));
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient client, int cuts)
    {
        using var server = new TcpClient();
        using (client)
        {
            client.NoDelay = server.NoDelay = true;
            var connection = new Connection(client, server);
            try
            {
                await server.ConnectAsync(IPAddress.Loopback, _target, _stop.Token);
                _connections.TryAdd(connection, 0);
                // It was cut while it came about.
                if (cuts != Volatile.Read(ref _cuts))
                    return;
                await Task.WhenAny(PumpAsync(client, server, isRequest: true), PumpAsync(server, client, isRequest: false));
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException or IOException or ObjectDisposedException)
            {
                // The server is away: so it is for the service.
            }
            finally
            {
                _connections.TryRemove(connection, out _);
                connection.Reset();
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, bool isRequest)
    {
        var (input, output) = (from.GetStream(), to.GetStream());
        var buffer = new byte[64 * 1024];
        var reader = new WireReader(isRequest);
        var isDeaf = false;
        try
        {
            while (await input.ReadAsync(buffer, _stop.Token) is var count and > 0)
            {
                if (Latency > TimeSpan.Zero)
                    await Task.Delay(Latency, _stop.Token);
                // What comes after a gap would be understood by nobody.
                if (isDeaf |= isRequest ? LosesRequests : LosesAnswers)
                    continue;
                var passed = 0;
                foreach (var (step, at) in reader.Read(buffer.AsSpan(0, count)))
                {
                    if (!IsReached(step))
                        continue;
                    // What came before the step has happened.
                    await output.WriteAsync(buffer.AsMemory(passed, Math.Max(0, at - passed)), _stop.Token);
                    passed = Math.Max(passed, at);
                    break;
                }
                Task held;
                lock (_lock)
                    held = _held.Task;
                await held;
                await output.WriteAsync(buffer.AsMemory(passed, count - passed), _stop.Token);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // One side is gone; the other learns it in a moment.
        }
    }

    private bool IsReached(WireStep step)
    {
        lock (_lock)
        {
            if (_trap is not { } trap || trap.Step != step)
                return false;
            if (trap.Left > 1)
            {
                _trap = trap with { Left = trap.Left - 1 };
                return false;
            }
            _trap = null;
            _held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            trap.Reached.TrySetResult();
            return true;
        }
    }

    private sealed class Connection(TcpClient client, TcpClient server)
    {
        public void Reset()
        {
            foreach (var socket in new[] { client.Client, server.Client })
            {
                try
                {
                    // Without lingering a close is a reset.
                    socket?.Close(0);
                }
                catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
                {
                    // It was closed already.
                }
            }
        }
    }

    /// <summary>Finds the steps in one direction of one connection; which of the two protocols it is, its first byte says.</summary>
    private sealed class WireReader(bool isRequest)
    {
        private const int AmqpHeaderLength = 8, FrameHeaderLength = 7;
        private readonly List<byte> _frame = [];
        private bool? _isAmqp;
        private int _skip;

        /// <returns>Each step with where, in these bytes, its message begins; a step that began before them is at 0.</returns>
        public List<(WireStep Step, int At)> Read(ReadOnlySpan<byte> bytes)
        {
            if (_isAmqp is null)
            {
                // A client of the broker begins with the protocol's name; the broker with a method frame on channel 0.
                _isAmqp = isRequest ? bytes.StartsWith("AMQP"u8) : bytes is [1, 0, 0, ..];
                _skip = _isAmqp.Value && isRequest ? AmqpHeaderLength : 0;
            }
            return _isAmqp.Value ? ReadAmqp(bytes) : ReadPostgres(bytes);
        }

        private List<(WireStep, int)> ReadPostgres(ReadOnlySpan<byte> bytes)
        {
            // A query, or the word that a command is complete: a letter, four bytes of length, the text.
            var found = new List<(WireStep, int)>();
            for (var at = 0; at < bytes.Length;)
            {
                var next = bytes[at..].IndexOf("COMMIT\0"u8);
                if (next < 0)
                    break;
                at += next;
                if (at >= 5 && bytes[at - 5] == (isRequest ? 'Q' : 'C'))
                    found.Add((isRequest ? WireStep.Commit : WireStep.Committed, at - 5));
                at += 7;
            }
            return found;
        }

        private List<(WireStep, int)> ReadAmqp(ReadOnlySpan<byte> bytes)
        {
            const int method = 1, basic = 60, publish = 40, deliver = 60, ack = 80;
            var found = new List<(WireStep, int)>();
            var begin = 0;
            for (var at = 0; at < bytes.Length; at++)
            {
                if (_skip > 0)
                {
                    _skip--;
                    begin = at + 1;
                    continue;
                }
                _frame.Add(bytes[at]);
                // A heartbeat has no payload at all.
                if (_frame.Count == FrameHeaderLength && PayloadLength() is var length and < 4)
                {
                    _skip = length + 1;
                    _frame.Clear();
                    continue;
                }
                if (_frame.Count < FrameHeaderLength + 4)
                    continue;
                var frame = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_frame);
                if (frame[0] == method && BinaryPrimitives.ReadUInt16BigEndian(frame[7..]) == basic)
                {
                    switch (BinaryPrimitives.ReadUInt16BigEndian(frame[9..]), isRequest)
                    {
                        case (publish, true):
                            found.Add((WireStep.Publish, begin));
                            break;
                        case (ack, true):
                            found.Add((WireStep.Acknowledge, begin));
                            break;
                        case (ack, false):
                            found.Add((WireStep.Confirm, begin));
                            break;
                        case (deliver, false):
                            found.Add((WireStep.Deliver, begin));
                            break;
                    }
                }
                // The rest of the payload, and the byte that ends the frame.
                _skip = PayloadLength() - 4 + 1;
                _frame.Clear();
            }
            return found;
        }

        private int PayloadLength() => checked((int)BinaryPrimitives.ReadUInt32BigEndian(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_frame)[3..]));
    }
}
