using System.Text.Json;
using System.Text.Json.Serialization;

namespace Huzhu.Local.Infrastructure;

public sealed record LocalDeploymentOptions
{
    /// <summary>Which verb or test asks: it is written into the run's folder.</summary>
    public required string Kind { get; init; }
    public int Replicas { get; init; } = 1;

    /// <summary>Settings for all services, as environment variables.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
    /// <summary>The pages too, with the district of the scenario on their maps.</summary>
    public bool Console { get; init; }
    /// <summary>Seal the logs beside the services, as soon as so many events are new; 0: do not.</summary>
    public int SealedEvery { get; init; }
    public Narrator Narrator { get; init; } = Narrator.Silent;
}

/// <summary>The whole of Huzhu on this machine: servers, databases, services and tokens.</summary>
public sealed class LocalDeployment : IAsyncDisposable
{
    /// <summary>Connections of all services together: each is a process, with plans of its own.</summary>
    const int ConnectionsInAll = 80;

    LocalDeployment(LocalInfrastructure infrastructure, ServiceHost services, LocalDescription description)
    {
        Infrastructure = infrastructure;
        Services = services;
        Description = description;
    }

    public LocalInfrastructure Infrastructure { get; }
    public ServiceHost Services { get; }
    public LocalDescription Description { get; }

    /// <summary>Builds what is not built, starts everything, and returns when every service is ready.</summary>
    public static async Task<LocalDeployment> StartAsync(LocalDeploymentOptions options, CancellationToken cancellation = default)
    {
        var repository = Repository.Find();
        var infrastructure = await BuildAndStartServersAsync(options, repository, cancellation);
        try
        {
            var which = options.Console ? "the four services and the console" : "the four services";
            var what = options.Replicas == 1 ? $"Starting {which}" : $"Starting {which}, {options.Replicas} of each";
            return await options.Narrator.DuringAsync(what, async _ =>
            {
                var poolSize = Math.Max(5, ConnectionsInAll / (Repository.ServiceNames.Count * options.Replicas));
                var databases = new Dictionary<string, string>();
                foreach (var service in Repository.ServiceNames)
                    databases[service] = await infrastructure.Postgres.CreateDatabaseAsync(service, poolSize, cancellation);

                var services = await ServiceHost.StartAsync(
                    infrastructure.Run,
                    new ServiceHostOptions
                    {
                        Databases = databases,
                        AmqpUri = infrastructure.RabbitMq.AmqpUri(),
                        Services = options.Console ? [.. Repository.ServiceNames, Repository.Audit, Repository.Console] : Repository.ServiceNames,
                        Audit = options.Console ? await AuditProgram.SettingsAsync(repository, infrastructure.Run.Id, databases, cancellation) : null,
                        District = options.Console ? Scenarios.WDistrict.OutlinesAsGeoJson() : null,
                        Replicas = options.Replicas,
                        Environment = options.Environment,
                    },
                    repository,
                    cancellation);
                if (options.SealedEvery > 0)
                    await AuditProgram.KeepSealingAsync(repository, infrastructure.Run, databases, options.SealedEvery, cancellation);
                return new LocalDeployment(infrastructure, services, Describe(infrastructure, services));
            });
        }
        catch
        {
            await infrastructure.DisposeAsync();
            if (infrastructure.Run.KeepLogs) options.Narrator.Say($"The logs are kept in {infrastructure.Run.KeptLogsFolder}.");
            throw;
        }
    }

    /// <summary>Installing and starting the servers mostly waits, and compiling does not: both at once.</summary>
    static async Task<LocalInfrastructure> BuildAndStartServersAsync(LocalDeploymentOptions options, Repository repository, CancellationToken cancellation)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var starting = LocalInfrastructure.StartAsync(options.Kind, options.Narrator.Beside(), repository, both.Token);
        try
        {
            await Builds.Services.EnsureAsync(repository, options.Narrator, both.Token);
        }
        catch
        {
            await both.CancelAsync();
            await ((Task)starting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (starting.IsCompletedSuccessfully) await (await starting).DisposeAsync();
            throw;
        }
        return await starting;
    }

    public async ValueTask DisposeAsync()
    {
        await Services.DisposeAsync();
        await Infrastructure.DisposeAsync();
    }

    /// <summary>What anybody needs to speak to these services.</summary>
    public static LocalDescription Describe(LocalInfrastructure infrastructure, ServiceHost services) => new(
        services.Options.Services.ToDictionary(service => service, service => services.BaseAddress(service).AbsoluteUri.TrimEnd('/')),
        new(infrastructure.RabbitMq.AmqpUri(), infrastructure.RabbitMq.ManagementUri.TrimEnd('/')),
        services.Options.Databases,
        new Dictionary<string, string>
        {
            ["intake"] = services.Token("local-intake", ["intake"]),
            // One person: whoever registers a group as its coordinator answers its offers as its responder.
            ["coordinator"] = services.Token("local-coordinator", ["coordinator"]),
            ["responder"] = services.Token("local-coordinator", ["responder"]),
            ["operator"] = services.Token("local-operator", ["operator"]),
            ["auditor"] = services.Token("local-auditor", ["auditor"]),
        },
        services.Options.Replicas > 1 ? services.Options.Replicas : null);
}

/// <summary>What <c>up</c> writes to <c>.local/huzhu.json</c>, for scripts and for people with curl.</summary>
public sealed record LocalDescription(
    IReadOnlyDictionary<string, string> Services,
    BrokerDescription Broker,
    IReadOnlyDictionary<string, string> Databases,
    IReadOnlyDictionary<string, string> Tokens,
    int? Replicas)
{
    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public void Write(Repository repository) =>
        PrivateFiles.Replace(repository.DescriptionFile, JsonSerializer.Serialize(this, Json) + "\n");

    /// <returns>Null when nothing was brought up.</returns>
    public static LocalDescription? Read(Repository repository) =>
        File.Exists(repository.DescriptionFile)
            ? JsonSerializer.Deserialize<LocalDescription>(File.ReadAllText(repository.DescriptionFile), Json)
            : null;
}

/// <param name="Management">Base address of the management API, with the user and password that it asks for.</param>
public sealed record BrokerDescription(string Amqp, string Management);
