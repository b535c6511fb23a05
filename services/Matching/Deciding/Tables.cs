using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Marten.Events.Projections;
using Weasel.Postgresql;
using Weasel.Postgresql.Tables;
using Need = Huzhu.Contracts.Requests.V1.Need;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// What must be found without reading streams, written in the transaction of the events: the directory of responders
/// with the places they hold (so that a replica starts in one query), which need an offer belongs to, and the backlog
/// in its order. Plain rows, because a document per responder would be rewritten whole for every place.
/// </summary>
public sealed class Tables : IProjection
{
    public const string Responders = EventStore.Schema + ".responders";
    public const string Offers = EventStore.Schema + ".offers";
    public const string Needs = EventStore.Schema + ".needs";

    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static IEnumerable<Table> All()
    {
        var responders = new Table(Responders);
        responders.AddColumn<Guid>("id").AsPrimaryKey();
        responders.AddColumn("profile", "jsonb").NotNull();
        responders.AddColumn<string>("opening").NotNull();
        responders.AddColumn<long>("directory_version").NotNull();

        var offers = new Table(Offers);
        offers.AddColumn<Guid>("offer_id").AsPrimaryKey();
        offers.AddColumn<Guid>("need_id").NotNull();
        offers.AddColumn<Guid>("responder_id").NotNull();
        offers.AddColumn<DateTimeOffset>("held_at").NotNull();
        offers.AddColumn<bool>("holds_place").NotNull();
        offers.Indexes.Add(new IndexDefinition("offers_holding") { Columns = ["responder_id"], Predicate = "holds_place" });

        var needs = new Table(Needs);
        needs.AddColumn<Guid>("need_id").AsPrimaryKey();
        needs.AddColumn<Guid>("person_id").NotNull();
        needs.AddColumn("need", "jsonb").NotNull();
        // 0 is the most urgent, so that the backlog's order is one ascending index.
        needs.AddColumn<int>("urgency_rank").NotNull();
        needs.AddColumn<DateTimeOffset>("submitted_at").NotNull();
        needs.AddColumn<bool>("is_over").NotNull();
        needs.AddColumn<string>("backlog").AllowNulls();
        needs.AddColumn<string>("reason").AllowNulls();
        needs.AddColumn<DateTimeOffset>("since").AllowNulls();
        // Where the need stands, in the words of the contracts; null in rows of an earlier version that have not moved since.
        needs.AddColumn<string>("state").AllowNulls();
        needs.AddColumn<DateTimeOffset>("offered_at").AllowNulls();
        // What was submitted lately lies together: an index of block ranges costs next to nothing.
        needs.Indexes.Add(new IndexDefinition("needs_submitted") { Columns = ["submitted_at"], Method = IndexMethod.brin });
        needs.Indexes.Add(new IndexDefinition("needs_backlog") { Columns = ["urgency_rank", "submitted_at", "need_id"], Predicate = "backlog is not null" });
        needs.Indexes.Add(new IndexDefinition("needs_person") { Columns = ["person_id"], Predicate = "not is_over" });
        return [responders, offers, needs];
    }

    public static int RankOf(Urgency urgency) => (int)Urgency.LifeThreatening - (int)urgency;
    public static Urgency UrgencyOf(int rank) => (Urgency)((int)Urgency.LifeThreatening - rank);

