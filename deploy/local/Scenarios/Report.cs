using System.Text.Json;
using System.Text.Json.Serialization;
using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

public sealed record NeedCounts(int Submitted, int Fulfilled, int Waiting, int Escalated, int Cancelled, int Other);

/// <param name="P50">Null when there is nothing to measure.</param>
public sealed record TimeToOffer(double? P50, double? P99);

public sealed record Distances(double? P50, double? P95);

/// <param name="MetShareWithoutGroups">As the audit's replay of the logs has it.</param>
/// <param name="FulfilledShare">Fulfilled by the end of the run, whatever the wait.</param>
public sealed record PhaseReport(
    string Name, int Submitted, int Met, double MetShare, double MetShareWithoutGroups, TimeToOffer TimeToOfferMs, Distances DistanceMetres,
    double FulfilledShare, double FulfilledShareWithoutGroups);

/// <param name="SecondsToRematchAll">On the real clock, from the first closure in Matching's ledgers to the last re-match; null when nothing was re-matched.</param>
/// <param name="PlacesHeld">Places, where a life-threatening need may hold several.</param>
/// <param name="EndedMeanwhile">Done, called off or on hold at the moment of the closure: in no other number.</param>
public sealed record FallbackReport(
    int HeldAtClosure, int Rematched, int Escalated, double? SecondsToRematchAll,
    double? SecondsToRematchHalf, int PlacesHeld, int EndedMeanwhile, int RematchedToGroups, int FulfilledByGroups);

/// <param name="MaxHeldShare">The greatest share of all places that was in use at once.</param>
/// <param name="MaxHeldShareOfOne">The fullest that any single responder ever was.</param>
public sealed record CapacityReport(
    int Responders, int PlacesOffered, double MaxHeldShare, double MaxHeldShareOfGroups, double MaxHeldShareOfOne, int PlacesOfProviders, int PlacesOfGroups);

public sealed record Part(int Submitted, int Met, double MetShare, double MetShareWithoutGroups, int Fulfilled, double ShareFulfilledByGroups, double? TimeToOfferMsP50);

/// <summary>One urgency's timers: what the policy says by default, and what it said in the run. Seconds.</summary>
public sealed record UrgencyTimes(double DefaultOfferLife, double OfferLife, double DefaultEscalateAfter, double EscalateAfter);

/// <summary>A service that was killed with -9 and started again. Seconds from the run's start.</summary>
public sealed record Kill(string Service, int Pid, int NewPid, double KilledAtSecond, double ReadyAtSecond);

/// <param name="DurationSeconds">From the start of the servers to the end of the check.</param>
public sealed record RunFacts(
    DateTimeOffset StartedAt, double DurationSeconds, IReadOnlyDictionary<string, UrgencyTimes> Times, IReadOnlyList<Kill> Kills, long RepeatedCalls,
    double MostBelatedSeconds, (long All, long BadSignature, long Repeated, long ToCallers) Webhooks, IReadOnlyDictionary<string, int> Answers,
    IReadOnlyDictionary<string, int> Events, IReadOnlyDictionary<string, int> Notifications);

public sealed record ClockReport(double SecondsPerDay, double StoryFasterBy, double PatienceDays, double PatienceSeconds, IReadOnlyDictionary<string, UrgencyTimes> TimersSeconds);

public sealed record RunReport(
    IReadOnlyDictionary<string, int> Events, IReadOnlyDictionary<string, int> Notifications, IReadOnlyDictionary<string, int> Answers, long Webhooks, long WebhooksRepeated,
    long WebhooksWithBadSignature, long RepeatedCalls, double MostBelatedSeconds, IReadOnlyList<Kill> Kills);

/// <summary>The state at the end of one day of the story. Counts of needs, and places in use.</summary>
public sealed record DayReport(
    double Day, int Submitted, int Fulfilled, int FulfilledWithoutGroups, int WithoutResponder, int WithoutResponderWithoutGroups, int PlacesOfProviders, int PlacesOfGroups);

public sealed record InvariantReport(string Name, bool Holds, long Checked, string Meaning, long ViolationCount, IReadOnlyList<string> Violations);

