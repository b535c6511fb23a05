using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Signs a link so that its holder may act on one thing without an account: whoever received the message, and nobody
/// else. The signature covers purpose, subject and audience; the state of the subject decides how long it means anything.
/// </summary>
public sealed class LinkSigner(byte[] key)
{
    public string Sign(string purpose, Guid subject, Guid audience) => Base64Url.EncodeToString(Compute(purpose, subject, audience));

    public bool Verify(string purpose, Guid subject, Guid audience, string? signature) =>
        signature is not null
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(signature), Encoding.UTF8.GetBytes(Sign(purpose, subject, audience)));

    private byte[] Compute(string purpose, Guid subject, Guid audience) =>
        HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{purpose}\n{subject}\n{audience}"));
}
