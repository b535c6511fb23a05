using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.Unit.OneMachine;

public sealed class RunFolderTests : IDisposable
{
    static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    readonly Repository _repository = new(Directory.CreateTempSubdirectory("huzhu run folder ").FullName);

    public void Dispose() => Directory.Delete(_repository.Root, recursive: true);

    [Fact]
    public async Task what_was_started_ends_with_the_run()
    {
        var run = await RunFolder.CreateAsync(_repository, "test");
        var process = Sleep(run);
        await RecordedAsync(run, 1);

        await run.DisposeAsync();

        Assert.False(process.IsAlive);
        Assert.False(Directory.Exists(run.FullPath));
    }

    [Fact]
    public async Task the_next_run_ends_what_a_dead_one_left()
    {
        var dead = await RunFolder.CreateAsync(_repository, "test");
        var left = Sleep(dead);
        await RecordedAsync(dead, 1);
        // Nobody has this number: the kernel's highest is 4,194,304.
        await File.WriteAllTextAsync(Path.Combine(dead.FullPath, "owner"), "4999999 1\n", TestContext.Current.CancellationToken);

        await using var next = await RunFolder.CreateAsync(_repository, "test");

        Assert.False(left.IsAlive);
        Assert.False(Directory.Exists(dead.FullPath));
        Assert.True(next.IsLive);
    }

    [Fact]
    public async Task a_process_that_only_got_the_same_number_is_left_alone()
    {
        await using var other = await RunFolder.CreateAsync(_repository, "test");
        var bystander = Sleep(other);

        var run = await RunFolder.CreateAsync(_repository, "test");
        await File.AppendAllTextAsync(
            Path.Combine(run.FullPath, "pids"), $"process {bystander.Pid} 1 KILL somebody\n", TestContext.Current.CancellationToken);
        await run.DisposeAsync();

        Assert.True(bystander.IsAlive);
    }

    [Fact]
    public async Task a_detached_run_lives_on_until_it_is_stopped()
    {
        var run = await RunFolder.CreateAsync(_repository, "test");
        var process = Sleep(run);
        await RecordedAsync(run, 1);
        run.Detach();
        await File.WriteAllTextAsync(Path.Combine(run.FullPath, "owner"), "4999999 1\n", TestContext.Current.CancellationToken);

        Assert.Equal(0, await RunFolder.SweepAsync(_repository));
        Assert.True(process.IsAlive);

        await RunFolder.Existing(_repository).Single().StopRecordedAsync(Soon);

        Assert.False(process.IsAlive);
        Assert.Empty(RunFolder.Existing(_repository));
    }

    [Fact]
    public async Task the_logs_of_a_failure_are_kept()
    {
        var run = await RunFolder.CreateAsync(_repository, "test");
        await File.WriteAllTextAsync(Path.Combine(run.LogsFolder, "matching.log"), "why", TestContext.Current.CancellationToken);
        run.KeepLogs = true;

        await run.DisposeAsync();

        Assert.Equal("why", await File.ReadAllTextAsync(
            Path.Combine(run.KeptLogsFolder, "matching.log"), TestContext.Current.CancellationToken));
    }

    static ChildProcess Sleep(RunFolder run) => run.Start(new ChildStart(
        "sleeper", "sleep", ["600"], new Dictionary<string, string?>(), Path.Combine(run.LogsFolder, "sleeper.log")));

    static async Task RecordedAsync(RunFolder run, int count)
    {
        for (var waited = TimeSpan.Zero; run.Processes().Count < count; waited += TimeSpan.FromMilliseconds(20))
        {
            Assert.True(waited < Soon, "The process did not write itself into the run's list.");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }
}
