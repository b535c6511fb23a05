using Huzhu.Matching.Features;
using Huzhu.ServiceDefaults;
using MassTransit;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Huzhu.Matching.Operations;

/// <summary>How much waits in Matching's queues, asked of the broker by declaring them passively: nothing is made or changed.</summary>
public sealed class QueueDepths(IConfiguration configuration, TimeProvider time, ILogger<QueueDepths> logger) : IAsyncDisposable
{
    private static readonly IEndpointNameFormatter Names = Messaging.EndpointNames("matching");
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(30);

    /// <summary>Every replica consumes it.</summary>
    public static readonly string Needs = Names.Consumer<ReceiveNeedConsumer>();

    private static readonly string[] Queues =
    [
        Needs, Names.Consumer<RaiseUrgencyConsumer>(), Names.Consumer<CancelNeedConsumer>(), Names.Consumer<ConfirmNeedConsumer>(), Names.Consumer<ReopenNeedConsumer>(),
        Names.Consumer<HoldNeedConsumer>(), Names.Consumer<RecordDeliveryConsumer>(), Names.Consumer<RecordUndeliverableConsumer>(),
        Names.Consumer<UpdateResponderConsumer>(), Names.Consumer<SealZoneConsumer>(), Names.Consumer<LiftZoneConsumer>(),
    ];

    private readonly SemaphoreSlim _one = new(1);
    private IConnection? _connection;
    private DateTimeOffset _notBefore;

    /// <returns>Null when the broker does not answer in time; it is then left alone for a while.</returns>
    public async Task<IReadOnlyList<QueueDepth>?> ReadAsync(CancellationToken cancellation)
    {
        if (time.GetUtcNow() < _notBefore)
            return null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            await _one.WaitAsync(limit.Token);
            try
            {
                return await AskAsync(limit.Token);
            }
            finally
            {
                _one.Release();
            }
        }
        catch (Exception exception) when (exception is BrokerUnreachableException or AlreadyClosedException or OperationInterruptedException or IOException or OperationCanceledException
            && !cancellation.IsCancellationRequested)
        {
            logger.LogWarning(exception, "The broker does not say how much waits in the queues");
            _notBefore = time.GetUtcNow() + AskAgain;
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _one.Dispose();
    }

    private async Task<IReadOnlyList<QueueDepth>> AskAsync(CancellationToken cancellation)
    {
        if (_connection is not { IsOpen: true })
        {
            if (_connection is not null)
                await _connection.DisposeAsync();
            _connection = await new ConnectionFactory { AutomaticRecoveryEnabled = false, ClientProvidedName = "huzhu-matching-board" }
                .ConnectAsync(configuration, cancellation);
        }
        await using var channel = await _connection.CreateChannelAsync(cancellationToken: cancellation);
        var depths = new List<QueueDepth>();
        foreach (var queue in Queues)
        {
            var declared = await channel.QueueDeclarePassiveAsync(queue, cancellation);
            depths.Add(new QueueDepth(queue, declared.MessageCount, declared.ConsumerCount));
        }
        return depths;
    }
}
