using Huzhu.Pages;

namespace Huzhu.Audit.Replaying;

/// <summary>The comparison for people.</summary>
static class ReplayPage
{
    private const int Points = 160;
    private static readonly (string Unit, double Seconds)[] Units = [("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)];

    public static string Render(Comparison comparison)
    {
        var (happened, simulated, instead) = (comparison.Happened, comparison.Simulated, comparison.Instead);
        var axis = AxisOf(comparison, out var unit);
        return Document.Render($"Huzhu · {comparison.Question}",
            Html.Of($"""
                <p class="kicker">Huzhu · replay of the event logs</p>
                <h1>{Sentence(comparison)}</h1>
                <p class="lede">{Say.Share(happened.MetShare)} of {Say.Count(happened.Needs)} needs were met. {Say.Share(instead.MetShare)} would have been, {comparison.Question}. Replayed as it was, the same simulation gives {Say.Share(simulated.MetShare)}: what that differs from what happened is its own error.</p>
                """),
            Html.Of($"""
                <section aria-labelledby="over-time"><h2 id="over-time">Over time</h2>
                <figure><figcaption>Needs that came and needs fulfilled, added up</figcaption><div class="scroll">
                {Chart.OverTime("Needs fulfilled over time, as it happened and otherwise", axis,
                    Line("came", "s", ' ', (need, at) => need.SubmittedAt <= at, comparison.NeedsHappened),
                    Line("as it happened", "g", 'o', (need, at) => need.FulfilledAt <= at, comparison.NeedsHappened),
                    Line(comparison.Question, "w", 's', (need, at) => need.FulfilledAt <= at, comparison.NeedsInstead))}
                </div></figure>
                <figure><figcaption>Needs that nobody has in hand</figcaption><div class="scroll">
                {Chart.OverTime("Needs without a responder over time, as it happened and otherwise", axis,
                    Line(comparison.Question, "w", 's', Waits, comparison.NeedsInstead),
                    Line("as it happened", "g", 'o', Waits, comparison.NeedsHappened))}
                </div></figure>
                </section>
                <section aria-labelledby="figures"><h2 id="figures">In figures</h2>
                <p>Met: fulfilled by the end of the log{(comparison.PatienceSeconds is { } patience ? $", and without a responder for at most {Say.Duration(patience)} in all" : "")}. Times and distances: median, and what 90 % stay within.</p>
                <div class="scroll" tabindex="0" role="region" aria-label="In figures"><table>
                <thead><tr><th scope="col"></th><th scope="col" class="n">As it happened</th><th scope="col" class="n">The same, simulated</th><th scope="col" class="n">{comparison.Question}</th></tr></thead>
                <tbody>{Html.Join(Rows(comparison), row => Html.Of($"<tr><th scope=\"row\">{row.Name}</th><td class=\"n\">{row.Value(happened)}</td><td class=\"n\">{row.Value(simulated)}</td><td class=\"n\">{row.Value(instead)}</td></tr>"))}</tbody></table></div>
                </section>
                <section aria-labelledby="equity"><h2 id="equity">Equity, {comparison.Question}</h2>
                {EquityOf(instead.Equity)}
                </section>
                <section aria-labelledby="equity-happened"><h2 id="equity-happened">Equity, as it happened</h2>
                {EquityOf(happened.Equity)}
                </section>
                """),
            Html.Of($"From the logs of Requests and Matching, {Reading.StoredEvent.TimeText(comparison.StartsAt)} to {Reading.StoredEvent.TimeText(comparison.EndsAt)}. What a replay assumes, and what it cannot say, stands in docs/auditors."));

        Chart.Line Line(string label, string style, char marker, Func<ReplayedNeed, DateTimeOffset, bool> counts, IReadOnlyList<ReplayedNeed> needs) => new(label, style, marker,
            [.. Enumerable.Range(0, Points + 1).Select(point => axis.End * point / Points)
                .Select(x => (x, (double)needs.Count(need => counts(need, comparison.StartsAt.AddSeconds(x * unit)))))]);

        static bool Waits(ReplayedNeed need, DateTimeOffset at) => need.Repeats is null && need.Waits.Any(wait => wait.From <= at && wait.To > at);
    }

    /// <summary>The figures one by one, for the page and for a terminal.</summary>
    public static IEnumerable<(string Name, Func<Summary, string> Value)> Rows(Comparison comparison) =>
    [
        ("Needs", summary => Say.Count(summary.Needs)),
        ("Met", summary => $"{Say.Count(summary.Met)}, {Say.Share(summary.MetShare)}"),
        .. comparison.Happened.Phases.Index().Where(phase => comparison.ClosedAt is not null && phase.Item.Needs > 0).Select(phase =>
            ($"Met, submitted {phase.Item.Name switch { "open" => "before the closure", "lockdown" => "during it", _ => "after it" }}",
                (Func<Summary, string>)(summary => $"{Say.Count(summary.Phases[phase.Index].Met)} of {Say.Count(summary.Phases[phase.Index].Needs)}, {Say.Share(summary.Phases[phase.Index].MetShare)}"))),
        ("Fulfilled, whatever the wait", summary => Say.Count(summary.Fulfilled)),
        ("Cancelled", summary => Say.Count(summary.Cancelled)),
        ("Neither", summary => Say.Count(summary.Unmet)),
        ("Time to the first offer", summary => Two(summary.TimeToOfferSeconds, seconds => Say.Milliseconds(seconds * 1000))),
        ("Without a responder, of those fulfilled", summary => Two(summary.WaitedSeconds, seconds => Say.Milliseconds(seconds * 1000))),
        ("Distance of accepted offline help", summary => Two(summary.DistanceMetres, Say.Metres)),
        .. comparison.Happened.Load.Select(load => ($"Busiest tenth of the {load.Kind}s took", (Func<Summary, string>)(summary =>
            summary.Load.FirstOrDefault(one => one.Kind == load.Kind) is { } own ? $"{Say.Share(own.TopTenthShare)} of {Say.Count(own.Accepted)}, Gini {own.Gini:0.00}" : "–"))),
    ];

    public static Html EquityOf(Equity equity) => EquityTables.Render(equity.LeastShown,
        equity.Tables.Select(table => (table.By, table.Rows.Select(row => new EquityTables.Row(row.Of, row.Needs, row.TimeToOfferSeconds?.P50, row.TimeToOfferSeconds?.P90, row.UnmetShare)))),
        equity.Load.Select(one => new EquityTables.Burden(one.Kind, one.Responders, one.Accepted, one.Gini, one.TopTenthShare)));

    private static string Sentence(Comparison comparison)
    {
        var more = comparison.Instead.Met - comparison.Happened.Met;
        return more == 0 ? $"As many needs met, {comparison.Question}" : $"{Say.Count(Math.Abs(more))} {(more > 0 ? "more" : "fewer")} needs met, {comparison.Question}";
    }

    private static Chart.Axis AxisOf(Comparison comparison, out double unit)
    {
        var seconds = Math.Max(1, (comparison.EndsAt - comparison.StartsAt).TotalSeconds);
        var (name, length) = Units.First(one => seconds / one.Seconds >= 4 || one.Seconds == 1);
        unit = length;
        var end = seconds / length;
        double Of(DateTimeOffset? at) => at is { } known ? (known - comparison.StartsAt).TotalSeconds / length : end;
        return new Chart.Axis(name, end, comparison.ClosedAt is null ? [] :
        [
            ("open", 0, Of(comparison.ClosedAt), false), ("lockdown", Of(comparison.ClosedAt), Of(comparison.ReopenedAt), true),
            .. comparison.ReopenedAt is null ? Array.Empty<(string, double, double, bool)>() : [("recovery", Of(comparison.ReopenedAt), end, false)],
        ]);
    }

    private static string Two(Spread spread, Func<double?, string> say) => spread.P50 is null ? "–" : $"{say(spread.P50)}, {say(spread.P90)}";
}
