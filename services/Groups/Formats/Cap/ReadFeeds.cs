using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Xml;
using System.Xml.Linq;
using Huzhu.ServiceDefaults;
using Npgsql;
using Polly;
using Polly.Retry;
using Polly.Timeout;
using Weasel.Postgresql.Tables;

namespace Huzhu.Groups.Formats.Cap;

/// <param name="Senders">The senders of alerts that the feed may speak for; others are passed over.</param>
public sealed record CapFeed(Uri Url, IReadOnlySet<string> Senders, TimeSpan Interval)
{
    private const int MaxFeeds = 20;
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(1);

    public Guid Id => DeterministicId.Of(Guid.Empty, Url.AbsoluteUri);

    public static IReadOnlyList<CapFeed> ReadAll(IConfiguration configuration, OutboundHttp outbound)
    {
        var feeds = configuration.GetSection("Cap:Feeds").GetChildren().Select(feed => Read(feed, outbound)).ToList();
        return feeds.Count <= MaxFeeds ? feeds : throw new InvalidOperationException($"Cap:Feeds has more than {MaxFeeds} feeds.");
    }

    private static CapFeed Read(IConfigurationSection feed, OutboundHttp outbound)
    {
        var url = OutboundHttp.UriOf(feed["Url"]);
        if (outbound.Refuse(url) is { } refusal)
            throw new InvalidOperationException($"{feed.Path}:Url cannot be read ({refusal}): it must be an https address on the public Internet, or its host one of Cap:AllowedPrivateHosts.");
        var senders = feed.GetSection("Senders").Get<string[]>() ?? [];
        if (senders.Length == 0)
            throw new InvalidOperationException($"{feed.Path}:Senders must name whose alerts are taken from this feed.");
        var text = feed["IntervalSeconds"] ?? "60";
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || TimeSpan.FromSeconds(seconds) < ShortestInterval || TimeSpan.FromSeconds(seconds) > LongestInterval)
            throw new InvalidOperationException($"{feed.Path}:IntervalSeconds must be between {ShortestInterval.TotalSeconds} and {LongestInterval.TotalSeconds}.");
        return new CapFeed(url!, senders.ToHashSet(StringComparer.Ordinal), TimeSpan.FromSeconds(seconds));
    }
}

