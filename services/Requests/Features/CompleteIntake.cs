using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>Adds to a partial intake. When nothing is missing any more, the needs go to matching, with their original clock.</summary>
public static class CompleteIntake
{
    public static void Map(IEndpointRouteBuilder app) => app.MapPatch("/v1/requests/{id}", HandleAsync)
        .RequireRoles(Roles.Intake, Roles.Operator)
        .WithSummary("Complete a partial intake")
        .Produces<RequestAnswer>()
        .ProducesProblem(404).ProducesProblem(409).ProducesProblem(410).ProducesProblem(422);

    private static Task<IResult> HandleAsync(RequestId id, IntakeForm form, HttpContext http, IDocumentStore store, PersonalRecords records,
        PersonalDataVault vault, SubDistrictMap districts, FrontEndScope scope, TimeProvider time, CancellationToken cancellation) =>
        Conflict.RetryAsync(async () =>
        {
            await using var session = store.LightweightSession();
            var changes = new StreamChanges(session);
            await changes.LoadAsync([id.Value], cancellation);
            var state = changes.StateOf(id.Value);
            if (!state.Exists || !scope.MayActFor(http.User, state.Source))
                return Request.RequestNotFound.ToProblem();
            if (await records.RevealAsync(state, cancellation) is not { } known)
                return PersonalRecords.Gone;

            var (call, errors) = IntakeCheck.Run(IntakeForm.Of(known).With(form), time.GetUtcNow());
            if (call is null)
                return Problems.Invalid(errors);
            if (FixedFields(known, call) is { Count: > 0 } changed)
                return Problems.Invalid(changed);

            var repeats = await RepeatCalls.LoadAsync(session, changes, [call.PersonId], cancellation);
            await vault.PrepareAsync([call.PersonId.Value, call.CallerId.Value], cancellation);
            var content = await Submissions.ContentOfAsync(call, repeats.HistoryOf(call.PersonId), vault, districts, cancellation);
            var now = time.GetUtcNow();
            var decision = Request.DecideCompletion(state, content, Fingerprints.AreEqual(known, call), http.User.Subject(), now);
            if (decision.Refusal is { } refusal)
                return refusal.ToProblem();
            changes.Append(id.Value, decision.Events, Cause.Current());
            if (decision.Events is [IntakeCompleted])
                repeats.Link(changes.StateOf(id.Value), Cause.Current(), now);
            if (changes.Queue())
                await session.SaveChangesAsync(cancellation);
            return Results.Ok(await RequestAnswer.OfAsync(session, changes.StateOf(id.Value), cancellation));
        });

    /// <summary>What makes the ids of the request and the people cannot change any more.</summary>
    private static Dictionary<string, string[]> FixedFields(CallForHelp known, CallForHelp call)
    {
        var changed = new Dictionary<string, string[]>();
        void Check(string field, bool same)
        {
            if (!same)
                changed[field] = ["Cannot be changed; submit a new request."];
        }
        Check("source", known.Source == call.Source);
        Check("externalId", known.ExternalId == call.ExternalId);
        Check("caller.ref", known.Caller.Ref == call.Caller.Ref);
        Check("onBehalfOf.ref", known.Person.Ref == call.Person.Ref);
        return changed;
    }
}
