using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Huzhu.Contracts;
using Microsoft.AspNetCore.Http;

namespace Huzhu.Web.Layout;

/// <summary>
/// What the page says, in the reader's language: what they chose last, else what their browser asks for, else Chinese.
/// The sentences are in the files Texts.json of the folders; words that messages use too are Notifications' own.
/// </summary>
public sealed class Language(IHttpContextAccessor accessor, TimeProvider time, PlaceAndTime place)
{
    public const string Chinese = "zh";
    public const string English = "en";
    public const string Cookie = "lang";
    public const string Query = "lang";

    private static readonly FrozenDictionary<string, Sentence> All = Load();

    private sealed record Sentence(string Zh, string En);

    /// <summary>zh or en.</summary>
    public string Code { get; } = Choose(accessor.HttpContext);
    public string Other => Code == Chinese ? English : Chinese;
    /// <summary>For the attribute <c>lang</c>.</summary>
    public string Tag => TagOf(Code);

    public static string TagOf(string code) => code == Chinese ? "zh-Hans" : English;

    public string this[string key] => All.TryGetValue(key, out var sentence) ? Of(sentence) : throw new KeyNotFoundException($"No text is named {key}.");

    /// <summary>The text with <c>{name}</c> replaced.</summary>
    public string this[string key, params (string Name, object? Value)[] values]
    {
        get
        {
            var text = this[key];
            foreach (var (name, value) in values)
                text = text.Replace($"{{{name}}}", Convert.ToString(value, CultureInfo.InvariantCulture), StringComparison.Ordinal);
            return text;
        }
    }

    /// <summary>The text of this key, or the fallback when there is none: for codes that are newer than the texts.</summary>
    public string Find(string key, string fallback) => All.TryGetValue(key, out var sentence) ? Of(sentence) : fallback;

    public string Kind(string kind) => Find($"word.{kind}", Find($"word.{ServiceKinds.RootOf(kind)}", kind));
    public string Word<T>(T value) where T : struct, Enum => this[$"word.{Words.Of(value)}"];
    public string State(NeedState state) => this[$"state.{Words.Of(state)}"];

    /// <summary>About so far: 50 m steps below a kilometre.</summary>
    public string Distance(double metres) => metres < 1000
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(50, Math.Round(metres / 50) * 50):0} m")
        : string.Create(CultureInfo.InvariantCulture, $"{metres / 1000:0.0} km");

    /// <summary>The clock of the place, to the minute; with the day when it is not today.</summary>
    public string Time(DateTimeOffset at)
    {
        var local = place.Local(at);
        return local.ToString(local.Date == place.Local(time.GetUtcNow()).Date ? "HH:mm" : "yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
    }

    /// <summary>How long ago, or how long until.</summary>
    public string Span(TimeSpan span)
    {
        var minutes = Math.Abs(span.TotalMinutes);
        return minutes switch
        {
            < 1 => this["span.now"],
            < 90 => this["span.minutes", ("n", Math.Round(minutes))],
            < 36 * 60 => this["span.hours", ("n", Math.Round(minutes / 60))],
            _ => this["span.days", ("n", Math.Round(minutes / 60 / 24))],
        };
    }

    public string Since(DateTimeOffset at) => Span(time.GetUtcNow() - at);
    public string Until(DateTimeOffset at) => at <= time.GetUtcNow() ? this["span.over"] : Span(at - time.GetUtcNow());

    /// <summary>This page in the other language.</summary>
    public string OtherUrl()
    {
        var request = accessor.HttpContext!.Request;
        var query = request.Query.Where(pair => pair.Key != Query).SelectMany(pair => pair.Value, (pair, value) => new KeyValuePair<string, string?>(pair.Key, value));
        return request.Path + QueryString.Create(query.Append(new(Query, Other)));
    }

    /// <summary>Every key, with its two languages: for the tests.</summary>
    public static IReadOnlyDictionary<string, (string Zh, string En)> Keys => All.ToDictionary(pair => pair.Key, pair => (pair.Value.Zh, pair.Value.En));

    private string Of(Sentence sentence) => Code == Chinese ? sentence.Zh : sentence.En;

    private static string Choose(HttpContext? http)
    {
        if (http is null)
            return Chinese;
        foreach (var wanted in new[] { http.Request.Query[Query].ToString(), http.Request.Cookies[Cookie] })
            if (wanted is Chinese or English)
                return wanted;
        return http.Request.GetTypedHeaders().AcceptLanguage.OrderByDescending(accepted => accepted.Quality ?? 1)
            .Select(accepted => accepted.Value.Value?.Split('-')[0].ToLowerInvariant()).FirstOrDefault(accepted => accepted is Chinese or English) ?? Chinese;
    }

    private static FrozenDictionary<string, Sentence> Load()
    {
        var all = new Dictionary<string, Sentence>(StringComparer.Ordinal);
        var assembly = typeof(Language).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith("Texts/", StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            foreach (var (key, sentence) in JsonSerializer.Deserialize<Dictionary<string, Sentence>>(stream, JsonSerializerOptions.Web)!)
                all.Add(key, sentence);
        }
        return all.ToFrozenDictionary(StringComparer.Ordinal);
    }
}

/// <summary>Which clock the pages show.</summary>
public sealed class PlaceAndTime
{
    private const string Key = "Console:TimeZone";
    private readonly TimeZoneInfo _zone;

    /// <exception cref="InvalidOperationException">The machine knows no such time zone.</exception>
    public PlaceAndTime(IConfiguration configuration)
    {
        try
        {
            // Small images have no table of time zones; China's has had no change of its clocks since 1991.
            _zone = configuration[Key] is { Length: > 0 } id
                ? TimeZoneInfo.FindSystemTimeZoneById(id)
                : TimeZoneInfo.CreateCustomTimeZone("+08:00", TimeSpan.FromHours(8), "+08:00", "+08:00");
        }
        catch (TimeZoneNotFoundException exception)
        {
            throw new InvalidOperationException($"{Key} is not a time zone that this machine knows.", exception);
        }
    }

    public DateTimeOffset Local(DateTimeOffset at) => TimeZoneInfo.ConvertTime(at, _zone);
}
