using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>Somebody is worried about safety: only humans handle the need from here.</summary>
public static class RaiseConcern
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/concern", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("Raise a safety concern")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ConcernForm form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form.NeedId, form.Reason, needsReason: true, follow: _ => true,
            (state, needId, _, said) => Request.DecideConcern(state, needId, form.ResponderId, said), cancellation);
}
