using System.Globalization;

namespace Huzhu.SystemTests.Faults;

/// <summary>How long and how hard, from the environment that <c>./huzhu test faults</c> sets; without it the short form.</summary>
internal static class FaultSettings
{
    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("HUZHU_FAULTS") == "long";

    /// <summary>The short form breaks the same things every time; the long form is given a seed.</summary>
    public static int Seed { get; } = Number("HUZHU_FAULTS_SEED") ?? 1;

    public static int Kills { get; } = Number("HUZHU_FAULTS_KILLS") ?? 2;

    /// <summary>Requests submitted in a second while things are killed.</summary>
    public static int Rate { get; } = Number("HUZHU_FAULTS_RATE") ?? (IsLong ? 50 : 5);

    private static int? Number(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
