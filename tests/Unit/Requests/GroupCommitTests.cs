using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using JasperFx;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Unit.Requests;

public class GroupCommitTests
{
    private sealed class Numbers(int capacity = 100, int pageSize = 10) : GroupCommit<int, string>(capacity, pageSize, NullLogger.Instance)
    {
        public List<int[]> Pages { get; } = [];
        public Func<IReadOnlyList<int>, Task> Before { get; set; } = _ => Task.CompletedTask;

        protected override async Task<IReadOnlyList<string>> CommitAsync(IReadOnlyList<int> items, CancellationToken cancellation)
        {
            Pages.Add([.. items]);
            await Before(items);
            return [.. items.Select(item => $"<{item}>")];
        }
    }

    private static async Task<Numbers> StartAsync(Numbers numbers)
    {
        await numbers.StartAsync(TestContext.Current.CancellationToken);
        return numbers;
    }

    private static Task<string[]> AddAll(Numbers numbers, IEnumerable<int> items) => Task.WhenAll(items.Select(item => numbers.TryAdd(item)!));

    [Fact]
    public async Task what_comes_while_a_commit_runs_goes_together_into_the_next_and_everybody_gets_its_own_answer()
    {
        var first = new TaskCompletionSource();
        var numbers = await StartAsync(new Numbers { Before = items => items.Contains(0) ? first.Task : Task.CompletedTask });
        var zero = numbers.TryAdd(0)!;
        while (numbers.Pages.Count == 0)
            await Task.Delay(1, TestContext.Current.CancellationToken);
        var others = AddAll(numbers, Enumerable.Range(1, 15));
        first.SetResult();
        Assert.Equal("<0>", await zero);
        Assert.Equal(Enumerable.Range(1, 15).Select(item => $"<{item}>"), await others);
        Assert.Equal([1, 10, 5], numbers.Pages.Select(page => page.Length));
        await numbers.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task one_that_cannot_be_committed_harms_no_other()
    {
        var numbers = new Numbers { Before = items => items.Contains(3) ? throw new FormatException("three") : Task.CompletedTask };
        var answers = Enumerable.Range(1, 5).Select(item => numbers.TryAdd(item)!).ToList();
        await StartAsync(numbers);
        foreach (var (item, answer) in Enumerable.Range(1, 5).Zip(answers))
            if (item == 3)
                await Assert.ThrowsAsync<FormatException>(() => answer);
            else
                Assert.Equal($"<{item}>", await answer);
        await numbers.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task a_lost_race_is_decided_again()
    {
        var losses = 3;
        var numbers = await StartAsync(new Numbers { Before = _ => losses-- > 0 ? throw new ConcurrencyException(typeof(int), 1) : Task.CompletedTask });
        Assert.Equal("<1>", await numbers.TryAdd(1)!);
        Assert.Equal(4, numbers.Pages.Count);
        await numbers.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task a_race_that_is_always_lost_ends_in_an_error()
    {
        var numbers = await StartAsync(new Numbers { Before = _ => throw new ConcurrencyException(typeof(int), 1) });
        await Assert.ThrowsAsync<ConcurrencyException>(() => numbers.TryAdd(1)!);
        await numbers.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task when_the_database_is_away_all_are_told_at_once()
    {
        var numbers = new Numbers { Before = _ => throw new NpgsqlException("away", new TimeoutException()) };
        var answers = Enumerable.Range(1, 5).Select(item => numbers.TryAdd(item)!).ToList();
        await StartAsync(numbers);
        foreach (var answer in answers)
            await Assert.ThrowsAsync<NpgsqlException>(() => answer);
        Assert.Single(numbers.Pages);
        await numbers.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task a_full_queue_takes_no_more_and_those_who_wait_are_answered_before_the_end()
    {
        var numbers = new Numbers(capacity: 3);
        var answers = Enumerable.Range(1, 3).Select(item => numbers.TryAdd(item)!).ToList();
        Assert.Null(numbers.TryAdd(4));
        await StartAsync(numbers);
        await numbers.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["<1>", "<2>", "<3>"], await Task.WhenAll(answers));
        Assert.Null(numbers.TryAdd(5));
    }

    public static TheoryData<Exception, bool> Failures => new()
    {
        { new ConcurrencyException(typeof(int), 1), true },
        { new JasperFx.Events.EventStreamUnexpectedMaxEventIdException("x"), true },
        { new AggregateException(new InvalidOperationException(), new ConcurrencyException(typeof(int), 1)), true },
        { new InvalidOperationException("", new PostgresException("", "", "", PostgresErrorCodes.UniqueViolation)), true },
        { new PostgresException("", "", "", PostgresErrorCodes.DeadlockDetected), true },
        { new PostgresException("", "", "", PostgresErrorCodes.UndefinedTable), false },
        { new FormatException(), false },
    };

    [Theory, MemberData(nameof(Failures))]
    public void a_conflict_is_told_from_other_failures(Exception exception, bool isConflict) => Assert.Equal(isConflict, Conflict.Is(exception));
}
