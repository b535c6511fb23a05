using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// All connections of all services to their databases and the broker end at once, again and again under load: cut, slow and
/// then cut, or half-open, where nothing says that the other side is gone. No promise is broken, and when all is over there
/// are as many connections as before.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class ReconnectTests(Servers servers, ITestOutputHelper output)
{
    private const int Kinds = 6;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    [Fact]
    public async Task storms_of_reconnections_break_no_promise_and_leave_no_connection_behind()
    {
        Assert.SkipUnless(FaultSettings.IsAsked, "HUZHU_FAULTS=short asks for it.");
        var storms = FaultSettings.IsLong ? 60 : Kinds;
        var chance = new Random(FaultSettings.Seed);
        var infrastructure = await servers.InfrastructureAsync();
        await using var wired = await WiredServices.StartAsync(servers, "reconnect");
        await using var load = new FaultLoad(wired.Services);
        await load.RegisterGroupsAsync("reconnect");

        // Before too there have been storms, of each kind one: by then everything has been connected once that ever is.
        await UnderLoadAsync("first", Kinds);
        (int Database, int Broker, int Channels) before = default, after = default;
        await Client.EventuallyAsync("every service to have its connections again", async () =>
        {
            before = await MostAsync();
            return (AreThere(before), JsonValue.Create($"{before}"));
        });
        await UnderLoadAsync("then", storms);
        await Client.EventuallyAsync($"as many connections as before: {before}", async () =>
        {
            after = await MostAsync();
            return (AreThere(after) && after.Database <= before.Database && after.Broker <= before.Broker && after.Channels <= before.Channels, JsonValue.Create($"{after}"));
        });
        output.WriteLine($"Connections to the database, to the broker, channels: {before} before, {after} afterwards.");

        // Each service has one to each at least: a count of nothing would be bounded too.
        static bool AreThere((int Database, int Broker, int Channels) counted) =>
            counted.Database >= Repository.ServiceNames.Count && counted.Broker >= Repository.ServiceNames.Count;

        async Task UnderLoadAsync(string name, int count)
        {
            var (told, failed) = (load.Accepted.Count, load.Failures.Count);
            var storming = StormAsync(count);
            var submitted = await load.SubmitSteadilyAsync($"reconnect-{FaultSettings.Seed}-{name}", FaultSettings.Rate, storming);
            await storming;
            var calmed = System.Diagnostics.Stopwatch.StartNew();
            await load.CheckAsync(wired.ConnectionStrings, Patience);
            output.WriteLine($"Seed {FaultSettings.Seed}, {name}: {count} storms, {submitted} requests, {load.Accepted.Count - told} answers with a 2xx, {load.Failures.Count - failed} attempts failed on the way; at rest {calmed.Elapsed.TotalSeconds:0} s after the last.");
            Assert.Equal(submitted, load.Accepted.Skip(told).Count(call => call.Call is Call.Submit));
            // At rest, so that what there is, is what is always there.
            CutAll();
        }

        void CutAll()
        {
            foreach (var proxy in wired.Proxies)
                proxy.Cut();
        }

        void All(Action<FaultProxy> change)
        {
            foreach (var proxy in wired.Proxies)
                change(proxy);
        }

        async Task StormAsync(int count)
        {
            for (var storm = 0; storm < count; storm++)
            {
                await Task.Delay(chance.Next(500, 2000));
                var length = chance.Next(1000, FaultSettings.IsLong ? 8000 : 2000);
                switch (storm % Kinds)
                {
                    case 0:
                        CutAll();
                        break;
                    case 1:
                        var latency = TimeSpan.FromMilliseconds(chance.Next(20, 200));
                        All(proxy => proxy.Latency = latency);
                        await Task.Delay(length);
                        CutAll();
                        All(proxy => proxy.Latency = TimeSpan.Zero);
                        break;
                    default:
                        All(proxy => (proxy.LosesRequests, proxy.LosesAnswers) = (storm % 2 == 0, true));
                        await Task.Delay(length);
                        All(proxy => proxy.LosesRequests = proxy.LosesAnswers = false);
                        // The last two are left to whoever finds out by itself.
                        if (storm % Kinds < 4)
                            CutAll();
                        break;
                }
            }
        }

        // The most within a few seconds, because what is done now and then comes and goes.
        async Task<(int Database, int Broker, int Channels)> MostAsync()
        {
            await Task.Delay(TimeSpan.FromSeconds(5));
            var most = (Database: 0, Broker: 0, Channels: 0);
            for (var sample = 0; sample < 5; sample++)
            {
                await Task.Delay(TimeSpan.FromSeconds(1));
                var connections = await infrastructure.RabbitMq.Management.GetFromJsonAsync<JsonArray>($"api/vhosts{wired.Broker.AbsolutePath}/connections") ?? [];
                most = (Math.Max(most.Database, await SessionsAsync()), Math.Max(most.Broker, connections.Count),
                    Math.Max(most.Channels, connections.Sum(connection => (int?)connection!["channels"] ?? 0)));
            }
            return most;
        }

        async Task<int> SessionsAsync()
        {
            await using var server = NpgsqlDataSource.Create(infrastructure.Postgres.ConnectionString("postgres") + ";Pooling=false");
            await using var command = server.CreateCommand("select count(*)::int from pg_stat_activity where datname = any($1)");
            command.Parameters.Add(new NpgsqlParameter { Value = wired.ConnectionStrings.Values.Select(text => new NpgsqlConnectionStringBuilder(text).Database).ToArray() });
            return (int)(await command.ExecuteScalarAsync())!;
        }
    }
}
