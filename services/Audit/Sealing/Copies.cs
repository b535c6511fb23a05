using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Huzhu.Notifications.Channels;

namespace Huzhu.Audit.Sealing;

/// <summary>A place outside the reach of the database's administrators that keeps a copy of every checkpoint.</summary>
public interface ICopyReceiver : IDisposable
{
    /// <summary>A word; what was sent is remembered under it.</summary>
    string Name { get; }

    /// <summary>The same checkpoint may come twice.</summary>
    /// <param name="name">Of the checkpoint, below the log's origin.</param>
    /// <exception cref="IOException">It was not taken; to be sent again.</exception>
    Task SendAsync(Checkpoint checkpoint, string name, string note, CancellationToken cancellation);
}

/// <summary>
/// Sends each checkpoint of a log once, in order. The folder is the queue: what is newer than the mark still waits, so
/// that a receiver that was away misses nothing, however long it was and whatever ended in between.
/// </summary>
public sealed class Copies(SealFolder folder, ICopyReceiver receiver)
{
    private string MarkFile => Path.Combine(folder.FullPath, receiver.Name + ".sent");

    /// <returns>How many were sent.</returns>
    /// <exception cref="IOException">The receiver is away; those that it took before are remembered.</exception>
    public async Task<int> SendAsync(CancellationToken cancellation)
    {
        var mark = File.Exists(MarkFile) ? await File.ReadAllTextAsync(MarkFile, cancellation) : "";
        var sent = 0;
        foreach (var file in folder.CheckpointFiles.Where(file => string.CompareOrdinal(Path.GetFileName(file), mark) > 0))
        {
            var note = await File.ReadAllTextAsync(file, cancellation);
            var name = Path.GetFileName(file);
            await receiver.SendAsync(Checkpoint.Parse(note), name, note, cancellation);
            await File.WriteAllTextAsync(MarkFile, name, CancellationToken.None);
            sent++;
        }
        return sent;
    }
}

/// <summary>A signed webhook (Standard Webhooks) with a CloudEvent; the id is the checkpoint's, so that a repeat is known.</summary>
public sealed class WebhookCopies(Uri url, string secret, TimeProvider time) : ICopyReceiver
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(10) };

    public string Name => "webhook";

    public async Task SendAsync(Checkpoint checkpoint, string name, string note, CancellationToken cancellation)
    {
        var (id, now) = ($"{checkpoint.Origin}/{name}", time.GetUtcNow());
        var body = JsonSerializer.SerializeToUtf8Bytes(new
        {
            specversion = "1.0",
            id,
            source = "/huzhu/audit",
            type = "org.huzhu.audit.checkpoint.v1",
            subject = checkpoint.Origin,
            time = now,
            datacontenttype = "text/plain",
            data = note,
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/cloudevents+json");
        request.Headers.Add(StandardWebhooks.IdHeader, id);
        request.Headers.Add(StandardWebhooks.TimestampHeader, now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        request.Headers.Add(StandardWebhooks.SignatureHeader, StandardWebhooks.Sign(secret, id, now, body));
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (!response.IsSuccessStatusCode)
                throw new IOException($"the webhook answered {(int)response.StatusCode}");
        }
        catch (Exception exception) when (exception is HttpRequestException || exception is TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            throw new IOException("the webhook does not answer", exception);
        }
    }

    public void Dispose() => _http.Dispose();
}

/// <summary>An object store that speaks S3. Give it a bucket whose objects cannot be overwritten or deleted (object lock).</summary>
public sealed class ObjectStoreCopies : ICopyReceiver
{
    private readonly AmazonS3Client _store;
    private readonly string _bucket, _prefix;

    /// <param name="address">The store, the bucket and, if wanted, a prefix: https://store.example/bucket/prefix.</param>
    public ObjectStoreCopies(Uri address, string accessKey, string secretKey, string region)
    {
        var parts = address.AbsolutePath.Trim('/').Split('/', 2);
        (_bucket, _prefix) = (parts[0], parts.Length > 1 ? parts[1] + "/" : "");
        _store = new AmazonS3Client(new BasicAWSCredentials(accessKey, secretKey), new AmazonS3Config
        {
            ServiceURL = address.GetLeftPart(UriPartial.Authority),
            AuthenticationRegion = region,
            ForcePathStyle = true,
            Timeout = TimeSpan.FromSeconds(10),
            MaxErrorRetry = 1,
            // Not every store knows the newer checksums; the note is signed anyway.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
        });
    }

    public string Name => "object-store";

    public async Task SendAsync(Checkpoint checkpoint, string name, string note, CancellationToken cancellation)
    {
        using var content = new MemoryStream(Encoding.UTF8.GetBytes(note));
        try
        {
            await _store.PutObjectAsync(new PutObjectRequest
            {
                BucketName = _bucket,
                Key = $"{_prefix}{checkpoint.Origin}/{name}",
                InputStream = content,
                ContentType = "text/plain; charset=utf-8",
                UseChunkEncoding = false,
            }, cancellation);
        }
        catch (Exception exception) when (exception is AmazonServiceException or AmazonClientException or HttpRequestException || exception is TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            throw new IOException(exception is AmazonServiceException { StatusCode: > 0 and var status } ? $"the object store answered {(int)status}" : "the object store does not answer", exception);
        }
    }

    public void Dispose() => _store.Dispose();
}
