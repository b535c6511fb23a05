using Huzhu.Deciding;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Matching.Features;

/// <summary>The policy: what the order and the timers follow. A change is an event; every version is kept.</summary>
public static class ChangePolicy
{
    public static void MapPolicy(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/policy", async (HttpContext http, Log log, CancellationToken cancellation) => Show(http, await log.LoadPolicyAsync(cancellation)))
            .WithTags("Policy").WithSummary("The policy in force; its version is the ETag.").Produces<Policy>();
        app.MapPut("/v1/policy", Handle).RequireRoles(Roles.Operator)
            .WithTags("Policy").WithSummary("Change the policy. If-Match must name the version that was read.").Produces<Policy>();
    }

    private static async Task<IResult> Handle(Policy policy, HttpContext http, DecisionLoop loop, Log log, TimeProvider time, CancellationToken cancellation)
    {
        var match = http.Request.Headers.IfMatch.ToString().Trim().Trim('"');
        if (match.Length == 0)
            return Problems.Of(StatusCodes.Status428PreconditionRequired, "if-match-required", "If-Match must name the version of the policy that you have read.");
        if (!long.TryParse(match, out var expected))
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", "If-Match must be the ETag of the policy that you have read.");
        if (policy.Errors() is { Count: > 0 } errors)
            return Problems.Invalid(errors.ToDictionary());
        Refusal? refused = null;
        var changed = await log.AppendAsync<PolicyState, PolicyEvent>(PolicyState.StreamId, PolicyState.Initial, PolicyState.Evolve, state =>
        {
            var decision = PolicyState.DecideChange(state, policy, expected, http.User.Subject(), time.GetUtcNow());
            refused = decision.Refusal;
            return decision.Events;
        }, Cause.Current(), cancellation);
        if (refused is { Code: "stale-policy" })
            return Problems.Of(StatusCodes.Status412PreconditionFailed, refused.Code, refused.Reason);
        if (refused is not null)
            return refused.ToProblem();
        await loop.RefreshAsync([PolicyState.StreamId], cancellation);
        return Show(http, changed);
    }

    private static IResult Show(HttpContext http, PolicyState state)
    {
        http.Response.Headers.ETag = $"\"{state.Version}\"";
        return Results.Ok(state.Policy);
    }
}
