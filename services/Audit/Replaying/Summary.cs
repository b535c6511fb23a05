using System.Text.Json.Serialization;
using Huzhu.Contracts;

namespace Huzhu.Audit.Replaying;

/// <param name="P50">Null when there is nothing to measure.</param>
public sealed record Spread(double? P50, double? P90)
{
    public static Spread Of(IEnumerable<double?> values)
    {
        var sorted = values.OfType<double>().Order().ToList();
        return new Spread(At(0.5), At(0.9));

        double? At(double share) => sorted.Count == 0 ? null : Math.Round(sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Count) - 1, 0, sorted.Count - 1)], 3);
    }
}

/// <summary>How the help that was given is spread over those who were there to give it.</summary>
/// <param name="Gini">0 when all took as many offers as each other, near 1 when one took all.</param>
/// <param name="TopTenthShare">What the busiest tenth took of all.</param>
public sealed record Concentration(string Kind, int Responders, int Accepted, double Gini, double TopTenthShare)
{
    public static IReadOnlyList<Concentration> Of(IEnumerable<Load> loads) =>
        [.. loads.GroupBy(load => load.Kind).OrderBy(group => group.Key).Select(group => Of(Words.Of(group.Key), [.. group.Select(load => load.Accepted).Order()]))];

    private static Concentration Of(string kind, List<int> sorted)
    {
        var (count, sum) = (sorted.Count, sorted.Sum());
        if (sum == 0)
            return new Concentration(kind, count, 0, 0, 0);
        var weighted = sorted.Select((accepted, index) => (2.0 * (index + 1) - count - 1) * accepted).Sum();
        return new Concentration(kind, count, sum, Math.Round(weighted / (count * (double)sum), 4), Math.Round(sorted[^((count + 9) / 10)..].Sum() / (double)sum, 4));
    }
}

/// <summary>Needs by the time at which they were submitted.</summary>
/// <param name="Name">open: before the first provider closed; lockdown: until the first reopened; recovery: afterwards.</param>
public sealed record PhaseFigures(string Name, int Needs, int Met, double MetShare, int Fulfilled, double FulfilledShare);

/// <summary>What became of all needs, in figures.</summary>
/// <param name="Met">Fulfilled by the end of the log, and without a responder for no longer than the patience, all waits added. A repeat is met when what it repeats is.</param>
/// <param name="Unmet">Neither fulfilled nor cancelled.</param>
/// <param name="TimeToOfferSeconds">From the moment at which somebody could be asked to the first offer.</param>
/// <param name="DistanceMetres">Of accepted offline help.</param>
public sealed record Summary(
    int Needs, int Met, double MetShare, int Fulfilled, int Cancelled, int Unmet, Spread TimeToOfferSeconds, Spread WaitedSeconds, Spread DistanceMetres,
    IReadOnlyList<Concentration> Load, IReadOnlyList<PhaseFigures> Phases, Equity Equity)
{
    public static Summary Of(History history, Course course, IReadOnlyList<NeedOutcome> outcomes, TimeSpan? patience, int leastShown)
    {
        var asked = outcomes.Where(need => need.Asked.Repeats is null).ToList();
        var loads = Concentration.Of(course.Loads);
        return new Summary(
            outcomes.Count, outcomes.Count(IsMet), Share(outcomes.Count(IsMet), outcomes.Count), outcomes.Count(need => need.IsFulfilled),
            outcomes.Count(need => need.IsCancelled), outcomes.Count(need => !need.IsFulfilled && !need.IsCancelled),
            Spread.Of(asked.Select(need => need.TimeToOfferSeconds)),
            Spread.Of(asked.Where(need => need.IsFulfilled).Select(need => (double?)need.Waited.TotalSeconds)),
            Spread.Of(asked.SelectMany(need => need.Holdings).Select(holding => holding.DistanceMetres)),
            loads,
            [
                PhaseOf("open", need => !(need.SubmittedAt >= history.ClosedAt)),
                PhaseOf("lockdown", need => need.SubmittedAt >= history.ClosedAt && !(need.SubmittedAt >= history.ReopenedAt)),
                PhaseOf("recovery", need => need.SubmittedAt >= history.ReopenedAt),
            ],
            Equity.Of(asked, loads, leastShown));

        bool IsMet(NeedOutcome need) => Summary.IsMet(need, patience);

        PhaseFigures PhaseOf(string name, Func<AskedNeed, bool> submitted)
        {
            var mine = outcomes.Where(need => submitted(need.Asked)).ToList();
            var (met, fulfilled) = (mine.Count(IsMet), mine.Count(need => need.IsFulfilled));
            return new PhaseFigures(name, mine.Count, met, Share(met, mine.Count), fulfilled, Share(fulfilled, mine.Count));
        }
    }

    public static bool IsMet(NeedOutcome need, TimeSpan? patience) => need.IsFulfilled && !(need.Waited > patience);

    internal static double Share(int part, int whole) => whole == 0 ? 0 : Math.Round(part / (double)whole, 4);
}

