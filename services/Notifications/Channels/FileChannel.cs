using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;

namespace Huzhu.Notifications.Channels;

/// <summary>
/// One JSON line a message, appended and flushed to the disk before the attempt counts as a success: for front ends on
/// the same machine, for drills, and for places without a network. The address is the file's name without its ending
/// (letters, digits, dashes), or empty for a file of the audience's own.
/// </summary>
public sealed partial class FileChannel : IChannel, IKeepsMessages
{
    private static readonly TimeSpan LongestWaitForLock = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(10);
    private const int Stripes = 64;

    private readonly string _folder;
    private readonly Stripe[] _stripes = [.. Enumerable.Range(0, Stripes).Select(_ => new Stripe())];

    /// <summary>Writers of the same file in this process: one at a time, and whoever has its turn writes for all that wait.</summary>
    private sealed class Stripe
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);
        public ConcurrentQueue<Line> Waiting { get; } = new();
    }

    private sealed class Line(string path, ReadOnlyMemory<byte> body)
    {
        public string Path => path;
        public ReadOnlyMemory<byte> Body => body;
        public SendOutcome? Outcome { get; set; }
    }

    public FileChannel(string folder) => _folder = Directory.CreateDirectory(folder).FullName;

    public string Kind => "file";

    public ChannelAbilities Abilities { get; } = new(Text: true, Voice: false);

    public string? Refuse(Address address) => address.Value.Length == 0 || FileName().IsMatch(address.Value) ? null : "malformed-address";

    public async Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation)
    {
        var path = Path.Combine(_folder, (address.Value.Length == 0 ? message.AudienceKey : address.Value) + ".jsonl");
        var stripe = _stripes[(uint)string.GetHashCode(path, StringComparison.Ordinal) % Stripes];
        var line = new Line(path, message.Body);
        stripe.Waiting.Enqueue(line);
        // Not cancelled: a line that is in the queue may already be on its way to the disk.
        await stripe.Turn.WaitAsync(CancellationToken.None);
        try
        {
            if (line.Outcome is null)
                await WriteAllAsync(stripe.Waiting);
            return line.Outcome!;
        }
        finally
        {
            stripe.Turn.Release();
        }
    }

    /// <summary>
    /// Whoever follows a file sees it become shorter, and then begins anew. The name of a file is an address and may be
    /// somebody's: a file without a message left goes.
    /// </summary>
    public async Task ForgetAsync(KeptMessage isTheirs, CancellationToken cancellation)
    {
        foreach (var path in Directory.EnumerateFiles(_folder, "*.jsonl"))
        {
            cancellation.ThrowIfCancellationRequested();
            await using var turn = await TakeLockAsync(LockOf(path)) ?? throw new IOException("A file of messages is locked by somebody else.");
            // Read again under the lock; another process may have removed it.
            var lines = File.Exists(path) ? await File.ReadAllLinesAsync(path, CancellationToken.None) : [];
            var kept = lines.Where(line => !MessageBody.Is(line, isTheirs)).ToList();
            if (kept.Count == lines.Length)
                continue;
            if (kept.Count == 0)
            {
                File.Delete(path);
                continue;
            }
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            file.Write(Encoding.UTF8.GetBytes(string.Concat(kept.Select(line => line + "\n"))));
            file.SetLength(file.Position);
            file.Flush(flushToDisk: true);
        }
    }

    private static async Task WriteAllAsync(ConcurrentQueue<Line> waiting)
    {
        var lines = new List<Line>();
        while (waiting.TryDequeue(out var line))
            lines.Add(line);
        foreach (var file in lines.GroupBy(line => line.Path))
        {
            SendOutcome outcome;
            try
            {
                outcome = await AppendAsync(file.Key, file);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                outcome = SendOutcome.Transient("file-not-writable");
            }
            foreach (var line in file)
                line.Outcome = outcome;
        }
    }

    private static async Task<SendOutcome> AppendAsync(string path, IEnumerable<Line> lines)
    {
        // The lock of another process is on a file beside it, so that readers of the messages are never shut out.
        await using var turn = await TakeLockAsync(LockOf(path));
        if (turn is null)
            return SendOutcome.Transient("file-locked");
        await using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        var text = new MemoryStream();
        if (EndsInsideALine(file))
            text.WriteByte((byte)'\n');
        foreach (var line in lines)
        {
            text.Write(line.Body.Span);
            text.WriteByte((byte)'\n');
        }
        file.Seek(0, SeekOrigin.End);
        file.Write(text.GetBuffer().AsSpan(0, (int)text.Length));
        file.Flush(flushToDisk: true);
        return SendOutcome.Success;
    }

    /// <summary>A writer that died left half a line; the next line must not be glued to it.</summary>
    private static bool EndsInsideALine(FileStream file)
    {
        if (file.Length == 0)
            return false;
        file.Seek(-1, SeekOrigin.End);
        return file.ReadByte() != '\n';
    }

    /// <summary>The same in every process; shared by many files, because the name of a lock that stays must not be somebody's address.</summary>
    private static string LockOf(string path) =>
        Path.Combine(Path.GetDirectoryName(path)!, $"{SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFileName(path)))[0] % Stripes:x2}.lock");

    private static async Task<FileStream?> TakeLockAsync(string path)
    {
        for (var waited = TimeSpan.Zero; ; waited += LockPause)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            }
            catch (IOException exception) when (exception is not (DirectoryNotFoundException or PathTooLongException) && waited < LongestWaitForLock)
            {
                await Task.Delay(LockPause);
            }
            catch (IOException) when (waited >= LongestWaitForLock)
            {
                return null;
            }
        }
    }

    [GeneratedRegex(@"^[\p{L}\p{N}][\p{L}\p{N}_-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex FileName();
}
