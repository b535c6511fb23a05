using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;

namespace Huzhu.Audit.Exporting;

/// <summary>What becomes of one kind of value in an export.</summary>
public enum Treatment
{
    /// <summary>Numbers, times, yes or no, and words of code lists: as they are.</summary>
    Kept,
    /// <summary>Ids: replaced by pseudonyms.</summary>
    Pseudonym,
    /// <summary>Positions: to two decimals of a degree, about a kilometre.</summary>
    Coarsened,
    /// <summary>Texts that people wrote, who did it, and what is encrypted: left out.</summary>
    LeftOut,
    /// <summary>Holds further fields.</summary>
    Nested,
}

/// <summary>
/// What of an event goes into an export, worked out from the event's own type, so that a new field is covered from its
/// first day. A text is left out unless its name is on the list of those that only ever hold words of code lists.
/// </summary>
public static class Fields
{
    private static readonly HashSet<string> CodeWords =
    [
        "kind", "kinds", "serviceKinds", "channel", "fromChannel", "firstBecause", "subDistrict", "subDistricts", "source", "basis", "reasonCode", "causeType",
    ];

    /// <summary>Reasons are codes in these events and a person's words in others.</summary>
    private static readonly HashSet<string> WithReasonCodes =
    [
        "need_waits", "need_escalated", "offer_undeliverable", "offer_revoked", "place_released", "responder_excluded", "need_state_recorded",
        "contact_unavailable", "channel_refused", "attempt_failed", "moved_to_next_channel", "notification_undeliverable", "notification_dropped", "notification_requested",
    ];

    public static Treatment Of(string eventType, string name, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (ItemOf(type) is { } item)
            type = Nullable.GetUnderlyingType(item) ?? item;
        if (type == typeof(Guid) || type.GetInterfaces().Any(one => one.IsGenericType && one.GetGenericTypeDefinition() == typeof(ITypedId<>)))
            return Treatment.Pseudonym;
        if (type == typeof(string))
            return CodeWords.Contains(name) || name == "reason" && (WithReasonCodes.Contains(eventType) || eventType == "offer_made") ? Treatment.Kept : Treatment.LeftOut;
        if (type.IsEnum || type == typeof(bool) || type == typeof(DateTimeOffset) || type == typeof(int) || type == typeof(long) || type == typeof(double))
            return Treatment.Kept;
        if (type == typeof(GeoPoint))
            return Treatment.Coarsened;
        return type == typeof(ServiceDefaults.Protected) ? Treatment.LeftOut : Treatment.Nested;
    }

    /// <summary>Every field of an event type by its path, for the data dictionary.</summary>
    public static IEnumerable<(string Path, Type Type, Treatment Treatment)> Dictionary(string eventType, Type type) => Walk(eventType, type, "", 0);

    /// <summary>The event's data with each field treated; what its type does not know is left out.</summary>
    public static JsonObject Treat(string eventType, Type type, JsonElement data, Pseudonyms pseudonyms)
    {
        var kept = new JsonObject();
        foreach (var (name, member) in MembersOf(type))
        {
            if (data.ValueKind is JsonValueKind.Object && data.TryGetProperty(name, out var value) && Value(eventType, name, member, value, pseudonyms) is { } treated)
                kept[name] = treated;
        }
        return kept;
    }

    private static JsonNode? Value(string eventType, string name, Type type, JsonElement value, Pseudonyms pseudonyms)
    {
        if (value.ValueKind is JsonValueKind.Null)
            return null;
        if (ItemOf(type) is { } item)
        {
            if (value.ValueKind is JsonValueKind.Array)
                return Of(eventType, name, type) is Treatment.LeftOut ? null : new JsonArray([.. value.EnumerateArray().Select(one => Value(eventType, name, item, one, pseudonyms))]);
            // A dictionary: its keys are words of code lists.
            return new JsonObject(value.EnumerateObject().Select(one => KeyValuePair.Create(one.Name, Value(eventType, name, item, one.Value, pseudonyms))));
        }
        return Of(eventType, name, type) switch
        {
            Treatment.Kept => JsonNode.Parse(value.GetRawText()),
            Treatment.Pseudonym => value.TryGetGuid(out var id) ? pseudonyms.Of(id).ToString() : null,
            Treatment.Coarsened => new JsonObject(value.EnumerateObject().Where(one => one.Value.ValueKind is JsonValueKind.Number)
                .Select(one => KeyValuePair.Create(one.Name, (JsonNode?)Math.Round(one.Value.GetDouble(), 2)))),
            Treatment.LeftOut => null,
            Treatment.Nested => Treat(eventType, Nullable.GetUnderlyingType(type) ?? type, value, pseudonyms),
        };
    }

    private static IEnumerable<(string, Type, Treatment)> Walk(string eventType, Type type, string prefix, int depth)
    {
        foreach (var (name, member) in MembersOf(type))
        {
            var treatment = Of(eventType, name, member);
            yield return (prefix + name, member, treatment);
            var inner = ItemOf(member) ?? Nullable.GetUnderlyingType(member) ?? member;
            if (treatment is Treatment.Nested && depth < 5)
            {
                foreach (var nested in Walk(eventType, inner, $"{prefix}{name}{(ItemOf(member) is null ? "." : "[].")}", depth + 1))
                    yield return nested;
            }
        }
    }

    private static IEnumerable<(string Name, Type Type)> MembersOf(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.GetIndexParameters().Length == 0 && property.GetCustomAttribute<JsonIgnoreAttribute>() is null && property.CanWrite)
            .Select(property => (property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? JsonNamingPolicy.CamelCase.ConvertName(property.Name), property.PropertyType))
            .OrderBy(member => member.Item1, StringComparer.Ordinal);

    /// <summary>What a list or the values of a dictionary hold; null for everything else.</summary>
    private static Type? ItemOf(Type type)
    {
        if (type == typeof(string) || !type.IsGenericType && !type.IsArray)
            return null;
        if (type.IsArray)
            return type.GetElementType();
        var definition = type.GetGenericTypeDefinition();
        if (definition == typeof(IReadOnlyDictionary<,>))
            return type.GetGenericArguments()[1];
        return typeof(System.Collections.IEnumerable).IsAssignableFrom(type) ? type.GetGenericArguments()[0] : null;
    }
}
