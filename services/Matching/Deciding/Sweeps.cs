using System.Diagnostics.Metrics;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Deciding;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// Work on many needs at once, most urgent then oldest: what a responder that shut still holds, what a sealed zone cuts
/// off, and the backlog when somebody might serve it. Each need is its own piece of work in the decision loop and may be
/// swept twice; a sweep that was interrupted is done again from what the streams say.
/// </summary>
public sealed class Sweeps(DecisionLoop loop, Log log, NpgsqlDataSource database)
{
    private const int Page = 256;
    private static readonly Meter Meter = new("Huzhu.Matching");
    private static readonly Counter<long> Swept = Meter.CreateCounter<long>("huzhu.matching.swept", description: "Needs taken from a responder by a closure, a pause or a zone");
    private static readonly Counter<long> Retried = Meter.CreateCounter<long>("huzhu.matching.backlog.retried", description: "Needs of the backlog that were tried again");

    /// <summary>Takes from a responder that takes no new needs what it may not keep: all, or what has not begun when it only paused.</summary>
    public async Task TakeFromAsync(ResponderId responderId, Cause cause, CancellationToken cancellation)
    {
        var held = await HeldAsync(responderId, cancellation);
        Swept.Add(held.Count);
        await TakeAsync(held, place => TakeFrom(responderId, place.OfferId), cause, cancellation);
    }

    /// <summary>Takes one offer, as the ledger stands when the decision is made: it may have reopened since.</summary>
    public static DecideOnMatch TakeFrom(ResponderId responderId, OfferId offerId) => (state, situation) =>
    {
        var (reason, evenIfStarted) = situation.Roster.StateOf(responderId).Opening switch
        {
            Opening.Open => (null, false),
            Opening.Closed => (RevocationReasons.ProviderClosed, true),
            Opening.Withdrawn => (RevocationReasons.ResponderWithdrawn, true),
            Opening.Paused => ((string?)RevocationReasons.ResponderPaused, false),
        };
        return reason is null
            ? Decision<MatchEvent>.Nothing
            : Match.DecideRevoke(state, offerId, reason, evenIfStarted, situation.Now);
    };

    /// <summary>Takes back offline help that has not begun and would cross a sealed edge.</summary>
    public async Task TakeAcrossZonesAsync(Cause cause, CancellationToken cancellation)
    {
        if (!loop.Zones.Any)
            return;
        var held = await HeldAsync(null, cancellation);
        var cut = held.Where(place => loop.Roster.StateOf(place.ResponderId).Profile is { } profile && Ranker.CrossesZone(place.Need, profile, loop.Zones)).ToList();
        Swept.Add(cut.Count);
        await TakeAsync(cut, place => TakeAcrossZone(place.ResponderId, place.OfferId), cause, cancellation);
    }

    public static DecideOnMatch TakeAcrossZone(ResponderId responderId, OfferId offerId) => (state, situation) =>
        situation.Roster.StateOf(responderId).Profile is { } profile && state.Need is { } need && Ranker.CrossesZone(need, profile, situation.Zones)
            ? Match.DecideRevoke(state, offerId, RevocationReasons.ZoneSealed, evenIfStarted: false, situation.Now)
            : Decision<MatchEvent>.Nothing;

    /// <summary>Tries the backlog for these responders: needs that one of them could serve, in order, until their places are taken.</summary>
    public async Task TryBacklogAsync(IReadOnlyCollection<ResponderId> responders, Cause cause, CancellationToken cancellation)
    {
        // One moment for all pages, so that nobody ages from one that is still to come into one that has been.
        var after = BacklogPosition.Start(loop.Look());
        while (Free(responders) is { Count: > 0 } atPage)
        {
            var page = await BacklogAsync(atPage, after, cancellation);
            if (page.Count == 0)
                return;
            after = after.Of(page[^1].Need, page[^1].Aged);
            for (var position = 0; position < page.Count;)
            {
                // Whoever is in danger of life comes first: nobody is left who gets an offer now.
                if (page[position].Need.Urgency is not Urgency.LifeThreatening && loop.TellingIsBehind)
                    return;
                // Needs that were tried in vain (a decline, a concern) leave their place to those behind them: look again.
                var listings = Free(responders);
                if (listings.Count == 0)
                    return;
                var places = listings.ToDictionary(listing => listing.Id, listing => listing.State.Free);
                var situation = loop.Look();
                var wave = new List<Need>();
                for (; position < page.Count && places.Count > 0; position++)
                {
                    var need = page[position].Need;
                    var alone = MatchState.Initial with { Need = need, State = NeedState.Waiting, Remaining = need.Quantity };
                    var server = listings.Find(listing => places.ContainsKey(listing.Id) && Ranker.CouldServe(alone, listing, situation.Policy, situation.Zones, situation.Now));
                    if (server is null)
                        continue;
                    if (--places[server.Id] == 0)
                        places.Remove(server.Id);
                    wave.Add(need);
                }
                Retried.Add(wave.Count);
                var plan = await AssignAsync(wave, (_, state) => state.State is NeedState.Waiting or NeedState.Escalated, cause, cancellation);
                await AllAsync(wave, need => new NeedWork(need.NeedId, Retry, Lane.Bulk, cause, plan), cancellation);
            }
        }
    }

