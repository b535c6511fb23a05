using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>
/// What is under way for a caller, while the call is still being written down: the same call again would be linked to it.
/// Asked by POST, because a name in an address would be written down on the way.
/// </summary>
public static class FindRepeats
{
    private const int MostFound = 20;

    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/of-caller", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("What is under way for a caller, newest first")
        .Produces<RequestsOfCaller>()
        .ProducesProblem(403).ProducesProblem(422);

    private static async Task<IResult> HandleAsync(CallerQuestion question, HttpContext http, IQuerySession session, FrontEndScope scope, CancellationToken cancellation)
    {
        var errors = new Dictionary<string, string[]>();
        if (question.Source is not { Length: > 0 and <= 200 })
            errors["source"] = ["Required, at most 200 characters."];
        if (question.Ref is not { Length: > 0 and <= 200 })
            errors["ref"] = ["Required, at most 200 characters."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        if (!scope.MaySee(http.User, question.Source!))
            return FrontEndScope.NotYourSource;

        var person = CallForHelp.PersonOf(question.Source!, question.Ref!).Value;
        var views = await session.Query<RequestView>().Where(view => (view.PersonId == person || view.CallerId == person) && view.Matters)
            .OrderByDescending(view => view.SubmittedAt).Take(MostFound).ToListAsync(cancellation);
        var items = await RequestAnswer.OfAllAsync(session, [.. views.Select(view => view.State)], cancellation);
        return Results.Ok(new RequestsOfCaller([.. items.Where(item => item.Needs.Any(need => !Domain.RequestState.IsEnd(need.State)))]));
    }
}

/// <param name="Ref">The front end's own name for the caller, as in <c>caller.ref</c>.</param>
public sealed record CallerQuestion(string? Source = null, string? Ref = null);

public sealed record RequestsOfCaller(IReadOnlyList<RequestAnswer> Items);
