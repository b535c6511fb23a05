using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Groups.Entries;

namespace Huzhu.Tests.Unit.Groups;

public class MeasureTests
{
    private static readonly DateTimeOffset Tomorrow = Noon.AddDays(1);
    private static readonly DateTimeOffset NextWeek = Noon.AddDays(7);

    public static TheoryData<string, string, string> Table => new()
    {
        { "unknown", "publish-now", "MeasurePublished + MeasureImposed" },
        { "unknown", "publish-later", "MeasurePublished" },
        { "unknown", "publish-over", "MeasurePublished + MeasureCancelled" },
        { "unknown", "publish-bad-period", "Invalid: bad-period" },
        { "unknown", "review", "nothing" },
        { "unknown", "lift", "NotFound: not-found" },

        { "planned", "publish-later", "nothing" },
        { "planned", "publish-now", "Conflict: id-taken" },
        { "planned", "review", "nothing" },
        { "planned", "review-tomorrow", "MeasureImposed" },
        { "planned", "review-next-week", "MeasureCancelled" },
        { "planned", "lift", "MeasureCancelled" },

        { "in-force", "publish-later", "nothing" },
        { "in-force", "publish-now", "Conflict: id-taken" },
        { "in-force", "review-tomorrow", "nothing" },
        { "in-force", "review-next-week", "MeasureLifted" },
        { "in-force", "lift", "MeasureLifted" },

        { "lifted", "publish-later", "nothing" },
        { "lifted", "review-next-week", "nothing" },
        { "lifted", "lift", "nothing" },

        { "cancelled", "publish-later", "nothing" },
        { "cancelled", "review-tomorrow", "nothing" },
        { "cancelled", "lift", "nothing" },
    };

    [Theory, MemberData(nameof(Table))]
    public void a_measure_decides_as_the_table_says(string state, string command, string follows) =>
        Assert.Equal(follows, Summary(Decide(State(state), command)));

    [Fact]
    public void what_ended_it_and_when_is_kept()
    {
        var lifted = Decide(State("in-force"), "lift").Events.Aggregate(State("in-force"), Measure.Evolve);
        Assert.Equal((MeasurePhase.Lifted, Noon, "over"), (lifted.Phase, lifted.EndedAt, lifted.EndedBecause));
        Assert.Equal(Tomorrow, lifted.ImposedAt);
    }

    [Fact]
    public void timers_are_set_for_what_lies_ahead_and_for_what_must_follow_at_once()
    {
        Assert.Equal([("review-measure", Tomorrow), ("review-measure", NextWeek)], Huzhu.Groups.Timetable.TimersOf(Plan(Tomorrow, NextWeek), Noon));
        Assert.Equal([("review-measure", NextWeek)], Huzhu.Groups.Timetable.TimersOf(Plan(Noon, NextWeek), Noon));
        Assert.Empty(Huzhu.Groups.Timetable.TimersOf(Plan(Noon, null), Noon));
        Assert.Equal([("spread-measure", Noon)], Huzhu.Groups.Timetable.TimersOf(new MeasureImposed(Noon), Noon));
        Assert.Equal([("spread-measure", Noon)], Huzhu.Groups.Timetable.TimersOf(new MeasureLifted("over", null, Noon), Noon));
        Assert.Equal([("review-provider", Noon)], Huzhu.Groups.Timetable.TimersOf(new ProviderRegistered(Entry(), [], "c", Noon), Noon));
        Assert.Equal([("review-provider", Tomorrow), ("review-provider", NextWeek)],
            Huzhu.Groups.Timetable.TimersOf(new ClosurePublished("flood", Tomorrow, NextWeek, Noon, "c", null, Noon), Noon));
        Assert.Equal([("review-provider", NextWeek)],
            Huzhu.Groups.Timetable.TimersOf(new ReopeningPublished("dry", Noon, NextWeek, Noon, "c", null, Noon), Noon));
        Assert.Empty(Huzhu.Groups.Timetable.TimersOf(new GroupRegistered(Entry(), "c", Noon), Noon));
    }

    private static MeasurePublished Plan(DateTimeOffset from, DateTimeOffset? until) =>
        new("Lockdown of W", Box(31.20, 31.25, 121.40, 121.50), from, until, true, true, "op", Noon);

