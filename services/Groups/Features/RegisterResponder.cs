using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary><c>POST /v1/groups</c>, <c>POST /v1/providers</c>: a group or a provider joins the directory.</summary>
public static class RegisterResponder
{
    public static void MapRegisterResponder(this IEndpointRouteBuilder app)
    {
        Map<Group, GroupEvent>(app);
        Map<Provider, ProviderEvent>(app);
    }

    private static void Map<TState, TEvent>(IEndpointRouteBuilder app) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> =>
        app.MapPost(Access.PathOf(TState.KindOfStream), HandleAsync<TState, TEvent>)
            .RequireRoles(Roles.Coordinator, Roles.Operator)
            .WithSummary("Register; with an id given, a repeat with the same content is the same answer")
            .Produces<ResponderResource>(StatusCodes.Status201Created).ProducesProblem(409).ProducesValidationProblem(422);

    private static async Task<IResult> HandleAsync<TState, TEvent>(
        EntryBody body, HttpContext http, Streams streams, ContactVault contacts, MeasuresInForce measures, TimeProvider time, CancellationToken cancellation)
        where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
    {
        if (body.Validate() is { Count: > 0 } errors)
            return Problems.Invalid(errors);
        var id = body.Id ?? Guid.CreateVersion7();
        var by = http.User.Subject();
        var outcome = await streams.ChangeAsync<TState, TEvent>(id, async (loaded, session) =>
        {
            var entry = await contacts.SealAsync(id, body, [by], loaded.State.Listing.Entry, cancellation);
            var inForce = TState.KindOfStream == ResponderKind.Provider ? await measures.ReadAsync(session, cancellation) : [];
            return TState.DecideRegistration(loaded.State, entry, inForce, by, time.GetUtcNow());
        }, cancellation, whenForeign: Listing.IdTaken);
        return outcome.Refusal is { } refusal
            ? refusal.ToProblem()
            : Results.Created($"{Access.PathOf(TState.KindOfStream)}/{id}", await http.ShowAsync(id, outcome.State, outcome.Version, cancellation, hasJustSaidIt: true));
    }
}
