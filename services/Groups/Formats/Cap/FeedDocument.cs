using System.Xml.Linq;

namespace Huzhu.Groups.Formats.Cap;

/// <summary>One entry of a feed: the alert itself, or where it is.</summary>
/// <param name="Key">What makes it the same entry, unchanged, when the feed is read again.</param>
public sealed record FeedEntry(string Key, XElement? Alert, Uri? Link);

/// <summary>A feed of alerts: Atom, RSS 2.0, or a document that is one alert.</summary>
public static class FeedDocument
{
    /// <summary>Newest first is the order of feeds; what stands behind these is old.</summary>
    public const int MaxEntries = 100;

    private static readonly XNamespace Atom = "http://www.w3.org/2005/Atom";

    /// <returns>Null when it is none of them.</returns>
    public static IReadOnlyList<FeedEntry>? Read(XElement root, Uri address) => root.Name switch
    {
        { LocalName: "alert" } => [new FeedEntry("", root, null)],
        var name when name == Atom + "feed" => [.. root.Elements(Atom + "entry").Take(MaxEntries).Select(entry => OfAtom(entry, address))],
        { LocalName: "rss", NamespaceName: "" } => [.. root.Elements("channel").Elements("item").Take(MaxEntries).Select(item => OfRss(item, address))],
        _ => null,
    };

    private static FeedEntry OfAtom(XElement entry, Uri address)
    {
        var alert = entry.Elements(Atom + "content").Elements().FirstOrDefault(content => content.Name.LocalName == "alert");
        var links = entry.Elements(Atom + "link").Where(link => (string?)link.Attribute("rel") is null or "alternate" or "enclosure").ToList();
        var link = links.Find(one => ((string?)one.Attribute("type"))?.StartsWith("application/cap+xml", StringComparison.OrdinalIgnoreCase) == true) ?? links.FirstOrDefault();
        return Of(alert, (string?)link?.Attribute("href"), address, (string?)entry.Element(Atom + "id"), (string?)entry.Element(Atom + "updated"));
    }

    private static FeedEntry OfRss(XElement item, Uri address) =>
        Of(null, (string?)item.Element("link"), address, (string?)item.Element("guid"), (string?)item.Element("pubDate"));

    private static FeedEntry Of(XElement? alert, string? href, Uri address, string? id, string? updated)
    {
        var link = Uri.TryCreate(address, href?.Trim(), out var resolved) ? resolved : null;
        return new FeedEntry($"{id} {updated} {link}", alert, alert is null ? link : null);
    }
}
