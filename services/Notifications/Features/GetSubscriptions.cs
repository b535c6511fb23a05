using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Notifications.Features;

/// <summary><c>GET /v1/subscriptions</c>, one of them, what was delivered to it, and the order to deliver something again.</summary>
public static class GetSubscriptions
{
    public sealed record SubscriptionPage(IReadOnlyList<SubscriptionResource> Items, [property: System.Text.Json.Serialization.JsonPropertyName("page")] int Number, int PageSize, long Total);

    public static void MapGetSubscriptions(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/subscriptions", ListAsync).RequireRoles(ManageSubscription.Subscribers)
            .WithSummary("The caller's own subscriptions; an operator's are everybody's")
            .Produces<SubscriptionPage>().ProducesValidationProblem(422);
        app.MapGet("/v1/subscriptions/{id:guid}", FindAsync).RequireRoles(ManageSubscription.Subscribers)
            .WithSummary("One subscription, without its secret").Produces<SubscriptionResource>().ProducesProblem(404);
        app.MapGet("/v1/subscriptions/{id:guid}/deliveries", DeliveriesAsync).RequireRoles(ManageSubscription.Subscribers)
            .WithSummary("What was delivered, and every attempt, newest first").Produces<GetNotifications.Page>().ProducesProblem(404).ProducesValidationProblem(422);
        app.MapPost("/v1/subscriptions/{id:guid}/deliveries/{deliveryId:guid}/redeliver", RedeliverAsync).RequireRoles(ManageSubscription.Subscribers)
            .WithSummary("Deliver it again, under the same webhook-id").Produces<NotificationView>(StatusCodes.Status202Accepted).ProducesProblem(404).ProducesProblem(409);
    }

    private static async Task<IResult> ListAsync(HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellation, int page = 1)
    {
        if (GetNotifications.CheckPage(page) is { } wrong)
            return wrong;
        var (found, total) = await subscriptions.ListAsync(http.User.IsInRole(Roles.Operator) ? null : http.User.Subject(), page, GetNotifications.PageSize, cancellation);
        var items = new List<SubscriptionResource>(found.Count);
        foreach (var view in found)
            items.Add(SubscriptionResource.Of(view, await subscriptions.RevealAsync(view.Id, view.Subscription, cancellation), time.GetUtcNow()));
        return Results.Ok(new SubscriptionPage(items, page, GetNotifications.PageSize, total));
    }

    private static async Task<IResult> FindAsync(Guid id, HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellation) =>
        await OwnAsync(id, http, subscriptions, cancellation) is { } view
            ? Results.Ok(SubscriptionResource.Of(view, await subscriptions.RevealAsync(id, view.Subscription, cancellation), time.GetUtcNow()))
            : Subscription.NotKnown.ToProblem();

    private static async Task<IResult> DeliveriesAsync(Guid id, HttpContext http, Subscriptions subscriptions, IQuerySession session, CancellationToken cancellation, int page = 1)
    {
        if (GetNotifications.CheckPage(page) is { } wrong)
            return wrong;
        return await OwnAsync(id, http, subscriptions, cancellation) is null
            ? Subscription.NotKnown.ToProblem()
            : Results.Ok(await GetNotifications.ReadAsync(session.Query<NotificationEntry>().Where(entry => entry.SubscriptionId == id), session, page, cancellation));
    }

    private static async Task<IResult> RedeliverAsync(Guid id, Guid deliveryId, HttpContext http, Subscriptions subscriptions, NotificationLog log, IQuerySession session, TimeProvider time, CancellationToken cancellation)
    {
        if (await OwnAsync(id, http, subscriptions, cancellation) is null)
            return Subscription.NotKnown.ToProblem();
        var delivery = new NotificationId(deliveryId);
        var current = await log.LoadAsync(delivery, cancellation);
        if (current.State.Request?.SubscriptionId != id)
            return Problems.Of(StatusCodes.Status404NotFound, "not-found", "The subscription has no such delivery.");
        var refusal = Notification.DecideRedelivery(current.State, http.User.Subject(), time.GetUtcNow()).Refusal;
        if (refusal is not null)
            return refusal.ToProblem();
        await log.RecordAsync(delivery, current, state => Notification.DecideRedelivery(state, http.User.Subject(), time.GetUtcNow()).Events, null, cancellation);
        return Results.Accepted($"/v1/subscriptions/{id}/deliveries", await GetNotifications.FindAsync(deliveryId, session, cancellation));
    }

    private static async Task<SubscriptionView?> OwnAsync(Guid id, HttpContext http, Subscriptions subscriptions, CancellationToken cancellation) =>
        await subscriptions.FindAsync(id, cancellation) is { } view && http.User.Owns(view.Subscription) ? view : null;
}
