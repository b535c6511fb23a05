using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Npgsql;

namespace Huzhu.Matching.Deciding;

/// <summary>Reads and writes the streams for the decision loop: many at once, in few round trips.</summary>
public sealed class Log(IDocumentStore store, NpgsqlDataSource database)
{
    /// <summary>Kinds of timers; the subject is the need's id, and the match's state decides what they still mean.</summary>
    public const string OfferExpiry = "offer-expiry", Escalation = "escalation";

    /// <summary>Decisions are made in whole milliseconds: a timer that fires within the same one would come to nothing.</summary>
    public static readonly TimeSpan Later = TimeSpan.FromMilliseconds(2);

    /// <returns>With the version of each match, and where its trace began.</returns>
    public async Task<IReadOnlyDictionary<NeedId, (MatchState State, long Version, string? Began)>> LoadMatchesAsync(IReadOnlyCollection<NeedId> ids, CancellationToken cancellation)
    {
        var matches = ids.ToDictionary(id => id, _ => (State: MatchState.Initial, Version: 0L, Began: (string?)null));
        var streams = ids.Select(id => id.Value).ToArray();
        await using var session = store.QuerySession();
        foreach (var stored in await session.ReadStreamsAsync(streams, cancellation))
        {
            var id = NeedId.Of(stored.StreamId);
            matches[id] = (MatchState.Evolve(matches[id].State, (MatchEvent)stored.Data), stored.Version, matches[id].Began ?? stored.TraceParent());
        }
        return matches;
    }

    public async Task<(MatchState State, long Version)> LoadMatchAsync(NeedId id, CancellationToken cancellation)
    {
        var (state, version, _) = (await LoadMatchesAsync([id], cancellation))[id];
        return (state, version);
    }

    public async Task<PolicyState> LoadPolicyAsync(CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var events = await session.Events.FetchStreamAsync(PolicyState.StreamId, token: cancellation);
        return events.Aggregate(PolicyState.Initial, (state, stored) => PolicyState.Evolve(state, (PolicyEvent)stored.Data));
    }

    public async Task<MeasuresState> LoadMeasuresAsync(CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var events = await session.Events.FetchStreamAsync(MeasuresState.StreamId, token: cancellation);
        return events.Aggregate(MeasuresState.Initial, (state, stored) => MeasuresState.Evolve(state, (MeasuresEvent)stored.Data));
    }

