using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary><c>POST /v1/provider-events</c>: the CloudEvent that providers' systems publish on the broker, over HTTP.</summary>
public static class ReceiveProviderEvent
{
    private const string Prefix = "ce-";

    public static void MapReceiveProviderEvent(this IEndpointRouteBuilder app) =>
        app.MapPost("/v1/provider-events", HandleAsync)
            .RequireRoles(Roles.Responder, Roles.Operator)
            .WithSummary("A provider's closure or reopening as a CloudEvent, structured or binary")
            .Produces<ResponderResource>().ProducesProblem(400).ProducesProblem(403).ProducesProblem(404).ProducesProblem(409).ProducesProblem(422);

    private static async Task<IResult> HandleAsync(HttpContext http, Streams streams, TimeProvider time, CancellationToken cancellation)
    {
        var request = http.Request;
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, cancellation);
        var attributes = request.Headers
            .Where(header => header.Key.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            .Select(header => (header.Key[Prefix.Length..].ToLowerInvariant(), Uri.UnescapeDataString(header.Value.ToString())));
        var (said, problem) = ProviderEventFormat.Read(request.ContentType, attributes, body.ToArray());
        if (said is null)
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", problem!);
        var word = said.At(time.GetUtcNow());
        var outcome = await PublishOpening.PublishAsync(streams, time, said.ProviderId, word, http.User.Subject(), said.Origin, http.User, cancellation);
        return await http.AnswerAsync(said.ProviderId, word, outcome, time.GetUtcNow(), cancellation);
    }
}
