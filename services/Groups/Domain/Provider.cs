using System.Collections.Immutable;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Deciding;

namespace Huzhu.Groups.Domain;

/// <summary>What can happen to a formal provider.</summary>
public abstract record ProviderEvent(DateTimeOffset At) : IListingEvents<ProviderEvent>
{
    public static ProviderEvent Registered(DirectoryEntry entry, string by, DateTimeOffset at) => new ProviderRegistered(entry, [], by, at);
    public static ProviderEvent Changed(DirectoryEntry entry, string by, DateTimeOffset at) => new ProviderChanged(entry, [], by, at);
    public static ProviderEvent Paused(string reason, string by, DateTimeOffset at) => new ProviderPaused(reason, by, at);
    public static ProviderEvent Resumed(string reason, string by, DateTimeOffset at) => new ProviderResumed(reason, by, at);
    public static ProviderEvent Withdrawn(string reason, string by, DateTimeOffset at) => new ProviderWithdrawn(reason, by, at);
}

/// <summary>A provider has joined the directory; <paramref name="Holds"/> are the measures that shut sites of it from the start.</summary>
public sealed record ProviderRegistered(DirectoryEntry Entry, IReadOnlyList<Hold> Holds, string By, DateTimeOffset At) : ProviderEvent(At);

/// <summary>
/// The provider's entry is another one from now on; the event holds all of it, and in <paramref name="Holds"/> what the
/// measures in force shut of the new sites. In one event, so that nobody sees the new sites open for a moment.
/// </summary>
public sealed record ProviderChanged(DirectoryEntry Entry, IReadOnlyList<Hold> Holds, string By, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider takes no new needs until it resumes.</summary>
public sealed record ProviderPaused(string Reason, string By, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider takes needs again, unless it is closed.</summary>
public sealed record ProviderResumed(string Reason, string By, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider has left the directory for good.</summary>
public sealed record ProviderWithdrawn(string Reason, string By, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider says that it is shut from <paramref name="From"/> on; this alone closes nothing yet.</summary>
/// <param name="Origin">The CloudEvent that said so, when one did.</param>
public sealed record ClosurePublished(
    string Reason, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset SaidAt, string By, CloudEventOrigin? Origin, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider says that it is open from <paramref name="From"/> on; this alone opens nothing yet.</summary>
/// <param name="Origin">The CloudEvent that said so, when one did.</param>
public sealed record ReopeningPublished(
    string Reason, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset SaidAt, string By, CloudEventOrigin? Origin, DateTimeOffset At) : ProviderEvent(At);

/// <summary>A closure of the provider's own is in force.</summary>
public sealed record ProviderClosed(string Reason, DateTimeOffset At) : ProviderEvent(At);

/// <summary>The provider's own closure is over. A measure may keep it closed all the same.</summary>
public sealed record ProviderReopened(string Reason, DateTimeOffset At) : ProviderEvent(At);

/// <summary>A measure in force shuts sites of this provider; with no site left open the provider is closed.</summary>
public sealed record ProviderHeldByMeasure(Hold Hold, DateTimeOffset At) : ProviderEvent(At);

/// <summary>A measure no longer shuts anything of this provider.</summary>
public sealed record ProviderReleasedByMeasure(MeasureId MeasureId, DateTimeOffset At) : ProviderEvent(At);

/// <summary>
/// What one measure shuts of one provider. Sites are named by their place, so that a changed order of the entry's sites
/// shuts nothing else.
/// </summary>
public sealed record Hold(MeasureId MeasureId, string MeasureName, IReadOnlyList<GeoPoint> ShutSites)
{
    public bool Equals(Hold? other) => other is not null && MeasureId == other.MeasureId && MeasureName == other.MeasureName && ShutSites.SequenceEqual(other.ShutSites);
    public override int GetHashCode() => HashCode.Combine(MeasureId, ShutSites.Count);
}

/// <summary>What makes a CloudEvent the same CloudEvent when it comes again.</summary>
public sealed record CloudEventOrigin(string Source, string Id);

/// <summary>
/// A formal provider. It may be closed for several reasons at once, its own and those of measures, and is open only when
/// none is left.
/// </summary>
/// <param name="Timeline">When it is shut by its own word.</param>
/// <param name="OwnClosure">Reason of the provider's own closure, while one is in force.</param>
/// <param name="Heard">The CloudEvents already taken in.</param>
public sealed record Provider(
    Listing Listing, OpeningTimeline Timeline, string? OwnClosure, IReadOnlyList<Hold> Holds, ImmutableHashSet<CloudEventOrigin> Heard)
    : IResponder<Provider, ProviderEvent>
{
    public static Provider Initial { get; } = new(Listing.Initial, OpeningTimeline.Empty, null, [], []);
    public static ResponderKind KindOfStream => ResponderKind.Provider;

    public ResponderKind Kind => KindOfStream;
    public IReadOnlyList<Site> Sites =>
        [.. (Listing.Entry?.Sites ?? []).Select(site => new Site(site.Place, site.SubDistrict, !Holds.Any(hold => hold.ShutSites.Contains(site.Place))))];
    public bool IsClosedByMeasures => Holds.Count > 0 && Sites.All(site => !site.Open);
    public Opening Opening => Listing.Standing switch
    {
        Standing.Unknown or Standing.Withdrawn => Opening.Withdrawn,
        Standing.Active or Standing.Paused when OwnClosure is not null || IsClosedByMeasures => Opening.Closed,
        Standing.Active => Opening.Open,
        Standing.Paused => Opening.Paused,
    };
    public string? ClosedBecause => OwnClosure ?? (IsClosedByMeasures ? Holds[^1].MeasureName : null);
    public MeasureId? ClosedByMeasureId => IsClosedByMeasures ? Holds[^1].MeasureId : null;

    public static Provider Evolve(Provider state, ProviderEvent happened) => happened switch
    {
        ProviderRegistered registered => state with { Listing = new Listing(registered.Entry, Standing.Active), Holds = registered.Holds },
        ProviderChanged changed => state with { Listing = state.Listing with { Entry = changed.Entry }, Holds = changed.Holds },
        ProviderPaused => state with { Listing = state.Listing with { Standing = Standing.Paused } },
        ProviderResumed => state with { Listing = state.Listing with { Standing = Standing.Active } },
        ProviderWithdrawn => state with { Listing = state.Listing with { Standing = Standing.Withdrawn } },
        ClosurePublished said => state.Hear(new OpeningWord(true, said.Reason, said.From, said.Until, said.SaidAt), said.Origin, said.At),
        ReopeningPublished said => state.Hear(new OpeningWord(false, said.Reason, said.From, said.Until, said.SaidAt), said.Origin, said.At),
        ProviderClosed closed => state with { OwnClosure = closed.Reason },
        ProviderReopened => state with { OwnClosure = null },
        ProviderHeldByMeasure held => state with { Holds = [.. state.Holds.Where(hold => hold.MeasureId != held.Hold.MeasureId), held.Hold] },
        ProviderReleasedByMeasure released => state with { Holds = [.. state.Holds.Where(hold => hold.MeasureId != released.MeasureId)] },
        _ => throw new InvalidOperationException($"A provider does not know the event {happened.GetType().Name}."),
    };

    public static Decision<ProviderEvent> DecideRegistration(Provider state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at) =>
        WithHolds(Listing.DecideRegistration<ProviderEvent>(state.Listing, entry, by, at), HoldsOn(entry, inForce));

    public static Decision<ProviderEvent> DecideChange(Provider state, DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce, string by, DateTimeOffset at) =>
        WithHolds(Listing.DecideChange<ProviderEvent>(state.Listing, entry, by, at), HoldsOn(entry, inForce));

    /// <summary>
    /// The provider says that it is shut or open. A CloudEvent that has been heard yields nothing, nor does a word that
    /// changes nothing of what is known. Under a measure a reopening is news even when the provider was not closed by
    /// itself: it is recorded, and the measure keeps it closed.
    /// </summary>
    public static Decision<ProviderEvent> DecideWord(Provider state, OpeningWord word, string by, CloudEventOrigin? origin, DateTimeOffset now)
    {
        if (state.Listing.Standing == Standing.Unknown)
            return Listing.Unknown;
        if (origin is not null && state.Heard.Contains(origin))
            return Decision<ProviderEvent>.Nothing;
        if (state.Listing.Standing == Standing.Withdrawn)
            return Listing.Gone;
        if (word.Until <= word.From)
            return Refusal.Invalid("bad-period", "The time at which it ends must be after the time at which it begins.");
        var timeline = state.Timeline.With(word, now);
        if (timeline.Spans.Count > OpeningTimeline.MaxSpans)
            return Refusal.Conflict("too-many-closures", $"No more than {OpeningTimeline.MaxSpans} closures and reopenings may be planned at once.");
        // An unheard CloudEvent is recorded even when it changes nothing: only so is its late repeat known as one.
        if (origin is null && timeline.MeansTheSameAs(state.Timeline, now, openIsNews: state.Holds.Count > 0))
            return Decision<ProviderEvent>.Nothing;
        ProviderEvent said = word.Closes
            ? new ClosurePublished(word.Reason, word.From, word.Until, word.SaidAt, by, origin, now)
            : new ReopeningPublished(word.Reason, word.From, word.Until, word.SaidAt, by, origin, now);
        return (List<ProviderEvent>)[said, .. Settle(Evolve(state, said), now)];
    }

    /// <summary>
    /// Brings the provider in line with the time and with the measures in force. Whoever calls it, and however often:
    /// when all is in line it yields nothing.
    /// </summary>
    public static Decision<ProviderEvent> DecideReview(Provider state, IReadOnlyList<MeasureInForce> inForce, DateTimeOffset now)
    {
        if (!state.Listing.IsListed)
            return Decision<ProviderEvent>.Nothing;
        var holds = HoldsOn(state.Listing.Entry!, inForce);
        // What shuts comes before what opens, so that a provider passed on from one reason to another is never seen open.
        return (List<ProviderEvent>)
        [
            .. holds.Where(hold => !state.Holds.Contains(hold)).Select(hold => new ProviderHeldByMeasure(hold, now)),
            .. Settle(state, now),
            .. state.Holds.Where(held => holds.All(hold => hold.MeasureId != held.MeasureId)).Select(held => new ProviderReleasedByMeasure(held.MeasureId, now)),
        ];
    }

    private static IEnumerable<ProviderEvent> Settle(Provider state, DateTimeOffset now)
    {
        var span = state.Timeline.At(now);
        if (span is { Closes: true, Reason: { } reason })
        {
            if (state.OwnClosure != reason)
                yield return new ProviderClosed(reason, now);
        }
        else if (state.OwnClosure is not null)
        {
            yield return new ProviderReopened(span?.Reason ?? "The closure ended as published.", now);
        }
    }

    private Provider Hear(OpeningWord word, CloudEventOrigin? origin, DateTimeOffset at) =>
        this with { Timeline = Timeline.With(word, at), Heard = origin is null ? Heard : Heard.Add(origin) };

    private static IReadOnlyList<Hold> HoldsOn(DirectoryEntry entry, IReadOnlyList<MeasureInForce> inForce) =>
    [
        .. from measure in inForce
           where measure.ClosesProviders
           let shut = entry.Sites.Select(site => site.Place).Distinct().Where(measure.Area.Contains).ToList()
           where shut.Count > 0
           orderby measure.Id.Value
           select new Hold(measure.Id, measure.Name, shut),
    ];

    private static Decision<ProviderEvent> WithHolds(Decision<ProviderEvent> decision, IReadOnlyList<Hold> holds) => decision.Refusal is { } refusal
        ? refusal
        : (List<ProviderEvent>)[.. decision.Events.Select(happened => happened switch
        {
            ProviderRegistered registered => registered with { Holds = holds },
            ProviderChanged changed => changed with { Holds = holds },
            _ => happened,
        })];
}
