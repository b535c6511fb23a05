namespace Huzhu.Requests.Intake;

/// <summary>
/// Where each front end listens for what its callers are to be told: <c>Channels:Sources:&lt;source&gt;:Kind</c> and
/// <c>:Address</c>, in which <c>{ref}</c> stands for the caller's reference.
/// </summary>
public sealed class SourceChannels
{
    private const string Section = "Channels:Sources";
    private readonly Dictionary<string, ContactChannel> _channels;

    /// <exception cref="InvalidOperationException">A source lacks its kind or its address.</exception>
    public SourceChannels(IConfiguration configuration) => _channels = configuration.GetSection(Section).GetChildren().ToDictionary(
        source => source.Key,
        source => new ContactChannel(Required(source, "Kind"), Required(source, "Address")),
        // Environment variables may change the case of a key.
        StringComparer.OrdinalIgnoreCase);

    public ContactChannel? Find(string source, string callerRef)
    {
        if (!_channels.TryGetValue(source, out var channel))
            return null;
        // In a URL the reference must not become a path or a query of its own.
        var isUrl = channel.Address.Contains("://", StringComparison.Ordinal);
        return channel with { Address = channel.Address.Replace("{ref}", isUrl ? Uri.EscapeDataString(callerRef) : callerRef, StringComparison.Ordinal) };
    }

    private static string Required(IConfigurationSection source, string key) => source[key] is { Length: > 0 } value
        ? value
        : throw new InvalidOperationException($"{source.Path}:{key} is missing: every source under {Section} needs Kind and Address.");
}
