using System.Globalization;
using System.Text.Json.Nodes;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;
using Marten;
using Access = Huzhu.Groups.Features.Access;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary><c>GET /hsds/…</c>: the directory in the Human Services Data Specification 3.0, page by page.</summary>
public static class ReadHsds
{
    public const string Prefix = "/hsds";
    private const string Sites = "coalesce(d.data #> '{provider,listing,entry,sites}', d.data #> '{group,listing,entry,sites}')";
    private const string Organization = "coalesce(d.data ->> 'organizationId', d.id::text)";
    private const string Listed = $"from {EventStore.Schema}.mt_doc_responderview d where (d.data ->> 'listed')::boolean";

    public static void MapReadHsds(this IEndpointRouteBuilder app)
    {
        var hsds = app.MapGroup(Prefix);
        Read(hsds, "/", "What this is", (HttpContext http) => Results.Json(new JsonObject
        {
            ["version"] = "3.0",
            ["profile"] = "https://docs.openreferral.org/en/3.0/",
            ["openapi_url"] = $"{http.Request.Scheme}://{http.Request.Host}{http.Request.PathBase}/openapi/v1.json",
        }));
        Read(hsds, "/services", "Services, by id; full=true for all of each", ServicesAsync);
        Read(hsds, "/services/{id:guid}", "One service with all that belongs to it", ServiceAsync);
        Read(hsds, "/organizations", "Organisations, by id", OrganizationsAsync);
        Read(hsds, "/organizations/{id:guid}", "One organisation with its services", OrganizationAsync);
        Read(hsds, "/service_at_locations", "Which service is given where", ServiceAtLocationsAsync);
        Read(hsds, "/taxonomies", "Our taxonomies", (int page = 1, int per_page = ListResponders.DefaultPageSize) =>
            Page(page, per_page, Vocabulary.Taxonomies.Select(taxonomy => Vocabulary.TaxonomyOf(taxonomy.Name))));
        Read(hsds, "/taxonomy_terms", "Our terms; taxonomy_id is one of our taxonomies", (Guid? taxonomy_id, int page = 1, int per_page = ListResponders.DefaultPageSize) =>
            Page(page, per_page, Vocabulary.Terms.Where(term => taxonomy_id is null || Vocabulary.TaxonomyIdOf(term.Taxonomy) == taxonomy_id).Select(Vocabulary.TermOf)));
    }

    private static void Read(IEndpointRouteBuilder hsds, string path, string summary, Delegate handler) =>
        hsds.MapGet(path, handler).RequireRoles(Access.AnyRole).WithSummary(summary).ProducesProblem(404).ProducesValidationProblem(422);

    private static async Task<IResult> ServicesAsync(IDocumentStore store, Guid? organization_id, Guid? taxonomy_term_id, CancellationToken cancellation,
        bool full = false, int page = 1, int per_page = ListResponders.DefaultPageSize)
    {
        if (Check(page, per_page) is { } wrong)
            return wrong;
        await using var session = store.QuerySession();
        var query = session.Query<ResponderView>().Where(view => view.Listed);
        if (organization_id is { } organization)
            query = query.Where(view => view.OrganizationId == organization);
        if (taxonomy_term_id is { } id)
        {
            var kind = Vocabulary.Terms.FirstOrDefault(term => term.Id == id && term.Taxonomy == Vocabulary.Kinds)?.Code ?? "";
            query = query.Where(view => view.ServiceKinds.Contains(kind));
        }
        var found = await query.OrderBy(view => view.Id).Stats(out var statistics).Skip((page - 1) * per_page).Take(per_page).ToListAsync(cancellation);
        return Page(page, per_page, statistics.TotalResults, [.. found.Select(Export.ServiceOf).Select(service => full ? service : Export.BriefOf(service))]);
    }

    private static async Task<IResult> ServiceAsync(Guid id, IDocumentStore store, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        return await session.LoadAsync<ResponderView>(id, cancellation) is { } view ? Results.Json(Export.ServiceOf(view)) : Domain.Listing.Unknown.ToProblem();
    }

