using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// JSON in the one form that RFC 8785 gives it, so that two who hold the same value hash the same bytes: jsonb keeps
/// neither the order of members nor the spelling of numbers. A writer is used again and again and keeps its memory.
/// </summary>
/// <param name="exactDigits">
/// RFC 8785 takes every number for a double, and two that differ beyond its precision for the same. With this, digits
/// beyond are kept, so that no change of one goes unseen; for whatever a double can hold the result is the same.
/// </param>
public sealed class CanonicalJson(bool exactDigits)
{
    private const int MaxDepth = 256;

    /// <summary>So many digits come back out of a double as they went in.</summary>
    private const int DoubleDigits = 15;

    /// <summary>With more before its point a number is written with an exponent.</summary>
    private const int MaxIntegerDigits = 21;

    private static readonly SearchValues<char> Escaped = SearchValues.Create(['"', '\\', .. Enumerable.Range(0, 32).Select(code => (char)code)]);

    private readonly List<Member> _members = [];
    private byte[] _bytes = new byte[1024];
    private byte[] _inOrder = new byte[1024];
    private int _length;

    /// <summary>What was written since <see cref="Clear"/>; the next writing may overwrite it.</summary>
    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public static byte[] Of(ReadOnlySpan<byte> json, bool exactDigits = false)
    {
        var canonical = new CanonicalJson(exactDigits);
        canonical.Write(json);
        return canonical.Written.ToArray();
    }

    public void Clear() => _length = 0;

    /// <exception cref="JsonException">It is no JSON.</exception>
    public void Write(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        reader.Read();
        WriteValue(ref reader);
        if (reader.Read())
            throw new JsonException("There is more than one JSON value.");
    }