/// <summary>
/// Reads the feeds of alerts that configuration names. A row of the database says when a feed is due: whichever replica
/// moves it first reads the feed, and nobody else until then. What a replica remembers of a feed only saves work: an
/// alert that comes twice is the same alert.
/// </summary>
public sealed class ReadFeeds(IReadOnlyList<CapFeed> feeds, OutboundHttp outbound, AlertIntake intake, NpgsqlDataSource database, TimeProvider time, ILogger<ReadFeeds> logger)
    : BackgroundService
{
    private const string TableName = EventStore.Schema + ".cap_feeds";
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromSeconds(10);
    /// <summary>A whole reading, entries included; and how long a replica that died keeps the others away.</summary>
    private static readonly TimeSpan ReadingTimeout = TimeSpan.FromSeconds(60);

    private static readonly Meter Meter = new("Huzhu.Groups");
    private static readonly Counter<long> Readings = Meter.CreateCounter<long>("huzhu.groups.cap_feeds", description: "Readings of feeds of alerts, by outcome");

    private static readonly ResiliencePipeline Fetch = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>(exception => exception.StatusCode is null or >= HttpStatusCode.InternalServerError
                && exception.GetBaseException() is not OutboundHttp.PrivateAddressException),
            MaxRetryAttempts = 2,
            Delay = TimeSpan.FromMilliseconds(500),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
        })
        .AddTimeout(AttemptTimeout)
        .Build();

    /// <summary>What this replica knows of a feed: how to ask whether it has changed, and the entries that are done with.</summary>
    private sealed record Memory(EntityTagHeaderValue? ETag, DateTimeOffset? LastModified, IReadOnlySet<string> Done)
    {
        public static readonly Memory Nothing = new(null, null, new HashSet<string>());
    }

    public static Table Table()
    {
        var table = new Table(TableName);
        table.AddColumn<Guid>("id").AsPrimaryKey();
        table.AddColumn<DateTimeOffset>("due_at").NotNull();
        return table;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var handler = outbound.CreateHandler();
        (handler.ConnectTimeout, handler.AutomaticDecompression) = (AttemptTimeout, DecompressionMethods.All);
        using var http = new HttpMessageInvoker(handler);
        await Task.WhenAll(feeds.Select(feed => FollowAsync(feed, http, stoppingToken)));
    }

    private async Task FollowAsync(CapFeed feed, HttpMessageInvoker http, CancellationToken stopping)
    {
        var memory = Memory.Nothing;
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                if (await ClaimAsync(feed, stopping) is { } lease)
                {
                    try
                    {
                        memory = await ReadAsync(feed, memory, http, stopping);
                    }
                    finally
                    {
                        await ReleaseAsync(feed, lease);
                    }
                }
                await Task.Delay(Look, time, stopping);
            }
            catch (Exception exception)
            {
                if (stopping.IsCancellationRequested)
                    return;
                Readings.Add(1, new KeyValuePair<string, object?>("outcome", "failed"));
                logger.LogWarning(exception, "The feed of alerts {Feed} could not be read; it is tried again when its interval is over", feed.Url.GetLeftPart(UriPartial.Path));
                await Task.Delay(Look, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <returns>Until when nobody else reads it; null when it is not due or another replica has it.</returns>
    private async Task<DateTimeOffset?> ClaimAsync(CapFeed feed, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var lease = new DateTimeOffset((now + ReadingTimeout).UtcTicks / 10 * 10, TimeSpan.Zero);
        await using var command = database.CreateCommand($"""
            insert into {TableName} as feed (id, due_at) values ($1, $2)
            on conflict (id) do update set due_at = excluded.due_at where feed.due_at <= $3
            """);
        command.Parameters.AddWithValue(feed.Id);
        command.Parameters.AddWithValue(lease);
        command.Parameters.AddWithValue(now);
        return await command.ExecuteNonQueryAsync(cancellation) == 1 ? lease : null;
    }

    private async Task ReleaseAsync(CapFeed feed, DateTimeOffset lease)
    {
        await using var command = database.CreateCommand($"update {TableName} set due_at = $1 where id = $2 and due_at = $3");
        command.Parameters.AddWithValue(time.GetUtcNow() + feed.Interval);
        command.Parameters.AddWithValue(feed.Id);
        command.Parameters.AddWithValue(lease);
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    private async Task<Memory> ReadAsync(CapFeed feed, Memory memory, HttpMessageInvoker http, CancellationToken stopping)
    {
        using var limit = new CancellationTokenSource(ReadingTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        var answer = await GetAsync(http, feed.Url, memory, both.Token);
        if (answer is null)
        {
            Readings.Add(1, new KeyValuePair<string, object?>("outcome", "unchanged"));
            return memory;
        }
        var entries = FeedDocument.Read(CapDocument.Load(answer.Body), feed.Url)
            ?? throw new XmlException("It is neither Atom, nor RSS 2.0, nor an alert.");
        var done = new HashSet<string>();
        var alerts = new List<(string Key, XElement Document)>();
        var complete = true;
        foreach (var entry in entries)
        {
            if (memory.Done.Contains(entry.Key) && entry.Alert is null)
            {
                done.Add(entry.Key);
                continue;
            }
            try
            {
                if ((entry.Alert ?? await FollowLinkAsync(entry, http, both.Token)) is { } document)
                    alerts.Add((entry.Key, document));
            }
            catch (XmlException exception)
            {
                logger.LogWarning("An entry of the feed {Feed} is no alert: {Reason}", feed.Url.GetLeftPart(UriPartial.Path), exception.Message);
                done.Add(entry.Key);
            }
            catch (Exception exception) when (exception is HttpRequestException or TimeoutRejectedException)
            {
                logger.LogWarning(exception, "An entry of the feed {Feed} could not be read", feed.Url.GetLeftPart(UriPartial.Path));
                complete = false;
            }
        }
        // The newest first: what it takes the place of is then never put in force for a moment.
        foreach (var (key, document) in alerts.OrderByDescending(alert => SentOf(alert.Document)))
        {
            var (_, errors) = await intake.TakeAsync(document, feed.Url.Host, feed.Senders, both.Token);
            if (errors.Count > 0)
                logger.LogWarning("An alert of the feed {Feed} is not acceptable: {Errors}", feed.Url.GetLeftPart(UriPartial.Path), string.Join("; ", errors.Select(error => $"{error.Key}: {error.Value[0]}")));
            done.Add(key);
        }
        Readings.Add(1, new KeyValuePair<string, object?>("outcome", "read"));
        return complete ? new Memory(answer.ETag, answer.LastModified, done) : Memory.Nothing with { Done = done };
    }

    private async Task<XElement?> FollowLinkAsync(FeedEntry entry, HttpMessageInvoker http, CancellationToken cancellation)
    {
        if (outbound.Refuse(entry.Link) is { } refusal)
            throw new XmlException($"Its link is not followed ({refusal}).");
        return await GetAsync(http, entry.Link!, Memory.Nothing, cancellation) is { } answer ? CapDocument.Load(answer.Body) : null;
    }

    private sealed record Answer(byte[] Body, EntityTagHeaderValue? ETag, DateTimeOffset? LastModified);

    /// <returns>Null when nothing has changed.</returns>
    private static async Task<Answer?> GetAsync(HttpMessageInvoker http, Uri address, Memory memory, CancellationToken cancellation) => await Fetch.ExecuteAsync(async token =>
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.UserAgent.ParseAdd("Huzhu-Groups/1");
        if (memory.ETag is { } tag)
            request.Headers.IfNoneMatch.Add(tag);
        request.Headers.IfModifiedSince = memory.LastModified;
        using var response = await http.SendAsync(request, token);
        if (response.StatusCode == HttpStatusCode.NotModified)
            return null;
        // A redirect is not followed: it could lead anywhere.
        if (response.StatusCode != HttpStatusCode.OK)
            throw new HttpRequestException($"The answer was {(int)response.StatusCode}.", null, response.StatusCode);
        await using var stream = await response.Content.ReadAsStreamAsync(token);
        // Counted after decompression, so that a small answer cannot grow without end.
        var body = new byte[CapDocument.MaxCharacters + 1];
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, token);
        return length <= CapDocument.MaxCharacters
            ? new Answer(body[..length], response.Headers.ETag, response.Content.Headers.LastModified)
            : throw new XmlException($"It is larger than {CapDocument.MaxCharacters} bytes.");
    }, cancellation);

    private static DateTimeOffset SentOf(XElement alert) =>
        DateTimeOffset.TryParse(alert.Element(alert.Name.Namespace + "sent")?.Value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var sent) ? sent : DateTimeOffset.MinValue;
}

public static class Cap
{
    public static IHostApplicationBuilder AddCap(this IHostApplicationBuilder builder)
    {
        var outbound = OutboundHttp.Read(builder.Configuration, "Cap:AllowedPrivateHosts");
        var feeds = CapFeed.ReadAll(builder.Configuration, outbound);
        builder.Services.AddSingleton(CapProfile.Read(builder.Configuration)).AddSingleton(outbound).AddSingleton(feeds)
            .AddSingleton<ApplyAlert>().AddTimer<ApplyAlert>().AddSingleton<AlertIntake>();
        if (feeds.Count > 0)
            builder.Services.AddHostedService<ReadFeeds>();
        return builder;
    }
}
