using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using JasperFx;
using JasperFx.Events;
using JasperFx.Events.Daemon;
using JasperFx.Events.Daemon.HighWater;
using Marten;
using Marten.Services;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Polly;
using Polly.Retry;
using Weasel.Postgresql.Tables;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// A service's event store: Marten on the service's own PostgreSQL database, set so that no event is passed over in
/// silence, and with a relay that wakes on commit. The reasons stand in docs/adr/0001 and 0002.
/// </summary>
public static class EventStore
{
    /// <summary>The database schema that holds everything of a service.</summary>
    public const string Schema = "huzhu";

    /// <param name="eventTypes">Every event type of the service; <see cref="EventsOf{T}"/> finds those of one stream.</param>
    /// <param name="publish">The service's <c>Publishing.Map</c>: what each stored event tells the other services.</param>
    /// <param name="configure">Projections, extra tables and indexes of the service.</param>
    /// <param name="untold">Event types that tell the other services nothing and are many: the relay does not read them.</param>
    public static IHostApplicationBuilder AddEventStore(this IHostApplicationBuilder builder,
        IReadOnlyCollection<Type> eventTypes, PublishMap publish, Action<StoreOptions>? configure = null, IReadOnlyCollection<Type>? untold = null)
    {
        var dataSource = BuildDataSource(builder.Configuration);
        var wakeup = new RelayWakeup(dataSource);
        builder.Services.AddSingleton(dataSource);
        builder.Services.AddSingleton(publish);
        // The store logs every statement that fails with its parameters: lost races, which are ordinary, and people's data.
        // Whoever catches the exception says what matters.
        builder.Logging.AddFilter("Marten.IDocumentStore", LogLevel.None);
        var marten = builder.Services.AddMarten(options =>
        {
            options.Connection(dataSource);
            options.DatabaseSchemaName = Schema;
            options.AutoCreateSchemaObjects = AutoCreate.None;
            options.Serializer(CreateSerializer());
            options.DisableNpgsqlLogging = true;

            options.Events.AppendMode = EventAppendMode.QuickWithServerTimestamps;
            options.Events.EnableUniqueIndexOnEventId = true;
            options.Events.UseAdvisoryLockTransaction = true;
            options.Events.MetadataConfig.CorrelationIdEnabled = true;
            options.Events.MetadataConfig.CausationIdEnabled = true;
            options.Events.MetadataConfig.HeadersEnabled = true;
            options.Events.AddEventTypes(eventTypes);

            options.Projections.Errors.SkipApplyErrors = false;
            options.Projections.Errors.SkipSerializationErrors = false;
            options.Projections.Errors.SkipUnknownEvents = false;
            options.Projections.LeadershipPollingTime = 1000;
            options.Projections.StaleSequenceThreshold = TimeSpan.FromMilliseconds(500);
            options.Projections.FastPollingTime = TimeSpan.FromMilliseconds(25);
            options.Projections.SlowPollingTime = TimeSpan.FromSeconds(1);
            options.Projections.Wakeup = wakeup;
            options.Listeners.Add(wakeup);

            options.Storage.ExtendedSchemaObjects.Add(Timers.Table());
            options.Storage.ExtendedSchemaObjects.Add(PersonalDataVault.KeyTable());
            configure?.Invoke(options);
        })
        .UseLightweightSessions()
        .AddSubscriptionWithServices<EventPublisher>(ServiceLifetime.Singleton, subscription =>
        {
            subscription.Name = "Relay";
            subscription.Options.BatchSize = 500;
            foreach (var told in untold is null ? [] : eventTypes.Except(untold))
                subscription.IncludeType(told);
        })
        .AddAsyncDaemon(DaemonMode.HotCold);
        if (AppliesSchema(builder.Configuration, builder.Environment))
            marten.ApplyAllDatabaseChangesOnStartup();
        builder.Services.AddHostedService<RelayWatch>();
        return builder;
    }

