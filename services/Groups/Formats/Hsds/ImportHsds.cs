using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Mvc;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>What became of one service of an import.</summary>
/// <param name="Line">Its place in the document, from 1.</param>
/// <param name="Outcome"><c>registered</c>, <c>changed</c>, <c>unchanged</c> or <c>refused</c>.</param>
/// <param name="Reasons">Why it was refused.</param>
public sealed record ImportLine(int Line, Guid? Id, string? Name, string Outcome, Opening? Opening, IReadOnlyList<string> Reasons);

public sealed record ImportReport(int Registered, int Changed, int Unchanged, int Refused, IReadOnlyList<ImportLine> Lines);

/// <summary>
/// <c>POST /hsds</c>: takes in another directory's services. Each becomes an entry under its own id, so that the same
/// document again changes nothing; a word that has no meaning here stops the whole import, which then asks for one.
/// </summary>
public static class ImportHsds
{
    private const long MaxBytes = 8 * 1024 * 1024;
    private const int MaxTold = 200;
    private const string ClosedThere = "Temporarily closed in the imported directory";

    public static void MapImportHsds(this IEndpointRouteBuilder app) => app.MapPost(ReadHsds.Prefix, HandleAsync)
        .RequireRoles(Roles.Operator)
        .WithMetadata(new RequestSizeLimitAttribute(MaxBytes))
        .Accepts<JsonObject>("application/json")
        .WithSummary("Import services in HSDS 3.0; says of every one what became of it")
        .Produces<ImportReport>().ProducesProblem(400).ProducesProblem(413).ProducesProblem(422);

    private static async Task<IResult> HandleAsync(HttpContext http, TermMapping stored, Streams streams, ContactVault contacts, MeasuresInForce measures, TimeProvider time, CancellationToken cancellation)
    {
        if (!http.Request.HasJsonContentType())
            return Problems.Of(StatusCodes.Status415UnsupportedMediaType, "unsupported-media-type", "The body must be JSON (Content-Type: application/json).");
        JsonNode? document;
        IReadOnlyList<JsonObject?> services;
        try
        {
            document = Import.Parse(await ReadAsync(http.Request, cancellation));
            services = Import.ServicesOf(document is JsonObject envelope && envelope.TryGetPropertyValue("data", out var data) ? data : document);
        }
        catch (JsonException exception)
        {
            return Problems.Of(StatusCodes.Status400BadRequest, "malformed", $"The body is not JSON that can be taken: {exception.Message}");
        }
        var (options, mapping, errors) = ReadOptions(document, stored);
        if (errors.Count > 0)
            return Problems.Invalid(errors);
        if (services.Count is 0 or > Import.MaxServices)
            return Problems.Invalid(new Dictionary<string, string[]> { ["data"] = [$"Between 1 and {Import.MaxServices} services are taken at once; these are {services.Count}."] });

        _ = Words.TryRead<ResponderKind>(Import.Text(options?["as"]) ?? Words.Of(ResponderKind.Provider), out var kind);
        var unmapped = new Dictionary<string, UnmappedTerm>();
        var read = services.Select((service, index) => Import.Read(index + 1, service, mapping, kind, unmapped)).ToList();
        if (unmapped.Count > 0)
            return Results.Problem(
                "Nothing was imported: say what these terms mean in \"mapping\", each a service kind, a way to communicate or \"ignore\"; an area is a sub-district or \"everywhere\".",
                statusCode: StatusCodes.Status422UnprocessableEntity,
                extensions: new Dictionary<string, object?> { ["code"] = "unmapped-terms", ["unmapped"] = unmapped.Values.OrderByDescending(term => term.UsedBy).ThenBy(term => term.Term, StringComparer.Ordinal).Take(MaxTold) });

        var capacity = int.TryParse(Import.Text(options?["capacity"]), out var places) ? places : 1;
        var lines = new List<ImportLine>();
        var seen = new HashSet<Guid>();
        foreach (var one in read)
        {
            if (one.Id is { } id && !seen.Add(id))
                lines.Add(Refused(one, ["id: The same id stands on an earlier line."]));
            else if (one.Reasons.Count > 0)
                lines.Add(Refused(one, one.Reasons));
            else if (one.Kind == ResponderKind.Group)
                lines.Add(await TakeAsync<Group, GroupEvent>(one, capacity, (state, now, by) => Listing.DecidePause<GroupEvent>(state.Listing, ClosedThere, by, now),
                    (state, now, by) => Listing.DecideResumption<GroupEvent>(state.Listing, ClosedThere, by, now)));
            else
                lines.Add(await TakeAsync<Provider, ProviderEvent>(one, capacity, (state, now, by) => Say(state, closes: true, one.Alert, now, by),
                    // Only what was closed from here is reopened from here.
                    (state, now, by) => state.OwnClosure?.StartsWith(ClosedThere, StringComparison.Ordinal) == true ? Say(state, closes: false, null, now, by) : Decision<ProviderEvent>.Nothing));
        }
        int Count(string outcome) => lines.Count(line => line.Outcome == outcome);
        return Results.Ok(new ImportReport(Count("registered"), Count("changed"), Count("unchanged"), Count("refused"), lines));

        async Task<ImportLine> TakeAsync<TState, TEvent>(ReadService one, int capacity,
            Func<TState, DateTimeOffset, string, Decision<TEvent>> close, Func<TState, DateTimeOffset, string, Decision<TEvent>> open)
            where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
        {
            var (id, by) = (one.Id!.Value, http.User.Subject());
            var isNew = false;
            IReadOnlyList<string> wrong = [];
            var outcome = await streams.ChangeAsync<TState, TEvent>(id, async (loaded, session) =>
            {
                var known = loaded.State.Listing.Entry;
                isNew = known is null;
                // What HSDS has no word for stays as it is.
                var body = one.Body! with { Capacity = one.Body!.Capacity ?? known?.Capacity ?? capacity, ZonePermit = known?.ZonePermit, LeaderHasDisability = known?.LeaderHasDisability };
                wrong = [.. body.Validate().SelectMany(error => error.Value.Select(sentence => $"{error.Key}: {sentence}")).Take(MaxTold)];
                if (wrong.Count > 0)
                    return Refusal.Invalid("invalid", wrong[0]);
                if (isNew && one.Record!.Status == Status.Defunct)
                    return Refusal.Conflict("defunct", "status: A service that no longer exists is not registered.");
                var entry = await contacts.SealAsync(id, body, known?.ManagedBy ?? [by], known, cancellation) with { Imported = one.Record };
                var inForce = TState.KindOfStream == ResponderKind.Provider ? await measures.ReadAsync(session, cancellation) : [];
                var now = time.GetUtcNow();
                var decision = isNew ? TState.DecideRegistration(loaded.State, entry, inForce, by, now) : TState.DecideChange(loaded.State, entry, inForce, by, now);
                // A withdrawn entry that is defunct there too has nothing to be told.
                if (decision.Refusal is { } refusal)
                    return loaded.State.Listing.Standing == Standing.Withdrawn && one.Record!.Status == Status.Defunct ? Decision<TEvent>.Nothing : refusal;
                var state = decision.Events.Aggregate(loaded.State, TState.Evolve);
                var standing = DecideStanding(known?.Imported?.Status, one.Record!.Status, state, now, by, close, open);
                return (List<TEvent>)[.. decision.Events, .. standing.Events];
            }, cancellation, whenForeign: Listing.IdTaken);
            if (outcome.Refusal is { } refused)
                return Refused(one, wrong.Count > 0 ? wrong : [refused.Reason]);
            var what = outcome.Appended == 0 ? "unchanged" : isNew ? "registered" : "changed";
            return new ImportLine(one.Line, id, one.Name, what, outcome.State.Opening, []);
        }
    }

