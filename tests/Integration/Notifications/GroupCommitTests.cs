using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>Appends that are committed together must not share a fate that belongs to one of them.</summary>
public sealed class GroupCommitTests(Servers servers)
{
    [Fact]
    public async Task a_conflict_is_told_to_its_own_caller_and_all_others_are_committed()
    {
        using var host = await StoreAsync();
        var store = host.Services.GetRequiredService<IDocumentStore>();
        using var commit = new GroupCommit(store);
        var taken = Guid.CreateVersion7();
        await commit.CommitAsync(Start(taken));

        // Every tenth append starts a stream that is there already, so that groups hold good and bad ones.
        var appends = Enumerable.Range(0, 200).Select(number => number % 10 == 3 ? Start(taken) : Start(Guid.CreateVersion7())).ToList();
        var results = await Task.WhenAll(appends.Select(append => Task.Run(async () => await Record.ExceptionAsync(() => commit.CommitAsync(append)))));

        await using var session = store.QuerySession();
        foreach (var (append, failure) in appends.Zip(results))
        {
            Assert.Equal(append.Stream == taken, failure is not null);
            Assert.Single(await session.Events.FetchStreamAsync(append.Stream, token: TestContext.Current.CancellationToken));
        }
        Assert.Equal(181, await session.Query<NotificationEntry>().CountAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task of_two_appends_to_the_same_version_one_wins()
    {
        using var host = await StoreAsync();
        var store = host.Services.GetRequiredService<IDocumentStore>();
        using var commit = new GroupCommit(store);
        var streams = Enumerable.Range(0, 20).Select(_ => Guid.CreateVersion7()).ToList();
        await Task.WhenAll(streams.Select(stream => commit.CommitAsync(Start(stream))));

        var dropped = new NotificationDropped("overtaken", null, DateTimeOffset.UtcNow);
        var results = await Task.WhenAll(streams.Concat(streams).Select(stream => Task.Run(async () => await Record.ExceptionAsync(
            () => commit.CommitAsync(new PendingAppend(stream, 1, [dropped], null, "a-timer", Cause.Current()))))));

        Assert.Equal(20, results.Count(failure => failure is null));
        await using var session = store.QuerySession();
        foreach (var stream in streams)
            Assert.Equal(2, (await session.Events.FetchStreamAsync(stream, token: TestContext.Current.CancellationToken)).Count);
    }

    private static PendingAppend Start(Guid stream)
    {
        var waiting = new NeedStateChanged(new NeedId(Guid.CreateVersion7()), new RequestId(Guid.CreateVersion7()), 1, NeedState.Waiting, null, null, null, 1, DateTimeOffset.UtcNow);
        return new PendingAppend(stream, 0, [Messages.Of(waiting, Guid.CreateVersion7(), DateTimeOffset.UtcNow).Single()], null, "a-timer", Cause.Current());
    }

    /// <summary>The service's store on a database of its own; nothing of the service runs.</summary>
    private async Task<IHost> StoreAsync()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["ConnectionStrings:EventStore"] = await servers.CreateDatabaseAsync("group_commit");
        builder.Configuration["ConnectionStrings:Broker"] = await servers.CreateVirtualHostAsync();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.AddEventStore(EventStore.EventsOf<NotificationEvent>(), Publishing.Map, NotificationIndex.Configure);
        builder.AddMessaging("group-commit", _ => { });
        var host = builder.Build();
        await host.Services.GetRequiredService<IDocumentStore>().Storage.ApplyAllConfiguredChangesToDatabaseAsync();
        return host;
    }
}
