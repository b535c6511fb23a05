using System.Collections.Frozen;
using System.Text.Json;
using Huzhu.Groups.Domain;
using Huzhu.Matching.Domain;
using Huzhu.Notifications.Domain;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Marten.Services;

namespace Huzhu.Audit.Reading;

/// <summary>The events of each service by the names that its store gives them, read as the service itself reads them.</summary>
public static class EventTypes
{
    private static readonly SystemTextJsonSerializer Serializer = EventStore.CreateSerializer();
    private static readonly JsonSerializerOptions Json = OptionsOf(Serializer);
    private static readonly JsonSerializerOptions Fast = RecordReader.For(Json);

    private static readonly FrozenDictionary<string, FrozenDictionary<string, Type>> ByService = new Dictionary<string, FrozenDictionary<string, Type>>
    {
        ["requests"] = Named([.. EventStore.EventsOf<RequestEvent>(), .. EventStore.EventsOf<ConversationEvent>(), .. EventStore.EventsOf<AdmissionEvent>(), .. EventStore.EventsOf<PersonEvent>()]),
        ["groups"] = Named([.. EventStore.EventsOf<GroupEvent>(), .. EventStore.EventsOf<ProviderEvent>(), .. EventStore.EventsOf<MeasureEvent>(), .. EventStore.EventsOf<AlertEvent>(), .. EventStore.EventsOf<PersonEvent>()]),
        ["matching"] = Named([.. EventStore.EventsOf<MatchEvent>(), .. EventStore.EventsOf<ResponderEvent>(), .. EventStore.EventsOf<MeasuresEvent>(), .. EventStore.EventsOf<PolicyEvent>(), .. EventStore.EventsOf<PlanEvent>()]),
        ["notifications"] = Named([.. EventStore.EventsOf<NotificationEvent>(), .. EventStore.EventsOf<SubscriptionEvent>(), typeof(DataKeysRewrapped)]),
    }.ToFrozenDictionary();

    public static IReadOnlyDictionary<string, Type> Of(string service) => ByService[service];

    /// <returns>Null for what the store writes for itself, such as the tombstone of a refused append.</returns>
    /// <exception cref="AuditException">The event is of a type that this version does not know.</exception>
    public static object? Decode(string service, StoredEvent stored) => Decode(service, stored.Type, stored.Sequence, stored.Data);

    /// <inheritdoc cref="Decode(string, StoredEvent)"/>
    public static object? Decode(string service, string type, long sequence, ReadOnlySpan<byte> data)
    {
        if (type == "tombstone")
            return null;
        if (!ByService[service].TryGetValue(type, out var known))
            throw new AuditException($"The log of {service} has an event of the unknown type {type} at sequence {sequence}: it was written by another version, or not by the service.");
        try
        {
            return Read(data, known);
        }
        catch (JsonException exception)
        {
            throw new AuditException($"The {type} at sequence {sequence} of {service} cannot be read: {exception.Message}", exception);
        }
    }

    private static object? Read(ReadOnlySpan<byte> data, Type type)
    {
        try
        {
            return JsonSerializer.Deserialize(data, type, Fast);
        }
        catch (JsonException)
        {
            // The serializer has the last word, and says where it failed.
            return JsonSerializer.Deserialize(data, type, Json);
        }
    }

    /// <summary>A read model as its service would store it.</summary>
    public static string ToJson(object document) => Serializer.ToJson(document);

    /// <summary>The serializer's own rules: through its streams each event would be copied twice more.</summary>
    private static JsonSerializerOptions OptionsOf(SystemTextJsonSerializer serializer)
    {
        JsonSerializerOptions? options = null;
        serializer.Configure(json => options = json);
        return options!;
    }

    private static FrozenDictionary<string, Type> Named(IEnumerable<Type> types) => types.ToFrozenDictionary(EventStore.NameOf);
}
