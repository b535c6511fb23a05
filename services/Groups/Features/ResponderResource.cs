using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

public sealed record SiteResource(double Lat, double Lon, string SubDistrict, bool Open);

/// <summary>A secret is written, never read: <paramref name="HasSecret"/> is all that is told of it.</summary>
public sealed record ChannelResource(string Kind, string Address, bool HasSecret);

/// <summary>One entry of the directory as clients read it.</summary>
/// <param name="OwnClosures">Of a provider: what it has said about its opening and is not over yet.</param>
/// <param name="ManagedBy">With <paramref name="CoordinatorName"/> and <paramref name="Channels"/> only for its managers and operators.</param>
/// <param name="Note">After a change, in a sentence, what it did and what it did not do.</param>
public sealed record ResponderResource(
    Guid Id, ResponderKind Kind, long Version, Opening Opening, string? ClosedBecause, MeasureId? ClosedByMeasureId,
    string Name, IReadOnlyList<SiteResource> Sites, double? RadiusMetres, IReadOnlyList<string> SubDistricts, IReadOnlyList<string> ServiceKinds,
    IReadOnlyList<DeliveryMode> Modes, IReadOnlyList<CommunicationNeed> CommunicationAbilities, int Capacity, bool ZonePermit, bool? LeaderHasDisability,
    IReadOnlyList<OwnClosure>? OwnClosures = null, IReadOnlyList<string>? ManagedBy = null, string? CoordinatorName = null,
    IReadOnlyList<ChannelResource>? Channels = null, string? Note = null)
{
    public static ResponderResource Of(Guid id, long version, IResponder responder)
    {
        var entry = responder.Listing.Entry!;
        return new(id, responder.Kind, version, responder.Opening, responder.ClosedBecause, responder.ClosedByMeasureId, entry.Name,
            [.. responder.Sites.Select(site => new SiteResource(site.Place.Latitude, site.Place.Longitude, site.SubDistrict, site.Open))],
            entry.RadiusMetres, entry.SubDistricts, entry.ServiceKinds, entry.Modes, entry.CommunicationAbilities, entry.Capacity, entry.ZonePermit,
            entry.LeaderHasDisability,
            responder is Provider provider
                ? [.. provider.Timeline.Spans.Where(span => span.Closes).Select(span => new OwnClosure(span.Reason!, span.From, span.Until))]
                : null);
    }
}

/// <summary>A closure that the provider itself has published, under way or still to come. Those of measures are not among them.</summary>
public sealed record OwnClosure(string Reason, DateTimeOffset From, DateTimeOffset? Until);

/// <summary>Who may do what with an entry, and how it is shown to them.</summary>
public static class Access
{
    public static readonly string[] AnyRole = [Roles.Intake, Roles.Coordinator, Roles.Responder, Roles.Operator, Roles.Auditor, Roles.Service];

    public static readonly Refusal NotYours = Refusal.Forbidden("not-your-group", "The entry is managed by somebody else.");

    public static bool MayManage(this ClaimsPrincipal user, Guid id, Listing listing) =>
        user.IsInRole(Roles.Operator)
        || ((user.IsInRole(Roles.Coordinator) || user.IsInRole(Roles.Responder)) && user.SpeaksFor(id, [.. listing.Entry?.ManagedBy ?? []]));

    /// <summary>The entry for this reader: with contact for who manages it, and with its version as <c>ETag</c>.</summary>
    /// <param name="hasJustSaidIt">The reader gave the contact with this very call, and so learns nothing.</param>
    public static async Task<ResponderResource> ShowAsync<TState>(this HttpContext http, Guid id, TState state, long version, CancellationToken cancellation, string? note = null, bool hasJustSaidIt = false)
        where TState : IResponder
    {
        http.Response.Headers.ETag = $"\"{version}\"";
        var resource = ResponderResource.Of(id, version, state) with { Note = note };
        if (!http.User.MayManage(id, state.Listing))
            return resource;
        var contact = await http.RequestServices.GetRequiredService<ContactVault>().RevealAsync(id, state.Listing.Entry!, cancellation);
        if (contact is not null && !hasJustSaidIt)
            await http.RequestServices.GetRequiredService<AccessLog>().RecordAsync(http, [id], id, Revealed.Contact, cancellation);
        return resource with
        {
            ManagedBy = state.Listing.Entry!.ManagedBy,
            CoordinatorName = contact?.CoordinatorName,
            Channels = [.. (contact?.Channels ?? []).Select(channel => new ChannelResource(channel.Kind, channel.Address, channel.Secret is not null))],
        };
    }

    public static string PathOf(ResponderKind kind) => kind == ResponderKind.Group ? "/v1/groups" : "/v1/providers";
}
