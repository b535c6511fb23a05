using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Huzhu.Requests.Channels.WeChat;

/// <summary>Signatures and encryption of WeChat's callbacks, as its documents have them.</summary>
public static class WeChatCrypto
{
    private const int KeyBytes = 32;
    private const int EncodedKeyLength = 43;
    private const int RandomBytes = 16;
    private const int LengthBytes = 4;
    /// <summary>Padding is to 32 bytes, not to the cipher's 16.</summary>
    private const int BlockBytes = 32;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Lower-case hexadecimal SHA-1 of the parts, sorted by their bytes and joined.</summary>
    public static string Sign(params ReadOnlySpan<string> parts)
    {
        var sorted = parts.ToArray();
        Array.Sort(sorted, StringComparer.Ordinal);
        return Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(string.Concat(sorted))));
    }

    public static bool Verify(string? signature, params ReadOnlySpan<string> parts) =>
        signature is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(signature), Encoding.UTF8.GetBytes(Sign(parts)));

    /// <summary>Whether the timestamp of a signature is near enough to now that the message cannot be an old one sent again.</summary>
    public static bool IsFresh(string? timestamp, DateTimeOffset now) =>
        long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
        && seconds <= DateTimeOffset.MaxValue.ToUnixTimeSeconds() && (now - DateTimeOffset.FromUnixTimeSeconds(seconds)).Duration() <= Window;

    /// <summary>The AES key that an EncodingAESKey stands for; null when it is not one.</summary>
    public static byte[]? ReadKey(string encoded)
    {
        var key = new byte[KeyBytes];
        return encoded.Length == EncodedKeyLength && encoded.All(char.IsAsciiLetterOrDigit) && Convert.TryFromBase64String(encoded + "=", key, out var written) && written == KeyBytes
            ? key
            : null;
    }

    /// <returns>Null when it was not encrypted with this key for this account.</returns>
    public static string? Decrypt(string encrypted, byte[] key, string appId)
    {
        var cipher = new byte[encrypted.Length];
        if (!Convert.TryFromBase64String(encrypted, cipher, out var written) || written == 0 || written % BlockBytes != 0)
            return null;
        using var aes = Aes.Create();
        aes.Key = key;
        var plain = aes.DecryptCbc(cipher.AsSpan(0, written), key.AsSpan(0, aes.BlockSize / 8), PaddingMode.None);
        var padding = plain[^1];
        if (padding is 0 or > BlockBytes || plain.AsSpan(plain.Length - padding).ContainsAnyExcept(padding))
            return null;
        var body = plain.AsSpan(0, plain.Length - padding);
        if (body.Length < RandomBytes + LengthBytes)
            return null;
        var length = BinaryPrimitives.ReadUInt32BigEndian(body[RandomBytes..]);
        var rest = body[(RandomBytes + LengthBytes)..];
        if (length > rest.Length || !CryptographicOperations.FixedTimeEquals(rest[(int)length..], Encoding.UTF8.GetBytes(appId)))
            return null;
        try
        {
            return StrictUtf8.GetString(rest[..(int)length]);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <param name="random">16 bytes that nobody can foresee.</param>
    public static string Encrypt(string message, byte[] key, string appId, ReadOnlySpan<byte> random)
    {
        var text = Encoding.UTF8.GetBytes(message);
        var id = Encoding.UTF8.GetBytes(appId);
        var length = RandomBytes + LengthBytes + text.Length + id.Length;
        var padding = BlockBytes - length % BlockBytes;
        var plain = new byte[length + padding];
        random[..RandomBytes].CopyTo(plain);
        BinaryPrimitives.WriteUInt32BigEndian(plain.AsSpan(RandomBytes), (uint)text.Length);
        text.CopyTo(plain.AsSpan(RandomBytes + LengthBytes));
        id.CopyTo(plain.AsSpan(RandomBytes + LengthBytes + text.Length));
        plain.AsSpan(length).Fill((byte)padding);
        using var aes = Aes.Create();
        aes.Key = key;
        return Convert.ToBase64String(aes.EncryptCbc(plain, key.AsSpan(0, aes.BlockSize / 8), PaddingMode.None));
    }
}
