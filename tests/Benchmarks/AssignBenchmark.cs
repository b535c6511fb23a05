using System.Diagnostics;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Benchmarks;

/// <summary>
/// Many needs at once: what assigning them together gives, beside the best that there is and beside one after another.
/// The best is not taken from the code under test: its prices give, by weak duality, a sum that no assignment can be
/// below, worked out over every pair of need and responder.
/// </summary>
static class AssignBenchmark
{
    const int Rounds = 5;
    static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 0, 0, TimeSpan.Zero);
    static readonly PolicyState Policy = PolicyState.Evolve(PolicyState.Initial, (PolicyEvent)PolicyState.DecideFirst(PolicyState.Initial, Now).Events[0]);
    static readonly Zones Zones = new(MeasuresState.Initial);
    static readonly string[] Kinds = [.. ServiceKinds.All];

    sealed record Together(string Case, int Needs, int Responders, int Places, int Served, double SecondsMin, double SecondsMedian, double SecondsMax,
        int Solves, double Metres, double BoundMetres, double Ratio, int OneByOneServed, double OneByOneRatio);

    /// <param name="Ratio">Of the way to each that is served, to the least there is for whoever knows all needs beforehand.</param>
    sealed record Trickle(string Case, int Needs, double OptimumServed, double OptimumMetres, double Served, double Ratio, double PricedServed, double PricedRatio, string Target, bool? Reached);

    /// <param name="Metres">A need, of those that are served.</param>
    sealed record Flowing(string Case, int Needs, double Served, double Metres, double PricedServed, double PricedMetres);

    public static Task<int> RunAsync(string[] arguments)
    {
        var (json, seed) = (arguments.Contains("--json"), Machine.Number(arguments, "--seed", 1));
        var trickles = new List<Trickle>();
        foreach (var (load, target) in new[] { (0.67, ""), (0.8, "≤ 1.20 ×"), (0.97, "≥ 99.5 % served") })
        {
            foreach (var (clustered, kinds) in new[] { (false, 2), (true, 2), (false, Kinds.Length * 2 / 3) })
            {
                var one = MeasureTrickle(seed, 5_000, 318, load, clustered, kinds, target);
                trickles.Add(one);
                if (!json)
                    Console.WriteLine($"{one.Case}: the optimum serves {one.OptimumServed:P1}, {one.OptimumMetres:N0} m each; one by one {one.Served:P2} at {one.Ratio:N3} × its distance; with prices {one.PricedServed:P2} at {one.PricedRatio:N3} ×{(one.Reached is { } reached ? $"; target {one.Target}: {(reached ? "reached" : "not reached")}" : "")}");
            }
        }
        var flows = new List<Flowing>();
        foreach (var load in new[] { 0.67, 0.8, 0.95 })
        {
            var one = MeasureFlowing(seed, 5_000, 318, load);
            flows.Add(one);
            if (!json)
                Console.WriteLine($"{one.Case}: one by one {one.Served:P2} served at once, {one.Metres:N0} m each; with prices {one.PricedServed:P2}, {one.PricedMetres:N0} m");
        }
        var reports = new List<Together>();
        foreach (var (needs, groups, load) in arguments.Contains("--trickle") ? [] : new[] { (5_000, 318, 0.8), (5_000, 318, 0.97), (50_000, 5_000, 0.8) })
        {
            var one = Measure(needs, groups, load);
            reports.Add(one);
            if (!json)
            {
                Console.WriteLine($"{one.Case}: {one.Served:N0} of {one.Needs:N0} served in {one.SecondsMedian:N2} s ({one.SecondsMin:N2} to {one.SecondsMax:N2}), {one.Solves} solves; "
                    + $"{one.Metres / one.Served:N0} m a need, {one.Ratio:N4} × the bound; one by one: {one.OneByOneServed:N0} served, {one.OneByOneRatio:N3} ×");
            }
        }
        var machine = Machine.Description;
        Console.WriteLine(json ? JsonSerializer.Serialize(new { machine, trickle = trickles, flowing = flows, together = reports }, JsonSerializerOptions.Web) : machine);
        return Task.FromResult(0);
    }

    static Together Measure(int count, int groups, double load)
    {
        var random = new Random(1);
        var needs = Needs(random, count);
        // As many places as the load asks for, spread unevenly.
        var roster = Directory(random, groups, (int)(count / load));
        var seconds = new List<double>();
        Draft draft = null!;
        for (var round = 0; round < Rounds; round++)
        {
            var started = Stopwatch.GetTimestamp();
            draft = Planner.Assign(needs, roster, Policy, Zones, Now);
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
        seconds.Sort();
        var bound = Bound(needs, roster, draft);
        var (served, metres) = OneByOne(needs, roster);
        return new Together($"{count:N0} needs, {groups:N0} groups, {load:P0} of the places", count, groups, roster.All.Sum(listing => listing.State.Capacity), draft.Event.Served,
            seconds[0], seconds[Rounds / 2], seconds[^1], draft.Rounds, Distance(needs, roster, draft), bound, Distance(needs, roster, draft) / bound,
            served, metres / bound);
    }

    /// <summary>
    /// A day of needs that come one after the other, are decided at once and hold their places for good, beside what somebody
    /// would do who knew them all. Prices are worked out by what Matching works them out with, from the needs of the last
    /// twenty-four hours; the day before was one like it, of other people.
    /// </summary>
    static Trickle MeasureTrickle(int seed, int count, int groups, double load, bool clustered, int kinds, string target)
    {
        var random = new Random(2 * seed - 1);
        var (before, needs) = (Needs(random, count, clustered), Needs(random, count, clustered));
        Roster Groups() => Directory(new Random(2 * seed), groups, (int)(count / load), kinds);
        // Whoever is left without somebody is so whatever comes first: the optimum is the shortest way to as many as can be served.
        var (all, free) = (Planner.Assign(needs, Groups(), Policy, Zones, Now, 10_000_000), Groups());
        var optimum = all.Event;
        if (Distance(needs, free, all) > 1.0001 * Bound(needs, free, all))
            throw new InvalidOperationException("What was taken for the optimum is not proved to be it.");
        var (served, metres) = OneByOne(needs, Groups());
        var (pricedServed, pricedMetres) = OneByOne(needs, Groups(), before);
        var least = optimum.DistanceMetres / optimum.Served;
        var (ratio, pricedRatio) = (metres / served / least, pricedMetres / pricedServed / least);
        return new Trickle($"trickle, {count:N0} needs, {groups:N0} groups of {kinds} service kinds, {load:P0} of the places{(clustered ? ", half of the needs at the edge" : "")}", count,
            (double)optimum.Served / count, least, (double)served / optimum.Served, ratio, (double)pricedServed / optimum.Served, pricedRatio, target,
            target == "" ? null : target.StartsWith('≤') ? pricedRatio <= 1.2 : pricedServed >= 0.995 * optimum.Served);
    }

    /// <summary>The same where help ends: each place comes back after a day, and the second day is counted. Nobody waits: who finds no place is not served.</summary>
    static Flowing MeasureFlowing(int seed, int count, int groups, double load)
    {
        var random = new Random(2 * seed - 1);
        var (before, needs) = (Needs(random, count), Needs(random, count));
        Roster Groups() => Directory(new Random(2 * seed), groups, (int)(count / load), 2);
        List<MatchState> all = [.. before, .. needs];
        var (served, metres) = OneByOne(all, Groups(), holdsFor: count);
        var (pricedServed, pricedMetres) = OneByOne(all, Groups(), [], holdsFor: count);
        return new Flowing($"places come back, {count:N0} needs a day, {groups:N0} groups of 2 service kinds, {load:P0} of the places", count,
            (double)served / count, metres / served, (double)pricedServed / count, pricedMetres / pricedServed);
    }

    static double Distance(IReadOnlyList<MatchState> needs, Roster roster, Draft draft) => needs.Zip(draft.Event.Assigned).Sum(pair => pair.Second.ResponderIds.Sum(id => DistanceTo(pair.First, roster.StateOf(id))));

    /// <summary>No assignment that serves as many is shorter: the least distance plus price of each need, less what the places are worth.</summary>
    static double Bound(IReadOnlyList<MatchState> needs, Roster roster, Draft draft)
    {
        var prices = draft.Event.Prices.ToDictionary(price => price.ResponderId, price => price.Metres);
        var responders = roster.All.Select(listing => (listing.State, Price: prices.GetValueOrDefault(listing.Id))).ToList();
        var bound = -responders.Sum(responder => responder.Price * responder.State.Free);
        Parallel.ForEach(needs.Zip(draft.Event.Assigned).Where(pair => pair.Second.ResponderIds.Count > 0).Select(pair => pair.First), () => 0.0, (need, _, sum) =>
        {
            var least = double.PositiveInfinity;
            foreach (var (state, price) in responders)
            {
                if (CanServe(need.Need!, state))
                    least = Math.Min(least, DistanceTo(need, state) + price);
            }
            return sum + least;
        }, sum =>
        {
            lock (responders)
                bound += sum;
        });
        return bound;
    }

    /// <param name="before">Who came the day before, where prices are minded: worked out anew every 250 needs.</param>
    /// <param name="holdsFor">After how many more needs a place comes back; only those after as many are counted. 0: never, and all are.</param>
    static (int Served, double Metres) OneByOne(IReadOnlyList<MatchState> needs, Roster roster, IReadOnlyList<MatchState>? before = null, int holdsFor = 0)
    {
        const int Every = 250;
        var (served, metres) = (0, 0.0);
        var held = new Queue<(int Since, ResponderId Id, OfferId Offer)>();
        var known = before?.Concat(needs).Select(need => need.Need!).ToList();
        Plan? prices = null;
        for (var number = 0; number < needs.Count; number++)
        {
            var need = needs[number];
            while (holdsFor > 0 && held.TryPeek(out var oldest) && oldest.Since + holdsFor <= number)
            {
                held.Dequeue();
                roster.Set(oldest.Id, ResponderState.Evolve(roster.StateOf(oldest.Id), new PlaceReleased(oldest.Offer, need.Need!.NeedId, "done", Now)));
            }
            if (known is not null && number % Every == 0)
            {
                var past = known.Take(before!.Count + number).Reverse().Take(Math.Max(holdsFor, before.Count)).ToList();
                prices = Plan.Of(Pricer.Price([.. past.Take(Pricer.MostNeeds)], past.Count, roster.All, Policy, Zones, Now), number + 1);
            }
            if (Ranker.Rank(need, roster, Policy, Zones, Now, prices).Best is not { } best)
                continue;
            if (number >= holdsFor)
                (served, metres) = (served + 1, metres + DistanceTo(need, best.State));
            var offer = OfferId.Of(need.Need!.NeedId.Value);
            roster.Set(best.Id, ResponderState.Evolve(best.State, new PlaceHeld(offer, need.Need.NeedId, Now)));
            held.Enqueue((number, best.Id, offer));
        }
        return (served, metres);
    }

    static bool CanServe(Need need, ResponderState state) => state.Free > 0 &&
        state.Profile!.ServiceKinds.Any(kind => ServiceKinds.Covers(kind, need.Kind)) && need.Communication.All(state.Profile.CommunicationAbilities.Contains);

    static double DistanceTo(MatchState need, ResponderState state) => Sphere.DistanceMetres(need.Need!.Place, state.Profile!.Sites[0].Place);

    /// <summary>Groups at the density of a city; half of them sign, each has so many service kinds of the list: two thirds, where it is not said.</summary>
    static Roster Directory(Random random, int groups, int places, int? kinds = null)
    {
        var roster = new Roster();
        var capacities = new int[groups];
        for (var place = 0; place < places; place++)
            capacities[Math.Min(random.Next(groups), random.Next(groups))]++;
        foreach (var capacity in capacities)
        {
            var profile = new Profile(ResponderKind.Group, [new Site(City.Place(random), "J")], null, [],
                [.. Kinds.OrderBy(_ => random.Next()).Take(kinds ?? Kinds.Length * 2 / 3)], [DeliveryMode.Offline],
                random.Next(2) == 0 ? [CommunicationNeed.SignLanguage] : [], capacity, false, null, []);
            roster.Set(ResponderId.Of(City.Id(random)), new ResponderState(profile, Opening.Open, 1, ResponderState.Initial.Held, 1));
        }
        return roster;
    }

    static List<MatchState> Needs(Random random, int count, bool clustered = false) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        var need = new Need(NeedId.Of(City.Id(random)), RequestId.Of(City.Id(random)), PersonId.Of(City.Id(random)), Kinds[random.Next(Kinds.Length)], DeliveryMode.Offline, 1,
            clustered && random.Next(2) == 0 ? City.InTheCore(random) with { Longitude = 121.53 + random.NextDouble() * 0.04 } : City.Place(random), "J", Urgency.Hardship, random.Next(10) == 0 ? [CommunicationNeed.SignLanguage] : [], null, [], Now);
        return MatchState.Evolve(MatchState.Initial, new NeedReceived(need, Now));
    })];
}
