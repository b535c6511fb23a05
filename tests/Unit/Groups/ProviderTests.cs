using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Groups.Entries;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>Closures, reopenings and measures, decided on one provider.</summary>
public class ProviderTests
{
    private static readonly DateTimeOffset Tomorrow = Noon.AddDays(1);
    private static readonly CloudEventOrigin First = new("//clinic", "1");
    private static readonly CloudEventOrigin Second = new("//clinic", "2");

    /// <summary>State, command, what follows.</summary>
    public static TheoryData<string, string, string> Table => new()
    {
        { "unknown", "close", "NotFound: not-found" },
        { "unknown", "close-later", "NotFound: not-found" },
        { "unknown", "reopen", "NotFound: not-found" },
        { "unknown", "review", "nothing" },
        { "unknown", "review-lockdown", "nothing" },

        { "open", "close", "ClosurePublished + ProviderClosed" },
        { "open", "close-other", "ClosurePublished + ProviderClosed" },
        { "open", "close-later", "ClosurePublished" },
        { "open", "close-bad-period", "Invalid: bad-period" },
        { "open", "reopen", "nothing" },
        { "open", "review", "nothing" },
        { "open", "review-lockdown", "ProviderHeldByMeasure" },
        { "open", "review-elsewhere", "nothing" },
        { "open", "review-seal-only", "nothing" },

        { "closed", "close", "nothing" },
        { "closed", "close-other", "ClosurePublished + ProviderClosed" },
        { "closed", "close-until", "ClosurePublished" },
        { "closed-but-until", "review", "nothing" },
        { "closed-but-until", "review-tomorrow", "ProviderReopened" },
        { "closed-but-until", "close", "ClosurePublished" },
        { "closed", "reopen", "ReopeningPublished + ProviderReopened" },
        { "closed", "reopen-later", "ReopeningPublished" },
        { "closed", "review", "nothing" },
        { "closed", "review-lockdown", "ProviderHeldByMeasure" },

        { "planned", "close", "ClosurePublished + ProviderClosed" },
        { "planned", "close-later", "nothing" },
        { "planned", "reopen", "ReopeningPublished" },
        { "planned", "review", "nothing" },
        { "planned", "review-tomorrow", "ProviderClosed" },

        { "until-tomorrow", "review", "nothing" },
        { "until-tomorrow", "review-tomorrow", "ProviderReopened" },
        { "until-tomorrow", "close-until", "nothing" },

        { "held", "close", "ClosurePublished + ProviderClosed" },
        { "held", "reopen", "ReopeningPublished" },
        { "held", "review-lockdown", "nothing" },
        { "held", "review", "ProviderReleasedByMeasure" },
        { "held", "review-both", "ProviderHeldByMeasure" },
        { "held", "review-quarantine", "ProviderHeldByMeasure + ProviderReleasedByMeasure" },

        { "held-and-closed", "reopen", "ReopeningPublished + ProviderReopened" },
        { "held-and-closed", "close", "nothing" },
        { "held-and-closed", "review", "ProviderReleasedByMeasure" },
        { "held-said-open", "reopen", "nothing" },

        { "paused", "close", "ClosurePublished + ProviderClosed" },
        { "paused", "reopen", "nothing" },
        { "paused", "review-lockdown", "ProviderHeldByMeasure" },

        { "withdrawn", "close", "Conflict: withdrawn" },
        { "withdrawn", "reopen", "Conflict: withdrawn" },
        { "withdrawn", "review", "nothing" },
        { "withdrawn", "review-lockdown", "nothing" },
    };

    [Theory, MemberData(nameof(Table))]
    public void a_provider_decides_as_the_table_says(string state, string command, string follows) =>
        Assert.Equal(follows, Summary(Decide(State(state), command)));

