using System.Text;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Huzhu.Web.Auditor;

/// <summary>What the auditor's pages ask for beside themselves: proofs to keep, and the state at another moment.</summary>
public static class AuditPages
{
    public static void MapAuditor(this WebApplication app)
    {
        app.MapGet("/audit/proofs/{id:guid}", ProofAsync).RequireAuthorization(policy => policy.RequireRole(Roles.Auditor));
        app.MapGet("/audit/proofs", (Guid id, AuditApi audit, CancellationToken cancellation) => ProofAsync(id, audit, cancellation)).RequireAuthorization(policy => policy.RequireRole(Roles.Auditor));
        app.MapGet("/audit/state/part", StateAsync).RequireAuthorization(policy => policy.RequireRole(Roles.Auditor));
    }

    private static async Task<IResult> ProofAsync(Guid id, AuditApi audit, CancellationToken cancellation)
    {
        var (proof, status) = await audit.ProofAsync(id, cancellation);
        return proof is null ? Results.StatusCode(status) : Results.File(Encoding.UTF8.GetBytes(proof), "text/plain; charset=utf-8", $"{id}.proof");
    }

    private static async Task<IResult> StateAsync(long t, AuditApi audit, CancellationToken cancellation)
    {
        if (t is <= 0 or >= 32_503_680_000)
            return Results.BadRequest();
        var (state, problem) = await audit.StateAsync(DateTimeOffset.FromUnixTimeSeconds(t), cancellation);
        return state is null ? Results.StatusCode(problem!.Status) : new RazorComponentResult<StateView>(new { State = state });
    }
}
