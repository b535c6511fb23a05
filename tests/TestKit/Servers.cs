using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.TestKit;

/// <summary>
/// Real PostgreSQL and RabbitMQ, once for a test assembly: put <c>[assembly: AssemblyFixture(typeof(Servers))]</c> into the
/// assembly and take <c>Servers</c> in the constructor of a test class. They start with the first test that asks for one,
/// so a filter that leaves only pure tests costs nothing.
/// </summary>
public sealed class Servers : IAsyncLifetime
{
    readonly Lazy<Task<LocalInfrastructure>> _infrastructure = new(() => LocalInfrastructure.StartAsync("test"));
    int _count;

    public Task<LocalInfrastructure> InfrastructureAsync() => _infrastructure.Value;

    /// <summary>A new, empty database.</summary>
    /// <param name="prefix">What it is for, to recognise it in the server's log: lower case, digits, underscores.</param>
    /// <returns>Its Npgsql connection string.</returns>
    public async Task<string> CreateDatabaseAsync(string prefix) =>
        await (await InfrastructureAsync()).Postgres.CreateDatabaseAsync(Unique(prefix), maximumPoolSize: 20);

    /// <summary>A new virtual host without exchanges or queues of ours, so that no test meets another's messages.</summary>
    /// <returns>The AMQP address with that virtual host.</returns>
    public async Task<string> CreateVirtualHostAsync(string prefix = "test") =>
        await (await InfrastructureAsync()).RabbitMq.CreateVirtualHostAsync(Unique(prefix));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_infrastructure.IsValueCreated && await _infrastructure.Value is { } started) await started.DisposeAsync();
    }

    string Unique(string prefix) => $"{prefix}_{Interlocked.Increment(ref _count)}";
}
