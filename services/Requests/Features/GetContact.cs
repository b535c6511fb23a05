using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Requests.Features;

/// <summary>Who is to be told about a need, and how. Asked at the moment of sending, so that nobody else keeps a copy.</summary>
public static class GetContact
{
    /// <summary>Channels that ring: only for those who agreed to be called back.</summary>
    private static readonly HashSet<string> Ringing = ["voice", "phone"];

    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/v1/requests/{id}/contact", HandleAsync)
        .RequireRoles(Roles.Service, Roles.Operator)
        .WithSummary("Who to tell, and how")
        .Produces<ContactAnswer>()
        .ProducesProblem(404).ProducesProblem(410);

    private static async Task<IResult> HandleAsync(RequestId id, NeedId? needId, HttpContext http, IQuerySession session, PersonalRecords records, AccessLog access, SourceChannels sources, RequestLinks links, CancellationToken cancellation)
    {
        var (state, _) = await session.LoadRequestAsync(id, cancellation);
        if (!state.Exists)
            return Request.RequestNotFound.ToProblem();
        if (needId is { } need && state.Needs.All(known => known.NeedId != need))
            return Request.NeedNotFound.ToProblem();
        if (await records.RevealAsync(state, cancellation) is not { } call)
            return PersonalRecords.Gone;
        await access.RecordAsync(http, [state.PersonId.Value, state.CallerId.Value], id.Value, Revealed.Contact, cancellation);

        var channels = call.Caller.Channels.ToList();
        if (channels.Count == 0 && sources.Find(call.Source, call.Caller.Ref) is { } listening)
            channels.Add(listening);
        if (!call.CallbackOk)
            channels.RemoveAll(channel => Ringing.Contains(channel.Kind));
        return Results.Ok(new ContactAnswer(call.Caller.Name ?? call.Person.Name, channels, state.Communication, call.Caller.Language, links.KeyOf(state.Id, state.PersonId)));
    }
}

/// <param name="Channels">In the order of preference; may be empty.</param>
/// <param name="OwnKey">For <c>/v1/requests/{id}/own?key=</c>, to be told to nobody but them.</param>
public sealed record ContactAnswer(string? Name, IReadOnlyList<ContactChannel> Channels, IReadOnlyList<CommunicationNeed> Communication, string? Language, string OwnKey);
