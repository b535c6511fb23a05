using System.Net;
using Huzhu.Contracts;
using Huzhu.Groups;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Marten;
using Npgsql;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;
using static Huzhu.Tests.Integration.Groups.ProviderEventTests;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Crashes, outages and several replicas.</summary>
public sealed class FailureTests(Servers servers)
{
    private const string Closed = "org.huzhu.provider.closed.v1";
    private const string Reopened = "org.huzhu.provider.reopened.v1";

    [Fact]
    public async Task a_measure_reaches_every_provider_although_the_service_is_killed_halfway()
    {
        await using var groups = await GroupsService.StartAsync(servers);
        const int Count = 150;
        var providers = new List<Guid>();
        for (var index = 0; index < Count; index++)
            providers.Add(await groups.ProviderAsync());

        var measure = await groups.ImposeAsync();
        await Eventually.Async(async () => await HeldAsync(groups) > 0, "the first provider is held");
        await groups.Host["groups"].KillAsync();
        Assert.InRange(await HeldAsync(groups), 1, Count - 1);
        await groups.Host["groups"].RestartAsync(TestContext.Current.CancellationToken);
        // The timer of the killed process is due again when its lease ends.
        await Eventually.Async(async () => await HeldAsync(groups) == Count, "every provider is held", TimeSpan.FromSeconds(60));
        Assert.Equal(Count, await groups.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'provider_held_by_measure'"));

        await groups.LiftAsync(measure);
        await Eventually.Async(async () => await groups.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'provider_released_by_measure'") == Count, "every provider is released");
        // A relay that is killed may tell the last again, but never an older one after a newer one.
        foreach (var provider in providers)
        {
            var told = await VersionsToldAsync(groups, provider, 3);
            Assert.Equal([1L, 2, 3], told.Distinct());
        }
    }

    [Fact]
    public async Task providers_that_register_while_a_measure_comes_and_goes_end_in_line_with_it()
    {
        await using var groups = await GroupsService.StartAsync(servers, replicas: 2);
        using var stop = new CancellationTokenSource();
        var registering = Enumerable.Range(1, 2).Select(replica => Task.Run(async () =>
        {
            var registered = new List<Guid>();
            while (!stop.IsCancellationRequested)
            {
                var id = Guid.NewGuid();
                await Eventually.Async(async () => (await groups.PostAsync("/v1/providers", groups.Operator, Entry(id: id), replica)).Status == HttpStatusCode.Created, $"{id} is registered");
                registered.Add(id);
            }
            return registered;
        })).ToList();
        Guid last = default;
        for (var round = 0; round < 4; round++)
        {
            last = await groups.ImposeAsync();
            await Task.Delay(150, TestContext.Current.CancellationToken);
            if (round < 3)
                await groups.LiftAsync(last);
        }
        await stop.CancelAsync();
        var all = (await Task.WhenAll(registering)).SelectMany(one => one).ToList();
        Assert.NotEmpty(all);
        await Eventually.Async(async () => await groups.QueryAsync<long>("select count(*) from huzhu.mt_doc_responderview where data -> 'provider' ->> 'opening' = 'closed'") == all.Count, "all are closed");
        await groups.LiftAsync(last);
        await Eventually.Async(async () => await groups.QueryAsync<long>("select count(*) from huzhu.mt_doc_responderview where data -> 'provider' ->> 'opening' = 'open'") == all.Count, "all are open");
        foreach (var provider in all)
            Assert.Equal("open", await groups.OpeningOfAsync(provider));
    }

    [Fact]
    public async Task replicas_that_change_one_provider_at_once_agree_and_tell_growing_versions()
    {
        await using var groups = await GroupsService.StartAsync(servers, replicas: 2);
        var id = await groups.ProviderAsync();
        await Parallel.ForEachAsync(Enumerable.Range(0, 60), new ParallelOptions { MaxDegreeOfParallelism = 6 }, async (index, _) =>
        {
            var answer = await groups.PostAsync($"/v1/providers/{id}/{(index % 3 == 0 ? "closures" : index % 3 == 1 ? "reopenings" : index % 2 == 0 ? "pause" : "resume")}", groups.Operator, new { reason = $"r{index}" }, 1 + index % 2);
            // A conflict that lasts is a 503 that may be tried again; anything else is an error.
            Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, $"{answer.Status}: {answer.Body}");
        });
        var version = (long)(await groups.GetAsync($"/v1/providers/{id}", groups.Operator)).Body!["version"]!;
        Assert.Equal(version, await groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}'"));
        var told = await VersionsToldAsync(groups, id, await groups.QueryAsync<long>($"select max(version) from huzhu.mt_events where stream_id = '{id}' and type not in ('closure_published', 'reopening_published')"));
        Assert.Equal(told.Distinct().Order(), told.Distinct());
        await AssertViewsEqualRebuiltOnesAsync(groups);
    }

    [Fact]
    public async Task events_wait_while_the_database_is_away_and_none_is_lost_or_dead_lettered()
    {
        FaultProxy? path = null;
        await using var groups = await GroupsService.StartAsync(servers, through: (database, amqp) =>
        {
            var connection = new NpgsqlConnectionStringBuilder(database);
            path = new FaultProxy(connection.Port);
            return (new NpgsqlConnectionStringBuilder(database) { Port = path.Port, Timeout = 2 }.ConnectionString, amqp);
        });
        await using var _ = path!;
        var providers = new List<Guid>();
        for (var index = 0; index < 20; index++)
            providers.Add(await groups.ProviderAsync());

        path!.TakeAway();
        foreach (var (provider, index) in providers.Select((provider, index) => (provider, index)))
            await PublishBinaryAsync(groups, provider, Closed, $"away-{index}");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await groups.PostAsync("/v1/providers", groups.Operator, Entry())).Status);
        Assert.Equal("Healthy", await HealthAsync(groups, "live"));
        Assert.Equal("Unhealthy", await HealthAsync(groups, "ready"));
        await Task.Delay(3000, TestContext.Current.CancellationToken);
        path.Mend();

