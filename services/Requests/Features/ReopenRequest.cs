using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>A need that had ended is wanted again, with its original clock.</summary>
public static class ReopenRequest
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/reopen", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("Look for help again")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ReasonForm form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form.NeedId, form.Reason, needsReason: true, follow: _ => true,
            Request.DecideReopening, cancellation);
}
