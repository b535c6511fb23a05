namespace Huzhu.Requests.Channels;

/// <summary>
/// A way in for people: one folder with one class that implements this, and one line in <see cref="Installed"/>. It checks
/// who calls, makes an <see cref="Utterance"/> of what came, brings it to the <see cref="Inbox"/> and hands the
/// <see cref="Answer"/> back in its own form; the conversation, the request, repeats and a database that is away are not its
/// concern. See docs/integrators/write-your-own-channel.md.
/// </summary>
public interface IFrontEnd
{
    /// <summary>Reads its settings and registers what its endpoints need.</summary>
    /// <exception cref="InvalidOperationException">A setting is missing or malformed; the message names the key.</exception>
    void Add(IServiceCollection services, IConfiguration configuration);

    /// <summary>Where it listens.</summary>
    void Map(IEndpointRouteBuilder app);
}

/// <summary>What front ends that are called over HTTP have in common.</summary>
public static class Callbacks
{
    private const int MostBytes = 64 * 1024;

    /// <returns>Null when the body is larger than any front end's message is.</returns>
    public static async Task<ReadOnlyMemory<byte>?> ReadBodyAsync(HttpRequest request, CancellationToken cancellation)
    {
        var body = new MemoryStream();
        var buffer = new byte[8192];
        while (await request.Body.ReadAsync(buffer, cancellation) is > 0 and var read)
        {
            if (body.Length + read > MostBytes)
                return null;
            body.Write(buffer, 0, read);
        }
        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }

    /// <summary>The address of a callback is open: its signature says who calls, and all calls of an account come from a few addresses.</summary>
    public static RouteHandlerBuilder MapCallback(this IEndpointRouteBuilder app, string method, string pattern, Delegate handler) =>
        app.MapMethods(pattern, [method], handler).AllowAnonymous().DisableRateLimiting();
}
