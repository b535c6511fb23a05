using System.Net.Mime;
using System.Text.Json;
using CloudNative.CloudEvents;
using CloudNative.CloudEvents.SystemTextJson;
using Huzhu.Groups.Domain;

namespace Huzhu.Groups.Features;

/// <summary>What a provider's own system said in a CloudEvent.</summary>
public sealed record ProviderWord(Guid ProviderId, bool Closes, string Reason, DateTimeOffset? From, DateTimeOffset? Until, DateTimeOffset? Time, CloudEventOrigin Origin)
{
    /// <summary>The word as it counts. A clock that runs ahead must not make a word the last one for all time.</summary>
    public OpeningWord At(DateTimeOffset now)
    {
        var saidAt = Time is { } time && time < now ? time : now;
        return new OpeningWord(Closes, Reason, From ?? saidAt.InMilliseconds(), Until, saidAt);
    }
}

/// <summary>
/// CloudEvents 1.0 from providers' systems, in structured and in binary mode, whatever carried them: AMQP and HTTP differ
/// only in how they name the attributes.
/// </summary>
public static class ProviderEventFormat
{
    public const string ClosedType = "org.huzhu.provider.closed.v1";
    public const string ReopenedType = "org.huzhu.provider.reopened.v1";
    private const int MaxOrigin = 500;

    private static readonly JsonEventFormatter Formatter = new();

    /// <param name="attributes">Binary mode's attributes, the transport's prefix taken off.</param>
    /// <returns>What was said; or, in one sentence, why it cannot be read.</returns>
    public static (ProviderWord? Word, string? Problem) Read(string? contentType, IEnumerable<(string Name, string Value)> attributes, ReadOnlyMemory<byte> body)
    {
        try
        {
            return Decode(contentType, attributes, body) is { } cloudEvent
                ? Understand(cloudEvent)
                : (null, "It is not a CloudEvent: neither is its content type application/cloudevents+json, nor does it carry the attribute specversion in its headers.");
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or JsonException or InvalidOperationException or NotSupportedException)
        {
            return (null, $"The CloudEvent cannot be read: {OneLine(exception.Message)}");
        }
    }

    private static CloudEvent? Decode(string? contentType, IEnumerable<(string Name, string Value)> attributes, ReadOnlyMemory<byte> body)
    {
        var type = string.IsNullOrWhiteSpace(contentType) ? null : new ContentType(contentType);
        if (type?.MediaType.StartsWith("application/cloudevents", StringComparison.OrdinalIgnoreCase) == true)
        {
            return type.MediaType.Equals("application/cloudevents+json", StringComparison.OrdinalIgnoreCase)
                ? Formatter.DecodeStructuredModeMessage(body, type, null)
                : throw new FormatException("Of the structured formats only application/cloudevents+json is accepted, one event a message.");
        }
        var given = attributes.ToList();
        if (given.FirstOrDefault(attribute => attribute.Name == "specversion").Value is not { } version)
            return null;
        var cloudEvent = new CloudEvent(CloudEventsSpecVersion.FromVersionId(version) ?? throw new FormatException("The specversion must be 1.0."));
        foreach (var (name, value) in given.Where(attribute => attribute.Name is not "specversion"))
            cloudEvent.SetAttributeFromString(name, value);
        // A sender that names no content type means JSON here: nothing else is expected.
        cloudEvent.DataContentType = contentType ?? cloudEvent.DataContentType ?? "application/json";
        if (!body.IsEmpty)
            Formatter.DecodeBinaryModeEventData(body, cloudEvent);
        return cloudEvent.Validate();
    }

    private static (ProviderWord?, string?) Understand(CloudEvent cloudEvent)
    {
        if (cloudEvent.Type is not (ClosedType or ReopenedType))
            return (null, $"The type must be {ClosedType} or {ReopenedType}.");
        if (!Guid.TryParse(cloudEvent.Subject, out var provider))
            return (null, "The subject must be the provider's id, a UUID.");
        var origin = new CloudEventOrigin(cloudEvent.Source!.OriginalString, cloudEvent.Id!);
        if (origin.Source.Length > MaxOrigin || origin.Id.Length > MaxOrigin || origin.Source.Contains('\0') || origin.Id.Contains('\0'))
            return (null, $"Source and id must have at most {MaxOrigin} characters, none of them null.");
        if (cloudEvent.Data is not JsonElement { ValueKind: JsonValueKind.Object } data)
            return (null, "The data must be a JSON object with reason, from and until.");
        if (Text(data, "reason") is not { } reason || string.IsNullOrWhiteSpace(reason) || reason.Length > ReasonBody.MaxReason || reason.Contains('\0'))
            return (null, $"data.reason must be a text of 1 to {ReasonBody.MaxReason} characters.");
        if (!TryMoment(data, "from", out var from))
            return (null, $"data.from is not a time. {Moments.Expected}");
        if (!TryMoment(data, "until", out var until))
            return (null, $"data.until is not a time. {Moments.Expected}");
        if (until <= from)
            return (null, "data.until must be after data.from.");
        return (new ProviderWord(provider, cloudEvent.Type == ClosedType, reason.Trim(), from, until, cloudEvent.Time, origin), null);
    }

    private static bool TryMoment(JsonElement data, string name, out DateTimeOffset? moment)
    {
        moment = null;
        return !data.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null
            || (value.ValueKind == JsonValueKind.String && Moments.TryRead(value.GetString(), out moment));
    }

    private static string? Text(JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string OneLine(string text)
    {
        var line = text.ReplaceLineEndings(" ").Trim();
        return line.Length <= 300 ? line : line[..300];
    }
}