    /// <summary>
    /// One statement for each kind of change, however many events the transaction carries: the decision loop's commits
    /// are large, and their statements run one after the other.
    /// </summary>
    public Task ApplyAsync(IDocumentOperations operations, IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        var held = new List<(Guid Responder, PlaceHeld Place)>();
        var released = new List<Guid>();
        var needs = new Dictionary<Guid, NeedChanges>();
        foreach (var stored in events)
        {
            var stream = stored.StreamId;
            switch (stored.Data)
            {
                case ResponderEvent change:
                    ApplyToResponder(operations, stream, change, held, released);
                    break;
                case MatchEvent change:
                    if (!needs.TryGetValue(stream, out var need))
                        needs[stream] = need = new NeedChanges();
                    need.Take(change);
                    break;
            }
        }
        if (held.Count > 0)
            operations.QueueSqlCommand($"""
                insert into {Offers} (offer_id, need_id, responder_id, held_at, holds_place)
                select *, true from unnest(?::uuid[], ?::uuid[], ?::uuid[], ?::timestamptz[])
                """,
                Array(held, row => row.Place.OfferId.Value), Array(held, row => row.Place.NeedId.Value), Array(held, row => row.Responder), Array(held, row => row.Place.At.ToUniversalTime()));
        if (released.Count > 0)
            operations.QueueSqlCommand($"update {Offers} set holds_place = false where offer_id = any(?::uuid[])", released.ToArray());
        Write(operations, needs);
        return Task.CompletedTask;
    }

    private static void ApplyToResponder(IDocumentOperations to, Guid responder, ResponderEvent change, List<(Guid, PlaceHeld)> held, List<Guid> released)
    {
        switch (change)
        {
            case PlaceHeld place:
                held.Add((responder, place));
                break;
            case PlaceReleased place:
                released.Add(place.OfferId.Value);
                break;
            case ResponderListed listed:
                to.QueueSqlCommand($"insert into {Responders} (id, profile, opening, directory_version) values (?, ?::jsonb, ?, ?)",
                    responder, JsonSerializer.Serialize(listed.Profile, Json), listed.Opening.ToString(), listed.DirectoryVersion);
                break;
            case ResponderUpdated updated:
                to.QueueSqlCommand($"update {Responders} set profile = ?::jsonb, directory_version = ? where id = ?",
                    JsonSerializer.Serialize(updated.Profile, Json), updated.DirectoryVersion, responder);
                break;
            case ResponderClosed closed:
                Open(Opening.Closed, closed.DirectoryVersion);
                break;
            case ResponderReopened reopened:
                Open(Opening.Open, reopened.DirectoryVersion);
                break;
            case ResponderPaused paused:
                Open(Opening.Paused, paused.DirectoryVersion);
                break;
            case ResponderWithdrawn withdrawn:
                Open(Opening.Withdrawn, withdrawn.DirectoryVersion);
                break;
        }

        void Open(Opening opening, long version) =>
            to.QueueSqlCommand($"update {Responders} set opening = ?, directory_version = ? where id = ?", opening.ToString(), version, responder);
    }

    private static void Write(IDocumentOperations to, Dictionary<Guid, NeedChanges> changes)
    {
        var received = changes.Values.Where(change => change.Need is not null).ToList();
        if (received.Count > 0)
            to.QueueSqlCommand($"""
                insert into {Needs} (need_id, person_id, need, urgency_rank, submitted_at, is_over, state, offered_at)
                select id, person, need::jsonb, rank, submitted, false, state, offered
                from unnest(?::uuid[], ?::uuid[], ?::text[], ?::int[], ?::timestamptz[], ?::text[], ?::timestamptz[]) as new (id, person, need, rank, submitted, state, offered)
                on conflict (need_id) do update set is_over = false
                """,
                Array(received, change => change.Need!.NeedId.Value), Array(received, change => change.Need!.PersonId.Value), Array(received, change => JsonSerializer.Serialize(change.Need, Json)),
                Array(received, change => RankOf(change.Need!.Urgency)), Array(received, change => change.Need!.SubmittedAt.ToUniversalTime()),
                Array(received, change => change.State ?? AsFirstHeard), Array(received, change => change.OfferedAt));

        var changed = changes.Where(change => change.Value.ChangesRow).ToList();
        // A row that says all this already keeps as it is: that of a need that was offered as soon as it was heard of.
        if (changed.Count > 0)
            to.QueueSqlCommand($"""
                update {Needs} n set
                    urgency_rank = coalesce(c.rank, n.urgency_rank), is_over = coalesce(c.over, n.is_over),
                    backlog = case when c.moved then c.backlog else n.backlog end,
                    reason = case when c.moved then c.reason else n.reason end,
                    since = case when c.moved then c.since else n.since end,
                    state = coalesce(c.state, n.state), offered_at = coalesce(n.offered_at, c.offered)
                from unnest(?::uuid[], ?::int[], ?::boolean[], ?::boolean[], ?::text[], ?::text[], ?::timestamptz[], ?::text[], ?::timestamptz[])
                    as c (id, rank, over, moved, backlog, reason, since, state, offered)
                where n.need_id = c.id and (c.rank is not null or c.over is not null or c.backlog is not null or c.moved and n.backlog is not null
                    or coalesce(c.state, n.state) is distinct from n.state or n.offered_at is null and c.offered is not null)
                """,
                Array(changed, change => change.Key), Array(changed, change => change.Value.Rank), Array(changed, change => change.Value.IsOver),
                Array(changed, change => change.Value.Moved), Array(changed, change => change.Value.Backlog), Array(changed, change => change.Value.Reason),
                Array(changed, change => change.Value.Since), Array(changed, change => change.Value.State), Array(changed, change => change.Value.OfferedAt));
    }

