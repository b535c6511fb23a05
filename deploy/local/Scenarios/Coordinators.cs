using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// The people behind the responders: they get signed webhooks as their phones would, and answer through the links in
/// them. Who declines, who stays silent and how long help takes comes from the scenario's seed, by responder and need.
/// </summary>
public sealed class Coordinators : IAsyncDisposable
{
    readonly Scenario _scenario;
    readonly Agenda _agenda;
    readonly ServiceCalls _calls;
    readonly AcceptedCalls _accepted;
    readonly NeedBook _book;
    readonly WebApplication _receiver;
    readonly Dictionary<Guid, Responder> _responders;
    readonly byte[] _callersKey = RandomNumberGenerator.GetBytes(32);
    readonly ConcurrentDictionary<Guid, Engagement> _engagements = [];
    readonly ConcurrentDictionary<string, byte> _seen = [];
    readonly ConcurrentDictionary<string, int> _answers = [];
    int _inHand;
    long _messages, _badSignatures, _repeatedMessages, _toCallers;

    sealed record Responder(ScenarioResponder Entry, byte[] Key);

    /// <summary>One responder at work on one offer. Messages and acts about it cross each other.</summary>
    sealed class Engagement(Guid responder)
    {
        readonly Lock _lock = new();
        double? _acceptedDay;
        bool _ended;

        public Guid Responder { get; } = responder;

        public bool Ended
        {
            get
            {
                lock (_lock)
                    return _ended;
            }
        }

        /// <summary>False when the news of its end was faster than the answer to the acceptance.</summary>
        public bool TryAccept(double day)
        {
            lock (_lock)
            {
                if (!_ended)
                    _acceptedDay = day;
                return !_ended;
            }
        }

        /// <returns>Whether this call ended it, and since when it had been accepted.</returns>
        public (bool First, double? AcceptedDay) End()
        {
            lock (_lock)
            {
                var first = !_ended;
                _ended = true;
                return (first, _acceptedDay);
            }
        }
    }

    Coordinators(Scenario scenario, Agenda agenda, ServiceCalls calls, AcceptedCalls accepted, NeedBook book)
    {
        (_scenario, _agenda, _calls, _accepted, _book) = (scenario, agenda, calls, accepted, book);
        _responders = scenario.Responders.ToDictionary(entry => entry.Id, entry => new Responder(entry, RandomNumberGenerator.GetBytes(32)));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        _receiver = builder.Build();
        _receiver.MapPost("/responders/{id:guid}", ReceiveForResponderAsync);
        _receiver.MapPost("/callers", ReceiveForCallerAsync);
    }

    /// <summary>How often the coordinators said what, and what came back: "accept 200", "accept place-filled".</summary>
    public IReadOnlyDictionary<string, int> Answers => new SortedDictionary<string, int>(_answers);

    /// <summary>Needs that somebody has accepted and not finished.</summary>
    public int InHand => Volatile.Read(ref _inHand);

    /// <summary>Webhooks that came, those of them whose signature was wrong, and those that had come before.</summary>
    public (long All, long BadSignature, long Repeated, long ToCallers) Messages =>
        (Interlocked.Read(ref _messages), Interlocked.Read(ref _badSignatures), Interlocked.Read(ref _repeatedMessages), Interlocked.Read(ref _toCallers));

    public static async Task<Coordinators> StartAsync(
        Scenario scenario, Agenda agenda, ServiceCalls calls, AcceptedCalls accepted, NeedBook book, CancellationToken cancellation)
    {
        var coordinators = new Coordinators(scenario, agenda, calls, accepted, book);
        await coordinators._receiver.StartAsync(cancellation);
        return coordinators;
    }

    public string Address => _receiver.Urls.First();
    public string CallersAddress => $"{Address}/callers";

    /// <summary>What signs messages to callers, for the configuration of Notifications.</summary>
    public string CallersSecret => Secret(_callersKey);

