using System.Security.Cryptography;
using System.Text;

namespace Huzhu.ServiceDefaults;

/// <summary>Name-based UUIDs, RFC 9562 version 5: the same name always has the same id, so a repeat finds what it made before.</summary>
public static class DeterministicId
{
    /// <summary>The id of <paramref name="name"/> within <paramref name="space"/>.</summary>
    public static Guid Of(Guid space, string name)
    {
        var nameBytes = Encoding.UTF8.GetBytes(name);
        var input = new byte[16 + nameBytes.Length];
        space.TryWriteBytes(input, bigEndian: true, out _);
        nameBytes.CopyTo(input, 16);
        // SHA-1 is what the RFC asks for; nothing secret rests on it.
        var hash = SHA1.HashData(input).AsSpan(0, 16);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash, bigEndian: true);
    }
}
