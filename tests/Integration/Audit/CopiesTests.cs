using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Audit.Sealing;
using Huzhu.Audit.Verbs;
using Huzhu.Notifications.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>Copies of checkpoints at a receiver and in an object store, each of which checks the signature and can be away.</summary>
public sealed class CopiesTests : IAsyncLifetime
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", AccessKey = "AKIDHUZHU", SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-copies-");
    private readonly NoteSigner _signer = NoteSigner.Generate("huzhu.local");
    private readonly Dictionary<string, string> _objects = [];
    private readonly List<(string Id, string Note)> _told = [];
    private readonly List<string> _wrong = [];
    private WebApplication _outside = null!;
    private bool _away;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;
    private Uri Address => new(_outside.Urls.First());

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder(["--urls", "http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        _outside = builder.Build();
        _outside.MapPost("/hook", async (HttpRequest request) =>
        {
            if (_away)
                return Results.StatusCode(503);
            var body = await BodyAsync(request);
            string Header(string name) => request.Headers[name].ToString();
            if (!StandardWebhooks.Verify(Secret, Header(StandardWebhooks.IdHeader), Header(StandardWebhooks.TimestampHeader), Header(StandardWebhooks.SignatureHeader), body, DateTimeOffset.UtcNow))
                return Wrong("the webhook's signature");
            _told.Add((Header(StandardWebhooks.IdHeader), (string)JsonNode.Parse(body)!["data"]!));
            return Results.NoContent();
        });
        _outside.MapPut("/bucket/{**key}", async (string key, HttpRequest request) =>
        {
            if (_away)
                return Results.StatusCode(503);
            var body = await BodyAsync(request);
            if (!IsSigned(request, body))
                return Wrong("the object store's signature");
            _objects[key] = Encoding.UTF8.GetString(body);
            return Results.Ok();
        });
        await _outside.StartAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _outside.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task each_checkpoint_reaches_both_once_and_what_a_receiver_missed_is_sent_later()
    {
        var folder = new SealFolder(_folder.FullName, "matching");
        Directory.CreateDirectory(folder.FullPath);
        var first = Write(folder, 10);
        using ICopyReceiver webhook = new WebhookCopies(new Uri(Address, "/hook"), Secret, TimeProvider.System), store = Store(SecretKey);
        Assert.Equal((1, 1), (await new Copies(folder, webhook).SendAsync(Cancellation), await new Copies(folder, store).SendAsync(Cancellation)));
        Assert.Equal((0, 0), (await new Copies(folder, webhook).SendAsync(Cancellation), await new Copies(folder, store).SendAsync(Cancellation)));

        _away = true;
        var (second, third) = (Write(folder, 20), Write(folder, 30));
        await Assert.ThrowsAsync<IOException>(() => new Copies(folder, webhook).SendAsync(Cancellation));
        await Assert.ThrowsAsync<IOException>(() => new Copies(folder, store).SendAsync(Cancellation));
        _away = false;
        Assert.Equal((2, 2), (await new Copies(folder, webhook).SendAsync(Cancellation), await new Copies(folder, store).SendAsync(Cancellation)));

        Assert.Empty(_wrong);
        Assert.Equal([("huzhu.local/matching/000000000010.checkpoint", first), ("huzhu.local/matching/000000000020.checkpoint", second), ("huzhu.local/matching/000000000030.checkpoint", third)], _told);
        Assert.Equal([first, second, third], _objects.OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => one.Value));
        Assert.All(_objects.Keys, key => Assert.StartsWith("seals/huzhu.local/matching/", key, StringComparison.Ordinal));
        // What came back from there is a checkpoint that anybody can hold against the log.
        Assert.Equal(30, SignedCheckpoint.Open(_objects.MaxBy(one => one.Key).Value, [_signer.Key]).Checkpoint.Size);
    }

    [Fact]
    public async Task with_the_wrong_key_nothing_is_stored_and_nothing_taken_for_sent()
    {
        var folder = new SealFolder(_folder.FullName, "matching");
        Directory.CreateDirectory(folder.FullPath);
        Write(folder, 10);
        using var store = Store("another");
        Assert.Contains("403", (await Assert.ThrowsAsync<IOException>(() => new Copies(folder, store).SendAsync(Cancellation))).Message);
        Assert.Equal(["the object store's signature"], _wrong);
        using var right = Store(SecretKey);
        Assert.Equal(1, await new Copies(folder, right).SendAsync(Cancellation));
    }

    [Fact]
    public async Task a_receiver_that_nobody_is_at_is_an_error_that_names_it()
    {
        var folder = new SealFolder(_folder.FullName, "matching");
        Directory.CreateDirectory(folder.FullPath);
        Write(folder, 10);
        using var nowhere = new WebhookCopies(new Uri("http://127.0.0.1:9/"), Secret, TimeProvider.System);
        Assert.Equal("the webhook does not answer", (await Assert.ThrowsAsync<IOException>(() => new Copies(folder, nowhere).SendAsync(Cancellation))).Message);
    }

    [Theory]
    [InlineData("Audit:Webhook:Url", "nowhere", "Audit:Webhook:Url")]
    [InlineData("Audit:Webhook:Url", "https://keeper.example/", "Audit:Webhook:Secret")]
    [InlineData("Audit:ObjectStore:Url", "https://store.example/", "Audit:ObjectStore:Url")]
    [InlineData("Audit:ObjectStore:Url", "https://store.example/bucket", "Audit:ObjectStore:AccessKey")]
    public void a_bad_setting_is_named(string key, string value, string named)
    {
        var settings = new Settings(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { [key] = value }).Build());
        Assert.Contains(named, Assert.Throws<Huzhu.Audit.Reading.AuditException>(settings.Receivers).Message);
    }

    private ObjectStoreCopies Store(string secretKey) => new(new Uri(Address, "/bucket/seals"), AccessKey, secretKey, "eu-test-1");

    private string Write(SealFolder folder, long size)
    {
        var signed = SignedCheckpoint.Make(new Checkpoint("huzhu.local/matching", size, SHA256.HashData([(byte)size]), size), [_signer]);
        folder.Write(signed);
        return signed.Note;
    }

    private static async Task<byte[]> BodyAsync(HttpRequest request)
    {
        using var memory = new MemoryStream();
        await request.Body.CopyToAsync(memory);
        return memory.ToArray();
    }

    private IResult Wrong(string what)
    {
        _wrong.Add(what);
        return Results.StatusCode((int)HttpStatusCode.Forbidden);
    }

    /// <summary>AWS Signature Version 4, as its specification says a server checks it.</summary>
    private static bool IsSigned(HttpRequest request, byte[] body)
    {
        var parts = request.Headers.Authorization.ToString().Split([' ', ','], StringSplitOptions.RemoveEmptyEntries).Skip(1)
            .Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => part[1]);
        var scope = parts["Credential"].Split('/');
        var payload = request.Headers["x-amz-content-sha256"].ToString();
        if (scope[0] != AccessKey || payload != Convert.ToHexStringLower(SHA256.HashData(body)))
            return false;
        var names = parts["SignedHeaders"].Split(';');
        var canonical = $"{request.Method}\n{request.Path}\n\n{string.Concat(names.Select(name => $"{name}:{(name == "host" ? request.Host.ToString() : request.Headers[name].ToString()).Trim()}\n"))}\n{parts["SignedHeaders"]}\n{payload}";
        var toSign = $"AWS4-HMAC-SHA256\n{request.Headers["x-amz-date"]}\n{string.Join('/', scope[1..])}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        var key = scope[1..].Aggregate(Encoding.UTF8.GetBytes("AWS4" + SecretKey), (secret, part) => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(part)));
        return parts["Signature"] == Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));
    }
}