    public (string Address, string Secret) ChannelOf(ScenarioResponder responder) =>
        ($"{Address}/responders/{responder.Id}", Secret(_responders[responder.Id].Key));

    public async ValueTask DisposeAsync()
    {
        await _receiver.StopAsync(CancellationToken.None);
        await _receiver.DisposeAsync();
    }

    static string Secret(byte[] key) => $"whsec_{Convert.ToBase64String(key)}";

    async Task ReceiveForResponderAsync(HttpContext http, Guid id)
    {
        if (!_responders.TryGetValue(id, out var responder) || await ReadSignedAsync(http, responder.Key) is not { } message)
            return;
        var data = message.GetProperty("data");
        var offer = data.GetProperty("offerId").GetGuid();
        switch (message.GetProperty("type").GetString())
        {
            case "org.huzhu.offer.made.v1":
                Consider(responder.Entry, offer, data.GetProperty("needId").GetGuid(), data.GetProperty("expiresAt").GetDateTimeOffset(), data.GetProperty("links").Clone());
                break;
            case "org.huzhu.offer.ended.v1":
                End(offer, data.GetProperty("needId").GetGuid());
                break;
        }
    }

    async Task ReceiveForCallerAsync(HttpContext http)
    {
        if (await ReadSignedAsync(http, _callersKey) is not null)
            Interlocked.Increment(ref _toCallers);
    }

