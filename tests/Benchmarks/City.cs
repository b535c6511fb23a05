using Huzhu.Contracts;

namespace Huzhu.Benchmarks;

/// <summary>Places at the density of a city: nine tenths in the core, one tenth around it.</summary>
static class City
{
    public static GeoPoint Place(Random random) => random.Next(10) == 0
        ? new(31.22 + Spread(random) * 0.5, 121.44 + Spread(random) * 0.6)
        : InTheCore(random);

    public static GeoPoint InTheCore(Random random) => new(31.22 + Spread(random) * 0.05, 121.44 + Spread(random) * 0.06);

    public static Guid Id(Random random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        return new Guid(bytes);
    }

    static double Spread(Random random) => (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) / 1.5;
}
