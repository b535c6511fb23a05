using System.Text;
using Microsoft.AspNetCore.WebUtilities;

namespace Huzhu.Requests.Channels.Hotline;

/// <summary>The fields of a form, all that were sent.</summary>
public sealed class Form
{
    private const int MaxFields = 200;
    private const int MaxKey = 200;
    private const int MaxValue = 16_384;
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private Form(IReadOnlyList<KeyValuePair<string, string>> fields) => Fields = fields;

    public static Form Empty { get; } = new([]);

    public IReadOnlyList<KeyValuePair<string, string>> Fields { get; }

    /// <summary>The only value of a field; null when it is missing, empty, or there more than once.</summary>
    public string? this[string key]
    {
        get
        {
            var values = Fields.Where(field => field.Key == key).Select(field => field.Value).ToList();
            return values is [{ Length: > 0 } value] ? value : null;
        }
    }

    /// <returns>Null when it is not a form, or larger than one may be.</returns>
    public static Form? Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var reader = new FormReader(StrictUtf8.GetString(body.Span)) { ValueCountLimit = MaxFields, KeyLengthLimit = MaxKey, ValueLengthLimit = MaxValue };
            return new Form([.. reader.ReadForm().SelectMany(field => field.Value, (field, value) => KeyValuePair.Create(field.Key, value ?? ""))]);
        }
        catch (Exception exception) when (exception is InvalidDataException or DecoderFallbackException)
        {
            return null;
        }
    }
}
