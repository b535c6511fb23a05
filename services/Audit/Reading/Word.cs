using System.Text;
using System.Text.Unicode;

namespace Huzhu.Audit.Reading;

/// <summary>One of few words that come again and again: the same text is the same string, as long as nothing else takes its place.</summary>
internal static class Word
{
    private const int Longest = 96;
    private static readonly string?[] Known = new string?[1 << 12];

    /// <param name="utf8">Where it is long, it is no word: it is made anew.</param>
    public static string Of(ReadOnlySpan<byte> utf8)
    {
        Span<char> text = stackalloc char[Longest];
        if (utf8.Length > Longest || Utf8.ToUtf16(utf8, text, out _, out var length, replaceInvalidSequences: false) is not System.Buffers.OperationStatus.Done)
            return Encoding.UTF8.GetString(utf8);
        text = text[..length];
        ref var known = ref Known[string.GetHashCode(text) & (Known.Length - 1)];
        if (known is { } word && text.SequenceEqual(word))
            return word;
        return known = text.ToString();
    }
}
