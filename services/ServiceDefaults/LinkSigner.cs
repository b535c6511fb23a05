using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Configuration;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Signs a link so that its holder may act on one thing without an account: whoever received the message, and nobody
/// else. The signature covers purpose, subject and audience; the state of the subject decides how long it means anything.
/// </summary>
/// <param name="key">Signs.</param>
/// <param name="previous">What was signed with these, before a rotation or ahead of one, is taken too.</param>
public sealed class LinkSigner(byte[] key, params byte[][] previous)
{
    public const string OffersKey = "Offers:LinkKey";
    public const string PreviousOffersKeys = "Offers:PreviousLinkKeys";

    /// <summary>Signs and verifies the links of offers.</summary>
    /// <exception cref="InvalidOperationException">The key is missing, or one is malformed.</exception>
    public static LinkSigner OfOffers(IConfiguration configuration) => new(Security.ReadKey(configuration, OffersKey, required: true)!, ReadPrevious(configuration));

    /// <exception cref="InvalidOperationException">A key is malformed.</exception>
    public static byte[][] ReadPrevious(IConfiguration configuration) =>
        [.. configuration.GetSection(PreviousOffersKeys).GetChildren().Select(child => Security.ReadKey(configuration, child.Path, required: true)!)];

    public string Sign(string purpose, Guid subject, Guid audience) => Compute(key, purpose, subject, audience);

    public bool Verify(string purpose, Guid subject, Guid audience, string? signature) =>
        signature is not null && previous.Prepend(key).Any(one =>
            CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(signature), Encoding.UTF8.GetBytes(Compute(one, purpose, subject, audience))));

    private static string Compute(byte[] key, string purpose, Guid subject, Guid audience) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{purpose}\n{subject}\n{audience}")));
}
