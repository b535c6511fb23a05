using System.Text;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using Marten;
using Marten.Services;
using Npgsql;
using NpgsqlTypes;

namespace Huzhu.Benchmarks;

/// <summary>
/// A log as Matching writes it, as long as is wanted: batch by batch decided by what decides in production, and put into the
/// tables of its store in bulk.
/// </summary>
sealed class ReplayLog
{
    const int Responders = 3_180, NeedsInABatch = 40;
    static readonly DateTimeOffset Start = new(2022, 4, 1, 0, 0, 0, TimeSpan.Zero);
    static readonly string[] Kinds = [.. ServiceKinds.All];

    readonly SystemTextJsonSerializer _serializer = EventStore.CreateSerializer();
    readonly Random _random = new(1);
    readonly Roster _roster = new();
    readonly Dictionary<NeedId, (MatchState State, long Version)> _matches = [];
    readonly SortedDictionary<int, List<(NeedId Need, DecideOnMatch Decide)>> _later = [];
    readonly NpgsqlBinaryImporter _rows;
    PolicyState _policy = PolicyState.Initial;
    DateTimeOffset _now = Start;
    long _offers, _bytes, _sequence;
    int _batch;

    ReplayLog(NpgsqlBinaryImporter rows) => _rows = rows;

    public static async Task<(long Events, long Offers, long Bytes)> WriteAsync(string database, long events)
    {
        await MakeTablesAsync(database);
        await using var source = NpgsqlDataSource.Create(database);
        await using var connection = await source.OpenConnectionAsync();
        // Indexes are made at once, afterwards; the log is all that is read here, so the rows of streams are left out.
        var indexes = await ListAsync(connection, "select indexdef from pg_indexes where schemaname = 'huzhu' and tablename = 'mt_events' and indexname not like 'pkey%'");
        foreach (var index in await ListAsync(connection, "select indexname from pg_indexes where schemaname = 'huzhu' and tablename = 'mt_events' and indexname not like 'pkey%'"))
            await ExecuteAsync(connection, $"drop index huzhu.{index}");
        await ExecuteAsync(connection, "set session_replication_role = replica");
        ReplayLog log;
        await using (var rows = await connection.BeginBinaryImportAsync(
            "copy huzhu.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, causation_id, headers, is_archived) from stdin (format binary)"))
        {
            log = new ReplayLog(rows);
            log.Begin();
            while (log._sequence < events)
                log.Batch();
            await rows.CompleteAsync();
        }
        foreach (var index in indexes)
            await ExecuteAsync(connection, index);
        await ExecuteAsync(connection, $"select setval('huzhu.mt_events_sequence', {log._sequence})");
        await ExecuteAsync(connection, "vacuum analyze huzhu.mt_events");
        return (log._sequence, log._offers, log._bytes);
    }

    static async Task MakeTablesAsync(string database)
    {
        await using var store = DocumentStore.For(options =>
        {
            options.Connection(database);
            options.DatabaseSchemaName = EventStore.Schema;
            options.Events.EnableUniqueIndexOnEventId = true;
            options.Events.MetadataConfig.CorrelationIdEnabled = true;
            options.Events.MetadataConfig.CausationIdEnabled = true;
            options.Events.MetadataConfig.HeadersEnabled = true;
            options.Events.AddEventTypes(EventStore.EventsOf<MatchEvent>());
        });
        await store.Storage.ApplyAllConfiguredChangesToDatabaseAsync();
    }

    void Begin()
    {
        var change = (PolicyEvent)PolicyState.DecideFirst(_policy, _now).Events[0];
        _policy = PolicyState.Evolve(_policy, change);
        Append(PolicyState.StreamId, 1, change);
        for (var number = 0; number < Responders; number++)
        {
            var profile = new Profile(number % 19 == 0 ? ResponderKind.Provider : ResponderKind.Group, [new Site(Place(), "J")], 5_000, [],
                [Kinds[_random.Next(Kinds.Length)], Kinds[_random.Next(Kinds.Length)], Kinds[_random.Next(Kinds.Length)]], [DeliveryMode.Online, DeliveryMode.Offline],
                _random.Next(4) == 0 ? [CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly] : [], number % 19 == 0 ? 30 : 3, false, null, ["coordinator"]);
            var (id, listed) = (Id(), new ResponderListed(profile, Opening.Open, 1, _now));
            _roster.Set(ResponderId.Of(id), ResponderState.Evolve(ResponderState.Initial, listed));
            Append(id, 1, listed);
        }
    }

