using System.Globalization;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Features;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;
using Marten.Linq.MatchesSql;

namespace Huzhu.Requests.Channels.Open311;

/// <summary>
/// <c>GET requests</c>, <c>GET requests/{id}</c>, <c>GET tokens/{token}</c>: the jurisdiction's requests. Places are snapped
/// to about 100 m, and there is no description and no address, unless the key may see personal data.
/// </summary>
public static class GetRequests
{
    public const int MaxRows = 1000;
    public static readonly TimeSpan MaxSpan = TimeSpan.FromDays(90);
    private const int MaxIds = 100;

    public static void Map(IEndpointRouteBuilder resources)
    {
        GeoReport.Map(resources, "GET", "requests", SearchAsync);
        resources.MapGet("/requests/{ids}", ShowAsync);
        resources.MapGet("/tokens/{token}", RedeemAsync);
    }

    private static async Task<IResult> SearchAsync(HttpContext http, Jurisdictions jurisdictions, IDocumentStore store, PersonalRecords records, TimeProvider time, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Read);
        if (call is null)
            return refused!;
        // Named ids leave all other filters out of account: so the protocol says.
        if (call.Listed("service_request_id") is { Count: > 0 } ids)
            return await FindAsync(http, call, ids, store, records, cancellation);
        if (!TryReadSpan(http, call, time.GetUtcNow(), out var from, out var until, out var wrong))
            return wrong;
        var wanted = call.Listed("status").Select(word => word.ToLowerInvariant()).ToHashSet();
        if (wanted.Except(["open", "closed"]).Any())
            return GeoReport.Error(http, 400, "status: open or closed, or both.");

        await using var session = store.QuerySession();
        var sources = call.Jurisdiction.Sources.ToArray();
        var query = session.Query<RequestView>()
            .Where(view => view.SubmittedAt >= from && view.SubmittedAt <= until)
            .Where(view => view.MatchesSql("d.data -> 'state' ->> 'source' = any(?)", new object[] { sources }));
        if (call.Listed("service_code").ToArray() is { Length: > 0 } codes)
            query = query.Where(view => view.MatchesSql("d.data #>> '{state,needs,0,kind}' = any(?)", new object[] { codes }));
        if (wanted.Count == 1)
        {
            // A repeat is closed when the older request is; that is looked at below.
            var statuses = Enum.GetValues<RequestStatus>().Where(status => status == RequestStatus.DuplicateOf || wanted.Contains(Wording.StateOf(status))).Select(Words.Of).ToArray();
            query = query.Where(view => statuses.Contains(view.Status));
        }
        var found = await query.OrderByDescending(view => view.SubmittedAt).ThenBy(view => view.Id).Take(MaxRows).ToListAsync(cancellation);
        return await AnswerAsync(http, call, session, found, records, wanted, cancellation);
    }

    private static async Task<IResult> ShowAsync(HttpContext http, string ids, Jurisdictions jurisdictions, IDocumentStore store, PersonalRecords records, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Read);
        return refused ?? await FindAsync(http, call!, GeoReport.WithoutSuffix(ids).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), store, records, cancellation);
    }

    private static async Task<IResult> FindAsync(HttpContext http, Call call, IReadOnlyList<string> ids, IDocumentStore store, PersonalRecords records, CancellationToken cancellation)
    {
        if (ids.Count > MaxIds)
            return GeoReport.Error(http, 400, $"service_request_id: At most {MaxIds} at once.");
        await using var session = store.QuerySession();
        var known = ids.Select(id => Guid.TryParse(id, out var read) ? read : Guid.Empty).Distinct().ToArray();
        var found = (await session.LoadManyAsync<RequestView>(cancellation, known)).Where(view => call.Jurisdiction.Sources.Contains(view.State.Source)).ToList();
        return found.Count == 0
            ? GeoReport.Error(http, 404, "service_request_id was not found.")
            : await AnswerAsync(http, call, session, found, records, [], cancellation);
    }

    /// <summary>Every id is told at once, so no tokens are handed out; a client that takes the id for one gets it back.</summary>
    private static async Task<IResult> RedeemAsync(HttpContext http, string token, Jurisdictions jurisdictions, IDocumentStore store, CancellationToken cancellation)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.Read);
        if (call is null)
            return refused!;
        var id = GeoReport.WithoutSuffix(token);
        await using var session = store.QuerySession();
        var view = Guid.TryParse(id, out var read) ? await session.LoadAsync<RequestView>(read, cancellation) : null;
        return view is not null && call.Jurisdiction.Sources.Contains(view.State.Source)
            ? GeoReport.Of(http, "service_requests", new JsonArray(new JsonObject { ["service_request_id"] = view.Id.ToString(), ["token"] = id }))
            : GeoReport.Error(http, 404, "token was not found.");
    }

    private static async Task<IResult> AnswerAsync(HttpContext http, Call call, IQuerySession session, IReadOnlyList<RequestView> views,
        PersonalRecords records, HashSet<string> wanted, CancellationToken cancellation)
    {
        var answers = await RequestAnswer.OfAllAsync(session, [.. views.Select(view => view.State)], cancellation);
        var shown = views.Zip(answers).Where(pair => wanted.Count != 1 || wanted.Contains(Wording.StateOf(pair.Second.Status))).ToList();
        var people = call.Key!.Scopes.HasFlag(Scope.Personal) ? await PeopleAsync(session, records, [.. shown.Select(pair => pair.First.Id)], cancellation) : [];
        var access = http.RequestServices.GetRequiredService<AccessLog>();
        await Task.WhenAll(shown.Where(pair => people.ContainsKey(pair.First.Id))
            .Select(pair => access.RecordAsync(call.By, [pair.First.PersonId], pair.First.Id, Revealed.Visit, cancellation)));
        return GeoReport.Of(http, "service_requests", new JsonArray([.. shown.Select(pair => Of(pair.First, pair.Second, people.GetValueOrDefault(pair.First.Id)))]));
    }

    /// <summary>The views have no personal data; only the log has it. Who was erased is not among them.</summary>
    private static async Task<Dictionary<Guid, PersonInNeed>> PeopleAsync(IQuerySession session, PersonalRecords records, Guid[] ids, CancellationToken cancellation)
    {
        var events = await session.Events.QueryAllRawEvents().Where(e => ids.Contains(e.StreamId)).OrderBy(e => e.Sequence).ToListAsync(cancellation);
        var people = new Dictionary<Guid, PersonInNeed>();
        foreach (var stream in events.GroupBy(e => e.StreamId))
            if (await records.PersonAsync(Request.Fold(stream.Select(e => (RequestEvent)e.Data)), cancellation) is { } person)
                people[stream.Key] = person;
        return people;
    }

    private static JsonObject Of(RequestView view, RequestAnswer answer, PersonInNeed? person)
    {
        var kind = answer.Needs.Count > 0 ? answer.Needs[0].Kind : null;
        return new JsonObject
        {
            ["service_request_id"] = view.Id.ToString(),
            ["status"] = Wording.StateOf(answer.Status),
            ["status_notes"] = Wording.Explain(answer),
            ["service_name"] = kind is null ? null : Discovery.NameOf(kind),
            ["service_code"] = kind,
            ["description"] = person?.Notes.ElementAtOrDefault(0),
            ["agency_responsible"] = null,
            ["service_notice"] = null,
            ["requested_datetime"] = Wording.Of(view.SubmittedAt),
            ["updated_datetime"] = Wording.Of(view.UpdatedAt == default ? view.SubmittedAt : view.UpdatedAt),
            ["expected_datetime"] = null,
            ["address"] = person?.AddressText,
            ["address_id"] = null,
            ["zipcode"] = null,
            ["lat"] = person?.Place?.Lat ?? view.State.Place?.Latitude,
            ["long"] = person?.Place?.Lon ?? view.State.Place?.Longitude,
            ["media_url"] = null,
        };
    }

    /// <summary>The days that a search is about: the latest 90 unless told, and never more.</summary>
    public static bool TryReadSpan(HttpContext http, Call call, DateTimeOffset now, out DateTimeOffset from, out DateTimeOffset until, out IResult wrong)
    {
        (from, until, wrong) = (default, default, Results.Empty);
        if (!TryReadTime(call["start_date"], out var start) || !TryReadTime(call["end_date"], out var end))
        {
            wrong = GeoReport.Error(http, 400, "start_date and end_date: times in ISO 8601 with their offset, such as 2022-04-01T08:30:00+08:00.");
            return false;
        }
        until = end ?? (start is { } begin && begin + MaxSpan < now ? begin + MaxSpan : now);
        from = start ?? until - MaxSpan;
        if (from <= until && until - from <= MaxSpan)
            return true;
        wrong = GeoReport.Error(http, 400, $"start_date and end_date: the end comes after the start, and they are at most {MaxSpan.TotalDays:0} days apart.");
        return false;
    }

    private static bool TryReadTime(string? text, out DateTimeOffset? time)
    {
        time = null;
        if (text is null)
            return true;
        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var read) || read.Year is < 1900 or > 9000)
            return false;
        time = read.ToUniversalTime();
        return true;
    }
}

