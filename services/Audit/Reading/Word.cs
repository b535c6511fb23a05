using System.Buffers;
using System.Text.Unicode;

namespace Huzhu.Audit.Reading;

/// <summary>Few words come again and again in a log: the same text is the same string, until another takes its place in the table.</summary>
internal static class Word
{
    private const int Longest = 96;
    private static readonly string?[] Known = new string?[1 << 12];

    /// <returns>Null for what is too long to be a word, and for what is no text at all.</returns>
    public static string? Of(ReadOnlySpan<byte> utf8)
    {
        Span<char> text = stackalloc char[Longest];
        if (utf8.Length > Longest || Utf8.ToUtf16(utf8, text, out _, out var length, replaceInvalidSequences: false) is not OperationStatus.Done)
            return null;
        text = text[..length];
        ref var known = ref Known[string.GetHashCode(text) & (Known.Length - 1)];
        if (known is { } word && text.SequenceEqual(word))
            return word;
        return known = text.ToString();
    }
}
