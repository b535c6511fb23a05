using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// JSON in the one form that RFC 8785 gives it, so that two who hold the same value hash the same bytes: jsonb keeps
/// neither the order of members nor the spelling of numbers.
/// </summary>
public static class CanonicalJson
{
    /// <param name="exactDigits">
    /// RFC 8785 takes every number for a double, and two that differ beyond its precision for the same. With this, digits
    /// beyond are kept, so that no change of one goes unseen; for whatever a double can hold the result is the same.
    /// </param>
    public static byte[] Of(ReadOnlyMemory<byte> json, bool exactDigits = false)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 });
        var output = new ArrayBufferWriter<byte>(json.Length + 16);
        Write(document.RootElement, output, exactDigits);
        return output.WrittenSpan.ToArray();
    }

    public static void WriteString(string text, IBufferWriter<byte> output)
    {
        Ascii("\"", output);
        var rest = text.AsSpan();
        while (rest.IndexOfAny(Escaped) is var at and >= 0)
        {
            Encoding.UTF8.GetBytes(rest[..at], output);
            Ascii(rest[at] switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\t' => "\\t",
                '\n' => "\\n",
                '\f' => "\\f",
                '\r' => "\\r",
                var control => $"\\u{(int)control:x4}",
            }, output);
            rest = rest[(at + 1)..];
        }
        Encoding.UTF8.GetBytes(rest, output);
        Ascii("\"", output);
    }

    private static readonly SearchValues<char> Escaped = SearchValues.Create(['"', '\\', .. Enumerable.Range(0, 32).Select(code => (char)code)]);

    private static void Write(JsonElement value, IBufferWriter<byte> output, bool exactDigits)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var members = value.EnumerateObject().ToArray();
                // By UTF-16 code units, whatever the language.
                Array.Sort(members, (a, b) => string.CompareOrdinal(a.Name, b.Name));
                Ascii("{", output);
                for (var index = 0; index < members.Length; index++)
                {
                    if (index > 0)
                        Ascii(",", output);
                    WriteString(members[index].Name, output);
                    Ascii(":", output);
                    Write(members[index].Value, output, exactDigits);
                }
                Ascii("}", output);
                break;
            case JsonValueKind.Array:
                Ascii("[", output);
                var first = true;
                foreach (var item in value.EnumerateArray())
                {
                    if (!first)
                        Ascii(",", output);
                    first = false;
                    Write(item, output, exactDigits);
                }
                Ascii("]", output);
                break;
            case JsonValueKind.String:
                WriteString(value.GetString()!, output);
                break;
            case JsonValueKind.Number:
                Ascii(Number(exactDigits ? value.GetRawText() : value.GetDouble().ToString("R", CultureInfo.InvariantCulture)), output);
                break;
            case JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null:
                Ascii(value.GetRawText(), output);
                break;
            default:
                throw new JsonException($"{value.ValueKind} is no JSON value.");
        }
    }

    /// <summary>A decimal number as ECMAScript writes it.</summary>
    private static string Number(string text)
    {
        var negative = text[0] == '-';
        var mantissa = text.AsSpan(negative ? 1 : 0);
        var exponent = 0L;
        if (mantissa.IndexOfAny('e', 'E') is var e and >= 0)
        {
            exponent = long.Parse(mantissa[(e + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            mantissa = mantissa[..e];
        }
        var point = mantissa.IndexOf('.');
        // The value is 0.digits × 10^magnitude.
        var magnitude = exponent + (point < 0 ? mantissa.Length : point);
        var all = point < 0 ? mantissa.ToString() : string.Concat(mantissa[..point], mantissa[(point + 1)..]);
        var significant = all.TrimStart('0');
        magnitude -= all.Length - significant.Length;
        var digits = significant.TrimEnd('0');
        if (digits.Length == 0)
            return "0";
        var body = magnitude switch
        {
            > 0 and <= 21 when digits.Length <= magnitude => digits + new string('0', (int)magnitude - digits.Length),
            > 0 and <= 21 => $"{digits.AsSpan(0, (int)magnitude)}.{digits.AsSpan((int)magnitude)}",
            > -6 and <= 0 => $"0.{new string('0', (int)-magnitude)}{digits}",
            _ => $"{digits[0]}{(digits.Length > 1 ? "." : "")}{digits.AsSpan(1)}e{(magnitude > 0 ? "+" : "")}{(magnitude - 1).ToString(CultureInfo.InvariantCulture)}",
        };
        return negative ? "-" + body : body;
    }

    private static void Ascii(string text, IBufferWriter<byte> output)
    {
        var span = output.GetSpan(text.Length);
        for (var index = 0; index < text.Length; index++)
            span[index] = (byte)text[index];
        output.Advance(text.Length);
    }
}
