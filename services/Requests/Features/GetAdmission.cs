using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>Whether needs are taken in or shed, why, and when that has changed.</summary>
public static class GetAdmission
{
    private const int MostChanges = 100;

    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/v1/admission", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator, Roles.Auditor)
        .WithSummary("Whether needs are taken in or shed, and its latest changes")
        .Produces<AdmissionAnswer>();

    private static async Task<IResult> HandleAsync(AdmissionControl admission, IQuerySession session, CancellationToken cancellation)
    {
        var changes = await session.Events.QueryAllRawEvents().Where(stored => stored.StreamId == Admission.StreamId)
            .OrderByDescending(stored => stored.Version).Take(MostChanges).ToListAsync(cancellation);
        var state = admission.State;
        return Results.Ok(new AdmissionAnswer(state.Mode, state.Since, admission.Seen, admission.Limits, [.. changes.Select(stored => (AdmissionEvent)stored.Data).Select(change => change switch
        {
            SheddingBegan e => new AdmissionChange(AdmissionMode.Shedding, e.At, e.Seen, e.Limits),
            SheddingEnded e => new AdmissionChange(AdmissionMode.Open, e.At, e.Seen, e.Limits),
            _ => throw new InvalidOperationException($"The admission does not know the event {change.GetType().Name}."),
        })]));
    }
}

/// <param name="Since">Null when it has never been otherwise.</param>
/// <param name="Seen">By the replica that answers, at its last look.</param>
/// <param name="Limits">Above any of them, shedding begins; it ends when all are at half or below for a while.</param>
/// <param name="Changes">Newest first.</param>
public sealed record AdmissionAnswer(AdmissionMode Mode, DateTimeOffset? Since, AdmissionSigns Seen, AdmissionSigns Limits, IReadOnlyList<AdmissionChange> Changes);

public sealed record AdmissionChange(AdmissionMode Mode, DateTimeOffset At, AdmissionSigns Seen, AdmissionSigns Limits);
