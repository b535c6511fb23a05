using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Huzhu.Local.Infrastructure;

/// <summary>
/// Bearer tokens for one machine, signed with the key that the services get as <c>Auth:Development:SigningKey</c>.
/// Written by hand because a JWT with HS256 is twenty lines, and the library that makes them is larger than this program.
/// </summary>
public static class DevelopmentTokens
{
    static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <param name="base64Key">Base64 of 32 bytes, as in <c>Auth:Development:SigningKey</c>.</param>
    /// <param name="responderIds">Ids of the groups or providers that the subject may answer for, when the token names them.</param>
    /// <param name="sources">The front ends that the subject acts for, when it acts for these alone.</param>
    public static string Create(string base64Key, string subject, IEnumerable<string> roles, IEnumerable<string>? responderIds = null, IEnumerable<string>? sources = null)
    {
        var now = DateTimeOffset.UtcNow;
        var claims = new JsonObject
        {
            ["iss"] = "huzhu-development",
            ["aud"] = "huzhu",
            ["sub"] = subject,
            ["roles"] = Array(roles),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = now.Add(Lifetime).ToUnixTimeSeconds(),
            ["jti"] = Guid.NewGuid().ToString("N"),
        };
        if (responderIds is not null) claims["responder"] = Array(responderIds);
        if (sources is not null) claims["source"] = Array(sources);

        var head = Base64Url("""{"alg":"HS256","typ":"JWT"}"""u8.ToArray());
        var body = Base64Url(Encoding.UTF8.GetBytes(claims.ToJsonString()));
        var signature = HMACSHA256.HashData(Convert.FromBase64String(base64Key), Encoding.ASCII.GetBytes($"{head}.{body}"));
        return $"{head}.{body}.{Base64Url(signature)}";
    }

    static JsonArray Array(IEnumerable<string> values) => [.. values.Select(v => (JsonNode)v)];

    static string Base64Url(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);
}
