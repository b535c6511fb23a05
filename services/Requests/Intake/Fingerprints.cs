using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Intake;

/// <summary>
/// Keyed hashes that tell an equal intake, or an equal idempotency key, from another, and reveal nothing to who has only
/// the database. Those of intakes are made with the keys of the two people in them, and so end with either.
/// </summary>
public sealed class Fingerprints(PersonalDataVault vault, IConfiguration configuration)
{
    private readonly byte[][] _keys = PersonalDataVault.DeriveKeys(configuration, "huzhu requests fingerprints"u8);

    /// <exception cref="InvalidOperationException">One of the people has no key.</exception>
    public async Task<string> OfAsync(CallForHelp call, CancellationToken cancellation) =>
        Convert.ToBase64String(await HashAsync(call, cancellation) ?? throw new InvalidOperationException("A person was erased while their call was taken in."));

    /// <summary>False, too, when one of the people was erased since: then nobody can say.</summary>
    public async Task<bool> IsOfAsync(string fingerprint, CallForHelp call, CancellationToken cancellation) =>
        await HashAsync(call, cancellation) is { } hash && CryptographicOperations.FixedTimeEquals(Convert.FromBase64String(fingerprint), hash);

    /// <summary>Whether the two say the same.</summary>
    public static bool AreEqual(CallForHelp one, CallForHelp other) => Bytes(one).AsSpan().SequenceEqual(Bytes(other));

    /// <summary>Every hash that the client's idempotency key may be stored under; the first is the one to store.</summary>
    public IReadOnlyList<byte[]> OfIdempotencyKey(string client, string key) =>
        [.. _keys.Select(secret => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"idempotency-key\n{client}\n{key}")))];

    private Task<byte[]?> HashAsync(CallForHelp call, CancellationToken cancellation) =>
        vault.HashAsync([call.PersonId.Value, call.CallerId.Value], Bytes(call), cancellation);

    private static byte[] Bytes(CallForHelp call) => JsonSerializer.SerializeToUtf8Bytes(call, JsonSerializerOptions.Web);
}
