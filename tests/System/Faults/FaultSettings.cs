using System.Globalization;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// How long and how hard, from the environment that <c>./huzhu test faults</c> sets; without it the short form, and of that
/// what fits into every run. <c>HUZHU_FAULTS=short</c> asks for the rest of it too.
/// </summary>
internal static class FaultSettings
{
    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("HUZHU_FAULTS") == "long";
    public static bool IsAsked { get; } = Environment.GetEnvironmentVariable("HUZHU_FAULTS") is "long" or "short";

    /// <summary>The short form breaks the same things every time; the long form is given a seed.</summary>
    public static int Seed { get; } = Number("HUZHU_FAULTS_SEED") ?? 1;

    public static int Kills { get; } = Number("HUZHU_FAULTS_KILLS") ?? 2;

    /// <summary>Requests submitted in a second while things are killed.</summary>
    public static int Rate { get; } = RateOr(50);

    /// <summary>The rate that was asked for, or what the target says in the long form.</summary>
    public static int RateOr(int target) => Number("HUZHU_FAULTS_RATE") ?? (IsLong ? target : 5);

    private static int? Number(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
