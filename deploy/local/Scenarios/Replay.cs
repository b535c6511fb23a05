using System.Globalization;
using System.Text.Json;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// What the run would have been without groups, as the audit works it out from the logs: the very answer that anybody gets
/// who asks <c>./huzhu audit replay --without-groups</c> afterwards.
/// </summary>
/// <param name="Comparison">As the audit printed it.</param>
/// <param name="Needs">What would have become of each need, by its id.</param>
public sealed record Replay(JsonElement Comparison, ReplayedCourse Happened, ReplayedCourse Simulated, ReplayedCourse Instead, IReadOnlyDictionary<Guid, ReplayedNeed> Needs)
{
    /// <summary>The folder, beside the report, with the audit's own page.</summary>
    public const string Folder = "without-groups";
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    public static string Command(Calendar calendar) => string.Create(CultureInfo.InvariantCulture, $"./huzhu audit replay --without-groups --patience {calendar.PatienceSeconds}");

    public static async Task<Replay> AskAsync(Calendar calendar, IReadOnlyDictionary<string, string> databases, DirectoryInfo report, CancellationToken cancellation)
    {
        var folder = Path.Combine(report.FullName, Folder);
        var asked = await Tool.RunAsync(
            DotNet.Program,
            [Repository.Find().ServiceAssembly("audit"), .. Command(calendar).Split(' ').Skip(2), "--out", folder],
            Limit, databases.ToDictionary(database => $"ConnectionStrings__{database.Key}", database => database.Value), cancellation: cancellation);
        return asked.Succeeded
            ? Read(await File.ReadAllTextAsync(Path.Combine(folder, "replay.json"), cancellation))
            : throw new DidNotStartException($"The logs could not be replayed: {asked.Tail}");
    }

    public static Replay Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        var comparison = document.RootElement.GetProperty("comparison").Clone();
        var needs = document.RootElement.GetProperty("needsInstead").Deserialize<IReadOnlyList<ReplayedNeed>>(JsonSerializerOptions.Web)!;
        return new Replay(comparison, Course("happened"), Course("simulated"), Course("instead"), needs.ToDictionary(need => need.Id));

        ReplayedCourse Course(string name) => comparison.GetProperty(name).Deserialize<ReplayedCourse>(JsonSerializerOptions.Web)!;
    }
}

/// <param name="Phases">In the order of <see cref="Phase"/>.</param>
public sealed record ReplayedCourse(IReadOnlyList<ReplayedPhase> Phases, ReplayedEquity Equity);

public sealed record ReplayedPhase(string Name, int Needs, int Met, double MetShare, double FulfilledShare);

/// <param name="Repeats">The need that it repeats; then it waits with that one.</param>
public sealed record ReplayedNeed(Guid Id, Guid? Repeats, bool Met, DateTimeOffset? FulfilledAt, IReadOnlyList<ReplayedWait> Waits);

public sealed record ReplayedWait(DateTimeOffset From, DateTimeOffset To);

public sealed record ReplayedEquity(int LeastShown, IReadOnlyList<ReplayedTable> Tables, IReadOnlyList<ReplayedLoad> Load);

public sealed record ReplayedLoad(string Kind, int Responders, int Accepted, double Gini, double TopTenthShare);

public sealed record ReplayedTable(string By, IReadOnlyList<ReplayedRow> Rows);

public sealed record ReplayedRow(string Of, int? Needs, ReplayedSpread? TimeToOfferSeconds, double? UnmetShare);

public sealed record ReplayedSpread(double? P50, double? P90);