/// <summary>The life of a request in the two words that the protocol has, and in a sentence.</summary>
public static class Wording
{
    public static string StateOf(RequestStatus status) => status switch
    {
        RequestStatus.Fulfilled or RequestStatus.Closed or RequestStatus.Cancelled => "closed",
        RequestStatus.Partial or RequestStatus.Open or RequestStatus.InProgress or RequestStatus.OnHold or RequestStatus.DuplicateOf => "open",
    };

    public static string Explain(RequestAnswer answer) => answer switch
    {
        { Status: RequestStatus.Partial } => $"A person has to complete it: {string.Join(", ", answer.Missing)} missing.",
        { Status: RequestStatus.Cancelled } => "No longer wanted.",
        _ => string.Join(" ", answer.Needs.Select(need => Explain(need.State)).Distinct()),
    };

    /// <summary>Without a word on why people look into it: that is between them and the person.</summary>
    private static string Explain(NeedState state) => state switch
    {
        NeedState.Partial => "Not complete yet.",
        NeedState.Open or NeedState.Reopened => "Somebody who can help is looked for.",
        NeedState.Offered => "Somebody has been asked to help.",
        NeedState.Accepted => "Somebody will help.",
        NeedState.Started => "Help has begun.",
        NeedState.Waiting => "Nobody is free now; it is tried again as soon as somebody is.",
        NeedState.Escalated or NeedState.OnHold => "People of the operating centre look into it.",
        NeedState.DuplicateOf => "It repeats an earlier request, which is under way.",
        NeedState.Fulfilled => "Help was reported as given.",
        NeedState.Closed => "Help was given.",
        NeedState.Cancelled => "No longer wanted.",
    };

    public static string Of(DateTimeOffset time) => time.ToUniversalTime().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
