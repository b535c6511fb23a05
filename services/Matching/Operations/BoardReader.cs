using Huzhu.Contracts;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Operations;

/// <summary>Reads the board: one round trip to the database, the directory from memory, the queues from the broker.</summary>
public sealed class BoardReader(DecisionLoop loop, NpgsqlDataSource database, QueueDepths queues)
{
    public async Task<Board> ReadAsync(CancellationToken cancellation)
    {
        var situation = loop.Look();
        var depths = queues.ReadAsync(cancellation);
        var (needs, oldest, offers, bySubDistrict, relay) = await QueryAsync(situation, cancellation);
        var (subDistricts, capacity, openings) = Places(situation.Roster, bySubDistrict);
        var known = await depths;
        return new Board(situation.Now, needs, oldest, offers, subDistricts, capacity, openings, situation.Zones.Count, relay, known,
            known?.FirstOrDefault(queue => queue.Name == QueueDepths.Needs) is { } queue ? (int)queue.Consumers : null);
    }

    private async Task<(List<NeedCount>, OldestWaiting?, List<TimeToOffer>, Dictionary<string, (int Waiting, int Escalated, int UnderWay)>, RelayState)> QueryAsync(
        Situation situation, CancellationToken cancellation)
    {
        // Rows of an earlier version have no state: there, who is not in the backlog has been asked.
        const string state = "coalesce(state, backlog, 'offered')";
        const string sinceAnHour = "submitted_at > $1::timestamptz - interval '1 hour'";
        await using var batch = database.CreateBatch();
        Add($"select {state}, urgency_rank, count(*)::int from {Tables.Needs} where not is_over or {sinceAnHour} group by 1, 2 order by 2, 1");
        Add($"select need_id, backlog, urgency_rank, submitted_at from {Tables.Needs} where backlog is not null order by submitted_at, need_id limit 1");
        Add($"""
            select urgency_rank, count(*)::int, count(offered_at)::int,
                percentile_cont(0.5) within group (order by extract(epoch from offered_at - submitted_at)) filter (where offered_at is not null),
                percentile_cont(0.95) within group (order by extract(epoch from offered_at - submitted_at)) filter (where offered_at is not null),
                count(*) filter (where coalesce(offered_at, $1) - submitted_at <= make_interval(secs => ($2::float8[])[urgency_rank + 1]))::int
            from {Tables.Needs} where {sinceAnHour} and state is distinct from 'cancelled' group by 1 order by 1
            """, Enum.GetValues<Urgency>().OrderBy(Tables.RankOf).Select(urgency => situation.Policy.Policy.For(urgency).EscalateAfterSeconds).ToArray());
        Add($"""
            select coalesce(need->>'subDistrict', ''), count(*) filter (where {state} = 'waiting')::int, count(*) filter (where {state} = 'escalated')::int,
                count(*) filter (where {state} in ('offered', 'accepted', 'started'))::int
            from {Tables.Needs} where not is_over group by 1
            """);
        Add($"""
            select coalesce((select max(seq_id) from {EventStore.Schema}.mt_events), 0), coalesce(max(last_seq_id) filter (where name like 'Relay:%'), 0),
                (select e.timestamp from {EventStore.Schema}.mt_events e where e.seq_id > (select coalesce(max(last_seq_id), 0) from {EventStore.Schema}.mt_event_progression where name like 'Relay:%') order by e.seq_id limit 1)
            from {EventStore.Schema}.mt_event_progression
            """);

        var (needs, offers, bySubDistrict) = (new List<NeedCount>(), new List<TimeToOffer>(), new Dictionary<string, (int, int, int)>());
        OldestWaiting? oldest = null;
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            needs.Add(new NeedCount(reader.GetString(0), Tables.UrgencyOf(reader.GetInt32(1)), reader.GetInt32(2)));
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            oldest = new OldestWaiting(NeedId.Of(reader.GetGuid(0)), reader.GetString(1), Tables.UrgencyOf(reader.GetInt32(2)), reader.GetFieldValue<DateTimeOffset>(3));
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var (urgency, count) = (Tables.UrgencyOf(reader.GetInt32(0)), reader.GetInt32(1));
            offers.Add(new TimeToOffer(urgency, count, reader.GetInt32(2), Seconds(3), Seconds(4), situation.Policy.Policy.For(urgency).EscalateAfterSeconds,
                Math.Round(reader.GetInt32(5) / (double)count, 4)));
        }
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            bySubDistrict[reader.GetString(0)] = (reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3));
        await reader.NextResultAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var behind = Math.Max(0, reader.GetInt64(0) - reader.GetInt64(1));
        var relay = new RelayState(behind, behind == 0 || reader.IsDBNull(2) ? null : reader.GetFieldValue<DateTimeOffset>(2));
        return (needs, oldest, offers, bySubDistrict, relay);

        void Add(string sql, params object[] more)
        {
            var command = new NpgsqlBatchCommand(sql);
            if (sql.Contains("$1", StringComparison.Ordinal))
                command.Parameters.Add(new NpgsqlParameter { Value = situation.Now.ToUniversalTime() });
            foreach (var value in more)
                command.Parameters.Add(new NpgsqlParameter { Value = value });
            batch.BatchCommands.Add(command);
        }

        double? Seconds(int column) => reader.IsDBNull(column) ? null : Math.Round(reader.GetDouble(column), 3);
    }

    private static (List<SubDistrictLoad>, List<KindCapacity>, List<OpeningCount>) Places(Roster roster, Dictionary<string, (int Waiting, int Escalated, int UnderWay)> needs)
    {
        var places = new SortedDictionary<string, (double Latitude, double Longitude, int Sites, int Open, int Closed, int Free, int Capacity)>(StringComparer.Ordinal);
        var kinds = new SortedDictionary<(string SubDistrict, string Kind), (int Responders, int Free, int Capacity)>();
        var openings = new SortedDictionary<(ResponderKind, Opening), int>();
        foreach (var state in roster.All.Select(listing => listing.State))
        {
            var profile = state.Profile!;
            openings[(profile.Kind, state.Opening)] = openings.GetValueOrDefault((profile.Kind, state.Opening)) + 1;
            if (state.Opening is Opening.Withdrawn || profile.Sites.Count == 0)
                continue;
            // Whoever works from several places is counted where its first open one is, so that no place of its is counted twice.
            var site = profile.Sites.FirstOrDefault(site => site.Open) ?? profile.Sites[0];
            var open = state.Opening is Opening.Open;
            var (free, capacity) = open ? (state.Free, state.Capacity) : (0, 0);
            var place = places.GetValueOrDefault(site.SubDistrict);
            places[site.SubDistrict] = (place.Latitude + site.Place.Latitude, place.Longitude + site.Place.Longitude, place.Sites + 1,
                place.Open + (open ? 1 : 0), place.Closed + (open ? 0 : 1), place.Free + free, place.Capacity + capacity);
            if (!open)
                continue;
            foreach (var kind in profile.ServiceKinds)
            {
                var known = kinds.GetValueOrDefault((site.SubDistrict, kind));
                kinds[(site.SubDistrict, kind)] = (known.Responders + 1, known.Free + free, known.Capacity + capacity);
            }
        }
        var names = places.Keys.Concat(needs.Keys).Distinct().Order(StringComparer.Ordinal);
        return (
            [.. names.Select(name =>
            {
                var (place, load) = (places.GetValueOrDefault(name), needs.GetValueOrDefault(name));
                return new SubDistrictLoad(name, place.Sites == 0 ? null : new GeoPoint(Math.Round(place.Latitude / place.Sites, 2), Math.Round(place.Longitude / place.Sites, 2)),
                    load.Waiting, load.Escalated, load.UnderWay, place.Open, place.Closed, place.Free, place.Capacity);
            })],
            [.. kinds.Select(kind => new KindCapacity(kind.Key.SubDistrict, kind.Key.Kind, kind.Value.Responders, kind.Value.Free, kind.Value.Capacity))],
            [.. openings.Select(opening => new OpeningCount(opening.Key.Item1, opening.Key.Item2, opening.Value))]);
    }
}
