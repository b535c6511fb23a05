using System.Globalization;
using Huzhu.Pages;

namespace Huzhu.Local.Scenarios.Page;

/// <summary>
/// report.html. What is shown on the map is chosen with CSS alone.
/// </summary>
static class ReportPage
{
    public static string Render(Report report)
    {
        var (lockdown, open) = (Phase(report, Scenarios.Phase.Lockdown), Phase(report, Scenarios.Phase.Open));
        return Document.Render($"{report.Title} · Huzhu scenario report",
            Html.Of($"""
                <p class="kicker">Huzhu · scenario report · <code>{report.Scenario}</code></p>
                <h1>{Headline(report, lockdown)}</h1>
                {Verdict(report)}
                <p class="lede">{Lede(report, lockdown)}</p>
                <ul class="facts">
                <li><b>{Say.Count(report.Needs.Submitted)}</b> needs in <b>{Say.Count(report.Calls)}</b> calls</li>
                <li><b>{Say.Count(report.Story.Providers.Count())}</b> providers, <b>{Say.Count(report.Story.Responders.Count - report.Story.Providers.Count())}</b> groups</li>
                <li>seed <b>{report.Seed}</b></li>
                <li>{report.StartedAt.ToUniversalTime().ToString("d MMMM yyyy, HH:mm", CultureInfo.InvariantCulture)} UTC, <b>{Say.Duration(report.DurationSeconds)}</b></li>
                <li><b>{Say.Count(report.Run.Events.Values.Sum())}</b> events in four logs</li>
                </ul>
                {Cards(report, lockdown)}
                """),
            Html.Join(Story(report), Phases(report), Map(report), FallbackPart(report), Speed(report), Capacity(report), Parts(report), EquityPart(report), Promises(report), Origins(report)),
            Html.Of($"All figures are in <code>report.json</code> beside this page. Times in words are the databases' clocks. Run it again with <code>{Command(report)}</code>"));
    }

    static PhaseReport Phase(Report report, Phase phase) => report.Phases[(int)phase];

    static string Command(Report report) => report.Scenario == "w-district"
        ? $"./huzhu demo --seed {report.Seed} --size {report.Needs.Submitted}"
        : $"./huzhu demo --scenario {report.Scenario} --needs FILE --services FILE --seed {report.Seed}";

    static Html Tag(string origin) => Html.Of($"<span class=\"tag {origin}\">{origin}</span>");

    static string Headline(Report report, PhaseReport lockdown) => lockdown.MetShare - lockdown.MetShareWithoutGroups >= 0.1
        ? $"With every provider shut, {Say.RoundShare(lockdown.MetShare)} of needs were still met"
        : $"{report.Title}";

    static Html Lede(Report report, PhaseReport lockdown)
    {
        var fallback = report.Fallback;
        var providers = report.Story.Providers.Count();
        var first = fallback.HeldAtClosure > 0
            ? Html.Of($"When all {providers} providers closed they held {Say.Count(fallback.HeldAtClosure)} unfinished needs. {Say.Count(fallback.Rematched)} of them went to somebody else{(fallback.SecondsToRematchHalf is { } half ? $", half within {Say.Seconds(half)} and the last after {Say.Seconds(fallback.SecondsToRematchAll)}" : "")}{(fallback.Escalated > 0 ? $"; for {Say.Count(fallback.Escalated)} nobody was free, and they went to the backlog" : "")}.")
            : Html.Of($"When the {providers} providers closed they held nothing.");
        return Html.Of($"{first} Of the needs that came in the lockdown {Say.RoundShare(lockdown.MetShare)} were met. Without the groups it would have been {Say.RoundShare(lockdown.MetShareWithoutGroups)}. {Tag("simulation")}");
    }

    static Html Verdict(Report report)
    {
        var broken = report.Invariants.Count(invariant => !invariant.Holds);
        return broken == 0
            ? Html.Of($"""<p class="verdict good"><svg viewBox="0 0 20 20" aria-hidden="true"><path d="M4 10.5l4 4l8-9" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/></svg>All {report.Invariants.Count} promises kept, judged from the logs alone</p>""")
            : Html.Of($"""<p class="verdict bad"><svg viewBox="0 0 20 20" aria-hidden="true"><path d="M10 3v9m0 4v.5" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round"/></svg>{broken} of {report.Invariants.Count} promises broken: see “Promises”</p>""");
    }

