using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Scenarios;

/// <summary>A service answered what it should not have, or not at all for too long.</summary>
public sealed class ServiceCallException(string sentence, Exception? inner = null) : ToldException(sentence, ExitCodes.Failed, inner);

/// <param name="Body">Undefined when there is none, or none in JSON.</param>
public sealed record Answer(HttpStatusCode Status, JsonElement Body, EntityTagHeaderValue? Tag)
{
    public bool IsSuccess => (int)Status is >= 200 and < 300;
    public string? Code => Body.ValueKind == JsonValueKind.Object && Body.TryGetProperty("code", out var code) ? code.GetString() : null;
}

/// <summary>
/// Calls to the services as a front end makes them: a call whose answer is lost is repeated as it was, because every one
/// of them is safe to repeat.
/// </summary>
public sealed class ServiceCalls : IDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    readonly HttpClient _client = new(new SocketsHttpHandler
    {
        MaxConnectionsPerServer = 256,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        UseCookies = false,
        UseProxy = false,
        AllowAutoRedirect = false,
    })
    { Timeout = TimeSpan.FromSeconds(20) };

    readonly Dictionary<string, IReadOnlyList<Uri>> _replicas = [];
    long _repeats, _sent;

    /// <summary>How many tries were repeated, because a service was away or busy.</summary>
    public long Repeats => Interlocked.Read(ref _repeats);

    /// <summary>Has calls to the first of these addresses go to all of them in turn, as a load balancer does, and a repeat to the next one.</summary>
    public void SpreadOver(IReadOnlyList<Uri> replicas) => _replicas[replicas[0].Authority] = replicas;

    /// <param name="token">Null: the address itself says who asks.</param>
    public async Task<Answer> SendAsync(HttpMethod method, Uri address, string? token, object? body, CancellationToken cancellation,
        string? idempotencyKey = null, string? ifMatch = null)
    {
        var until = DateTime.UtcNow + Patience;
        var pause = TimeSpan.FromMilliseconds(50);
        while (true)
        {
            string trouble;
            try
            {
                using var request = new HttpRequestMessage(method, ReplicaOf(address));
                if (token is not null)
                    request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                if (idempotencyKey is not null)
                    request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{idempotencyKey}\"");
                if (ifMatch is not null)
                    request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
                if (body is not null)
                    request.Content = JsonContent.Create(body, body.GetType(), options: JsonSerializerOptions.Web);
                using var response = await _client.SendAsync(request, cancellation);
                var answer = new Answer(response.StatusCode, await ReadAsync(response, cancellation), response.Headers.ETag);
                if ((int)answer.Status < 500 && answer.Status != HttpStatusCode.TooManyRequests && answer.Code != "idempotency-key-in-progress")
                    return answer;
                trouble = $"{(int)answer.Status} {answer.Code}";
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException or IOException && !cancellation.IsCancellationRequested)
            {
                trouble = exception.Message;
            }
            if (DateTime.UtcNow > until)
                throw new ServiceCallException($"{method} {address.GetLeftPart(UriPartial.Path)} was not answered for {Patience.TotalSeconds:0} s: {trouble}");
            Interlocked.Increment(ref _repeats);
            await Task.Delay(pause, cancellation);
            pause = TimeSpan.FromMilliseconds(Math.Min(pause.TotalMilliseconds * 2, LongestPause.TotalMilliseconds));
        }
    }

    /// <summary>For calls that nothing can refuse when the scenario is what it should be.</summary>
    public async Task<Answer> MustAsync(HttpMethod method, Uri address, string? token, object? body, CancellationToken cancellation,
        string? idempotencyKey = null, string? ifMatch = null)
    {
        var answer = await SendAsync(method, address, token, body, cancellation, idempotencyKey, ifMatch);
        return answer.IsSuccess
            ? answer
            : throw new ServiceCallException($"{method} {address.GetLeftPart(UriPartial.Path)} was answered {(int)answer.Status}: {answer.Body}");
    }

    Uri ReplicaOf(Uri address) => _replicas.TryGetValue(address.Authority, out var replicas)
        ? new Uri(replicas[(int)(Interlocked.Increment(ref _sent) % replicas.Count)], address.PathAndQuery)
        : address;

    /// <summary>Changes the policy that decisions follow, unless somebody else does at the same moment.</summary>
    /// <exception cref="ServiceCallException">It was refused, or says no version.</exception>
    public async Task ChangePolicyAsync(Uri matching, string token, Action<JsonObject> change, CancellationToken cancellation)
    {
        var address = new Uri(matching, "v1/policy");
        var current = await MustAsync(HttpMethod.Get, address, token, null, cancellation);
        var policy = JsonNode.Parse(current.Body.GetRawText())!.AsObject();
        var version = current.Tag?.Tag ?? throw new ServiceCallException($"GET {address} has no ETag, so the policy cannot be changed safely.");
        change(policy);
        await MustAsync(HttpMethod.Put, address, token, policy, cancellation, ifMatch: version);
    }

    public void Dispose() => _client.Dispose();

    static async Task<JsonElement> ReadAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        if (response.Content.Headers.ContentType?.MediaType is not { } type || !type.EndsWith("json", StringComparison.Ordinal))
            return default;
        var bytes = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (bytes.Length == 0)
            return default;
        using var document = JsonDocument.Parse(bytes);
        return document.RootElement.Clone();
    }
}
