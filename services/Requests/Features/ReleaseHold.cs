using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Features;

/// <summary>Humans have looked into a concern and let the need go on.</summary>
public static class ReleaseHold
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/requests/{id}/release-hold", HandleAsync)
        .RequireRoles(Roles.Operator)
        .WithSummary("End a safeguarding hold: help is sought again, never from whom the concern was about")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, ReasonForm form, HttpContext http, ActOnRequest act, CancellationToken cancellation) =>
        act.RunAsync(http, id, form.NeedId, form.Reason, needsReason: true, follow: _ => true,
            Request.DecideReleasingHold, cancellation);
}
