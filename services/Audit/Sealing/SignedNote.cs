using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace Huzhu.Audit.Sealing;

/// <summary>A text with signatures below it, as <c>c2sp.org/signed-note</c> says; other tools read and write the same.</summary>
public static class SignedNote
{
    private const string Dash = "— ";

    /// <param name="text">Ends with a newline.</param>
    public static string Sign(string text, IEnumerable<NoteSigner> signers) =>
        text + "\n" + string.Concat(signers.Select(signer => $"{Dash}{signer.Key.Name} {Convert.ToBase64String([.. signer.Key.Hash, .. signer.Sign(text)])}\n"));

    /// <returns>The text, and the trusted keys whose signature holds.</returns>
    /// <exception cref="FormatException">It is no signed note, or a signature of a trusted key is wrong.</exception>
    public static (string Text, IReadOnlyList<NoteKey> SignedBy) Open(string note, IEnumerable<NoteKey> trusted)
    {
        var split = note.LastIndexOf("\n\n", StringComparison.Ordinal);
        if (split < 0 || !note.EndsWith('\n'))
            throw new FormatException("This is no signed note: no signature follows the text.");
        var text = note[..(split + 1)];
        var signedBy = new List<NoteKey>();
        foreach (var line in note[(split + 2)..^1].Split('\n'))
        {
            if (!line.StartsWith(Dash, StringComparison.Ordinal) || line[Dash.Length..].Split(' ') is not [var name, var encoded])
                throw new FormatException($"This is no signed note: \"{line}\" is no signature.");
            var bytes = Convert.FromBase64String(encoded);
            if (bytes.Length <= 4)
                throw new FormatException($"This is no signed note: the signature of {name} is too short.");
            foreach (var key in trusted.Where(key => key.Name == name && key.Hash.AsSpan().SequenceEqual(bytes.AsSpan(0, 4))))
            {
                if (!key.Verify(text, bytes.AsSpan(4)))
                    throw new FormatException($"The signature of {name} is wrong: the text was changed after it was signed.");
                signedBy.Add(key);
            }
        }
        return (text, signedBy);
    }
}

/// <summary>A public key, written <c>name+hash+key</c>.</summary>
public sealed class NoteKey
{
    private const byte Ed25519Algorithm = 1;
    private readonly byte[] _key;

    public NoteKey(string name, byte[] publicKey)
    {
        if (name.Length == 0 || name.Any(character => char.IsWhiteSpace(character) || character == '+'))
            throw new FormatException($"\"{name}\" cannot name a key: it must have no blank and no plus.");
        (Name, _key) = (name, publicKey);
        Hash = SHA256.HashData([.. Encoding.UTF8.GetBytes(name), (byte)'\n', Ed25519Algorithm, .. publicKey])[..4];
    }

    public string Name { get; }
    public byte[] Hash { get; }

    public static NoteKey Parse(string text)
    {
        if (text.Split('+', 3) is not [var name, var hash, var encoded] || Decode(encoded) is not { } publicKey)
            throw new FormatException($"\"{text}\" is no public key: name+hash+key is expected, with an Ed25519 key.");
        var key = new NoteKey(name, publicKey);
        return Convert.ToHexStringLower(key.Hash) == hash ? key : throw new FormatException($"The hash in the public key of {name} is not that of the key.");
    }

    public override string ToString() => $"{Name}+{Convert.ToHexStringLower(Hash)}+{Encode(_key)}";

    public bool Verify(string text, ReadOnlySpan<byte> signature)
    {
        var message = Encoding.UTF8.GetBytes(text);
        return signature.Length == Ed25519.SignatureSize && Ed25519.Verify(signature.ToArray(), 0, _key, 0, message, 0, message.Length);
    }

    internal static string Encode(byte[] key) => Convert.ToBase64String([Ed25519Algorithm, .. key]);

    internal static byte[]? Decode(string encoded)
    {
        var bytes = new byte[33];
        return Convert.TryFromBase64String(encoded, bytes, out var length) && length == 33 && bytes[0] == Ed25519Algorithm ? bytes[1..] : null;
    }
}

/// <summary>A private key, written <c>PRIVATE+KEY+name+hash+key</c>.</summary>
public sealed class NoteSigner
{
    private const string Prefix = "PRIVATE+KEY+";
    private readonly byte[] _seed;

    private NoteSigner(string name, byte[] seed)
    {
        _seed = seed;
        var publicKey = new byte[Ed25519.PublicKeySize];
        Ed25519.GeneratePublicKey(seed, 0, publicKey, 0);
        Key = new NoteKey(name, publicKey);
    }

    public NoteKey Key { get; }

    public static NoteSigner Generate(string name) => new(name, RandomNumberGenerator.GetBytes(Ed25519.SecretKeySize));

    public static NoteSigner Parse(string text)
    {
        // What is wrong is said without repeating the text: it is a secret.
        if (!text.StartsWith(Prefix, StringComparison.Ordinal) || text[Prefix.Length..].Split('+', 3) is not [var name, var hash, var encoded] || NoteKey.Decode(encoded) is not { } seed)
            throw new FormatException("This is no private key: PRIVATE+KEY+name+hash+key is expected, with an Ed25519 key.");
        var signer = new NoteSigner(name, seed);
        return Convert.ToHexStringLower(signer.Key.Hash) == hash ? signer : throw new FormatException($"The hash in the private key of {name} is not that of the key.");
    }

    public override string ToString() => $"{Prefix}{Key.Name}+{Convert.ToHexStringLower(Key.Hash)}+{NoteKey.Encode(_seed)}";

    public byte[] Sign(string text)
    {
        var message = Encoding.UTF8.GetBytes(text);
        var signature = new byte[Ed25519.SignatureSize];
        Ed25519.Sign(_seed, 0, message, 0, message.Length, signature, 0);
        return signature;
    }
}
