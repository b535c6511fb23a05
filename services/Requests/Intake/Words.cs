using System.Collections.Frozen;
using System.Text.Json;

namespace Huzhu.Requests.Intake;

/// <summary>The kebab-case words of an enum, as they stand in contracts and in the API.</summary>
public static class Words
{
    public static string Of<T>(T value) where T : struct, Enum => Known<T>.Names[value];

    public static bool TryRead<T>(string? word, out T value) where T : struct, Enum
    {
        value = default;
        return word is not null && Known<T>.Values.TryGetValue(word, out value);
    }

    public static string List<T>() where T : struct, Enum => string.Join(", ", Known<T>.Values.Keys);

    private static class Known<T> where T : struct, Enum
    {
        public static readonly FrozenDictionary<T, string> Names =
            Enum.GetValues<T>().ToFrozenDictionary(value => value, value => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString()));

        public static readonly FrozenDictionary<string, T> Values = Names.ToFrozenDictionary(pair => pair.Value, pair => pair.Key);
    }
}
