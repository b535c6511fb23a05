using Xunit;

namespace Huzhu.SystemTests;

/// <summary>Two processes of every service on the same databases and broker, some of them killed under way.</summary>
public sealed class TwoReplicasTests(TwoReplicas fixture) : IClassFixture<TwoReplicas>, IDisposable
{
    private const int Groups = 6;
    private const int PlacesEach = 5;
    private const int Needs = 60;

    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    [Fact]
    public async Task no_place_is_given_twice_and_no_need_is_lost_while_processes_die()
    {
        var groups = new List<string>();
        foreach (var index in Enumerable.Range(0, Groups))
            groups.Add(await _huzhu.RegisterAsync("groups", Client.Entry($"replica group {index}", 31.0 + index * 0.001, 121.0, PlacesEach, radiusMetres: 9000)));

        var submissions = Enumerable.Range(0, Needs).Select(async index =>
        {
            await Task.Delay(index * 20);
            return (await _huzhu.SubmitAsync(Client.Request($"replicas-{index}", lat: 31.0, lon: 121.0))).NeedId;
        }).ToList();

        // The second replicas die while needs arrive: nobody talks to them directly, but they relay, consume and decide.
        await Task.Delay(300);
        foreach (var service in new[] { "requests", "groups", "matching", "notifications" })
            await fixture.Huzhu.Services[service, 2].KillAsync();
        var needs = await Task.WhenAll(submissions);

        // There are 30 places for 60 needs: 30 are offered, 30 wait, whoever decided.
        var states = new Dictionary<string, string>();
        foreach (var need in needs)
            states[need] = (string)(await _huzhu.MatchAsync(need, m => (string)m["state"]! is "offered" or "waiting", "a decision"))["state"]!;
        Assert.Equal(Groups * PlacesEach, states.Values.Count(state => state == "offered"));
        foreach (var group in groups)
        {
            var responder = await _huzhu.GetAsync("matching", $"/v1/responders/{group}", "auditor");
            Assert.Equal((PlacesEach, 0), ((int)responder["held"]!, (int)responder["free"]!));
        }
        Assert.Equal(Needs, (await _huzhu.QueryAsync<long>("requests", "select count(distinct stream_id) from huzhu.mt_events where type = 'request_submitted'"))[0]);
    }
}
