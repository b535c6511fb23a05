using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// Front ends and coordinators that know what outages are: a call is repeated, with the same key, until it is answered;
/// a replica that takes no connection is passed over, and one that was asked to stop is soon not called any longer.
/// Every 2xx is noted, because it is a promise.
/// </summary>
internal sealed class FaultLoad : IAsyncDisposable
{
    public const int PlacesEach = 60;
    private const int Groups = 8, Coordinators = 8;

    /// <summary>From this many needs a second on one coordinator answers at a time, until all are submitted: see there.</summary>
    private const int FastPerSecond = 25;
    private static readonly TimeSpan LongestShortLoad = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan HeardOfWithin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private readonly ServiceHost _services;
    // Front ends have so many connections: a replica that is slow meets waiting calls, and no flood of new connections.
    private readonly HttpClient _http = new(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(2), MaxConnectionsPerServer = 64 }) { Timeout = TimeSpan.FromSeconds(20) };
    private readonly string _intake, _coordinator;
    private readonly ConcurrentQueue<AcceptedCall> _accepted = new();
    private readonly ConcurrentDictionary<Guid, byte> _offers = new();
    private readonly Dictionary<string, long> _read = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _coordinators = new(Coordinators);
    private readonly Task _coordinating;
    private int _turn, _answering, _unanswered;

    /// <param name="before">What was promised by these services before.</param>
    public FaultLoad(ServiceHost services, params IEnumerable<AcceptedCall> before)
    {
        _services = services;
        foreach (var call in before)
            _accepted.Enqueue(call);
        _intake = services.Token("local-intake", ["intake"]);
        _coordinator = services.Token("local-coordinator", ["coordinator"]);
        _coordinating = CoordinateAsync();
    }

    public IReadOnlyList<AcceptedCall> Accepted => [.. _accepted];

    /// <summary>Calls that were not answered with a 2xx at the first attempt that reached a replica: what failed, and how.</summary>
    public ConcurrentQueue<string> Failures { get; } = new();

    /// <summary>Answers of coordinators that were not taken. Of an offer that was over by then this is as it should be.</summary>
    public ConcurrentQueue<string> Refused { get; } = new();

    public int Calls { get; private set; }

    public bool IsIdle => Volatile.Read(ref _answering) == 0 && Volatile.Read(ref _unanswered) == 0;

    public async Task RegisterGroupsAsync(string prefix, int groups = Groups)
    {
        foreach (var index in Enumerable.Range(0, groups))
        {
            var name = $"{prefix} {index}";
            await RegisterAsync(Call.RegisterGroup, "/v1/groups", name, Client.Entry(name, 30.0 + index * 0.001, 120.0, PlacesEach, radiusMetres: 50_000));
        }
    }

    /// <summary>Far from all needs, so that it is asked for none.</summary>
    public Task<Guid> RegisterProviderAsync(string name) =>
        RegisterAsync(Call.RegisterProvider, "/v1/providers", name, Client.Entry(name, 45.0, 90.0, radiusMetres: 1000));

    /// <summary>A promise that was not given to a call of this load.</summary>
    public void Promise(AcceptedCall call) => _accepted.Enqueue(call);

    /// <summary>With an id of its own choice, so that a repeat of the call is no other entry.</summary>
    private async Task<Guid> RegisterAsync(Call call, string path, string name, object entry)
    {
        var id = Guid.NewGuid();
        var body = JsonSerializer.SerializeToNode(entry)!.AsObject();
        body["id"] = id;
        var (status, answer) = await CallAsync("groups", path, _coordinator, body, null);
        Assert.True(status == 201, $"{name} was answered {status}: {answer}");
        _accepted.Enqueue(new AcceptedCall(call, id, [], name, DateTimeOffset.UtcNow));
        return id;
    }

    /// <returns>The need, once its request has been answered.</returns>
    public async Task<Guid> SubmitAsync(string externalId)
    {
        Interlocked.Increment(ref _unanswered);
        try
        {
            var (status, answer) = await CallAsync("requests", "/v1/requests", _intake, Client.Request(externalId, lat: 30.0, lon: 120.0), externalId);
            Assert.True(status is >= 200 and < 300, $"{externalId} was answered {status}: {answer}");
            var needs = answer!["needs"]!.AsArray().Select(need => Guid.Parse((string)need!["needId"]!)).ToArray();
            _accepted.Enqueue(new AcceptedCall(Call.Submit, Guid.Parse((string)answer["requestId"]!), needs, externalId, DateTimeOffset.UtcNow));
            return needs[0];
        }
        finally
        {
            Interlocked.Decrement(ref _unanswered);
        }
    }

    /// <summary>
    /// Submits at an even pace, whatever the answers do, until <paramref name="until"/> ends; in the short form no longer
    /// than half a minute, however slow the machine. Where the pace is fast most needs wait for a place meanwhile, as in a
    /// surge: one that is answered and done costs several times one that waits, and this machine has two cores for everything.
    /// </summary>
    public async Task<int> SubmitSteadilyAsync(string prefix, int perSecond, Task until)
    {
        var (began, count) = (System.Diagnostics.Stopwatch.StartNew(), 0);
        var calls = new List<Task>();
        var kept = perSecond < FastPerSecond ? 0 : Coordinators - 1;
        for (var coordinator = 0; coordinator < kept; coordinator++)
            await _coordinators.WaitAsync();
        while (!until.IsCompleted && (FaultSettings.IsLong || began.Elapsed < LongestShortLoad))
        {
            for (; count < began.Elapsed.TotalSeconds * perSecond; count++)
                calls.Add(SubmitAsync($"{prefix}-{count}"));
            await Task.Delay(20);
        }
        await Task.WhenAll(calls);
        if (kept > 0)
            _coordinators.Release(kept);
        return count;
    }

    /// <summary>Waits until nothing moves any more and the logs keep every promise; fails with what they break.</summary>
    public async Task<IReadOnlyList<Invariant>> CheckAsync(IReadOnlyDictionary<string, string> databases, TimeSpan patience)
    {
        await using var logs = new EventLogs(databases);
        IReadOnlyList<long> last = [];
        IReadOnlyList<Invariant> invariants = [];
        for (var deadline = DateTime.UtcNow + patience; DateTime.UtcNow < deadline; await Task.Delay(1000))
        {
            // Who has given up leaves needs as they are: it is its failure that should be told, not what follows from it.
            if (_coordinating.IsFaulted)
                await _coordinating;
            var now = await logs.LastSequencesAsync(CancellationToken.None);
            var isStill = IsIdle && now.SequenceEqual(last);
            last = now;
            if (!isStill)
                continue;
            var rows = Repository.ServiceNames.ToAsyncEnumerable().SelectMany(service => logs.ReadAsync(service, CancellationToken.None));
            invariants = await Checker.CheckAsync(rows, Accepted);
            if (invariants.All(invariant => invariant.Holds))
                return invariants;
        }
        Assert.Fail($"After {patience.TotalSeconds} s: {string.Join("\n", invariants.Where(invariant => !invariant.Holds)
            .Select(invariant => $"{invariant.Name} ({invariant.ViolationCount}): {string.Join(" | ", invariant.Violations.Take(3))}").DefaultIfEmpty($"it does not come to rest, {_unanswered} calls unanswered"))}\nRefused: {string.Join(" | ", Refused.DefaultIfEmpty("none"))}");
        return invariants;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _coordinating;
        _http.Dispose();
        _stop.Dispose();
        _coordinators.Dispose();
    }

    /// <summary>Reads what coordinators are told, as lines of the file channel come, and takes and does whatever is offered.</summary>
    private async Task CoordinateAsync()
    {
        var answers = new List<Task>();
        while (!_stop.IsCancellationRequested)
        {
            foreach (var offer in ReadOffers())
            {
                Interlocked.Increment(ref _answering);
                answers.Add(AnswerAsync(offer.Offer, offer.Need));
            }
            await Task.WhenAny(Task.Delay(200, _stop.Token));
        }
        await Task.WhenAll(answers);
    }

    private List<(Guid Offer, Guid Need)> ReadOffers()
    {
        var offers = new List<(Guid, Guid)>();
        if (!Directory.Exists(_services.FileChannelFolder))
            return offers;
        foreach (var path in Directory.EnumerateFiles(_services.FileChannelFolder, "*.jsonl"))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            file.Seek(_read.GetValueOrDefault(path), SeekOrigin.Begin);
            using var reader = new StreamReader(file);
            var text = reader.ReadToEnd();
            var end = text.LastIndexOf('\n') + 1;
            _read[path] = _read.GetValueOrDefault(path) + System.Text.Encoding.UTF8.GetByteCount(text[..end]);
            foreach (var line in text[..end].Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                // A process that was killed leaves half a line.
                if (!line.EndsWith('}') || !line.Contains("org.huzhu.offer.made", StringComparison.Ordinal))
                    continue;
                var data = JsonNode.Parse(line)!["data"]!;
                var offer = Guid.Parse((string)data["offerId"]!);
                if (_offers.TryAdd(offer, 0))
                    offers.Add((offer, Guid.Parse((string)data["needId"]!)));
            }
        }
        return offers;
    }

    private async Task AnswerAsync(Guid offer, Guid need)
    {
        await _coordinators.WaitAsync();
        try
        {
            if (await SayAsync(Call.Accept, "accept"))
                await SayAsync(Call.Complete, "complete");
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
        finally
        {
            _coordinators.Release();
            Interlocked.Decrement(ref _answering);
        }

        async Task<bool> SayAsync(Call call, string word)
        {
            var (status, answer) = await CallAsync("matching", $"/v1/offers/{offer}/{word}", _coordinator, new { }, null);
            if (status is < 200 or >= 300)
            {
                Refused.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {word} of {offer} for need {need}: {status} {answer?["code"] ?? answer?["type"]}");
                return false;
            }
            _accepted.Enqueue(new AcceptedCall(call, offer, [need], "", DateTimeOffset.UtcNow));
            return true;
        }
    }

    /// <summary>Repeats a call until it has an answer that means something.</summary>
    private async Task<(int Status, JsonNode? Body)> CallAsync(string service, string path, string token, object body, string? key)
    {
        var replicas = _services.Processes.Where(process => process.Service == service).ToList();
        Calls++;
        // Others take their turns meanwhile: the next one of this call is the next one from here.
        var turn = (uint)Interlocked.Increment(ref _turn);
        for (var refused = 0; ;)
        {
            _stop.Token.ThrowIfCancellationRequested();
            var called = replicas.Where(IsCalled).ToList() is { Count: > 0 } some ? some : replicas;
            var replica = called[(int)(turn++ % (uint)called.Count)];
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(replica.BaseAddress, path)) { Content = JsonContent.Create(body, body.GetType()) };
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                if (key is not null)
                    request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{key}\"");
                using var response = await _http.SendAsync(request, _stop.Token);
                var status = (int)response.StatusCode;
                var text = await response.Content.ReadAsStringAsync(_stop.Token);
                // In progress elsewhere, overloaded, its servers are away, or its clock is behind: the same call again.
                if (status is not (429 or >= 500) && !(status == 409 && text.Contains("in-progress", StringComparison.Ordinal))
                    && !(status == 422 && text.Contains("It lies in the future.", StringComparison.Ordinal)))
                    return (status, text.Length == 0 ? null : JsonNode.Parse(text));
                Failures.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {replica.Name} {path}: {status}");
            }
            catch (HttpRequestException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } && ++refused < replicas.Count)
            {
                // Nothing was sent: the next one.
                continue;
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException || exception is OperationCanceledException && !_stop.IsCancellationRequested)
            {
                Failures.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {replica.Name} {path}: {exception.GetType().Name} {exception.InnerException?.Message ?? exception.Message}");
            }
            refused = 0;
            await Task.Delay(Pause, _stop.Token);
        }

        // A cluster calls no replica any longer that it has asked to stop, but it takes a moment until everybody knows.
        static bool IsCalled(ServiceProcess replica) => !(replica.Stopping?.Elapsed > HeardOfWithin);
    }
}
