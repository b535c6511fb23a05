using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Marten;
using Marten.Services;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>How far the log is complete, whatever is open, rolled back or lost around it.</summary>
public sealed class LogHorizonTests(Servers servers)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task what_is_visible_behind_an_open_transaction_waits_for_it()
    {
        await using var log = await Log.CreateAsync(servers);
        await log.AppendAsync();
        var open = await log.OpenAsync();
        await log.AppendAsync();
        Assert.Equal(1, await log.AdvanceAsync());

        await log.AppendAsync();
        Assert.Equal(1, await log.AdvanceAsync());
        await open.CommitAsync(Cancellation);
        Assert.Equal(4, await log.AdvanceAsync());
        Assert.Equal([1, 2, 3, 4], log.Seen);
    }

    [Fact]
    public async Task what_was_rolled_back_is_passed_over()
    {
        await using var log = await Log.CreateAsync(servers);
        var open = await log.OpenAsync();
        await log.AppendAsync();
        Assert.Equal(0, await log.AdvanceAsync());
        await open.RollbackAsync(Cancellation);
        Assert.Equal(2, await log.AdvanceAsync());
        Assert.Equal([2], log.Seen);
    }

    [Fact]
    public async Task nothing_is_passed_over_while_one_of_several_is_open()
    {
        await using var log = await Log.CreateAsync(servers);
        var (rolledBack, late) = (await log.OpenAsync(), await log.OpenAsync());
        await log.AppendAsync();
        Assert.Equal(0, await log.AdvanceAsync());
        // One that comes after the gap was found, and takes a number above it.
        var later = await log.OpenAsync();
        await log.AppendAsync();
        await rolledBack.RollbackAsync(Cancellation);
        Assert.Equal(0, await log.AdvanceAsync());
        await late.CommitAsync(Cancellation);
        Assert.Equal(3, await log.AdvanceAsync());
        await later.CommitAsync(Cancellation);
        Assert.Equal(5, await log.AdvanceAsync());
        Assert.Equal([2, 3, 4, 5], log.Seen);
    }

    [Fact]
    public async Task the_number_of_a_session_that_was_lost_is_passed_over()
    {
        await using var log = await Log.CreateAsync(servers);
        var open = await log.OpenAsync();
        await log.AppendAsync();
        Assert.Equal(0, await log.AdvanceAsync());
        await log.TerminateAsync(open.Connection!.ProcessID);
        Assert.Equal(2, await log.AdvanceAsync());
        await Assert.ThrowsAsync<PostgresException>(() => open.CommitAsync(Cancellation));
    }

    [Fact]
    public async Task many_events_are_moved_over_page_by_page_and_each_is_seen_once()
    {
        await using var log = await Log.CreateAsync(servers);
        for (var page = 0; page < 5; page++)
            await log.AppendAsync(500);
        for (var before = -1L; before < log.At;)
        {
            before = log.At;
            await log.AdvanceAsync();
        }
        Assert.Equal(Enumerable.Range(1, 2_500).Select(number => (long)number), log.Seen);
    }

    private sealed class Log : IAsyncDisposable
    {
        private readonly SampleService _service;
        private readonly NpgsqlConnection _reader;
        private readonly LogHorizon _horizon = new(0);
        private readonly List<NpgsqlConnection> _open = [];

        private Log(SampleService service, NpgsqlConnection reader) => (_service, _reader) = (service, reader);

        public List<long> Seen { get; } = [];
        public long At => _horizon.At;

        public static async Task<Log> CreateAsync(Servers servers)
        {
            var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("horizon"), await servers.CreateVirtualHostAsync());
            var reader = new NpgsqlConnection(service.App.Configuration["ConnectionStrings:EventStore"]);
            await reader.OpenAsync(Cancellation);
            return new Log(service, reader);
        }

        public async Task AppendAsync(int events = 1)
        {
            await using var session = _service.Store.LightweightSession();
            session.Events.StartStream(Guid.CreateVersion7(), Enumerable.Range(0, events).Select(_ => new SampleService.SomethingHappened("once")));
            await session.SaveChangesAsync(Cancellation);
        }

        /// <summary>Appends, and leaves the transaction open.</summary>
        public async Task<NpgsqlTransaction> OpenAsync()
        {
            var connection = new NpgsqlConnection(_service.App.Configuration["ConnectionStrings:EventStore"]);
            _open.Add(connection);
            await connection.OpenAsync(Cancellation);
            var transaction = await connection.BeginTransactionAsync(Cancellation);
            await using var session = _service.Store.LightweightSession(SessionOptions.ForTransaction(transaction));
            session.Events.StartStream(Guid.CreateVersion7(), new SampleService.SomethingHappened("late"));
            await session.SaveChangesAsync(Cancellation);
            return transaction;
        }

        public Task<long> AdvanceAsync() => _horizon.AdvanceAsync(
            new NpgsqlCommand("select seq_id from huzhu.mt_events where seq_id > $1 order by seq_id limit 1000", _reader), row => Seen.Add(row.GetInt64(0)), Cancellation);

        public async Task TerminateAsync(int process)
        {
            await using var command = new NpgsqlCommand("select pg_terminate_backend($1, 5000)", _reader) { Parameters = { new NpgsqlParameter { Value = process } } };
            Assert.Equal(true, await command.ExecuteScalarAsync(Cancellation));
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in _open)
                await connection.DisposeAsync();
            await _reader.DisposeAsync();
            await _service.DisposeAsync();
        }
    }
}
