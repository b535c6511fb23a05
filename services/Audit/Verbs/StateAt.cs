using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Audit.Verbs;

/// <summary>Capacity, backlog and needs as they stood at one instant, folded from Matching's log.</summary>
static class StateAt
{
    public static Command Command(Settings settings)
    {
        var at = new Option<DateTimeOffset?>("--at") { Description = "The instant; now when it is left out.", HelpName = "TIME" };
        var json = new Option<bool>("--json") { Description = "As JSON." };
        var command = new Command("state", "Capacity, backlog and needs at any instant.") { at, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using var log = settings.Open("matching");
            var report = await FoldAsync(log.ReadDecodedAsync(cancellation), parsed.GetValue(at));
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(JsonSerializer.Serialize(report, new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true }));
                return ExitCodes.Ok;
            }
            await output.WriteLineAsync($"{report.Events} events; policy version {report.PolicyVersion}, {report.SealedZones} sealed zone{(report.SealedZones == 1 ? "" : "s")}.");
            foreach (var kind in report.Responders)
                await output.WriteLineAsync($"{kind.Kind,-10} {kind.Open} open, {kind.Closed} closed, {kind.Paused} paused, {kind.Withdrawn} withdrawn; {kind.Held} of {kind.Capacity} open places held");
            foreach (var (state, count) in report.Needs)
                await output.WriteLineAsync($"{state,-14} {count}");
            foreach (var (reason, count) in report.Backlog)
                await output.WriteLineAsync($"in the backlog for {reason}: {count}");
            return ExitCodes.Ok;
        });
        return command;
    }

    /// <param name="Capacity">Places of those that are open.</param>
    private sealed record Places(string Kind, int Open, int Closed, int Paused, int Withdrawn, int Held, int Capacity);

    private sealed record Report(long Events, long PolicyVersion, int SealedZones, IReadOnlyList<Places> Responders,
        IReadOnlyDictionary<string, int> Needs, IReadOnlyDictionary<string, int> Backlog);

    private static async Task<Report> FoldAsync(IAsyncEnumerable<(StoredEvent Stored, object? Event)> log, DateTimeOffset? at)
    {
        var (events, matches, ledgers) = (0L, new Dictionary<Guid, MatchState>(), new Dictionary<Guid, ResponderState>());
        var (policy, measures) = (PolicyState.Initial, MeasuresState.Initial);
        await foreach (var (stored, happened) in log)
        {
            if (stored.StoredAt > at)
                continue;
            events++;
            switch (happened)
            {
                case MatchEvent change:
                    matches[stored.Stream] = MatchState.Evolve(matches.GetValueOrDefault(stored.Stream, MatchState.Initial), change);
                    break;
                case ResponderEvent change:
                    ledgers[stored.Stream] = ResponderState.Evolve(ledgers.GetValueOrDefault(stored.Stream, ResponderState.Initial), change);
                    break;
                case PolicyEvent change:
                    policy = PolicyState.Evolve(policy, change);
                    break;
                case MeasuresEvent change:
                    measures = MeasuresState.Evolve(measures, change);
                    break;
            }
        }
        var responders = ledgers.Values.Where(ledger => ledger.Profile is not null).GroupBy(ledger => ledger.Profile!.Kind).OrderBy(group => group.Key).Select(group =>
        {
            var open = group.Where(ledger => ledger.Opening is Opening.Open).ToList();
            return new Places(Words.Of(group.Key), open.Count, Count(Opening.Closed), Count(Opening.Paused), Count(Opening.Withdrawn),
                open.Sum(ledger => ledger.Held.Count), open.Sum(ledger => ledger.Capacity));

            int Count(Opening opening) => group.Count(ledger => ledger.Opening == opening);
        });
        var known = matches.Values.Where(match => match.Need is not null).ToList();
        return new Report(events, policy.Version, measures.Zones.Count, [.. responders],
            Tally(known.Select(match => Words.Of(match.State))),
            Tally(known.Where(match => match.State is NeedState.Waiting or NeedState.Escalated).Select(match => match.Reason ?? "")));
    }

    private static SortedDictionary<string, int> Tally(IEnumerable<string> words) =>
        new(words.CountBy(word => word).ToDictionary(), StringComparer.Ordinal);
}