    /// <summary>Whether any need waits or is escalated.</summary>
    public async Task<bool> HasBacklogAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"select exists (select 1 from {Tables.Needs} where backlog is not null)");
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>The newest offline needs since then, and how many there were.</summary>
    public async Task<(IReadOnlyList<Need> Needs, int Count)> RecentAsync(DateTimeOffset since, int atMost, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select need, urgency_rank, count(*) over ()::int from {Tables.Needs}
            where submitted_at > $1 and need->>'mode' = $2 order by submitted_at desc, need_id limit $3
            """);
        command.Parameters.AddWithValue(since.ToUniversalTime());
        command.Parameters.AddWithValue(Words.Of(DeliveryMode.Offline));
        command.Parameters.AddWithValue(atMost);
        var (needs, count) = (new List<Need>(), 0);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            needs.Add(ReadNeed(reader.GetString(0), reader.GetInt32(1)));
            count = reader.GetInt32(2);
        }
        return (needs, count);
    }

    /// <summary>Escalates what waits longer than the policy says, where a timer of an older policy is not due yet.</summary>
    public async Task EscalateOverdueAsync(Cause cause, CancellationToken cancellation)
    {
        var overdue = new List<NeedId>();
        await using var command = database.CreateCommand($"select need_id from {Tables.Needs} where backlog = 'waiting' and submitted_at < ($1::timestamptz[])[urgency_rank + 1] limit 1000");
        var situation = loop.Look();
        command.Parameters.AddWithValue(Enum.GetValues<Urgency>().OrderBy(Tables.RankOf)
            .Select(urgency => situation.Now - TimeSpan.FromSeconds(situation.Policy.Policy.For(urgency).EscalateAfterSeconds)).ToArray());
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
                overdue.Add(NeedId.Of(reader.GetGuid(0)));
        }
        await AllAsync(overdue, needId => new NeedWork(needId, Retry, Lane.Bulk, cause), cancellation);
    }

    /// <summary>Nothing to decide but whether the need can be settled now.</summary>
    public static Decision<MatchEvent> Retry(MatchState state, Situation situation) => Match.DecideEscalate(state, situation.Policy.Policy, situation.Now);

    private async Task TakeAsync(IReadOnlyList<Place> places, Func<Place, DecideOnMatch> take, Cause cause, CancellationToken cancellation)
    {
        var byNeed = places.DistinctBy(place => place.Need.NeedId).ToDictionary(place => place.Need.NeedId);
        var situation = loop.Look();
        var plan = await AssignAsync([.. byNeed.Values.Select(place => place.Need)], (needId, state) => take(byNeed[needId])(state, situation).Events.Count > 0, cause, cancellation);
        await AllAsync(places, place => new NeedWork(place.Need.NeedId, take(place), LaneOf(place.Need), cause, plan), cancellation);
    }

    /// <summary>Many needs that want somebody at once are assigned together, those for whom distance counts.</summary>
    /// <param name="moves">Whether the match, as it stands in the log by now, is one that is about to want somebody.</param>
    /// <returns>Null when they are few: each then has the nearest.</returns>
    private async Task<Plan?> AssignAsync(IReadOnlyList<Need> needs, Func<NeedId, MatchState, bool> moves, Cause cause, CancellationToken cancellation)
    {
        var offline = needs.Where(need => need.Mode is DeliveryMode.Offline).Select(need => need.NeedId).ToList();
        if (!Planner.AreMany(offline.Count, loop.Policy.Policy))
            return null;
        var matches = await log.LoadMatchesAsync(offline, cancellation);
        var work = new AssignWork([.. offline.Where(id => matches[id].State.Need is not null && moves(id, matches[id].State)).Select(id => matches[id].State)], cause);
        await loop.DoAsync(work, cancellation);
        if (work.Assigned is not { Served: > 0 } assigned)
            return null;
        assigned = assigned with { Assigned = [.. assigned.Assigned.Select(need => need with { MatchVersion = matches[need.NeedId].Version })] };
        return Plan.Of(await log.AppendPlanAsync(assigned, cause, cancellation), assigned);
    }

    private static Lane LaneOf(Need need) => need.Urgency is Urgency.LifeThreatening ? Lane.Urgent : Lane.Bulk;

    private async Task AllAsync<T>(IReadOnlyList<T> items, Func<T, NeedWork> work, CancellationToken cancellation)
    {
        // In order, and no more at once than the loop takes in a few batches.
        foreach (var chunk in items.Chunk(512))
            await Task.WhenAll(chunk.Select(item => loop.DoAsync(work(item), cancellation)));
    }

    private List<Listing> Free(IEnumerable<ResponderId> responders) =>
        [.. responders.Select(id => loop.Roster.TryGet(id, out var listing) ? listing : null)
            .OfType<Listing>().Where(listing => listing.State is { Opening: Opening.Open, Free: > 0 }).OrderBy(listing => listing.Id.Value)];

    private async Task<List<Place>> HeldAsync(ResponderId? responder, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select o.offer_id, o.responder_id, n.need, n.urgency_rank from {Tables.Offers} o join {Tables.Needs} n on n.need_id = o.need_id
            where o.holds_place {(responder is null ? "" : "and o.responder_id = $1")} order by n.urgency_rank, n.submitted_at, n.need_id
            """);
        if (responder is { } id)
            command.Parameters.AddWithValue(id.Value);
        var held = new List<Place>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            held.Add(new Place(OfferId.Of(reader.GetGuid(0)), ResponderId.Of(reader.GetGuid(1)), ReadNeed(reader.GetString(2), reader.GetInt32(3))));
        return held;
    }

    private async Task<List<(Need Need, int Aged)>> BacklogAsync(IReadOnlyCollection<Listing> servers, BacklogPosition after, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select need, urgency_rank, aged from (select *, {Aged("$6", "$7")} as aged from {Tables.Needs} where backlog is not null) waiting
            where (aged, submitted_at, need_id) > ($1, $2, $3)
                and (need->>'kind' = any($4) or split_part(need->>'kind', '.', 1) = any($4)) and need->>'mode' = any($5)
            order by aged, submitted_at, need_id limit {Page}
            """);
        command.Parameters.AddWithValue(after.Rank);
        command.Parameters.AddWithValue(after.SubmittedAt);
        command.Parameters.AddWithValue(after.NeedId);
        command.Parameters.AddWithValue(servers.SelectMany(listing => listing.State.Profile!.ServiceKinds).Distinct().ToArray());
        command.Parameters.AddWithValue(servers.SelectMany(listing => listing.State.Profile!.Modes).Distinct().Select(Words.Of).ToArray());
        command.Parameters.AddWithValue(after.At);
        command.Parameters.AddWithValue(after.AgeAfterSeconds);
        var needs = new List<(Need, int)>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            needs.Add((ReadNeed(reader.GetString(0), reader.GetInt32(1)), reader.GetInt32(2)));
        return needs;
    }

    private static Need ReadNeed(string json, int urgencyRank) =>
        JsonSerializer.Deserialize<Need>(json, Tables.Json)! with { Urgency = (Urgency)((int)Urgency.LifeThreatening - urgencyRank) };

    private sealed record Place(OfferId OfferId, ResponderId ResponderId, Need Need);

    private readonly record struct BacklogPosition(int Rank, DateTimeOffset SubmittedAt, Guid NeedId, DateTimeOffset At, double AgeAfterSeconds)
    {
        public static BacklogPosition Start(Situation situation) =>
            new(-1, DateTimeOffset.UnixEpoch, Guid.Empty, situation.Now.ToUniversalTime(), situation.Policy.Policy.AgeAfterSeconds);

        public BacklogPosition Of(Need need, int aged) => this with { Rank = aged, SubmittedAt = need.SubmittedAt.ToUniversalTime(), NeedId = need.NeedId.Value };
    }

    /// <summary><see cref="Policy.BacklogRank"/>, where the rows are.</summary>
    private static string Aged(string at, string ageAfterSeconds) => $"""
        case when urgency_rank <= 1 or {ageAfterSeconds}::float8 <= 0 then urgency_rank
            else greatest(1, urgency_rank - greatest(0, least(3, floor(extract(epoch from {at}::timestamptz - submitted_at)::float8 / {ageAfterSeconds}::float8)))::int) end
        """;
}
