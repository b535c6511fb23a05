using System.Security.Cryptography;

namespace Huzhu.Local.Infrastructure;

public static class Secrets
{
    /// <summary>A key as configuration wants it: base64 of 32 bytes.</summary>
    public static string Key() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>Hexadecimal, so that it needs no escaping in a URL, a connection string or a configuration file.</summary>
    public static string Password() => RandomNumberGenerator.GetHexString(32, lowercase: true);
}
