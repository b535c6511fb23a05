using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Replaying;
using Huzhu.Audit.Verbs;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Features;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Huzhu.Audit.Serving;

/// <param name="Policy">Another policy, whole: the JSON that <c>PUT /v1/policy</c> of Matching takes.</param>
/// <param name="PatienceSeconds">Whoever was without a responder for longer was not helped in time.</param>
/// <param name="Least">Rows of the equity tables with fewer needs are withheld.</param>
public sealed record ReplayForm(Policy? Policy = null, bool WithoutGroups = false, bool WithoutClosures = false, double? PatienceSeconds = null, int Least = Equity.DefaultLeastShown);

/// <summary>
/// The audit over HTTP. Every answer is what the verb of the same name writes with <c>--json</c>: the verb itself is run,
/// so there is one way to an answer. Reads only, like the verbs.
/// </summary>
public static class AuditApi
{
    public static WebApplication Build(IConfiguration configuration)
    {
        var builder = Hosting.CreateHuzhuBuilder([], "audit");
        builder.Configuration.AddConfiguration(configuration);
        // One of the logs stands for all where somebody asks whether this is ready.
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(configuration.GetConnectionString("matching")
            ?? throw new InvalidOperationException("ConnectionStrings:matching is missing: where is the database of matching?")));
        builder.Services.AddSingleton(services => new Answers(configuration, services.GetRequiredService<TimeProvider>()));
        builder.Services.AddSingleton(services => new Jobs(services.GetRequiredService<Answers>(), services.GetRequiredService<TimeProvider>(),
            TimeSpan.FromSeconds(builder.Configuration.GetValue("Audit:LongestJobSeconds", 900.0))));
        builder.Services.AddHostedService(services => services.GetRequiredService<Jobs>());
        var app = builder.Build();
        app.UseHuzhuDefaults();
        Map(app);
        return app;
    }

    private static void Map(IEndpointRouteBuilder app)
    {
        var v1 = app.MapGroup("/v1").RequireAuthorization(policy => policy.RequireRole(Roles.Auditor));
        v1.MapGet("/timelines/{id:guid}", (Guid id, DateTimeOffset? asOf, Answers answers, CancellationToken cancellation) =>
                answers.GetAsync(["timeline", $"{id}", .. AsOf(asOf)], Kept.Not, cancellation))
            .WithSummary("What happened to a request, a need, a responder or a person, across the four logs, with causes.")
            .Produces<JsonArray>().ProducesProblem(404).ProducesProblem(503);
        v1.MapGet("/explanations/{needId:guid}", (Guid needId, DateTimeOffset? asOf, Answers answers, CancellationToken cancellation, string language = "en") => InWords.In(language) is null
                ? Task.FromResult(Problems.Invalid(new Dictionary<string, string[]> { ["language"] = ["zh or en."] }))
                : answers.GetAsync(["explain", $"{needId}", "--language", language, .. AsOf(asOf)], Kept.Not, cancellation))
            .WithSummary("Why each offer of a need went where it went, with the places to draw it.")
            .Produces<ExplainedNeed>().ProducesProblem(404).ProducesProblem(422).ProducesProblem(503);
        v1.MapGet("/state", (DateTimeOffset? at, Answers answers, CancellationToken cancellation) =>
                answers.GetAsync(["state", .. at is { } instant ? ["--at", Text(instant)] : Array.Empty<string>()], Kept.Briefly, cancellation))
            .WithSummary("Capacity, backlog and needs at any instant, with the sub-districts.")
            .Produces<StateAt.Report>().ProducesProblem(503);
        v1.MapGet("/equity", (Answers answers, CancellationToken cancellation, int least = Equity.DefaultLeastShown) => least < 1
                ? Task.FromResult(Problems.Invalid(new Dictionary<string, string[]> { ["least"] = ["Must be above 0."] }))
                : answers.GetAsync(["equity", "--least", Text(least)], Kept.Briefly, cancellation))
            .WithSummary("Time to offer and unmet needs by communication need, sub-district and channel, and how the help is spread.")
            .Produces<Equity>().ProducesProblem(422).ProducesProblem(503);
        v1.MapGet("/proofs/{eventId:guid}", (Guid eventId, Answers answers, CancellationToken cancellation) =>
                answers.ProveAsync(eventId, cancellation))
            .WithSummary("A file that proves, with the public key alone, that the event is in a log.")
            .Produces<string>(contentType: "text/plain").ProducesProblem(404).ProducesProblem(409).ProducesProblem(503);

        v1.MapPost("/replays", (ReplayForm form, Jobs jobs, HttpContext http) => StartReplay(form, jobs, http))
            .WithSummary("The same needs through another policy, without groups or without closures, beside what happened. A job.")
            .Produces<Job>(StatusCodes.Status202Accepted).ProducesProblem(422).ProducesProblem(503);
        v1.MapPost("/verifications", (Jobs jobs, HttpContext http) => Started(http, jobs, jobs.Start("verify", ["verify"])))
            .WithSummary("Compare the logs with what was sealed. A job.")
            .Produces<Job>(StatusCodes.Status202Accepted).ProducesProblem(503);
        v1.MapGet("/jobs", (Jobs jobs) => Results.Ok(jobs.All.Select(job => job with { Result = null })))
            .WithSummary("The last jobs, newest first, without their results.").Produces<IReadOnlyList<Job>>();
        v1.MapGet("/jobs/{id:guid}", (Guid id, Jobs jobs) => jobs.Find(id) is { } job
                ? Results.Ok(job)
                : Problems.Of(StatusCodes.Status404NotFound, "no-such-job", "There is no such job, or it has been forgotten: start it again."))
            .WithSummary("Where a job stands; its result is what the verb writes with --json.").Produces<Job>().ProducesProblem(404);
    }

    private static IResult StartReplay(ReplayForm form, Jobs jobs, HttpContext http)
    {
        var errors = form.Policy?.Errors().ToDictionary(error => $"policy.{error.Key}", error => error.Value) ?? [];
        if (form is { Policy: null, WithoutGroups: false, WithoutClosures: false })
            errors["policy"] = ["Say what is to be otherwise: a policy, withoutGroups or withoutClosures."];
        if (form.PatienceSeconds is not (null or > 0 and < 1e9))
            errors["patienceSeconds"] = ["Must be above 0."];
        if (form.Least < 1)
            errors["least"] = ["Must be above 0."];
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        return Started(http, jobs, jobs.Start("replay",
        [
            "replay", "--least", Text(form.Least), .. form.WithoutGroups ? ["--without-groups"] : Array.Empty<string>(),
            .. form.WithoutClosures ? ["--without-closures"] : Array.Empty<string>(), .. form.PatienceSeconds is { } patience ? ["--patience", Text(patience)] : Array.Empty<string>(),
        ], form.Policy));
    }

    private static IResult Started(HttpContext http, Jobs jobs, Job? job)
    {
        if (job is null)
            return Problems.Of(StatusCodes.Status503ServiceUnavailable, "busy", "Too many jobs wait already; try again later.");
        http.Response.Headers.RetryAfter = "1";
        return Results.Accepted($"/v1/jobs/{job.Id}", job);
    }

    private static string[] AsOf(DateTimeOffset? asOf) => asOf is { } at ? ["--as-of", Text(at)] : [];

    private static string Text(DateTimeOffset at) => at.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture);

    private static string Text<T>(T number) where T : IFormattable => number.ToString(null, CultureInfo.InvariantCulture);
}