    static Html Cards(Report report, PhaseReport lockdown)
    {
        var all = Report.Sorted(report.MeasuredNeeds.Where(need => need.DuplicateOf is null).Select(need => need.FirstOfferMs));
        return Html.Of($"""
            <ul class="cards">
            <li><span class="label">Met in the lockdown</span><span class="figure g">{Say.Share(lockdown.MetShare)}</span><span class="beside">of {Say.Count(lockdown.Submitted)} needs, with groups</span></li>
            <li><span class="label">The same without groups</span><span class="figure w">{Say.Share(lockdown.MetShareWithoutGroups)}</span><span class="beside">replayed from the logs: <a href="{Replay.Folder}/replay.html">how</a></span></li>
            <li><span class="label">Passed on at the closure</span><span class="figure">{Say.Count(report.Fallback.Rematched)}</span><span class="beside">of {Say.Count(report.Fallback.HeldAtClosure)} held{(report.Fallback.SecondsToRematchAll is { } last ? $", the last after {Say.Seconds(last)}" : "")}</span></li>
            <li><span class="label">From call to first offer</span><span class="figure">{Say.Milliseconds(Report.Percentile(all, 0.5))}</span><span class="beside">median; 99 % within {Say.Milliseconds(Report.Percentile(all, 0.99))}, real time</span></li>
            </ul>
            """);
    }

    static Html Story(Report report) => Html.Of($"""
        <section aria-labelledby="story"><h2 id="story">Needs met, day by day {Tag("simulation")}</h2>
        <p>Providers work, a measure closes them all, groups go on, providers come back. The dashed line is the same story without groups.</p>
        <figure><figcaption>Needs that came and needs fulfilled, added up</figcaption><div class="scroll">
        {Chart.OverTime("Needs fulfilled over time, with and without groups", Charts.DaysOf(report.Story.Calendar),
            Charts.OverDays(report, "came", "s", ' ', day => day.Submitted), Charts.OverDays(report, "fulfilled", "g", 'o', day => day.Fulfilled), Charts.OverDays(report, "without groups", "w", 's', day => day.FulfilledWithoutGroups))}
        </div></figure>
        <figure><figcaption>People whose need nobody has in hand</figcaption><div class="scroll">
        {Chart.OverTime("Needs without a responder over time, with and without groups", Charts.DaysOf(report.Story.Calendar),
            Charts.OverDays(report, "without groups", "w", 's', day => day.WithoutResponderWithoutGroups), Charts.OverDays(report, "with groups", "g", 'o', day => day.WithoutResponder, filled: true))}
        </div></figure>
        <details><summary>The same in a table</summary><div class="scroll" tabindex="0" role="region" aria-label="Needs by day"><table>
        <thead><tr><th scope="col" class="n">Day</th><th scope="col" class="n">Came</th><th scope="col" class="n">Fulfilled</th><th scope="col" class="n">Fulfilled without groups</th><th scope="col" class="n">Nobody has it</th><th scope="col" class="n">Nobody, without groups</th><th scope="col" class="n">Places in use, providers</th><th scope="col" class="n">groups</th></tr></thead>
        <tbody>{Html.Join(report.Days.Where((_, index) => index % 4 == 0), day => Html.Of($"<tr><th scope=\"row\" class=\"n\">{day.Day:0.0}</th><td class=\"n\">{Say.Count(day.Submitted)}</td><td class=\"n\">{Say.Count(day.Fulfilled)}</td><td class=\"n\">{Say.Count(day.FulfilledWithoutGroups)}</td><td class=\"n\">{Say.Count(day.WithoutResponder)}</td><td class=\"n\">{Say.Count(day.WithoutResponderWithoutGroups)}</td><td class=\"n\">{Say.Count(day.PlacesOfProviders)}</td><td class=\"n\">{Say.Count(day.PlacesOfGroups)}</td></tr>"))}</tbody></table></div></details>
        </section>
        """);

