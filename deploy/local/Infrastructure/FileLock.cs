namespace Huzhu.Local.Infrastructure;

/// <summary>
/// One process at a time, by flock(2), as the script ./huzhu takes it with flock(1): the kernel gives it back when the
/// holder ends, however it ends.
/// </summary>
public sealed class FileLock : IDisposable
{
    readonly FileStream _stream;

    FileLock(FileStream stream) => _stream = stream;

    /// <returns>Null when another process holds it.</returns>
    public static FileLock? TryTake(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        try
        {
            return new FileLock(new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException) when (File.Exists(file))
        {
            return null;
        }
    }

    public static async Task<FileLock> TakeAsync(string file, CancellationToken cancellation)
    {
        while (true)
        {
            if (TryTake(file) is { } taken) return taken;
            await Task.Delay(100, cancellation);
        }
    }

    public void Dispose() => _stream.Dispose();
}
