using System.Globalization;
using System.Text;

namespace Huzhu.Pages;

/// <summary>Lines over time, as SVG that follows the page's colours. Each has a title for those who cannot see it, and a table beside it.</summary>
static class Chart
{
    public const double Width = 760, Height = 330, Left = 52, Right = 150, Top = 30, Bottom = 34;

    /// <param name="Unit">What it counts: days, hours.</param>
    /// <param name="Bands">Stretches of it with a name; one may be shaded.</param>
    public sealed record Axis(string Unit, double End, IReadOnlyList<(string Name, double From, double To, bool Shaded)> Bands)
    {
        public double X(double at) => Left + at / End * (Width - Left - Right);
    }

    /// <param name="Style">g groups, p providers, w without groups, s submitted: sets colour and stroke.</param>
    /// <param name="Marker">Drawn along the line, so that lines differ without colour: o, s or nothing.</param>
    public sealed record Line(string Label, string Style, char Marker, IReadOnlyList<(double X, double Y)> Points, bool Filled = false);

    public static Html OverTime(string title, Axis axis, params IReadOnlyList<Line> lines)
    {
        var top = NiceMax(lines.Max(line => line.Points.Max(point => point.Y)));
        double Y(double value) => Height - Bottom - value / top * (Height - Top - Bottom);

        var labels = lines.Select(line => (Line: line, Y: Y(line.Points[^1].Y))).OrderBy(label => label.Y).ToList();
        for (var index = 1; index < labels.Count; index++)
            labels[index] = labels[index] with { Y = Math.Max(labels[index].Y, labels[index - 1].Y + 34) };
        var overflow = labels[^1].Y - (Height - Bottom + 4);
        if (overflow > 0)
            labels = [.. labels.Select(label => label with { Y = label.Y - overflow })];

        return Html.Of($"""
            <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-label="{title}"><title>{title}</title>
            {Frame(axis, top, Y)}
            {Html.Join(lines, line => Html.Of($"{(line.Filled ? Html.Of($"<path class=\"fill {line.Style} faint\" d=\"{Path(line, axis, Y)}L{axis.X(axis.End)} {Y(0)}L{axis.X(0)} {Y(0)}Z\"/>") : Html.Empty)}<path class=\"line {line.Style}\" d=\"{Path(line, axis, Y)}\"/>{Markers(line, axis, Y)}"))}
            {Html.Join(labels, label => Html.Of($"<text class=\"{label.Line.Style}\" x=\"{Width - Right + 12}\" y=\"{label.Y + 1}\">{label.Line.Label}</text><text class=\"mute\" x=\"{Width - Right + 12}\" y=\"{label.Y + 17}\" font-size=\"13\">{Say.Count((long)label.Line.Points[^1].Y)} at the end</text>"))}
            </svg>
            """);
    }

    /// <summary>What stands behind the lines: named stretches and both axes.</summary>
    public static Html Frame(Axis axis, double top, Func<double, double> y) => Html.Of($"""
        {Html.Join(axis.Bands.Index(), stretch => Html.Of(
            $"{(stretch.Item.Shaded ? Html.Of($"<rect class=\"band\" x=\"{axis.X(stretch.Item.From)}\" y=\"{Top}\" width=\"{axis.X(stretch.Item.To) - axis.X(stretch.Item.From)}\" height=\"{Height - Top - Bottom}\"/>") : Html.Empty)}{(stretch.Index > 0 ? Html.Of($"<line class=\"edge\" x1=\"{axis.X(stretch.Item.From)}\" x2=\"{axis.X(stretch.Item.From)}\" y1=\"{Top - 6}\" y2=\"{Height - Bottom}\"/>") : Html.Empty)}<text class=\"mute\" font-size=\"13\" x=\"{(axis.X(stretch.Item.From) + axis.X(stretch.Item.To)) / 2}\" y=\"{Top - 12}\" text-anchor=\"middle\">{(axis.X(stretch.Item.To) - axis.X(stretch.Item.From) > 48 ? stretch.Item.Name : "")}</text>"))}
        {Html.Join(Ticks(top), tick => Html.Of($"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y(tick)}\" y2=\"{y(tick)}\"/><text class=\"mute\" x=\"{Left - 8}\" y=\"{y(tick) + 5}\" text-anchor=\"end\">{Say.Count((long)tick)}</text>"))}
        {Html.Join(Enumerable.Range(0, (int)(axis.End / NiceStep(axis.End / 6)) + 1).Select(index => index * NiceStep(axis.End / 6)), tick => Html.Of(
            $"<text class=\"mute\" font-size=\"13\" x=\"{axis.X(tick)}\" y=\"{Height - Bottom + 20}\" text-anchor=\"middle\">{(tick == 0 ? $"{axis.Unit} 0" : tick.ToString("0.##", CultureInfo.InvariantCulture))}</text>"))}
        """);

    public static string Path(Line line, Axis axis, Func<double, double> y)
    {
        var path = new StringBuilder();
        foreach (var point in line.Points)
            path.Append(CultureInfo.InvariantCulture, $"{(path.Length == 0 ? 'M' : 'L')}{axis.X(point.X):0.#} {y(point.Y):0.#}");
        return path.ToString();
    }

    public static Html Markers(Line line, Axis axis, Func<double, double> y) => line.Marker switch
    {
        'o' => Html.Join(line.Points.Where((_, index) => index % 16 == 8), point => Html.Of($"<circle class=\"fill {line.Style}\" cx=\"{axis.X(point.X)}\" cy=\"{y(point.Y)}\" r=\"4\"/>")),
        's' => Html.Join(line.Points.Where((_, index) => index % 16 == 0), point => Html.Of($"<rect class=\"fill {line.Style}\" x=\"{axis.X(point.X) - 3.6}\" y=\"{y(point.Y) - 3.6}\" width=\"7.2\" height=\"7.2\"/>")),
        _ => Html.Empty,
    };

    static IEnumerable<double> Ticks(double top)
    {
        var step = NiceStep(top / 4);
        for (var tick = 0.0; tick <= top * 1.0001; tick += step)
            yield return tick;
    }

    public static double NiceMax(double value)
    {
        var step = NiceStep(Math.Max(value, 4) / 4);
        return Math.Ceiling(Math.Max(value, 4) / step) * step;
    }

    static double NiceStep(double rough)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(rough, 1e-6))));
        return (rough / power) switch { <= 1 => 1, <= 2 => 2, <= 2.5 => 2.5, <= 5 => 5, _ => 10 } * power;
    }
}