    static Html Bar(double share, string style = "") =>
        Html.Of($"<div class=\"bar {style}\"><span>{Say.Share(share)}</span><i aria-hidden=\"true\" style=\"--v:{share * 100}%\"></i></div>");

    static Html Phases(Report report) => Html.Of($"""
        <section aria-labelledby="phases"><h2 id="phases">The three phases {Tag("simulation")}</h2>
        <p>{report.Definitions["met"]}</p>
        <div class="scroll" tabindex="0" role="region" aria-label="The three phases"><table>
        <thead><tr><th scope="col">Submitted while</th><th scope="col" class="n">Needs</th><th scope="col">Met</th><th scope="col">Met without groups</th><th scope="col" class="n">Fulfilled, whatever the wait</th><th scope="col" class="n">First offer: median, 99 %</th><th scope="col" class="n">Distance: median, 95 %</th></tr></thead>
        <tbody>{Html.Join(report.Phases, phase => Html.Of($"<tr><th scope=\"row\">{phase.Name}</th><td class=\"n\">{Say.Count(phase.Submitted)}</td><td>{Bar(phase.MetShare)}</td><td>{Bar(phase.MetShareWithoutGroups, "w")}</td><td class=\"n\">{Say.Share(phase.FulfilledShare)}</td><td class=\"n\">{Say.Milliseconds(phase.TimeToOfferMs.P50)}, {Say.Milliseconds(phase.TimeToOfferMs.P99)}</td><td class=\"n\">{Say.Metres(phase.DistanceMetres.P50)}, {Say.Metres(phase.DistanceMetres.P95)}</td></tr>"))}</tbody></table></div>
        <p class="note">At the end of the run {Say.Count(report.Needs.Fulfilled)} needs were fulfilled, {Say.Count(report.Needs.Waiting)} waited, {Say.Count(report.Needs.Escalated)} were with humans, {Say.Count(report.Needs.Cancelled)} had been cancelled, and {Say.Count(report.Needs.Other)} were something else: repeats of an earlier call, or on hold for safety.</p>
        </section>
        """);

    static Html Map(Report report) => Html.Of($"""
        <section aria-labelledby="map"><h2 id="map">Where it happened {Tag("simulation")}</h2>
        <p>{(report.Story.Areas.Count > 0 ? "A synthetic district of thirteen sub-districts. Hover over a responder to see who it is." : "Positions as reported. Hover over a responder to see what it is.")} The tables by sub-district and by kind further down say the same in numbers.</p>
        {PlaceMap.Render(report)}
        </section>
        """);

    static Html FallbackPart(Report report)
    {
        var fallback = report.Fallback;
        return Html.Of($"""
            <section aria-labelledby="fallback"><h2 id="fallback">The moment of the closure {Tag("simulation")}</h2>
            <p>{report.Definitions["heldAtClosure"]} All of them go back to matching with their original clock, most urgent first, then oldest.</p>
            <div class="scroll">{Charts.Flow(fallback)}</div>
            <div class="scroll" tabindex="0" role="region" aria-label="The closure in numbers"><table>
            <tbody>
            <tr><th scope="row">Held by providers</th><td class="n">{Say.Count(fallback.HeldAtClosure)}</td><td>needs, in {Say.Count(fallback.PlacesHeld)} places{(fallback.EndedMeanwhile > 0 ? $"; {Say.Count(fallback.EndedMeanwhile)} more were done or called off at that very moment and count nowhere" : "")}</td></tr>
            <tr><th scope="row">Matched again</th><td class="n">{Say.Count(fallback.Rematched)}</td><td>{Say.Count(fallback.RematchedToGroups)} of them to groups</td></tr>
            <tr><th scope="row">To the backlog and its humans</th><td class="n">{Say.Count(fallback.Escalated)}</td><td>nobody who could was free</td></tr>
            <tr><th scope="row">Time to match again</th><td class="n">{Say.Seconds(fallback.SecondsToRematchAll)}</td><td>real seconds from the first closure to the last match; half of them within {Say.Seconds(fallback.SecondsToRematchHalf)}</td></tr>
            <tr><th scope="row">Fulfilled by groups</th><td class="n">{Say.Count(fallback.FulfilledByGroups)}</td><td>by the end of the run</td></tr>
            </tbody></table></div>
            </section>
            """);
    }

