using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;
using Marten.Linq;

namespace Huzhu.Requests.Features;

/// <summary>Requests, newest first.</summary>
public static class ListRequests
{
    private const int MaxPageSize = 200;
    private const int MaxPage = 10_000;

    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/v1/requests", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator, Roles.Auditor)
        .WithSummary("List requests, newest first")
        .Produces<RequestList>()
        .ProducesProblem(403).ProducesProblem(422);

    private static async Task<IResult> HandleAsync(HttpContext http, IQuerySession session, FrontEndScope scope, CancellationToken cancellation,
        string? status = null, string? source = null, string? externalId = null, DateTimeOffset? since = null, int page = 1, int pageSize = 50)
    {
        var errors = new Dictionary<string, string[]>();
        if (status is not null && !Words.TryRead<RequestStatus>(status, out _))
            errors["status"] = [$"One of {Words.List<RequestStatus>()}."];
        if (externalId is not null && source is null)
            errors["source"] = ["Required with externalId: an external id is its source's."];
        if (page is < 1 or > MaxPage)
            errors["page"] = [$"1 to {MaxPage}."];
        if (pageSize is < 1 or > MaxPageSize)
            errors["pageSize"] = [$"1 to {MaxPageSize}."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        if (source is not null && !scope.MaySee(http.User, source))
            return FrontEndScope.NotYourSource;

        IQueryable<RequestView> query = session.Query<RequestView>().Stats(out var statistics);
        if (status is not null)
            query = query.Where(view => view.Status == status);
        if (source is null && scope.Seen(http.User) is { } seen)
        {
            string[] own = [.. seen];
            query = query.Where(view => view.State.Source.IsOneOf(own));
        }
        if (source is not null && externalId is null)
            query = query.Where(view => view.State.Source == source);
        if (source is not null && externalId is not null)
        {
            var id = CallForHelp.RequestIdOf(source, externalId).Value;
            query = query.Where(view => view.Id == id);
        }
        if (since is { } from)
        {
            var limit = from.ToUniversalTime();
            query = query.Where(view => view.SubmittedAt >= limit);
        }
        var views = await query.OrderByDescending(view => view.SubmittedAt).ThenBy(view => view.Id)
            .Skip((page - 1) * pageSize).Take(pageSize).ToListAsync(cancellation);
        var items = await RequestAnswer.OfAllAsync(session, [.. views.Select(view => view.State)], cancellation);
        return Results.Ok(new RequestList(items, page, pageSize, statistics.TotalResults));
    }
}

public sealed record RequestList(IReadOnlyList<RequestAnswer> Items, int Page, int PageSize, long Total);
