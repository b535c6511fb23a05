using System.Globalization;
using System.Text;
using Huzhu.Contracts;
using Huzhu.Pages;
using static System.FormattableString;

namespace Huzhu.Local.Scenarios.Page;

/// <summary>The map: sub-districts, the measure's edge, needs by what became of them, responders by their places, some of the matches.</summary>
static class PlaceMap
{
    const double Width = 860;
    const int MostMatches = 420;

    public static Html Render(Report report)
    {
        var view = Projection.Of(report);
        var story = report.Story;
        var shown = report.MeasuredNeeds.Where(need => need.Place is not null && view.Shows(need.Place.Value)).ToList();
        var hidden = report.MeasuredNeeds.Count(need => need.Place is { } place && !view.Shows(place));
        var title = $"Map of {Say.Count(shown.Count)} needs and {Say.Count(story.Responders.Count)} responders";
        return Html.Of($"""
            <div class="map">
            <fieldset><legend>Show</legend>
            {Html.Join(new[] { ("open", "submitted while open"), ("lockdown", "in lockdown"), ("recovery", "in recovery"), ("needs", "needs"), ("responders", "responders"), ("matches", "some of the matches") }, box => Html.Of($"<label><input type=\"checkbox\" id=\"show-{box.Item1}\" checked=\"checked\"/> {box.Item2}</label>"))}
            </fieldset>
            <div class="scroll"><svg class="chart" viewBox="0 0 {Width} {view.Height}" role="img" aria-label="{title}"><title>{title}</title>
            {Html.Join(story.Areas.Where(area => area.Ring.Count > 2), area => Html.Of($"<path class=\"area\" d=\"{view.Ring(area.Ring)}\"/>"))}
            {(story.MeasureArea is { } ring ? Html.Of($"<path class=\"measure\" d=\"{view.Ring(ring)}\"><title>Edge of the measure: providers inside close, offline help does not cross it without a permit</title></path>") : Html.Empty)}
            <g class="matches">{Html.Join(Enum.GetValues<Phase>(), phase => Html.Of($"<g class=\"in-{Word(phase)}\">{Matches(report, shown, phase, view)}</g>"))}</g>
            <g class="responders">{Html.Join(story.Responders.OrderBy(one => one.IsProvider), one => Responder(report, one, view))}</g>
            <g class="needs">{Html.Join(Enum.GetValues<Phase>(), phase => Html.Of($"<g class=\"in-{Word(phase)}\">{Needs(shown.Where(need => need.Phase == phase), view)}</g>"))}</g>
            {Html.Join(story.Areas.Where(area => area.Ring.Count > 2), area => Html.Of($"<text class=\"area-name\" x=\"{view.X(Middle(area.Ring))}\" y=\"{view.Y(Middle(area.Ring)) + 8}\">{area.Name}</text>"))}
            {Scale(view)}
            </svg></div>
            <ul class="legend">
            <li><svg viewBox="0 0 26 20"><path class="need met" style="stroke-width:7" d="M13 10h0"/></svg>met</li>
            <li><svg viewBox="0 0 26 20"><path class="need metlate" d="M13 5l5 5l-5 5l-5-5z"/></svg>fulfilled after a long wait</li>
            <li><svg viewBox="0 0 26 20"><path class="need waits" d="M8 5l10 10m0-10l-10 10"/></svg>still waiting or escalated</li>
            <li><svg viewBox="0 0 26 20"><path class="need off" d="M8 10h10"/></svg>cancelled or other</li>
            <li><svg viewBox="0 0 26 20"><rect class="provider" x="6" y="4" width="13" height="13"/></svg>site of a provider, larger with more places</li>
            <li><svg viewBox="0 0 26 20"><circle class="group" cx="13" cy="10" r="8"/></svg>group, larger with more places</li>
            <li><svg viewBox="0 0 26 20"><path class="match p" d="M1 15L25 5" style="stroke-width:2"/></svg>offline match to a provider</li>
            <li><svg viewBox="0 0 26 20"><path class="match g" d="M1 15L25 5" style="stroke-width:2"/></svg>to a group</li>
            {(story.MeasureArea is null ? Html.Empty : Html.Of($"<li><svg viewBox=\"0 0 26 20\"><path class=\"measure\" d=\"M0 10h26\"/></svg>edge of the measure</li>"))}
            </ul>
            <p class="note">Places are snapped to about 100 m, as in the log: nobody's door is on this map.{(hidden > 0 ? $" {Say.Count(hidden)} needs far away from the others lie outside it." : "")}</p>
            </div>
            """);
    }

