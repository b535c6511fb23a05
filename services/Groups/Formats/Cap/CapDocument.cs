using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;

namespace Huzhu.Groups.Formats.Cap;

/// <summary>An alert of CAP 1.2 (or 1.1), as far as it concerns us.</summary>
/// <param name="Status">Actual, Exercise, System, Test or Draft.</param>
/// <param name="MessageType">Alert, Update, Cancel, Ack or Error.</param>
public sealed record CapAlert(AlertReference Reference, string Status, string MessageType, IReadOnlyList<AlertReference> References, IReadOnlyList<CapInfo> Infos);

/// <param name="Parameters">Values of <c>parameter</c>, by name.</param>
/// <param name="EventCodes">Values of <c>eventCode</c>, by name.</param>
/// <param name="Shapes">The polygons and circles of all its areas, as rings, each with the path of its element.</param>
public sealed record CapInfo(
    string Title, DateTimeOffset From, DateTimeOffset? Until, ILookup<string, string> Parameters, ILookup<string, string> EventCodes,
    IReadOnlyList<(string Path, IReadOnlyList<GeoPoint> Ring)> Shapes);

/// <summary>
/// Reads CAP without reading a byte from anywhere else: no document type, no entities, no schema from a hint, no includes,
/// no style sheets. The encoding is the one that the document declares.
/// </summary>
public static partial class CapDocument
{
    public const int MaxCharacters = 1024 * 1024;
    public const int MaxReferences = 100;
    public const int MaxInfos = 20;
    public const int MaxShapes = 50;
    public const double MaxRadiusKilometres = 500;
    private const int MaxDepth = 32;
    private const int MaxName = 500;
    private const int MaxTitle = 200;
    private const int CirclePoints = 64;
    private const double EarthRadiusKilometres = 6371.0088;

    private static readonly XNamespace[] Namespaces = ["urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1"];
    private static readonly string[] Statuses = ["Actual", "Exercise", "System", "Test", "Draft"];
    private static readonly string[] MessageTypes = ["Alert", "Update", "Cancel", "Ack", "Error"];
    private static readonly string[] Scopes = ["Public", "Restricted", "Private"];
    private static readonly string[] Categories = ["Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"];
    private static readonly string[] Urgencies = ["Immediate", "Expected", "Future", "Past", "Unknown"];
    private static readonly string[] Severities = ["Extreme", "Severe", "Moderate", "Minor", "Unknown"];
    // 1.0 said "Very Likely", and the later versions ask to take it for "Likely".
    private static readonly string[] Certainties = ["Observed", "Likely", "Possible", "Unlikely", "Unknown", "Very Likely"];

