using Huzhu.Contracts;
using Huzhu.Matching.Ranking;

namespace Huzhu.TestKit;

/// <summary>Random directories that change between random searches, and what a look at everybody gives.</summary>
public static class IndexCases
{
    private const int SearchesInADirectory = 100;

    private sealed record Known(GeoPoint Place, double Reach, ulong Traits, double Load, ulong Order);

    /// <returns>What was wrong first, or null.</returns>
    public static string? FirstWrong(int seed, int searches)
    {
        for (var done = 0; done < searches; done += SearchesInADirectory, seed++)
        {
            if (Directory(seed) is { } wrong)
                return $"Directory {seed}: {wrong}";
        }
        return null;
    }

    private static string? Directory(int seed)
    {
        var random = new Random(seed);
        var somewhere = Somewhere(random);
        var index = new SpatialIndex();
        var known = new Dictionary<int, Known>();
        ulong order = 0;
        for (var count = random.Next(300); count > 0; count--)
            Add();
        for (var search = 0; search < SearchesInADirectory; search++)
        {
            for (var change = random.Next(4); change > 0; change--)
                Change();
            var wanted = Bits(random, random.Next(3));
            var matching = known.Where(one => (one.Value.Traits & wanted) == wanted);
            var few = random.Next(4) > 0 ? random.Next(1, 6) : int.MaxValue;
            if (random.Next(4) == 0)
            {
                var expected = matching.OrderBy(one => one.Value.Load).ThenBy(one => one.Value.Order).Select(one => one.Key).Take(few).ToList();
                index.SearchLight(wanted);
                if (!Given(expected.Count, few, _ => true).SequenceEqual(expected))
                    return $"search {search} by load";
                continue;
            }
            var (point, withinReach) = (somewhere(), random.Next(2) == 0);
            var near = matching.Select(one => (Handle: one.Key, one.Value, Metres: Sphere.DistanceMetres(point, one.Value.Place)))
                .Where(one => !withinReach || one.Metres <= one.Value.Reach).OrderBy(one => one.Metres).ThenBy(one => one.Value.Order).ToList();
            index.SearchNear(point, wanted, withinReach);
            var given = Given(Math.Min(near.Count, few), few, handle => !withinReach || Sphere.DistanceMetres(point, known[handle].Place) <= known[handle].Reach);
            if (given.Count != Math.Min(near.Count, few) || given.Distinct().Count() != given.Count)
                return $"search {search} gave {given.Count} of {near.Count}";
            for (var at = 0; at < given.Count; at++)
            {
                if (given[at] == near[at].Handle)
                    continue;
                // Two ways to reckon a distance differ by what doubles cannot hold: about a ten-millionth of a metre, and more near the antipode.
                var (one, metres) = (known[given[at]], Sphere.DistanceMetres(point, known[given[at]].Place));
                var passedOver = near.Exists(other => other.Value.Place == one.Place && other.Value.Order < one.Order && !given[..at].Contains(other.Handle));
                if ((one.Traits & wanted) != wanted || passedOver || Math.Abs(metres - near[at].Metres) > 1e-6 + 1e-8 * metres)
                    return $"search {search} gave one at {metres} m where {near[at].Metres} m was right";
            }
        }
        return null;

        List<int> Given(int expected, int few, Predicate<int> counts)
        {
            var given = new List<int>();
            // One more than there should be, where all are asked for.
            while (given.Count < (few == int.MaxValue ? expected + 1 : expected) && index.Next(out var handle, out _))
            {
                if (counts(handle))
                    given.Add(handle);
            }
            return given;
        }

        void Add()
        {
            var reach = random.Next(3) == 0 ? double.PositiveInfinity : Math.Pow(10, random.NextDouble() * 7);
            var one = new Known(somewhere(), reach, Bits(random, random.Next(7)), random.Next(4) / 4.0, ((ulong)random.Next() << 32) + ++order);
            known[index.Add(one.Place, one.Reach, one.Traits, one.Load, one.Order)] = one;
        }

        void Change()
        {
            var what = random.Next(10);
            if (known.Count == 0 || what < 3)
            {
                // Now and then more than the index has spare leaves for.
                for (var more = random.Next(200) == 0 ? 300 : 1; more > 0; more--)
                    Add();
                return;
            }
            var (handle, one) = known.ElementAt(random.Next(known.Count));
            if (what < 6)
            {
                known.Remove(handle);
                index.Remove(handle);
                return;
            }
            known[handle] = one with { Traits = Bits(random, random.Next(7)), Load = random.Next(4) / 4.0 };
            index.Update(handle, known[handle].Traits, known[handle].Load);
        }
    }

    private static ulong Bits(Random random, int count)
    {
        var bits = 0ul;
        for (; count > 0; count--)
            bits |= 1ul << random.Next(12) * random.Next(1, 6);
        return bits & SpatialIndex.AllTraits;
    }

    /// <summary>A city, the same over the antimeridian or a pole, the whole Earth, or a few places that all share.</summary>
    private static Func<GeoPoint> Somewhere(Random random)
    {
        var (latitude, longitude) = random.Next(4) switch { 0 => (31.22, 121.44), 1 => (-17.0, 180.0), 2 => (90.0, 0.0), _ => (-90.0, 0.0) };
        double Spread() => (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) / 15;
        GeoPoint Near()
        {
            var (north, east) = (latitude + Spread(), longitude + Spread() * (Math.Abs(latitude) == 90 ? 1_800 : 1));
            return new GeoPoint(Math.Clamp(north, -90, 90), Math.IEEERemainder(east, 360));
        }
        GeoPoint Anywhere() => new(180 * random.NextDouble() - 90, 360 * random.NextDouble() - 180);
        GeoPoint[] few = [Near(), Near(), Anywhere(), new(90, 10), new(90, -120), new(0, 180), new(0, -180)];
        return random.Next(4) switch { 0 => Anywhere, 1 => () => few[random.Next(few.Length)], 2 => () => random.Next(3) > 0 ? Near() : few[random.Next(few.Length)], _ => Near };
    }
}
