namespace Huzhu.Pages;

/// <summary>Who is served well and who is not, the same wherever it is shown.</summary>
static class EquityTables
{
    /// <param name="Needs">Null where the row is withheld.</param>
    public sealed record Row(string Of, int? Needs, double? MedianSeconds, double? P90Seconds, double? UnmetShare);

    public sealed record Burden(string Kind, int Responders, int Accepted, double Gini, double TopTenthShare);

    public static Html Render(int leastShown, IEnumerable<(string By, IEnumerable<Row> Rows)> tables, IEnumerable<Burden> burdens) => Html.Of($"""
        <p>A row of fewer than {leastShown} needs is withheld, so that it tells nothing of one person; where only one would be, the next smallest is withheld too. Repeated calls count with the need that they repeat; a need with several communication needs stands in several rows.</p>
        {Html.Join(tables, table => Html.Of($"""
            <h3>By {table.By}</h3>
            <div class="scroll" tabindex="0" role="region" aria-label="By {table.By}"><table>
            <thead><tr><th scope="col">{table.By}</th><th scope="col" class="n">Needs</th><th scope="col" class="n">First offer, median</th><th scope="col" class="n">90 % within</th><th scope="col" class="n">Unmet, of those not cancelled</th></tr></thead>
            <tbody>{Html.Join(table.Rows, row => row.Needs is { } needs
                ? Html.Of($"<tr><th scope=\"row\">{row.Of}</th><td class=\"n\">{Say.Count(needs)}</td><td class=\"n\">{Seconds(row.MedianSeconds)}</td><td class=\"n\">{Seconds(row.P90Seconds)}</td><td class=\"n\">{Say.Share(row.UnmetShare ?? 0)}</td></tr>")
                : Html.Of($"<tr><th scope=\"row\">{row.Of}</th><td class=\"n\" colspan=\"4\">withheld</td></tr>"))}</tbody></table></div>
            """))}
        <h3>How the help is spread over those who give it</h3>
        <div class="scroll" tabindex="0" role="region" aria-label="How the help is spread"><table>
        <thead><tr><th scope="col">Responders</th><th scope="col" class="n">How many</th><th scope="col" class="n">Offers accepted</th><th scope="col" class="n">Gini</th><th scope="col" class="n">The busiest tenth took</th></tr></thead>
        <tbody>{Html.Join(burdens, one => Html.Of($"<tr><th scope=\"row\">{one.Kind}s</th><td class=\"n\">{Say.Count(one.Responders)}</td><td class=\"n\">{Say.Count(one.Accepted)}</td><td class=\"n\">{one.Gini:0.00}</td><td class=\"n\">{Say.Share(one.TopTenthShare)}</td></tr>"))}</tbody></table></div>
        """);

    private static string Seconds(double? seconds) => Say.Milliseconds(seconds * 1000);
}