    /// <summary>As https://www.standardwebhooks.com says; null when it was answered, because it is not genuine or has come before.</summary>
    async Task<JsonElement?> ReadSignedAsync(HttpContext http, byte[] key)
    {
        using var buffer = new MemoryStream();
        await http.Request.Body.CopyToAsync(buffer, http.RequestAborted);
        var body = buffer.ToArray();
        Interlocked.Increment(ref _messages);
        var (id, timestamp) = (http.Request.Headers["webhook-id"].ToString(), http.Request.Headers["webhook-timestamp"].ToString());
        var expected = HMACSHA256.HashData(key, (byte[])[.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body]);
        var isGenuine = http.Request.Headers["webhook-signature"].ToString().Split(' ').Any(signature =>
            signature.StartsWith("v1,", StringComparison.Ordinal)
            && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(signature[3..]), Encoding.ASCII.GetBytes(Convert.ToBase64String(expected))));
        if (!isGenuine || !long.TryParse(timestamp, out var sentAt) || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - sentAt) > 300)
        {
            Interlocked.Increment(ref _badSignatures);
            http.Response.StatusCode = (int)HttpStatusCode.Unauthorized;
            return null;
        }
        http.Response.StatusCode = (int)HttpStatusCode.NoContent;
        if (!_seen.TryAdd(id, 0))
        {
            Interlocked.Increment(ref _repeatedMessages);
            return null;
        }
        using var document = JsonDocument.Parse(body);
        return document.RootElement.Clone();
    }

    void Consider(ScenarioResponder responder, Guid offer, Guid need, DateTimeOffset expiresAt, JsonElement links)
    {
        var engagement = new Engagement(responder.Id);
        if (!_engagements.TryAdd(offer, engagement))
            return;
        var behaviour = _scenario.Behaviour;
        // The message may be here before the driver has read the answer to its submission.
        _agenda.After(0, async cancellation =>
        {
            var asked = await _book.FindAsync(need, cancellation);
            var attempt = asked.CountAsk(responder.Id);
            double Choice(string about) => Seeded.Unit(_scenario.Seed, $"{about} {responder.Id} {asked.Key} {attempt}");
            var (declines, silent) = responder.IsProvider
                ? (behaviour.ProviderDeclines, behaviour.ProviderSilent)
                : (behaviour.GroupDeclines, behaviour.GroupSilent);
            var delay = behaviour.AnswerSecondsMin + Choice("delay") * (behaviour.AnswerSecondsMax - behaviour.AnswerSecondsMin);
            var mood = Choice("mood");
            if (mood < silent)
                // Stays on the agenda, so that the run does not end before the silence is over.
                _agenda.After(Math.Max(0, (expiresAt - DateTimeOffset.UtcNow).TotalSeconds) + 0.3, _ => Task.CompletedTask);
            else if (mood < silent + declines)
                _agenda.After(delay, token => DeclineAsync(engagement, offer, links, Choice("reason"), token));
            else
                _agenda.After(delay, token => AcceptAsync(engagement, offer, links, asked, Choice, token));
        });
    }

    async Task DeclineAsync(Engagement engagement, Guid offer, JsonElement links, double choice, CancellationToken cancellation)
    {
        if (engagement.Ended)
            return;
        var reason = choice switch { < 0.5 => "no-capacity", < 0.7 => "out-of-area", < 0.85 => "not-capable", < 0.93 => "communication-mismatch", _ => "other" };
        await AnswerAsync(Call.Decline, offer, links, new { reason }, cancellation);
    }

    async Task AcceptAsync(Engagement engagement, Guid offer, JsonElement links, BookedNeed need, Func<string, double> choice, CancellationToken cancellation)
    {
        if (engagement.Ended || await AnswerAsync(Call.Accept, offer, links, new { }, cancellation) is not { IsSuccess: true })
            return;
        var calendar = _scenario.Calendar;
        if (!engagement.TryAccept(calendar.DayAt(_agenda.Now)))
            return;
        Interlocked.Increment(ref _inHand);
        var work = need.WorkLeftDays;
        OnDay(Math.Min(0.1, work / 4), token => StartAsync(engagement, offer, links, token));
        if (choice("release") < _scenario.Behaviour.Releases)
            OnDay(work * 0.4, token => ReleaseAsync(engagement, offer, links, need, token));
        else
            OnDay(work, token => CompleteAsync(engagement, offer, links, need, choice, token));
    }

    void OnDay(double daysFromNow, Func<CancellationToken, Task> act) =>
        _agenda.At(_scenario.Calendar.SecondsAt(_scenario.Calendar.DayAt(_agenda.Now) + daysFromNow), act);

    Task StartAsync(Engagement engagement, Guid offer, JsonElement links, CancellationToken cancellation) =>
        engagement.Ended ? Task.CompletedTask : AnswerAsync(Call.Start, offer, links, new { }, cancellation);

    async Task ReleaseAsync(Engagement engagement, Guid offer, JsonElement links, BookedNeed need, CancellationToken cancellation)
    {
        if (engagement.Ended || await AnswerAsync(Call.Release, offer, links, new { reason = "cannot-go-on" }, cancellation) is not { IsSuccess: true })
            return;
        Stop(engagement, need);
    }

    async Task CompleteAsync(Engagement engagement, Guid offer, JsonElement links, BookedNeed need, Func<string, double> choice, CancellationToken cancellation)
    {
        if (engagement.Ended)
            return;
        var remaining = need.RemainingQuantity;
        int? quantity = remaining > 1 && choice("part") < _scenario.Behaviour.CompletesInPart ? remaining / 2 : null;
        var answer = await AnswerAsync(Call.Complete, offer, links, quantity is null ? new { } : new { quantity }, cancellation);
        if (!answer.IsSuccess)
        {
            Stop(engagement, need);
            return;
        }
        Stop(engagement, need: null);
        if (quantity is { } done)
            need.DoneInPart(done);
        else
            _book.Helped(need, engagement.Responder);
    }

    /// <summary>Told that the offer is over: a closure, another was first, too late.</summary>
    void End(Guid offer, Guid needId) =>
        Stop(_engagements.GetOrAdd(offer, _ => new Engagement(Guid.Empty)), _book.TryFind(needId, out var need) ? need : null);

    /// <param name="need">Told how much of its work is done; null when that does not matter.</param>
    void Stop(Engagement engagement, BookedNeed? need)
    {
        if (engagement.End() is not (true, { } since))
            return;
        Interlocked.Decrement(ref _inHand);
        need?.WorkedDays(_scenario.Calendar.DayAt(_agenda.Now) - since);
    }

    async Task<Answer> AnswerAsync(Call call, Guid offer, JsonElement links, object body, CancellationToken cancellation)
    {
        var answer = await _calls.SendAsync(HttpMethod.Post, new Uri(links.GetProperty(call.ToString().ToLowerInvariant()).GetString()!), token: null, body, cancellation);
        _answers.AddOrUpdate($"{call.ToString().ToLowerInvariant()} {answer.Code ?? ((int)answer.Status).ToString(CultureInfo.InvariantCulture)}", 1, (_, count) => count + 1);
        if (answer.IsSuccess)
            _accepted.Add(new AcceptedCall(call, offer, [], "", DateTimeOffset.UtcNow));
        else if (answer.Status != HttpStatusCode.Conflict)
            throw new ServiceCallException($"{call} of the offer {offer} through its own link was answered {(int)answer.Status}: {answer.Body}");
        return answer;
    }
}

