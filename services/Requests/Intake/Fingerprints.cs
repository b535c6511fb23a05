using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Intake;

/// <summary>
/// Keyed hashes that tell an equal intake, or an equal idempotency key, from another, and reveal nothing to who has only
/// the database. The key is derived from the master key; those of a rotation still count.
/// </summary>
public sealed class Fingerprints
{
    private readonly byte[][] _keys;

    public Fingerprints(IConfiguration configuration) => _keys =
    [
        Derive(Security.ReadKey(configuration, "PersonalData:MasterKey", required: true)!),
        .. configuration.GetSection("PersonalData:PreviousMasterKeys").GetChildren()
            .Select(child => Derive(Security.ReadKey(configuration, child.Path, required: true)!)),
    ];

    public string Of(CallForHelp call) => Convert.ToBase64String(Hash(_keys[0], call));

    public bool IsOf(string fingerprint, CallForHelp call)
    {
        var stored = Convert.FromBase64String(fingerprint);
        return _keys.Any(key => CryptographicOperations.FixedTimeEquals(stored, Hash(key, call)));
    }

    /// <summary>Every hash that the client's idempotency key may be stored under; the first is the one to store.</summary>
    public IReadOnlyList<byte[]> OfIdempotencyKey(string client, string key) =>
        [.. _keys.Select(secret => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"idempotency-key\n{client}\n{key}")))];

    private static byte[] Hash(byte[] key, CallForHelp call) => HMACSHA256.HashData(key, JsonSerializer.SerializeToUtf8Bytes(call, JsonSerializerOptions.Web));

    private static byte[] Derive(byte[] masterKey) => HKDF.DeriveKey(HashAlgorithmName.SHA256, masterKey, 32, info: "huzhu requests fingerprints"u8.ToArray());
}
