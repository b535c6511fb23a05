using System.Globalization;
using System.Text;

namespace Huzhu.Local.Scenarios.Page;

/// <summary>Pictures of numbers, as SVG that follows the page's colours. Each has a title for those who cannot see it, and a table beside it.</summary>
static class Charts
{
    const double Width = 760, Height = 330, Left = 52, Right = 150, Top = 30, Bottom = 34;

    /// <param name="Style">g groups, p providers, w without groups, s submitted: sets colour and stroke.</param>
    /// <param name="Marker">Drawn along the line, so that lines differ without colour: o, s or nothing.</param>
    public sealed record Line(string Label, string Style, char Marker, Func<DayReport, double> Value, bool Filled = false);

    public static Html OverTime(string title, Report report, params Line[] lines)
    {
        var days = report.Days;
        var calendar = report.Story.Calendar;
        var top = NiceMax(days.Max(day => lines.Max(line => line.Value(day))));
        double X(double day) => Left + day / calendar.EndDay * (Width - Left - Right);
        double Y(double value) => Height - Bottom - value / top * (Height - Top - Bottom);

        var labels = lines.Select(line => (Line: line, Y: Y(line.Value(days[^1])))).OrderBy(label => label.Y).ToList();
        for (var index = 1; index < labels.Count; index++)
            labels[index] = labels[index] with { Y = Math.Max(labels[index].Y, labels[index - 1].Y + 34) };
        var overflow = labels[^1].Y - (Height - Bottom + 4);
        if (overflow > 0)
            labels = [.. labels.Select(label => label with { Y = label.Y - overflow })];

        return Html.Of($"""
            <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-label="{title}"><title>{title}</title>
            {Bands(calendar, X)}
            {Html.Join(Ticks(top), tick => Html.Of($"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick)}\" y2=\"{Y(tick)}\"/><text class=\"mute\" x=\"{Left - 8}\" y=\"{Y(tick) + 5}\" text-anchor=\"end\">{Say.Count((long)tick)}</text>"))}
            {DayTicks(calendar, X)}
            {Html.Join(lines, line => Html.Of($"{(line.Filled ? Html.Of($"<path class=\"fill {line.Style} faint\" d=\"{Path(days, line, X, Y)}L{X(calendar.EndDay)} {Y(0)}L{X(0)} {Y(0)}Z\"/>") : Html.Empty)}<path class=\"line {line.Style}\" d=\"{Path(days, line, X, Y)}\"/>{Markers(days, line, X, Y)}"))}
            {Html.Join(labels, label => Html.Of($"<text class=\"{label.Line.Style}\" x=\"{Width - Right + 12}\" y=\"{label.Y + 1}\">{label.Line.Label}</text><text class=\"mute\" x=\"{Width - Right + 12}\" y=\"{label.Y + 17}\" font-size=\"13\">{Say.Count((long)label.Line.Value(days[^1]))} at the end</text>"))}
            </svg>
            """);
    }