    /// <summary>
    /// How events and documents are written: in camel case, and enums as the kebab-case words of the contracts. Marten's
    /// own storage of enums as strings would write their C# names, whatever a type says of itself; and so no query may
    /// compare an enum, because Marten takes it for a number.
    /// </summary>
    public static SystemTextJsonSerializer CreateSerializer()
    {
        var serializer = new SystemTextJsonSerializer { EnumStorage = Weasel.Core.EnumStorage.AsInteger, Casing = Weasel.Core.Casing.CamelCase };
        serializer.Configure(json => json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false)));
        return serializer;
    }

    /// <summary>Every event of one stream: the sealed records that derive from <typeparamref name="T"/>.</summary>
    public static IReadOnlyList<Type> EventsOf<T>() =>
        [.. typeof(T).Assembly.GetTypes().Where(type => !type.IsAbstract && type.IsAssignableTo(typeof(T)))];

    /// <summary>What the store calls events of this type: the record's name in snake case.</summary>
    public static string NameOf(Type eventType) => JsonNamingPolicy.SnakeCaseLower.ConvertName(eventType.Name);

    /// <summary>
    /// Marks the events of an append with what caused them, so that a trace goes on from the log and an auditor can
    /// follow causes across services.
    /// </summary>
    public static StreamAction CausedBy(this StreamAction action, Cause cause)
    {
        foreach (var stored in action.Events)
        {
            stored.CausationId ??= cause.CausationId;
            if (cause.TraceParent is not null)
                stored.SetHeader(Cause.TraceParentHeader, cause.TraceParent);
        }
        return action;
    }

    internal static bool AppliesSchema(IConfiguration configuration, IHostEnvironment environment) =>
        configuration.GetValue("EventStore:ApplySchema", !environment.IsProduction());

    /// <summary>
    /// Looks whether everything that this version writes to is there, and waits while the database is away. What is only
    /// different does not count: an older version must be able to start after a newer one has migrated.
    /// </summary>
    /// <exception cref="InvalidOperationException">Tables, columns or functions are missing; the message names them.</exception>
    internal static async Task CheckSchemaAsync(IDocumentStore store, ILogger logger, CancellationToken cancellation)
    {
        var untilItAnswers = new ResiliencePipelineBuilder()
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } exception && Messaging.IsServerAway(exception)),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(200),
                MaxDelay = TimeSpan.FromSeconds(5),
                OnRetry = retry =>
                {
                    logger.LogWarning(retry.Outcome.Exception, "The start waits for the database");
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
        var migration = await untilItAnswers.ExecuteAsync(async token => await store.Storage.Database.CreateMigrationAsync(token), cancellation);
        var missing = migration.Deltas.SelectMany(delta => delta switch
        {
            { Difference: Weasel.Core.SchemaPatchDifference.Create } => [delta.SchemaObject.Identifier.QualifiedName],
            TableDelta { Actual: { } there } table => table.Expected.Columns.Select(column => column.Name).Except(there.Columns.Select(column => column.Name))
                .Select(column => $"{delta.SchemaObject.Identifier.QualifiedName}.{column}"),
            _ => [],
        }).Order().ToList();
        if (missing.Count > 0)
            throw new InvalidOperationException(
                $"The database lacks {string.Join(", ", missing)}. Run this version once with --migrate, or start one process with EventStore:ApplySchema=true.");
    }

    private static NpgsqlDataSource BuildDataSource(IConfiguration configuration)
    {
        var text = configuration.GetConnectionString("EventStore");
        if (string.IsNullOrWhiteSpace(text))
            throw new InvalidOperationException("ConnectionStrings:EventStore is missing: set it to the connection string of the service's own database.");
        NpgsqlDataSourceBuilder builder;
        try
        {
            builder = new NpgsqlDataSourceBuilder(text);
        }
        catch (ArgumentException exception)
        {
            throw new InvalidOperationException($"ConnectionStrings:EventStore cannot be read: {exception.Message}", exception);
        }
        // No session state is used, and resetting it would throw away the plans of the append function for every append.
        var connection = builder.ConnectionStringBuilder;
        connection.NoResetOnClose = true;
        // The same few statements all day: a connection parses and plans each of them once.
        if (!connection.ShouldSerialize("Max Auto Prepare"))
            connection.MaxAutoPrepare = 100;
        // Tells the sessions of one process from those of another, to RelayWatch and to whoever looks into pg_stat_activity.
        var machine = Environment.MachineName;
        connection.ApplicationName = $"huzhu {machine[..Math.Min(machine.Length, 40)]} {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}";
        // Every statement is a look-up by key, whose plan does not depend on the key.
        // A session whose client died keeps its locks until the server notices, and an idle transaction stalls the relay.
        connection.Options ??= "-c client_connection_check_interval=500 -c plan_cache_mode=force_generic_plan -c idle_in_transaction_session_timeout=15000";
        return builder.Build();
    }
}