    static Html Needs(IEnumerable<MeasuredNeed> needs, Projection view) => Html.Join(
        needs.GroupBy(need => Style(need.Outcome)).OrderBy(group => Array.IndexOf(Styles, group.Key)), group =>
        {
            var path = new StringBuilder();
            foreach (var need in group)
            {
                // Places are snapped to a lattice; a little scatter shows how many share a point.
                var (dx, dy) = Scatter(need.Id);
                var (x, y) = (view.X(need.Place!.Value) + dx, view.Y(need.Place.Value) + dy);
                path.Append(group.Key switch
                {
                    "met" => Invariant($"M{x:0.#} {y:0.#}h0"),
                    "metlate" => Invariant($"M{x:0.#} {y - 3:0.#}l3 3l-3 3l-3-3z"),
                    "waits" => Invariant($"M{x - 3:0.#} {y - 3:0.#}l6 6m0-6l-6 6"),
                    _ => Invariant($"M{x - 2.5:0.#} {y:0.#}h5"),
                });
            }
            return Html.Of($"<path class=\"need {group.Key}\" d=\"{path.ToString()}\"/>");
        });

    static readonly string[] Styles = ["off", "met", "metlate", "waits"];

    static string Style(Outcome outcome) => outcome switch
    {
        Outcome.Met => "met",
        Outcome.MetLate => "metlate",
        Outcome.Waiting or Outcome.Escalated => "waits",
        Outcome.Cancelled or Outcome.Other => "off",
    };

    static Html Responder(Report report, ScenarioResponder one, Projection view)
    {
        var measured = report.MeasuredResponders.GetValueOrDefault(one.Id);
        var text = $"{one.Name}: {one.Description}, {one.Capacity} places, at most {measured?.MaxHeld ?? 0} in use, {measured?.Accepted ?? 0} offers accepted";
        var size = Math.Sqrt(one.Capacity / (double)one.Sites.Count) * (one.IsProvider ? 1.9 : 2.2);
        return Html.Join(one.Sites.Where(site => view.Shows(site.Place)), site => one.IsProvider
            ? Html.Of($"<rect class=\"provider\" x=\"{view.X(site.Place) - size / 2}\" y=\"{view.Y(site.Place) - size / 2}\" width=\"{size}\" height=\"{size}\"><title>{text}</title></rect>")
            : Html.Of($"<circle class=\"group\" cx=\"{view.X(site.Place)}\" cy=\"{view.Y(site.Place)}\" r=\"{size}\"><title>{text}</title></circle>"));
    }

    static Html Matches(Report report, List<MeasuredNeed> needs, Phase phase, Projection view)
    {
        var entries = report.Story.Responders.ToDictionary(one => one.Id);
        var all = needs.Where(need => need.Phase == phase)
            .SelectMany(need => need.Holdings.Where(holding => holding.DistanceMetres is not null).Select(holding => (Need: need, Holding: holding))).ToList();
        var every = Math.Max(1, all.Count * 3 / MostMatches);
        return Html.Join(all.Where((_, index) => index % every == 0).GroupBy(match => match.Holding.IsProvider), group =>
        {
            var path = new StringBuilder();
            foreach (var (need, holding) in group)
            {
                var site = entries[holding.Responder].Sites.MinBy(site => Geometry.DistanceMetres(site.Place, need.Place!.Value))!.Place;
                if (view.Shows(site))
                    path.Append(CultureInfo.InvariantCulture, $"M{view.X(need.Place!.Value):0.#} {view.Y(need.Place.Value):0.#}L{view.X(site):0.#} {view.Y(site):0.#}");
            }
            return Html.Of($"<path class=\"match {(group.Key ? "p" : "g")}\" fill=\"none\" d=\"{path.ToString()}\"/>");
        });
    }