    private static async Task<IResult> OrganizationsAsync(IDocumentStore store, CancellationToken cancellation, int page = 1, int per_page = ListResponders.DefaultPageSize)
    {
        if (Check(page, per_page) is { } wrong)
            return wrong;
        await using var session = store.QuerySession();
        var total = (await session.AdvancedSql.QueryAsync<long>($"select count(distinct {Organization}) {Listed}", cancellation))[0];
        // The same organisation may have come with several services, told in different words: the first one counts.
        var first = await session.AdvancedSql.QueryAsync<Guid>(
            $"select distinct on ({Organization}) d.id {Listed} order by {Organization}, d.id limit ? offset ?", cancellation, per_page, (page - 1) * per_page);
        var found = (await session.LoadManyAsync<ResponderView>(cancellation, [.. first])).OrderBy(view => view.OrganizationId.ToString(), StringComparer.Ordinal);
        return Page(page, per_page, total, [.. found.Select(Export.OrganizationOf).Select(Export.BriefOf)]);
    }

    private static async Task<IResult> OrganizationAsync(Guid id, IDocumentStore store, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var services = await session.Query<ResponderView>().Where(view => view.OrganizationId == id).OrderBy(view => view.Id).Take(ListResponders.MaxPageSize).ToListAsync(cancellation);
        if (services.Count == 0)
            return Domain.Listing.Unknown.ToProblem();
        var organization = Export.OrganizationOf(services[0]);
        organization["services"] = new JsonArray([.. services.Select(Export.ServiceOf).Select(Export.BriefOf)]);
        return Results.Json(organization);
    }

    private static async Task<IResult> ServiceAtLocationsAsync(IDocumentStore store, CancellationToken cancellation, int page = 1, int per_page = ListResponders.DefaultPageSize)
    {
        if (Check(page, per_page) is { } wrong)
            return wrong;
        await using var session = store.QuerySession();
        var total = (await session.AdvancedSql.QueryAsync<long>($"select coalesce(sum(jsonb_array_length({Sites})), 0)::bigint {Listed}", cancellation))[0];
        var found = await session.AdvancedSql.QueryAsync<string>(
            $"select d.id || '/' || site.number from {EventStore.Schema}.mt_doc_responderview d cross join lateral generate_series(0, jsonb_array_length({Sites}) - 1) as site(number) "
            + "where (d.data ->> 'listed')::boolean order by d.id, site.number limit ? offset ?", cancellation, per_page, (page - 1) * per_page);
        var places = found.Select(place => (Id: Guid.Parse(place.Split('/')[0]), Index: int.Parse(place.Split('/')[1], CultureInfo.InvariantCulture))).ToList();
        var views = (await session.LoadManyAsync<ResponderView>(cancellation, [.. places.Select(place => place.Id).Distinct()])).ToDictionary(view => view.Id);
        // An entry may have changed between the two reads.
        return Page(page, per_page, total, [.. places.Where(place => views.TryGetValue(place.Id, out var view) && place.Index < view.Responder.Sites.Count)
            .Select(place => Export.ServiceAtLocationOf(views[place.Id], place.Index))]);
    }

    private static IResult? Check(int page, int perPage)
    {
        var errors = new FieldErrors();
        if (page is < 1 or > ListResponders.MaxPage)
            errors.Add("page", $"The page must be between 1 and {ListResponders.MaxPage}.");
        if (perPage is < 1 or > ListResponders.MaxPageSize)
            errors.Add("per_page", $"The page size must be between 1 and {ListResponders.MaxPageSize}.");
        return errors.All is { Count: > 0 } wrong ? Problems.Invalid(wrong) : null;
    }

    private static IResult Page(int page, int perPage, IEnumerable<JsonObject> all) =>
        Check(page, perPage) ?? Page(page, perPage, all.Count(), [.. all.Skip((page - 1) * perPage).Take(perPage)]);

    private static IResult Page(int page, int perPage, long total, IReadOnlyList<JsonObject> contents)
    {
        var pages = (int)((total + perPage - 1) / perPage);
        return Results.Json(new JsonObject
        {
            ["total_items"] = total,
            ["total_pages"] = pages,
            ["page_number"] = page,
            ["size"] = contents.Count,
            ["first_page"] = page == 1,
            ["last_page"] = page >= pages,
            ["empty"] = contents.Count == 0,
            ["contents"] = new JsonArray([.. contents]),
        });
    }
}