    /// <summary>State, then what others see of it: opening, reason, closed by a measure.</summary>
    public static TheoryData<string, Opening, string?, bool> Seen => new()
    {
        { "open", Opening.Open, null, false },
        { "closed", Opening.Closed, "flood", false },
        { "planned", Opening.Open, null, false },
        { "until-tomorrow", Opening.Closed, "flood", false },
        { "held", Opening.Closed, "Lockdown of W", true },
        { "held-and-closed", Opening.Closed, "flood", true },
        { "held-said-open", Opening.Closed, "Lockdown of W", true },
        { "paused", Opening.Paused, null, false },
        { "withdrawn", Opening.Withdrawn, null, false },
    };

    [Theory, MemberData(nameof(Seen))]
    public void others_see_why_it_is_closed(string state, Opening opening, string? because, bool byMeasure)
    {
        var provider = State(state);
        Assert.Equal(opening, provider.Opening);
        Assert.Equal(because, provider.ClosedBecause);
        Assert.Equal(byMeasure ? Lockdown.Id : null, provider.ClosedByMeasureId);
    }

    [Fact]
    public void a_reopening_under_a_measure_is_recorded_and_the_provider_stays_closed()
    {
        var after = Decide(State("held-and-closed"), "reopen").Events.Aggregate(State("held-and-closed"), Provider.Evolve);
        Assert.Equal(Opening.Closed, after.Opening);
        Assert.Null(after.OwnClosure);
        Assert.Equal(Lockdown.Id, after.ClosedByMeasureId);
    }

    [Fact]
    public void a_lift_reopens_what_the_measure_closed_and_nothing_else()
    {
        Assert.Equal(Opening.Open, Apply(State("held"), "review").Opening);
        Assert.Equal(Opening.Closed, Apply(State("held-and-closed"), "review").Opening);
        Assert.Equal(Opening.Paused, Apply(Provider.Evolve(State("held"), new ProviderPaused("rest", "c", Noon)), "review").Opening);
    }

    [Fact]
    public void a_provider_with_some_sites_inside_stays_open_with_those_shut()
    {
        var provider = ProviderAfter(new ProviderRegistered(Entry(sites: [Inside, Outside]), [], "c", Noon));
        var held = Apply(provider, "review-lockdown");
        Assert.Equal(Opening.Open, held.Opening);
        Assert.Null(held.ClosedByMeasureId);
        Assert.Equal([false, true], held.Sites.Select(site => site.Open));
    }

    [Fact]
    public void two_measures_that_shut_a_site_each_close_the_provider_together()
    {
        var provider = ProviderAfter(new ProviderRegistered(Entry(sites: [Inside, Outside]), [], "c", Noon));
        var held = Provider.DecideReview(provider, [Lockdown, Elsewhere], Noon).Events.Aggregate(provider, Provider.Evolve);
        Assert.Equal(Opening.Closed, held.Opening);
        Assert.Equal(Opening.Open, Apply(held, "review-lockdown").Opening);
    }

    [Fact]
    public void a_site_shut_twice_opens_only_when_both_measures_are_lifted()
    {
        var held = Apply(State("open"), "review-both");
        Assert.Equal(2, held.Holds.Count);
        Assert.Equal(Opening.Closed, Apply(held, "review-lockdown").Opening);
        Assert.Equal(Opening.Open, Apply(Apply(held, "review-lockdown"), "review").Opening);
    }

    [Fact]
    public void what_registers_inside_a_measure_in_force_is_closed_from_its_first_event()
    {
        var decision = Provider.DecideRegistration(Provider.Initial, Entry(), [Lockdown, Elsewhere], "c", Noon);
        var registered = Assert.IsType<ProviderRegistered>(Assert.Single(decision.Events));
        Assert.Equal([new Hold(Lockdown.Id, Lockdown.Name, [Inside])], registered.Holds);
        Assert.Equal(Opening.Closed, ProviderAfter(registered).Opening);
    }

