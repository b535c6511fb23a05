using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Huzhu.Contracts;

namespace Huzhu.Requests.Channels.Open311;

/// <summary>What a key is good for.</summary>
[Flags]
public enum Scope
{
    None = 0,
    /// <summary>Post requests.</summary>
    Submit = 1,
    /// <summary>Read the jurisdiction's requests: state and coarse places.</summary>
    Read = 2,
    /// <summary>Post updates of the jurisdiction's requests.</summary>
    Update = 4,
    /// <summary>With <see cref="Read"/>: descriptions, addresses and exact places too.</summary>
    Personal = 8,
}

/// <summary>A key of a jurisdiction: a city's app, its desk, a neighbouring system.</summary>
public sealed record ApiKey(string Name, byte[] SecretHash, Scope Scopes)
{
    public override string ToString() => $"{nameof(ApiKey)} {Name}";
}

/// <summary>A city, or a part of one, that speaks GeoReport with this service.</summary>
/// <param name="ConsentBasis">On what ground the data of its callers is kept; the protocol has no word for it.</param>
public sealed record Jurisdiction(string Id, string Contact, string ConsentBasis, IReadOnlyList<ApiKey> Keys)
{
    public IReadOnlyList<string> Sources => [.. Keys.Select(SourceOf)];

    /// <summary>
    /// Ids of one key's client mean nothing to another's. No key's name has a dot, so that no two sources are spelled the
    /// same; and environment variables may change the case of a name.
    /// </summary>
    public string SourceOf(ApiKey key) => $"open311.{Id}.{key.Name}".ToLowerInvariant();

    public ApiKey? FindKey(string? secret)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(secret ?? ""));
        ApiKey? found = null;
        foreach (var key in Keys)
            if (CryptographicOperations.FixedTimeEquals(key.SecretHash, hash))
                found = key;
        return found;
    }
}

/// <summary>The jurisdictions of <c>Channels:Open311:Jurisdictions</c>.</summary>
public sealed partial class Jurisdictions
{
    private const string Section = "Channels:Open311:Jurisdictions";
    private const int LeastSecretBytes = 16;
    private static readonly FrozenDictionary<string, Scope> ScopeWords =
        Words.All<Scope>().Zip(Enum.GetValues<Scope>()).Where(pair => pair.Second != Scope.None).ToFrozenDictionary(pair => pair.First, pair => pair.Second);

    private readonly FrozenDictionary<string, Jurisdiction> _byId;

    /// <exception cref="InvalidOperationException">Something is missing or malformed; the message names the key.</exception>
    public Jurisdictions(IConfiguration configuration)
    {
        var all = configuration.GetSection(Section).GetChildren().Select(Read).ToList();
        if (all.GroupBy(one => one.Id, StringComparer.OrdinalIgnoreCase).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new InvalidOperationException($"{Section}: two jurisdictions have the id {twice.Key}.");
        _byId = all.ToFrozenDictionary(one => one.Id, StringComparer.OrdinalIgnoreCase);
    }

    public Jurisdiction? Find(string id) => _byId.GetValueOrDefault(id);

    /// <summary>The one that is meant when none is named.</summary>
    public Jurisdiction? Only => _byId.Count == 1 ? _byId.Values[0] : null;

    private static Jurisdiction Read(IConfigurationSection section)
    {
        var id = Optional(section, "Id") ?? section.Key;
        if (!Id().IsMatch(id))
            throw new InvalidOperationException($"{section.Path}:Id: the id of a jurisdiction, which is the name of its section unless Id is set, is letters, digits, '.' and '-', at most 100; not '{id}'.");
        var basis = Optional(section, "ConsentBasis")
            ?? throw new InvalidOperationException($"{section.Path}:ConsentBasis is missing: say in a word on what ground the data of its callers is kept, such as explicit or public-task.");
        if (!Word().IsMatch(basis))
            throw new InvalidOperationException($"{section.Path}:ConsentBasis must be a word in lower case: letters, digits and hyphens, at most 40.");
        var keys = section.GetSection("Keys").GetChildren().Select(ReadKey).ToList();
        if (keys.Count == 0)
            throw new InvalidOperationException($"{section.Path}:Keys is empty: give the jurisdiction at least one key with Secret and Scopes.");
        if (keys.DistinctBy(key => Convert.ToHexString(key.SecretHash)).Count() < keys.Count)
            throw new InvalidOperationException($"{section.Path}:Keys: two keys have the same Secret.");
        return new Jurisdiction(id, Optional(section, "Contact") ?? "", basis, keys);
    }

    private static ApiKey ReadKey(IConfigurationSection section)
    {
        if (!KeyName().IsMatch(section.Key))
            throw new InvalidOperationException($"{section.Path}: a key's name is letters, digits, '_' and '-', at most 60.");
        var secret = Optional(section, "Secret");
        if (secret is null || Encoding.UTF8.GetByteCount(secret) < LeastSecretBytes)
            throw new InvalidOperationException($"{section.Path}:Secret must be at least {LeastSecretBytes} bytes.");
        var scopes = Scope.None;
        foreach (var word in (section["Scopes"] ?? "").Split([' ', ','], StringSplitOptions.RemoveEmptyEntries))
            scopes |= ScopeWords.TryGetValue(word, out var scope)
                ? scope
                : throw new InvalidOperationException($"{section.Path}:Scopes: '{word}' is not one of {string.Join(", ", ScopeWords.Keys.Order())}.");
        return scopes == Scope.None
            ? throw new InvalidOperationException($"{section.Path}:Scopes is empty: name at least one of {string.Join(", ", ScopeWords.Keys.Order())}.")
            : new ApiKey(section.Key, SHA256.HashData(Encoding.UTF8.GetBytes(secret)), scopes);
    }

    private static string? Optional(IConfigurationSection section, string name) => string.IsNullOrWhiteSpace(section[name]) ? null : section[name];

    [GeneratedRegex(@"^[A-Za-z0-9.-]{1,100}\z")]
    private static partial Regex Id();

    [GeneratedRegex(@"^[A-Za-z0-9_-]{1,60}\z")]
    private static partial Regex KeyName();

    [GeneratedRegex(@"^[a-z0-9]+(-[a-z0-9]+)*\z(?<=^.{1,40})")]
    private static partial Regex Word();
}
