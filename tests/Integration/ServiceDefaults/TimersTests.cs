using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

public sealed class TimersTests(Servers servers)
{
    [Fact]
    public async Task a_timer_fires_once_when_due_and_not_before_whichever_replica_takes_it()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("timers"), await servers.CreateVirtualHostAsync());
        await using var first = await SampleService.StartAsync(database, broker);
        await using var second = await SampleService.StartAsync(database, broker);
        var (due, later) = (Guid.NewGuid(), Guid.NewGuid());
        await ScheduleAsync(first, due, TimeSpan.FromMilliseconds(100));
        await ScheduleAsync(first, later, TimeSpan.FromHours(1));

        await Received.UntilAsync(() => Fired(first, second).Contains(due), "the due timer fires");
        await Task.Delay(500, TestContext.Current.CancellationToken);
        Assert.Equal([due], Fired(first, second));
    }

    [Fact]
    public async Task a_timer_outlives_the_process_that_scheduled_it()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("timers"), await servers.CreateVirtualHostAsync());
        var subject = Guid.NewGuid();
        await using (var first = await SampleService.StartAsync(database, broker))
            await ScheduleAsync(first, subject, TimeSpan.FromSeconds(1.5));
        await using var second = await SampleService.StartAsync(database, broker);
        await Received.UntilAsync(() => second.Received.Timers.Contains(subject), "another process fires the timer");
    }

    [Fact]
    public async Task a_timer_of_a_rolled_back_transaction_does_not_exist()
    {
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("timers"), await servers.CreateVirtualHostAsync());
        var existing = await service.AppendAsync("there");
        await using (var session = service.Store.LightweightSession())
        {
            session.Events.StartStream(existing, new SampleService.SomethingHappened("again"));
            session.Schedule("sample", existing, DateTimeOffset.UtcNow);
            await Assert.ThrowsAnyAsync<Exception>(() => session.SaveChangesAsync(TestContext.Current.CancellationToken));
        }
        await Task.Delay(500, TestContext.Current.CancellationToken);
        Assert.Empty(service.Received.Timers);
    }

    private static List<Guid> Fired(params SampleService[] replicas) => [.. replicas.SelectMany(replica => replica.Received.Timers)];

    private static async Task ScheduleAsync(SampleService service, Guid subject, TimeSpan after)
    {
        await using var session = service.Store.LightweightSession();
        session.Schedule("sample", subject, DateTimeOffset.UtcNow + after);
        await session.SaveChangesAsync();
    }
}
