using Huzhu.Contracts;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Groups.Features;

public sealed record PageOf<T>(IReadOnlyList<T> Items, int Page, int PageSize, long Total);

/// <summary><c>GET /v1/groups</c>, <c>GET /v1/providers</c>: who is listed, by name. Withdrawn entries are left out.</summary>
public static class ListResponders
{
    public const int DefaultPageSize = 50;
    public const int MaxPageSize = 200;
    public const int MaxPage = 10_000;

    public static void MapListResponders(this IEndpointRouteBuilder app)
    {
        Map(app, ResponderKind.Group);
        Map(app, ResponderKind.Provider);
    }

    private static void Map(IEndpointRouteBuilder app, ResponderKind responders) =>
        app.MapGet(Access.PathOf(responders),
            async (IDocumentStore store, string? subDistrict, string? kind, CancellationToken cancellation, int page = 1, int pageSize = DefaultPageSize) =>
            {
                var errors = CheckPage(page, pageSize);
                if (kind is not null && !ServiceKinds.IsKnown(kind))
                    errors.Add("kind", $"The service kind is not known. Known are: {string.Join(", ", ServiceKinds.All)}.");
                if (errors.All is { Count: > 0 } wrong)
                    return Problems.Invalid(wrong);

                var isProvider = responders is ResponderKind.Provider;
                await using var session = store.QuerySession();
                var query = session.Query<ResponderView>().Where(view => view.IsProvider == isProvider && view.Listed);
                if (!string.IsNullOrWhiteSpace(subDistrict))
                    query = query.Where(view => view.SubDistricts.Contains(subDistrict));
                if (kind is not null)
                {
                    var root = ServiceKinds.RootOf(kind);
                    query = query.Where(view => view.ServiceKinds.Contains(kind) || view.ServiceKinds.Contains(root));
                }
                var found = await query.OrderBy(view => view.Name).ThenBy(view => view.Id)
                    .Stats(out var statistics).Skip((page - 1) * pageSize).Take(pageSize).ToListAsync(cancellation);
                return Results.Ok(new PageOf<ResponderResource>(
                    [.. found.Select(view => ResponderResource.Of(view.Id, view.Version, view.Responder))], page, pageSize, statistics.TotalResults));
            })
            .RequireRoles(Access.AnyRole)
            .WithSummary("Who is listed, by name; kind is a service kind, subDistrict one worked from or served")
            .Produces<PageOf<ResponderResource>>().ProducesValidationProblem(422);

    internal static FieldErrors CheckPage(int page, int pageSize)
    {
        var errors = new FieldErrors();
        if (page is < 1 or > MaxPage)
            errors.Add("page", $"The page must be between 1 and {MaxPage}.");
        if (pageSize is < 1 or > MaxPageSize)
            errors.Add("pageSize", $"The page size must be between 1 and {MaxPageSize}.");
        return errors;
    }
}
