using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

public sealed record ReceivedWebhook(string Path, IReadOnlyDictionary<string, string> Headers, byte[] Body, DateTimeOffset At)
{
    public string Id => Headers[StandardWebhooks.IdHeader];
    public JsonNode Event => JsonNode.Parse(Body)!;
    public JsonNode Data => Event["data"]!;

    public bool IsSignedWith(string secret) => StandardWebhooks.Verify(
        secret, Id, Headers[StandardWebhooks.TimestampHeader], Headers[StandardWebhooks.SignatureHeader], Body, At);
}

/// <summary>An integrator's front end: a real HTTP server that remembers what came, and answers as the test says for each path.</summary>
public sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ReceivedWebhook> _received = [];
    private readonly ConcurrentDictionary<string, Func<int, HttpContext, Task>> _behaviours = [];

    private WebhookReceiver(WebApplication app) => _app = app;

    public string Address => _app.Urls.Single();

    /// <param name="port">0 for a free one.</param>
    public static async Task<WebhookReceiver> StartAsync(int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.Logging.ClearProviders();
        var receiver = new WebhookReceiver(builder.Build());
        receiver._app.Run(receiver.HandleAsync);
        await receiver._app.StartAsync();
        return receiver;
    }

    public IReadOnlyCollection<ReceivedWebhook> Received => _received;

    /// <param name="need">What came of this one alone: who subscribes without a filter hears of other tests' needs too.</param>
    public IReadOnlyList<ReceivedWebhook> At(string path, NeedId? need = null) =>
        [.. _received.Where(webhook => webhook.Path == path && (need is null || (string?)webhook.Event["subject"] == need.ToString()))];

    /// <param name="behaviour">Is given the number of the call to this path, from 1. Without one, every call is answered 204.</param>
    public void Behave(string path, Func<int, HttpContext, Task> behaviour) => _behaviours[path] = behaviour;

    public void Answer(string path, params int[] statuses) => Behave(path, (call, context) =>
    {
        context.Response.StatusCode = statuses[Math.Min(call, statuses.Length) - 1];
        return Task.CompletedTask;
    });

    public async Task<ReceivedWebhook> FirstAsync(string path, NeedId? need = null)
    {
        await Eventually.BecomesAsync(() => At(path, need).Count > 0, $"something is received at {path}");
        return At(path, need)[0];
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        _received.Enqueue(new ReceivedWebhook(path,
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            body.ToArray(), DateTimeOffset.UtcNow));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        if (_behaviours.TryGetValue(path, out var behave))
            await behave(At(path).Count, context);
    }
}

/// <summary>What Requests and Groups say when asked for a contact; only a service's token is answered.</summary>
public sealed class DirectoryStub : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, (int Status, object? Body)> _answers = [];
    private readonly ConcurrentDictionary<string, int> _failures = [];
    private readonly ConcurrentQueue<string> _asked = [];

    private DirectoryStub(WebApplication app) => _app = app;

    public string Address => _app.Urls.Single();
    public IReadOnlyList<string> Asked => [.. _asked];

    public static async Task<DirectoryStub> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var stub = new DirectoryStub(builder.Build());
        stub._app.Run(stub.HandleAsync);
        await stub._app.StartAsync();
        return stub;
    }

    public void Answer(string path, object body) => _answers[path] = (200, body);
    public void Answer(string path, int status) => _answers[path] = (status, null);

    /// <summary>The next so many questions for this path are answered 503.</summary>
    public void FailNext(string path, int count) => _failures[path] = count;

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        _asked.Enqueue(path + context.Request.QueryString);
        if (_failures.TryGetValue(path, out var left) && left > 0)
        {
            _failures[path] = left - 1;
            context.Response.StatusCode = 503;
            return;
        }
        var token = context.Request.Headers.Authorization.ToString();
        if (!token.StartsWith("Bearer ", StringComparison.Ordinal)
            || !new Microsoft.IdentityModel.JsonWebTokens.JsonWebToken(token["Bearer ".Length..]).Claims.Any(claim => claim is { Type: "roles", Value: "service" }))
        {
            context.Response.StatusCode = 401;
            return;
        }
        var (status, body) = _answers.GetValueOrDefault(path, (404, null));
        context.Response.StatusCode = status;
        if (body is not null)
            await context.Response.WriteAsJsonAsync(body);
    }
}
