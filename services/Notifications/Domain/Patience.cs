namespace Huzhu.Notifications.Domain;

/// <summary>
/// How long and how often to try. An offer lives for minutes, so its message is tried in quick succession and then given
/// to the next channel; anything else may be told hours later, as the Standard Webhooks schedule has it.
/// </summary>
public static class Patience
{
    private static readonly TimeSpan[] OfferDelays = [Milliseconds(500), Seconds(2), Seconds(5)];

    /// <summary>On the last channel, for offers that live long enough: a receiver that restarts must not cost a responder.</summary>
    private static readonly TimeSpan[] LastOfferDelays = [.. OfferDelays, Seconds(10), Seconds(30)];

    /// <summary>Share of an offer's life that its last channel may use up before Matching is told to ask somebody else.</summary>
    private const double ShareOfLife = 0.1;

    private static readonly TimeSpan[] Delays = [Seconds(5)];

    private static readonly TimeSpan[] LastDelays =
    [
        .. Delays, Minutes(5), Minutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
        TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
    ];

    private static readonly TimeSpan[] OfferLookupDelays = [Milliseconds(500), Seconds(1), Seconds(2), Seconds(5), Seconds(10)];
    private static readonly TimeSpan[] LookupDelays = [Seconds(1), Seconds(5), Seconds(30), Minutes(1), Minutes(5)];
    private static readonly TimeSpan LongestLookup = TimeSpan.FromHours(72);

    /// <summary>A receiver that asks for a longer pause than this is left for the next channel, when there is one.</summary>
    private static readonly TimeSpan LongestPauseBeforeNextChannel = Minutes(1);

    private static readonly TimeSpan LongestPauseOfAnOffer = Seconds(5);
    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromHours(24);
    private const double JitterShare = 0.2;

    /// <summary>When to try again after <paramref name="failures"/> attempts on a channel; null: give the channel up.</summary>
    /// <param name="retryAfter">The receiver's own wish; never undercut.</param>
    public static DateTimeOffset? NextAttemptAt(
        NotificationRequested request, int failures, bool hasNext, TimeSpan? retryAfter, double jitter, DateTimeOffset now)
    {
        var isOffer = request.Message == MessageKind.OfferMade;
        var delays = (isOffer, hasNext) switch
        {
            (true, true) => OfferDelays,
            (true, false) => LastOfferDelays,
            (false, true) => Delays,
            (false, false) => LastDelays,
        };
        if (failures > delays.Length)
            return null;
        var delay = delays[failures - 1];
        if (isOffer && failures > OfferDelays.Length && now + delay > request.CausedAt + ShareOfLife * (request.ExpiresAt - request.CausedAt))
            return null;
        if (retryAfter > delay)
        {
            if (hasNext && retryAfter > (isOffer ? LongestPauseOfAnOffer : LongestPauseBeforeNextChannel))
                return null;
            delay = retryAfter.Value < LongestRetryAfter ? retryAfter.Value : LongestRetryAfter;
        }
        return Before(request.ExpiresAt, now + delay * (1 + JitterShare * jitter));
    }

    /// <summary>When to ask for the contact again after <paramref name="failures"/> questions in a row; null: it is too late.</summary>
    public static DateTimeOffset? NextLookupAt(NotificationRequested request, int failures, double jitter, DateTimeOffset now)
    {
        var delays = request.Message == MessageKind.OfferMade ? OfferLookupDelays : LookupDelays;
        var delay = delays[Math.Min(failures, delays.Length) - 1];
        return Before(request.ExpiresAt ?? request.At + LongestLookup, now + delay * (1 + JitterShare * jitter));
    }

    private static DateTimeOffset? Before(DateTimeOffset? end, DateTimeOffset at) => at >= end ? null : at;

    private static TimeSpan Milliseconds(int count) => TimeSpan.FromMilliseconds(count);
    private static TimeSpan Seconds(int count) => TimeSpan.FromSeconds(count);
    private static TimeSpan Minutes(int count) => TimeSpan.FromMinutes(count);
}
