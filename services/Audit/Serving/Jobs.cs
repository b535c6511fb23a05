using System.Text.Json;
using System.Threading.Channels;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Verbs;
using Huzhu.Matching.Domain;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace Huzhu.Audit.Serving;

/// <summary>A verb that takes its time.</summary>
/// <param name="Kind">replay or verify.</param>
/// <param name="State">waiting, running, done or failed.</param>
/// <param name="Found">A verification found that something is not as it was sealed.</param>
/// <param name="Problem">Why it failed, in one sentence.</param>
/// <param name="Result">What the verb writes with <c>--json</c>.</param>
public sealed record Job(
    Guid Id, string Kind, string State, DateTimeOffset AskedAt, DateTimeOffset? StartedAt = null, DateTimeOffset? EndedAt = null,
    bool Found = false, string? Problem = null, JsonElement? Result = null);

/// <summary>One after another, since each reads whole logs; the last few are remembered as long as this program runs.</summary>
public sealed class Jobs(Answers answers, TimeProvider time, TimeSpan longest) : BackgroundService
{
    private const int MostWaiting = 8;
    private const int MostRemembered = 40;

    private readonly Channel<(Guid Id, string[] Verb, Policy? Policy)> _queue = Channel.CreateBounded<(Guid, string[], Policy?)>(MostWaiting);
    private readonly List<Job> _jobs = [];

    /// <summary>Newest first.</summary>
    public IReadOnlyList<Job> All
    {
        get
        {
            lock (_jobs)
                return [.. Enumerable.Reverse(_jobs)];
        }
    }

    public Job? Find(Guid id)
    {
        lock (_jobs)
            return _jobs.Find(job => job.Id == id);
    }

    /// <returns>Null when too many wait already.</returns>
    public Job? Start(string kind, string[] verb, Policy? policy = null)
    {
        var job = new Job(Guid.CreateVersion7(time.GetUtcNow()), kind, "waiting", time.GetUtcNow());
        lock (_jobs)
        {
            if (!_queue.Writer.TryWrite((job.Id, verb, policy)))
                return null;
            _jobs.Add(job);
            if (_jobs.Count > MostRemembered)
                _jobs.RemoveAt(0);
        }
        return job;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var (id, verb, policy) in _queue.Reader.ReadAllAsync(stoppingToken))
        {
            Change(id, job => job with { State = "running", StartedAt = time.GetUtcNow() });
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            limit.CancelAfter(longest);
            try
            {
                var (exitCode, output) = await answers.RunAsync([.. verb, "--json"], limit.Token, policy);
                var result = JsonSerializer.Deserialize<JsonElement>(output);
                Change(id, job => job with { State = "done", Found = exitCode == ExitCodes.Found, Result = result });
            }
            catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
            {
                Fail(id, $"It took longer than {longest.TotalSeconds:0} s.");
            }
            catch (Exception exception) when (exception is AuditException or NpgsqlException or IOException or UnauthorizedAccessException or FormatException)
            {
                Fail(id, exception.Message);
            }
        }
    }

    private void Fail(Guid id, string why) => Change(id, job => job with { State = "failed", Problem = why });

    private void Change(Guid id, Func<Job, Job> change)
    {
        lock (_jobs)
        {
            if (_jobs.FindIndex(job => job.Id == id) is var index and >= 0)
                _jobs[index] = change(_jobs[index]) is var changed && changed.State is "done" or "failed" ? changed with { EndedAt = time.GetUtcNow() } : changed;
        }
    }
}