    static Html Speed(Report report)
    {
        var offers = report.Phases.Index().Select(phase => (phase.Item.Name, Values: Report.Sorted(report.MeasuredNeeds
            .Where(need => (int)need.Phase == phase.Index && need.DuplicateOf is null).Select(need => need.FirstOfferMs)))).ToList();
        var distances = report.Phases.Index().Select(phase => (phase.Item.Name, Values: Report.Sorted(report.MeasuredNeeds
            .Where(need => (int)need.Phase == phase.Index).SelectMany(need => need.Holdings).Select(holding => holding.DistanceMetres)))).ToList();
        var (slowest, furthest) = (Decade(offers.SelectMany(one => one.Values).DefaultIfEmpty(1000).Max()), Decade(distances.SelectMany(one => one.Values).DefaultIfEmpty(1000).Max()));
        return Html.Of($"""
            <section aria-labelledby="speed"><h2 id="speed">How fast, how near {Tag("simulation")}</h2>
            <p>{report.Definitions["timeToOfferMs"]}</p>
            <div class="multiples">{Row(offers, 1, slowest, 0.99, Say.Milliseconds, "Time to the first offer")}</div>
            <h3>Distance</h3>
            <p class="note">{report.Definitions["distanceMetres"]}</p>
            <div class="multiples">{Row(distances, 10, furthest, 0.95, Say.Metres, "Distance of accepted offline help")}</div>
            </section>
            """);

        static double Decade(double value) => Math.Pow(10, Math.Ceiling(Math.Log10(Math.Max(value, 1000) * 1.0001)));
        static Html Row(List<(string Name, List<double> Values)> rows, double from, double to, double high, Func<double?, string> say, string what)
        {
            const int bins = 30;
            var top = rows.Max(row => row.Values.Count == 0 ? 0 : Charts.Bin(row.Values, from, to, bins).Max() / (double)row.Values.Count);
            return Html.Join(rows, row => Html.Of($"<figure><h3>{row.Name}</h3>{Charts.Histogram($"{what}, {row.Name}", row.Values, from, to, bins, top == 0 ? 1 : top, high, say)}</figure>"));
        }
    }

    static Html Capacity(Report report) => Html.Of($"""
        <section aria-labelledby="capacity"><h2 id="capacity">Places in use {Tag("simulation")}</h2>
        <p>{Say.Count(report.Capacity.Responders)} responders offer {Say.Count(report.Capacity.PlacesOffered)} places: {Say.Count(report.Capacity.PlacesOfProviders)} at providers, {Say.Count(report.Capacity.PlacesOfGroups)} in groups. At most {Say.Share(report.Capacity.MaxHeldShare)} of all were in use at once, and {Say.Share(report.Capacity.MaxHeldShareOfGroups)} of the groups'. The fullest responder had {Say.Share(report.Capacity.MaxHeldShareOfOne)} of its places in use; none is ever above.</p>
        <div class="scroll">{Charts.Capacity(report)}</div>
        </section>
        """);