    static Html Scale(Projection view)
    {
        var metres = new[] { 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000 }.LastOrDefault(length => length * view.PixelsPerMetre < Width / 4, 500);
        var length = metres * view.PixelsPerMetre;
        return Html.Of($"<path class=\"axis\" style=\"stroke:var(--muted);stroke-width:2\" fill=\"none\" d=\"M14 {view.Height - 22}v8h{length}v-8\"/><text class=\"mute\" font-size=\"13\" x=\"{20 + length}\" y=\"{view.Height - 12}\">{Say.Metres(metres)}</text>");
    }

    static GeoPoint Middle(IReadOnlyList<GeoPoint> ring) => new(ring.Average(point => point.Latitude), ring.Average(point => point.Longitude));

    static (double X, double Y) Scatter(Guid id)
    {
        var bytes = id.ToByteArray();
        return ((bytes[14] / 255.0 - 0.5) * 7, (bytes[15] / 255.0 - 0.5) * 7);
    }

    static string Word(Phase phase) => phase.ToString().ToLowerInvariant();

    /// <summary>Degrees to pixels: north is up, a kilometre is as long in both directions.</summary>
    sealed record Projection(double South, double North, double West, double East, double Shrink)
    {
        const double Margin = 16;

        public double PixelsPerDegree => (Width - 2 * Margin) / ((East - West) * Shrink);
        public double PixelsPerMetre => PixelsPerDegree / 111_195;
        public double Height => (North - South) * PixelsPerDegree + 2 * Margin + 14;
        public double X(GeoPoint place) => Margin + (place.Longitude - West) * Shrink * PixelsPerDegree;
        public double Y(GeoPoint place) => Margin + (North - place.Latitude) * PixelsPerDegree;
        public bool Shows(GeoPoint place) => place.Latitude >= South && place.Latitude <= North && place.Longitude >= West && place.Longitude <= East;

        public string Ring(IReadOnlyList<GeoPoint> ring) =>
            string.Concat(ring.Select((point, index) => string.Create(CultureInfo.InvariantCulture, $"{(index == 0 ? 'M' : 'L')}{X(point):0.#} {Y(point):0.#}"))) + "Z";

        /// <summary>Around everything, but for the outermost hundredth of a map without areas: one place far away would make a dot of all others.</summary>
        public static Projection Of(Report report)
        {
            var story = report.Story;
            var places = story.Areas.SelectMany(area => area.Ring).Concat(story.MeasureArea ?? []).Concat(story.Responders.SelectMany(one => one.Sites).Select(site => site.Place)).ToList();
            if (story.Areas.Count == 0)
                places.AddRange(report.MeasuredNeeds.Select(need => need.Place).OfType<GeoPoint>());
            var cut = story.Areas.Count == 0 && places.Count >= 100 ? 0.02 : 0;
            (double Low, double High) Range(IEnumerable<double> values)
            {
                var sorted = values.Order().ToList();
                var skip = (int)(sorted.Count * cut);
                var (low, high) = (sorted[skip], sorted[^(skip + 1)]);
                var pad = Math.Max((high - low) * 0.02, 0.003);
                return (low - pad, high + pad);
            }
            var (south, north) = Range(places.Select(place => place.Latitude));
            var (west, east) = Range(places.Select(place => place.Longitude));
            var shrink = Math.Max(0.05, Math.Cos((south + north) / 2 * Math.PI / 180));
            // Neither a ribbon nor a tower.
            var (tall, wide) = (north - south, (east - west) * shrink);
            if (tall < wide * 0.5)
                (south, north) = ((south + north) / 2 - wide * 0.25, (south + north) / 2 + wide * 0.25);
            if (tall > wide * 1.1)
                (west, east) = ((west + east) / 2 - tall / 2.2 / shrink, (west + east) / 2 + tall / 2.2 / shrink);
            return new Projection(south, north, west, east, shrink);
        }
    }
}
