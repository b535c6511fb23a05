using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Xunit;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class WDistrictTests
{
    static readonly Scenario Default = WDistrict.Build();

    static IReadOnlyList<ScenarioResponder> Groups => [.. Default.Responders.Where(responder => !responder.IsProvider)];

    static double Share(IReadOnlyCollection<ScenarioResponder> of, Func<ScenarioResponder, bool> counted) => of.Count(counted) / (double)of.Count;

    [Fact]
    public void it_has_the_groups_and_providers_of_the_study()
    {
        Assert.Equal(318, Groups.Count);
        Assert.Equal(18, Default.Providers.Count());
        Assert.Equal(
            [("government-organised nonprofit", 12), ("independent nonprofit", 5), ("infrastructure nonprofit", 1)],
            Default.Providers.GroupBy(provider => provider.Description).Select(kind => (kind.Key, kind.Count())).Order());
        Assert.Equal("ABCDEFGHIJKLM", string.Concat(Default.Areas.Select(area => area.Name)));
        Assert.All(Default.Providers, provider => Assert.True(provider.Sites.Count > 1, $"{provider.Name} has one site"));
    }

    [Theory]
    [InlineData(ServiceKinds.BasicNeeds, 0.77), InlineData(ServiceKinds.Specialised, 0.79), InlineData(ServiceKinds.Meals, 0.26), InlineData(ServiceKinds.Donations, 0.31)]
    public void groups_give_what_the_study_counted(string root, double share) =>
        Assert.Equal(share, Share(Groups, group => group.ServiceKinds.Any(kind => ServiceKinds.RootOf(kind) == root)), tolerance: 0.002);

    [Fact]
    public void groups_help_online_and_offline_as_the_study_counted()
    {
        Assert.Equal(0.90, Share(Groups, group => group.Modes.Contains(DeliveryMode.Online)), tolerance: 0.002);
        Assert.Equal(0.56, Share(Groups, group => group.Modes.Contains(DeliveryMode.Offline)), tolerance: 0.002);
        Assert.All(Groups, group => Assert.NotEmpty(group.Modes));
        Assert.All(Groups, group => Assert.NotEmpty(group.ServiceKinds));
    }

    [Fact]
    public void leaders_with_a_disability_are_as_many_as_the_study_counted()
    {
        Assert.Equal(0.45, Share(Groups, group => group.LeaderHasDisability == true), tolerance: 0.001);
        var inJ = Groups.Where(group => group.SubDistrict == "J").ToList();
        Assert.Equal(0.804, Share(inJ, group => group.LeaderHasDisability == true), tolerance: 0.0005);
        Assert.True(Groups.GroupBy(group => group.SubDistrict).MaxBy(district => district.Count())!.Key == "J", "J is the most active sub-district");
    }

    [Fact]
    public void every_other_seed_has_the_same_shares_and_other_people()
    {
        var other = WDistrict.Build(seed: 7);
        Assert.Equal(Default.Calibration.Where(figure => figure.Origin == "study"), other.Calibration.Where(figure => figure.Origin == "study"));
        Assert.NotEqual(Default.Requests[0].Place, other.Requests[0].Place);
        Assert.Empty(Default.Responders.Select(responder => responder.Id).Intersect(other.Responders.Select(responder => responder.Id)));
    }

    [Fact]
    public void one_seed_is_one_story() =>
        Assert.Equal(JsonSerializer.Serialize(WDistrict.Build(700, 5)), JsonSerializer.Serialize(WDistrict.Build(700, 5)));

    [Theory]
    [InlineData(1), InlineData(2), InlineData(17), InlineData(500), InlineData(5200), InlineData(12_000)]
    public void it_has_exactly_as_many_needs_as_asked_for(int size)
    {
        var scenario = WDistrict.Build(size);
        Assert.Equal(size, scenario.NeedCount);
        Assert.Equal(scenario.Requests.Count, scenario.Requests.Select(request => request.Key).Distinct().Count());
        Assert.True(scenario.Requests.Zip(scenario.Requests.Skip(1)).All(pair => pair.First.ArrivalDay <= pair.Second.ArrivalDay), "requests are in order");
        Assert.All(scenario.Requests, request => Assert.InRange(request.ArrivalDay, 0, scenario.Calendar.PhasesEndDay));
    }

    [Fact]
    public void the_measure_closes_every_provider_and_seals_the_homes_of_all_who_call()
    {
        var ring = Default.MeasureArea!;
        Assert.All(Default.Providers.SelectMany(provider => provider.Sites), site => Assert.True(Geometry.Contains(ring, site.Place)));
        Assert.All(Default.Requests, request => Assert.True(Geometry.Contains(ring, request.Place)));
        var across = Groups.Where(group => group.Sites.All(site => !Geometry.Contains(ring, site.Place))).ToList();
        Assert.Contains(across, group => group.ZonePermit);
        Assert.Contains(across, group => !group.ZonePermit);
    }

    [Fact]
    public void everybody_lives_in_the_sub_district_that_is_said()
    {
        var rings = Default.Areas.ToDictionary(area => area.Name, area => area.Ring);
        Assert.All(Default.Requests, request => Assert.True(Geometry.Contains(rings[request.SubDistrict!], request.Place)));
    }

    [Fact]
    public void nearly_half_of_the_needs_come_in_the_lockdown()
    {
        double ShareOf(Phase phase) => Default.Requests.Where(request => Default.Calendar.PhaseOf(request.ArrivalDay) == phase).Sum(request => request.Needs.Count) / (double)Default.NeedCount;
        Assert.Equal(0.36, ShareOf(Phase.Open), tolerance: 0.02);
        Assert.Equal(0.47, ShareOf(Phase.Lockdown), tolerance: 0.02);
        Assert.Equal(0.17, ShareOf(Phase.Recovery), tolerance: 0.02);
    }

    [Fact]
    public void people_call_again_call_off_dispute_and_worry()
    {
        Assert.InRange(Default.Requests.Count(request => request.RepeatsKey is not null) / (double)Default.NeedCount, 0.01, 0.03);
        var first = Default.Requests.ToDictionary(request => request.Key);
        Assert.All(Default.Requests.Where(request => request.RepeatsKey is not null), again =>
        {
            Assert.Equal(first[again.RepeatsKey!].PersonRef, again.PersonRef);
            Assert.True(again.ArrivalDay > first[again.RepeatsKey!].ArrivalDay);
            Assert.Equal(first[again.RepeatsKey!].Needs[0].Kind, again.Needs.Single().Kind);
        });
        Assert.Contains(Default.Requests, request => request.CancelAfterDays is not null);
        Assert.Contains(Default.Requests, request => request.AfterHelp is AfterHelp.Disputes);
        Assert.Single(Default.Requests, request => request.AfterHelp is AfterHelp.RaisesConcern);
        Assert.Contains(Default.Requests, request => request.Missing is MissingPart.Location);
        Assert.Contains(Default.Requests, request => request.Missing is MissingPart.Consent);
    }

    [Fact]
    public void on_paper_the_closure_finds_a_thousand_needs_in_hand_and_groups_make_the_difference()
    {
        var (with, without) = (OnPaper.Run(Default, withGroups: true), OnPaper.Run(Default, withGroups: false));
        Assert.True(with.HeldAtClosure > 1200, $"only {with.HeldAtClosure} held");
        Assert.True(without.MetShare(Phase.Lockdown) < 0.1, $"{without.MetShare(Phase.Lockdown):P1} met without groups");
        Assert.True(with.MetShare(Phase.Lockdown) > without.MetShare(Phase.Lockdown) + 0.6);
    }
}
