using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Huzhu.Requests.Channels.WeChat;

/// <summary>One Official Account, as its console has it.</summary>
/// <param name="Keys">The present message key, then the previous one while it is being rotated; none in plain mode.</param>
public sealed record WeChatAccount(string Name, string AppId, string Token, IReadOnlyList<byte[]> Keys)
{
    public string Source => $"wechat-{Name}";

    public override string ToString() => nameof(WeChatAccount);
}

/// <summary>The accounts of <c>Channels:WeChat:Accounts</c>.</summary>
public sealed partial class WeChatAccounts
{
    private const string Section = "Channels:WeChat:Accounts";
    private readonly FrozenDictionary<string, WeChatAccount> _accounts;

    /// <exception cref="InvalidOperationException">Something is missing or malformed; the message names the key.</exception>
    public WeChatAccounts(IConfiguration configuration) => _accounts = configuration.GetSection(Section).GetChildren().Select(Read)
        // Environment variables may change the case of a key.
        .ToFrozenDictionary(account => account.Name, StringComparer.OrdinalIgnoreCase);

    public WeChatAccount? Find(string name) => _accounts.GetValueOrDefault(name);

    private static WeChatAccount Read(IConfigurationSection section)
    {
        if (!Name().IsMatch(section.Key))
            throw new InvalidOperationException($"{section.Path}: an account's name is letters, digits, '.', '_' and '-', at most 100.");
        var (key, previous) = (KeyOf(section, "EncodingAesKey"), KeyOf(section, "PreviousEncodingAesKey"));
        if (key is null && previous is not null)
            throw new InvalidOperationException($"{section.Path}:PreviousEncodingAesKey is set without {section.Path}:EncodingAesKey.");
        return new WeChatAccount(section.Key, Required(section, "AppId"), Required(section, "Token"), [.. new[] { key, previous }.OfType<byte[]>()]);
    }

    private static string Required(IConfigurationSection section, string name) => section[name] is { } value && !string.IsNullOrWhiteSpace(value)
        ? value
        : throw new InvalidOperationException($"{section.Path}:{name} is missing: copy it from the account's console, Settings and Development > Basic configuration.");

    private static byte[]? KeyOf(IConfigurationSection section, string name) => section[name] is not { Length: > 0 } text
        ? null
        : WeChatCrypto.ReadKey(text) ?? throw new InvalidOperationException($"{section.Path}:{name} must be the EncodingAESKey of the account's console: 43 letters and digits.");

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,100}\z")]
    private static partial Regex Name();
}
