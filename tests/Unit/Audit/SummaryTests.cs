using Huzhu.Audit.Replaying;
using Huzhu.Contracts;
using Xunit;
using static Huzhu.Tests.Unit.Audit.World;

namespace Huzhu.Tests.Unit.Audit;

public sealed class SummaryTests
{
    private static NeedOutcome Need(int number, string subDistrict, NeedState state = NeedState.Fulfilled, double? offerAfter = 1, double waited = 0, NeedId? repeats = null, string channel = "hotline") =>
        new(new AskedNeed(NeedId.Of(new Guid(number, 0, 0, new byte[8])), repeats, ServiceKinds.Meals, subDistrict, number % 2 == 0 ? [CommunicationNeed.TextOnly] : [], channel, Start, Start),
            state, offerAfter is { } seconds ? Start.AddSeconds(seconds) : null, null, [], waited > 0 ? [new Stretch(Start, Start.AddSeconds(waited))] : []);

    private static IReadOnlyList<EquityRow> BySubDistrict(IReadOnlyCollection<NeedOutcome> needs, int least) => Equity.Of(needs, [], least).Tables.Single(table => table.By == "sub-district").Rows;

    [Fact]
    public void a_group_of_needs_is_told_by_its_times_and_by_what_stayed_unmet()
    {
        var needs = Enumerable.Range(1, 10).Select(number => Need(number, "J", number switch { 1 => NeedState.Cancelled, 2 or 3 or 4 => NeedState.Waiting, _ => NeedState.Fulfilled }, number)).ToList();
        var row = Assert.Single(BySubDistrict(needs, 10));
        Assert.Equal((10, 5.0, 9.0, 0.3333), (row.Needs, row.TimeToOfferSeconds!.P50, row.TimeToOfferSeconds.P90, row.UnmetShare));
        var ways = Equity.Of(needs, [], 1).Tables.Single(table => table.By == "communication need").Rows;
        Assert.Equal([("none", 5), ("text-only", 5)], ways.Select(row => (row.Of, row.Needs!.Value)));
    }

    [Fact]
    public void small_groups_are_withheld_and_never_one_alone()
    {
        List<NeedOutcome> Of(params (string Name, int Count)[] groups) =>
            [.. groups.SelectMany(group => Enumerable.Range(0, group.Count).Select(_ => group.Name)).Select((name, number) => Need(number, name))];
        Assert.Equal([("a", true), ("b", true), ("c", false)], BySubDistrict(Of(("a", 3), ("b", 12), ("c", 40)), 10).Select(row => (row.Of, row.IsWithheld)));
        Assert.Equal([true, true, false], BySubDistrict(Of(("a", 3), ("b", 9), ("c", 40)), 10).Select(row => row.IsWithheld));
        Assert.DoesNotContain(BySubDistrict(Of(("a", 10), ("b", 12)), 10), row => row.IsWithheld);
        Assert.All(BySubDistrict(Of(("a", 3), ("b", 40)), 10), row => Assert.Equal((null, null, null), (row.Needs, row.TimeToOfferSeconds, row.UnmetShare)));
    }

    [Fact]
    public void help_may_be_spread_evenly_or_lie_on_few()
    {
        static Concentration Of(params int[] accepted) =>
            Assert.Single(Concentration.Of(accepted.Select((count, index) => new Load(ResponderId.Of(new Guid(index, 0, 0, new byte[8])), ResponderKind.Group, 5, count))));
        Assert.Equal((0.0, 0.1), (Of([.. Enumerable.Repeat(3, 10)]).Gini, Of([.. Enumerable.Repeat(3, 10)]).TopTenthShare));
        Assert.Equal((0.9, 1.0), (Of(10, 0, 0, 0, 0, 0, 0, 0, 0, 0).Gini, Of(10, 0, 0, 0, 0, 0, 0, 0, 0, 0).TopTenthShare));
        Assert.Equal(0.25, Of(1, 3).Gini);
        Assert.Equal((0, 0.0, 0.0), (Of(0, 0).Accepted, Of(0, 0).Gini, Of(0, 0).TopTenthShare));
    }

    [Fact]
    public void a_need_is_met_within_the_patience_and_a_repeat_when_its_first_is()
    {
        Assert.True(Summary.IsMet(Need(1, "J", waited: 9), null));
        Assert.True(Summary.IsMet(Need(1, "J", waited: 9), TimeSpan.FromSeconds(9)));
        Assert.False(Summary.IsMet(Need(1, "J", waited: 9), TimeSpan.FromSeconds(8)));
        Assert.False(Summary.IsMet(Need(1, "J", NeedState.Waiting), null));
    }

    [Fact]
    public void needs_are_counted_in_the_phase_in_which_they_came()
    {
        var world = new World();
        var provider = world.Responder(ResponderKind.Provider, capacity: 9);
        foreach (var hour in new double[] { 1, 2, 11, 31 })
            world.Need(hour);
        world.Closes(provider, 10).Reopens(provider, 30).Until(50);
        var course = world.Run();
        var summary = Summary.Of(world.History, course, world.History.Outcomes(course), TimeSpan.FromHours(1), 1);
        Assert.Equal([("open", 2, 2), ("lockdown", 1, 0), ("recovery", 1, 1)], summary.Phases.Select(phase => (phase.Name, phase.Needs, phase.Met)));
        Assert.Equal((4, 3, 0.75, 4, 0), (summary.Needs, summary.Met, summary.MetShare, summary.Fulfilled, summary.Unmet));
        Assert.Equal(1, summary.Phases[1].FulfilledShare);
    }
}
