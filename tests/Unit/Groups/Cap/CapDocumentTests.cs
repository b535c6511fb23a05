using System.Text;
using System.Xml;
using Huzhu.Groups.Formats.Cap;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Unit.Groups.Cap;

public class CapDocumentTests
{
    [Fact]
    public void the_public_samples_of_1_1_and_1_2_are_read()
    {
        var folder = PublicData.Folder("cap-1.2");
        foreach (var (file, status, shapes) in new[] { ("earthquake.cap", "Actual", 0), ("earthquake-iso8859-1.cap", "Actual", 0), ("weather.cap", "Actual", 0), ("no_optional_fields.cap", "Actual", 0) })
        {
            var (alert, errors) = CapDocument.Read(CapDocument.Load(File.ReadAllBytes(Path.Combine(folder, file))));
            Assert.Empty(errors);
            Assert.Equal((status, "Alert"), (alert!.Status, alert.MessageType));
            Assert.Equal(shapes, alert.Infos.Sum(info => info.Shapes.Count));
        }
        var latin = CapDocument.Read(CapDocument.Load(File.ReadAllBytes(Path.Combine(folder, "earthquake-iso8859-1.cap")))).Alert!;
        Assert.Equal("EQ 4.6 Usulután, Usulután, El Salvador - PRELIMINARY REPORT", latin.Infos[0].Title);
        Assert.Equal("EQW", Assert.Single(latin.Infos[0].EventCodes["SAME"]));
        Assert.Equal(DateTimeOffset.Parse("2012-10-14T22:40:56Z"), latin.Infos[0].From);
    }

    [Fact]
    public void a_public_sample_without_its_scope_is_told_so() =>
        Assert.Equal(["scope"], CapDocument.Read(CapDocument.Load(File.ReadAllBytes(Path.Combine(PublicData.Folder("cap-1.2"), "invalid.cap")))).Errors.Keys);

    [Fact]
    public void the_public_sample_with_external_entities_is_refused() =>
        Assert.Throws<XmlException>(() => CapDocument.Load(File.ReadAllBytes(Path.Combine(PublicData.Folder("cap-1.2"), "xee.cap"))));

    [Theory]
    [InlineData("iso-8859-1", "Usulután")]
    [InlineData("utf-8", "封控 W 区")]
    [InlineData("utf-16", "封控 W 区")]
    [InlineData("gb18030", "封控 W 区")]
    [InlineData("gbk", "封控 W 区")]
    public void the_declared_encoding_is_honoured(string encoding, string title)
    {
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        var xml = CapXml.Alert(headline: title).Replace("utf-8", encoding, StringComparison.Ordinal);
        var bytes = Encoding.GetEncoding(encoding);
        Assert.Equal(title, CapDocument.Read(CapDocument.Load([.. bytes.GetPreamble(), .. bytes.GetBytes(xml)])).Alert!.Infos[0].Title);
    }

    public static TheoryData<string, byte[]> Hostile => new()
    {
        { "a document type", Utf8("<!DOCTYPE alert SYSTEM \"http://127.0.0.1:1/a.dtd\"><alert/>") },
        { "an internal subset", Utf8("<!DOCTYPE alert [<!ENTITY a \"b\">]><alert>&a;</alert>") },
        { "an entity bomb", Utf8("<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><l>&c;</l>") },
        { "a file", Utf8("<!DOCTYPE l [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><l>&f;</l>") },
        { "an unknown entity", Utf8("<alert>&nbsp;</alert>") },
        { "nothing", [] },
        { "no XML", Utf8("{\"alert\": 1}") },
        { "half of it", Utf8("<alert><identifier>") },
        { "an unknown encoding", Utf8("<?xml version=\"1.0\" encoding=\"x-of-mine\"?><alert/>") },
        { "UTF-7", Utf8("<?xml version=\"1.0\" encoding=\"utf-7\"?><alert/>") },
        { "bytes that are no UTF-8", [.. Utf8("<alert>"), 0xC3, 0x28, .. Utf8("</alert>")] },
        { "a null character", Utf8("<alert>\0</alert>") },
        { "a tree as deep as it is long", Utf8(string.Concat(Enumerable.Repeat("<a>", 60_000)) + string.Concat(Enumerable.Repeat("</a>", 60_000))) },
        { "more than a megabyte", Utf8($"<alert>{new string(' ', CapDocument.MaxCharacters)}</alert>") },
    };

    [Theory, MemberData(nameof(Hostile))]
    public void a_hostile_document_is_refused(string what, byte[] xml)
    {
        Assert.NotEmpty(what);
        Assert.Throws<XmlException>(() => CapDocument.Load(xml));
    }

    [Theory]
    [InlineData("http://www.incident.com/cap/1.0")]
    [InlineData("urn:oasis:names:tc:emergency:cap:1.3")]
    [InlineData("")]
    public void another_version_is_told_which_ones_are_read(string ns) =>
        Assert.Contains("cap:1.2", CapDocument.Read(CapDocument.Load(Utf8($"<alert xmlns=\"{ns}\"/>"))).Errors["alert"][0]);

