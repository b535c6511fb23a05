using Huzhu.Local.Infrastructure;

namespace Huzhu.TestKit;

/// <summary>
/// A network namespace for each node of a cluster, with one link to the other nodes, over a switch that has a namespace of
/// its own, and one to this machine. A link that is cut is silent: no reset, no refusal. The namespaces belong to
/// processes of the run and end with them, so nothing of them is left on the machine.
/// </summary>
public sealed class ClusterNetwork : IAsyncDisposable
{
    private const string ToOthers = "cluster", ToClients = "clients", Switch = "switch";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly IReadOnlyList<ChildProcess> _holders;

    private ClusterNetwork(IReadOnlyList<ChildProcess> holders, int number)
    {
        _holders = holders;
        Places = [.. holders.Skip(1).Select((holder, index) => new NodePlace(Enter(holder), $"198.18.{number}.{index * 4 + 2}", ClusterAddress(index)))];
    }

    private ChildProcess Hub => _holders[0];

    public IReadOnlyList<NodePlace> Places { get; }

    /// <returns>Why this machine makes no such network; null: it does.</returns>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellation)
    {
        if (new[] { "ip", "unshare", "nsenter" }.FirstOrDefault(program => Tool.Find(program) is null) is { } missing)
            return $"There is no {missing} here.";
        var tried = await Tool.RunAsync("unshare", ["--net", "ip", "link", "add", "name", "one", "type", "veth", "peer", "name", "other"], Limit, cancellation: cancellation);
        return tried.Succeeded ? null : $"No network namespaces here: {tried.Tail}";
    }

    public static async Task<ClusterNetwork> StartAsync(RunFolder run, int nodes, CancellationToken cancellation)
    {
        var holders = new List<ChildProcess>();
        for (var index = 0; index <= nodes; index++)
            holders.Add(await HoldAsync(run, cancellation));
        var (hub, members) = (holders[0], holders[1..]);
        await DoAsync([.. Enter(hub), "sh", "-ec", $"ip link add {Switch} type bridge; ip link set {Switch} up"], cancellation);

        var number = await ReserveAsync(members[0], cancellation);
        foreach (var (index, holder) in members.Index())
        {
            var (outside, subnet) = (Outside(number, index), $"198.18.{number}");
            await DoAsync([.. Enter(hub), "sh", "-ec",
                $"ip link add n{index} type veth peer name {ToOthers} netns {holder.Pid}; ip link set n{index} master {Switch} up"], cancellation);
            await DoAsync(["sh", "-ec",
                $"ip link show {outside} >/dev/null 2>&1 || ip link add {outside} type veth peer name {ToClients} netns {holder.Pid}; " +
                $"ip address add {subnet}.{index * 4 + 1}/30 dev {outside}; ip link set {outside} up"], cancellation);
            await DoAsync([.. Enter(holder), "sh", "-ec",
                $"ip link set lo up; ip address add {ClusterAddress(index)}/24 dev {ToOthers}; ip link set {ToOthers} up; " +
                $"ip address add {subnet}.{index * 4 + 2}/30 dev {ToClients}; ip link set {ToClients} up"], cancellation);
        }
        return new ClusterNetwork(holders, number);
    }

    /// <summary>The other nodes do not hear of it any more, nor it of them; clients do, unless they are cut off too.</summary>
    public async Task CutOffAsync(int node, bool fromClientsToo)
    {
        await DoAsync([.. Enter(Hub), "ip", "link", "set", $"n{node}", "nomaster"], CancellationToken.None);
        if (fromClientsToo)
            await DoAsync([.. Enter(_holders[node + 1]), "ip", "link", "set", ToClients, "down"], CancellationToken.None);
    }

    public async Task MendAsync(int node)
    {
        await DoAsync([.. Enter(_holders[node + 1]), "ip", "link", "set", ToClients, "up"], CancellationToken.None);
        await DoAsync([.. Enter(Hub), "ip", "link", "set", $"n{node}", "master", Switch], CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var holder in _holders)
            await holder.StopAsync(Signal.Kill, TimeSpan.FromSeconds(5));
    }

    private static string ClusterAddress(int index) => $"198.19.0.{index + 1}";

    private static string Outside(int number, int index) => $"hz{number}-{index}";

    private static string[] Enter(ChildProcess holder) => ["nsenter", $"--target={holder.Pid}", "--net"];

    /// <summary>A number for the network that no other run on this machine has: the first link's name says so.</summary>
    private static async Task<int> ReserveAsync(ChildProcess holder, CancellationToken cancellation)
    {
        for (var number = 1; ; number++)
        {
            var added = await Tool.RunAsync("ip", ["link", "add", Outside(number, 0), "type", "veth", "peer", "name", ToClients, "netns", $"{holder.Pid}"], Limit, cancellation: cancellation);
            if (added.Succeeded)
                return number;
            if (number == 250 || !added.Tail.Contains("File exists", StringComparison.Ordinal))
                throw new DidNotStartException($"The network of the cluster could not be made: {added.Tail}");
        }
    }

    /// <summary>A process that does nothing but have a namespace.</summary>
    private static async Task<ChildProcess> HoldAsync(RunFolder run, CancellationToken cancellation)
    {
        var holder = run.Start(new ChildStart("network", "unshare", ["--net", "sleep", "infinity"], new Dictionary<string, string?>(), Path.Combine(run.LogsFolder, "network.log")));
        var ours = File.ResolveLinkTarget("/proc/self/ns/net", returnFinalTarget: false)!.Name;
        while (holder.IsAlive)
        {
            if (File.ResolveLinkTarget($"/proc/{holder.Pid}/ns/net", returnFinalTarget: false)?.Name is { } its && its != ours)
                return holder;
            await Task.Delay(20, cancellation);
        }
        throw new DidNotStartException($"A network namespace could not be made: {holder.LogTail()}");
    }

    private static async Task DoAsync(IReadOnlyList<string> command, CancellationToken cancellation)
    {
        var done = await Tool.RunAsync(command[0], command.Skip(1), Limit, cancellation: cancellation);
        if (!done.Succeeded)
            throw new DidNotStartException($"{string.Join(' ', command)}: {done.Tail}");
    }
}