/// <summary>What made an event happen: the trace, and the id of the message or request behind it.</summary>
public readonly record struct Cause(string? TraceParent, string? CausationId)
{
    public const string TraceParentHeader = "traceparent";

    /// <summary>The cause of what runs now; <paramref name="causationId"/> is the message's id where a message is behind it.</summary>
    public static Cause Current(string? causationId = null) => new(Activity.Current?.Id, causationId ?? Activity.Current?.TraceId.ToString());
}

/// <summary>
/// Wakes the relay when this process commits events, and, by a read of the sequence that costs next to nothing, soon
/// after another replica has taken a number from it. The daemon's own poll writes three rows each time; at 25 ms it kept
/// an idle service at 15 % of a core. Measured against NOTIFY too, which serialises commits; see docs/adr/0001.
/// </summary>
internal sealed class RelayWakeup(NpgsqlDataSource database) : DocumentSessionListenerBase, IDaemonWakeup
{
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan IdleGlance = TimeSpan.FromMilliseconds(100);
    /// <summary>A number may be taken long before its transaction commits: stay awake for a while after a change.</summary>
    private static readonly TimeSpan StayAwake = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan UntilIdle = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _signal = new(0, 1);
    private long _lastValue;
    private long _changedAt = Stopwatch.GetTimestamp();

    public override Task AfterCommitAsync(IDocumentSession session, IChangeSet commit, CancellationToken token)
    {
        if (commit.GetStreams().Any())
            Pulse();
        return Task.CompletedTask;
    }

    public async Task WaitAsync(TimeSpan timeout, CancellationToken token)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            var sinceChange = Stopwatch.GetElapsedTime(_changedAt);
            if (await _signal.WaitAsync(sinceChange > UntilIdle ? IdleGlance : Glance, token))
            {
                _changedAt = Stopwatch.GetTimestamp();
                return;
            }
            if (sinceChange < StayAwake || await SequenceMovedAsync(token) || Stopwatch.GetElapsedTime(started) >= timeout)
                return;
        }
    }

    public void Dispose() => _signal.Dispose();

    private async Task<bool> SequenceMovedAsync(CancellationToken token)
    {
        try
        {
            await using var command = database.CreateCommand($"select last_value from {EventStore.Schema}.mt_events_sequence");
            var value = (long)(await command.ExecuteScalarAsync(token))!;
            if (value == _lastValue)
                return false;
            _lastValue = value;
            _changedAt = Stopwatch.GetTimestamp();
            return true;
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            // The database is away. An error here would end the daemon's loop for good; its own poll reports the trouble.
            await Task.Delay(TimeSpan.FromMilliseconds(250), token);
            return true;
        }
    }

    private void Pulse()
    {
        try
        {
            _signal.Release();
        }
        catch (SemaphoreFullException)
        {
            // Already awake.
        }
    }
}
