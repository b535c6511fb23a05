using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>docs/operations/backup.md, done: the copy of a moment keeps every promise made until then, and goes on.</summary>
[Collection(FaultCollection.Name)]
public sealed class BackupTests(FaultFixture fixture, ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Path.Combine("/var/tmp", $"huzhu-backup-{Guid.NewGuid():N}");

    public void Dispose()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task a_copy_of_a_moment_keeps_what_was_promised_until_then_and_goes_on()
    {
        Assert.SkipUnless(FaultSettings.IsAsked, "HUZHU_FAULTS=short asks for it.");
        var huzhu = fixture.Huzhu;
        var cancellation = TestContext.Current.CancellationToken;
        Assert.SkipUnless(await Provisioning.FindPostgresAsync(Repository.Find(), Narrator.Silent, cancellation) is Installation.Native, "Containers keep their data to themselves.");
        var bin = ((Installation.Native)await Provisioning.FindPostgresAsync(Repository.Find(), Narrator.Silent, cancellation)).Folder;
        var (prefix, connectionString) = (Guid.NewGuid().ToString("N"), huzhu.Description.Databases["requests"]);

        await using var load = new FaultLoad(huzhu.Services);
        await load.RegisterGroupsAsync("backup", groups: 4);
        await load.SubmitSteadilyAsync($"{prefix}-before", FaultSettings.Rate, Task.Delay(1000, cancellation));
        var backup = await PostgresBackup.TakeAsync(bin, huzhu.Infrastructure.Run.Id, connectionString, _folder, cancellation);

        // In the middle of things.
        var submitting = load.SubmitSteadilyAsync($"{prefix}-meanwhile", FaultSettings.Rate, Task.Delay(4000, cancellation));
        await Task.Delay(2000, cancellation);
        var moment = DateTimeOffset.UtcNow;
        var promised = load.Accepted.Where(call => call.At < moment).ToList();
        await submitting;
        await load.CheckAsync(huzhu.Description.Databases, TimeSpan.FromMinutes(5));
        await PostgresBackup.CloseLogAsync(connectionString, cancellation);

        await Assert.ThrowsAsync<UsageException>(() => backup.RestoreAsync(bin, _folder, backup.TakenAt.AddHours(-1), huzhu.Infrastructure.Run, cancellation));
        await using var copy = await backup.RestoreAsync(bin, _folder, moment, huzhu.Infrastructure.Run, cancellation);
        var databases = Repository.ServiceNames.ToDictionary(service => service, service => copy.ConnectionString(service, maximumPoolSize: 10));
        await PostgresBackup.SetRelaysBackAsync(databases.Values, cancellation);

        // The broker is a new one: what was in the queues of the old is gone.
        await using var services = await ServiceHost.StartAsync(huzhu.Infrastructure.Run, new ServiceHostOptions
        {
            Databases = databases,
            AmqpUri = await huzhu.Infrastructure.RabbitMq.CreateVirtualHostAsync($"restored-{prefix}", cancellation),
            Keys = huzhu.Services.Options.Keys,
        }, cancellation: cancellation);
        await using var again = new FaultLoad(services, promised);
        await again.SubmitAsync($"{prefix}-after");
        await again.CheckAsync(databases, TimeSpan.FromMinutes(5));
        output.WriteLine($"{promised.Count} promises until {moment:O}; {load.Accepted.Count} in all.");
        Assert.True(load.Accepted.Count > promised.Count, "Nothing was promised after the moment.");

        await SealAndVerifyAsync(databases);
    }

    private async Task SealAndVerifyAsync(IReadOnlyDictionary<string, string> databases)
    {
        var settings = databases.ToDictionary(database => $"ConnectionStrings__{database.Key}", database => database.Value);
        settings["Audit__Folder"] = Path.Combine(_folder, "audit");
        settings["Audit__KeyFile"] = Path.Combine(_folder, "key");
        foreach (var verb in new[] { new[] { "key", settings["Audit__KeyFile"] }, ["seal"], ["verify"] })
        {
            var ran = await Tool.RunAsync("dotnet", [Repository.Find().ServiceAssembly("audit"), .. verb], TimeSpan.FromMinutes(2), settings);
            Assert.True(ran.Succeeded, $"audit {verb[0]}: {ran.Tail}");
        }
    }
}