    /// <summary>Places in use, providers below and groups on top of them.</summary>
    public static Html Capacity(Report report)
    {
        var days = report.Days;
        var calendar = report.Story.Calendar;
        var top = NiceMax(Math.Max(report.Capacity.PlacesOfProviders, days.Max(day => day.PlacesOfProviders + day.PlacesOfGroups)));
        double X(double day) => Left + day / calendar.EndDay * (Width - Left - Right);
        double Y(double value) => Height - Bottom - value / top * (Height - Top - Bottom);
        Line providers = new("providers", "p", 's', day => day.PlacesOfProviders), groups = new("groups", "g", 'o', day => day.PlacesOfProviders + day.PlacesOfGroups);
        var back = string.Concat(days.Reverse().Select(day => string.Create(CultureInfo.InvariantCulture, $"L{X(day.Day):0.#} {Y(day.PlacesOfProviders):0.#}")));
        const string title = "Places in use over time: providers, and groups on top of them";
        var (peakP, peakG) = (days.MaxBy(day => day.PlacesOfProviders)!, days.MaxBy(day => day.PlacesOfGroups)!);
        return Html.Of($"""
            <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-label="{title}"><title>{title}</title>
            {Bands(calendar, X)}
            {Html.Join(Ticks(top), tick => Html.Of($"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick)}\" y2=\"{Y(tick)}\"/><text class=\"mute\" x=\"{Left - 8}\" y=\"{Y(tick) + 5}\" text-anchor=\"end\">{Say.Count((long)tick)}</text>"))}
            {DayTicks(calendar, X)}
            <path class="fill g half" d="{Path(days, groups, X, Y)}{back}Z"/>
            <path class="fill p half" d="{Path(days, providers, X, Y)}L{X(calendar.EndDay)} {Y(0)}L{X(0)} {Y(0)}Z"/>
            <path class="line p" style="stroke-width:2" d="{Path(days, providers, X, Y)}"/><path class="line g" style="stroke-width:2" d="{Path(days, groups, X, Y)}"/>
            {Markers(days, providers, X, Y)}{Markers(days, groups, X, Y)}
            <text class="p" x="{Width - Right + 12}" y="{Top + 30}">providers</text><text class="mute" font-size="13" x="{Width - Right + 12}" y="{Top + 47}">at most {Say.Count(peakP.PlacesOfProviders)} of {Say.Count(report.Capacity.PlacesOfProviders)}</text>
            <text class="g" x="{Width - Right + 12}" y="{Top + 84}">groups</text><text class="mute" font-size="13" x="{Width - Right + 12}" y="{Top + 101}">at most {Say.Count(peakG.PlacesOfGroups)} of {Say.Count(report.Capacity.PlacesOfGroups)}</text>
            </svg>
            """);
    }

    /// <summary>A histogram on a logarithmic scale, with its median and a high percentile marked.</summary>
    public static Html Histogram(string title, IReadOnlyList<double> sorted, double from, double to, int bins, double commonTop, double high, Func<double?, string> say)
    {
        const double width = 330, height = 190, left = 8, right = 8, top = 40, bottom = 26;
        double X(double value) => left + Math.Clamp(Math.Log(Math.Max(value, from) / from) / Math.Log(to / from), 0, 1) * (width - left - right);
        var counts = Bin(sorted, from, to, bins);
        var step = (width - left - right) / bins;
        double Y(double share) => height - bottom - share / commonTop * (height - top - bottom);
        var (median, far) = (Report.Percentile(sorted, 0.5), Report.Percentile(sorted, high));
        return Html.Of($"""
            <svg class="chart small" viewBox="0 0 {width} {height}" role="img" aria-label="{title}: median {say(median)}, {high * 100} % within {say(far)}"><title>{title}</title>
            <line class="axis" x1="{left}" x2="{width - right}" y1="{height - bottom}" y2="{height - bottom}"/>
            {Html.Join(counts.Index(), bin => bin.Item == 0 ? Html.Empty : Html.Of($"<rect class=\"fill g half\" x=\"{left + bin.Index * step + 0.7}\" width=\"{step - 1.4}\" y=\"{Y(bin.Item / (double)sorted.Count)}\" height=\"{height - bottom - Y(bin.Item / (double)sorted.Count)}\"><title>{Say.Count(bin.Item)}</title></rect>"))}
            {Html.Join(Decades(from, to), tick => Html.Of($"<text class=\"mute\" font-size=\"12\" x=\"{X(tick)}\" y=\"{height - 8}\" text-anchor=\"{(X(tick) < 20 ? "start" : X(tick) > width - 30 ? "end" : "middle")}\">{say(tick)}</text><line class=\"axis\" x1=\"{X(tick)}\" x2=\"{X(tick)}\" y1=\"{height - bottom}\" y2=\"{height - bottom + 4}\"/>"))}
            {(median is { } middle ? Html.Of($"<line class=\"line g\" style=\"stroke-width:2\" x1=\"{X(middle)}\" x2=\"{X(middle)}\" y1=\"{top - 4}\" y2=\"{height - bottom}\"/><text class=\"g\" font-size=\"13\" x=\"{X(middle)}\" y=\"{top - 10}\" text-anchor=\"{Anchor(X(middle), width)}\">median {say(middle)}</text>") : Html.Of($"<text class=\"mute\" x=\"{left}\" y=\"{top + 30}\">nothing to show</text>"))}
            {(far is { } end ? Html.Of($"<line class=\"edge\" x1=\"{X(end)}\" x2=\"{X(end)}\" y1=\"{top - 20}\" y2=\"{height - bottom}\"/><text class=\"mute\" font-size=\"13\" x=\"{X(end)}\" y=\"{top - 27}\" text-anchor=\"{Anchor(X(end), width)}\">{high * 100} % within {say(end)}</text>") : Html.Empty)}
            </svg>
            """);

        static string Anchor(double x, double width) => x < width * 0.25 ? "start" : x > width * 0.75 ? "end" : "middle";
    }

