using System.Security.Cryptography;

namespace Huzhu.Audit.Exporting;

/// <summary>
/// One id for another, always the same within one key, so that an export can be joined and nobody in it be looked up. Two
/// exports with different keys cannot be joined with each other.
/// </summary>
public sealed class Pseudonyms(byte[] key)
{
    public Guid Of(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        Span<byte> hash = stackalloc byte[32];
        HMACSHA256.HashData(key, bytes, hash);
        // Version 8 of RFC 9562: made in a way of our own.
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
