using System.Net;
using Huzhu.Contracts;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Closures, reopenings and measures, over HTTP and by the clock.</summary>
public sealed class ClosureTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private readonly GroupsService _groups = shared.Service;

    [Fact]
    public async Task a_closure_is_in_force_at_once_told_with_its_reason_and_ended_by_a_reopening()
    {
        var id = await _groups.ProviderAsync();
        var closed = await CloseAsync(id, new { reason = "flood" });
        Assert.Equal(("closed", "flood", "The provider is closed."), Shown(closed));
        var told = await _groups.ToldOfAsync(id, 3);
        Assert.Equal((Opening.Closed, "flood", null), (told.Opening, told.ClosedBecause, told.ClosedByMeasureId));

        Assert.Equal(3, (int)(await CloseAsync(id, new { reason = "flood" })).Body!["version"]!);
        Assert.Equal(("open", null, "The provider is open."), Shown(await ReopenAsync(id)));
        Assert.Equal(Opening.Open, (await _groups.ToldOfAsync(id, 5)).Opening);
        Assert.Equal(5, (int)(await ReopenAsync(id)).Body!["version"]!);
        // What was only said is not told: versions 2 and 4 are the words, 3 and 5 their effect.
        Assert.Equal([1, 3, 5], _groups.Told.Where(one => one.ResponderId.Value == id).Select(one => one.Version));
    }

    [Fact]
    public async Task a_closure_begins_later_and_ends_by_itself()
    {
        var id = await _groups.ProviderAsync();
        var now = DateTimeOffset.UtcNow;
        var answer = await CloseAsync(id, new { reason = "holiday", from = now.AddSeconds(1.5), until = now.AddSeconds(3.5) });
        Assert.Equal("open", (string)answer.Body!["opening"]!);
        Assert.StartsWith("Recorded. The provider closes at", (string)answer.Body["note"]!);
        await _groups.OpeningBecomesAsync(id, "closed");
        Assert.True(DateTimeOffset.UtcNow >= now.AddSeconds(1.5));
        await _groups.OpeningBecomesAsync(id, "open");
        Assert.True(DateTimeOffset.UtcNow >= now.AddSeconds(3.5));
        Assert.Equal([Opening.Open, Opening.Closed, Opening.Open],
            [(await _groups.ToldOfAsync(id, 1)).Opening, (await _groups.ToldOfAsync(id, 3)).Opening, (await _groups.ToldOfAsync(id, 4)).Opening]);
    }

    [Fact]
    public async Task a_wrong_closure_is_told_what_is_wrong_and_nothing_is_stored()
    {
        var id = await _groups.ProviderAsync();
        var now = DateTimeOffset.UtcNow;
        Assert.Equal(["reason"], (await CloseAsync(id, new { })).Fields);
        Assert.Equal(["from", "reason", "until"], (await CloseAsync(id, new { reason = "", from = "soon", until = "2022-06-01T00:00:00" })).Fields.Order());
        Assert.Equal(["until"], (await CloseAsync(id, new { reason = "r", from = now.AddHours(2), until = now.AddHours(1) })).Fields);
        Assert.Equal(["until"], (await CloseAsync(id, new { reason = "r", from = now.AddHours(-2), until = now.AddHours(-1) })).Fields);
        Assert.Equal(["reason"], (await CloseAsync(id, new { reason = new string('r', 501) })).Fields);
        Assert.Equal(HttpStatusCode.NotFound, (await CloseAsync(Guid.NewGuid(), new { reason = "r" })).Status);
        Assert.Equal(1, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}'"));
    }

    [Fact]
    public async Task a_measure_closes_the_providers_inside_and_a_lift_reopens_what_it_closed_and_nothing_else()
    {
        var (inside, outside, partly) = (await _groups.ProviderAsync(Places.Inside), await _groups.ProviderAsync(Places.Outside), await _groups.ProviderAsync(Places.Inside, Places.Outside));
        var closedItself = await _groups.ProviderAsync(Places.AlsoInside);
        await CloseAsync(closedItself, new { reason = "flood" });
        var paused = await _groups.ProviderAsync(Places.AlsoInside);
        await _groups.PostAsync($"/v1/providers/{paused}/pause", _groups.Operator, new { reason = "rest" });
        var group = await _groups.RegisterAsync("/v1/groups");

        var measure = await _groups.ImposeAsync();
        await _groups.OpeningBecomesAsync(inside, "closed");
        await _groups.OpeningBecomesAsync(paused, "closed");
        await Eventually.Async(async () => (await SitesAsync(partly)).SequenceEqual([false, true]), "the site inside is shut and the other is not");
        Assert.Equal("open", await _groups.OpeningOfAsync(partly));
        Assert.Equal("open", await _groups.OpeningOfAsync(outside));
        var told = await _groups.ToldOfAsync(inside, 2);
        Assert.Equal((Opening.Closed, "Lockdown of W", new MeasureId(measure)), (told.Opening, told.ClosedBecause, told.ClosedByMeasureId));
        Assert.False(Assert.Single(told.Sites).Open);
        await Eventually.Async(() => Task.FromResult(_groups.Imposed.Any(one => one.MeasureId.Value == measure)), "the measure is told");
        var imposed = _groups.Imposed.Single(one => one.MeasureId.Value == measure);
        Assert.Equal(("Lockdown of W", 5, true), (imposed.Name, imposed.Area.Count, imposed.SealsZone));
        Assert.Equal(imposed.Area[0], imposed.Area[^1]);

        // A group goes on, and a reopening by the provider does not undo the measure.
        Assert.Equal("open", (string)(await _groups.GetAsync($"/v1/groups/{group}", _groups.Operator)).Body!["opening"]!);
        Assert.Equal(("closed", "Lockdown of W", "The reopening is recorded. The provider stays closed while the measure \"Lockdown of W\" is in force."), Shown(await ReopenAsync(inside)));

        // What registers now inside is closed from the first thing that is told of it.
        var late = await _groups.ProviderAsync(Places.AlsoInside);
        Assert.Equal("closed", await _groups.OpeningOfAsync(late));
        Assert.Equal((Opening.Closed, new MeasureId(measure)), ((await _groups.ToldOfAsync(late, 1)).Opening, (await _groups.ToldOfAsync(late, 1)).ClosedByMeasureId));

        await _groups.LiftAsync(measure);
        foreach (var (provider, opening) in new[] { (inside, "open"), (partly, "open"), (late, "open"), (closedItself, "closed"), (paused, "paused") })
            await _groups.OpeningBecomesAsync(provider, opening);
        await Eventually.Async(async () => (await SitesAsync(partly)).SequenceEqual([true, true]), "the site opens again");
        Assert.Equal("flood", (string)(await _groups.GetAsync($"/v1/providers/{closedItself}", _groups.Operator)).Body!["closedBecause"]!);
        await Eventually.Async(() => Task.FromResult(_groups.Lifted.Any(one => one.MeasureId.Value == measure && one.Reason == "over")), "the lift is told");
    }

    [Fact]
    public async Task a_measure_begins_later_and_ends_by_itself()
    {
        var id = await _groups.ProviderAsync();
        var now = DateTimeOffset.UtcNow;
        var measure = await _groups.ImposeAsync(Measure("Short lockdown", now.AddSeconds(1.5), now.AddSeconds(4)));
        Assert.Equal("planned", await StateAsync(measure));
        Assert.Equal("open", await _groups.OpeningOfAsync(id));
        await _groups.OpeningBecomesAsync(id, "closed");
        Assert.Equal("in-force", await StateAsync(measure));
        await _groups.OpeningBecomesAsync(id, "open");
        Assert.Equal("lifted", await StateAsync(measure));
    }

    [Fact]
    public async Task a_measure_called_off_before_it_begins_closes_nobody_and_is_not_told()
    {
        var measure = await _groups.ImposeAsync(Measure("Never", DateTimeOffset.UtcNow.AddSeconds(1)));
        await _groups.LiftAsync(measure);
        Assert.Equal("cancelled", await StateAsync(measure));
        await _groups.LiftAsync(measure);
        await Task.Delay(1500, TestContext.Current.CancellationToken);
        Assert.Equal("cancelled", await StateAsync(measure));
        Assert.DoesNotContain(_groups.Imposed, one => one.MeasureId.Value == measure);
        Assert.DoesNotContain(_groups.Lifted, one => one.MeasureId.Value == measure);
    }

    [Fact]
    public async Task two_measures_over_one_provider_must_both_be_lifted()
    {
        var id = await _groups.ProviderAsync();
        var (first, second) = (await _groups.ImposeAsync(Measure("First")), await _groups.ImposeAsync(Measure("Second")));
        await Eventually.Async(async () => await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}' and type = 'provider_held_by_measure'") == 2, "both hold it");
        await _groups.LiftAsync(second);
        await Eventually.Async(async () => await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}' and type = 'provider_released_by_measure'") == 1, "the second lets go");
        Assert.Equal("closed", await _groups.OpeningOfAsync(id));
        await _groups.LiftAsync(first);
        await _groups.OpeningBecomesAsync(id, "open");
    }

    [Fact]
    public async Task a_measure_that_only_seals_closes_nobody()
    {
        var id = await _groups.ProviderAsync();
        var measure = await _groups.ImposeAsync(Measure("Sealed", closes: false));
        await Eventually.Async(() => Task.FromResult(_groups.Imposed.Any(one => one.MeasureId.Value == measure)), "the measure is told");
        await Task.Delay(500, TestContext.Current.CancellationToken);
        Assert.Equal("open", await _groups.OpeningOfAsync(id));
        await _groups.LiftAsync(measure);
    }

    [Fact]
    public async Task a_wrong_measure_is_told_what_is_wrong_and_one_with_ten_thousand_points_is_accepted()
    {
        static object Ring(params (double Lat, double Lon)[] points) => new { name = "m", area = points.Select(point => new { lat = point.Lat, lon = point.Lon }), closesProviders = false };
        Assert.Equal(["area", "name"], (await _groups.PostAsync("/v1/measures", _groups.Operator, new { })).Fields.Order());
        Assert.Equal(["area"], (await _groups.PostAsync("/v1/measures", _groups.Operator, Ring((0, 0), (1, 1), (0, 1), (1, 0)))).Fields);
        Assert.Equal(["area"], (await _groups.PostAsync("/v1/measures", _groups.Operator, Ring((10, 179), (10, -179), (11, -179), (11, 179)))).Fields);
        Assert.Equal(["until"], (await _groups.PostAsync("/v1/measures", _groups.Operator, Measure(from: DateTimeOffset.UtcNow.AddHours(1), until: DateTimeOffset.UtcNow))).Fields);
        (double, double)[] Circle(int points) => [.. Enumerable.Range(0, points).Select(index => (-31 + 0.1 * Math.Sin(index * Math.Tau / points), -121 + 0.1 * Math.Cos(index * Math.Tau / points)))];
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await _groups.PostAsync("/v1/measures", _groups.Operator, Ring(Circle(10_001)))).Status);
        var large = await _groups.PostAsync("/v1/measures", _groups.Operator, Ring(Circle(10_000)));
        Assert.Equal(HttpStatusCode.Created, large.Status);
        var read = await _groups.GetAsync(large.Location!, _groups.Coordinator());
        Assert.Equal(10_001, read.Body!["area"]!.AsArray().Count);
        var listed = (await _groups.GetAsync("/v1/measures?pageSize=200", _groups.Coordinator())).Body!["items"]!.AsArray().Single(one => (Guid)one!["id"]! == (Guid)large.Body!["id"]!)!;
        Assert.Null(listed["area"]);
        Assert.Equal("in-force", (string)listed["state"]!);
    }

    [Fact]
    public async Task a_measure_published_again_under_its_id_is_the_same_measure()
    {
        var id = Guid.NewGuid();
        object Body(string name) => new { id, name, area = new[] { new { lat = 1, lon = 1 }, new { lat = 1, lon = 2 }, new { lat = 2, lon = 2 } } };
        var answers = new[] { await _groups.PostAsync("/v1/measures", _groups.Operator, Body("m")), await _groups.PostAsync("/v1/measures", _groups.Operator, Body("m")) };
        Assert.All(answers, answer => Assert.Equal((HttpStatusCode.Created, 2), (answer.Status, (int)answer.Body!["version"]!)));
        Assert.Equal("id-taken", (await _groups.PostAsync("/v1/measures", _groups.Operator, Body("n"))).Code);
    }

    private Task<Answer> CloseAsync(Guid id, object body) => _groups.PostAsync($"/v1/providers/{id}/closures", _groups.Operator, body);
    private Task<Answer> ReopenAsync(Guid id) => _groups.PostAsync($"/v1/providers/{id}/reopenings", _groups.Operator, new { reason = "dry again" });
    private async Task<string> StateAsync(Guid measure) => (string)(await _groups.GetAsync($"/v1/measures/{measure}", _groups.Operator)).Body!["state"]!;
    private async Task<IEnumerable<bool>> SitesAsync(Guid id) => (await _groups.GetAsync($"/v1/providers/{id}", _groups.Operator)).Body!["sites"]!.AsArray().Select(site => (bool)site!["open"]!);

    private static (string?, string?, string?) Shown(Answer answer) => ((string?)answer.Body!["opening"], (string?)answer.Body["closedBecause"], (string?)answer.Body["note"]);
}
