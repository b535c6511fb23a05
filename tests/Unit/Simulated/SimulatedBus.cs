namespace Huzhu.Tests.Unit.Simulated;

internal sealed class Delivery(string queue, Guid id, object message)
{
    public string Queue { get; } = queue;
    public Guid Id { get; } = id;
    public object Message { get; } = message;
    public bool IsTaken { get; set; }
    public int Failures { get; set; }
}

/// <summary>
/// The broker: what it has confirmed it keeps until it is acknowledged, and that is all it promises. It delivers in any
/// order, more than once, and late.
/// </summary>
internal sealed class SimulatedBus(Chance chance, Faults faults)
{
    private readonly Dictionary<Type, List<string>> _bindings = [];
    private readonly HashSet<(string Queue, Guid Id)> _routed = [];

    public List<Delivery> Waiting { get; } = [];
    public List<Delivery> SetAside { get; } = [];
    public int Delivered { get; private set; }

    public void Bind<TMessage>(string queue)
    {
        if (!_bindings.TryGetValue(typeof(TMessage), out var queues))
            _bindings[typeof(TMessage)] = queues = [];
        queues.Add(queue);
    }

    public void Publish(Guid id, object message)
    {
        if (!_bindings.TryGetValue(message.GetType(), out var queues))
            throw new InvalidOperationException($"Nobody listens to {message.GetType()}.");
        foreach (var queue in queues)
        {
            _routed.Add((queue, id));
            var copies = faults.On && chance.Below(100) < 20 ? 1 + chance.Below(5) : 1;
            for (var copy = 0; copy < copies; copy++)
                Waiting.Add(new Delivery(queue, id, message));
        }
    }

    public bool WasRouted(string queue, Guid id) => _routed.Contains((queue, id));
    public IEnumerable<string> QueuesOf(object message) => _bindings[message.GetType()];

    /// <summary>Any message that nobody has in hand, among the first fifty.</summary>
    public Delivery? Take()
    {
        var free = Waiting.Where(delivery => !delivery.IsTaken).Take(50).ToList();
        if (free.Count == 0)
            return null;
        var taken = chance.Pick(free);
        taken.IsTaken = true;
        Delivered++;
        return taken;
    }

    /// <summary>The acknowledgement may be lost on the way; then the message comes again.</summary>
    public void Acknowledge(Delivery delivery)
    {
        if (faults.On && chance.OneIn(10))
            delivery.IsTaken = false;
        else
            Waiting.Remove(delivery);
    }
}

/// <summary>Whether things go wrong now: at the end of a history they no longer do, so that it can come to rest.</summary>
internal sealed class Faults
{
    public bool On { get; set; } = true;
}
