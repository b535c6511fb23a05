using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Huzhu.Pages;

/// <summary>
/// Markup from an interpolated string in which every inserted text is encoded, unless it is markup itself: text cannot be
/// forgotten to be encoded, because nothing has to be remembered.
/// </summary>
readonly record struct Html(string Markup)
{
    public static readonly Html Empty = new("");

    public static Html Of(Writer writer) => new(writer.Text);

    public static Html Join<T>(IEnumerable<T> items, Func<T, Html> render) => new(string.Concat(items.Select(item => render(item).Markup)));

    public static Html Join(params IEnumerable<Html> parts) => new(string.Concat(parts.Select(part => part.Markup)));

    public override string ToString() => Markup;

    [InterpolatedStringHandler]
    public readonly struct Writer(int literalLength, int formattedCount)
    {
        readonly StringBuilder _text = new(literalLength + formattedCount * 16);

        public string Text => _text.ToString();

        public void AppendLiteral(string text) => _text.Append(text);
        public void AppendFormatted(Html markup) => _text.Append(markup.Markup);
        public void AppendFormatted(string? text) => _text.Append(WebUtility.HtmlEncode(text));

        /// <summary>Coordinates: one decimal is a tenth of a pixel.</summary>
        public void AppendFormatted(double number) => _text.Append(number.ToString("0.#", CultureInfo.InvariantCulture));

        public void AppendFormatted(int number) => _text.Append(number.ToString(CultureInfo.InvariantCulture));
        public void AppendFormatted(Guid id) => _text.Append(id);
        public void AppendFormatted(long number) => _text.Append(number.ToString(CultureInfo.InvariantCulture));
        public void AppendFormatted(double number, string format) => _text.Append(number.ToString(format, CultureInfo.InvariantCulture));
        public void AppendFormatted(int number, string format) => _text.Append(number.ToString(format, CultureInfo.InvariantCulture));
        public void AppendFormatted(long number, string format) => _text.Append(number.ToString(format, CultureInfo.InvariantCulture));
    }
}

/// <summary>Numbers as people read them.</summary>
static class Say
{
    public static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    public static string Share(double share) => share is > 0 and < 0.001 ? "< 0.1 %" : (share * 100).ToString(share is 1 or 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " %";

    /// <summary>No tenths: for sentences and large figures.</summary>
    public static string RoundShare(double share) => share switch
    {
        > 0.995 and < 1 => "over 99 %",
        > 0 and < 0.005 => "under 1 %",
        _ => (share * 100).ToString("0", CultureInfo.InvariantCulture) + " %",
    };

    public static string Milliseconds(double? ms) => ms switch
    {
        null => "–",
        >= 10_000 => $"{(ms.Value / 1000).ToString("0", CultureInfo.InvariantCulture)} s",
        >= 1000 => $"{(ms.Value / 1000).ToString("0.0", CultureInfo.InvariantCulture)} s",
        _ => $"{ms.Value.ToString("0", CultureInfo.InvariantCulture)} ms",
    };

    public static string Metres(double? metres) => metres switch
    {
        null => "–",
        >= 10_000 => $"{(metres.Value / 1000).ToString("N0", CultureInfo.InvariantCulture)} km",
        >= 1000 => $"{(metres.Value / 1000).ToString("0.0", CultureInfo.InvariantCulture)} km",
        _ => $"{metres.Value.ToString("0", CultureInfo.InvariantCulture)} m",
    };

    public static string Seconds(double? seconds) => seconds is { } number ? $"{number.ToString(number < 10 ? "0.0" : "0", CultureInfo.InvariantCulture)} s" : "–";

    public static string Duration(double seconds) => seconds switch
    {
        < 120 => Seconds(seconds),
        < 7200 => $"{(seconds / 60).ToString("0.#", CultureInfo.InvariantCulture)} min",
        _ => $"{(seconds / 3600).ToString("0.#", CultureInfo.InvariantCulture)} h",
    };

    public static string KindOf(string code) => code switch
    {
        "basic-needs" => "Basic needs",
        "basic-needs.shelter" => "Shelter",
        "basic-needs.water" => "Water",
        "basic-needs.epidemic-control" => "Epidemic control",
        "specialised" => "Specialised, other",
        "specialised.medicine" => "Medicine",
        "specialised.counselling" => "Counselling",
        "specialised.medical-care" => "Medical care",
        "specialised.rescue" => "Rescue",
        "meals" => "Meals",
        "donations" => "Donations",
        "donations.goods" => "Goods",
        "donations.money" => "Money",
        _ => code,
    };
}
