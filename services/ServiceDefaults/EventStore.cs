using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using JasperFx;
using JasperFx.Events;
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
/// silence, and with a relay that wakes on commit. The reasons stand in docs/adr/0001, 0002 and 0016.
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
        var appended = new AppendSignal();
        builder.Services.AddSingleton(dataSource);
        builder.Services.AddSingleton(appended);
        builder.Services.AddSingleton(new KnownEvents(eventTypes));
        builder.Services.AddSingleton(new SubscriptionSessions(BuildDataSource(builder.Configuration, forSubscriptions: true)));
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
            options.Events.MetadataConfig.CorrelationIdEnabled = true;
            options.Events.MetadataConfig.CausationIdEnabled = true;
            options.Events.MetadataConfig.HeadersEnabled = true;
            options.Events.AddEventTypes(eventTypes);

            options.Projections.Errors.SkipApplyErrors = false;
            options.Projections.Errors.SkipSerializationErrors = false;
            options.Projections.Errors.SkipUnknownEvents = false;
            options.Listeners.Add(appended);

            options.Storage.ExtendedSchemaObjects.Add(Timers.Table());
            options.Storage.ExtendedSchemaObjects.Add(PersonalDataVault.KeyTable());
            configure?.Invoke(options);
        })
        .UseLightweightSessions();
        if (AppliesSchema(builder.Configuration, builder.Environment))
            marten.ApplyAllDatabaseChangesOnStartup();
        builder.Services.AddSingleton(new Told([.. eventTypes.Except(untold ?? [])], publish));
        builder.Services.AddLogSubscription<EventPublisher>();
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

    /// <summary>The events of these streams, each stream's in the order of its versions. Mostly there is one, and an expression is translated into SQL each time.</summary>
    public static Task<IReadOnlyList<IEvent>> ReadStreamsAsync(this IQuerySession session, Guid[] streams, CancellationToken cancellation) => streams is [var only]
        ? session.Events.FetchStreamAsync(only, token: cancellation)
        : session.Events.QueryAllRawEvents().Where(stored => stored.StreamId.IsOneOf(streams))
            .OrderBy(stored => stored.StreamId).ThenBy(stored => stored.Version).ToListAsync(cancellation);

    /// <summary>
    /// Marks the events of an append with what caused them, so that a trace goes on from the log and an auditor can
    /// follow causes across services.
    /// </summary>
    public static StreamAction CausedBy(this StreamAction action, Cause cause)
    {
        foreach (var stored in action.Events)
            stored.Mark(cause);
        return action;
    }

    /// <summary>See <see cref="CausedBy"/>.</summary>
    public static void Mark(this IEvent stored, Cause cause)
    {
        stored.CausationId ??= cause.CausationId;
        if (cause.TraceParent is not null)
            stored.SetHeader(Cause.TraceParentHeader, cause.TraceParent);
        if (cause.TraceLink is not null)
            stored.SetHeader(Cause.TraceLinkHeader, cause.TraceLink);
    }

    /// <summary>Where in a trace the event is, in the form of W3C's traceparent; null when it was stored without.</summary>
    public static string? TraceParent(this IEvent stored) => stored.Headers?.GetValueOrDefault(Cause.TraceParentHeader)?.ToString();

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

    private static NpgsqlDataSource BuildDataSource(IConfiguration configuration, bool forSubscriptions = false)
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
        // The pod's name, for whoever looks into pg_stat_activity.
        connection.ApplicationName ??= $"huzhu {Environment.MachineName}";
        // Every statement is a look-up by key, whose plan does not depend on the key; one that was planned while the table was
        // small would go on reading it from end to end when it has grown.
        // A session whose client died keeps its locks until the server notices, and an idle transaction stalls the relay.
        connection.Options ??= "-c client_connection_check_interval=500 -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off -c idle_in_transaction_session_timeout=15000";
        if (forSubscriptions)
        {
            connection.Pooling = false;
            connection.CommandTimeout = (int)SubscriptionSessions.Patience.TotalSeconds;
            connection.Options += $" -c synchronous_commit=off -c idle_session_timeout={SubscriptionSessions.Patience.TotalMilliseconds}";
        }
        return builder.Build();
    }
}

/// <summary>What made an event happen: the trace, and the id of the message or request behind it.</summary>
/// <param name="TraceLink">Another trace that had a part in it, in the form of W3C's traceparent.</param>
public readonly record struct Cause(string? TraceParent, string? CausationId, string? TraceLink = null)
{
    public const string TraceParentHeader = "traceparent";
    public const string TraceLinkHeader = "tracelink";

    /// <summary>The cause of what runs now; <paramref name="causationId"/> is the message's id where a message is behind it.</summary>
    public static Cause Current(string? causationId = null) => new(Activity.Current?.Id, causationId ?? Activity.Current?.TraceId.ToString());

    /// <summary>
    /// The same cause for an event of something that has a trace of its own, which a need has from the call to the thanks:
    /// the event goes into that trace, and links to the one that caused it where that is another (a call of a coordinator,
    /// a group that registers).
    /// </summary>
    /// <param name="began">Where that trace began, in the form of W3C's traceparent; null when there is none.</param>
    public Cause Within(string? began) =>
        began is null || TraceParent is not null && TraceIdOf(TraceParent).SequenceEqual(TraceIdOf(began)) ? this
        : this with { TraceParent = began, TraceLink = TraceParent };

    public static ActivityContext ContextOf(string? traceParent) =>
        ActivityContext.TryParse(traceParent, null, isRemote: true, out var context) ? context : default;

    private static ReadOnlySpan<char> TraceIdOf(ReadOnlySpan<char> traceParent) => traceParent is { Length: >= 35 } ? traceParent[3..35] : traceParent;
}
