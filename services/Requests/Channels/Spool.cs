using System.Security.Cryptography;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>
/// Messages that could not be taken in because the database was away, or needs were shed: encrypted, one line each, on the disk before the front
/// end is told that they are safe. Every process writes a file of its own, and takes over one that a process left behind.
/// </summary>
public sealed class Spool : IForgetsPeople, IDisposable
{
    public const string FolderKey = "Channels:SpoolFolder";
    private const long MaxBytes = 64 * 1024 * 1024;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const string Suffix = ".spool";
    private const string SetAsideName = "set-aside.lines";

    private readonly string _folder;
    private readonly byte[][] _keys;
    private readonly Lock _lock = new();
    /// <summary>What is said to be danger of life goes before all else.</summary>
    private readonly Queue<Entry>[] _lanes = [new(), new()];
    private FileStream? _file;

    /// <summary>One message and who it is from.</summary>
    public sealed record Entry(Correspondent Who, Utterance Said);

    public Spool(IConfiguration configuration, IHostEnvironment environment)
    {
        _folder = configuration[FolderKey] is { Length: > 0 } folder ? folder : Path.Combine(environment.ContentRootPath, "spool");
        _keys = PersonalDataVault.DeriveKeys(configuration, "huzhu requests spool"u8);
    }

    public int Count
    {
        get
        {
            lock (_lock)
                return _lanes.Sum(lane => lane.Count);
        }
    }

    /// <summary>Writes and flushes to the disk.</summary>
    /// <exception cref="IOException">The disk does not take it, or so much waits already that no more is taken.</exception>
    public void Add(Entry entry)
    {
        var line = Seal(_keys[0], entry);
        lock (_lock)
        {
            _file ??= Open(Path.Combine(Directory.CreateDirectory(_folder).FullName, Guid.CreateVersion7().ToString("N") + Suffix), FileMode.CreateNew);
            if (_file.Length + line.Length > MaxBytes)
                throw new IOException("The spool is full.");
            Write(_file, line);
            LaneOf(entry).Enqueue(entry);
        }
    }

    /// <summary>The message that is next.</summary>
    public Entry? Peek()
    {
        lock (_lock)
            return Array.Find(_lanes, lane => lane.Count > 0)?.Peek();
    }

    /// <summary>Whether messages of this person wait.</summary>
    public bool HoldsFrom(Correspondent who)
    {
        lock (_lock)
            return _lanes.Any(lane => lane.Any(entry => entry.Who.Ref == who.Ref && entry.Who.Source == who.Source));
    }

    /// <summary>Forgets the message that was next: it has been taken in. When it was the last, the file is emptied.</summary>
    public void Remove(Entry entry)
    {
        lock (_lock)
        {
            // Its person may have been erased meanwhile.
            if (!LaneOf(entry).TryPeek(out var next) || next != entry)
                return;
            LaneOf(entry).Dequeue();
            if (Count > 0)
                return;
            _file!.SetLength(0);
            _file.Flush(flushToDisk: true);
        }
    }

