using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>The person says, within 14 days, that help reported as done was not; it is looked for again.</summary>
public static class DisputeRequest
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/dispute", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("The help did not come")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ReasonForm form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form.NeedId, form.Reason, needsReason: true, follow: need => need.State == NeedState.DuplicateOf,
            Request.DecideDispute, cancellation);
}
