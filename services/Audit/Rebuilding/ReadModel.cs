using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Groups;
using Huzhu.Groups.Domain;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;

namespace Huzhu.Audit.Rebuilding;

/// <summary>
/// One table that a service derives from its log: how to read it as it is, and what its rows should be. Every row comes
/// from one stream, so both sides come in the order of streams and pass each other in flat memory.
/// </summary>
/// <param name="Service">Empty: every service has the table.</param>
/// <param name="Live">SQL for stream, id and the row as JSON, in the order of streams and ids.</param>
/// <param name="Rebuild">The rows, in the order of ids, that the events of one stream make.</param>
public sealed record ReadModel(string Service, string Table, string Live, Func<Guid, IReadOnlyList<(StoredEvent Stored, object Event)>, IEnumerable<(Guid Id, JsonNode Row)>> Rebuild)
{
    public static IReadOnlyList<ReadModel> All { get; } =
    [
        OfStreams(),
        Document<RequestEvent, RequestView>("requests", "requestview", (view, _, _, change) => RequestView.After(view, change),
            view => $$"""{"person_id": "{{view.PersonId}}", "submitted_at": "{{Time(view.SubmittedAt)}}"}""", $"'person_id', person_id, 'submitted_at', {SqlTime("submitted_at")}"),
        Document<object, ResponderView>("groups", "responderview", (view, id, version, change) => change is GroupEvent or ProviderEvent ? ResponderView.After(view, id, version, change) : view),
        Document<MeasureEvent, MeasureView>("groups", "measureview", MeasureView.After),
        Document<NotificationEvent, NotificationEntry>("notifications", "notificationentry", (view, id, _, change) => change is NotificationRequested request ? NotificationEntry.Of(id, request) : view),
        Document<SubscriptionEvent, SubscriptionView>("notifications", "subscriptionview", SubscriptionView.After),
        Responders(), Offers(), Needs(),
    ];

    /// <summary>A read model that the store keeps as a document, with whatever columns it copies out of it for queries.</summary>
    private static ReadModel Document<TEvent, TView>(string service, string table, Func<TView?, Guid, long, TEvent, TView?> after, Func<TView, string>? copied = null, string columns = "")
        where TView : class =>
        new(service, $"mt_doc_{table}", $"select id, id, jsonb_build_object('data', data{(columns.Length > 0 ? ", " : "")}{columns})::text from {EventStore.Schema}.mt_doc_{table} order by id", (stream, events) =>
        {
            TView? view = null;
            foreach (var (stored, change) in events)
                view = change is TEvent one ? after(view, stream, stored.Version, one) : view;
            if (view is null)
                return [];
            var row = copied is null ? new JsonObject() : JsonNode.Parse(copied(view))!.AsObject();
            row["data"] = JsonNode.Parse(EventTypes.ToJson(view));
            return [(stream, row)];
        });

    /// <summary>The version of each stream, which the store refuses stale appends by.</summary>
    private static ReadModel OfStreams() =>
        new("", "mt_streams", $"select id, id, jsonb_build_object('version', version)::text from {EventStore.Schema}.mt_streams where version > 0 order by id",
            (stream, events) => [(stream, new JsonObject { ["version"] = events[^1].Stored.Version })]);

