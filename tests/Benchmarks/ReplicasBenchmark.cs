using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Benchmarks;

/// <summary>
/// Four processes of Matching beside one, on the same machine: what coordination costs where there are no more cores,
/// how often two of them want the same ledger, and how long nothing is decided when the one that decides dies or hangs.
/// </summary>
static class ReplicasBenchmark
{
    const int Many = 4, Bursts = 3, Responders = 318;
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <param name="Target">Of the ratio, or of the median where there is none.</param>
    sealed record Figure(string Name, string Unit, double Min, double Median, double Max, double? Beside, double? Ratio, string Target, bool Reached);

    sealed record Burst(double NeedsPerSecond, double CpuMillisecondsPerNeed, double ConflictShare);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var json = arguments.Contains("--json");
        var (needs, turns, events) = (Machine.Number(arguments, "--needs", 3_000), Machine.Number(arguments, "--turns", 3), Machine.Number(arguments, "--events", 1_000_000));
        var only = Machine.Only(arguments, "bursts", "lives", "gaps", "join");
        await using var infrastructure = await LocalInfrastructure.StartAsync("bench", Narrator.ToError());
        var figures = new List<Figure>();
        if (only is null or "bursts")
            await BesideOneAsync();
        if (only is null or "lives")
            await AnsweredAsync();
        if (only is null or "gaps")
            await TakenAwayAsync();
        if (only is null or "join")
            await JoinsAsync();

        return Machine.Close(json, figures);

        async Task BesideOneAsync()
        {
            var (alone, together, hot) = (new List<Burst>(), new List<Burst>(), new List<Burst>());
            for (var turn = 0; turn < turns; turn++)
            {
                alone.AddRange(await BurstsAsync(infrastructure, 1, needs, hotSpot: false));
                together.AddRange(await BurstsAsync(infrastructure, Many, needs, hotSpot: false));
                hot.AddRange(await BurstsAsync(infrastructure, Many, needs, hotSpot: true));
            }
            Add(Beside($"{Many} replicas, throughput", "needs/s", together, alone, burst => burst.NeedsPerSecond, "≥ 0.95 × one replica", ratio => ratio >= 0.95));
            Add(Beside($"{Many} replicas, processor time of all", "ms a need", together, alone, burst => burst.CpuMillisecondsPerNeed, "≤ 1.1 × one replica", ratio => ratio <= 1.1));
            Add(Plain($"{Many} replicas, conflicted commits in a burst", "%", [.. together.Select(burst => burst.ConflictShare * 100)], "≤ 0.5 %", median => median <= 0.5));
            Add(Beside($"{Many} replicas, one group with 200 places and all needs around it", "needs/s", hot, together, burst => burst.NeedsPerSecond, "≥ 0.5 × without", ratio => ratio >= 0.5));
        }

        async Task AnsweredAsync()
        {
            var lives = new List<double>();
            for (var turn = 0; turn < turns; turn++)
                lives.Add(100 * await LivesAsync(infrastructure, needs));
            Add(Plain($"{Many} replicas, conflicted commits while every offer is answered at any of them", "%", lives, "≤ 0.5 %", median => median <= 0.5));
        }

        async Task TakenAwayAsync()
        {
            var (killed, frozen) = (new List<double>(), new List<double>());
            for (var turn = 0; turn < turns; turn++)
            {
                killed.Add(await GapAsync(infrastructure, process => process.KillAsync(), told: true));
                frozen.Add(await GapAsync(infrastructure, process =>
                {
                    process.Freeze();
                    return Task.CompletedTask;
                }, told: false));
            }
            Add(Plain("the replica that relays and decides is killed: until offers are told again", "s", killed, "≤ 3 s", median => median <= 3));
            Add(Plain("it hangs (SIGSTOP): until needs are decided again", "s", frozen, "≤ 15 s, two missed heartbeats", median => median <= 15));
        }

        async Task JoinsAsync()
        {
            var (shortLog, longLog) = await JoinAsync(infrastructure, needs, turns, events);
            Add(BesideValues($"a replica joins with {events.ToString("N0", CultureInfo.InvariantCulture)} events in the log: from the start of its process to its first decision", "s", longLog.Decided, shortLog.Decided, "≤ 2 s", _ => Machine.Median(longLog.Decided) <= 2));
            Add(BesideValues("of that until it is ready", "s", longLog.Ready, shortLog.Ready, "≤ 3 s", _ => Machine.Median(longLog.Ready) <= 3));
        }

