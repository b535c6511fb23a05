namespace Huzhu.Local.Infrastructure;

/// <summary>PostgreSQL and RabbitMQ for one run, found or installed, started together, ended together.</summary>
public sealed class LocalInfrastructure : IAsyncDisposable
{
    LocalInfrastructure(RunFolder run, PostgresServer postgres, RabbitMqServer rabbitMq)
    {
        Run = run;
        Postgres = postgres;
        RabbitMq = rabbitMq;
    }

    public RunFolder Run { get; }
    public PostgresServer Postgres { get; }
    public RabbitMqServer RabbitMq { get; }

    /// <param name="kind">Which verb or test asks: it is written into the run's folder.</param>
    public static async Task<LocalInfrastructure> StartAsync(
        string kind, Narrator? narrator = null, Repository? repository = null, CancellationToken cancellation = default)
    {
        repository ??= Repository.Find();
        narrator ??= Narrator.Silent;
        var installations = await Provisioning.FindOrInstallAsync(repository, narrator, cancellation);
        var run = await RunFolder.CreateAsync(repository, kind);
        try
        {
            return await narrator.DuringAsync("Starting PostgreSQL and RabbitMQ", async _ =>
            {
                var postgres = PostgresServer.StartAsync(installations.Postgres, run, cancellation);
                var rabbitMq = RabbitMqServer.StartAsync(installations.RabbitMq, run, cancellation);
                await Task.WhenAll(postgres, rabbitMq);
                return new LocalInfrastructure(run, await postgres, await rabbitMq);
            });
        }
        catch (Exception e)
        {
            run.KeepLogs = e is DidNotStartException;
            await run.DisposeAsync();
            if (run.KeepLogs) narrator.Say($"The logs are kept in {run.KeptLogsFolder}.");
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(RabbitMq.DisposeAsync().AsTask(), Postgres.DisposeAsync().AsTask());
        await Run.DisposeAsync();
    }
}
