using System.Security.Claims;
using System.Text.RegularExpressions;
using Huzhu.Deciding;
using Marten;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Huzhu.ServiceDefaults;

/// <summary>What one service holds of people: who they are, what is under way for them, and how long it is kept.</summary>
public interface IPeople
{
    /// <summary>The names of the rules of retention.</summary>
    IReadOnlyList<string> RetentionRules { get; }

    /// <summary>Whether this caller is the person, or speaks for them.</summary>
    /// <param name="key">The signature in the person's own link.</param>
    ValueTask<bool> IsThemselvesAsync(ClaimsPrincipal user, Guid person, string? key, CancellationToken cancellation);

    /// <summary>
    /// Queues in the session whatever must go with the person's key: the end of what is under way for them when
    /// <paramref name="force"/> says so, and rows that could tell who they were.
    /// </summary>
    Task<Parting> PartAsync(IDocumentSession session, Guid person, bool force, string by, DateTimeOffset at, CancellationToken cancellation);

    /// <summary>Ends what was begun for the person at the moment of the erasure, and lost its data to it. May be called again.</summary>
    Task FinishAsync(Guid person, CancellationToken cancellation);

    /// <summary>People whose time is over by these rules, and who still have a key.</summary>
    Task<IReadOnlyList<Guid>> FindExpiredAsync(IReadOnlyDictionary<string, double> days, DateTimeOffset now, int limit, CancellationToken cancellation);
}

/// <param name="IsKnown">There is something of the person here.</param>
/// <param name="Ended">How many needs or entries that were under way end with the erasure.</param>
/// <param name="Refusal">Why the person cannot be erased now.</param>
public readonly record struct Parting(bool IsKnown, int Ended, Refusal? Refusal);

/// <summary>
/// Keeps something of people outside the database: a spool, a cache, a file. It is called in every process of the
/// service when somebody is erased, and once more a minute later in one of them; what is forgotten already stays so.
/// </summary>
public interface IForgetsPeople
{
    Task ForgetAsync(Guid person, CancellationToken cancellation);
}

/// <param name="Repeated">The person had been erased before, and nothing was left to erase.</param>
/// <param name="Ended">Needs or entries that were under way and ended with it.</param>
public sealed record ErasureAnswer(Guid PersonId, DateTimeOffset ErasedAt, string By, string Basis, bool Repeated, int Ended);

/// <summary>
/// Erases people: the key, the fact in the log, and whatever the service derives from their data go in one transaction.
/// See docs/adr/0008.
/// </summary>
public sealed partial class Erasure(IDocumentStore store, PersonalDataVault vault, IPeople people, TimeProvider time)
{
    private const string DefaultBasis = "request-of-the-person";

    public static void Map(IEndpointRouteBuilder app) => app.MapDelete("/v1/people/{id:guid}", HandleAsync)
        .AllowAnonymous().KnownByLink()
        .WithTags("People").WithSummary("Erase a person's data for good")
        .Produces<ErasureAnswer>()
        .ProducesProblem(401).ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static async Task<IResult> HandleAsync(Guid id, HttpContext http, Erasure erasure, IPeople people, CancellationToken cancellation,
        string? basis = null, bool force = false, string? key = null)
    {
        if (basis is not null && !Code().IsMatch(basis))
            return Problems.Invalid(new Dictionary<string, string[]> { ["basis"] = ["A code of lower-case letters and dashes."] });
        var isOperator = http.User.IsInRole(Roles.Operator);
        if (!isOperator && !await people.IsThemselvesAsync(http.User, id, key, cancellation))
            return http.User.Identity?.IsAuthenticated == true
                ? Problems.Of(StatusCodes.Status403Forbidden, "forbidden", "Only operators and the person themselves may erase a person.")
                : Problems.Of(StatusCodes.Status401Unauthorized, "unauthenticated", "A token, or the key of the person's own link, is needed.");
        if (force && !isOperator)
            return Problems.Of(StatusCodes.Status403Forbidden, "forbidden", "Only operators may end what is under way; cancel it first.");
        var by = http.User.Subject() is { Length: > 0 } subject ? subject : People.Themselves;
        var (answer, refusal) = await erasure.EraseAsync(id, by, basis ?? DefaultBasis, force, cancellation);
        return refusal is not null ? refusal.ToProblem() : Results.Ok(answer);
    }

