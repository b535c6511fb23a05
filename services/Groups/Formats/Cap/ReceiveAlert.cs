using System.Xml;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;
using Marten;
using Microsoft.AspNetCore.Mvc;

namespace Huzhu.Groups.Formats.Cap;

/// <summary>What was made of an alert.</summary>
/// <param name="Outcome">applied, drill, replaced or ignored.</param>
/// <param name="Note">In a sentence, what it did and what it did not do.</param>
/// <param name="MeasureIds">The measures that it has published; of a drill, none.</param>
/// <param name="Drill">Of a drill that is not over: whom it would concern.</param>
public sealed record AlertResource(
    Guid? Id, string Sender, string Identifier, DateTimeOffset Sent, string Outcome, string Note,
    IReadOnlyList<MeasureId> MeasureIds, IReadOnlyList<ResponderId> ProviderIds, DrillReport? Drill = null)
{
    public static AlertResource Ignored(AlertReference alert, string why) => new(null, alert.Sender, alert.Identifier, alert.Sent, "ignored", why, [], []);

    public static AlertResource Of(Guid id, Alert state)
    {
        var received = state.Received!;
        var (outcome, note) = state switch
        {
            { EndedBy: { } end } => ("replaced", $"It was {(end.Cancelled ? "cancelled" : "replaced")} by {end.By.Identifier}, and nothing of it is in force."),
            { Received.IsDrill: true } => ("drill", "An exercise: nothing was published, nobody was told, no need was moved."),
            _ => ("applied", $"It has published {received.Measures.Count} measures and {received.Closures.Count} closures, and taken the place of {received.Replaces.Count} earlier alerts."),
        };
        return new(id, received.Alert.Sender, received.Alert.Identifier, received.Alert.Sent, outcome, note,
            received.IsDrill ? [] : [.. received.Measures.Select(measure => measure.Id)], [.. received.Closures.Select(closure => closure.ProviderId)]);
    }
}

/// <summary><c>POST /v1/cap</c>: an alert of the Common Alerting Protocol; <c>GET /v1/cap/{id}</c>: what was made of it.</summary>
public static class ReceiveAlert
{
    private static readonly string[] MediaTypes = ["application/cap+xml", "application/xml", "text/xml"];

    public static void MapReceiveAlert(this IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/cap", PostAsync)
            .RequireRoles(Roles.Operator)
            .WithMetadata(new RequestSizeLimitAttribute(CapDocument.MaxCharacters))
            .Accepts<string>("application/cap+xml", "application/xml", "text/xml")
            .WithSummary("A CAP 1.2 alert: measures and closures begin, change or end as it says; the same alert again is the same answer")
            .Produces<AlertResource>().ProducesProblem(400).ProducesProblem(413).ProducesProblem(415).ProducesValidationProblem(422);
        app.MapGet("/v1/cap/{id:guid}", GetAsync)
            .RequireRoles(Roles.Operator, Roles.Auditor)
            .WithSummary("What was made of an alert; of an exercise, whom it would concern")
            .Produces<AlertResource>().ProducesProblem(404);
    }

    private static async Task<IResult> PostAsync(HttpContext http, AlertIntake intake, CancellationToken cancellation)
    {
        if (!MediaTypes.Any(type => http.Request.ContentType?.Split(';')[0].Trim().Equals(type, StringComparison.OrdinalIgnoreCase) == true))
            return Problems.Of(StatusCodes.Status415UnsupportedMediaType, "unsupported-media-type", $"The body must be one of {string.Join(", ", MediaTypes)}.");
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, cancellation);
        try
        {
            var (alert, errors) = await intake.TakeAsync(CapDocument.Load(body.ToArray()), http.User.Subject(), senders: null, cancellation);
            return alert is null ? Problems.Invalid(errors) : Results.Ok(alert);
        }
        catch (XmlException exception)
        {
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", $"The XML is not accepted: {OneLine(exception.Message)}");
        }
    }

    private static async Task<IResult> GetAsync(Guid id, AlertIntake intake, CancellationToken cancellation) =>
        await intake.FindAsync(id, cancellation) is { } alert ? Results.Ok(alert) : Alert.NotKnown.ToProblem();

    private static string OneLine(string text) => text.ReplaceLineEndings(" ") is { Length: > 300 } line ? line[..300] : text.ReplaceLineEndings(" ");
}

/// <summary>The one way in for alerts, whether they were posted or found in a feed.</summary>
public sealed class AlertIntake(Streams streams, CapProfile profile, ApplyAlert apply, IDocumentStore store, TimeProvider time)
{
    /// <param name="senders">Whose alerts count; null: everybody's, because the caller has been told apart already.</param>
    public async Task<(AlertResource? Alert, IDictionary<string, string[]> Errors)> TakeAsync(
        System.Xml.Linq.XElement document, string by, IReadOnlySet<string>? senders, CancellationToken cancellation)
    {
        var (alert, errors) = CapDocument.Read(document);
        if (alert is null)
            return (null, errors);
        if (senders?.Contains(alert.Reference.Sender) == false)
            return (AlertResource.Ignored(alert.Reference, "The feed may not speak for this sender."), errors);
        (var plan, errors) = profile.Plan(alert, by, time.GetUtcNow());
        if (plan is null)
            return (null, errors);
        var id = CapProfile.IdOf(alert.Reference);
        // One that was taken in before and is over by now asks for nothing any more: its answer is in the log.
        if (CapProfile.WhyIgnored(alert, plan) is { } why)
            return (await FindAsync(id, cancellation) ?? AlertResource.Ignored(alert.Reference, why), errors);
        await streams.ChangeAsync<Alert, AlertEvent>(id, (loaded, _) => ValueTask.FromResult(Alert.DecideReceipt(loaded.State, plan)), cancellation);
        await apply.HandleAsync(id, cancellation);
        return (await FindAsync(id, cancellation), errors);
    }

    public async Task<AlertResource?> FindAsync(Guid id, CancellationToken cancellation)
    {
        var loaded = await streams.LoadAsync<Alert, AlertEvent>(id, cancellation);
        if (loaded.State.Received is not { } received)
            return null;
        var resource = AlertResource.Of(id, loaded.State);
        return resource.Outcome == "drill" ? resource with { Drill = await DrillReport.OfAsync(store, received, cancellation) } : resource;
    }
}
