using System.Text.Json;
using System.Text.Json.Serialization;

namespace Huzhu.Contracts;

/// <summary>An identifier that the compiler tells from every other kind of identifier. On the wire it is a plain UUID.</summary>
public interface ITypedId<TSelf> where TSelf : struct, ITypedId<TSelf>
{
    Guid Value { get; }
    static abstract TSelf Of(Guid value);
}

[JsonConverter(typeof(TypedIdConverter<RequestId>))]
public readonly record struct RequestId(Guid Value) : ITypedId<RequestId>
{
    public static RequestId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out RequestId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(TypedIdConverter<NeedId>))]
public readonly record struct NeedId(Guid Value) : ITypedId<NeedId>
{
    public static NeedId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out NeedId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>A pseudonym: the same person calling the same source has the same id; the name behind it is encrypted in Requests.</summary>
[JsonConverter(typeof(TypedIdConverter<PersonId>))]
public readonly record struct PersonId(Guid Value) : ITypedId<PersonId>
{
    public static PersonId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out PersonId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

/// <summary>A group or a formal provider.</summary>
[JsonConverter(typeof(TypedIdConverter<ResponderId>))]
public readonly record struct ResponderId(Guid Value) : ITypedId<ResponderId>
{
    public static ResponderId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out ResponderId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(TypedIdConverter<OfferId>))]
public readonly record struct OfferId(Guid Value) : ITypedId<OfferId>
{
    public static OfferId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out OfferId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(TypedIdConverter<MeasureId>))]
public readonly record struct MeasureId(Guid Value) : ITypedId<MeasureId>
{
    public static MeasureId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out MeasureId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

[JsonConverter(typeof(TypedIdConverter<NotificationId>))]
public readonly record struct NotificationId(Guid Value) : ITypedId<NotificationId>
{
    public static NotificationId Of(Guid value) => new(value);
    public static bool TryParse(string? text, IFormatProvider? provider, out NotificationId id) => TypedId.TryParse(text, out id);
    public override string ToString() => Value.ToString();
}

internal static class TypedId
{
    public static bool TryParse<T>(string? text, out T id) where T : struct, ITypedId<T>
    {
        var parsed = Guid.TryParse(text, out var value);
        id = T.Of(value);
        return parsed;
    }
}

/// <summary>Writes a typed id as the UUID that it is, as a value and as a property name.</summary>
public sealed class TypedIdConverter<T> : JsonConverter<T> where T : struct, ITypedId<T>
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => T.Of(reader.GetGuid());

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);

    public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Guid.TryParse(reader.GetString(), out var value) ? T.Of(value) : throw new JsonException("A UUID is expected.");

    public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.Value.ToString());
}