    /// <summary>GB18030 and its elders are what systems of Chinese cities write.</summary>
    static CapDocument() => Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);

    private static readonly XmlReaderSettings Settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = MaxCharacters,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
        IgnoreWhitespace = true,
    };

    /// <summary>The document, safe to look at.</summary>
    /// <exception cref="XmlException">It is not well-formed, too large, too deep, or asks for what is not accepted.</exception>
    public static XElement Load(byte[] xml)
    {
        try
        {
            // First its depth: what works on a tree later may call itself once a level.
            using (var reader = XmlReader.Create(new MemoryStream(xml), Settings))
            {
                while (reader.Read())
                {
                    if (reader.Depth > MaxDepth)
                        throw new XmlException($"The document is nested deeper than {MaxDepth}.");
                }
            }
            using var again = XmlReader.Create(new MemoryStream(xml), Settings);
            return XDocument.Load(again).Root!;
        }
        catch (Exception exception) when (exception is DecoderFallbackException or ArgumentException or NotSupportedException)
        {
            throw new XmlException("The document's bytes are not of the encoding that it declares.", exception);
        }
    }

    /// <summary>The alert; or what is wrong, under the path of each element.</summary>
    public static (CapAlert? Alert, IDictionary<string, string[]> Errors) Read(XElement root)
    {
        var errors = new FieldErrors();
        if (!Namespaces.Any(ns => root.Name == ns + "alert"))
        {
            errors.Add("alert", $"The root must be alert in the namespace {Namespaces[0].NamespaceName} or {Namespaces[1].NamespaceName}.");
            return (null, errors.All);
        }
        var alert = new Element(root, "", errors);
        var reference = new AlertReference(alert.Name("sender"), alert.Name("identifier"), alert.Time("sent", required: true) ?? default);
        var (status, messageType) = (alert.Word("status", Statuses), alert.Word("msgType", MessageTypes));
        alert.Word("scope", Scopes);
        var references = ReadReferences(alert.Text("references"), errors);
        if (messageType is "Update" or "Cancel" && references.Count == 0)
            errors.Add("references", "An Update or a Cancel names what it replaces.");
        var infos = alert.All("info", MaxInfos).Select(info => ReadInfo(info, reference.Sent)).ToList();
        if (infos.Sum(info => info.Shapes.Count) > MaxShapes)
            errors.Add("info", $"An alert has at most {MaxShapes} polygons and circles.");
        return errors.All is { Count: > 0 } wrong ? (null, wrong) : (new CapAlert(reference, status, messageType, references, infos), errors.All);
    }

    private static CapInfo ReadInfo(Element info, DateTimeOffset sent)
    {
        if (info.All("category", Categories.Length).Count == 0)
            info.Wrong("category", "At least one is required.");
        foreach (var category in info.All("category", Categories.Length))
            category.OneOf(Categories);
        var title = info.Required("event");
        info.Word("urgency", Urgencies);
        info.Word("severity", Severities);
        info.Word("certainty", Certainties);
        var from = info.Time("onset") ?? info.Time("effective") ?? sent;
        var until = info.Time("expires");
        if (info.Text("headline") is { } headline && !string.IsNullOrWhiteSpace(headline))
            title = headline;
        title = title.ReplaceLineEndings(" ").Trim();
        return new CapInfo(title.Length <= MaxTitle ? title : title[..MaxTitle], from, until, Pairs(info, "parameter"), Pairs(info, "eventCode"), ReadShapes(info));
    }

    private static ILookup<string, string> Pairs(Element info, string name) =>
        info.All(name, 200).Select(pair => (Name: pair.Required("valueName"), Value: pair.Text("value") ?? "")).ToLookup(pair => pair.Name.Trim(), pair => pair.Value.Trim());

    private static List<(string, IReadOnlyList<GeoPoint>)> ReadShapes(Element info)
    {
        var shapes = new List<(string, IReadOnlyList<GeoPoint>)>();
        foreach (var area in info.All("area", MaxShapes))
        {
            area.Required("areaDesc");
            foreach (var polygon in area.All("polygon", MaxShapes))
            {
                var points = polygon.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(PointOf).ToList();
                if (points.Count < 4 || points.Any(point => point is null) || points[0] != points[^1])
                    polygon.Wrong("A polygon is four or more pairs of latitude and longitude, \"lat,lon lat,lon …\", the last equal to the first.");
                else
                    shapes.Add((polygon.Path, [.. points.Select(point => point!.Value)]));
            }
            foreach (var circle in area.All("circle", MaxShapes))
            {
                var parts = circle.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
                if (parts.Length != 2 || PointOf(parts[0]) is not { } centre || !TryNumber(parts[1], out var radius) || radius < 0)
                    circle.Wrong("A circle is \"lat,lon radius\", the radius in kilometres.");
                else if (radius > MaxRadiusKilometres)
                    circle.Wrong($"A circle has a radius of at most {MaxRadiusKilometres} km.");
                else if (radius > 0)
                    shapes.Add((circle.Path, RingOf(centre, radius)));
            }
        }
        return shapes;
    }

    /// <summary>A polygon around the circle, not in it: what the circle contains is inside.</summary>
    private static IReadOnlyList<GeoPoint> RingOf(GeoPoint centre, double radiusKilometres)
    {
        var distance = radiusKilometres / Math.Cos(Math.PI / CirclePoints) / EarthRadiusKilometres;
        var latitude = double.DegreesToRadians(centre.Latitude);
        return
        [
            .. Enumerable.Range(0, CirclePoints).Select(index =>
            {
                var bearing = index * Math.Tau / CirclePoints;
                var sine = Math.Clamp(Math.Sin(latitude) * Math.Cos(distance) + Math.Cos(latitude) * Math.Sin(distance) * Math.Cos(bearing), -1, 1);
                var east = Math.Atan2(Math.Sin(bearing) * Math.Sin(distance) * Math.Cos(latitude), Math.Cos(distance) - Math.Sin(latitude) * sine);
                return new GeoPoint(Math.Round(double.RadiansToDegrees(Math.Asin(sine)), 6), Math.Round(centre.Longitude + double.RadiansToDegrees(east), 6));
            }),
        ];
    }

    private static List<AlertReference> ReadReferences(string? text, FieldErrors errors)
    {
        var references = new List<AlertReference>();
        foreach (var reference in (text ?? "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Take(MaxReferences + 1))
        {
            var parts = reference.Split(',');
            if (parts.Length == 3 && parts[0].Length is > 0 and <= MaxName && parts[1].Length is > 0 and <= MaxName && TryTime(parts[2], out var sent))
                references.Add(new AlertReference(parts[0], parts[1], sent));
            else
                errors.Add("references", "Each reference is \"sender,identifier,sent\", separated by spaces.");
        }
        if (references.Count > MaxReferences)
            errors.Add("references", $"At most {MaxReferences} are accepted.");
        return references;
    }

    private static GeoPoint? PointOf(string pair) =>
        pair.Split(',') is [var latitude, var longitude] && TryNumber(latitude, out var lat) && TryNumber(longitude, out var lon) && new GeoPoint(lat, lon) is { IsOnEarth: true } point
            ? point
            : null;

    private static bool TryNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);

    /// <summary>As the standard has it: whole seconds, and a numeric offset, never Z.</summary>
    private static bool TryTime(string text, out DateTimeOffset time)
    {
        time = default;
        if (!CapTime().IsMatch(text) || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var read))
            return false;
        time = read.ToUniversalTime();
        return true;
    }

    [GeneratedRegex(@"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[-+]\d{2}:\d{2}\z", RegexOptions.CultureInvariant)]
    private static partial Regex CapTime();

    /// <summary>Neither spaces nor commas, which separate references, nor what XML reserves.</summary>
    [GeneratedRegex(@"^[^\s,<&\p{Cc}]{1,500}\z", RegexOptions.CultureInvariant)]
    private static partial Regex CapName();

    /// <summary>One element with the path that problems name it by.</summary>
    private sealed record Element(XElement Xml, string Path, FieldErrors Errors)
    {
        public string Value => Xml.Value.Trim();

        public IReadOnlyList<Element> All(string name, int max)
        {
            var found = Xml.Elements(Xml.Name.Namespace + name).Take(max + 1).Select((xml, index) => new Element(xml, $"{Prefix}{name}[{index}]", Errors)).ToList();
            if (found.Count > max)
                Wrong(name, $"At most {max} are accepted.");
            return found;
        }

        public string? Text(string name) => Xml.Element(Xml.Name.Namespace + name)?.Value.Trim();

        public string Required(string name)
        {
            if (Text(name) is { Length: > 0 } text && !text.Contains('\0'))
                return text;
            Wrong(name, "A text is required.");
            return "";
        }

        public string Name(string name)
        {
            var text = Text(name) ?? "";
            if (!CapName().IsMatch(text))
                Wrong(name, $"A text of 1 to {MaxName} characters without spaces, commas, < and & is required.");
            return text;
        }

        public string Word(string name, string[] known)
        {
            var text = Text(name) ?? "";
            if (!known.Contains(text, StringComparer.Ordinal))
                Wrong(name, $"One of these is required: {string.Join(", ", known)}.");
            return text;
        }

        public void OneOf(string[] known)
        {
            if (!known.Contains(Value, StringComparer.Ordinal))
                Wrong($"One of these is required: {string.Join(", ", known)}.");
        }

        public DateTimeOffset? Time(string name, bool required = false)
        {
            if (Text(name) is not { } text)
            {
                if (required)
                    Wrong(name, "A time is required.");
                return null;
            }
            if (TryTime(text, out var time))
                return time;
            Wrong(name, "A time with a numeric offset is expected, never Z, such as 2022-04-01T08:30:00+08:00.");
            return null;
        }

        public void Wrong(string name, string message) => Errors.Add(Prefix + name, message);

        public void Wrong(string message) => Errors.Add(Path, message);

        private string Prefix => Path.Length == 0 ? "" : Path + ".";
    }
}
