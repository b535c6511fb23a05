using System.Collections.Frozen;
using System.Text.Json;

namespace Huzhu.Contracts;

/// <summary>The kebab-case words of an enum, as they stand in contracts, in the API and in the log.</summary>
public static class Words
{
    public static string Of<T>(T value) where T : struct, Enum => Known<T>.Names[value];

    /// <summary>All of them, in the order of the enum.</summary>
    public static IReadOnlyList<string> All<T>() where T : struct, Enum => Known<T>.All;

    /// <summary>The same as one text, for a message: "online, offline".</summary>
    public static string List<T>() where T : struct, Enum => string.Join(", ", Known<T>.All);

    public static bool TryRead<T>(string? word, out T value) where T : struct, Enum
    {
        value = default;
        return word is not null && Known<T>.Values.TryGetValue(word, out value);
    }

    private static class Known<T> where T : struct, Enum
    {
        public static readonly FrozenDictionary<T, string> Names =
            Enum.GetValues<T>().ToFrozenDictionary(value => value, value => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString()));

        public static readonly FrozenDictionary<string, T> Values = Names.ToFrozenDictionary(pair => pair.Value, pair => pair.Key);

        public static readonly IReadOnlyList<string> All = [.. Enum.GetValues<T>().Select(value => Names[value])];
    }
}
