using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>The person says that the help came; the need is closed.</summary>
public static class ConfirmRequest
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/confirm", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("The help came")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ConfirmForm? form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form?.NeedId, reason: null, needsReason: false, follow: need => need.State == NeedState.DuplicateOf,
            (state, needId, _, said) => Request.DecideConfirmation(state, needId, said.By, said.At), cancellation);
}