    public static int[] Bin(IReadOnlyList<double> sorted, double from, double to, int bins)
    {
        var counts = new int[bins];
        foreach (var value in sorted)
            counts[Math.Clamp((int)(Math.Log(Math.Max(value, from) / from) / Math.Log(to / from) * bins), 0, bins - 1)]++;
        return counts;
    }

    /// <summary>What became of the needs that the providers held when they closed.</summary>
    public static Html Flow(FallbackReport fallback)
    {
        const double width = 760, height = 250, bar = 16, top = 34, usable = 180;
        if (fallback.HeldAtClosure == 0)
            return Html.Of($"<p class=\"note\">The providers held nothing when they closed.</p>");
        double Scaled(double count) => count / fallback.HeldAtClosure * usable;
        var others = fallback.Rematched - fallback.RematchedToGroups;
        var elsewhere = fallback.Rematched - fallback.FulfilledByGroups;
        var title = $"Of {Say.Count(fallback.HeldAtClosure)} needs held at the closure {Say.Count(fallback.RematchedToGroups)} went to groups, {Say.Count(others)} to others, {Say.Count(fallback.Escalated)} to the backlog; groups fulfilled {Say.Count(fallback.FulfilledByGroups)}.";
        double x0 = 8, x1 = 300, x2 = 590;
        // Columns of (label, count, style); a gap between the blocks of a column.
        const double gap = 22;
        double g = Scaled(fallback.RematchedToGroups), o = Scaled(others), e = Scaled(fallback.Escalated);
        double yG = top, yO = yG + g + (others > 0 ? gap : 0), yE = yO + o + gap;
        double f = Scaled(fallback.FulfilledByGroups), r = Scaled(elsewhere);
        double yF = top, yR = yF + f + gap;
        var parts = new List<Html>
        {
            Ribbon(x0 + bar, top, x1, yG, g, "g"), Block(x0, top, bar, usable, "p"), Block(x1, yG, bar, Math.Max(g, 1.5), "g"),
            Ribbon(x1 + bar, yG, x2, yF, Math.Min(f, g), "g"), Block(x2, yF, bar, Math.Max(f, 1.5), "g"),
        };
        if (others > 0)
            parts.AddRange([Ribbon(x0 + bar, top + g, x1, yO, o, "p"), Block(x1, yO, bar, Math.Max(o, 1.5), "p"), Label(x1 + bar, yO, o, "to others", others, "p")]);
        if (fallback.Escalated > 0)
            parts.AddRange([Ribbon(x0 + bar, top + g + o, x1, yE, e, "w"), Block(x1, yE, bar, Math.Max(e, 1.5), "w"), Label(x1 + bar, yE, e, "to the backlog", fallback.Escalated, "w")]);
        if (elsewhere > 0)
            parts.AddRange([Ribbon(x1 + bar, yG + f, x2, yR, Math.Max(0, g - f), "s"), Block(x2, yR, bar, Math.Max(r, 1.5), "s"), Label(x2 + bar, yR, r, "others, or unfinished", elsewhere, "mute")]);
        parts.AddRange(
        [
            Html.Of($"<text class=\"p\" x=\"{x0}\" y=\"{top - 14}\">held by providers: {Say.Count(fallback.HeldAtClosure)}</text>"),
            Html.Of($"<text class=\"g\" x=\"{x1}\" y=\"{top - 14}\">matched to groups: {Say.Count(fallback.RematchedToGroups)}</text>"),
            Html.Of($"<text class=\"g\" x=\"{x2}\" y=\"{top - 14}\">fulfilled: {Say.Count(fallback.FulfilledByGroups)}</text>"),
        ]);
        var used = Math.Max(height, Math.Max(yE + e, yR + r) + 20);
        return Html.Of($"<svg class=\"chart\" viewBox=\"0 0 {width} {used}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>{Html.Join(parts)}</svg>");

        static Html Block(double x, double y, double width, double height, string style) => Html.Of($"<rect class=\"fill {style}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"2\"/>");
        static Html Ribbon(double fromX, double fromY, double toX, double toY, double size, string style) => size <= 0 ? Html.Empty : Html.Of(
            $"<path class=\"fill {style} faint\" d=\"M{fromX} {fromY}C{(fromX + toX) / 2} {fromY} {(fromX + toX) / 2} {toY} {toX} {toY}V{toY + size}C{(fromX + toX) / 2} {toY + size} {(fromX + toX) / 2} {fromY + size} {fromX} {fromY + size}Z\"/>");
        static Html Label(double x, double y, double size, string text, int count, string style) => Html.Of($"<text class=\"{style}\" font-size=\"13\" x=\"{x + 8}\" y=\"{y + size / 2 + 5}\">{text}: {Say.Count(count)}</text>");
    }