    /// <summary>Ledgers of these responders, or of all, as of one moment. Those that do not exist are not in the answer.</summary>
    public async Task<IReadOnlyDictionary<ResponderId, ResponderState>> LoadLedgersAsync(IReadOnlyCollection<ResponderId>? ids, CancellationToken cancellation)
    {
        var filter = ids is null ? "" : "where r.id = any($1)";
        await using var command = database.CreateCommand($"""
            select r.id, r.profile, r.opening, r.directory_version, s.version, o.offer_id, o.need_id, o.held_at
            from {Tables.Responders} r join {EventStore.Schema}.mt_streams s on s.id = r.id
            left join {Tables.Offers} o on o.responder_id = r.id and o.holds_place
            {filter} order by r.id
            """);
        if (ids is not null)
            command.Parameters.AddWithValue(ids.Select(id => id.Value).ToArray());
        var ledgers = new Dictionary<ResponderId, ResponderState>();
        var held = new Dictionary<ResponderId, List<KeyValuePair<OfferId, HeldPlace>>>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var id = ResponderId.Of(reader.GetGuid(0));
            if (!ledgers.ContainsKey(id))
            {
                ledgers[id] = new ResponderState(
                    JsonSerializer.Deserialize<Profile>(reader.GetString(1), Tables.Json), Enum.Parse<Opening>(reader.GetString(2)),
                    reader.GetInt64(3), ResponderState.Initial.Held, reader.GetInt64(4));
                held[id] = [];
            }
            if (!reader.IsDBNull(5))
            {
                var offer = OfferId.Of(reader.GetGuid(5));
                held[id].Add(new(offer, new HeldPlace(offer, NeedId.Of(reader.GetGuid(6)), reader.GetFieldValue<DateTimeOffset>(7))));
            }
        }
        foreach (var (id, places) in held)
            ledgers[id] = ledgers[id] with { Held = ledgers[id].Held.AddRange(places) };
        return ledgers;
    }

    /// <summary>
    /// Appends everything that a round decided in one transaction, each stream at the version it was decided against,
    /// in the order of stream ids so that two replicas cannot block each other for ever.
    /// </summary>
    public async Task CommitAsync(Round round, CancellationToken cancellation)
    {
        await using var session = store.LightweightSession();
        var appends = round.Matches.Where(match => match.Value.Events.Count > 0)
            .Select(match => (Id: match.Key.Value, match.Value.Version, Events: match.Value.Events.ConvertAll(change => ((object)change.Event, change.Cause))))
            .Concat(round.Ledgers.Select(ledger => (Id: ledger.Key.Value, ledger.Value.Version, Events: ledger.Value.Events.ConvertAll(change => ((object)change.Event, change.Cause)))))
            .OrderBy(append => append.Id);
        foreach (var (id, version, events) in appends)
        {
            var action = session.Events.Append(id, version + events.Count, events.Select(change => change.Item1));
            for (var index = 0; index < events.Count; index++)
                action.Events[index].Mark(events[index].Cause);
        }
        foreach (var (needId, match) in round.Matches)
            ScheduleTimers(session, needId, match, round.Situation);
        await session.SaveChangesAsync(cancellation);
    }

    /// <summary>The prices of those who are still to come, as they were last set.</summary>
    public async Task<Plan> LoadPricesAsync(CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var last = await session.Events.QueryAllRawEvents().Where(stored => stored.StreamId == PricesSet.StreamId)
            .OrderByDescending(stored => stored.Version).Take(1).ToListAsync(cancellation);
        return last is [{ Data: PricesSet prices, Version: var version }] ? Plan.Of(prices, version) : Plan.None;
    }

    /// <exception cref="Exception">Another replica was first: see <see cref="IsConflict"/>.</exception>
    public async Task AppendPricesAsync(PricesSet prices, long version, Cause cause, CancellationToken cancellation)
    {
        await using var session = store.LightweightSession();
        session.Events.Append(PricesSet.StreamId, version + 1, prices).CausedBy(cause);
        await session.SaveChangesAsync(cancellation);
    }

    /// <summary>Begins the stream of a plan.</summary>
    public async Task<Guid> AppendPlanAsync(NeedsAssigned assigned, Cause cause, CancellationToken cancellation)
    {
        var id = Guid.CreateVersion7(assigned.At);
        await using var session = store.LightweightSession();
        session.Events.StartStream(id, assigned).CausedBy(cause);
        await session.SaveChangesAsync(cancellation);
        return id;
    }

    /// <summary>Appends to a stream that is decided on its own, trying again when another replica was first.</summary>
    public async Task<TState> AppendAsync<TState, TEvent>(Guid streamId, TState initial, Func<TState, TEvent, TState> evolve,
        Func<TState, IReadOnlyList<TEvent>> decide, Cause cause, CancellationToken cancellation) where TEvent : notnull
    {
        for (var attempt = 1; ; attempt++)
        {
            await using var session = store.LightweightSession();
            var stored = await session.Events.FetchStreamAsync(streamId, token: cancellation);
            var state = stored.Aggregate(initial, (state, change) => evolve(state, (TEvent)change.Data));
            var events = decide(state);
            if (events.Count == 0)
                return state;
            session.Events.Append(streamId, stored.Count + events.Count, events.Cast<object>()).CausedBy(cause);
            try
            {
                await session.SaveChangesAsync(cancellation);
                return events.Aggregate(state, evolve);
            }
            catch (Exception exception) when (IsConflict(exception) && attempt < 10)
            {
                await Task.Delay(Random.Shared.Next(5, 20 * attempt), cancellation);
            }
        }
    }

    /// <summary>Whether somebody else appended first to a stream of the transaction.</summary>
    public static bool IsConflict(Exception? exception) => exception switch
    {
        null => false,
        EventStreamUnexpectedMaxEventIdException or Marten.Exceptions.ExistingStreamIdCollisionException or JasperFx.Events.ExistingStreamIdCollisionException => true,
        PostgresException { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure or "MT003" } => true,
        AggregateException aggregate => aggregate.InnerExceptions.Any(IsConflict),
        _ => IsConflict(exception.InnerException),
    };

    private static void ScheduleTimers(IDocumentOperations session, NeedId needId, MatchPart match, Situation situation)
    {
        var begun = match.Events.Select(change => change.Event switch { OfferMade made => made.OfferId, OfferSent sent => sent.OfferId, _ => (OfferId?)null }).OfType<OfferId>();
        foreach (var endsAt in begun.Select(id => match.State.Find(id)!).Where(offer => offer.IsOpen).Select(offer => offer.EndsAt).Distinct())
            session.Schedule(OfferExpiry, needId.Value, endsAt + Later);
        if (match.State.State is NeedState.Waiting && match.Events.Exists(change => change.Event is NeedWaits or NeedUrgencyRaised))
            session.Schedule(Escalation, needId.Value, match.State.EscalatesAt(situation.Policy.Policy) + Later);
    }
}
