using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Huzhu.Notifications.Channels;

/// <summary>Signatures as https://www.standardwebhooks.com describes them (v1, symmetric).</summary>
public static class StandardWebhooks
{
    public const string IdHeader = "webhook-id";
    public const string TimestampHeader = "webhook-timestamp";
    public const string SignatureHeader = "webhook-signature";

    private const string SecretPrefix = "whsec_";
    private const int LeastSecretBytes = 16;
    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    /// <summary>Whether this can be signed with: one secret, or several separated by spaces while they are being rotated.</summary>
    public static bool IsUsable(string? secret) => KeysOf(secret).Count > 0;

    /// <summary>The signature header: one signature for each secret, separated by spaces.</summary>
    /// <exception cref="ArgumentException">The secret is not usable.</exception>
    public static string Sign(string secret, string id, DateTimeOffset at, ReadOnlySpan<byte> body)
    {
        var keys = KeysOf(secret);
        if (keys.Count == 0)
            throw new ArgumentException("The secret must be whsec_ and base64 of at least 16 bytes.", nameof(secret));
        var content = Content(id, at.ToUnixTimeSeconds(), body);
        return string.Join(' ', keys.Select(key => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(key, content))}"));
    }

    /// <summary>What a receiver does: the signature must fit one of its secrets, and the message must be fresh.</summary>
    public static bool Verify(string? secret, string? id, string? timestamp, string? signatures, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        if (string.IsNullOrEmpty(id) || string.IsNullOrEmpty(signatures)
            || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || Math.Abs(now.ToUnixTimeSeconds() - seconds) > Tolerance.TotalSeconds)
            return false;
        var content = Content(id, seconds, body);
        foreach (var key in KeysOf(secret))
        {
            var expected = HMACSHA256.HashData(key, content);
            foreach (var signature in signatures.Split(' '))
            {
                if (signature.StartsWith("v1,", StringComparison.Ordinal) && Matches(expected, signature[3..]))
                    return true;
            }
        }
        return false;
    }

    private static bool Matches(byte[] expected, string base64)
    {
        Span<byte> given = stackalloc byte[expected.Length];
        return Convert.TryFromBase64String(base64, given, out var written)
            && CryptographicOperations.FixedTimeEquals(given[..written], expected);
    }

    private static byte[] Content(string id, long seconds, ReadOnlySpan<byte> body) =>
        [.. Encoding.UTF8.GetBytes($"{id}.{seconds.ToString(CultureInfo.InvariantCulture)}."), .. body];

    private static List<byte[]> KeysOf(string? secret)
    {
        var keys = new List<byte[]>();
        foreach (var part in (secret ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var base64 = part.StartsWith(SecretPrefix, StringComparison.Ordinal) ? part[SecretPrefix.Length..] : part;
            var bytes = new byte[base64.Length];
            if (!Convert.TryFromBase64String(base64, bytes, out var written) || written < LeastSecretBytes)
                return [];
            keys.Add(bytes[..written]);
        }
        return keys;
    }
}
