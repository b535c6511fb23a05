using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Notifications.Features;

/// <summary>What was sent for a need: cause, audience, attempts, outcome. No addresses, because none are stored.</summary>
public static class GetNotifications
{
    public const int PageSize = 50;
    private const int LastPage = 10_000;

    public static void MapGetNotifications(this WebApplication app)
    {
        app.MapGet("/v1/notifications", ListAsync).RequireRoles(Roles.Operator, Roles.Auditor)
            .Produces<Page>().ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .WithSummary("What was sent for a need, newest first");
        app.MapGet("/v1/notifications/{id:guid}", GetAsync).RequireRoles(Roles.Operator, Roles.Auditor)
            .Produces<NotificationView>().ProducesProblem(StatusCodes.Status404NotFound)
            .WithSummary("One notification");
    }

    public sealed record Page(IReadOnlyList<NotificationView> Items, [property: JsonPropertyName("page")] int Number, int PageSize, long Total);

    private static async Task<IResult> ListAsync(NeedId needId, IQuerySession session, CancellationToken cancellation, int page = 1) =>
        CheckPage(page) ?? Results.Ok(await ReadAsync(session.Query<NotificationEntry>().Where(entry => entry.NeedId == needId.Value), session, page, cancellation));

    internal static IResult? CheckPage(int page) => page is >= 1 and <= LastPage
        ? null
        : Problems.Invalid(new Dictionary<string, string[]> { ["page"] = [$"A page is a number from 1 to {LastPage}."] });

    internal static async Task<Page> ReadAsync(IQueryable<NotificationEntry> entries, IQuerySession session, int page, CancellationToken cancellation)
    {
        var total = await entries.CountAsync(cancellation);
        var ids = (await entries.OrderByDescending(entry => entry.RequestedAt).ThenBy(entry => entry.Id)
            .Skip((page - 1) * PageSize).Take(PageSize).Select(entry => entry.Id).ToListAsync(cancellation)).ToArray();
        var stored = ids.Length == 0 ? [] : await session.Events.QueryAllRawEvents().Where(entry => ids.Contains(entry.StreamId))
            .OrderBy(entry => entry.Sequence).ToListAsync(cancellation);
        var streams = stored.ToLookup(entry => entry.StreamId, entry => (NotificationEvent)entry.Data);
        return new Page([.. ids.Select(id => NotificationView.Of(new NotificationId(id), [.. streams[id]]))], page, PageSize, total);
    }

    private static async Task<IResult> GetAsync(Guid id, IQuerySession session, CancellationToken cancellation) =>
        await FindAsync(id, session, cancellation) is { } found
            ? Results.Ok(found)
            : Problems.Of(StatusCodes.Status404NotFound, "not-found", "There is no such notification.");

    internal static async Task<NotificationView?> FindAsync(Guid id, IQuerySession session, CancellationToken cancellation)
    {
        var stored = (await session.Events.FetchStreamAsync(id, token: cancellation)).Select(entry => entry.Data).ToList();
        // The id may be a subscription's.
        return stored is [NotificationRequested, ..] ? NotificationView.Of(new NotificationId(id), [.. stored.Cast<NotificationEvent>()]) : null;
    }
}

/// <summary>One notification as operators and auditors see it.</summary>
/// <param name="NextAt">When it goes on, while it is pending and waits.</param>
/// <param name="Reason">Why it was undeliverable or dropped.</param>
public sealed record NotificationView(
    NotificationId Id, NotificationStatus Status, string? Reason, string? Channel, Guid CauseId, string CauseType, DateTimeOffset CausedAt,
    Audience Audience, MessageKind Message, NeedId NeedId, RequestId RequestId, OfferId? OfferId, ResponderId? ResponderId,
    NeedState? State, DateTimeOffset? ExpiresAt, DateTimeOffset RequestedAt, DateTimeOffset? EndedAt, DateTimeOffset? NextAt,
    IReadOnlyList<NotificationView.Step> Steps)
{
    /// <summary>Something that happened on the way, in order.</summary>
    /// <param name="What">contact-unavailable, channel-refused, channel-chosen, succeeded, failed, moved-on or redelivery-requested.</param>
    public sealed record Step(string What, DateTimeOffset At, string? Channel = null, int? Attempt = null, string? Reason = null, bool? Permanent = null);

    public static NotificationView Of(NotificationId id, IReadOnlyList<NotificationEvent> events)
    {
        var state = Notification.Fold(Notification.Initial, events);
        var request = state.Request!;
        var (reason, channel, endedAt) = events[^1] switch
        {
            NotificationDelivered end => (null, end.Channel, end.At),
            NotificationUndeliverable end => (end.Reason, null, end.At),
            NotificationDropped end => (end.Reason, null, end.At),
            _ => ((string?)null, state.Channel, (DateTimeOffset?)null),
        };
        return new NotificationView(id, state.Status, reason, channel, request.CauseId, request.CauseType, request.CausedAt,
            request.Audience, request.Message, request.NeedId, request.RequestId, request.OfferId, request.ResponderId,
            request.State, request.ExpiresAt, request.At, endedAt, state.NextAt, [.. events.Select(StepOf).OfType<Step>()]);
    }

    private static Step? StepOf(NotificationEvent stored) => stored switch
    {
        ContactUnavailable missed => new Step("contact-unavailable", missed.At, Reason: missed.Reason),
        ChannelRefused refused => new Step("channel-refused", refused.At, refused.Channel, Reason: refused.Reason),
        ChannelChosen chosen => new Step("channel-chosen", chosen.At, chosen.Channel),
        AttemptSucceeded succeeded => new Step("succeeded", succeeded.At, succeeded.Channel, succeeded.Attempt),
        AttemptFailed failed => new Step("failed", failed.At, failed.Channel, failed.Attempt, failed.Reason, failed.Permanent),
        MovedToNextChannel moved => new Step("moved-on", moved.At, moved.FromChannel, Reason: moved.Reason),
        RedeliveryRequested again => new Step("redelivery-requested", again.At),
        NotificationRequested or NotificationDelivered or NotificationUndeliverable or NotificationDropped => null,
        _ => throw new InvalidOperationException($"A notification cannot hold {stored.GetType().Name}."),
    };
}
