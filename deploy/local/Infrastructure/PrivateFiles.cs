using System.Text;

namespace Huzhu.Local.Infrastructure;

/// <summary>Files and folders that only their owner may read: they hold passwords, keys and tokens.</summary>
static class PrivateFiles
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <param name="others">What others may do with it all the same.</param>
    public static void CreateFolder(string folder, UnixFileMode others = UnixFileMode.None)
    {
        if (OperatingSystem.IsWindows()) throw NotHere();
        Directory.CreateDirectory(folder, OwnerOnly | UnixFileMode.UserExecute | others);
    }

    public static void Write(string file, string text, UnixFileMode mode = OwnerOnly)
    {
        if (OperatingSystem.IsWindows()) throw NotHere();
        File.Delete(file);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode };
        using var stream = new FileStream(file, options);
        stream.Write(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Readers see the old file or the new one, never half of it.</summary>
    public static void Replace(string file, string text)
    {
        var draft = $"{file}.{Environment.ProcessId}";
        Write(draft, text);
        File.Move(draft, file, overwrite: true);
    }

    static PlatformNotSupportedException NotHere() => new("./huzhu needs Linux, or WSL on Windows.");
}
