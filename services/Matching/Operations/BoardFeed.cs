using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Huzhu.Matching.Operations;

/// <summary>The board as everybody who looks at it shares it: read at most every two seconds, however many look.</summary>
public sealed class BoardFeed(BoardReader reader, TimeProvider time, IOptions<JsonOptions> json, IHostApplicationLifetime lifetime, ILogger<BoardFeed> logger)
{
    private const int MaxStreams = 200;
    private static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    private readonly SemaphoreSlim _one = new(1);
    private Board? _board;
    private DateTimeOffset _readAt;
    private int _streams;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/board", async (BoardFeed feed, CancellationToken cancellation) => Results.Ok(await feed.GetAsync(cancellation)))
            .RequireRoles(Roles.Operator, Roles.Auditor).WithTags("Board").WithSummary("How things stand: needs, waiting, capacity, queues.").Produces<Board>();
        app.MapGet("/v1/board/stream", (BoardFeed feed, CancellationToken cancellation) => feed.Open(cancellation))
            .RequireRoles(Roles.Operator, Roles.Auditor).WithTags("Board").WithSummary("The same as server-sent events, whenever it has changed.")
            .Produces<Board>(contentType: "text/event-stream").ProducesProblem(503);
    }

    public async Task<Board> GetAsync(CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        try
        {
            if (_board is null || time.GetUtcNow() - _readAt >= FreshFor)
                (_board, _readAt) = (await reader.ReadAsync(cancellation), time.GetUtcNow());
            return _board;
        }
        finally
        {
            _one.Release();
        }
    }

    private IResult Open(CancellationToken cancellation) => Volatile.Read(ref _streams) >= MaxStreams
        ? Problems.Of(StatusCodes.Status503ServiceUnavailable, "too-many-streams", "Too many look at the board as it changes; read it now and then instead.")
        : TypedResults.ServerSentEvents(StreamAsync(cancellation));

    /// <summary>The whole board each time, when it differs from the last in more than the time, and now and then all the same.</summary>
    private async IAsyncEnumerable<SseItem<Board>> StreamAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        // A stream would otherwise hold the stop up for as long as it is allowed to.
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lifetime.ApplicationStopping);
        Interlocked.Increment(ref _streams);
        try
        {
            var (last, saidAt) = ("", DateTimeOffset.MinValue);
            while (!ends.IsCancellationRequested)
            {
                if (await TryGetAsync(ends.Token) is { } board)
                {
                    var said = JsonSerializer.Serialize(board with { At = default }, json.Value.SerializerOptions);
                    if (said != last || board.At - saidAt >= Heartbeat)
                    {
                        (last, saidAt) = (said, board.At);
                        yield return new SseItem<Board>(board, "board") { ReconnectionInterval = FreshFor };
                    }
                }
                await Task.Delay(FreshFor, time, ends.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _streams);
        }
    }

    /// <returns>Null when it could not be read: whoever looks keeps what it has.</returns>
    private async Task<Board?> TryGetAsync(CancellationToken cancellation)
    {
        try
        {
            return await GetAsync(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception exception) when (Messaging.IsServerAway(exception))
        {
            logger.LogWarning(exception, "The board could not be read; trying again");
            return null;
        }
    }
}