/// <summary>One group of needs. Every figure is null where there are too few for them to be nobody's in particular.</summary>
/// <param name="UnmetShare">Of those that were not cancelled.</param>
public sealed record EquityRow(string Of, int? Needs, Spread? TimeToOfferSeconds, double? UnmetShare)
{
    [JsonIgnore]
    public bool IsWithheld => Needs is null;
}

public sealed record EquityTable(string By, IReadOnlyList<EquityRow> Rows);

/// <summary>Who is served well and who is not. Repeats count with the need that they repeat.</summary>
/// <param name="LeastShown">
/// A row of fewer needs says nothing; and where only one row of a table is withheld, the next smallest is too, so that it is
/// not what is left when the others are taken from the whole.
/// </param>
public sealed record Equity(int LeastShown, IReadOnlyList<EquityTable> Tables, IReadOnlyList<Concentration> Load)
{
    public const int DefaultLeastShown = 10;
    private const string NotTold = "not told";

    /// <param name="needs">Without repeats.</param>
    public static Equity Of(IReadOnlyCollection<NeedOutcome> needs, IReadOnlyList<Concentration> load, int leastShown)
    {
        return new Equity(leastShown,
        [
            Table("communication need", need => need.Asked.Communication.Count == 0 ? ["none"] : need.Asked.Communication.Select(Words.Of)),
            Table("sub-district", need => [need.Asked.SubDistrict is { Length: > 0 } name ? name : NotTold]),
            Table("channel", need => [need.Asked.Channel ?? NotTold]),
        ], load);

        EquityTable Table(string by, Func<NeedOutcome, IEnumerable<string>> keys)
        {
            var groups = needs.SelectMany(need => keys(need).Select(key => (Key: key, Need: need))).GroupBy(one => one.Key, one => one.Need)
                .OrderBy(group => group.Key, StringComparer.Ordinal).Select(group => (group.Key, Needs: group.ToList())).ToList();
            var withheld = groups.Where(group => group.Needs.Count < leastShown).Select(group => group.Key).ToHashSet();
            if (withheld.Count == 1 && groups.Count > 1)
                withheld.Add(groups.Where(group => !withheld.Contains(group.Key)).MinBy(group => group.Needs.Count).Key);
            return new EquityTable(by, [.. groups.Select(group => withheld.Contains(group.Key) ? new EquityRow(group.Key, null, null, null) : Row(group.Key, group.Needs))]);
        }
    }

    private static EquityRow Row(string key, List<NeedOutcome> needs)
    {
        var wanted = needs.Where(need => !need.IsCancelled).ToList();
        return new EquityRow(key, needs.Count, Spread.Of(needs.Select(need => need.TimeToOfferSeconds)), Summary.Share(wanted.Count(need => !need.IsFulfilled), wanted.Count));
    }
}
