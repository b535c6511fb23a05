using System.Diagnostics.Metrics;
using System.Globalization;
using System.Threading.RateLimiting;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>What becomes of a message; null when it has to wait.</summary>
/// <param name="othersWait">Earlier messages of the same person wait.</param>
public delegate Task<Answer?> Hearing(Correspondent who, Utterance said, bool othersWait, CancellationToken cancellation);

/// <summary>Brings a person an answer that could not be given at once.</summary>
public delegate Task Telling(Correspondent who, string messageKey, Answer answer, CancellationToken cancellation);

/// <summary>
/// Where every front end brings its messages. Takes one in within the front end's patience: into the log, or, when that does not
/// answer in time or needs are shed, into the spool, from which it goes into the log as soon as it can, each person's in order, and
/// those of danger of life first; then the answer is sent.
/// </summary>
public sealed class Inbox(Hearing hear, Telling tell, Spool spool, IConfiguration configuration, TimeProvider time, ILogger<Inbox> logger) : BackgroundService
{
    public const string PatienceKey = "Channels:AnswerWithinMilliseconds";
    public const string LimitKey = "Limits:MessagesPerMinute";
    private static readonly TimeSpan RefillEvery = TimeSpan.FromSeconds(5);
    private const int ShortestPatience = 100;
    private const int LongestPatience = 15_000;

    /// <summary>WeChat waits 5 s and Twilio 15 s; the caller waits too.</summary>
    private readonly TimeSpan _patience = ReadPatience(configuration);
    private readonly PartitionedRateLimiter<Correspondent> _limit = LimitEach(configuration);
    private static readonly TimeSpan SpooledPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AdoptEvery = TimeSpan.FromSeconds(30);
    private const int MaxTries = 5;

    /// <summary>The log has not answered, and nothing has been heard by it since: nobody waits for it in vain.</summary>
    private volatile bool _isAway;

    private static readonly Meter Meter = new("Huzhu.Requests");
    private static readonly Counter<long> Heard = Meter.CreateCounter<long>("huzhu.requests.channels.messages", description: "Messages of front ends, by front end and how they were taken in");

    /// <exception cref="IOException">Neither the log nor the spool took it: the front end must send it again.</exception>
    public async Task<Answer> TakeAsync(Correspondent who, Utterance said)
    {
        // One caller must not take the room of all others; it is told, because it may be in need.
        using var room = _limit.AttemptAcquire(who);
        if (!room.IsAcquired)
        {
            Count(who, "nothing");
            return Told(who, said, Reply.TooMany);
        }
        if (!_isAway)
        {
            try
            {
                // It may still be committed after nobody waits for it any more; then the spooled message is known as a repeat.
                if (await hear(who, said, spool.HoldsFrom(who), CancellationToken.None).WaitAsync(_patience, time) is { } answer)
                {
                    Count(who, "log");
                    return answer;
                }
            }
            catch (Exception exception)
            {
                _isAway = Messaging.IsServerAway(exception);
                logger.LogWarning("A message is spooled, because the log did not take it: {Reason}", exception.GetType().Name);
                if (!Messaging.IsServerAway(exception))
                    logger.LogError(exception, "A message could not be taken in");
            }
        }
        spool.Add(new Spool.Entry(who, said));
        Count(who, "spool");
        return Told(who, said, Reply.Later);
    }

    public override void Dispose()
    {
        _limit.Dispose();
        base.Dispose();
    }

    /// <summary>In the language of what was said: the conversation's own is in the log.</summary>
    private static Answer Told(Correspondent who, Utterance said, Reply reply)
    {
        var language = said.Text is { } text ? Understanding.Of(text).Language ?? who.Language : who.Language;
        return new Answer(said.IsPassive ? null : Replies.Of(reply, language, who.IsSpokenWith), reply, language);
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
                var answer = await hear(entry.Who, entry.Said, false, limit.Token);
                _isAway = false;
                if (answer is null)
                {
                    await Task.Delay(Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    continue;
                }
                // Whoever wrote several times is told where that has led, once.
                spool.Remove(entry);
                var isLast = !spool.HoldsFrom(entry.Who);
                tries = 0;
                if (isLast && answer.Text is not null)
                    await TellAsync(entry, answer);
            }
            catch (Exception exception)
            {
                if (!Messaging.IsServerAway(exception) && exception is not OperationCanceledException && ++tries >= MaxTries)
                {
                    logger.LogError(exception, "A spooled message cannot be taken in and is set aside");
                    spool.SetAside(entry);
                    spool.Remove(entry);
                    tries = 0;
                }
                await Task.Delay(Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>A call is over, and whoever called hears of the request as of any other.</summary>
    private async Task TellAsync(Spool.Entry entry, Answer answer)
    {
        if (entry.Who.IsSpokenWith)
            return;
        try
        {
            using var limit = new CancellationTokenSource(SpooledPatience);
            await tell(entry.Who, entry.Said.Key, answer, limit.Token);
        }
        catch (Exception exception)
        {
            logger.LogWarning("The answer to a spooled message could not be sent: {Reason}", exception.GetType().Name);
        }
    }

    private static TimeSpan ReadPatience(IConfiguration configuration) => configuration[PatienceKey] is not { Length: > 0 } text ? TimeSpan.FromMilliseconds(1500)
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds is >= ShortestPatience and <= LongestPatience
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new InvalidOperationException($"{PatienceKey} must be a number from {ShortestPatience} to {LongestPatience}.");

    /// <summary>By telephone number or openid, for a minute's worth at once.</summary>
    private static PartitionedRateLimiter<Correspondent> LimitEach(IConfiguration configuration)
    {
        var perMinute = configuration.GetValue(LimitKey, 30);
        if (perMinute < 1)
            throw new InvalidOperationException($"{LimitKey} must be 1 or more.");
        return PartitionedRateLimiter.Create<Correspondent, string>(who => RateLimitPartition.GetTokenBucketLimiter($"{who.Source}\n{who.Ref}", _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = perMinute,
            TokensPerPeriod = Math.Max(1, perMinute / 12),
            ReplenishmentPeriod = RefillEvery,
        }));
    }

    private static void Count(Correspondent who, string into) => Heard.Add(1, new("channel", who.Channel), new("into", into));
}
