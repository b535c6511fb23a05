using System.Diagnostics.Metrics;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>
/// Takes a message in within the front end's patience: into the log, or, when that does not answer in time, into the spool, from
/// which it goes into the log as soon as the database is back, in order.
/// </summary>
public sealed class Inbox(Conversations conversations, Spool spool, ILogger<Inbox> logger) : BackgroundService
{
    /// <summary>WeChat waits 5 s and Twilio 15 s; the caller waits too.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(1500);
    private static readonly TimeSpan SpooledPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AdoptEvery = TimeSpan.FromSeconds(30);
    private const int MaxTries = 5;

    private static readonly Meter Meter = new("Huzhu.Requests");
    private static readonly Counter<long> Heard = Meter.CreateCounter<long>("huzhu.requests.channels.messages", description: "Messages of front ends, by front end and how they were taken in");

    /// <exception cref="IOException">Neither the log nor the spool took it: the front end must send it again.</exception>
    public async Task<Answer> TakeAsync(Correspondent who, Utterance said)
    {
        // What waits goes first.
        if (spool.Count == 0)
        {
            try
            {
                // It may still be committed after nobody waits for it any more; then the spooled message is known as a repeat.
                var answer = await conversations.HearAsync(who, said, CancellationToken.None).WaitAsync(Patience);
                Count(who, "log");
                return answer;
            }
            catch (Exception exception)
            {
                logger.LogWarning("A message is spooled, because the log did not take it: {Reason}", exception.GetType().Name);
                if (!Messaging.IsServerAway(exception))
                    logger.LogError(exception, "A message could not be taken in");
            }
        }
        spool.Add(new Spool.Entry(who, said));
        Count(who, "spool");
        return new Answer(said.IsPassive ? null : Replies.Of(Reply.Later, who.Language, who.IsSpokenWith), Reply.Later, who.Language);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var tries = 0;
        var nextAdoption = DateTimeOffset.MinValue;
        while (!stoppingToken.IsCancellationRequested)
        {
            if (DateTimeOffset.UtcNow >= nextAdoption)
            {
                nextAdoption = DateTimeOffset.UtcNow + AdoptEvery;
                if (spool.Adopt() is > 0 and var adopted)
                    logger.LogWarning("{Count} messages of a process that ended are taken over from the spool", adopted);
            }
            if (spool.Peek() is not { } entry)
            {
                await Task.Delay(Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }
            try
            {
                using var limit = new CancellationTokenSource(SpooledPatience);
                await conversations.HearAsync(entry.Who, entry.Said, limit.Token);
                spool.Remove();
                tries = 0;
            }
            catch (Exception exception)
            {
                if (!Messaging.IsServerAway(exception) && exception is not OperationCanceledException && ++tries >= MaxTries)
                {
                    logger.LogError(exception, "A spooled message cannot be taken in and is set aside");
                    spool.SetAside(entry);
                    spool.Remove();
                    tries = 0;
                }
                await Task.Delay(Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static void Count(Correspondent who, string into) => Heard.Add(1, new("channel", who.Channel), new("into", into));
}
