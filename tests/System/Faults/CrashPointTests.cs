using System.Globalization;
using System.Text;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Huzhu.TestKit;
using RabbitMQ.Client;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// A service dies at a chosen step between append, relay, confirm, consume and acknowledge. The step is caught on the wire,
/// where the process stands still and is killed: nothing in the services knows of this. After each the need goes on to
/// its end, and at the end the logs keep every promise.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed class CrashPointTests(Servers servers, ITestOutputHelper output)
{
    private static readonly TimeSpan ReachedWithin = TimeSpan.FromSeconds(20);

    /// <summary>Which steps each of them takes, for one need or for one word of a provider, and how often a step is caught further on.</summary>
    private static IEnumerable<(string Service, WireStep Step, int Nth)> AllPoints() =>
        from service in Repository.ServiceNames
        from step in Enum.GetValues<WireStep>()
        from nth in new[] { 1, 2 }
        select (service, step, nth);

    [Fact]
    public async Task a_service_that_dies_at_any_step_goes_on_where_it_was()
    {
        var chance = new Random(FaultSettings.Seed);
        var points = AllPoints().ToArray();
        chance.Shuffle(points);
        if (!FaultSettings.IsLong)
            points = points[..(FaultSettings.IsAsked ? 3 : 1)];
        output.WriteLine($"Seed {FaultSettings.Seed}, {points.Length} crash points.");

        await using var wired = await WiredServices.StartAsync(servers, "crash");
        await using var load = new FaultLoad(wired.Services);
        await load.RegisterGroupsAsync("crash", groups: 2);
        await load.SubmitAsync($"crash-{FaultSettings.Seed}-first");

        await using var connection = await new ConnectionFactory { Uri = wired.Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));

        var caught = new List<string>();
        foreach (var (index, (service, step, nth)) in points.Index())
        {
            var proxy = step is WireStep.Commit or WireStep.Committed ? wired.Databases[service] : wired.Brokers[service];
            // Groups hears of no need: what it does is done for a provider that says that it closes.
            var providers = new List<Guid>();
            while (service == "groups" && providers.Count < nth)
                providers.Add(await load.RegisterProviderAsync($"crash {index} {providers.Count}"));
            var reached = proxy.StopAt(step, nth);
            // Some steps come with the next need: a page tells more than one, an acknowledgement is for several.
            var work = Task.WhenAll(service == "groups"
                ? providers.Select(provider => CloseAsync(channel, provider, load))
                : Enumerable.Range(0, nth).Select(need => load.SubmitAsync($"crash-{FaultSettings.Seed}-{index}-{need}")));
            if (await Task.WhenAny(reached, Task.Delay(ReachedWithin)) == reached)
            {
                caught.Add($"{service} {step} {nth}");
                await wired.Services[service].KillAsync();
            }
            else
            {
                output.WriteLine($"{service} takes no step {step} for the {nth}th time.");
            }
            proxy.Release();
            if (!wired.Services[service].IsAlive)
                await wired.Services[service].RestartAsync();
            await work;
        }
        await load.CheckAsync(wired.ConnectionStrings, TimeSpan.FromMinutes(5));
        output.WriteLine($"{caught.Count} of {points.Length} caught, each recovered: {string.Join(", ", caught)}.");
        Assert.Equal(points.Length, caught.Count);
    }

    /// <summary>The provider's own system says so on its exchange; that the broker has it is the promise.</summary>
    private static async Task CloseAsync(IChannel channel, Guid provider, FaultLoad load)
    {
        var properties = new BasicProperties
        {
            ContentType = "application/json",
            DeliveryMode = DeliveryModes.Persistent,
            Headers = new Dictionary<string, object?>
            {
                ["cloudEvents_specversion"] = "1.0",
                ["cloudEvents_id"] = $"{provider}",
                ["cloudEvents_source"] = "urn:crash",
                ["cloudEvents_type"] = "org.huzhu.provider.closed.v1",
                ["cloudEvents_subject"] = $"{provider}",
                ["cloudEvents_time"] = DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture),
            },
        };
        await channel.BasicPublishAsync("huzhu.providers", "crash.closures", mandatory: true, properties, Encoding.UTF8.GetBytes("""{"reason":"lockdown"}"""));
        load.Promise(new AcceptedCall(Call.PublishClosure, provider, [], "", DateTimeOffset.UtcNow));
    }
}
