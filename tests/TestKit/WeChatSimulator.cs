using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Huzhu.TestKit;

/// <summary>
/// WeChat's interface for one Official Account, as its documents have it: tokens that expire and are replaced, the 48 hours and the
/// five messages of customer service, consent to subscribe messages, quotas and error codes. Point <c>ApiBaseUrl</c> at it.
/// </summary>
public sealed class WeChatSimulator : IAsyncDisposable
{
    const int TokenSeconds = 7200;
    const int MostForcedRenewals = 20;
    const int MostCustomMessages = 5;
    static readonly TimeSpan CustomWindow = TimeSpan.FromHours(48);

    readonly WebApplication _app;
    readonly TimeProvider _time;
    readonly Lock _lock = new();
    readonly ConcurrentQueue<WeChatDelivery> _delivered = [];
    readonly Dictionary<string, (DateTimeOffset WroteAt, int Sent)> _people = [];
    readonly HashSet<string> _agreed = [];
    readonly HashSet<string> _clientIds = [];
    readonly Dictionary<string, Queue<int>> _failures = [];
    string _token = NewToken();
    DateTimeOffset _tokenEndsAt;

    WeChatSimulator(WebApplication app, TimeProvider time)
    {
        (_app, _time) = (app, time);
        _tokenEndsAt = time.GetUtcNow();
    }

    public const string AppId = "wx5823bf96d3bd56c7";
    public const string AppSecret = "b5f5a2f2c3d4e5f60718293a4b5c6d7e";

    public string Address => _app.Urls.Single();
    public IReadOnlyList<WeChatDelivery> Delivered => [.. _delivered];

    /// <summary>How often a token was asked for, and how often one was replaced by force.</summary>
    public int TokenRequests { get; private set; }
    public int ForcedRenewals { get; private set; }
    public int Calls { get; private set; }

    public static async Task<WeChatSimulator> StartAsync(TimeProvider? time = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var simulator = new WeChatSimulator(builder.Build(), time ?? TimeProvider.System);
        simulator._app.MapPost("/cgi-bin/stable_token", simulator.TokenAsync);
        foreach (var kind in new[] { "custom/send", "subscribe/bizsend", "template/send" })
            simulator._app.MapPost($"/cgi-bin/message/{kind}", context => simulator.SendAsync(context, kind));
        await simulator._app.StartAsync();
        return simulator;
    }

    /// <summary>The person follows the account and has just written to it.</summary>
    public void Writes(string openId)
    {
        lock (_lock) _people[openId] = (_time.GetUtcNow(), 0);
    }

    /// <summary>The person follows the account and has not written for a long time.</summary>
    public void Follows(string openId)
    {
        lock (_lock) _people[openId] = (DateTimeOffset.MinValue, 0);
    }

    /// <summary>The person agrees to one subscribe message.</summary>
    public void Agrees(string openId)
    {
        lock (_lock) _agreed.Add(openId);
    }

    /// <summary>The next calls of this kind (<c>custom/send</c>, <c>stable_token</c>, …) are answered with these codes.</summary>
    public void FailNext(string kind, params int[] codes)
    {
        lock (_lock) _failures[kind] = new Queue<int>(codes);
    }

    /// <summary>The token ends now, and whoever asks without force still gets it: what happens when another program replaced it.</summary>
    public void SpoilToken()
    {
        lock (_lock) _spoilt.Add(_token);
    }

    readonly HashSet<string> _spoilt = [];

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    static string NewToken() => "token-" + Guid.NewGuid().ToString("N");

    async Task TokenAsync(HttpContext context)
    {
        var body = await ReadAsync(context);
        JsonNode answer;
        lock (_lock)
        {
            TokenRequests++;
            if (Failure("stable_token") is { } code) answer = Error(code);
            else if ((string?)body?["grant_type"] != "client_credential") answer = Error(40002);
            else if ((string?)body["appid"] != AppId) answer = Error(40013);
            else if ((string?)body["secret"] != AppSecret) answer = Error(40001);
            else
            {
                var force = (bool?)body["force_refresh"] == true;
                if (force && ++ForcedRenewals > MostForcedRenewals) answer = Error(45009);
                else
                {
                    if (force || _time.GetUtcNow() >= _tokenEndsAt - TimeSpan.FromMinutes(5))
                        (_token, _tokenEndsAt) = (NewToken(), _time.GetUtcNow().AddSeconds(TokenSeconds));
                    answer = new JsonObject { ["access_token"] = _token, ["expires_in"] = (int)(_tokenEndsAt - _time.GetUtcNow()).TotalSeconds };
                }
            }
        }
        await context.Response.WriteAsync(answer.ToJsonString());
    }

    async Task SendAsync(HttpContext context, string kind)
    {
        var body = await ReadAsync(context);
        JsonNode answer;
        lock (_lock)
        {
            Calls++;
            answer = Error(CodeOf(context.Request.Query["access_token"].ToString(), kind, body));
        }
        await context.Response.WriteAsync(answer.ToJsonString());
    }

    int CodeOf(string token, string kind, JsonNode? body)
    {
        if (token != _token) return 40001;
        if (_spoilt.Contains(token)) return 40014;
        if (_time.GetUtcNow() >= _tokenEndsAt) return 42001;
        if (Failure(kind) is { } code) return code;
        if (body is null) return 47001;
        if ((string?)body["touser"] is not { } openId || !_people.TryGetValue(openId, out var person)) return 40003;
        switch (kind)
        {
            case "custom/send":
                if ((string?)body["msgtype"] != "text" || (string?)body["text"]?["content"] is not { Length: > 0 } text) return 40008;
                if (_time.GetUtcNow() - person.WroteAt > CustomWindow) return 45015;
                if (person.Sent >= MostCustomMessages) return 45047;
                _people[openId] = (person.WroteAt, person.Sent + 1);
                _delivered.Enqueue(new WeChatDelivery(kind, openId, text));
                return 0;
            case "subscribe/bizsend":
                if (!_agreed.Remove(openId)) return 43101;
                return Template(kind, openId, body, longest: 20);
            default:
                if ((string?)body["client_msg_id"] is { } id && !_clientIds.Add(id)) return 0;
                return Template(kind, openId, body, longest: int.MaxValue);
        }
    }

    int Template(string kind, string openId, JsonNode body, int longest)
    {
        if ((string?)body["template_id"] is not { Length: > 0 }) return 40037;
        if ((string?)body["data"]?.AsObject().First().Value?["value"] is not { } text || text.Length > longest) return 47003;
        _delivered.Enqueue(new WeChatDelivery(kind, openId, text));
        return 0;
    }

    int? Failure(string kind) => _failures.TryGetValue(kind, out var codes) && codes.TryDequeue(out var code) ? code : null;

    static JsonObject Error(int code) => new() { ["errcode"] = code, ["errmsg"] = code == 0 ? "ok" : "simulated" };

    static async Task<JsonNode?> ReadAsync(HttpContext context)
    {
        try
        {
            return await JsonNode.ParseAsync(context.Request.Body);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>A message that a person would see.</summary>
public sealed record WeChatDelivery(string Kind, string OpenId, string Text);