    static Html Parts(Report report)
    {
        Html Table(string caption, string first, IReadOnlyDictionary<string, Part> parts, Func<string, Html> name, Func<string, Html>? extra = null, string? extraName = null) => Html.Of($"""
            <div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table><caption>{caption}</caption>
            <thead><tr><th scope="col">{first}</th>{(extraName is null ? Html.Empty : Html.Of($"<th scope=\"col\" class=\"n\">{extraName}</th>"))}<th scope="col" class="n">Needs</th><th scope="col">Met</th><th scope="col">Met without groups</th><th scope="col" class="n">Of the fulfilled, by groups</th><th scope="col" class="n">First offer, median</th></tr></thead>
            <tbody>{Html.Join(parts, part => Html.Of($"<tr><th scope=\"row\">{name(part.Key)}</th>{extra?.Invoke(part.Key) ?? Html.Empty}<td class=\"n\">{Say.Count(part.Value.Submitted)}</td><td>{Bar(part.Value.MetShare)}</td><td>{Bar(part.Value.MetShareWithoutGroups, "w")}</td><td class=\"n\">{Say.Share(part.Value.ShareFulfilledByGroups)}</td><td class=\"n\">{Say.Milliseconds(part.Value.TimeToOfferMsP50)}</td></tr>"))}</tbody></table></div>
            """);
        var groups = report.Story.Responders.Where(one => !one.IsProvider).ToLookup(one => one.SubDistrict);
        var hasLeaders = report.Story.Areas.Count > 0;
        return Html.Of($"""
            <section aria-labelledby="parts"><h2 id="parts">Who was helped, where and with what {Tag("simulation")}</h2>
            <p>A place or a kind that does worse than the others is where to look next.</p>
            <h3>By sub-district</h3>
            {Table("All phases together", "Sub-district", report.BySubDistrict, key => Html.Of($"{key}"),
                hasLeaders ? key => Html.Of($"<td class=\"n\">{Say.Count(groups[key].Count())}, {(groups[key].Any() ? Say.RoundShare(groups[key].Count(one => one.LeaderHasDisability == true) / (double)groups[key].Count()) : "–")}</td>") : null,
                hasLeaders ? "Groups, led by people with a disability" : null)}
            <h3>By service kind</h3>
            {Table("All phases together", "Service kind", report.ByServiceKind, key => Html.Of($"{Say.KindOf(key)} <code>{key}</code>"))}
            </section>
            """);
    }

    static Html EquityPart(Report report) => Html.Of($"""
        <section aria-labelledby="equity"><h2 id="equity">Equity {Tag("simulation")}</h2>
        {EquityTables.Render(report.Equity.LeastShown,
            report.Equity.Tables.Select(table => (table.By, table.Rows.Select(row => new EquityTables.Row(row.Of, row.Needs, row.TimeToOfferSeconds?.P50, row.TimeToOfferSeconds?.P90, row.UnmetShare)))),
            report.Equity.Load.Select(one => new EquityTables.Burden(one.Kind, one.Responders, one.Accepted, one.Gini, one.TopTenthShare)))}
        <p class="note"><code>./huzhu audit equity</code> says the same, as long as the logs are kept.</p>
        </section>
        """);

    static Html Promises(Report report) => Html.Of($"""
        <section aria-labelledby="promises"><h2 id="promises">Promises</h2>
        <p>Judged from the four event logs and the runner’s own list of every 2xx it got, by a program that shares no code with the services.</p>
        <div class="scroll" tabindex="0" role="region" aria-label="Promises"><table>
        <thead><tr><th scope="col">Promise</th><th scope="col" class="n">Looked at</th><th scope="col">Kept</th></tr></thead>
        <tbody>{Html.Join(report.Invariants, one => Html.Of($"<tr><th scope=\"row\" style=\"font-weight:400\">{one.Meaning}<br/><code>{one.Name}</code>{(one.Violations.Count == 0 ? Html.Empty : Html.Of($"<ul class=\"plain\">{Html.Join(one.Violations, sentence => Html.Of($"<li><code>{sentence}</code></li>"))}</ul>"))}</th><td class=\"n\">{Say.Count(one.Checked)}</td><td class=\"{(one.Holds ? "ok" : "no")}\">{(one.Holds ? "✓ kept" : $"✗ broken {Say.Count(one.ViolationCount)} times")}</td></tr>"))}</tbody></table></div>
        </section>
        """);

