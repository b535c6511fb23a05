using System.Text;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Verbs;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace Huzhu.Audit.Serving;

/// <summary>Whether an answer may be given to the next who asks the same: those that read a whole log, for a few seconds.</summary>
public enum Kept { Not, Briefly }

/// <summary>Runs a verb and gives what it wrote.</summary>
public sealed class Answers(IConfiguration configuration, TimeProvider time)
{
    private const int AtOnce = 2;
    private const int MostKept = 32;
    private static readonly TimeSpan KeptFor = TimeSpan.FromSeconds(10);
    /// <summary>What takes longer is for a job.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>Each reads a log from end to end: more at once would only be slower together.</summary>
    private readonly SemaphoreSlim _room = new(AtOnce);
    private readonly Dictionary<string, (string Json, DateTimeOffset At)> _kept = [];

    public async Task<IResult> GetAsync(string[] verb, Kept kept, CancellationToken cancellation)
    {
        var key = string.Join(' ', verb);
        if (Find(key) is { } known)
            return Json(known);
        return await AnswerAsync(async limit =>
        {
            if (kept is Kept.Not)
                return Json((await RunAsync([.. verb, "--json"], limit)).Output);
            await _room.WaitAsync(limit);
            try
            {
                // Somebody may have asked the same just before.
                if (Find(key) is { } meanwhile)
                    return Json(meanwhile);
                var (_, output) = await RunAsync([.. verb, "--json"], limit);
                lock (_kept)
                {
                    if (_kept.Count >= MostKept)
                        _kept.Clear();
                    _kept[key] = (output, time.GetUtcNow());
                }
                return Json(output);
            }
            finally
            {
                _room.Release();
            }
        }, cancellation);
    }

    public Task<IResult> ProveAsync(Guid eventId, CancellationToken cancellation) => AnswerAsync(async limit =>
        Results.File(Encoding.UTF8.GetBytes((await RunAsync(["prove", $"{eventId}"], limit)).Output), "text/plain; charset=utf-8", $"{eventId}.proof"), cancellation);

    /// <returns>0, or 1 where the verb found that something is not as it should be; and what it wrote.</returns>
    /// <param name="policy">Handed to the verb in a file of its own, since that is how it takes one.</param>
    /// <exception cref="AuditException">Nothing can be said.</exception>
    public async Task<(int ExitCode, string Output)> RunAsync(string[] verb, CancellationToken cancellation, Policy? policy = null)
    {
        using var output = new StringWriter();
        var folder = policy is null ? null : Directory.CreateTempSubdirectory("huzhu-policy-");
        try
        {
            if (folder is not null)
            {
                var file = Path.Combine(folder.FullName, "policy.json");
                await File.WriteAllTextAsync(file, JsonSerializer.Serialize(policy, JsonSerializerOptions.Web), cancellation);
                verb = [.. verb, "--policy", file];
            }
            // Off the caller's thread: what a verb does between its reads can take a while.
            var exitCode = await Task.Run(() => AuditCommand.InvokeAsync(verb, configuration, output, output, cancellation), cancellation);
            return exitCode is ExitCodes.Ok or ExitCodes.Found ? (exitCode, output.ToString())
                // Verify writes what it could not look at, and says so in its answer.
                : exitCode is ExitCodes.Unknown && output.ToString().TrimStart().StartsWith('[') ? (exitCode, output.ToString())
                : throw new AuditException(output.ToString().Trim());
        }
        finally
        {
            folder?.Delete(recursive: true);
        }
    }

    private static async Task<IResult> AnswerAsync(Func<CancellationToken, Task<IResult>> answer, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Longest);
        try
        {
            return await answer(limit.Token);
        }
        catch (UnknownIdException exception)
        {
            return Problems.Of(StatusCodes.Status404NotFound, "not-found", exception.Message);
        }
        catch (AuditException exception)
        {
            return Problems.Of(StatusCodes.Status409Conflict, "cannot-say", exception.Message);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return Problems.Of(StatusCodes.Status503ServiceUnavailable, "too-long", $"It took longer than {Longest.TotalSeconds:0} s; ask the command line.");
        }
        catch (NpgsqlException)
        {
            return Problems.Of(StatusCodes.Status503ServiceUnavailable, "log-away", "A log cannot be read now.");
        }
    }

    private string? Find(string key)
    {
        lock (_kept)
            return _kept.TryGetValue(key, out var kept) && time.GetUtcNow() - kept.At < KeptFor ? kept.Json : null;
    }

    private static IResult Json(string json) => Results.Text(json, "application/json", Encoding.UTF8);
}
