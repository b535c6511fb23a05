using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.Matching.Rehearsing;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Mvc;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <param name="Area">A ring of WGS84 points, closed or not.</param>
/// <param name="SealsZone">True when left out, as with <c>POST /v1/measures</c> of Groups; so with <paramref name="ClosesProviders"/>.</param>
public sealed record MeasurePreviewForm(IReadOnlyList<GeoPoint>? Area, bool? SealsZone = null, bool? ClosesProviders = null);

/// <param name="ClosedSites">Of <paramref name="Sites"/>; when all are shut the provider is closed and gives back what it holds.</param>
public sealed record ClosingProvider(ResponderId ResponderId, int Sites, int ClosedSites, bool Closes, int Held);

/// <param name="Needs">Under way inside the area, by state.</param>
/// <param name="Groups">Groups with a site inside that take needs now.</param>
/// <param name="FreePlaces">Theirs.</param>
public sealed record InsideArea(IReadOnlyDictionary<string, int> Needs, IReadOnlyDictionary<string, int> NeedsByUrgency, int Groups, int FreePlaces);

/// <summary>Whom a closure or a measure would concern, were it published now. Nothing has been written.</summary>
/// <param name="Providers">Who would close, wholly or in part.</param>
/// <param name="Taken">Held needs that would be taken from their responders.</param>
/// <param name="Rehearsed">How many of them were decided again on paper, most urgent then oldest; the figures that follow are of these.</param>
/// <param name="Offered">Of these: would be offered to somebody else at once.</param>
/// <param name="Waiting">Of these: nobody could take them, by the rule that stops whoever comes closest.</param>
/// <param name="DistanceMetres">The median way to whoever would be asked instead, offline help only.</param>
/// <param name="Inside">Null for the closure of one provider.</param>
/// <param name="Moves">The rehearsed needs one by one, up to 200.</param>
public sealed record ClosurePreview(
    DateTimeOffset At, IReadOnlyList<ClosingProvider> Providers, int Taken, int Rehearsed, int Offered, IReadOnlyDictionary<string, int> Waiting,
    double? DistanceMetres, InsideArea? Inside, IReadOnlyList<Moved> Moves);

