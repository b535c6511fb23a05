using System.Text.Json;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;

namespace Huzhu.Groups.Features;

public sealed record SiteBody(double? Lat = null, double? Lon = null, string? SubDistrict = null);

public sealed record ChannelBody(string? Kind = null, string? Address = null, string? Secret = null);

/// <summary>
/// An entry as a client sends it. Everything may be missing here, so that one answer names everything that is wrong.
/// </summary>
public sealed partial record EntryBody(
    Guid? Id = null, string? Name = null, IReadOnlyList<SiteBody?>? Sites = null, double? RadiusMetres = null, IReadOnlyList<string?>? SubDistricts = null,
    IReadOnlyList<string?>? ServiceKinds = null, IReadOnlyList<string?>? Modes = null, IReadOnlyList<string?>? CommunicationAbilities = null,
    int? Capacity = null, bool? ZonePermit = null, bool? LeaderHasDisability = null, IReadOnlyList<string?>? ManagedBy = null,
    string? CoordinatorName = null, IReadOnlyList<ChannelBody?>? Channels = null)
{
    public const int MaxName = 200;
    public const int MaxSites = 100;
    public const int MaxSubDistricts = 100;
    public const int MaxSubDistrict = 100;
    public const int MaxCapacity = 100_000;
    public const double MaxRadiusMetres = 20_037_508; // half of the equator: everywhere
    public const int MaxManagers = 20;
    public const int MaxSubject = 200;
    public const int MaxChannels = 5;
    public const int MaxAddress = 500;
    public const int MaxSecret = 500;

    /// <summary>What is wrong, under the path of each field; empty when nothing is.</summary>
    public IDictionary<string, string[]> Validate()
    {
        var errors = new FieldErrors();
        if (Id == Guid.Empty)
            errors.Add("id", "The id must not be all zeros; leave it out to be given one.");
        errors.Text("name", Name, MaxName, required: true);

        errors.Count("sites", Sites, 1, MaxSites);
        foreach (var (index, site) in (Sites ?? []).Take(MaxSites).Index())
        {
            if (site?.Lat is not (>= -90 and <= 90))
                errors.Add($"sites[{index}].lat", "The latitude must be between -90 and 90 degrees.");
            if (site?.Lon is not (>= -180 and <= 180))
                errors.Add($"sites[{index}].lon", "The longitude must be between -180 and 180 degrees.");
            errors.Text($"sites[{index}].subDistrict", site?.SubDistrict, MaxSubDistrict, required: true);
        }
        if (RadiusMetres is { } radius && radius is not (> 0 and <= MaxRadiusMetres))
            errors.Add("radiusMetres", $"The radius must be above 0 and at most {MaxRadiusMetres:0} metres; leave it out for no limit.");
        errors.Count("subDistricts", SubDistricts, 0, MaxSubDistricts);
        foreach (var (index, subDistrict) in (SubDistricts ?? []).Take(MaxSubDistricts).Index())
            errors.Text($"subDistricts[{index}]", subDistrict, MaxSubDistrict, required: true);

        errors.Words("serviceKinds", ServiceKinds, Contracts.ServiceKinds.All, atLeast: 1);
        errors.Words("modes", Modes, Words.All<DeliveryMode>(), atLeast: 1);
        errors.Words("communicationAbilities", CommunicationAbilities, Words.All<CommunicationNeed>(), atLeast: 0);
        if (Capacity is not (>= 0 and <= MaxCapacity))
            errors.Add("capacity", $"The capacity must be between 0 and {MaxCapacity}.");

        errors.Count("managedBy", ManagedBy, 0, MaxManagers);
        foreach (var (index, subject) in (ManagedBy ?? []).Take(MaxManagers).Index())
            errors.Text($"managedBy[{index}]", subject, MaxSubject, required: true);
        errors.Text("coordinatorName", CoordinatorName, MaxName, required: false);
        errors.Count("channels", Channels, 0, MaxChannels);
        foreach (var (index, channel) in (Channels ?? []).Take(MaxChannels).Index())
            ValidateChannel(errors, $"channels[{index}]", channel);
        return errors.All;
    }

    /// <summary>The entry that this valid body describes.</summary>
    /// <param name="managedBy">Who manages it when the body does not say.</param>
    public DirectoryEntry ToEntry(IReadOnlyList<string> managedBy) => new(
        Name!.Trim(),
        [.. Sites!.Select(site => new Location(new GeoPoint(site!.Lat!.Value, site.Lon!.Value), site.SubDistrict!.Trim()))],
        RadiusMetres,
        [.. (SubDistricts ?? []).Select(name => name!.Trim()).Distinct()],
        [.. ServiceKinds!.Select(kind => kind!).Distinct()],
        [.. Modes!.Select(Read<DeliveryMode>).Distinct()],
        [.. (CommunicationAbilities ?? []).Select(Read<CommunicationNeed>).Distinct()],
        Capacity!.Value,
        ZonePermit ?? false,
        LeaderHasDisability,
        ManagedBy is { Count: > 0 } named ? [.. named.Select(subject => subject!.Trim()).Distinct()] : managedBy,
        Contact: null);

    /// <summary>
    /// The contact that this body describes, given the one that is stored: what is left out stays, an empty text or list
    /// removes. A channel without a secret keeps the one stored for it, because nobody is ever shown a secret to send it
    /// back.
    /// </summary>
    public Contact? ToContact(Contact? stored)
    {
        var name = CoordinatorName is null ? stored?.CoordinatorName : CoordinatorName.Trim() is { Length: > 0 } given ? given : null;
        IReadOnlyList<ContactChannel> channels = Channels is null
            ? stored?.Channels ?? []
            : [.. Channels.Select(channel => new ContactChannel(channel!.Kind!, channel.Address!.Trim(), channel.Secret switch
            {
                null => stored?.Channels.FirstOrDefault(known => known.Kind == channel.Kind && known.Address == channel.Address.Trim())?.Secret,
                "" => null,
                { } secret => secret,
            }))];
        return name is null && channels.Count == 0 ? null : new Contact(name, channels);
    }

    private static void ValidateChannel(FieldErrors errors, string path, ChannelBody? channel)
    {
        if (channel?.Kind is null || !ChannelKind().IsMatch(channel.Kind))
            errors.Add($"{path}.kind", "The kind must be a word of lowercase letters, digits and hyphens, such as webhook.");
        errors.Text($"{path}.address", channel?.Address, MaxAddress, required: true);
        errors.Text($"{path}.secret", channel?.Secret, MaxSecret, required: false);
        if (channel is { Kind: "webhook", Address.Length: > 0 } && !(Uri.TryCreate(channel.Address.Trim(), UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.Host.Length > 0))
            errors.Add($"{path}.address", "The address of a webhook must be an absolute http or https URL.");
    }

    private static T Read<T>(string? word) where T : struct, Enum =>
        Words.TryRead<T>(word, out var value) ? value : throw new InvalidOperationException("Only a body that was found right is read.");

    [GeneratedRegex("^[a-z][a-z0-9-]{0,39}$")]
    private static partial Regex ChannelKind();
}

/// <summary>Collects what is wrong with a body, so that one answer says all of it.</summary>
internal sealed class FieldErrors
{
    private readonly Dictionary<string, List<string>> _errors = [];

    public IDictionary<string, string[]> All => _errors.ToDictionary(one => one.Key, one => one.Value.ToArray());

    public void Add(string path, string message)
    {
        if (!_errors.TryGetValue(path, out var messages))
            _errors[path] = messages = [];
        messages.Add(message);
    }

    public void Text(string path, string? text, int maxLength, bool required)
    {
        if (required && string.IsNullOrWhiteSpace(text))
            Add(path, "A text is required.");
        else if (text?.Length > maxLength)
            Add(path, $"The text must have at most {maxLength} characters.");
        // PostgreSQL cannot store this one character in JSON.
        else if (text?.Contains('\0') == true)
            Add(path, "The text must not contain a null character.");
    }

    public void Count<T>(string path, IReadOnlyList<T>? items, int min, int max)
    {
        if (items is null ? min > 0 : items.Count < min || items.Count > max)
            Add(path, min == 0 ? $"At most {max} are accepted." : $"Between {min} and {max} are needed.");
    }

    public void Words(string path, IReadOnlyList<string?>? words, IReadOnlyCollection<string> known, int atLeast)
    {
        Count(path, words, atLeast, 50);
        foreach (var (index, word) in (words ?? []).Take(50).Index())
        {
            if (word is null || !known.Contains(word))
                Add($"{path}[{index}]", $"The word is not known. Known are: {string.Join(", ", known)}.");
        }
    }

    public void Period(DateTimeOffset from, DateTimeOffset? until, DateTimeOffset now)
    {
        if (until <= from)
            Add("until", "The end must be after the beginning.");
        else if (until <= now)
            Add("until", "The end must not be over yet.");
    }
}