    [Fact]
    public void a_provider_that_moves_into_or_out_of_a_measure_is_closed_or_opened_by_the_same_event()
    {
        var moved = Provider.DecideChange(State("held"), Entry(sites: [Outside]), [Lockdown], "c", Noon);
        Assert.Equal(Opening.Open, moved.Events.Aggregate(State("held"), Provider.Evolve).Opening);
        var back = Provider.DecideChange(State("open"), Entry(sites: [AlsoInside]), [Lockdown], "c", Noon);
        Assert.Equal(Opening.Closed, back.Events.Aggregate(State("open"), Provider.Evolve).Opening);
    }

    [Fact]
    public void sites_in_another_order_are_not_shut_by_mistake()
    {
        var held = Apply(ProviderAfter(new ProviderRegistered(Entry(sites: [Inside, Outside]), [], "c", Noon)), "review-lockdown");
        var turned = Provider.DecideChange(held, Entry(sites: [Outside, Inside]), [Lockdown], "c", Noon).Events.Aggregate(held, Provider.Evolve);
        Assert.Equal([true, false], turned.Sites.Select(site => site.Open));
    }

    [Fact]
    public void a_cloud_event_is_heard_once()
    {
        var closed = Hear(State("open"), closes: true, First, Noon, Noon);
        Assert.Equal(Opening.Closed, closed.Opening);
        Assert.Equal("nothing", Summary(Provider.DecideWord(closed, Word(true), "//clinic", First, Noon)));
        var reopened = Hear(closed, closes: false, Second, Noon.AddHours(1), Noon.AddHours(1));
        Assert.Equal(Opening.Open, reopened.Opening);
        Assert.Equal("nothing", Summary(Provider.DecideWord(reopened, Word(true), "//clinic", First, Noon.AddHours(2))));
    }

    [Fact]
    public void the_same_id_from_another_source_is_another_cloud_event()
    {
        var closed = Hear(State("open"), closes: true, First, Noon, Noon);
        var word = new OpeningWord(false, "dry again", Noon.AddHours(1), null, Noon.AddHours(1));
        Assert.Equal("ReopeningPublished + ProviderReopened", Summary(Provider.DecideWord(closed, word, "//other", First with { Source = "//other" }, Noon.AddHours(1))));
    }

    [Fact]
    public void a_new_cloud_event_that_changes_nothing_is_recorded_so_that_its_late_repeat_is_known()
    {
        var closed = Hear(State("open"), closes: true, First, Noon, Noon);
        var again = Provider.DecideWord(closed, Word(true), "//clinic", Second, Noon.AddMinutes(1));
        Assert.Equal("ClosurePublished", Summary(again));
        var reopened = Hear(again.Events.Aggregate(closed, Provider.Evolve), closes: false, new CloudEventOrigin("//clinic", "3"), Noon.AddHours(1), Noon.AddHours(1));
        Assert.Equal("nothing", Summary(Provider.DecideWord(reopened, Word(true), "//clinic", Second, Noon.AddHours(2))));
    }

    [Fact]
    public void a_closure_that_arrives_after_the_newer_reopening_does_not_close()
    {
        var reopened = Hear(State("open"), closes: false, Second, saidAt: Noon.AddMinutes(5), arrivedAt: Noon.AddMinutes(6));
        var late = Hear(reopened, closes: true, First, saidAt: Noon, arrivedAt: Noon.AddMinutes(7));
        Assert.Equal(Opening.Open, late.Opening);
        Assert.Contains(First, late.Heard);
    }

    [Fact]
    public void more_closures_than_the_limit_are_refused()
    {
        var provider = State("open");
        for (var day = 0; day < OpeningTimeline.MaxSpans; day++)
            provider = Provider.DecideWord(provider, new OpeningWord(true, "holiday", Noon.AddDays(day + 1), Noon.AddDays(day + 1.5), Noon), "c", null, Noon)
                .Events.Aggregate(provider, Provider.Evolve);
        Assert.Equal(OpeningTimeline.MaxSpans, provider.Timeline.Spans.Count);
        var oneMore = new OpeningWord(true, "holiday", Noon.AddYears(3), Noon.AddYears(3).AddDays(1), Noon);
        Assert.Equal("Conflict: too-many-closures", Summary(Provider.DecideWord(provider, oneMore, "c", null, Noon)));
    }

