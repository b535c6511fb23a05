using System.Security.Claims;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

public sealed record OpeningBody(string? Reason = null, string? From = null, string? Until = null);

/// <summary>
/// <c>POST /v1/providers/{id}/closures</c>, <c>/reopenings</c>: a provider says that it is shut, or open. The same goes
/// for its own system, which says so in a CloudEvent.
/// </summary>
public static class PublishOpening
{
    public static void MapPublishOpening(this IEndpointRouteBuilder app)
    {
        Map(app, "closures", closes: true, "Say that the provider is shut: now or later, for good or until a time");
        Map(app, "reopenings", closes: false, "Say that the provider is open; a measure may keep it closed all the same");
    }

    private static void Map(IEndpointRouteBuilder app, string noun, bool closes, string summary) =>
        app.MapPost($"/v1/providers/{{id:guid}}/{noun}",
            async (Guid id, OpeningBody body, HttpContext http, Streams streams, TimeProvider time, CancellationToken cancellation) =>
            {
                var now = time.GetUtcNow();
                var errors = Read(body, closes, now, out var word);
                if (errors.Count > 0)
                    return Problems.Invalid(errors);
                var outcome = await PublishAsync(streams, time, id, word, http.User.Subject(), null, http.User, cancellation);
                return await http.AnswerAsync(id, word, outcome, time.GetUtcNow(), cancellation);
            })
            .RequireRoles(Roles.Coordinator, Roles.Responder, Roles.Operator)
            .WithSummary(summary)
            .Produces<ResponderResource>().ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesValidationProblem(422);

    /// <param name="user">Null when the broker has already decided who may speak.</param>
    internal static Task<Outcome<Provider>> PublishAsync(Streams streams, TimeProvider time, Guid id, OpeningWord word, string by,
        CloudEventOrigin? origin, ClaimsPrincipal? user, CancellationToken cancellation) =>
        streams.ChangeAsync<Provider, ProviderEvent>(id, (loaded, _) => ValueTask.FromResult<Decision<ProviderEvent>>(
            user is not null && loaded.Version > 0 && !user.MayManage(id, loaded.State.Listing)
                ? Access.NotYours
                : Provider.DecideWord(loaded.State, word, by, origin, time.GetUtcNow())),
            cancellation, origin is null ? null : $"{origin.Source}#{origin.Id}");

    internal static async Task<IResult> AnswerAsync(this HttpContext http, Guid id, OpeningWord word, Outcome<Provider> outcome, DateTimeOffset now, CancellationToken cancellation) =>
        outcome.Refusal is { } refusal
            ? refusal.ToProblem()
            : Results.Ok(await http.ShowAsync(id, outcome.State, outcome.Version, cancellation, Explain(outcome.State, word, now)));

    public static string Explain(Provider provider, OpeningWord word, DateTimeOffset now) => word switch
    {
        { From: var from } when from > now => $"Recorded. The provider {(word.Closes ? "closes" : "reopens")} at {from:yyyy-MM-ddTHH:mm:ssZ}.",
        { Closes: true } => provider.OwnClosure is null
            ? "Recorded. The provider is not closed by it: its time is over, or something said later says otherwise."
            : "The provider is closed.",
        _ when provider.IsClosedByMeasures => $"The reopening is recorded. The provider stays closed while the measure \"{provider.Holds[^1].MeasureName}\" is in force.",
        _ when provider.OwnClosure is not null => "Recorded. The provider stays closed: its time is over, or something said later says otherwise.",
        _ when provider.Listing.Standing == Standing.Paused => "The closure is over. The provider is paused, and takes needs when it resumes.",
        _ => "The provider is open.",
    };

    private static IDictionary<string, string[]> Read(OpeningBody body, bool closes, DateTimeOffset now, out OpeningWord word)
    {
        var errors = new FieldErrors();
        errors.Text("reason", body.Reason, ReasonBody.MaxReason, required: true);
        if (!Moments.TryRead(body.From, out var from))
            errors.Add("from", Moments.Expected);
        if (!Moments.TryRead(body.Until, out var until))
            errors.Add("until", Moments.Expected);
        else
            errors.Period(from ?? now, until, now);
        word = new OpeningWord(closes, body.Reason?.Trim() ?? "", from ?? now.InMilliseconds(), until, now);
        return errors.All;
    }
}
