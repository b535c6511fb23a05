using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary><c>GET /v1/groups/{id}</c>, <c>GET /v1/providers/{id}</c>: from the stream itself, so always as of now.</summary>
public static class GetResponder
{
    public static void MapGetResponder(this IEndpointRouteBuilder app)
    {
        Map<Group, GroupEvent>(app);
        Map<Provider, ProviderEvent>(app);
    }

    private static void Map<TState, TEvent>(IEndpointRouteBuilder app) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> =>
        app.MapGet(Access.PathOf(TState.KindOfStream) + "/{id:guid}", async (Guid id, HttpContext http, Streams streams, CancellationToken cancellation) =>
            {
                var loaded = await streams.LoadAsync<TState, TEvent>(id, cancellation);
                return loaded.Version == 0 ? Listing.Unknown.ToProblem() : Results.Ok(await http.ShowAsync(id, loaded.State, loaded.Version, cancellation));
            })
            .RequireRoles(Access.AnyRole)
            .WithSummary("One entry; contact data only for its managers and operators")
            .Produces<ResponderResource>().ProducesProblem(404);
}
