namespace Huzhu.Tests.Unit.Simulated;

/// <summary>Every choice of one history, from its seed alone (SplitMix64), so that the same seed is the same history on any machine.</summary>
internal sealed class Chance(ulong seed)
{
    private ulong _state = seed;

    public ulong Next()
    {
        var mixed = _state += 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }

    public int Below(int end) => (int)(Next() % (ulong)end);
    public bool OneIn(int count) => Below(count) == 0;
    public T Pick<T>(IReadOnlyList<T> of) => of[Below(of.Count)];
}
