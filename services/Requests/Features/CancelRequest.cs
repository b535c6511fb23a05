using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>The person no longer wants the help. Cancelling a repeat call leaves the older need on its way.</summary>
public static class CancelRequest
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/cancel", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("Cancel a request or one of its needs")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ReasonForm form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form.NeedId, form.Reason, needsReason: true, follow: _ => false,
            (state, needId, _, said) => Request.DecideCancellation(state, needId, said), cancellation);
}
