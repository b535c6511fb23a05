using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Content;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications.Features;

/// <summary>
/// A front end's own answer to a person, which could not be given when the person wrote. One attempt, nothing is kept: it is
/// about what the person can ask for again.
/// </summary>
public static class SendReply
{
    private const int LongestText = 4000;
    private const int LongestAddress = 2048;

    /// <param name="Id">The same for the same answer.</param>
    /// <param name="Kind">Which channel.</param>
    /// <param name="Language">The language that the text is in.</param>
    public sealed record Body(Guid Id, string Kind, string Address, string Language, string Text)
    {
        public override string ToString() => nameof(Body);
    }

    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/replies", SendAsync).RequireRoles(Roles.Service)
        .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status422UnprocessableEntity).ProducesProblem(StatusCodes.Status502BadGateway)
        .WithSummary("Send a front end's late answer");

    private static async Task<IResult> SendAsync(Body body, IEnumerable<IChannel> channels, TimeProvider time, CancellationToken cancellation)
    {
        if (body.Text.Length is 0 or > LongestText || body.Address.Length > LongestAddress)
            return Problems.Invalid(new Dictionary<string, string[]> { ["text, address"] = [$"At most {LongestText} and {LongestAddress} characters, and a text is needed."] });
        var address = new Address(body.Address, null);
        if (channels.FirstOrDefault(channel => channel.Kind == body.Kind) is not { } channel || channel.Refuse(address) is not null)
            return Problems.Invalid(new Dictionary<string, string[]> { ["kind, address"] = ["No channel of this kind takes this address."] });
        var id = new NotificationId(body.Id);
        var outcome = await channel.SendAsync(new Message(id, $"reply-{id}", MessageBody.WriteReply(id, body.Language, body.Text, time.GetUtcNow())), address, cancellation);
        return outcome.Succeeded ? Results.NoContent() : Problems.Of(StatusCodes.Status502BadGateway, outcome.Reason!, "The channel did not take it.");
    }
}