    public void WriteString(ReadOnlySpan<char> text)
    {
        WriteRaw("\""u8);
        while (text.IndexOfAny(Escaped) is var at and >= 0)
        {
            WriteUtf8(text[..at]);
            WriteUtf8(text[at] switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\t' => "\\t",
                '\n' => "\\n",
                '\f' => "\\f",
                '\r' => "\\r",
                var control => $"\\u{(int)control:x4}",
            });
            text = text[(at + 1)..];
        }
        WriteUtf8(text);
        WriteRaw("\""u8);
    }

    /// <summary>Bytes that are canonical already.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    public void WriteRaw<T>(T value, ReadOnlySpan<char> format = default) where T : IUtf8SpanFormattable
    {
        int written;
        while (!value.TryFormat(Room(64), out written, format, CultureInfo.InvariantCulture))
            Room(_bytes.Length);
        _length += written;
    }

    /// <param name="Name">Where its name begins, with the quotation mark.</param>
    /// <param name="Value">Where the colon is.</param>
    private readonly record struct Member(int Name, int Value, int End);

    private void WriteValue(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                WriteObject(ref reader);
                break;
            case JsonTokenType.StartArray:
                WriteRaw("["u8);
                for (var first = true; reader.Read() && reader.TokenType is not JsonTokenType.EndArray; first = false)
                {
                    if (!first)
                        WriteRaw(","u8);
                    WriteValue(ref reader);
                }
                WriteRaw("]"u8);
                break;
            case JsonTokenType.String:
                WriteText(ref reader);
                break;
            case JsonTokenType.Number:
                WriteNumber(ref reader);
                break;
            default:
                WriteRaw(reader.ValueSpan);
                break;
        }
    }

    private void WriteObject(ref Utf8JsonReader reader)
    {
        WriteRaw("{"u8);
        var (start, first, ordered) = (_length, _members.Count, true);
        while (reader.Read() && reader.TokenType is not JsonTokenType.EndObject)
        {
            if (_members.Count > first)
                WriteRaw(","u8);
            var name = _length;
            WriteText(ref reader);
            var value = _length;
            WriteRaw(":"u8);
            reader.Read();
            WriteValue(ref reader);
            _members.Add(new Member(name, value, _length));
            ordered = ordered && (_members.Count < first + 2 || CompareNames(_members[^2], _members[^1]) < 0);
        }
        if (!ordered)
            Order(CollectionsMarshal.AsSpan(_members)[first..], start);
        _members.RemoveRange(first, _members.Count - first);
        WriteRaw("}"u8);
    }

    private void Order(Span<Member> members, int start)
    {
        members.Sort(CompareNames);
        if (_inOrder.Length < _length)
            _inOrder = new byte[_bytes.Length];
        var at = 0;
        foreach (var member in members)
        {
            if (at > 0)
                _inOrder[at++] = (byte)',';
            _bytes.AsSpan(member.Name..member.End).CopyTo(_inOrder.AsSpan(at));
            at += member.End - member.Name;
        }
        _inOrder.AsSpan(0, at).CopyTo(_bytes.AsSpan(start));
    }

    /// <summary>By UTF-16 code units, whatever the language.</summary>
    private int CompareNames(Member a, Member b)
    {
        var one = _bytes.AsSpan(a.Name..a.Value);
        var other = _bytes.AsSpan(b.Name..b.Value);
        var order = IsPlain(one) && IsPlain(other) ? one[1..^1].SequenceCompareTo(other[1..^1]) : string.CompareOrdinal(Text(one), Text(other));
        return order != 0 ? order : a.Name.CompareTo(b.Name);

        static bool IsPlain(ReadOnlySpan<byte> name) => Ascii.IsValid(name) && !name.Contains((byte)'\\');

        static string Text(ReadOnlySpan<byte> name)
        {
            var reader = new Utf8JsonReader(name);
            reader.Read();
            return reader.GetString()!;
        }
    }

    private void WriteText(ref Utf8JsonReader reader)
    {
        if (reader.ValueIsEscaped)
        {
            WriteString(reader.GetString());
            return;
        }
        if (!Utf8.IsValid(reader.ValueSpan))
            throw new JsonException("A text is not in UTF-8.");
        // What needs no escape in JSON needs none here.
        WriteRaw("\""u8);
        WriteRaw(reader.ValueSpan);
        WriteRaw("\""u8);
    }

    private void WriteNumber(ref Utf8JsonReader reader)
    {
        if (IsCanonical(reader.ValueSpan, exactDigits ? MaxIntegerDigits : DoubleDigits))
            WriteRaw(reader.ValueSpan);
        else
            WriteUtf8(Number(exactDigits ? Encoding.ASCII.GetString(reader.ValueSpan) : reader.GetDouble().ToString("R", CultureInfo.InvariantCulture)));
    }

    /// <summary>Without an exponent, without a zero at either end, and with no more digits than that: it is written as it stands.</summary>
    private static bool IsCanonical(ReadOnlySpan<byte> number, int maxDigits)
    {
        var digits = number[0] == '-' ? number[1..] : number;
        if (digits.Length > maxDigits || digits[0] == '0' && digits.Length == 1 && number.Length > 1)
            return false;
        var point = digits.IndexOf((byte)'.');
        if (point < 0)
            return !digits.ContainsAnyExceptInRange((byte)'0', (byte)'9');
        var fraction = digits[(point + 1)..];
        return digits[^1] != '0' && !fraction.ContainsAnyExceptInRange((byte)'0', (byte)'9') && (digits[0] != '0' || fraction.IndexOfAnyExcept((byte)'0') < 6);
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
            > 0 and <= MaxIntegerDigits when digits.Length <= magnitude => digits + new string('0', (int)magnitude - digits.Length),
            > 0 and <= MaxIntegerDigits => $"{digits.AsSpan(0, (int)magnitude)}.{digits.AsSpan((int)magnitude)}",
            > -6 and <= 0 => $"0.{new string('0', (int)-magnitude)}{digits}",
            _ => $"{digits[0]}{(digits.Length > 1 ? "." : "")}{digits.AsSpan(1)}e{(magnitude > 0 ? "+" : "")}{(magnitude - 1).ToString(CultureInfo.InvariantCulture)}",
        };
        return negative ? "-" + body : body;
    }

    private void WriteUtf8(ReadOnlySpan<char> text) => _length += Encoding.UTF8.GetBytes(text, Room(Encoding.UTF8.GetMaxByteCount(text.Length)));

    /// <summary>Free bytes behind what is written: so many at least.</summary>
    private Span<byte> Room(int bytes)
    {
        if (_bytes.Length - _length < bytes)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + bytes));
        return _bytes.AsSpan(_length);
    }
}