        foreach (var provider in providers)
            await groups.OpeningBecomesAsync(provider, "closed");
        Assert.Empty(await DeadLettersAsync(groups));
        Assert.Equal(20, await groups.QueryAsync<long>("select count(*) from huzhu.mt_events where type = 'closure_published'"));
    }

    [Fact]
    public async Task the_consumer_comes_back_after_the_broker_was_away_and_says_when_it_is_not_there()
    {
        FaultProxy? path = null;
        await using var groups = await GroupsService.StartAsync(servers, through: (database, amqp) =>
        {
            var address = new UriBuilder(amqp);
            path = new FaultProxy(address.Port);
            address.Port = path.Port;
            return (database, address.Uri.AbsoluteUri);
        });
        await using var _ = path!;
        var id = await groups.ProviderAsync();
        await PublishBinaryAsync(groups, id, Closed, "before");
        await groups.OpeningBecomesAsync(id, "closed");

        path!.TakeAway();
        await Eventually.Async(async () => await HealthAsync(groups, "ready") == "Degraded", "it says that the broker is away");
        await PublishBinaryAsync(groups, id, Reopened, "meanwhile");
        // The directory goes on: what is registered meanwhile is told when the broker is back.
        var other = await groups.ProviderAsync();
        path.Mend();
        await groups.OpeningBecomesAsync(id, "open");
        await groups.ToldOfAsync(other, 1);
        await Eventually.Async(async () => await HealthAsync(groups, "ready") == "Healthy", "it says that the broker is back");
    }

    [Fact]
    public async Task another_replica_reads_on_when_the_reading_one_is_killed()
    {
        await using var groups = await GroupsService.StartAsync(servers, replicas: 2);
        var providers = new List<Guid>();
        for (var index = 0; index < 40; index++)
            providers.Add(await groups.ProviderAsync());
        foreach (var provider in providers)
            await PublishBinaryAsync(groups, provider, Closed, $"k-{provider}");
        await groups.Host["groups", 2].KillAsync();
        foreach (var provider in providers)
            await PublishBinaryAsync(groups, provider, Reopened, $"r-{provider}");
        await groups.Host["groups", 2].RestartAsync(TestContext.Current.CancellationToken);
        await groups.Host["groups", 1].KillAsync();
        foreach (var provider in providers)
            await PublishBinaryAsync(groups, provider, Closed, $"l-{provider}");
        await groups.Host["groups", 1].RestartAsync(TestContext.Current.CancellationToken);
        await Eventually.Async(async () => await groups.QueryAsync<long>("select count(*) from huzhu.mt_events where type in ('closure_published', 'reopening_published')") == 120, "every event is recorded once");
        foreach (var provider in providers)
            Assert.Equal("closed", await groups.OpeningOfAsync(provider));
        Assert.Empty(await DeadLettersAsync(groups));
    }

    private static Task<long> HeldAsync(GroupsService groups) => groups.QueryAsync<long>("select count(distinct stream_id) from huzhu.mt_events where type = 'provider_held_by_measure'");

    private static async Task<string> HealthAsync(GroupsService groups, string which)
    {
        using var http = new HttpClient();
        return await (await http.GetAsync(new Uri(groups.Host["groups"].BaseAddress, $"health/{which}"))).Content.ReadAsStringAsync();
    }

    private static async Task<IReadOnlyList<long>> VersionsToldAsync(GroupsService groups, Guid responder, long last)
    {
        await groups.ToldOfAsync(responder, last);
        return [.. groups.Told.Where(one => one.ResponderId.Value == responder).Select(one => one.Version)];
    }

    private static async Task AssertViewsEqualRebuiltOnesAsync(GroupsService groups)
    {
        async Task<string> Documents(string table) => await groups.QueryAsync<string>($"select coalesce(string_agg(id || data::text, '\n' order by id), '') from huzhu.{table}");
        var live = (await Documents("mt_doc_responderview"), await Documents("mt_doc_measureview"));
        await using var store = DocumentStore.For(options =>
        {
            options.Connection(groups.Database);
            options.DatabaseSchemaName = EventStore.Schema;
            options.Serializer(EventStore.CreateSerializer());
            options.Events.UseAdvisoryLockTransaction = true;
            options.Events.AddEventTypes([.. EventStore.EventsOf<GroupEvent>(), .. EventStore.EventsOf<ProviderEvent>(), .. EventStore.EventsOf<MeasureEvent>()]);
            options.AutoCreateSchemaObjects = JasperFx.AutoCreate.None;
            options.AddViews();
        });
        using var daemon = await store.BuildProjectionDaemonAsync();
        await daemon.RebuildProjectionAsync<ResponderViewProjection>(CancellationToken.None);
        await daemon.RebuildProjectionAsync<MeasureViewProjection>(CancellationToken.None);
        Assert.NotEqual("", live.Item1);
        Assert.Equal(live, (await Documents("mt_doc_responderview"), await Documents("mt_doc_measureview")));
    }
}
