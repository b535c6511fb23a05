using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Huzhu.Requests.Channels.Hotline;

/// <summary>Twilio's <c>X-Twilio-Signature</c>, which many gateways and call centres speak.</summary>
public static partial class TwilioSignature
{
    public const string Header = "X-Twilio-Signature";

    /// <param name="url">The full address that was called, byte for byte.</param>
    /// <param name="form">The fields of the body; several values of one field are signed one after the other, each once.</param>
    public static string Sign(string authToken, string url, IEnumerable<KeyValuePair<string, string>> form)
    {
        var text = new StringBuilder(url);
        foreach (var field in form.GroupBy(field => field.Key, field => field.Value).OrderBy(field => field.Key, StringComparer.Ordinal))
            foreach (var value in field.Distinct().Order(StringComparer.Ordinal))
                text.Append(field.Key).Append(value);
        return Convert.ToBase64String(HMACSHA1.HashData(Encoding.UTF8.GetBytes(authToken), Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <summary>Signers differ in whether the port stands in the address: with it and without it are tried.</summary>
    public static bool Verify(string? signature, string authToken, string url, IReadOnlyCollection<KeyValuePair<string, string>> form)
    {
        if (string.IsNullOrEmpty(signature) || Parts().Match(url) is not { Success: true } parts)
            return false;
        var (scheme, host, port, rest) = (parts.Groups[1].Value, parts.Groups[2].Value, parts.Groups[3].Value, parts.Groups[4].Value);
        var withPort = port.Length > 0 ? port : scheme == "https" ? ":443" : ":80";
        // Both are computed and compared in full, so that the time tells nothing.
        return Equals(signature, Sign(authToken, $"{scheme}://{host}{rest}", form)) | Equals(signature, Sign(authToken, $"{scheme}://{host}{withPort}{rest}", form));
    }

    private static bool Equals(string one, string other) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(one), Encoding.UTF8.GetBytes(other));

    [GeneratedRegex(@"^(https?)://([^/:?#\[\]]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?([/?#].*)?\z", RegexOptions.Singleline)]
    private static partial Regex Parts();
}

/// <summary>
/// The signature of a pushed call record: <c>X-Huzhu-Signature: t=seconds,v1=hex</c>, HMAC-SHA256 of <c>seconds.body</c>. Several
/// <c>v1</c> may stand in it while the secret is being changed.
/// </summary>
public static class RecordSignature
{
    public const string Header = "X-Huzhu-Signature";
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    public static string Sign(byte[] secret, long seconds, ReadOnlySpan<byte> body) => $"t={seconds.ToString(CultureInfo.InvariantCulture)},v1={Compute(secret, seconds, body)}";

    public static bool Verify(string? header, byte[] secret, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        var parts = (header ?? "").Split(',', StringSplitOptions.TrimEntries);
        if (parts is not [['t', '=', .. var time], ..] || !long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || Math.Abs((decimal)now.ToUnixTimeSeconds() - seconds) > (decimal)Window.TotalSeconds)
            return false;
        var expected = Encoding.UTF8.GetBytes(Compute(secret, seconds, body));
        return parts.Skip(1).Any(part => part.StartsWith("v1=", StringComparison.Ordinal) && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(part[3..]), expected));
    }

    private static string Compute(byte[] secret, long seconds, ReadOnlySpan<byte> body)
    {
        byte[] content = [.. Encoding.UTF8.GetBytes($"{seconds.ToString(CultureInfo.InvariantCulture)}."), .. body];
        return Convert.ToHexStringLower(HMACSHA256.HashData(secret, content));
    }
}
