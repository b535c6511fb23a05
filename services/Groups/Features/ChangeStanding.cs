using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

public sealed record ReasonBody(string? Reason = null)
{
    public const int MaxReason = 500;

    public IDictionary<string, string[]> Validate()
    {
        var errors = new FieldErrors();
        errors.Text("reason", Reason, MaxReason, required: true);
        return errors.All;
    }
}

/// <summary><c>POST …/{id}/pause</c>, <c>/resume</c>, <c>/withdraw</c>, for groups and providers alike.</summary>
public static class ChangeStanding
{
    private delegate Decision<TEvent> Decide<TEvent>(Listing state, string reason, string by, DateTimeOffset at) where TEvent : notnull;

    public static void MapChangeStanding(this IEndpointRouteBuilder app)
    {
        MapAll<Group, GroupEvent>(app);
        MapAll<Provider, ProviderEvent>(app);
    }

    private static void MapAll<TState, TEvent>(IEndpointRouteBuilder app) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
    {
        Map<TState, TEvent>(app, "pause", Listing.DecidePause<TEvent>, "Take no new needs until resumed");
        Map<TState, TEvent>(app, "resume", Listing.DecideResumption<TEvent>, "Take needs again");
        Map<TState, TEvent>(app, "withdraw", Listing.DecideWithdrawal<TEvent>, "Leave the directory for good");
    }

    private static void Map<TState, TEvent>(IEndpointRouteBuilder app, string verb, Decide<TEvent> decide, string summary)
        where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> =>
        app.MapPost($"{Access.PathOf(TState.KindOfStream)}/{{id:guid}}/{verb}",
            async (Guid id, ReasonBody body, HttpContext http, Streams streams, TimeProvider time, CancellationToken cancellation) =>
            {
                if (body.Validate() is { Count: > 0 } errors)
                    return Problems.Invalid(errors);
                var outcome = await streams.ChangeAsync<TState, TEvent>(id, (loaded, _) => ValueTask.FromResult<Decision<TEvent>>(
                    loaded.Version > 0 && !http.User.MayManage(id, loaded.State.Listing)
                        ? Access.NotYours
                        : decide(loaded.State.Listing, body.Reason!.Trim(), http.User.Subject(), time.GetUtcNow())), cancellation);
                return outcome.Refusal is { } refusal
                    ? refusal.ToProblem()
                    : Results.Ok(await http.ShowAsync(id, outcome.State, outcome.Version, cancellation));
            })
            .RequireRoles(Roles.Coordinator, Roles.Responder, Roles.Operator)
            .WithSummary(summary)
            .Produces<ResponderResource>().ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesValidationProblem(422);
}
