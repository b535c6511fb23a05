using Huzhu.TestKit;
using Npgsql;
using Xunit;

[assembly: AssemblyFixture(typeof(Servers))]

namespace Huzhu.SystemTests;

public sealed class ServersTests(Servers servers)
{
    [Fact]
    public async Task every_database_is_new_and_durable()
    {
        var first = await servers.CreateDatabaseAsync("servers");
        var second = await servers.CreateDatabaseAsync("servers");
        Assert.NotEqual(first, second);

        await using var connection = new NpgsqlConnection(first);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var ask = new NpgsqlCommand(
            "SELECT current_setting('fsync') || ' ' || current_setting('synchronous_commit')", connection);
        Assert.Equal("on on", await ask.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task every_virtual_host_is_new()
    {
        var first = await servers.CreateVirtualHostAsync();
        var second = await servers.CreateVirtualHostAsync();
        Assert.NotEqual(first, second);
        Assert.StartsWith("amqp://", first, StringComparison.Ordinal);
    }
}
