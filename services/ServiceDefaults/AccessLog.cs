using System.Text.RegularExpressions;
using System.Threading.Channels;
using Marten;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Who read whose data, in the event log. What a human reads is written before it is shown: no record, no data. What
/// the services read is written within a second, many in one event: they read with every message, and their own logs
/// name every message that it was read for. See docs/adr/0009.
/// </summary>
public sealed partial class AccessLog(IDocumentStore store, TimeProvider time, ILogger<AccessLog> logger) : BackgroundService
{
    private const int MostWaiting = 20_000;
    private const int MostTogether = 500;
    private const int MostAttempts = 20;
    private static readonly TimeSpan MachinesWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly Channel<Pending> _waiting = Channel.CreateBounded<Pending>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });

    /// <param name="Written">Somebody waits for the commit.</param>
    private readonly record struct Pending(Access Access, TaskCompletionSource? Written);

    /// <summary>Records that the caller reads this; the data may be given out once it is done.</summary>
    /// <exception cref="BadHttpRequestException">The purpose that the caller gives is no code.</exception>
    public async Task RecordAsync(HttpContext http, IEnumerable<Guid> people, Guid subject, Revealed what, CancellationToken cancellation)
    {
        var purpose = http.Request.Query["purpose"].ToString();
        if (purpose.Length > 0 && !Code().IsMatch(purpose))
            throw new BadHttpRequestException("The purpose must be a code of lower-case letters, digits and dashes.");
        await RecordAsync(http.User.Subject(), people, subject, what, purpose.Length > 0 ? purpose : null, waits: !http.User.IsInRole(Roles.Service), cancellation);
    }

    /// <summary>The same for a reader who is known by something else than a token.</summary>
    public Task RecordAsync(string by, IEnumerable<Guid> people, Guid subject, Revealed what, CancellationToken cancellation) =>
        RecordAsync(by, people, subject, what, null, waits: true, cancellation);

    private async Task RecordAsync(string by, IEnumerable<Guid> people, Guid subject, Revealed what, string? purpose, bool waits, CancellationToken cancellation)
    {
        var access = new Access([.. people.Distinct()], subject, what, by, purpose, time.GetUtcNow());
        var written = waits ? new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) : null;
        await _waiting.Writer.WriteAsync(new Pending(access, written), cancellation);
        if (written is not null)
            await written.Task.WaitAsync(cancellation);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // What was read is written before the service ends.
        _waiting.Writer.TryComplete();
        if (ExecuteTask is { } running)
            await running.WaitAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var page = new List<Pending>();
        while (await _waiting.Reader.WaitToReadAsync(CancellationToken.None))
        {
            page.Clear();
            await CollectAsync(page, stoppingToken);
            while (!await TryWriteAsync(page) && !stoppingToken.IsCancellationRequested)
            {
                // Humans have been told that it failed; what machines were given still has to be written.
                page.RemoveAll(one => one.Written is not null);
                if (page.Count == 0)
                    break;
                await Task.Delay(RetryPause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>What is there, and, until somebody waits for it, what comes within a second.</summary>
    private async Task CollectAsync(List<Pending> page, CancellationToken cancellation)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        enough.CancelAfter(MachinesWait);
        try
        {
            while (page.Count < MostTogether)
            {
                while (page.Count < MostTogether && _waiting.Reader.TryRead(out var pending))
                    page.Add(pending);
                if (page.Exists(one => one.Written is not null) || !await _waiting.Reader.WaitToReadAsync(enough.Token))
                    return;
            }
        }
        catch (OperationCanceledException)
        {
            // The second is over, or the service ends.
        }
    }

    private async Task<bool> TryWriteAsync(List<Pending> page)
    {
        try
        {
            var now = time.GetUtcNow();
            // Every replica appends to the stream of the day.
            await Conflict.RetryAsync(async () =>
            {
                await using var session = store.LightweightSession();
                session.Events.Append(People.AccessStreamOf(now), new PersonalDataRead([.. page.Select(one => one.Access)], now)).CausedBy(Cause.Current());
                await session.SaveChangesAsync(CancellationToken.None);
                return true;
            }, MostAttempts);
            page.ForEach(one => one.Written?.SetResult());
            return true;
        }
        catch (Exception exception)
        {
            logger.LogWarning("{Count} readings of personal data could not be recorded yet ({Reason})", page.Count, exception.GetType().Name);
            page.ForEach(one => one.Written?.TrySetException(exception));
            return false;
        }
    }

    [GeneratedRegex(@"^[a-z0-9][a-z0-9-]{0,63}\z")]
    private static partial Regex Code();
}
