using System.Globalization;
using Huzhu.Pages;
using static Huzhu.Pages.Chart;

namespace Huzhu.Local.Scenarios.Page;

/// <summary>The pictures that only the report has.</summary>
static class Charts
{
    public static Axis DaysOf(Calendar calendar) => new("day", calendar.EndDay,
    [
        ("open", 0, calendar.ClosureDay, false), ("lockdown", calendar.ClosureDay, calendar.ReopeningDay, true),
        ("recovery", calendar.ReopeningDay, calendar.PhasesEndDay, false), ("follow-up", calendar.PhasesEndDay, calendar.EndDay, false),
    ]);

    public static Line OverDays(Report report, string label, string style, char marker, Func<DayReport, double> value, bool filled = false) =>
        new(label, style, marker, [.. report.Days.Select(day => (day.Day, value(day)))], filled);

    /// <summary>Places in use, providers below and groups on top of them.</summary>
    public static Html Capacity(Report report)
    {
        var days = report.Days;
        var axis = DaysOf(report.Story.Calendar);
        var top = NiceMax(Math.Max(report.Capacity.PlacesOfProviders, days.Max(day => day.PlacesOfProviders + day.PlacesOfGroups)));
        double Y(double value) => Height - Bottom - value / top * (Height - Top - Bottom);
        Line providers = OverDays(report, "providers", "p", 's', day => day.PlacesOfProviders), groups = OverDays(report, "groups", "g", 'o', day => day.PlacesOfProviders + day.PlacesOfGroups);
        var back = string.Concat(days.Reverse().Select(day => string.Create(CultureInfo.InvariantCulture, $"L{axis.X(day.Day):0.#} {Y(day.PlacesOfProviders):0.#}")));
        const string title = "Places in use over time: providers, and groups on top of them";
        var (peakP, peakG) = (days.MaxBy(day => day.PlacesOfProviders)!, days.MaxBy(day => day.PlacesOfGroups)!);
        return Html.Of($"""
            <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-label="{title}"><title>{title}</title>
            {Frame(axis, top, Y)}
            <path class="fill g half" d="{Path(groups, axis, Y)}{back}Z"/>
            <path class="fill p half" d="{Path(providers, axis, Y)}L{axis.X(axis.End)} {Y(0)}L{axis.X(0)} {Y(0)}Z"/>
            <path class="line p" style="stroke-width:2" d="{Path(providers, axis, Y)}"/><path class="line g" style="stroke-width:2" d="{Path(groups, axis, Y)}"/>
            {Markers(providers, axis, Y)}{Markers(groups, axis, Y)}
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

    static IEnumerable<double> Decades(double from, double to)
    {
        for (var tick = from; tick <= to * 1.0001; tick *= 10)
            yield return tick;
    }
}
