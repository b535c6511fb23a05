using System.Text.Json;
using Huzhu.Deciding;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Every answer that is not a success is an RFC 9457 problem with a <c>code</c> that clients can switch on. Nothing of
/// the request's content and no stack trace is repeated in it.
/// </summary>
public static class Problems
{
    public static IServiceCollection AddHuzhuProblems(this IServiceCollection services)
    {
        services.AddProblemDetails(options => options.CustomizeProblemDetails = context =>
        {
            var problem = context.ProblemDetails;
            problem.Extensions.TryAdd("code", CodeOf(problem.Status ?? context.HttpContext.Response.StatusCode));
            problem.Instance ??= context.HttpContext.Request.Path;
            if (context.Exception is BadHttpRequestException bad)
                problem.Detail ??= Explain(bad);
        });
        // Both environments behave alike: a bad body throws, and the handler below turns it into a problem.
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        return services;
    }

    public static IApplicationBuilder UseHuzhuProblems(this IApplicationBuilder app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            StatusCodeSelector = exception => exception switch
            {
                BadHttpRequestException bad => bad.StatusCode,
                TimeoutException or OperationCanceledException => StatusCodes.Status503ServiceUnavailable,
                _ when Messaging.IsServerAway(exception) => StatusCodes.Status503ServiceUnavailable,
                _ => StatusCodes.Status500InternalServerError,
            },
            SuppressDiagnosticsCallback = context => context.Exception is BadHttpRequestException,
        });
        return app.UseStatusCodePages();
    }

    /// <summary>The problem that a refusal is to the caller.</summary>
    public static IResult ToProblem(this Refusal refusal) => Of(
        refusal.Kind switch
        {
            RefusalKind.Invalid => StatusCodes.Status422UnprocessableEntity,
            RefusalKind.NotFound => StatusCodes.Status404NotFound,
            RefusalKind.Forbidden => StatusCodes.Status403Forbidden,
            RefusalKind.Conflict => StatusCodes.Status409Conflict,
        },
        refusal.Code, refusal.Reason);

    public static IResult Of(int status, string code, string detail) =>
        Results.Problem(detail: detail, statusCode: status, extensions: new Dictionary<string, object?> { ["code"] = code });

    /// <summary>Field errors, each under the field's JSON path. Status 422.</summary>
    public static IResult Invalid(IDictionary<string, string[]> errors) => Results.ValidationProblem(
        errors, statusCode: StatusCodes.Status422UnprocessableEntity,
        extensions: new Dictionary<string, object?> { ["code"] = "invalid" });

    private static string Explain(BadHttpRequestException bad) => bad.InnerException switch
    {
        JsonException json => json.Path is { Length: > 1 } path
            ? $"The body is not the JSON that is expected: see {path}."
            : "The body is not valid JSON.",
        _ => bad.StatusCode switch
        {
            StatusCodes.Status413PayloadTooLarge => "The body is larger than is accepted.",
            StatusCodes.Status415UnsupportedMediaType => "The body must be JSON (Content-Type: application/json).",
            _ => "The request could not be read: a value is missing or has the wrong form.",
        },
    };

    private static string CodeOf(int status) => status switch
    {
        400 => "malformed",
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not-found",
        405 => "method-not-allowed",
        409 => "conflict",
        413 => "too-large",
        415 => "unsupported-media-type",
        422 => "invalid",
        429 => "too-many-requests",
        503 => "unavailable",
        _ => "error",
    };
}
