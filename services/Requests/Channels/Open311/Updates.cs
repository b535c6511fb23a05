using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Features;
using Huzhu.Requests.Storage;
using Marten;
using Marten.Linq.MatchesSql;

namespace Huzhu.Requests.Channels.Open311;

/// <summary>
/// mySociety's extension: <c>GET servicerequestupdates</c> tells what became of the jurisdiction's requests,
/// <c>POST servicerequestupdates</c> takes what its callers say about them.
/// </summary>
public static class Updates
{
    private const string Resource = "servicerequestupdates";
    private const int MaxDescription = 4000;
    private const int MaxUpdateId = 100;

    public static void Map(IEndpointRouteBuilder resources)
    {
        GeoReport.Map(resources, "GET", Resource, ListAsync);
        GeoReport.Map(resources, "POST", Resource, ReceiveAsync);
    }

    private static async Task<IResult> ListAsync(HttpContext http, Jurisdictions jurisdictions, IDocumentStore store, TimeProvider time, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Read);
        if (call is null)
            return refused!;
        if (!GetRequests.TryReadSpan(http, call, time.GetUtcNow(), out var from, out var until, out var wrong))
            return wrong;
        await using var session = store.QuerySession();
        var sources = call.Jurisdiction.Sources.ToArray();
        var changed = await session.Query<RequestView>().Where(view => view.UpdatedAt >= from)
            .Where(view => view.MatchesSql("d.data -> 'state' ->> 'source' = any(?)", new object[] { sources }))
            .OrderBy(view => view.UpdatedAt).Select(view => view.Id).Take(GetRequests.MaxRows).ToListAsync(cancellation);
        var ids = changed.ToArray();
        var events = await session.Events.QueryAllRawEvents().Where(e => ids.Contains(e.StreamId)).OrderBy(e => e.Sequence).ToListAsync(cancellation);
        var updates = events.GroupBy(e => e.StreamId).SelectMany(stream => ChangesOf([.. stream.Select(e => (RequestEvent)e.Data)]))
            .Where(change => change.At >= from && change.At <= until).OrderBy(change => change.At).Take(GetRequests.MaxRows);
        return GeoReport.Of(http, "service_request_updates", new JsonArray([.. updates.Select(change => new JsonObject
        {
            ["update_id"] = $"{change.After.Id.Value:N}-{change.After.Version}",
            ["service_request_id"] = change.After.Id.ToString(),
            ["status"] = Wording.StateOf(change.After.Status),
            ["description"] = change.Sentence,
            ["updated_datetime"] = Wording.Of(change.At),
            ["media_url"] = "",
        })]));
    }

    /// <summary>Every event after the first that changes what <c>GET requests</c> says of the request.</summary>
    private static IEnumerable<(RequestState After, string Sentence, DateTimeOffset At)> ChangesOf(IReadOnlyList<RequestEvent> events)
    {
        var state = RequestState.Initial;
        var said = "";
        foreach (var happened in events)
        {
            state = Request.Evolve(state, happened);
            var sentence = Wording.Explain(RequestAnswer.Of(state));
            if (sentence != said && state.Version > 1)
                yield return (state, sentence, happened.At);
            said = sentence;
        }
    }

    private static async Task<IResult> ReceiveAsync(HttpContext http, Jurisdictions jurisdictions, IDocumentStore store, ActOnRequest act, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Update);
        if (call is null)
            return refused!;
        var wrong = new List<string>();
        var description = call["description"];
        if (description?.Length > MaxDescription)
            wrong.Add($"description: At most {MaxDescription} characters.");
        var updateId = call["update_id"] ?? call["update_id_ext"];
        if (updateId?.Length > MaxUpdateId || updateId?.Any(char.IsControl) == true)
            wrong.Add($"update_id: At most {MaxUpdateId} characters, no control characters.");
        if (call["service_request_id"] is not { } text)
            wrong.Add("service_request_id was not provided.");
        else if (!RequestId.TryParse(text, null, out _))
            return GeoReport.Error(http, 404, "service_request_id was not found.");
        var (wish, reason) = call["status"]?.ToLowerInvariant() switch
        {
            "open" => (Wish.StillWanted, "needed-again"),
            "closed" => (Wish.NoLongerWanted, "no-longer-needed"),
            "fixed" => (Wish.NoLongerWanted, "helped-otherwise"),
            // Other front ends know more words than these; their updates count for what they say.
            _ => ((Wish?)null, "other"),
        };
        if (description is null && wish is null)
            wrong.Add("description, or a status of open, closed or fixed, was not provided.");
        if (wrong.Count > 0)
            return GeoReport.Error(http, 400, wrong);

        _ = RequestId.TryParse(call["service_request_id"], null, out var id);
        await using (var session = store.QuerySession())
            if (await session.LoadAsync<RequestView>(id.Value, cancellation) is not { } view || !call.Jurisdiction.Sources.Contains(view.State.Source))
                return GeoReport.Error(http, 404, "service_request_id was not found.");

        var own = $"{call.Key!.Name}/{updateId ?? Guid.NewGuid().ToString("N")}";
        // A repeat call's need goes on in the older request: only there can the help be confirmed, disputed or sought again.
        var (_, refusal) = await act.ActAsync(call.By, id, null, description, need => wish is not null && need.State == NeedState.DuplicateOf, (state, needId, excluded, said) =>
        {
            said = said with { ReasonCode = reason };
            return state.Id == id ? Request.DecideUpdate(state, own, wish, excluded, said)
                : wish == Wish.StillWanted ? Request.DecideReturn(state, needId!.Value, excluded, said with { Reason = null })
                : Request.DecideConfirmation(state, needId, said.By, said.At);
        }, cancellation);
        return refusal is not null
            ? GeoReport.Error(http, 400, refusal.Reason)
            : GeoReport.Of(http, "service_request_updates", new JsonArray(new JsonObject { ["update_id"] = own }), 201);
    }
}