    public Task<(ErasureAnswer? Answer, Refusal? Refusal)> EraseAsync(Guid person, string by, string basis, bool force, CancellationToken cancellation) =>
        Conflict.RetryAsync(async () =>
        {
            await using var session = store.LightweightSession();
            var stream = People.StreamOf(person);
            var past = await session.Events.FetchStreamAsync(stream, token: cancellation);
            var last = past.Count > 0 ? (PersonErased)past[^1].Data : null;
            var now = time.GetUtcNow();
            var parting = await people.PartAsync(session, person, force, by, now, cancellation);
            var decision = People.DecideErasure(last, parting.IsKnown, await vault.HasKeyAsync(person, cancellation), parting.Refusal, new PersonErased(person, by, basis, now));
            if (decision.Refusal is { } refusal)
                return ((ErasureAnswer?)null, (Refusal?)refusal);
            if (decision.Events is [PersonErased erased])
            {
                PersonalDataVault.Erase(session, person);
                session.Schedule(FinishErasure.TimerKind, person, now + PersonalDataVault.KeyLifetime);
                (past.Count == 0 ? session.Events.StartStream(stream, erased) : session.Events.Append(stream, past.Count + 1, erased)).CausedBy(Cause.Current());
                await session.SaveChangesAsync(cancellation);
                // The other processes hear of it; whoever was answered by this one finds it done.
                vault.Forget(person);
                return (new ErasureAnswer(person, erased.At, erased.By, erased.Basis, Repeated: false, parting.Ended), null);
            }
            return (new ErasureAnswer(person, last!.At, last.By, last.Basis, Repeated: true, 0), null);
        });

    [GeneratedRegex(@"^[a-z][a-z-]{0,63}\z")]
    private static partial Regex Code();
}

/// <summary>A minute after an erasure: no process can have the key any more, so nothing new can be lost to it.</summary>
internal sealed class FinishErasure(IPeople people, IEnumerable<IForgetsPeople> forgetful) : ITimerHandler
{
    public const string TimerKind = "finish-erasure";

    public string Kind => TimerKind;
    public TimeSpan Precision => TimeSpan.FromSeconds(1);

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        await people.FinishAsync(subject, cancellation);
        foreach (var one in forgetful)
            await one.ForgetAsync(subject, cancellation);
    }
}

/// <summary>Hears of every erasure, whichever replica made it, and has this process forget the person.</summary>
internal sealed class ErasureListener(NpgsqlDataSource database, PersonalDataVault vault, IEnumerable<IForgetsPeople> forgetful, ILogger<ErasureListener> logger)
    : BackgroundService
{
    private static readonly TimeSpan SignOfLife = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                logger.LogWarning("Erasures by other replicas are not heard of for now ({Reason}); keys are forgotten after a minute all the same", exception.GetType().Name);
                await Task.Delay(TimeSpan.FromSeconds(1), stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ListenAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var erased = new Queue<Guid>();
        connection.Notification += (_, told) =>
        {
            if (Guid.TryParse(told.Payload, out var person))
                erased.Enqueue(person);
        };
        await using (var listen = new NpgsqlCommand($"listen {PersonalDataVault.ErasureChannel}", connection))
            await listen.ExecuteNonQueryAsync(cancellation);
        // What was told before is not heard of.
        vault.ForgetAll();
        while (true)
        {
            if (!await connection.WaitAsync(SignOfLife, cancellation))
            {
                // A server that went away without a word is found so.
                await using var sign = new NpgsqlCommand("select 1", connection);
                await sign.ExecuteNonQueryAsync(cancellation);
            }
            while (erased.TryDequeue(out var person))
            {
                vault.Forget(person);
                foreach (var one in forgetful)
                    await one.ForgetAsync(person, cancellation);
            }
        }
    }
}

public static class PeopleHosting
{
    /// <summary>The vault, erasure, retention and the record of who read what, over what the service holds of people.</summary>
    public static IServiceCollection AddPeople<TPeople>(this IServiceCollection services) where TPeople : class, IPeople => services
        .AddVault().AddSingleton<IPeople, TPeople>().AddSingleton<Erasure>().AddSingleton<RetentionRules>()
        .AddSingleton<AccessLog>().AddHostedService(provider => provider.GetRequiredService<AccessLog>())
        .AddHostedService<ErasureListener>()
        .AddTimer<FinishErasure>().AddTimer<ApplyRetention>();

    public static void MapPeople(this IEndpointRouteBuilder app)
    {
        Erasure.Map(app);
        RetentionRules.Map(app);
    }
}
