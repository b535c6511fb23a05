using Huzhu.Deciding;
using Marten;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <param name="Days">By the name of the rule: so long after its moment the person is erased. A rule that is not named never applies.</param>
public sealed record RetentionBody(IReadOnlyDictionary<string, double> Days);

/// <summary>The rules of retention: data with a version, like the policy of matching. Without any, nobody is erased unasked.</summary>
public sealed class RetentionRules(IDocumentStore store, TimeProvider time)
{
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/retention", async (HttpContext http, RetentionRules rules, CancellationToken cancellation) => Show(http, await rules.LoadAsync(cancellation)))
            .RequireRoles(Roles.Operator, Roles.Auditor)
            .WithTags("People").WithSummary("How long people's data are kept; the version is the ETag").Produces<RetentionBody>();
        app.MapPut("/v1/retention", HandleAsync).RequireRoles(Roles.Operator)
            .WithTags("People").WithSummary("Change the rules. If-Match must name the version that was read").Produces<RetentionBody>()
            .ProducesProblem(400).ProducesProblem(412).ProducesProblem(422).ProducesProblem(428);
    }

    public async Task<Retention> LoadAsync(CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        return await LoadAsync(session, cancellation);
    }

    private static async Task<Retention> LoadAsync(IQuerySession session, CancellationToken cancellation) =>
        (await session.Events.FetchStreamAsync(People.RetentionStream, token: cancellation))
            .Aggregate(Retention.Initial, (state, stored) => Retention.Evolve(state, (RetentionChanged)stored.Data));

    private static async Task<IResult> HandleAsync(RetentionBody body, HttpContext http, RetentionRules rules, IPeople people, CancellationToken cancellation)
    {
        var match = http.Request.Headers.IfMatch.ToString().Trim().Trim('"');
        if (match.Length == 0)
            return Problems.Of(StatusCodes.Status428PreconditionRequired, "if-match-required", "If-Match must name the version of the rules that you have read.");
        if (!long.TryParse(match, out var expected))
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", "If-Match must be the ETag of the rules that you have read.");
        if (Retention.Errors(body.Days, people.RetentionRules) is { Count: > 0 } errors)
            return Problems.Invalid(errors);
        var (state, refusal) = await rules.ChangeAsync(body.Days, expected, http.User.Subject(), cancellation);
        return refusal is not null ? Problems.Of(StatusCodes.Status412PreconditionFailed, refusal.Code, refusal.Reason) : Show(http, state);
    }

    private Task<(Retention State, Refusal? Refusal)> ChangeAsync(IReadOnlyDictionary<string, double> days, long expected, string by, CancellationToken cancellation) =>
        Conflict.RetryAsync(async () =>
        {
            await using var session = store.LightweightSession();
            var state = await LoadAsync(session, cancellation);
            var decision = Retention.DecideChange(state, days, expected, by, time.GetUtcNow());
            if (decision.Events is [RetentionChanged changed])
            {
                (state.Version == 0 ? session.Events.StartStream(People.RetentionStream, changed) : session.Events.Append(People.RetentionStream, state.Version + 1, changed))
                    .CausedBy(Cause.Current());
                // Now, by the new rules; the timer goes on by itself from there.
                session.Schedule(ApplyRetention.TimerKind, People.RetentionStream, time.GetUtcNow());
                await session.SaveChangesAsync(cancellation);
                state = Retention.Evolve(state, changed);
            }
            return (state, decision.Refusal);
        });

    private static IResult Show(HttpContext http, Retention state)
    {
        http.Response.Headers.ETag = $"\"{state.Version}\"";
        return Results.Ok(new RetentionBody(state.Days));
    }
}

/// <summary>
/// Erases whose time is over, every hour while there are rules. One look at all, rather than a timer for each request:
/// so a change of the rules holds for what is there already, and taking in a request costs nothing.
/// </summary>
internal sealed class ApplyRetention(RetentionRules rules, Erasure erasure, IPeople people, NpgsqlDataSource database, TimeProvider time, ILogger<ApplyRetention> logger) : ITimerHandler
{
    public const string TimerKind = "apply-retention";
    private static readonly TimeSpan Pause = TimeSpan.FromHours(1);
    private static readonly TimeSpan Break = TimeSpan.FromMinutes(1);
    private const int Page = 100;

    public string Kind => TimerKind;
    public TimeSpan Precision => TimeSpan.FromSeconds(1);

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        var retention = await rules.LoadAsync(cancellation);
        if (retention.Days.Count == 0)
            return;
        var expired = await people.FindExpiredAsync(retention.Days, time.GetUtcNow(), Page, cancellation);
        var erased = 0;
        foreach (var person in expired)
        {
            // Whoever has called again in the meantime is left alone.
            var (answer, _) = await erasure.EraseAsync(person, People.RulesOfRetention, $"retention-rules-{retention.Version}", force: false, cancellation);
            erased += answer is null ? 0 : 1;
        }
        if (erased > 0)
            logger.LogInformation("Erased {Count} people by version {Version} of the rules of retention", erased, retention.Version);
        await Timers.ScheduleNextAsync(database, TimerKind, subject, time.GetUtcNow(), expired.Count == Page ? Break : Pause, cancellation);
    }
}