    [Theory]
    [InlineData("<sent>2022-04-01T08:00:00+08:00</sent>", "<sent>2022-04-01T00:00:00Z</sent>", "sent")]
    [InlineData("<sent>2022-04-01T08:00:00+08:00</sent>", "<sent>2022-04-01T08:00:00</sent>", "sent")]
    [InlineData("<sent>2022-04-01T08:00:00+08:00</sent>", "", "sent")]
    [InlineData("<sender>city@w.example</sender>", "<sender>city of W</sender>", "sender")]
    [InlineData("<identifier>w-1</identifier>", "<identifier>w,1</identifier>", "identifier")]
    [InlineData("<status>Actual</status>", "<status>actual</status>", "status")]
    [InlineData("<msgType>Alert</msgType>", "<msgType>Alarm</msgType>", "msgType")]
    [InlineData("<msgType>Alert</msgType>", "<msgType>Cancel</msgType>", "references")]
    [InlineData("<scope>Public</scope>", "<scope>Public</scope><references>w-0</references>", "references")]
    [InlineData("<urgency>Immediate</urgency>", "<urgency>Very</urgency>", "info[0].urgency")]
    [InlineData("<category>Safety</category>", "", "info[0].category")]
    [InlineData("<areaDesc>W</areaDesc>", "", "info[0].area[0].areaDesc")]
    [InlineData("31.20,121.50 31.25,121.50 ", "", "info[0].area[0].polygon[0]")]
    [InlineData("31.20,121.40 31.20,121.50", "31.20;121.40 31.20,121.50", "info[0].area[0].polygon[0]")]
    [InlineData("31.25,121.40 31.20,121.40</polygon>", "31.25,121.40 31.21,121.40</polygon>", "info[0].area[0].polygon[0]")]
    [InlineData("</polygon>", "</polygon><circle>31.2,121.4</circle>", "info[0].area[0].circle[0]")]
    [InlineData("</polygon>", "</polygon><circle>31.2,121.4 -1</circle>", "info[0].area[0].circle[0]")]
    [InlineData("</polygon>", "</polygon><circle>31.2,121.4 501</circle>", "info[0].area[0].circle[0]")]
    public void what_is_wrong_is_named_by_its_path(string right, string wrong, string path)
    {
        var xml = CapXml.Alert();
        Assert.Contains(right, xml);
        Assert.Equal([path], CapDocument.Read(CapDocument.Load(Utf8(xml.Replace(right, wrong, StringComparison.Ordinal)))).Errors.Keys);
    }

    [Fact]
    public void a_circle_becomes_a_ring_that_has_all_of_it_inside()
    {
        var xml = CapXml.Alert(shapes: "<circle>31.22,121.44 2.5</circle>");
        var ring = Assert.Single(CapDocument.Read(CapDocument.Load(Utf8(xml))).Alert!.Infos[0].Shapes).Ring;
        var area = Huzhu.Groups.Domain.Area.Of(ring).Area!;
        for (var degree = 0; degree < 360; degree++)
        {
            var bearing = double.DegreesToRadians(degree);
            Huzhu.Contracts.GeoPoint At(double kilometres) => new(31.22 + kilometres / 111.195 * Math.Cos(bearing), 121.44 + kilometres / 111.195 / Math.Cos(double.DegreesToRadians(31.22)) * Math.Sin(bearing));
            Assert.True(area.Contains(At(2.498)), $"{degree}° is inside");
            Assert.False(area.Contains(At(2.51)), $"{degree}° is outside");
        }
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}

/// <summary>Alerts of a city's own, valid unless a test spoils them.</summary>
internal static class CapXml
{
    public const string Polygon = "<polygon>31.20,121.40 31.20,121.50 31.25,121.50 31.25,121.40 31.20,121.40</polygon>";

    public static string Alert(string identifier = "w-1", string status = "Actual", string type = "Alert", string sent = "2022-04-01T08:00:00+08:00", string sender = "city@w.example",
        string? references = null, string? parameters = null, string? times = null, string headline = "Lockdown of W", string shapes = Polygon) => $"""
        <?xml version="1.0" encoding="utf-8"?>
        <alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{identifier}</identifier><sender>{sender}</sender><sent>{sent}</sent>
        <status>{status}</status><msgType>{type}</msgType><scope>Public</scope>{(references is null ? "" : $"<references>{references}</references>")}
        <info><category>Safety</category><event>Lockdown</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>{times}
        <headline>{headline}</headline>{parameters ?? Parameter("huzhu:measure", "lockdown")}
        <area><areaDesc>W</areaDesc>{shapes}</area></info></alert>
        """;

    public static string Parameter(string name, string value) => $"<parameter><valueName>{name}</valueName><value>{value}</value></parameter>";
}