    private static Decision<MeasureEvent> Decide(Measure state, string command) => command switch
    {
        "publish-now" => Measure.DecidePublication(state, Plan(Noon, NextWeek)),
        "publish-later" => Measure.DecidePublication(state, Plan(Tomorrow, NextWeek)),
        "publish-over" => Measure.DecidePublication(state, Plan(Noon.AddDays(-2), Noon.AddDays(-1))),
        "publish-bad-period" => Measure.DecidePublication(state, Plan(Tomorrow, Noon)),
        "review" => Measure.DecideReview(state, Noon),
        "review-tomorrow" => Measure.DecideReview(state, Tomorrow),
        "review-next-week" => Measure.DecideReview(state, NextWeek),
        "lift" => Measure.DecideLift(state, "over", "op", Noon),
        _ => throw new ArgumentOutOfRangeException(nameof(command)),
    };

    private static Measure State(string state) => Fold<Measure, MeasureEvent>(state switch
    {
        "unknown" => [],
        "planned" => [Plan(Tomorrow, NextWeek)],
        "in-force" => [Plan(Tomorrow, NextWeek), new MeasureImposed(Tomorrow)],
        "lifted" => [Plan(Tomorrow, NextWeek), new MeasureImposed(Tomorrow), new MeasureLifted("over", "op", Tomorrow)],
        "cancelled" => [Plan(Tomorrow, NextWeek), new MeasureCancelled("over", "op", Noon)],
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    });
}

public class AreaTests
{
    [Fact]
    public void a_point_on_the_edge_is_inside()
    {
        var area = Area.Of(Box(31.20, 31.25, 121.40, 121.50)).Area!;
        Assert.True(area.Contains(new GeoPoint(31.22, 121.44)));
        Assert.True(area.Contains(new GeoPoint(31.20, 121.44)));
        Assert.True(area.Contains(new GeoPoint(31.25, 121.50)));
        Assert.False(area.Contains(new GeoPoint(31.2501, 121.44)));
        Assert.False(area.Contains(new GeoPoint(31.22, -121.44)));
    }

    [Fact]
    public void a_notch_is_outside()
    {
        // A U: the place between its arms lies inside the bounds and outside the area.
        var area = Area.Of([new(0, 0), new(0, 3), new(3, 3), new(3, 2), new(1, 2), new(1, 1), new(3, 1), new(3, 0)]).Area!;
        Assert.True(area.Contains(new GeoPoint(0.5, 1.5)));
        Assert.True(area.Contains(new GeoPoint(2, 0.5)));
        Assert.False(area.Contains(new GeoPoint(2, 1.5)));
    }

    [Fact]
    public void an_open_ring_and_a_closed_one_are_the_same_area()
    {
        var open = Box(0, 1, 0, 1);
        IReadOnlyList<GeoPoint> closed = [.. open, open[0]];
        Assert.Equal(Area.Of(open).Area!.Ring, Area.Of(closed).Area!.Ring);
        Assert.Equal(5, Area.Of(open).Area!.Ring.Count);
    }

    public static TheoryData<string, string> Problems => new()
    {
        { "", "3 to 10000 points" },
        { "0,0 0,1", "3 to 10000 points" },
        { "0,0 0,1 0,0", "3 to 10000 points" },
        { "0,0 0,1 1,1 91,0", "on earth" },
        { "0,0 0,181 1,1", "on earth" },
        { "0,0 1,1 0,1 1,0", "crosses or touches itself" },
        { "0,0 1,1 2,2", "encloses nothing" },
        { "0,0 0,0 0,0 0,0", "encloses nothing" },
        { "10,179 10,-179 11,-179 11,179", "antimeridian" },
    };

    [Theory, MemberData(nameof(Problems))]
    public void what_is_no_area_is_refused_with_a_reason(string points, string because)
    {
        var (area, problem) = Area.Of([.. points.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(point => point.Split(','))
            .Select(point => new GeoPoint(double.Parse(point[0]), double.Parse(point[1])))]);
        Assert.Null(area);
        Assert.Contains(because, problem);
    }

    [Fact]
    public void ten_thousand_points_are_accepted_and_one_more_is_not()
    {
        static IReadOnlyList<GeoPoint> Circle(int points) => [.. Enumerable.Range(0, points)
            .Select(index => new GeoPoint(31 + 0.1 * Math.Sin(index * Math.Tau / points), 121 + 0.1 * Math.Cos(index * Math.Tau / points)))];
        Assert.NotNull(Area.Of(Circle(Area.MaxPoints)).Area);
        Assert.True(Area.Of(Circle(Area.MaxPoints)).Area!.Contains(new GeoPoint(31.05, 121.05)));
        Assert.Null(Area.Of(Circle(Area.MaxPoints + 1)).Area);
    }
}