    static Html Bands(Calendar calendar, Func<double, double> x)
    {
        (string Name, double From, double To)[] stretches =
        [
            ("open", 0, calendar.ClosureDay), ("lockdown", calendar.ClosureDay, calendar.ReopeningDay),
            ("recovery", calendar.ReopeningDay, calendar.PhasesEndDay), ("follow-up", calendar.PhasesEndDay, calendar.EndDay),
        ];
        return Html.Join(stretches.Index(), stretch => Html.Of(
            $"{(stretch.Index == 1 ? Html.Of($"<rect class=\"band\" x=\"{x(stretch.Item.From)}\" y=\"{Top}\" width=\"{x(stretch.Item.To) - x(stretch.Item.From)}\" height=\"{Height - Top - Bottom}\"/>") : Html.Empty)}{(stretch.Index > 0 ? Html.Of($"<line class=\"edge\" x1=\"{x(stretch.Item.From)}\" x2=\"{x(stretch.Item.From)}\" y1=\"{Top - 6}\" y2=\"{Height - Bottom}\"/>") : Html.Empty)}<text class=\"mute\" font-size=\"13\" x=\"{(x(stretch.Item.From) + x(stretch.Item.To)) / 2}\" y=\"{Top - 12}\" text-anchor=\"middle\">{(x(stretch.Item.To) - x(stretch.Item.From) > 48 ? stretch.Item.Name : "")}</text>"));
    }

    static Html DayTicks(Calendar calendar, Func<double, double> x)
    {
        var step = NiceStep(calendar.EndDay / 6);
        return Html.Join(Enumerable.Range(0, (int)(calendar.EndDay / step) + 1), index => Html.Of(
            $"<text class=\"mute\" font-size=\"13\" x=\"{x(index * step)}\" y=\"{Height - Bottom + 20}\" text-anchor=\"middle\">{(index == 0 ? "day 0" : (index * step).ToString("0.##", CultureInfo.InvariantCulture))}</text>"));
    }

    static string Path(IReadOnlyList<DayReport> days, Line line, Func<double, double> x, Func<double, double> y)
    {
        var path = new StringBuilder();
        foreach (var day in days)
            path.Append(CultureInfo.InvariantCulture, $"{(path.Length == 0 ? 'M' : 'L')}{x(day.Day):0.#} {y(line.Value(day)):0.#}");
        return path.ToString();
    }

    static Html Markers(IReadOnlyList<DayReport> days, Line line, Func<double, double> x, Func<double, double> y) => line.Marker switch
    {
        'o' => Html.Join(days.Where((_, index) => index % 16 == 8), day => Html.Of($"<circle class=\"fill {line.Style}\" cx=\"{x(day.Day)}\" cy=\"{y(line.Value(day))}\" r=\"4\"/>")),
        's' => Html.Join(days.Where((_, index) => index % 16 == 0), day => Html.Of($"<rect class=\"fill {line.Style}\" x=\"{x(day.Day) - 3.6}\" y=\"{y(line.Value(day)) - 3.6}\" width=\"7.2\" height=\"7.2\"/>")),
        _ => Html.Empty,
    };

    static IEnumerable<double> Decades(double from, double to)
    {
        for (var tick = from; tick <= to * 1.0001; tick *= 10)
            yield return tick;
    }

    static IEnumerable<double> Ticks(double top)
    {
        var step = NiceStep(top / 4);
        for (var tick = 0.0; tick <= top * 1.0001; tick += step)
            yield return tick;
    }

    static double NiceMax(double value)
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
