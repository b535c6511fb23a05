using System.Net;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Microsoft.AspNetCore.Builder;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>What a process needs before it takes work: the schema once, the database always, the broker once.</summary>
public sealed class StartTests(Servers servers)
{
    private const string NobodyListens = "amqp://huzhu:huzhu@127.0.0.1:1/huzhu";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task without_its_tables_a_service_names_them_and_does_not_start()
    {
        var database = await servers.CreateDatabaseAsync("start");
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => RunAsync(database));
        Assert.Contains("huzhu.mt_events,", refusal.Message);
        Assert.Contains("huzhu.timers", refusal.Message);
        Assert.Contains("--migrate", refusal.Message);
    }

    [Fact]
    public async Task a_migrated_database_is_enough_and_a_newer_one_too()
    {
        var database = await servers.CreateDatabaseAsync("start");
        await RunAsync(database, "--migrate");
        await StartAndStopAsync(database);
        await ExecuteAsync(database, "alter table huzhu.timers add column reason text; create table huzhu.later (id uuid)");
        await StartAndStopAsync(database);
    }

    [Theory]
    [InlineData("alter table huzhu.timers drop column attempts", "huzhu.timers.attempts")]
    [InlineData("drop table huzhu.person_keys", "huzhu.person_keys")]
    public async Task what_is_missing_is_named_and_nothing_else(string loss, string named)
    {
        var database = await servers.CreateDatabaseAsync("start");
        await RunAsync(database, "--migrate");
        await ExecuteAsync(database, loss);
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => RunAsync(database));
        Assert.StartsWith($"The database lacks {named}. ", refusal.Message);
    }

    [Fact]
    public async Task a_service_that_has_never_reached_the_broker_is_alive_and_not_ready()
    {
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("start"), NobodyListens);
        using var http = new HttpClient { BaseAddress = service.Address };
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(Hosting.LivePath, TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await http.GetAsync(Hosting.ReadyPath, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task a_service_that_stops_answers_whoever_still_calls_and_lets_their_connections_go()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("start"), await servers.CreateVirtualHostAsync("start"));
        using var http = new HttpClient { BaseAddress = service.Address };
        async Task<HttpResponseMessage> CallAsync() => await http.GetAsync(new Uri("/refused", UriKind.Relative), cancellation);
        using var before = await CallAsync();
        Assert.NotEqual(true, before.Headers.ConnectionClose);

        var stopping = service.App.StopAsync(cancellation);
        var letGo = false;
        while (!letGo)
        {
            using var answer = await CallAsync();
            Assert.Equal(before.StatusCode, answer.StatusCode);
            letGo = answer.Headers.ConnectionClose == true;
        }
        using var ready = await http.GetAsync(Hosting.ReadyPath, cancellation);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(CallAsync);
    }

    [Fact]
    public async Task a_service_that_has_reached_the_broker_stays_ready_without_it()
    {
        var broker = await servers.CreateVirtualHostAsync("start");
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("start"), broker);
        using var http = new HttpClient { BaseAddress = service.Address };
        await UntilAnswerAsync(http, "Healthy");
        await (await servers.InfrastructureAsync()).RabbitMq.DeleteVirtualHostAsync(new Uri(broker).AbsolutePath[1..], TestContext.Current.CancellationToken);
        await UntilAnswerAsync(http, "Degraded");
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(Hosting.ReadyPath, TestContext.Current.CancellationToken)).StatusCode);
    }

    private static async Task UntilAnswerAsync(HttpClient http, string expected)
    {
        var answer = "none";
        for (var deadline = DateTime.UtcNow + Patience; DateTime.UtcNow < deadline; await Task.Delay(100))
        {
            using var response = await http.GetAsync(Hosting.ReadyPath);
            answer = await response.Content.ReadAsStringAsync();
            if (answer == expected)
                return;
        }
        Assert.Fail($"Readiness stayed {answer} and never became {expected}.");
    }

    private static WebApplication Build(string database) =>
        SampleService.Build(database, NobodyListens, settings: ["--EventStore:ApplySchema", "false"]);

    private static async Task RunAsync(string database, params string[] args)
    {
        await using var app = Build(database);
        await app.RunHuzhuAsync(args);
    }

    private static async Task StartAndStopAsync(string database)
    {
        await using var app = Build(database);
        var running = app.RunHuzhuAsync([]);
        await Task.WhenAny(running, Task.Delay(Patience, app.Lifetime.ApplicationStarted));
        Assert.True(app.Lifetime.ApplicationStarted.IsCancellationRequested, $"It did not start: {running.Exception?.InnerException?.Message}");
        await app.StopAsync();
        await running;
    }

    private static async Task ExecuteAsync(string database, string sql)
    {
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