        void Add(Figure figure)
        {
            figures.Add(figure);
            if (!json)
                Console.WriteLine($"{figure.Name}: {figure.Median:0.##} {figure.Unit} ({figure.Min:0.##} to {figure.Max:0.##}){(figure.Ratio is { } ratio ? $", beside {figure.Beside:0.##}: {ratio:0.00} ×" : "")}; target {figure.Target}: {(figure.Reached ? "reached" : "not reached")}");
        }
    }

    static Figure Beside(string name, string unit, List<Burst> ours, List<Burst> others, Func<Burst, double> value, string target, Func<double, bool> reached) =>
        BesideValues(name, unit, ours.ConvertAll(burst => value(burst)), others.ConvertAll(burst => value(burst)), target, reached);

    static Figure BesideValues(string name, string unit, List<double> ours, List<double> others, string target, Func<double, bool> reached)
    {
        var ratio = Machine.Median(ours) / Machine.Median(others);
        return new Figure(name, unit, ours.Min(), Machine.Median(ours), ours.Max(), Machine.Median(others), ratio, target, reached(ratio));
    }

    static Figure Plain(string name, string unit, List<double> values, string target, Func<double, bool> reached) =>
        new(name, unit, values.Min(), Machine.Median(values), values.Max(), null, null, target, reached(Machine.Median(values)));

    /// <summary>Needs that all come at once, until the last one has its offer; a first burst, not counted, warms the processes.</summary>
    static async Task<List<Burst>> BurstsAsync(LocalInfrastructure infrastructure, int replicas, int needs, bool hotSpot)
    {
        var random = new Random(1);
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, replicas);
        await fleet.ListAsync(Groups(random, placesInAll: needs * (Bursts + 1) * 3 / 2, hotSpot));
        var bursts = new List<Burst>();
        for (var burst = 0; burst <= Bursts; burst++)
        {
            var bodies = Enumerable.Range(0, needs).Select(_ => MatchingFleet.Serialize(new NeedSubmitted(Need(random, hotSpot), DateTimeOffset.UtcNow))).ToList();
            var before = await fleet.CountsAsync();
            var watch = Stopwatch.StartNew();
            foreach (var body in bodies)
                await fleet.SayAsync(typeof(NeedSubmitted), body);
            await fleet.UntilOffersAsync((long)needs * (burst + 1), Patience);
            var seconds = watch.Elapsed.TotalSeconds;
            var counts = await fleet.CountsAsync() - before;
            if (burst > 0)
                bursts.Add(new Burst(needs / seconds, counts.CpuSeconds * 1000 / needs, counts.ConflictShare));
        }
        await fleet.CheckAsync(needs * (Bursts + 1));
        return bursts;
    }

    /// <summary>Every offer is told, accepted and done, over HTTP at any of the processes, while new needs come in.</summary>
    static async Task<double> LivesAsync(LocalInfrastructure infrastructure, int needs)
    {
        const int PerSecond = 40;
        var random = new Random(2);
        var answers = new ConcurrentBag<Task>();
        MatchingFleet? fleet = null;
        await using var started = fleet = await MatchingFleet.StartAsync(infrastructure, Many, offer =>
        {
            answers.Add(Task.Run(async () =>
            {
                var replica = 1 + Math.Abs(offer.OfferId.GetHashCode() % Many);
                await fleet!.AnswerAsync(replica, offer.OfferId, "accept");
                await fleet.AnswerAsync(1 + replica % Many, offer.OfferId, "complete");
            }));
            return Task.CompletedTask;
        });
        needs = Math.Min(needs, PerSecond * 15);
        await fleet.ListAsync(Groups(random, placesInAll: needs * 2, hotSpot: false));
        var before = await fleet.CountsAsync();
        var watch = Stopwatch.StartNew();
        for (var need = 0; need < needs; need++)
        {
            if (TimeSpan.FromSeconds((double)need / PerSecond) - watch.Elapsed is { Ticks: > 0 } early)
                await Task.Delay(early);
            await fleet.SayAsync(new NeedSubmitted(Need(random, hotSpot: false), DateTimeOffset.UtcNow));
        }
        await fleet.UntilAsync("select count(*) from huzhu.mt_events where type = 'help_completed'", needs, Patience);
        await Task.WhenAll(answers);
        var counts = await fleet.CountsAsync() - before;
        await fleet.CheckAsync(needs);
        return counts.ConflictShare;
    }