    /// <summary>New needs, and what became due of those before: told, answered, begun, done, confirmed.</summary>
    void Batch()
    {
        _now = _now.AddMilliseconds(200);
        _batch++;
        var round = new Round(new Situation(_roster, _policy, new Zones(MeasuresState.Initial), _now));
        var work = _later.Remove(_batch, out var due) ? due : [];
        for (var number = 0; number < NeedsInABatch; number++)
        {
            var need = new Need(NeedId.Of(Id()), RequestId.Of(Id()), PersonId.Of(Id()), Kinds[_random.Next(Kinds.Length)], _random.Next(3) == 0 ? DeliveryMode.Online : DeliveryMode.Offline,
                1, Place(), "J", (Urgency)_random.Next(4), _random.Next(10) == 0 ? [CommunicationNeed.SignLanguage] : [], null, [], _now.AddMilliseconds(-30));
            work.Add((need.NeedId, (state, situation) => Match.DecideReceive(state, need, situation.Now)));
        }
        foreach (var (id, decide) in work)
        {
            var (state, version) = _matches.GetValueOrDefault(id, (MatchState.Initial, 0));
            if (!round.Matches.ContainsKey(id))
                round.Know(id, state, version);
            round.Decide(id, decide);
        }
        var appends = round.Matches.Select(match => (Id: match.Key.Value, match.Value.Version, Events: match.Value.Events.ConvertAll(change => (object)change.Event)))
            .Concat(round.Ledgers.Select(ledger => (Id: ledger.Key.Value, ledger.Value.Version, Events: ledger.Value.Events.ConvertAll(change => (object)change.Event))));
        foreach (var (id, version, events) in appends.OrderBy(append => append.Id))
        {
            for (var index = 0; index < events.Count; index++)
                Append(id, version + index + 1, events[index]);
        }
        foreach (var (id, match) in round.Matches)
        {
            foreach (var (change, _) in match.Events)
                Follow(id, change);
            if (match.State.State is NeedState.Closed)
                _matches.Remove(id);
            else
                _matches[id] = (match.State, match.Version + match.Events.Count);
        }
    }

    void Follow(NeedId id, MatchEvent change)
    {
        switch (change)
        {
            case OfferMade made:
                _offers++;
                Later(1, (state, situation) => Match.DecideDelivered(state, made.OfferId, "webhook", situation.Now, situation.Now));
                if (_random.Next(10) == 0)
                    Later(2, (state, situation) => Match.DecideDecline(state, made.OfferId, DeclineReason.NoCapacity, situation.Now));
                else
                    Later(2 + _random.Next(3), (state, situation) => Match.DecideAccept(state, made.OfferId, situation.Now) is { Refusal: null } accepted ? accepted : Huzhu.Deciding.Decision<MatchEvent>.Nothing);
                break;
            case OfferAccepted accepted:
                Later(1, (state, situation) => Match.DecideStart(state, accepted.OfferId, situation.Now));
                Later(5 + _random.Next(20), (state, situation) => Match.DecideComplete(state, accepted.OfferId, null, situation.Now));
                break;
            case HelpCompleted completed:
                Later(3, (state, situation) => Match.DecideConfirm(state, completed.RequestId, situation.Now, situation.Now));
                break;
        }

        void Later(int batches, DecideOnMatch decide)
        {
            if (!_later.TryGetValue(_batch + batches, out var due))
                _later[_batch + batches] = due = [];
            due.Add((id, decide));
        }
    }

    void Append(Guid stream, long version, object change)
    {
        var data = _serializer.ToJson(change);
        _bytes += Encoding.UTF8.GetByteCount(data);
        _rows.StartRow();
        _rows.Write(++_sequence, NpgsqlDbType.Bigint);
        _rows.Write(Id(), NpgsqlDbType.Uuid);
        _rows.Write(stream, NpgsqlDbType.Uuid);
        _rows.Write(version, NpgsqlDbType.Bigint);
        _rows.Write(data, NpgsqlDbType.Jsonb);
        _rows.Write(EventStore.NameOf(change.GetType()), NpgsqlDbType.Varchar);
        _rows.Write(_now, NpgsqlDbType.TimestampTz);
        _rows.Write("*DEFAULT*", NpgsqlDbType.Varchar);
        _rows.Write($"{change.GetType().FullName}, {change.GetType().Assembly.GetName().Name}", NpgsqlDbType.Varchar);
        _rows.Write(Id().ToString(), NpgsqlDbType.Varchar);
        _rows.Write($$"""{"traceparent": "00-{{Id():N}}-{{Id().ToString("N")[..16]}}-01"}""", NpgsqlDbType.Jsonb);
        _rows.Write(false, NpgsqlDbType.Boolean);
    }

    GeoPoint Place() => new(31.22 + Spread() * 0.05, 121.44 + Spread() * 0.06);

    double Spread() => (_random.NextDouble() + _random.NextDouble() + _random.NextDouble() - 1.5) / 1.5;

    Guid Id()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes);
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    static async Task<List<string>> ListAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var list = new List<string>();
        while (await reader.ReadAsync())
            list.Add(reader.GetString(0));
        return list;
    }
}
