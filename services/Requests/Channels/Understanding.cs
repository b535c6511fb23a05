using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Requests.Intake;

namespace Huzhu.Requests.Channels;

/// <summary>What a whole message can mean by itself.</summary>
public enum Intent { None, Greet, Status, Cancel, Human, Yes, No, Thanks, Chinese, English, Accept, Decline, Complete, Release }

/// <summary>An answer to an offer: what is said of it, and the offer's number when the message names one.</summary>
/// <param name="Verb">A word of Notifications' interface.</param>
public sealed record OfferAnswer(string Verb, int? Number);

/// <summary>
/// What the words of a message say, by the lists of Understanding.json. Simple on purpose: what it misses is asked for, and
/// what it gets wrong is seen by the person before it is confirmed.
/// </summary>
/// <param name="Number">When the message is a number and nothing else.</param>
/// <param name="Kind">The service kind that the words name.</param>
/// <param name="Language">Null when the message does not tell.</param>
public sealed partial record Understanding(
    string Text, Intent Intent, int? Number, string? Kind, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, ExactPlace? Place, string? Phone, Language? Language)
{
    private const int LongestText = 4000;
    private static readonly Lexicon Words = Lexicon.Load();

    /// <summary>The service kinds in the order in which the menus number them, from 1.</summary>
    public static IReadOnlyList<string> Menu { get; } =
        [ServiceKinds.Meals, ServiceKinds.Medicine, ServiceKinds.MedicalCare, ServiceKinds.Counselling, ServiceKinds.EpidemicControl, ServiceKinds.Goods, ServiceKinds.BasicNeeds];

    public static string? KindOf(int number) => number >= 1 && number <= Menu.Count ? Menu[number - 1] : null;

    /// <summary>How urgent a kind is at least.</summary>
    public static Urgency UrgencyOf(string kind) => kind switch
    {
        ServiceKinds.Medicine or ServiceKinds.MedicalCare => Urgency.Health,
        ServiceKinds.Rescue => Urgency.LifeThreatening,
        _ => Urgency.Routine,
    };

    /// <summary>Donations and counselling can be arranged from afar; all else needs somebody to come.</summary>
    public static DeliveryMode ModeOf(string kind) => kind == ServiceKinds.Counselling ? DeliveryMode.Online : DeliveryMode.Offline;

    public static Understanding Of(string text)
    {
        text = text.Trim();
        if (text.Length > LongestText)
            text = text[..(char.IsHighSurrogate(text[LongestText - 1]) ? LongestText - 1 : LongestText)];
        var plain = Plain(text);
        // Nothing but marks: what to do?
        var wish = plain.Length == 0 ? Intent.Greet : Words.Wishes.GetValueOrDefault(plain);
        var kind = Words.Kinds.FirstOrDefault(entry => Mentions(plain, entry.Value)).Key;
        var urgency = Words.Urgencies.Where(entry => Mentions(plain, entry.Value)).Select(entry => entry.Key).Append(kind is null ? Urgency.Routine : UrgencyOf(kind)).Max();
        return new Understanding(text, wish, NumberOf(plain), kind, urgency,
            [.. Words.Communication.Where(entry => Mentions(plain, entry.Value)).Select(entry => entry.Key)],
            PlaceOf(text), PhoneNumber().Match(text) is { Success: true } phone ? phone.Value : null, LanguageOf(wish, text));
    }

    /// <summary>Whether a whole message can answer an offer: "1", "1 37", "accept 37". Whether it does, who told the offer knows.</summary>
    public static OfferAnswer? OfferAnswerOf(string text)
    {
        if (OfferAnswerForm().Match(Plain(text.Trim())) is not { Success: true } form)
            return null;
        var verb = form.Groups[1].Value switch
        {
            "1" => Intent.Accept,
            "2" => Intent.Decline,
            "3" => Intent.Complete,
            "4" => Intent.Release,
            var word => Words.Wishes.GetValueOrDefault(word),
        };
        return verb is Intent.Accept or Intent.Decline or Intent.Complete or Intent.Release
            ? new OfferAnswer(Contracts.Words.Of(verb), form.Groups[2].Success ? int.Parse(form.Groups[2].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) : null)
            : null;
    }

    /// <summary>Lower case, full-width digits made narrow, without the marks at the end.</summary>
    private static string Plain(string text) => string.Create(text.Length, text, static (plain, text) =>
    {
        for (var index = 0; index < text.Length; index++)
            plain[index] = text[index] is >= '０' and <= '９' ? (char)(text[index] - '０' + '0') : char.ToLowerInvariant(text[index]);
    }).Trim().TrimEnd('.', '。', '!', '！', '?', '？', ',', '，', '#', '、', ')', '）');

    /// <summary>Chinese words stand anywhere; words of letters only as whole words.</summary>
    private static bool Mentions(string text, IReadOnlyList<string> words) => words.Any(word =>
    {
        for (var at = text.IndexOf(word, StringComparison.Ordinal); at >= 0; at = text.IndexOf(word, at + 1, StringComparison.Ordinal))
            if (!char.IsAsciiLetter(word[0]) || (at == 0 || !char.IsAsciiLetter(text[at - 1])) && (at + word.Length == text.Length || !char.IsAsciiLetter(text[at + word.Length])))
                return true;
        return false;
    });

    private static int? NumberOf(string plain) =>
        plain.Length is > 0 and <= 2 && int.TryParse(plain, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static ExactPlace? PlaceOf(string text) =>
        Coordinates().Match(text) is { Success: true } found
        && double.TryParse(found.Groups[1].ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture, out var latitude)
        && double.TryParse(found.Groups[2].ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture, out var longitude)
        && new GeoPoint(latitude, longitude).IsOnEarth
            ? new ExactPlace(latitude, longitude, null)
            : null;

    private static Language? LanguageOf(Intent wish, string text) => wish switch
    {
        Intent.Chinese => Channels.Language.Zh,
        Intent.English => Channels.Language.En,
        _ when text.Any(character => character is >= '\u4e00' and <= '\u9fff') => Channels.Language.Zh,
        _ when text.Count(char.IsAsciiLetter) >= 2 => Channels.Language.En,
        _ => null,
    };

    [GeneratedRegex(@"(?<![\d.])(-?\d{1,2}\.\d{3,10})\s*[,，]\s*(-?\d{1,3}\.\d{3,10})(?![\d.])")]
    private static partial Regex Coordinates();

    [GeneratedRegex(@"^(\D{1,20}?|[1-4])(?:[\s,，.。、#:：-]*(\d\d))?\z")]
    private static partial Regex OfferAnswerForm();

    /// <summary>A mobile number of the country, or an international one.</summary>
    [GeneratedRegex(@"(?<!\d)(\+\d{8,15}|1[3-9]\d{9})(?!\d)")]
    private static partial Regex PhoneNumber();

    private sealed record Lexicon(
        FrozenDictionary<string, Intent> Wishes, IReadOnlyList<KeyValuePair<string, string[]>> Kinds,
        IReadOnlyDictionary<Urgency, string[]> Urgencies, IReadOnlyDictionary<CommunicationNeed, string[]> Communication)
    {
        private sealed record File(
            Dictionary<Intent, string[]> Wishes, Dictionary<string, string[]> Kinds, Dictionary<Urgency, string[]> Urgencies, Dictionary<CommunicationNeed, string[]> Communication);

        public static Lexicon Load()
        {
            var file = Resources.Read<File>("Understanding.json");
            return new Lexicon(
                file.Wishes.SelectMany(entry => entry.Value.Select(word => (word, entry.Key))).ToFrozenDictionary(pair => pair.word, pair => pair.Key, StringComparer.Ordinal),
                // Special kinds before the general ones, in the order of the file.
                [.. file.Kinds], file.Urgencies, file.Communication);
        }
    }
}

internal static class Resources
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };

    public static T Read<T>(string name)
    {
        using var stream = typeof(Resources).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"The resource {name} is missing.");
        return JsonSerializer.Deserialize<T>(stream, Options)!;
    }
}