    private static OpeningWord Word(bool closes) => new(closes, closes ? "flood" : "dry again", Noon, null, Noon);

    private static Provider Hear(Provider provider, bool closes, CloudEventOrigin origin, DateTimeOffset saidAt, DateTimeOffset arrivedAt) =>
        Provider.DecideWord(provider, new OpeningWord(closes, closes ? "flood" : "dry again", saidAt, null, saidAt), origin.Source, origin, arrivedAt)
            .Events.Aggregate(provider, Provider.Evolve);

    private static Provider Apply(Provider provider, string command) => Decide(provider, command).Events.Aggregate(provider, Provider.Evolve);

    private static Decision<ProviderEvent> Decide(Provider state, string command) => command switch
    {
        "close" => Provider.DecideWord(state, Word(true), "c", null, Noon),
        "close-other" => Provider.DecideWord(state, Word(true) with { Reason = "storm" }, "c", null, Noon),
        "close-later" => Provider.DecideWord(state, Word(true) with { From = Tomorrow }, "c", null, Noon),
        "close-until" => Provider.DecideWord(state, Word(true) with { Until = Tomorrow }, "c", null, Noon),
        "close-bad-period" => Provider.DecideWord(state, Word(true) with { Until = Noon }, "c", null, Noon),
        "reopen" => Provider.DecideWord(state, Word(false), "c", null, Noon),
        "reopen-later" => Provider.DecideWord(state, Word(false) with { From = Tomorrow }, "c", null, Noon),
        "review" => Provider.DecideReview(state, [], Noon),
        "review-tomorrow" => Provider.DecideReview(state, [], Tomorrow),
        "review-lockdown" => Provider.DecideReview(state, [Lockdown], Noon),
        "review-quarantine" => Provider.DecideReview(state, [Quarantine], Noon),
        "review-both" => Provider.DecideReview(state, [Lockdown, Quarantine], Noon),
        "review-elsewhere" => Provider.DecideReview(state, [Elsewhere], Noon),
        "review-seal-only" => Provider.DecideReview(state, [Lockdown with { ClosesProviders = false }], Noon),
        _ => throw new ArgumentOutOfRangeException(nameof(command)),
    };

    private static Provider State(string state)
    {
        ProviderEvent registered = new ProviderRegistered(Entry(), [], "c", Noon);
        ProviderEvent[] closed = [new ClosurePublished("flood", Noon, null, Noon, "c", null, Noon), new ProviderClosed("flood", Noon)];
        ProviderEvent held = new ProviderHeldByMeasure(new Hold(Lockdown.Id, Lockdown.Name, [Inside]), Noon);
        return ProviderAfter(state switch
        {
            "unknown" => [],
            "open" => [registered],
            "closed" => [registered, .. closed],
            "closed-but-until" => [registered, .. closed, new ClosurePublished("flood", Noon, Tomorrow, Noon, "c", null, Noon)],
            "planned" => [registered, new ClosurePublished("flood", Tomorrow, null, Noon, "c", null, Noon)],
            "until-tomorrow" => [registered, new ClosurePublished("flood", Noon, Tomorrow, Noon, "c", null, Noon), new ProviderClosed("flood", Noon)],
            "held" => [registered, held],
            "held-and-closed" => [registered, .. closed, held],
            "held-said-open" => [registered, held, new ReopeningPublished("dry again", Noon, null, Noon, "c", null, Noon)],
            "paused" => [registered, new ProviderPaused("rest", "c", Noon)],
            "withdrawn" => [registered, new ProviderWithdrawn("gone", "c", Noon)],
            _ => throw new ArgumentOutOfRangeException(nameof(state)),
        });
    }
}
