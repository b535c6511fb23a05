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
        needs.Indexes.Add(new IndexDefinition("needs_backlog") { Columns = ["urgency_rank", "submitted_at", "need_id"], Predicate = "backlog is not null" });
        needs.Indexes.Add(new IndexDefinition("needs_person") { Columns = ["person_id"], Predicate = "not is_over" });
        return [responders, offers, needs];
    }

    public static int RankOf(Urgency urgency) => (int)Urgency.LifeThreatening - (int)urgency;

    public Task ApplyAsync(IDocumentOperations operations, IReadOnlyList<IEvent> events, CancellationToken cancellation)
    {
        foreach (var stored in events)
            Apply(operations, stored.StreamId, stored.Data);
        return Task.CompletedTask;
    }

    private static void Apply(IDocumentOperations to, Guid stream, object change)
    {
        switch (change)
        {
            case ResponderListed listed:
                to.QueueSqlCommand($"insert into {Responders} (id, profile, opening, directory_version) values (?, ?::jsonb, ?, ?)",
                    stream, JsonSerializer.Serialize(listed.Profile, Json), listed.Opening.ToString(), listed.DirectoryVersion);
                break;
            case ResponderUpdated updated:
                to.QueueSqlCommand($"update {Responders} set profile = ?::jsonb, directory_version = ? where id = ?",
                    JsonSerializer.Serialize(updated.Profile, Json), updated.DirectoryVersion, stream);
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
            case PlaceHeld held:
                to.QueueSqlCommand($"insert into {Offers} (offer_id, need_id, responder_id, held_at, holds_place) values (?, ?, ?, ?, true)",
                    held.OfferId.Value, held.NeedId.Value, stream, held.At);
                break;
            case PlaceReleased released:
                to.QueueSqlCommand($"update {Offers} set holds_place = false where offer_id = ?", released.OfferId.Value);
                break;
            case NeedReceived received:
                Need(received.Need);
                break;
            case NeedReopened reopened:
                Need(reopened.Need);
                break;
            case NeedUrgencyRaised raised:
                to.QueueSqlCommand($"update {Needs} set urgency_rank = ? where need_id = ?", RankOf(raised.Urgency), stream);
                break;
            case NeedWaits waits:
                Backlog("waiting", waits.Reason, waits.At);
                break;
            case NeedEscalated escalated:
                Backlog("escalated", escalated.Reason, escalated.At);
                break;
            case OfferMade { NewlyOffered: true } or NeedHeld:
                to.QueueSqlCommand($"update {Needs} set backlog = null, reason = null, since = null where need_id = ? and backlog is not null", stream);
                break;
            case NeedCancelled or NeedConfirmed or HelpCompleted { Remaining: 0 }:
                to.QueueSqlCommand($"update {Needs} set backlog = null, reason = null, since = null, is_over = true where need_id = ?", stream);
                break;
        }

        void Open(Opening opening, long version) =>
            to.QueueSqlCommand($"update {Responders} set opening = ?, directory_version = ? where id = ?", opening.ToString(), version, stream);

        void Backlog(string state, string reason, DateTimeOffset since) =>
            to.QueueSqlCommand($"update {Needs} set backlog = ?, reason = ?, since = ? where need_id = ?", state, reason, since, stream);

        void Need(Need need) => to.QueueSqlCommand($"""
            insert into {Needs} (need_id, person_id, need, urgency_rank, submitted_at, is_over) values (?, ?, ?::jsonb, ?, ?, false)
            on conflict (need_id) do update set is_over = false
            """,
            stream, need.PersonId.Value, JsonSerializer.Serialize(need, Json), RankOf(need.Urgency), need.SubmittedAt.ToUniversalTime());
    }
}