    private static ReadModel Responders() =>
        new("matching", "responders", $"select id, id, jsonb_build_object('profile', profile, 'opening', opening, 'directory_version', directory_version)::text from {Tables.Responders} order by id", (stream, events) =>
        {
            var ledger = events.Select(one => one.Event).OfType<ResponderEvent>().Aggregate(ResponderState.Initial, ResponderState.Evolve);
            return ledger.Profile is null ? [] : [(stream, new JsonObject
            {
                ["profile"] = JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(ledger.Profile, Tables.Json)),
                ["opening"] = ledger.Opening.ToString(),
                ["directory_version"] = ledger.DirectoryVersion,
            })];
        });

    private static ReadModel Offers() =>
        new("matching", "offers", $"""
            select responder_id, offer_id, jsonb_build_object('need_id', need_id, 'responder_id', responder_id, 'held_at', {SqlTime("held_at")}, 'holds_place', holds_place)::text
            from {Tables.Offers} order by responder_id, offer_id
            """, (stream, events) =>
        {
            var rows = new SortedDictionary<Guid, JsonNode>(ById);
            foreach (var (_, change) in events)
            {
                if (change is PlaceHeld held)
                    rows[held.OfferId.Value] = new JsonObject { ["need_id"] = held.NeedId.ToString(), ["responder_id"] = stream.ToString(), ["held_at"] = Time(held.At), ["holds_place"] = true };
                else if (change is PlaceReleased released && rows.TryGetValue(released.OfferId.Value, out var row))
                    row["holds_place"] = false;
            }
            return rows.Select(row => (row.Key, row.Value));
        });

    private static ReadModel Needs() =>
        new("matching", "needs", $"""
            select need_id, need_id, jsonb_build_object('person_id', person_id, 'need', need, 'urgency_rank', urgency_rank, 'submitted_at', {SqlTime("submitted_at")},
                'is_over', is_over, 'backlog', backlog, 'reason', reason, 'since', {SqlTime("since")}, 'state', state, 'offered_at', {SqlTime("offered_at")})::text
            from {Tables.Needs} order by need_id
            """, (stream, events) =>
        {
            JsonObject? row = null;
            foreach (var (_, change) in events)
            {
                switch (change)
                {
                    case NeedReceived received:
                        Receive(received.Need);
                        break;
                    case Matching.Domain.NeedReopened reopened:
                        Receive(reopened.Need);
                        break;
                    // What is said of a need before the need itself has no row to change.
                    case { } when row is null:
                        break;
                    case Matching.Domain.NeedUrgencyRaised raised:
                        row["urgency_rank"] = Tables.RankOf(raised.Urgency);
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
                    case Matching.Domain.NeedCancelled or Matching.Domain.NeedConfirmed or HelpCompleted { Remaining: 0 }:
                        Move(null, null, null);
                        row["is_over"] = true;
                        break;
                }
                if (row is null || change is null)
                    continue;
                row["state"] = Tables.StateAfter(change) ?? row["state"]?.DeepClone();
                if (change is OfferMade made)
                    row["offered_at"] ??= Time(made.At);
            }
            return row is null ? [] : [(stream, row)];

            void Receive(Contracts.Requests.V1.Need need)
            {
                // The row keeps the need as it was first heard of.
                row ??= new JsonObject
                {
                    ["person_id"] = need.PersonId.ToString(),
                    ["need"] = JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(need, Tables.Json)),
                    ["urgency_rank"] = Tables.RankOf(need.Urgency),
                    ["submitted_at"] = Time(need.SubmittedAt),
                    ["backlog"] = null,
                    ["reason"] = null,
                    ["since"] = null,
                    ["state"] = Tables.AsFirstHeard,
                    ["offered_at"] = null,
                };
                row["is_over"] = false;
            }

            void Move(string? backlog, string? reason, DateTimeOffset? since) =>
                (row!["backlog"], row["reason"], row["since"]) = (backlog, reason, since is { } at ? Time(at) : null);
        });

    /// <summary>In the order of the database, which is that of their bytes.</summary>
    internal static readonly IComparer<Guid> ById = Comparer<Guid>.Create((a, b) =>
    {
        Span<byte> one = stackalloc byte[16], other = stackalloc byte[16];
        a.TryWriteBytes(one, bigEndian: true, out _);
        b.TryWriteBytes(other, bigEndian: true, out _);
        return one.SequenceCompareTo(other);
    });

    /// <summary>SQL for a column's time in the words of <see cref="Time"/>.</summary>
    private static string SqlTime(string column) => $"to_char({column} at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')";

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff", System.Globalization.CultureInfo.InvariantCulture);

    internal static string Canonical(string json) => Encoding.UTF8.GetString(CanonicalJson.Of(Encoding.UTF8.GetBytes(json), exactDigits: true));
}
