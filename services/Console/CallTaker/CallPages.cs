using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.ServiceDefaults;
using Huzhu.Web.Apis;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Huzhu.Web.CallTaker;

/// <summary>What the call-taker's pages ask for while they are open. Each works without: the pages themselves say the same.</summary>
public static class CallPages
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(30);

    /// <summary>Made here: what is missing is said at the start, and not to the first call.</summary>
    public static void AddCallTaker(this WebApplicationBuilder builder) => builder.Services.AddSingleton(new Callers(builder.Configuration, builder.Environment));

    public static void MapCallTaker(this WebApplication app)
    {
        var calls = app.MapGroup("/calls").RequireAuthorization(new AuthorizeAttribute { Roles = $"{Roles.Intake},{Roles.Operator}" });
        calls.MapPost("/repeats", RepeatsAsync);
        calls.MapGet("/{id:guid}/standing", StandingAsync);
        calls.MapGet("/{id:guid}/live", LiveAsync);
    }

    /// <summary>What is under way for this number. Sent by POST: a number does not belong in an address.</summary>
    private static async Task<IResult> RepeatsAsync([FromForm] string? phone, RequestsApi requests, Callers callers, CancellationToken cancellation)
    {
        if (phone is null || phone.Count(char.IsAsciiDigit) < 5)
            return Results.NoContent();
        var answer = await requests.OfCallerAsync(Callers.Source, callers.RefOf(phone, ""), cancellation);
        return answer.Value is { Items.Count: > 0 } found
            ? new RazorComponentResult<Repeats>(new { found.Items })
            : Results.NoContent();
    }

    private static async Task<IResult> StandingAsync(Guid id, RequestsApi requests, CancellationToken cancellation) =>
        (await requests.GetAsync(id, cancellation)).Value is { } request ? new RazorComponentResult<Standing>(new { Request = request }) : Results.NoContent();

    /// <summary>Server-sent events: one whenever the request's standing has changed.</summary>
    private static IResult LiveAsync(Guid id, RequestsApi requests, TimeProvider time, CancellationToken cancellation)
    {
        return TypedResults.ServerSentEvents(ChangesAsync(cancellation), "changed");

        async IAsyncEnumerable<string> ChangesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
        {
            string? known = null;
            for (var until = time.GetUtcNow() + Longest; time.GetUtcNow() < until; await Task.Delay(Look, time, token))
            {
                if ((await requests.GetAsync(id, token)).Value is not { } request)
                    continue;
                var seen = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(request))))[..16];
                if (seen != known)
                    yield return seen;
                known = seen;
            }
        }
    }

    /// <summary>As it is read out: in two halves.</summary>
    public static string Spoken(string number) => number.Length == 8 ? $"{number[..4]}-{number[4..]}" : number;
}
