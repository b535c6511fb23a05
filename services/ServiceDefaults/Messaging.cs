using System.Text.Json;
using System.Text.RegularExpressions;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using RabbitMQ.Client;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// The bus: MassTransit on RabbitMQ, quorum queues named with the service's prefix, publisher confirms, persistent
/// messages. A consumer that fails because a server is away waits and tries again for as long as it takes; one that
/// fails for any other reason gets three more tries, then the message goes to the queue's <c>_error</c> with the reason
/// in its headers (<c>MT-Fault-Message</c>), and never blocks the next.
/// </summary>
public static partial class Messaging
{
    private const ushort Prefetch = 128;

    /// <param name="service">The service's name, in lower case: the prefix of its queues.</param>
    /// <param name="addConsumers">Adds the consumers with their definitions.</param>
    /// <param name="configureBroker">Exchanges and endpoints beside the conventional ones.</param>
    public static IHostApplicationBuilder AddMessaging(this IHostApplicationBuilder builder, string service,
        Action<IBusRegistrationConfigurator> addConsumers,
        Action<IBusRegistrationContext, IRabbitMqBusFactoryConfigurator>? configureBroker = null)
    {
        var nodes = BrokerNodes(builder.Configuration);
        var broker = nodes[0];
        builder.Services.Configure<MassTransitHostOptions>(options =>
        {
            // Requests are taken in while the broker is away; the relay publishes when it is back.
            options.WaitUntilStarted = false;
            options.StopTimeout = TimeSpan.FromSeconds(20);
            options.ConsumerStopTimeout = TimeSpan.FromSeconds(15);
        });
        builder.Services.AddSingleton<BusConnection>();
        builder.Services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();
            bus.ConfigureHealthCheckOptions(options => options.Tags.UnionWith(["ready", Hosting.BrokerTag]));
            bus.SetEndpointNameFormatter(EndpointNames(service));
            addConsumers(bus);
            bus.AddConfigureEndpointsCallback((_, _, endpoint) =>
            {
                if (endpoint is IRabbitMqReceiveEndpointConfigurator queue)
                {
                    queue.SetQuorumQueue();
                    queue.ConfigureChannel(channel => channel.UseFilter(new EndedChannelFilter()));
                }
                endpoint.PrefetchCount = Prefetch;
                endpoint.UseMessageRetry(retry =>
                {
                    retry.Ignore<JsonException>();
                    retry.Handle<Exception>(exception => !IsServerAway(exception));
                    retry.Intervals(50, 250, 1000);
                });
                endpoint.UseMessageRetry(retry =>
                {
                    retry.Handle<Exception>(IsServerAway);
                    retry.Exponential(int.MaxValue, TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(15), TimeSpan.FromMilliseconds(400));
                });
            });
            bus.UsingRabbitMq((context, rabbit) =>
            {
                rabbit.Host(BrokerTls.WithoutFiles(broker), host =>
                {
                    host.PublisherConfirmation = true;
                    host.Heartbeat(TimeSpan.FromSeconds(5));
                    host.OnRefreshConnectionFactory = context.GetRequiredService<BusConnection>().FollowAsync;
                    host.UseTlsFor(broker);
                    if (nodes.Count > 1)
                        host.UseCluster(cluster =>
                        {
                            foreach (var node in nodes)
                                cluster.Node(node.Authority);
                        });
                });
                // Set-aside queues take over the arguments of theirs; one that has a single active consumer lets no person look into it.
                rabbit.SendTopology.ConfigureErrorSettings = queue => queue.SetQueueArgument("x-single-active-consumer", null);
                rabbit.SendTopology.ConfigureDeadLetterSettings = queue => queue.SetQueueArgument("x-single-active-consumer", null);
                configureBroker?.Invoke(context, rabbit);
                rabbit.ConfigureEndpoints(context);
            });
        });
        return builder;
    }

    /// <summary>How the queues of a service are named after its consumers.</summary>
    public static IEndpointNameFormatter EndpointNames(string service) => new KebabCaseEndpointNameFormatter(service, includeNamespace: false);

    /// <summary>
    /// The broker's address; or, with commas between them, those of the nodes of a cluster, which are tried one after the
    /// other. They are the same but for host and port: user, password and virtual host are the first one's, and with TLS all
    /// show a certificate for its host. For the files of their queries see <see cref="BrokerTls"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is missing or not an AMQP address, or a file cannot be used.</exception>
    public static IReadOnlyList<Uri> BrokerNodes(IConfiguration configuration)
    {
        // A comma may be a part of a password; one before a scheme is none.
        var nodes = BetweenNodes().Split(configuration.GetConnectionString("Broker") ?? "").Select(Node).ToList();
        if (!nodes.TrueForAll(node => node.Scheme == nodes[0].Scheme && node.Query == nodes[0].Query))
            throw Malformed();
        BrokerTls.Check(nodes[0], "ConnectionStrings:Broker");
        return nodes;

        static Uri Node(string text) => Uri.TryCreate(text.Trim(), UriKind.Absolute, out var uri) && uri is { Scheme: "amqp" or "amqps", Host.Length: > 0 } ? uri : throw Malformed();
        static InvalidOperationException Malformed() => new(
            "ConnectionStrings:Broker is missing or not of the form amqp://user:password@host:port/vhost, or several with commas between them that differ in host and port alone.");
    }

    /// <summary>A connection of the client's own, beside the bus, to whichever node takes it.</summary>
    public static Task<IConnection> ConnectAsync(this ConnectionFactory factory, IConfiguration configuration, CancellationToken cancellation)
    {
        var nodes = BrokerNodes(configuration);
        factory.Uri = BrokerTls.WithoutFiles(nodes[0]);
        factory.UseTlsFor(nodes[0]);
        return nodes.Count == 1
            ? factory.CreateConnectionAsync(cancellation)
            : factory.CreateConnectionAsync(nodes.Select(node => new AmqpTcpEndpoint(node.Host, node.Port, factory.Ssl)), cancellation);
    }

    [GeneratedRegex(@",(?=\s*amqps?://)")]
    private static partial Regex BetweenNodes();

    /// <summary>Whether the failure is a server's that is away or overloaded, so that the same message may succeed later.</summary>
    public static bool IsServerAway(Exception exception) => exception switch
    {
        NpgsqlException { IsTransient: true } => true,
        // A session that the server ended: an idle transaction (25P03), a shutdown or cancellation (57…), too few resources (53…).
        PostgresException { SqlState: { } state } => state == "25P03" || state.StartsWith("57", StringComparison.Ordinal) || state.StartsWith("53", StringComparison.Ordinal),
        Marten.Exceptions.MartenCommandException { InnerException: { } inner } => IsServerAway(inner),
        TimeoutException or HttpRequestException or Polly.CircuitBreaker.BrokenCircuitException or Polly.Timeout.TimeoutRejectedException => true,
        AggregateException aggregate => aggregate.InnerExceptions.Any(IsServerAway),
        _ => false,
    };
}
