using Huzhu.Audit.Replaying;
using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Huzhu.Tests.Unit.Audit;

namespace Huzhu.Tests.Unit.Scenarios;

/// <summary>A scenario through the simulation that replays logs, with nobody who declines; a day of the story is an hour of the log.</summary>
static class OnPaper
{
    public static (int HeldAtClosure, Func<Phase, double> MetShare) Run(Scenario scenario, bool withGroups)
    {
        var (world, calendar) = (new World(), scenario.Calendar);
        foreach (var one in scenario.Responders)
        {
            var site = one.Sites[0];
            world.Responder(one.IsProvider ? ResponderKind.Provider : ResponderKind.Group, one.Capacity, permit: one.ZonePermit, place: site.Place, kinds: [.. one.ServiceKinds],
                abilities: [.. one.Abilities], id: one.Id, radiusMetres: one.RadiusMetres, subDistricts: [.. one.SubDistricts], modes: [.. one.Modes]);
        }
        var asked = new Dictionary<NeedId, Phase>();
        foreach (var request in scenario.Requests.Where(request => request.RepeatsKey is null))
        {
            foreach (var need in request.Needs)
            {
                var id = world.Need(request.ArrivalDay, need.WorkDays, request.Urgency, request.OwnGroupId is { } own ? ResponderId.Of(own) : null, [.. request.Communication],
                    request.SubDistrict, request.Place, need.Kind, need.Mode, Guid.NewGuid());
                asked[id] = calendar.PhaseOf(request.ArrivalDay);
                if (request.CancelAfterDays is { } after)
                    world.Cancels(id, request.ArrivalDay + after);
            }
        }
        foreach (var provider in scenario.Providers)
            world.Closes(ResponderId.Of(provider.Id), calendar.ClosureDay).Reopens(ResponderId.Of(provider.Id), calendar.ReopeningDay);
        var outcomes = world.Until(calendar.EndDay).Outcomes(new Variant(WithoutGroups: !withGroups));
        var providers = scenario.Providers.Select(provider => ResponderId.Of(provider.Id)).ToHashSet();
        var closure = World.Hour(calendar.ClosureDay);
        return (
            outcomes.Values.Count(need => need.Holdings.Any(holding => holding.From < closure && holding.To >= closure && providers.Contains(holding.ResponderId))),
            phase => outcomes.Values.Where(need => asked[need.Asked.Id] == phase).Average(need => Summary.IsMet(need, TimeSpan.FromHours(calendar.PatienceDays)) ? 1.0 : 0.0));
    }
}
