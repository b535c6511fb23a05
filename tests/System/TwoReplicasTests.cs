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
        // Or a need that comes before them would wait, and be seen to.
        foreach (var group in groups)
            await Client.EventuallyAsync("Matching to know the groups", async () => ((await _huzhu.SendAsync(HttpMethod.Get, "matching", $"/v1/responders/{group}", "auditor")).Status == 200, null));

        var submissions = Enumerable.Range(0, Needs).Select(async index =>
        {
            await Task.Delay(index * 20);
            return (await _huzhu.SubmitAsync(Client.Request($"replicas-{index}", lat: 31.0, lon: 121.0)));
        }).ToList();

        // The second replicas die while needs arrive: nobody talks to them directly, but they relay, consume and decide.
        await Task.Delay(300);
        foreach (var service in new[] { "requests", "groups", "matching", "notifications" })
            await fixture.Huzhu.Services[service, 2].KillAsync();
        var submitted = await Task.WhenAll(submissions);

        // There are 30 places for 60 needs: 30 are offered, 30 wait, whoever decided.
        var states = new Dictionary<string, string>();
        foreach (var (_, need) in submitted)
            states[need] = (string)(await _huzhu.MatchAsync(need, m => (string)m["state"]! is "offered" or "waiting", "a decision"))["state"]!;
        Assert.Equal(Groups * PlacesEach, states.Values.Count(state => state == "offered"));
        foreach (var group in groups)
        {
            var responder = await _huzhu.GetAsync("matching", $"/v1/responders/{group}", "auditor");
            Assert.Equal((PlacesEach, 0), ((int)responder["held"]!, (int)responder["free"]!));
        }
        Assert.Equal(Needs, (await _huzhu.QueryAsync<long>("requests", "select count(distinct stream_id) from huzhu.mt_events where type = 'request_submitted' and stream_id = any($1)",
            submitted.Select(one => Guid.Parse(one.RequestId)).ToArray()))[0]);
    }

    /// <summary>A process that is stopped keeps its sessions and their locks, the relay's too.</summary>
    [Fact]
    public async Task when_the_replica_that_relays_hangs_another_relays_within_twelve_seconds()
    {
        var (first, second) = (fixture.Huzhu.Services["requests", 1], fixture.Huzhu.Services["requests", 2]);
        // While the first is away, the second comes to relay.
        if (!second.IsAlive)
            await second.RestartAsync();
        await first.KillAsync();
        // The sessions of a process that is dead end at once: whoever holds the lock then is the second.
        await Task.Delay(1_000);
        await Client.EventuallyAsync("the second to relay", async () => ((await HoldersAsync()).Count == 1, null), 30);
        await first.RestartAsync();

        second.Freeze();
        var hangs = System.Diagnostics.Stopwatch.StartNew();
        try
        {
            var submitted = await _huzhu.SubmitAsync(Client.Request($"hang-{Guid.NewGuid():N}", lat: 30.0, lon: 120.0));
            await _huzhu.MatchAsync(submitted.NeedId, _ => true, "another replica to relay");
            TestContext.Current.TestOutputHelper?.WriteLine($"Another relayed after {hangs.Elapsed.TotalSeconds:0.0} s.");
            // More than twelve for a machine that does other things too.
            Assert.InRange(hangs.Elapsed.TotalSeconds, 1, 30);
        }
        finally
        {
            second.Thaw();
        }

        // It wakes up as one of two: one relays, from where the progress is, and all that follows.
        var progress = await ProgressAsync();
        for (var need = 0; need < 5; need++)
        {
            var submitted = await _huzhu.SubmitAsync(Client.Request($"awake-{Guid.NewGuid():N}", lat: 30.0, lon: 120.0));
            await _huzhu.MatchAsync(submitted.NeedId, _ => true, "the relay to go on");
        }
        await Client.EventuallyAsync("the progress to go on", async () => (await ProgressAsync() >= progress + 5, null), 30);
        Assert.Single(await HoldersAsync());
    }

    private Task<List<int>> HoldersAsync() => _huzhu.QueryAsync<int>("requests",
        "select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())");

    private async Task<long> ProgressAsync() =>
        (await _huzhu.QueryAsync<long>("requests", "select last_seq_id from huzhu.mt_event_progression where name = 'Relay:All'"))[0];
}
