using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Audit.Verbs;

/// <summary>Capacity, backlog and needs as they stood at one instant, folded from Matching's log.</summary>
public static class StateAt
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
    public sealed record Places(string Kind, int Open, int Closed, int Paused, int Withdrawn, int Held, int Capacity);

    /// <param name="Place">The middle of its responders' sites, to about a kilometre; null where there is none.</param>
    /// <param name="UnderWay">Needs that are offered, accepted or started.</param>
    /// <param name="Ended">Needs that are fulfilled, closed or cancelled.</param>
    public sealed record SubDistrict(string Name, GeoPoint? Place, int OpenProviders, int OpenGroups, int Closed, int Held, int Capacity, int Waiting, int UnderWay, int Ended);

    /// <param name="Events">Up to the instant.</param>
    /// <param name="FirstAt">When the log begins; null when it is empty.</param>
    /// <param name="LastAt">When it ends by now, whatever instant was asked for.</param>
    /// <param name="Zones">The rings of the sealed zones.</param>
    public sealed record Report(long Events, long PolicyVersion, int SealedZones, IReadOnlyList<Places> Responders,
        IReadOnlyDictionary<string, int> Needs, IReadOnlyDictionary<string, int> Backlog,
        DateTimeOffset? FirstAt, DateTimeOffset? LastAt, IReadOnlyList<SubDistrict> SubDistricts, IReadOnlyList<IReadOnlyList<GeoPoint>> Zones);

    private static async Task<Report> FoldAsync(IAsyncEnumerable<DecodedEvent> log, DateTimeOffset? at)
    {
        var (events, matches, ledgers) = (0L, new Dictionary<Guid, MatchState>(), new Dictionary<Guid, ResponderState>());
        var (policy, measures) = (PolicyState.Initial, MeasuresState.Initial);
        DateTimeOffset? firstAt = null, lastAt = null;
        await foreach (var stored in log)
        {
            firstAt ??= stored.StoredAt;
            lastAt = stored.StoredAt;
            if (stored.StoredAt > at)
                continue;
            events++;
            switch (stored.Event)
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
            Tally(known.Where(match => match.State is NeedState.Waiting or NeedState.Escalated).Select(match => match.Reason ?? "")),
            firstAt, lastAt, SubDistrictsOf(ledgers.Values, known), [.. measures.Zones.Values.Select(zone => zone.Area)]);
    }

    private static List<SubDistrict> SubDistrictsOf(IEnumerable<ResponderState> ledgers, List<MatchState> matches)
    {
        // Whoever works from several places is counted at the first.
        var responders = ledgers.Where(ledger => ledger is { Opening: not Opening.Withdrawn, Profile.Sites.Count: > 0 }).ToLookup(ledger => ledger.Profile!.Sites[0].SubDistrict);
        var needs = matches.ToLookup(match => match.Need!.SubDistrict ?? "");
        return [.. responders.Select(group => group.Key).Concat(needs.Select(group => group.Key)).Distinct().Order(StringComparer.Ordinal).Select(name =>
        {
            var (all, open) = (responders[name].ToList(), responders[name].Where(ledger => ledger.Opening is Opening.Open).ToList());
            return new SubDistrict(name,
                all.Count == 0 ? null : new GeoPoint(Middle(all, place => place.Latitude), Middle(all, place => place.Longitude)),
                open.Count(ledger => ledger.Profile!.Kind is ResponderKind.Provider), open.Count(ledger => ledger.Profile!.Kind is ResponderKind.Group), all.Count - open.Count,
                open.Sum(ledger => ledger.Held.Count), open.Sum(ledger => ledger.Capacity),
                needs[name].Count(match => match.State is NeedState.Waiting or NeedState.Escalated or NeedState.OnHold),
                needs[name].Count(match => match.State is NeedState.Offered or NeedState.Accepted or NeedState.Started),
                needs[name].Count(match => match.IsOver));
        })];

        static double Middle(List<ResponderState> ledgers, Func<GeoPoint, double> of) => Math.Round(ledgers.Average(ledger => of(ledger.Profile!.Sites[0].Place)), 2);
    }

    private static SortedDictionary<string, int> Tally(IEnumerable<string> words) =>
        new(words.CountBy(word => word).ToDictionary(), StringComparer.Ordinal);
}
