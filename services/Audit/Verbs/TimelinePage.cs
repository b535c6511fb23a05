using Huzhu.Pages;

namespace Huzhu.Audit.Verbs;

/// <summary>A timeline to print and to hand over.</summary>
static class TimelinePage
{
    /// <param name="Cause">The message, call or timer behind it.</param>
    public sealed record Row(string Time, string Service, string Type, Guid Stream, long Version, IReadOnlyList<(string Name, string Value)> Facts, Guid Event, string? Cause, string? Trace);

    public static string Render(Guid id, IReadOnlyList<Row> rows) => Document.Render($"Huzhu · timeline of {id}",
        Html.Of($"""
            <p class="kicker">Huzhu · timeline</p>
            <h1>What happened to {id}</h1>
            <p class="lede">{Say.Count(rows.Count)} events in {Say.Count(rows.Select(row => row.Service).Distinct().Count())} logs, {rows[0].Time} to {rows[^1].Time}.</p>
            """),
        Html.Of($"""
            <section aria-labelledby="events"><h2 id="events">Events</h2>
            <div class="scroll" tabindex="0" role="region" aria-label="Events"><table>
            <thead><tr><th scope="col">Time</th><th scope="col">Log</th><th scope="col">Event</th><th scope="col">Facts</th><th scope="col">Cause</th></tr></thead>
            <tbody>{Html.Join(rows, row => Html.Of($"""
                <tr><td>{row.Time}</td><td>{row.Service}</td><th scope="row">{row.Type}<br/><code>{row.Stream}</code> v{row.Version}</th>
                <td>{Html.Join(row.Facts, fact => Html.Of($"{fact.Name}: {fact.Value}<br/>"))}</td>
                <td>event <code>{row.Event}</code>{(row.Cause is null ? Html.Empty : Html.Of($"<br/>caused by <code>{row.Cause}</code>"))}{(row.Trace is null ? Html.Empty : Html.Of($"<br/>trace <code>{row.Trace}</code>"))}</td></tr>
                """))}</tbody></table></div>
            </section>
            """),
        Html.Of($"Times are the databases' clocks. Personal data are encrypted in the logs and not shown."));
}
