using Huzhu.ServiceDefaults;
using Huzhu.Web.Apis;
using Huzhu.Web.Operator;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Net.Http.Headers;

namespace Huzhu.Web.Operations;

/// <summary>What the board asks for while it is open: a word that something has changed, and then the board as it stands.</summary>
public static class BoardPages
{
    public static void MapBoard(this WebApplication app)
    {
        app.MapGet("/board/part", PartAsync).RequireAuthorization(policy => policy.RequireRole(Roles.Operator, Roles.Auditor));
        app.MapGet("/board/stream", StreamAsync).RequireAuthorization(policy => policy.RequireRole(Roles.Operator, Roles.Auditor));
    }

    private static async Task<IResult> PartAsync(MatchingDesk matching, CancellationToken cancellation)
    {
        var (board, problem) = await matching.BoardAsync(cancellation);
        return board is null
            ? Results.StatusCode(problem!.Status)
            : new RazorComponentResult<BoardView>(new { Board = board });
    }

    /// <summary>
    /// Passes on when the board changes, and nothing of it: the page then asks for it in its own language. Ends when the
    /// stream of Matching does; the browser comes again.
    /// </summary>
    private static async Task StreamAsync(HttpContext http, BoardStream stream, IHostApplicationLifetime lifetime)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        http.Response.Headers.CacheControl = "no-store";
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers["X-Accel-Buffering"] = "no";
        try
        {
            await http.Response.WriteAsync("retry: 3000\n\n", ends.Token);
            await foreach (var _ in stream.ChangesAsync(ends.Token))
            {
                await http.Response.WriteAsync("event: board\ndata: changed\n\n", ends.Token);
                await http.Response.Body.FlushAsync(ends.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException)
        {
            // Whoever looked has gone, or Matching has: the browser comes again by itself.
        }
    }
}

/// <summary>Matching's stream of the board, as this user.</summary>
public sealed class BoardStream(HttpClient http)
{
    public async IAsyncEnumerable<bool> ChangesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/board/stream");
        request.Headers.TryAddWithoutValidation(HeaderNames.Accept, "text/event-stream");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        response.EnsureSuccessStatusCode();
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await lines.ReadLineAsync(cancellation) is { } line)
        {
            if (line.StartsWith("event: board", StringComparison.Ordinal))
                yield return true;
        }
    }
}