    static Html Origins(Report report)
    {
        var run = report.Run;
        return Html.Of($"""
            <section aria-labelledby="origins"><h2 id="origins">Where these figures come from</h2>
            <p>{Tag("study")} was counted in the field study of W District, Shanghai. {Tag("data")} stands in the files that were replayed. {Tag("simulation")} is ours: drawn from the seed, or what the running services made of it. The study reports no rate of needs met: every such rate on this page is the simulation’s.</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Calibration"><table>
            <thead><tr><th scope="col">What the scenario was made to have</th><th scope="col">Source says</th><th scope="col">Scenario has</th><th scope="col">From</th></tr></thead>
            <tbody>{Html.Join(report.Calibration, figure => Html.Of($"<tr><th scope=\"row\" style=\"font-weight:400\">{figure.Name}</th><td>{figure.Aimed}</td><td>{figure.Generated}</td><td>{Tag(figure.Origin)}</td></tr>"))}</tbody></table></div>
            <h3>Clocks</h3>
            <p class="note">One day of the story took {report.Clock.SecondsPerDay:0.###} s: {Say.Count((long)report.Clock.StoryFasterBy)} times faster than life. Nobody’s wait of more than {report.Clock.PatienceDays:0.#} days ({Say.Seconds(report.Clock.PatienceSeconds)}) counts as met. The services ran on the real clock; the policy’s timers, which are data, were shortened by other factors, because messages take as long as they take:</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Timers"><table>
            <thead><tr><th scope="col">Urgency</th><th scope="col" class="n">Offer’s life by default</th><th scope="col" class="n">in this run</th><th scope="col" class="n">faster by</th><th scope="col" class="n">Escalated after, by default</th><th scope="col" class="n">in this run</th></tr></thead>
            <tbody>{Html.Join(report.Clock.TimersSeconds, one => Html.Of($"<tr><th scope=\"row\">{one.Key}</th><td class=\"n\">{Say.Duration(one.Value.DefaultOfferLife)}</td><td class=\"n\">{Say.Seconds(one.Value.OfferLife)}</td><td class=\"n\">{Say.Count((long)Math.Round(one.Value.DefaultOfferLife / one.Value.OfferLife))} ×</td><td class=\"n\">{Say.Duration(one.Value.DefaultEscalateAfter)}</td><td class=\"n\">{Say.Seconds(one.Value.EscalateAfter)}</td></tr>"))}</tbody></table></div>
            <h3>What the words mean</h3>
            <div class="scroll"><table><tbody>{Html.Join(report.Definitions, one => Html.Of($"<tr><th scope=\"row\"><code>{one.Key}</code></th><td>{one.Value}</td></tr>"))}</tbody></table></div>
            <h3>The run</h3>
            <ul class="plain">
            <li>Events: {string.Join(", ", run.Events.OrderBy(one => one.Key).Select(one => $"{one.Key} {Say.Count(one.Value)}"))}.</li>
            <li>Notifications: {string.Join(", ", run.Notifications.OrderBy(one => one.Key).Select(one => $"{Say.Count(one.Value)} {one.Key}"))}. {Say.Count(run.Webhooks)} signed webhooks came, {Say.Count(run.WebhooksRepeated)} of them again, {Say.Count(run.WebhooksWithBadSignature)} with a wrong signature.</li>
            <li>Answers of coordinators: {string.Join(", ", run.Answers.Select(one => $"{one.Key} {Say.Count(one.Value)}"))}.</li>
            <li>{Say.Count(run.RepeatedCalls)} calls were repeated because a service was away or busy. The most belated act of the story began {run.MostBelatedSeconds:0.0} s late.</li>
            <li>Replayed from the logs as it was, groups and all: {string.Join(", ", report.Plausibility.Select(one => $"{one.Key} {Say.Share(one.Value)}"))} met. What that differs from the run is the replay's own error.</li>
            {Html.Join(run.Kills, kill => Html.Of($"<li><b>{kill.Service}</b> was killed with <code>kill -9</code> after {kill.KilledAtSecond:0.0} s (process {kill.Pid}) and was ready again {kill.ReadyAtSecond - kill.KilledAtSecond:0.0} s later (process {kill.NewPid}).</li>"))}
            {Html.Join(report.Notes, note => Html.Of($"<li>{note}</li>"))}
            </ul>
            </section>
            """);
    }
}
