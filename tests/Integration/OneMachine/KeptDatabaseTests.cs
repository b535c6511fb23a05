using Huzhu.Local.Infrastructure;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.OneMachine;

/// <summary>What a demo leaves for the audit.</summary>
public sealed class KeptDatabaseTests : IDisposable
{
    private readonly Repository _repository = new(Directory.CreateTempSubdirectory("huzhu-kept-").FullName);

    public void Dispose()
    {
        KeptDatabase.Forget(_repository);
        Directory.Delete(_repository.Root, recursive: true);
    }

    [Fact]
    public async Task a_kept_database_is_read_again_until_the_next_one_takes_its_place()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var installation = await Provisioning.FindPostgresAsync(_repository, Narrator.Silent, cancellation);
        Assert.SkipUnless(installation is Installation.Native, "Servers in containers keep nothing.");
        await RunAsync("first");
        var first = KeptDatabase.Find(_repository)!;
        for (var time = 0; time < 2; time++)
            Assert.Equal("first", await ReadAsync(first));

        await RunAsync("second");
        Assert.Equal("second", await ReadAsync(KeptDatabase.Find(_repository)!));
        Assert.True(first.Data == KeptDatabase.Find(_repository)!.Data || !Directory.Exists(first.Data));
        Assert.Empty(RunFolder.Existing(_repository));

        async Task RunAsync(string word)
        {
            await using var run = await RunFolder.CreateAsync(_repository, "test");
            await using var server = await PostgresServer.StartAsync(installation, run, cancellation);
            server.KeepsData = true;
            await using var database = NpgsqlDataSource.Create(await server.CreateDatabaseAsync("matching", cancellation: cancellation));
            await using var write = database.CreateCommand($"create table said as select '{word}' as word");
            await write.ExecuteNonQueryAsync(cancellation);
        }

        async Task<string> ReadAsync(KeptDatabase kept)
        {
            await using var run = await RunFolder.CreateAsync(_repository, "test");
            await using var server = await kept.StartAsync(installation, run, cancellation);
            await using var database = NpgsqlDataSource.Create(server.ConnectionString("matching"));
            await using var read = database.CreateCommand("select word from said");
            return (string)(await read.ExecuteScalarAsync(cancellation))!;
        }
    }
}
