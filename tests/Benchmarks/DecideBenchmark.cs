using System.Diagnostics;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Benchmarks;

/// <summary>
/// Who gets a need, in memory: hard rules, order and explanation over directories of growing size, responders and needs
/// clustered like a city. Decisions a second on one thread; the sizes take turns, so that noise meets all of them alike.
/// </summary>
static class DecideBenchmark
{
    const int Rounds = 5, NeedsInARound = 200;
    static readonly int[] Sizes = [318, 3_180, 31_800, 100_000];
    static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 0, 0, TimeSpan.Zero);
    static readonly string[] Kinds = [.. ServiceKinds.All];

    sealed record Figure(int Responders, double DecisionsPerSecondMin, double DecisionsPerSecondMedian, double DecisionsPerSecondMax, double MicrosecondsMedian, long BytesPerDecision);

    public static Task<int> RunAsync(string[] arguments)
    {
        var cases = Sizes.Select(size => (Size: size, Roster: Directory(size), Needs: Needs(size))).ToList();
        var perSecond = Sizes.ToDictionary(size => size, _ => new List<double>());
        var bytes = new Dictionary<int, long>();
        var policy = PolicyState.Evolve(PolicyState.Initial, (PolicyEvent)PolicyState.DecideFirst(PolicyState.Initial, Now).Events[0]);
        var zones = new Zones(MeasuresState.Initial);
        foreach (var warm in cases)
            Measure(warm.Roster, warm.Needs);
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var one in cases)
            {
                var before = GC.GetAllocatedBytesForCurrentThread();
                perSecond[one.Size].Add(Measure(one.Roster, one.Needs));
                bytes[one.Size] = (GC.GetAllocatedBytesForCurrentThread() - before) / NeedsInARound;
            }
        }

        var figures = Sizes.Select(size =>
        {
            var sorted = perSecond[size].Order().ToList();
            return new Figure(size, Math.Round(sorted[0]), Math.Round(sorted[Rounds / 2]), Math.Round(sorted[^1]), Math.Round(1e6 / sorted[Rounds / 2], 1), bytes[size]);
        }).ToList();
        if (arguments.Contains("--json"))
        {
            Console.WriteLine(JsonSerializer.Serialize(figures, JsonSerializerOptions.Web));
            return Task.FromResult(0);
        }
        Console.WriteLine($"{"responders",12}{"decisions/s, median",22}{"min",10}{"max",10}{"microseconds",14}{"bytes",10}");
        foreach (var figure in figures)
            Console.WriteLine($"{figure.Responders,12:N0}{figure.DecisionsPerSecondMedian,22:N0}{figure.DecisionsPerSecondMin,10:N0}{figure.DecisionsPerSecondMax,10:N0}{figure.MicrosecondsMedian,14:N1}{figure.BytesPerDecision,10:N0}");
        return Task.FromResult(0);

        double Measure(Roster roster, IReadOnlyList<MatchState> needs)
        {
            var started = Stopwatch.GetTimestamp();
            var found = 0;
            foreach (var need in needs)
                found += Ranker.Rank(need, roster, policy, zones, Now).Best is null ? 0 : 1;
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return found > 0 ? needs.Count / seconds : throw new InvalidOperationException("Nobody was found for any need: the benchmark would measure nothing.");
        }
    }

    /// <summary>Dense in the middle, thin at the edge; every tenth is full.</summary>
    static Roster Directory(int size)
    {
        var random = new Random(1);
        var roster = new Roster();
        for (var number = 0; number < size; number++)
        {
            var profile = new Profile(number % 19 == 0 ? ResponderKind.Provider : ResponderKind.Group, [new Site(City.InTheCore(random), "J")], 5_000, [],
                [Kinds[random.Next(Kinds.Length)], Kinds[random.Next(Kinds.Length)]], [DeliveryMode.Online, DeliveryMode.Offline],
                random.Next(4) == 0 ? [CommunicationNeed.SignLanguage] : [], number % 10 == 0 ? 0 : 5, false, null, []);
            roster.Set(ResponderId.Of(City.Id(random)), new ResponderState(profile, Opening.Open, 1, ResponderState.Initial.Held, 1));
        }
        return roster;
    }

    static List<MatchState> Needs(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, NeedsInARound).Select(_ =>
        {
            var need = new Need(NeedId.Of(City.Id(random)), RequestId.Of(City.Id(random)), PersonId.Of(City.Id(random)), Kinds[random.Next(Kinds.Length)], DeliveryMode.Offline, 1,
                City.InTheCore(random), "J", Urgency.Hardship, random.Next(10) == 0 ? [CommunicationNeed.SignLanguage] : [], null, [], Now);
            return MatchState.Evolve(MatchState.Initial, new NeedReceived(need, Now));
        })];
    }
}
