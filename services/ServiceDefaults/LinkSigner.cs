using System.Buffers.Text;
using System.Security.Cryptography;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Signs a link so that its holder may act on one thing without an account: whoever received the message, and nobody
/// else. The signature covers purpose, subject and audience; the state of the subject decides how long it means anything.
/// </summary>
public sealed class LinkSigner(byte[] key)
{
    public string Sign(string purpose, Guid subject, Guid audience) => Base64Url.EncodeToString(Compute(purpose, subject, audience));

    public bool Verify(string purpose, Guid subject, Guid audience, string? signature)
    {
        if (signature is not { Length: 43 })
            return false;
        Span<byte> given = stackalloc byte[32];
        return Base64Url.TryDecodeFromChars(signature, given, out var written) && written == 32
            && CryptographicOperations.FixedTimeEquals(given, Compute(purpose, subject, audience));
    }

    private byte[] Compute(string purpose, Guid subject, Guid audience) =>
        HMACSHA256.HashData(key, System.Text.Encoding.UTF8.GetBytes($"{purpose}\n{subject}\n{audience}"));
}