    /// <param name="told">Until offers reach the other services again; else until they are in the log.</param>
    /// <returns>The longest time without an offer, in seconds, among needs that come steadily while one process is taken away.</returns>
    static async Task<double> GapAsync(LocalInfrastructure infrastructure, Func<ServiceProcess, Task> take, bool told)
    {
        const int PerSecond = 50;
        var random = new Random(3);
        var heard = new ConcurrentQueue<DateTimeOffset>();
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, Many, _ =>
        {
            heard.Enqueue(DateTimeOffset.UtcNow);
            return Task.CompletedTask;
        });
        await fleet.ListAsync(Groups(random, placesInAll: 10_000, hotSpot: false));
        using var stop = new CancellationTokenSource();
        var said = 0;
        var saying = Task.Run(async () =>
        {
            var watch = Stopwatch.StartNew();
            for (; !stop.IsCancellationRequested; said++)
            {
                if (TimeSpan.FromSeconds((double)said / PerSecond) - watch.Elapsed is { Ticks: > 0 } early)
                    await Task.Delay(early);
                await fleet.SayAsync(new NeedSubmitted(Need(random, hotSpot: false), DateTimeOffset.UtcNow));
            }
        });
        await Task.Delay(3_000);
        var at = DateTimeOffset.UtcNow;
        await take(fleet[1]);
        // Whatever was under way is told; then the others go on.
        await Task.Delay(20_000);
        await stop.CancelAsync();
        await saying;
        await fleet.UntilOffersAsync(said, Patience);
        var offers = told ? [.. heard] : await fleet.OfferTimesAsync();
        var times = offers.Where(time => time >= at).Prepend(at).Append(DateTimeOffset.UtcNow).Order().ToList();
        var gap = times.Zip(times.Skip(1), (before, after) => (after - before).TotalSeconds).Max();
        if (fleet[1].IsAlive)
            fleet[1].Thaw();
        await fleet.CheckAsync(said);
        return gap;
    }

    /// <summary>Nobody is there but a need that waits in the queue; then a process starts. First with the log of some needs, then with one that has been made long.</summary>
    /// <returns>Seconds from its start, at each turn.</returns>
    static async Task<((List<double> Ready, List<double> Decided) Short, (List<double> Ready, List<double> Decided) Long)> JoinAsync(LocalInfrastructure infrastructure, int needs, int turns, long events)
    {
        var random = new Random(4);
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, 1);
        await fleet.ListAsync(Groups(random, placesInAll: needs * 3, hotSpot: false));
        for (var need = 0; need < needs; need++)
            await fleet.SayAsync(new NeedSubmitted(Need(random, hotSpot: false), DateTimeOffset.UtcNow));
        await fleet.UntilOffersAsync(needs, Patience);
        var said = needs;
        var before = await StartsAsync();
        await fleet.CheckAsync(said);
        await fleet[1].StopAsync();
        await fleet.LengthenLogAsync(events);
        return (before, await StartsAsync());

        async Task<(List<double> Ready, List<double> Decided)> StartsAsync()
        {
            var (ready, decided) = (new List<double>(), new List<double>());
            // The first start of each fills the caches.
            for (var turn = 0; turn <= turns; turn++)
            {
                await fleet[1].StopAsync();
                await fleet.SayAsync(new NeedSubmitted(Need(random, hotSpot: false), DateTimeOffset.UtcNow));
                var at = DateTimeOffset.UtcNow;
                await fleet[1].RestartAsync();
                var readyAfter = (DateTimeOffset.UtcNow - at).TotalSeconds;
                await fleet.UntilOffersAsync(++said, Patience);
                if (turn == 0)
                    continue;
                ready.Add(readyAfter);
                decided.Add(((await fleet.OfferTimesAsync()).Max() - at).TotalSeconds);
            }
            return (ready, decided);
        }
    }

    static List<ResponderChanged> Groups(Random random, int placesInAll, bool hotSpot)
    {
        var groups = Enumerable.Range(0, Responders).Select(number => Group(City.InTheCore(random), placesInAll / Responders + 1, number)).ToList();
        if (hotSpot)
            groups.Add(Group(Centre, 200, Responders));
        return groups;

        ResponderChanged Group(GeoPoint place, int capacity, int number) => new(ResponderId.Of(City.Id(random)), ResponderKind.Group, 1, Opening.Open, null, null,
            [new Site(place, "J")], 20_000, [], [ServiceKinds.All[number % 3], ServiceKinds.All[3 + number % (ServiceKinds.All.Count - 3)], ServiceKinds.Meals], [DeliveryMode.Online, DeliveryMode.Offline],
            number % 3 == 0 ? [CommunicationNeed.SignLanguage] : [], capacity, false, null, [], DateTimeOffset.UtcNow);
    }

    static readonly GeoPoint Centre = new(31.22, 121.44);

    static Need Need(Random random, bool hotSpot) => new(NeedId.Of(City.Id(random)), RequestId.Of(City.Id(random)), PersonId.Of(City.Id(random)), ServiceKinds.Meals, DeliveryMode.Offline, 1,
        hotSpot ? new GeoPoint(Centre.Latitude + random.NextDouble() * 0.002, Centre.Longitude + random.NextDouble() * 0.002) : City.InTheCore(random), "J",
        Urgency.Hardship, random.Next(10) == 0 ? [CommunicationNeed.SignLanguage] : [], null, [], DateTimeOffset.UtcNow);
}