    /// <summary>
    /// Only a status that is another than the last time says something new: whoever has paused or resumed the entry here
    /// since is not undone by the same document again.
    /// </summary>
    private static Decision<TEvent> DecideStanding<TState, TEvent>(string? before, string after, TState state, DateTimeOffset now, string by,
        Func<TState, DateTimeOffset, string, Decision<TEvent>> close, Func<TState, DateTimeOffset, string, Decision<TEvent>> open)
        where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> => (before, after) switch
        {
            _ when before == after => Decision<TEvent>.Nothing,
            (_, Status.TemporarilyClosed) => close(state, now, by),
            (_, Status.Inactive) => Listing.DecidePause<TEvent>(state.Listing, "Inactive in the imported directory", by, now),
            (_, Status.Defunct) => Listing.DecideWithdrawal<TEvent>(state.Listing, "Defunct in the imported directory", by, now),
            (Status.Inactive, _) => Listing.DecideResumption<TEvent>(state.Listing, "Active in the imported directory", by, now),
            (Status.TemporarilyClosed, _) => open(state, now, by),
            _ => Decision<TEvent>.Nothing,
        };

    private static Decision<ProviderEvent> Say(Provider state, bool closes, string? alert, DateTimeOffset now, string by)
    {
        var reason = closes ? string.Join(": ", new[] { ClosedThere, alert }.OfType<string>()) : "Active in the imported directory";
        return Provider.DecideWord(state, new OpeningWord(closes, reason.Length > ReasonBody.MaxReason ? reason[..ReasonBody.MaxReason] : reason, now.InMilliseconds(), null, now), by, null, now);
    }

    private static ImportLine Refused(ReadService one, IReadOnlyList<string> reasons) => new(one.Line, one.Id, one.Name, "refused", null, reasons);

    /// <summary>A document may come in an envelope that says how to read it: <c>{data, mapping?, as?, capacity?}</c>.</summary>
    private static (JsonObject? Options, TermMapping Mapping, IDictionary<string, string[]> Errors) ReadOptions(JsonNode? document, TermMapping stored)
    {
        if (document is not JsonObject envelope || !envelope.ContainsKey("data"))
            return (null, stored, new Dictionary<string, string[]>());
        var (mapping, errors) = stored.With((envelope["mapping"] as JsonObject ?? []).Select(word => KeyValuePair.Create(word.Key, Import.Text(word.Value))));
        if (envelope["mapping"] is not (null or JsonObject))
            errors["mapping"] = ["An object is expected: a meaning for every term."];
        if (envelope["as"] is { } kind && !Words.TryRead<ResponderKind>(Import.Text(kind), out _))
            errors["as"] = [$"One of {Words.List<ResponderKind>()}."];
        if (envelope["capacity"] is { } capacity && !(int.TryParse(Import.Text(capacity), out var places) && places is >= 0 and <= EntryBody.MaxCapacity))
            errors["capacity"] = [$"The capacity must be between 0 and {EntryBody.MaxCapacity}."];
        return (envelope, mapping, errors);
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        var body = new ArrayBufferWriter<byte>();
        while (await request.BodyReader.ReadAsync(cancellation) is var read)
        {
            foreach (var segment in read.Buffer)
                body.Write(segment.Span);
            request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
                break;
        }
        return body.WrittenMemory;
    }
}