    /// <summary>Every transaction leaves a need settled, unless a concern about it came before the need itself: then it is held from the first.</summary>
    public static readonly string AsFirstHeard = Words.Of(NeedState.OnHold);

    /// <summary>Where the need stands after the event, in the words of the contracts; null when it leaves it where it was.</summary>
    public static string? StateAfter(object change) => change switch
    {
        OfferMade => Words.Of(NeedState.Offered),
        OfferAccepted => Words.Of(NeedState.Accepted),
        HelpStarted => Words.Of(NeedState.Started),
        HelpCompleted { Remaining: 0 } => Words.Of(NeedState.Fulfilled),
        NeedWaits => Words.Of(NeedState.Waiting),
        NeedEscalated => Words.Of(NeedState.Escalated),
        NeedHeld => Words.Of(NeedState.OnHold),
        NeedCancelled => Words.Of(NeedState.Cancelled),
        NeedConfirmed => Words.Of(NeedState.Closed),
        _ => null,
    };

    private static TValue[] Array<T, TValue>(List<T> rows, Func<T, TValue> value) => [.. rows.Select(value)];

    /// <summary>What the events of one match, taken together, change of its need's row.</summary>
    private sealed class NeedChanges
    {
        public Need? Need { get; private set; }
        public int? Rank { get; private set; }
        public bool? IsOver { get; private set; }
        /// <summary>Whether it went into the backlog or out of it.</summary>
        public bool Moved { get; private set; }
        public string? Backlog { get; private set; }
        public string? Reason { get; private set; }
        public DateTimeOffset? Since { get; private set; }

        public string? State { get; private set; }
        /// <summary>The first offer among the events.</summary>
        public DateTimeOffset? OfferedAt { get; private set; }

        public bool ChangesRow => Moved || Rank is not null || IsOver is true || State is not null;

        public void Take(MatchEvent change)
        {
            State = StateAfter(change) ?? State;
            if (change is OfferMade { At: var at })
                OfferedAt ??= at.ToUniversalTime();
            switch (change)
            {
                case NeedReceived received:
                    (Need, IsOver) = (received.Need, null);
                    break;
                case NeedReopened reopened:
                    (Need, IsOver) = (reopened.Need, null);
                    break;
                case NeedUrgencyRaised raised:
                    Rank = RankOf(raised.Urgency);
                    break;
                case NeedWaits waits:
                    Move("waiting", waits.Reason, waits.At);
                    break;
                case NeedEscalated escalated:
                    Move("escalated", escalated.Reason, escalated.At);
                    break;
                case OfferMade { NewlyOffered: true } or NeedHeld:
                    Move(null, null, null);
                    break;
                case NeedCancelled or NeedConfirmed or HelpCompleted { Remaining: 0 }:
                    Move(null, null, null);
                    IsOver = true;
                    break;
            }
        }

        private void Move(string? backlog, string? reason, DateTimeOffset? since) =>
            (Moved, Backlog, Reason, Since) = (true, backlog, reason, since?.ToUniversalTime());
    }
}
