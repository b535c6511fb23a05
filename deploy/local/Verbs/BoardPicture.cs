using System.Globalization;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Huzhu.Local.Verbs;

/// <summary>Matching's board, <c>GET /v1/board</c>, on a terminal. What an answer does not have is a dash.</summary>
public static class BoardPicture
{
    const string Unknown = "–";

    static readonly (string State, string Shown)[] States =
    [
        ("waiting", "in the backlog"), ("escalated", "left to people"), ("on-hold", "on hold"), ("offered", "offered"), ("accepted", "accepted"), ("started", "started"),
        ("fulfilled", "fulfilled, of the last hour"),
    ];

    public static IRenderable Of(JsonNode board)
    {
        var urgencies = Enum.GetValues<Urgency>().OrderDescending().ToList();
        var at = (DateTimeOffset?)board["at"] ?? DateTimeOffset.UtcNow;
        var needs = new Table().Border(TableBorder.None).AddColumn("needs");
        foreach (var urgency in urgencies)
            needs.AddColumn(new TableColumn(Words.Of(urgency)).RightAligned());
        needs.AddColumn(new TableColumn("all").RightAligned());
        foreach (var (state, shown) in States)
        {
            var counts = urgencies.ConvertAll(urgency => Items(board["needs"]).Where(row => (string?)row["state"] == state && (string?)row["urgency"] == Words.Of(urgency)).Sum(row => (int?)row["needs"] ?? 0));
            // Somebody whose life is in danger and whom nobody has in hand.
            needs.AddRow([new Text(shown), .. counts.Select((count, index) => Number(count, index == 0 && count > 0 && state is ("waiting" or "escalated"))), Number(counts.Sum())]);
        }
        needs.AddRow([new Text("time to offer, p95"), .. urgencies.Select(urgency => (IRenderable)new Text(Seconds((double?)OfUrgency(board["timeToOffer"], urgency)?["p95Seconds"]))), new Text("")]);
        needs.AddRow([new Text("offered in time"), .. urgencies.Select(urgency => (IRenderable)new Text(OfUrgency(board["timeToOffer"], urgency) is { } row ? Share((double?)row["within"]) : Unknown)), new Text("")]);

        var (relay, queues) = (board["relay"], board["queues"] is null ? null : Items(board["queues"]).ToList());
        var free = Items(board["subDistricts"]).Sum(district => (int?)district["free"] ?? 0);
        var places = Items(board["subDistricts"]).Sum(district => (int?)district["capacity"] ?? 0);
        var facts = new Grid().AddColumn(new GridColumn().PadRight(4)).AddColumn();
        Fact("oldest in the backlog", board["oldest"] is not { } oldest ? "nobody waits"
            : $"{Seconds((at - (DateTimeOffset)oldest["submittedAt"]!).TotalSeconds)}, {oldest["urgency"]}, {((string?)oldest["state"] == "escalated" ? "left to people" : "waiting")}");
        Fact("places", $"{free.ToString("N0", CultureInfo.InvariantCulture)} free of {places.ToString("N0", CultureInfo.InvariantCulture)}");
        Fact("relay", relay is null ? Unknown : ((long?)relay["eventsBehind"] ?? 0) == 0 ? "nothing waits"
            : $"{relay["eventsBehind"]} events behind, {(relay["since"] is { } since ? Seconds((at - (DateTimeOffset)since!).TotalSeconds) : Unknown)}");
        Fact("queues", queues is null ? "the broker does not answer" : queues.Sum(queue => (long?)queue["messages"] ?? 0) is 0 ? "empty"
            : $"{queues.Sum(queue => (long?)queue["messages"] ?? 0):N0} messages, most in {queues.MaxBy(queue => (long?)queue["messages"] ?? 0)!["name"]}");
        Fact("replicas of matching", $"{board["replicas"]?.ToString() ?? Unknown}");
        Fact("sealed zones", $"{board["sealedZones"]?.ToString() ?? Unknown}");
        return new Rows(needs, new Text(""), facts, new Text($"at {at.ToString("HH:mm:ss", CultureInfo.InvariantCulture)} UTC"));

        void Fact(string name, string value) => facts.AddRow(new Text(name), new Text(value));
    }

    static IEnumerable<JsonNode> Items(JsonNode? list) => list is JsonArray items ? items.OfType<JsonNode>() : [];

    static JsonNode? OfUrgency(JsonNode? list, Urgency urgency) => Items(list).FirstOrDefault(row => (string?)row["urgency"] == Words.Of(urgency));

    static IRenderable Number(int count, bool isAlarming = false) =>
        new Text(count.ToString("N0", CultureInfo.InvariantCulture), isAlarming ? new Style(Color.Red, decoration: Decoration.Bold) : Style.Plain);

    static string Share(double? share) => share is { } known ? known.ToString("P0", CultureInfo.InvariantCulture).Replace(" ", "", StringComparison.Ordinal) : Unknown;

    static string Seconds(double? seconds) => seconds switch
    {
        null => Unknown,
        < 1 => $"{seconds.Value * 1000:0} ms",
        < 120 => $"{seconds.Value:0.0} s",
        < 7200 => $"{seconds.Value / 60:0} min",
        _ => $"{seconds.Value / 3600:0} h",
    };
}
