using System.Collections.Frozen;
using System.Text;
using System.Text.RegularExpressions;

namespace Huzhu.Requests.Channels.Hotline;

/// <summary>One telephone number or call centre.</summary>
/// <param name="AuthToken">Signs voice and SMS callbacks; null: those are refused.</param>
/// <param name="PublicUrl">The address that the gateway calls, when a proxy stands before this service.</param>
/// <param name="HmacSecret">Signs call records; null: those are refused.</param>
/// <param name="OperatorNumber">Whom callers are put through to when they ask for a person; null: they are called back.</param>
public sealed record HotlineAccount(string Name, string? AuthToken, string? PublicUrl, byte[]? HmacSecret, string? OperatorNumber)
{
    public string Source => $"hotline-{Name}";

    public override string ToString() => nameof(HotlineAccount);
}

/// <summary>The accounts of <c>Channels:Hotline:Accounts</c>.</summary>
public sealed partial class HotlineAccounts
{
    private const string Section = "Channels:Hotline:Accounts";
    private const int LeastSecretBytes = 16;
    private readonly FrozenDictionary<string, HotlineAccount> _accounts;

    /// <exception cref="InvalidOperationException">Something is missing or malformed; the message names the key.</exception>
    public HotlineAccounts(IConfiguration configuration) => _accounts = configuration.GetSection(Section).GetChildren().Select(Read)
        // Environment variables may change the case of a key.
        .ToFrozenDictionary(account => account.Name, StringComparer.OrdinalIgnoreCase);

    public HotlineAccount? Find(string name) => _accounts.GetValueOrDefault(name);

    private static HotlineAccount Read(IConfigurationSection section)
    {
        if (!Name().IsMatch(section.Key))
            throw new InvalidOperationException($"{section.Path}: an account's name is letters, digits, '.', '_' and '-', at most 100.");
        var (token, secret) = (Optional(section, "AuthToken"), Optional(section, "HmacSecret"));
        if (token is null && secret is null)
            throw new InvalidOperationException($"{section.Path}: set AuthToken for voice and SMS, HmacSecret for call records, or both.");
        if (secret is not null && Encoding.UTF8.GetByteCount(secret) < LeastSecretBytes)
            throw new InvalidOperationException($"{section.Path}:HmacSecret must be at least {LeastSecretBytes} bytes.");
        var url = Optional(section, "PublicUrl")?.TrimEnd('/');
        if (url is not null && !(Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri is { Scheme: "http" or "https", Query: "", Fragment: "", UserInfo: "" }))
            throw new InvalidOperationException($"{section.Path}:PublicUrl must be an absolute http or https address without a query: what stands before /channels/hotline/… in the address that the gateway calls.");
        var number = Optional(section, "OperatorNumber");
        if (number is not null && !PhoneNumber().IsMatch(number))
            throw new InvalidOperationException($"{section.Path}:OperatorNumber must be a telephone number: digits, optionally with + before them.");
        return new HotlineAccount(section.Key, token, url, secret is null ? null : Encoding.UTF8.GetBytes(secret), number);
    }

    private static string? Optional(IConfigurationSection section, string name) => string.IsNullOrWhiteSpace(section[name]) ? null : section[name];

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,100}\z")]
    private static partial Regex Name();

    [GeneratedRegex(@"^\+?[0-9]{3,15}\z")]
    internal static partial Regex PhoneNumber();
}
