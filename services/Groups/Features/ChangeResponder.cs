using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Microsoft.Net.Http.Headers;

namespace Huzhu.Groups.Features;

/// <summary><c>PUT /v1/groups/{id}</c>, <c>PUT /v1/providers/{id}</c>: the entry becomes the one in the body.</summary>
public static class ChangeResponder
{
    private static readonly Refusal Stale = Refusal.Conflict("stale", "The entry has changed since the version that If-Match names.");

    public static void MapChangeResponder(this IEndpointRouteBuilder app)
    {
        Map<Group, GroupEvent>(app);
        Map<Provider, ProviderEvent>(app);
    }

    private static void Map<TState, TEvent>(IEndpointRouteBuilder app) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> =>
        app.MapPut(Access.PathOf(TState.KindOfStream) + "/{id:guid}", HandleAsync<TState, TEvent>)
            .RequireRoles(Roles.Coordinator, Roles.Responder, Roles.Operator)
            .WithSummary("Change the entry; contact data that is left out stays as it is")
            .Produces<ResponderResource>().ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesProblem(412).ProducesValidationProblem(422);

    private static async Task<IResult> HandleAsync<TState, TEvent>(
        Guid id, EntryBody body, HttpContext http, Streams streams, ContactVault contacts, MeasuresInForce measures, TimeProvider time, CancellationToken cancellation)
        where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
    {
        if (!TryReadIfMatch(http.Request, out var expected))
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", "If-Match must be a version in quotes, such as \"3\".");
        var errors = body.Validate();
        if (body.Id is { } named && named != id)
            errors["id"] = ["The id in the body is not the one in the address."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        var outcome = await streams.ChangeAsync<TState, TEvent>(id, async (loaded, session) =>
        {
            if (loaded.State.Listing.Entry is not { } stored)
                return Listing.Unknown;
            if (!http.User.MayManage(id, loaded.State.Listing))
                return Access.NotYours;
            if (expected is { } version && version != loaded.Version)
                return Stale;
            var entry = await contacts.SealAsync(id, body, stored.ManagedBy, stored, cancellation);
            var inForce = TState.KindOfStream == ResponderKind.Provider ? await measures.ReadAsync(session, cancellation) : [];
            return TState.DecideChange(loaded.State, entry, inForce, http.User.Subject(), time.GetUtcNow());
        }, cancellation);
        if (outcome.Refusal == Stale)
            return Problems.Of(StatusCodes.Status412PreconditionFailed, Stale.Code, Stale.Reason);
        return outcome.Refusal is { } refusal
            ? refusal.ToProblem()
            : Results.Ok(await http.ShowAsync(id, outcome.State, outcome.Version, cancellation));
    }

    private static bool TryReadIfMatch(HttpRequest request, out long? version)
    {
        version = null;
        if (request.Headers.IfMatch.Count == 0)
            return true;
        if (!EntityTagHeaderValue.TryParse(request.Headers.IfMatch.ToString(), out var tag))
            return false;
        if (tag.Equals(EntityTagHeaderValue.Any))
            return true;
        version = long.TryParse(tag.Tag.AsSpan().Trim('"'), out var number) ? number : null;
        return version is not null;
    }
}