/// <summary>A need as its caller and the coordinators know it.</summary>
public sealed class BookedNeed(Guid id, Guid requestId, ScenarioRequest request, int index)
{
    const double LeastWorkDays = 0.5;

    readonly Lock _lock = new();
    readonly Dictionary<Guid, int> _asks = [];

    public Guid Id { get; } = id;
    public Guid RequestId { get; } = requestId;
    public ScenarioRequest Request { get; } = request;
    public ScenarioNeed Asked { get; } = request.Needs[index];
    public string Key { get; } = $"{request.Key}/{index}";
    public double WorkLeftDays { get; private set; } = request.Needs[index].WorkDays;
    public int RemainingQuantity { get; private set; } = request.Needs[index].Quantity;
    public int TimesHelped { get; set; }

    public int CountAsk(Guid responder)
    {
        lock (_lock)
            return _asks[responder] = _asks.GetValueOrDefault(responder) + 1;
    }

    /// <summary>Help that was begun goes on where it stopped, whoever gives it next.</summary>
    public void WorkedDays(double days)
    {
        lock (_lock)
            WorkLeftDays = Math.Max(LeastWorkDays, WorkLeftDays - days);
    }

    public void DoneInPart(int quantity)
    {
        lock (_lock)
        {
            RemainingQuantity -= quantity;
            WorkLeftDays = LeastWorkDays;
        }
    }

    public void WantedAgain()
    {
        lock (_lock)
        {
            RemainingQuantity = Asked.Quantity;
            WorkLeftDays = LeastWorkDays;
        }
    }
}

/// <summary>Every need by the id that Requests gave it.</summary>
public sealed class NeedBook
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    readonly ConcurrentDictionary<Guid, TaskCompletionSource<BookedNeed>> _needs = [];

    /// <summary>Told when a coordinator has done all that was asked.</summary>
    public event Action<BookedNeed, Guid>? OnHelped;

    public void Add(BookedNeed need) => Entry(need.Id).TrySetResult(need);

    public bool TryFind(Guid id, out BookedNeed need)
    {
        need = null!;
        if (!_needs.TryGetValue(id, out var entry) || !entry.Task.IsCompletedSuccessfully)
            return false;
        need = entry.Task.Result;
        return true;
    }

    public Task<BookedNeed> FindAsync(Guid id, CancellationToken cancellation) => Entry(id).Task.WaitAsync(Patience, cancellation);

    public void Helped(BookedNeed need, Guid responder) => OnHelped?.Invoke(need, responder);

    TaskCompletionSource<BookedNeed> Entry(Guid id) =>
        _needs.GetOrAdd(id, _ => new TaskCompletionSource<BookedNeed>(TaskCreationOptions.RunContinuationsAsynchronously));
}
