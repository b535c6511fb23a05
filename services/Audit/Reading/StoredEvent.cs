using System.Globalization;
using System.Text.Json;
using Huzhu.Audit.Sealing;

namespace Huzhu.Audit.Reading;

/// <summary>What a row of a service's log says, without its context.</summary>
/// <param name="Event">Null for what the store writes for itself.</param>
public readonly record struct DecodedEvent(long Sequence, Guid Stream, long Version, string Type, DateTimeOffset StoredAt, object? Event);

/// <summary>One row of a service's log, as the database has it.</summary>
/// <param name="Type">The store's name of the event type: the record's name in snake case.</param>
/// <param name="StoredAt">When it was appended.</param>
/// <param name="Data">JSON, in UTF-8.</param>
/// <param name="Headers">JSON, in UTF-8; holds the trace of what caused the event.</param>
public sealed record StoredEvent(
    long Sequence, Guid Id, Guid Stream, long Version, string Type, DateTimeOffset StoredAt, byte[] Data,
    string? Tenant, string? DotNetType, string? CorrelationId, string? CausationId, byte[]? Headers, bool IsArchived)
{
    /// <summary>Everything else in the row: cause, headers, tenant, .NET type, whether it is archived.</summary>
    public void WriteContext(CanonicalJson output)
    {
        output.WriteRaw(IsArchived ? "{\"archived\":true,\"causation\":"u8 : "{\"archived\":false,\"causation\":"u8);
        WriteText(CausationId);
        output.WriteRaw(",\"correlation\":"u8);
        WriteText(CorrelationId);
        output.WriteRaw(",\"dotnetType\":"u8);
        WriteText(DotNetType);
        output.WriteRaw(",\"headers\":"u8);
        output.Write(Headers is { } headers ? headers : "null"u8);
        output.WriteRaw(",\"tenant\":"u8);
        WriteText(Tenant);
        output.WriteRaw("}"u8);

        void WriteText(string? text)
        {
            if (text is null)
                output.WriteRaw("null"u8);
            else
                output.WriteString(text);
        }
    }

    /// <summary>The whole row, as an export and a proof carry it.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteNumber("sequence", Sequence);
        writer.WriteString("id", Id);
        writer.WriteString("stream", Stream);
        writer.WriteNumber("version", Version);
        writer.WriteString("type", Type);
        writer.WriteString("time", TimeText(StoredAt));
        writer.WritePropertyName("data");
        writer.WriteRawValue(Data);
        writer.WritePropertyName("context");
        var context = new CanonicalJson(exactDigits: true);
        WriteContext(context);
        writer.WriteRawValue(context.Written);
        writer.WriteEndObject();
    }

    /// <exception cref="FormatException">It is no row.</exception>
    public static StoredEvent Parse(JsonElement row)
    {
        try
        {
            var context = row.GetProperty("context");
            var headers = context.GetProperty("headers");
            return new StoredEvent(
                row.GetProperty("sequence").GetInt64(), row.GetProperty("id").GetGuid(), row.GetProperty("stream").GetGuid(), row.GetProperty("version").GetInt64(),
                row.GetProperty("type").GetString()!, row.GetProperty("time").GetDateTimeOffset(), Raw(row.GetProperty("data")),
                context.GetProperty("tenant").GetString(), context.GetProperty("dotnetType").GetString(), context.GetProperty("correlation").GetString(),
                context.GetProperty("causation").GetString(), headers.ValueKind is JsonValueKind.Null ? null : Raw(headers), context.GetProperty("archived").GetBoolean());
        }
        catch (Exception exception) when (exception is KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException("This is no row of an event log.", exception);
        }

        static byte[] Raw(JsonElement value) => System.Text.Encoding.UTF8.GetBytes(value.GetRawText());
    }

    /// <summary>In microseconds, which is what the database keeps.</summary>
    public const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'";

    public static string TimeText(DateTimeOffset time) => time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);
}