/// <summary>report.json, and with what is left out of it the source of report.html.</summary>
public sealed record Report(
    string Scenario,
    int Seed,
    DateTimeOffset StartedAt,
    double DurationSeconds,
    NeedCounts Needs,
    IReadOnlyList<PhaseReport> Phases,
    FallbackReport Fallback,
    CapacityReport Capacity,
    IReadOnlyList<InvariantReport> Invariants,
    IReadOnlyDictionary<string, Part> ByServiceKind,
    IReadOnlyDictionary<string, Part> BySubDistrict,
    string Title,
    int Calls,
    IReadOnlyDictionary<string, string> Definitions,
    IReadOnlyList<Figure> Calibration,
    IReadOnlyList<string> Notes,
    ClockReport Clock,
    RunReport Run,
    IReadOnlyDictionary<string, double> Plausibility,
    IReadOnlyList<DayReport> Days,
    JsonElement WithoutGroups,
    [property: JsonIgnore] Scenario Story,
    [property: JsonIgnore] IReadOnlyList<MeasuredNeed> MeasuredNeeds,
    [property: JsonIgnore] IReadOnlyDictionary<Guid, MeasuredResponder> MeasuredResponders,
    [property: JsonIgnore] ReplayedEquity Equity)
{
    public static Report Of(Scenario scenario, Measurements measured, Replay replay,
        IReadOnlyList<Invariant> invariants, RunFacts run)
    {
        var needs = measured.Needs();
        bool MetWithoutGroups(MeasuredNeed need) => replay.Needs[need.Id].Met;
        bool IsFulfilled(MeasuredNeed need) => need.FinalState is "fulfilled" or "closed";

        PhaseReport PhaseOf(Phase phase)
        {
            var mine = needs.Where(need => need.Phase == phase).ToList();
            var offers = Sorted(mine.Where(need => need.DuplicateOf is null).Select(need => need.FirstOfferMs));
            var distances = Sorted(mine.SelectMany(need => need.Holdings).Select(holding => holding.DistanceMetres));
            var without = replay.Instead.Phases[(int)phase];
            return new PhaseReport(
                phase.ToString().ToLowerInvariant(), mine.Count, mine.Count(need => need.Outcome is Outcome.Met),
                Share(mine.Count(need => need.Outcome is Outcome.Met), mine.Count), without.MetShare,
                new TimeToOffer(Percentile(offers, 0.5), Percentile(offers, 0.99)), new Distances(Percentile(distances, 0.5), Percentile(distances, 0.95)),
                Share(mine.Count(IsFulfilled), mine.Count), without.FulfilledShare);
        }

        Part PartOf(IEnumerable<MeasuredNeed> some)
        {
            var mine = some.ToList();
            var fulfilled = mine.Where(IsFulfilled).ToList();
            return new Part(
                mine.Count, mine.Count(need => need.Outcome is Outcome.Met), Share(mine.Count(need => need.Outcome is Outcome.Met), mine.Count), Share(mine.Count(MetWithoutGroups), mine.Count),
                fulfilled.Count, Share(fulfilled.Count(need => need.Holdings is [.., { IsProvider: false }]), fulfilled.Count),
                Percentile(Sorted(mine.Select(need => need.FirstOfferMs)), 0.5));
        }

        var responders = measured.Responders();
        var isProvider = scenario.Responders.ToDictionary(responder => responder.Id, responder => responder.IsProvider);
        var (providerPlaces, groupPlaces) = (
            responders.Values.Where(responder => isProvider[responder.Id]).Sum(responder => responder.Capacity),
            responders.Values.Where(responder => !isProvider[responder.Id]).Sum(responder => responder.Capacity));
        var inUse = measured.PlacesInUse();
        var fallback = measured.Fallback();
        var calendar = scenario.Calendar;
        return new Report(
            scenario.Name, scenario.Seed, run.StartedAt, Math.Round(run.DurationSeconds, 1),
            new NeedCounts(
                needs.Count, needs.Count(IsFulfilled), needs.Count(need => need.FinalState == "waiting"), needs.Count(need => need.FinalState == "escalated"),
                needs.Count(need => need.FinalState == "cancelled"),
                needs.Count(need => !IsFulfilled(need) && need.FinalState is not ("waiting" or "escalated" or "cancelled"))),
            [.. Enum.GetValues<Phase>().Select(PhaseOf)],
            new FallbackReport(
                fallback.HeldAtClosure, fallback.Rematched, fallback.Escalated, Rounded(fallback.SecondsToRematchAll), Rounded(fallback.SecondsToRematchHalf),
                fallback.PlacesHeldAtClosure, fallback.EndedMeanwhile, fallback.RematchedToGroups, fallback.FulfilledByGroups),
            new CapacityReport(
                responders.Count, providerPlaces + groupPlaces,
                Share(inUse.Select(use => use.Providers + use.Groups).DefaultIfEmpty(0).Max(), providerPlaces + groupPlaces),
                Share(inUse.Select(use => use.Groups).DefaultIfEmpty(0).Max(), groupPlaces),
                responders.Values.Where(responder => responder.Capacity > 0).Select(responder => responder.MaxHeld / (double)responder.Capacity).DefaultIfEmpty(0).Max(),
                providerPlaces, groupPlaces),
            [.. invariants.Select(one => new InvariantReport(one.Name, one.Holds, one.Checked, one.Meaning, one.ViolationCount, one.Violations))],
            needs.GroupBy(need => need.Kind).OrderBy(group => group.Key, StringComparer.Ordinal).ToDictionary(group => group.Key, PartOf),
            needs.GroupBy(need => need.SubDistrict is { Length: > 0 } name ? name : "not told").OrderBy(group => group.Key, StringComparer.Ordinal).ToDictionary(group => group.Key, PartOf),
            scenario.Title, scenario.Requests.Count,
            new Dictionary<string, string>
            {
                ["met"] = $"Fulfilled by the end of the run, and its person was without a responder for at most {calendar.PatienceSeconds:0.##} s ({calendar.PatienceDays:0.#} days of the story), all waits added. Counted in the phase in which it was submitted: before the first provider closed, until the first reopened, afterwards. A repeated call is met when the need that it repeats is.",
                ["metShareWithoutGroups"] = $"The same needs and the same providers, replayed from the logs without groups: providers answer and work as they did, and a match takes no time. {Replay.Command(calendar)} gives the same figures, as long as the logs are kept; docs/auditors says what it assumes.",
                ["timeToOfferMs"] = "Real milliseconds from the commit of the complete request in Requests' log to the commit of the need's first offer in Matching's log.",
                ["distanceMetres"] = "Great-circle distance to the nearest site that may serve, of every accepted offline offer.",
                ["heldAtClosure"] = "Needs that a provider had been offered or had accepted, and not finished, when its closure took effect in its ledger; each need once.",
                ["rematched"] = "Of those: went to somebody else afterwards.",
                ["escalated"] = "Of those: went to nobody, and wait in the backlog or with the humans who watch it.",
                ["maxHeldShare"] = "The greatest share of the places of all responders that was in use at once.",
            },
            scenario.Calibration, scenario.Notes,
            new ClockReport(
                Math.Round(calendar.SecondsPerDay, 4), Math.Round(86400 / calendar.SecondsPerDay), Math.Round(calendar.PatienceDays, 2),
                calendar.PatienceSeconds, run.Times),
            new RunReport(
                run.Events, run.Notifications, run.Answers, run.Webhooks.All, run.Webhooks.Repeated, run.Webhooks.BadSignature, run.RepeatedCalls,
                Math.Round(run.MostBelatedSeconds, 2), run.Kills),
            Enum.GetValues<Phase>().ToDictionary(phase => phase.ToString().ToLowerInvariant(), phase => replay.Simulated.Phases[(int)phase].MetShare),
            Series(scenario, run.StartedAt, needs, replay, inUse), replay.Comparison, scenario, needs, responders, replay.Happened.Equity);
    }

    static List<DayReport> Series(Scenario scenario, DateTimeOffset startedAt, IReadOnlyList<MeasuredNeed> needs, Replay replay, IReadOnlyList<(double Second, int Providers, int Groups)> inUse)
    {
        const int points = 160;
        var calendar = scenario.Calendar;
        var days = new List<DayReport>();
        var use = 0;
        var called = needs.Where(need => need.DuplicateOf is null).ToList();
        for (var point = 0; point <= points; point++)
        {
            var day = calendar.EndDay * point / points;
            var second = calendar.SecondsAt(day);
            while (use < inUse.Count && inUse[use].Second <= second)
                use++;
            var at = startedAt.AddSeconds(second);
            days.Add(new DayReport(
                Math.Round(day, 2),
                needs.Count(need => need.SubmittedSecond <= second),
                needs.Count(need => need.FulfilledSecond <= second),
                replay.Needs.Values.Count(need => need.FulfilledAt <= at),
                called.Count(need => need.SubmittedSecond <= second && !(need.EndedSecond <= second) && need.FinalState != "partial"
                    && !need.Holdings.Any(holding => holding.FromSecond <= second && holding.ToSecond > second)),
                replay.Needs.Values.Count(need => need.Repeats is null && need.Waits.Any(wait => wait.From <= at && wait.To > at)),
                use == 0 ? 0 : inUse[use - 1].Providers,
                use == 0 ? 0 : inUse[use - 1].Groups));
        }
        return days;
    }

    public static List<double> Sorted(IEnumerable<double?> values) => [.. values.OfType<double>().Order()];

    /// <summary>The value that this share of the others do not exceed; always one that was measured.</summary>
    public static double? Percentile(IReadOnlyList<double> sorted, double share) =>
        sorted.Count == 0 ? null : Math.Round(sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Count) - 1, 0, sorted.Count - 1)], 1);

    static double Share(int part, int whole) => whole == 0 ? 0 : Math.Round(part / (double)whole, 4);

    static double? Rounded(double? value) => value is { } number ? Math.Round(number, 3) : null;
}