/// <summary>Who is affected, before anything is published: by the same decisions that the real one would be followed by.</summary>
public sealed class PreviewClosure(DecisionLoop loop, Log log, NpgsqlDataSource database)
{
    private const int MaxPoints = 10_000;
    private const int MaxRehearsed = 2_000;
    private const int MaxMoves = 200;
    private const int MaxBodyBytes = 1024 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>A rehearsal copies the directory and decides as much as a real closure: one at a time beside the real decisions.</summary>
    private readonly SemaphoreSlim _one = new(1);

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/measures/preview", (MeasurePreviewForm form, PreviewClosure preview, CancellationToken cancellation) => preview.OfMeasureAsync(form, cancellation))
            .RequireRoles(Roles.Operator).WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
            .WithTags("Previews").WithSummary("Whom a measure would concern, were it published now. Nothing is written.")
            .Produces<ClosurePreview>().ProducesProblem(422).ProducesProblem(503);
        app.MapPost("/v1/responders/{id}/closure/preview", (ResponderId id, PreviewClosure preview, CancellationToken cancellation) => preview.OfResponderAsync(id, cancellation))
            .RequireRoles(Roles.Operator)
            .WithTags("Previews").WithSummary("What would become of the needs a responder holds, if it closed now. Nothing is written.")
            .Produces<ClosurePreview>().ProducesProblem(404).ProducesProblem(503);
    }

    private async Task<IResult> OfMeasureAsync(MeasurePreviewForm form, CancellationToken cancellation)
    {
        var (seals, closes) = (form.SealsZone ?? true, form.ClosesProviders ?? true);
        if (Check(form.Area) is { } problem)
            return Problems.Invalid(new Dictionary<string, string[]> { ["area"] = [problem] });
        await loop.Loaded.WaitAsync(cancellation);
        var (area, now) = (form.Area!, loop.Look().Now);
        var measures = await log.LoadMeasuresAsync(cancellation);
        var zones = new Zones(seals
            ? MeasuresState.Evolve(measures, new ZoneSealed(MeasureId.Of(Guid.CreateVersion7(now)), "", area, now, now))
            : measures);
        return await RehearseAsync(
            (_, state) => closes && state.Profile!.Kind is ResponderKind.Provider ? Rehearsal.Shut(state, site => Zones.Contains(area, site.Place)) : state,
            zones, seals, await InsideAsync(area, cancellation), cancellation);
    }

    private async Task<IResult> OfResponderAsync(ResponderId id, CancellationToken cancellation)
    {
        await loop.Loaded.WaitAsync(cancellation);
        return loop.Roster.TryGet(id, out _)
            ? await RehearseAsync((responder, state) => responder == id ? Rehearsal.Shut(state, _ => true) : state, loop.Zones, false, null, cancellation)
            : Problems.Of(StatusCodes.Status404NotFound, "no-such-responder", "Matching knows no such responder.");
    }

    private async Task<IResult> RehearseAsync(Func<ResponderId, ResponderState, ResponderState> change, Zones zones, bool seals, InsideArea? inside, CancellationToken cancellation)
    {
        if (!await _one.WaitAsync(Patience, cancellation))
            return Problems.Of(StatusCodes.Status503ServiceUnavailable, "busy", "Another preview is being worked out; try again in a moment.");
        try
        {
            var situation = loop.Look();
            var (copy, closing) = (new Roster(), new List<ClosingProvider>());
            foreach (var listing in situation.Roster.All)
            {
                var (before, after) = (listing.State, change(listing.Id, listing.State));
                copy.Set(listing.Id, after);
                var shut = after.Profile!.Sites.Zip(before.Profile!.Sites).Count(pair => pair.Second.Open && !pair.First.Open);
                if (shut > 0 || after.Opening != before.Opening)
                    closing.Add(new ClosingProvider(listing.Id, after.Profile.Sites.Count, shut, after.Opening is Opening.Closed && before.Opening is not Opening.Closed, before.Held.Count));
            }
            var closes = closing.Where(provider => provider.Closes).Select(provider => provider.ResponderId).ToHashSet();
            var taken = (await HeldAsync(seals ? null : closes, cancellation))
                .Where(offer => closes.Contains(offer.ResponderId)
                    || seals && copy.StateOf(offer.ResponderId).Profile is { } profile && Ranker.CrossesZone(offer.Need, profile, zones)).ToList();
            var some = taken.Take(MaxRehearsed).ToList();
            var matches = await log.LoadMatchesAsync([.. some.Select(offer => offer.Need.NeedId).Distinct()], cancellation);
            var moved = await Task.Run(() => Rehearsal.Run(copy, situation.Policy, zones, some, matches.ToDictionary(match => match.Key, match => match.Value.State), situation.Now, situation.Prices), cancellation);
            var ways = moved.Select(one => one.DistanceMetres).OfType<double>().Order().ToList();
            return Results.Ok(new ClosurePreview(
                situation.Now, [.. closing.OrderByDescending(provider => provider.Held).ThenBy(provider => provider.ResponderId.Value)], taken.Count, moved.Count,
                moved.Count(one => one.To is not null),
                moved.Where(one => one.Reason is not null).CountBy(one => one.Reason!).ToDictionary(),
                ways.Count == 0 ? null : ways[ways.Count / 2], inside, [.. moved.Take(MaxMoves)]));
        }
        finally
        {
            _one.Release();
        }
    }

    private static string? Check(IReadOnlyList<GeoPoint>? area) =>
        area is null || area.Count > MaxPoints || area.Distinct().Count() < 3 ? $"An area has 3 to {MaxPoints} different points."
        : area.Any(point => !point.IsOnEarth) ? "Every point must lie on earth: latitude -90 to 90, longitude -180 to 180."
        : null;

    /// <param name="of">Null: of everybody.</param>
    private async Task<List<HeldOffer>> HeldAsync(IReadOnlyCollection<ResponderId>? of, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select o.offer_id, o.responder_id, n.need from {Tables.Offers} o join {Tables.Needs} n on n.need_id = o.need_id
            where o.holds_place and ($1::uuid[] is null or o.responder_id = any($1)) order by n.urgency_rank, n.submitted_at, n.need_id
            """);
        command.Parameters.Add(new NpgsqlParameter { Value = of?.Select(id => id.Value).ToArray() ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Uuid });
        var held = new List<HeldOffer>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            held.Add(new HeldOffer(OfferId.Of(reader.GetGuid(0)), ResponderId.Of(reader.GetGuid(1)), JsonSerializer.Deserialize<Need>(reader.GetString(2), Tables.Json)!));
        return held;
    }

    private async Task<InsideArea> InsideAsync(IReadOnlyList<GeoPoint> area, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select (need->'place'->>'lat')::float8, (need->'place'->>'lon')::float8, coalesce(state, backlog, 'offered'), urgency_rank from {Tables.Needs} where not is_over
            """);
        var (states, urgencies) = (new SortedDictionary<string, int>(StringComparer.Ordinal), new SortedDictionary<string, int>(StringComparer.Ordinal));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            if (!Zones.Contains(area, new GeoPoint(reader.GetDouble(0), reader.GetDouble(1))))
                continue;
            var (state, urgency) = (reader.GetString(2), Words.Of(Tables.UrgencyOf(reader.GetInt32(3))));
            states[state] = states.GetValueOrDefault(state) + 1;
            urgencies[urgency] = urgencies.GetValueOrDefault(urgency) + 1;
        }
        var groups = loop.Roster.All.Select(listing => listing.State).Where(state => state is { Opening: Opening.Open, Profile.Kind: ResponderKind.Group }
            && state.Profile.Sites.Any(site => site.Open && Zones.Contains(area, site.Place))).ToList();
        return new InsideArea(states, urgencies, groups.Count, groups.Sum(state => state.Free));
    }
}