    /// <summary>Drops what waits of this person, and what was set aside, from the disk too.</summary>
    public Task ForgetAsync(Guid person, CancellationToken cancellation)
    {
        bool IsTheirs(Entry entry) => CallForHelp.PersonOf(entry.Who.Source, entry.Who.Ref).Value == person;
        lock (_lock)
        {
            if (_file is not null && _lanes.Any(lane => lane.Any(IsTheirs)))
            {
                var others = _lanes.SelectMany(lane => lane).Where(entry => !IsTheirs(entry)).ToList();
                Array.ForEach(_lanes, lane => lane.Clear());
                others.ForEach(entry => LaneOf(entry).Enqueue(entry));
                Rewrite(_file, others);
            }
            var aside = Path.Combine(_folder, SetAsideName);
            if (!File.Exists(aside))
                return Task.CompletedTask;
            using var file = new FileStream(aside, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            var (entries, isWhole) = Read(file);
            // Lines that nobody can open stay: nobody can say whose they are.
            if (isWhole && entries.Exists(IsTheirs))
                Rewrite(file, entries.Where(entry => !IsTheirs(entry)));
        }
        return Task.CompletedTask;
    }

    private Queue<Entry> LaneOf(Entry entry) => _lanes[entry.Said.Text is { } text && Understanding.Of(text).Urgency is Urgency.LifeThreatening ? 0 : 1];

    private void Rewrite(FileStream file, IEnumerable<Entry> entries)
    {
        var lines = entries.SelectMany(entry => Seal(_keys[0], entry)).ToArray();
        file.SetLength(0);
        Write(file, lines);
    }

    /// <summary>Keeps a message that can never be taken in, still encrypted, where a person can find it.</summary>
    public void SetAside(Entry entry)
    {
        using var file = new FileStream(Path.Combine(_folder, SetAsideName), FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        Write(file, Seal(_keys[0], entry));
    }

    /// <summary>Takes over the messages of processes that have died. A file whose process lives cannot be opened.</summary>
    /// <returns>How many messages were found.</returns>
    public int Adopt()
    {
        if (!Directory.Exists(_folder))
            return 0;
        var found = 0;
        foreach (var path in Directory.GetFiles(_folder, "*" + Suffix).Order(StringComparer.Ordinal).Where(path => path != _file?.Name))
        {
            try
            {
                using var file = Open(path, FileMode.Open);
                var (entries, isWhole) = Read(file);
                entries.ForEach(Add);
                found += entries.Count;
                // What does not open was cut off by a crash, and so was never acknowledged; or a key is missing.
                if (isWhole)
                    File.Delete(path);
                else
                    File.Move(path, path + ".unreadable");
            }
            catch (IOException)
            {
                // Its process lives.
            }
        }
        return found;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_file is null)
                return;
            var (name, isEmpty) = (_file.Name, Count == 0);
            _file.Dispose();
            if (isEmpty)
                File.Delete(name);
            _file = null;
        }
    }

    private static FileStream Open(string path, FileMode mode) => new(path, mode, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);

    private static void Write(FileStream file, byte[] line)
    {
        file.Seek(0, SeekOrigin.End);
        file.Write(line);
        file.Flush(flushToDisk: true);
    }

    private (List<Entry> Entries, bool IsWhole) Read(FileStream file)
    {
        using var reader = new StreamReader(file, leaveOpen: true);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Unseal).ToList();
        return ([.. lines.OfType<Entry>()], lines.All(entry => entry is not null));
    }

    private static byte[] Seal(byte[] key, Entry entry)
    {
        var plain = JsonSerializer.SerializeToUtf8Bytes(entry);
        var line = new byte[NonceBytes + TagBytes + plain.Length];
        RandomNumberGenerator.Fill(line.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(line.AsSpan(0, NonceBytes), plain, line.AsSpan(NonceBytes + TagBytes), line.AsSpan(NonceBytes, TagBytes));
        // The line break before it parts it from a line that a crash has cut off.
        return System.Text.Encoding.ASCII.GetBytes($"\n{Convert.ToBase64String(line)}\n");
    }

    private Entry? Unseal(string line)
    {
        var bytes = new byte[line.Length];
        if (!Convert.TryFromBase64String(line, bytes, out var written) || written < NonceBytes + TagBytes)
            return null;
        var plain = new byte[written - NonceBytes - TagBytes];
        foreach (var key in _keys)
        {
            using var aes = new AesGcm(key, TagBytes);
            try
            {
                aes.Decrypt(bytes.AsSpan(0, NonceBytes), bytes.AsSpan(NonceBytes + TagBytes, plain.Length), bytes.AsSpan(NonceBytes, TagBytes), plain);
                return JsonSerializer.Deserialize<Entry>(plain);
            }
            catch (AuthenticationTagMismatchException)
            {
                // Sealed with another key of the rotation, or damaged.
            }
        }
        return null;
    }
}
