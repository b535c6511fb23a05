using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Groups.Features;

/// <summary>Where and how to tell a responder something, secrets included. For the service that sends, and nobody else.</summary>
public sealed record ContactResource(string Name, string? CoordinatorName, IReadOnlyList<ContactChannel> Channels, IReadOnlyList<CommunicationNeed> CommunicationAbilities);

/// <summary><c>GET /v1/responders/{id}/contact</c>: asked for at the moment of sending.</summary>
public static class GetContact
{
    public static void MapGetContact(this IEndpointRouteBuilder app) =>
        app.MapGet("/v1/responders/{id:guid}/contact", HandleAsync)
            .RequireRoles(Roles.Service)
            .WithSummary("Channels with their secrets, for the service that sends")
            .Produces<ContactResource>().ProducesProblem(404).ProducesProblem(410);

    private static async Task<IResult> HandleAsync(Guid id, HttpContext http, Streams streams, ContactVault contacts, AccessLog access, CancellationToken cancellation)
    {
        var group = await streams.LoadAsync<Group, GroupEvent>(id, cancellation);
        var entry = group.IsForeign ? (await streams.LoadAsync<Provider, ProviderEvent>(id, cancellation)).State.Listing.Entry : group.State.Listing.Entry;
        if (entry is null)
            return Listing.Unknown.ToProblem();
        var contact = await contacts.RevealAsync(id, entry, cancellation);
        if (contact is null && entry.Contact is not null)
            return Problems.Of(StatusCodes.Status410Gone, "erased", "The contact data was erased.");
        if (contact is not null)
            await access.RecordAsync(http, [id], id, Revealed.Contact, cancellation);
        return Results.Ok(new ContactResource(entry.Name, contact?.CoordinatorName, contact?.Channels ?? [], entry.CommunicationAbilities));
    }
}
