using System.Text;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Formats.Cap;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.Groups.Cap;

/// <summary>The table of docs/integrators/cap.md.</summary>
public class CapProfileTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.Parse("2022-04-01T01:00:00Z");
    private static readonly CapProfile Profile = new(new Dictionary<string, string> { ["SAME:LEW"] = "lockdown" });

    [Theory]
    [InlineData("lockdown", true, true)]
    [InlineData("seal", true, false)]
    [InlineData("closure", false, true)]
    public void the_parameter_says_which_measure_it_is(string word, bool seals, bool closes)
    {
        var measure = Assert.Single(Plan(CapXml.Alert(parameters: CapXml.Parameter("huzhu:measure", word))).Measures);
        Assert.Equal((seals, closes, "Lockdown of W", 5), (measure.SealsZone, measure.ClosesProviders, measure.Name, measure.Area.Count));
    }

    [Fact]
    public void an_event_code_counts_when_the_operator_says_so()
    {
        static string Code(string code) => $"<eventCode><valueName>SAME</valueName><value>{code}</value></eventCode>";
        Assert.True(Assert.Single(Plan(CapXml.Alert(parameters: Code("LEW"))).Measures).SealsZone);
        Assert.Empty(Plan(CapXml.Alert(parameters: Code("FFA"))).Measures);
        // Said twice, it is one measure.
        Assert.Single(Plan(CapXml.Alert(parameters: Code("LEW") + CapXml.Parameter("huzhu:measure", "lockdown"))).Measures);
    }

    [Theory]
    [InlineData(null, "2022-04-01T00:00:00Z", null)]
    [InlineData("<effective>2022-04-01T10:00:00+08:00</effective>", "2022-04-01T02:00:00Z", null)]
    [InlineData("<effective>2022-04-01T10:00:00+08:00</effective><onset>2022-04-01T12:00:00+08:00</onset>", "2022-04-01T04:00:00Z", null)]
    [InlineData("<expires>2022-06-01T00:00:00+08:00</expires>", "2022-04-01T00:00:00Z", "2022-05-31T16:00:00Z")]
    public void it_begins_at_its_onset_else_when_effective_else_when_sent(string? times, string from, string? until)
    {
        var measure = Assert.Single(Plan(CapXml.Alert(times: times)).Measures);
        Assert.Equal((DateTimeOffset.Parse(from), until is null ? null : DateTimeOffset.Parse(until)), (measure.From, (DateTimeOffset?)measure.Until));
    }

    [Fact]
    public void each_shape_is_a_measure_and_the_same_in_another_language_is_not()
    {
        var two = CapXml.Alert(shapes: CapXml.Polygon + "<circle>31.3,121.6 1</circle>");
        Assert.Equal(2, Plan(two).Measures.Select(measure => measure.Id).Distinct().Count());
        var info = two[two.IndexOf("<info>", StringComparison.Ordinal)..two.IndexOf("</alert>", StringComparison.Ordinal)];
        Assert.Equal(Plan(two).Measures.Select(measure => measure.Id), Plan(two.Replace("</alert>", info.Replace("Lockdown of W", "封控", StringComparison.Ordinal) + "</alert>", StringComparison.Ordinal)).Measures.Select(measure => measure.Id));
    }

    [Fact]
    public void a_provider_is_closed_by_name()
    {
        var provider = Guid.NewGuid();
        var plan = Plan(CapXml.Alert(parameters: CapXml.Parameter("huzhu:provider", provider.ToString()), shapes: ""));
        Assert.Empty(plan.Measures);
        Assert.Equal(provider, Assert.Single(plan.Closures).ProviderId.Value);
    }

    [Theory]
    [InlineData("Actual", "Ack")]
    [InlineData("Actual", "Error")]
    [InlineData("System", "Alert")]
    [InlineData("Test", "Alert")]
    [InlineData("Draft", "Update")]
    public void what_is_not_meant_is_acknowledged_and_does_nothing(string status, string type)
    {
        var alert = Read(CapXml.Alert(status: status, type: type, references: "city@w.example,w-0,2022-03-01T00:00:00+08:00"));
        Assert.NotNull(CapProfile.WhyIgnored(alert, Profile.Plan(alert, "op", Now).Plan!));
    }

    [Fact]
    public void what_concerns_nobody_here_or_is_over_does_nothing()
    {
        foreach (var xml in new[] { CapXml.Alert(parameters: CapXml.Parameter("WMOHEADER", "x")), CapXml.Alert(times: "<expires>2022-04-01T08:30:00+08:00</expires>") })
            Assert.NotNull(CapProfile.WhyIgnored(Read(xml), Plan(xml)));
        Assert.Null(CapProfile.WhyIgnored(Read(CapXml.Alert()), Plan(CapXml.Alert())));
        Assert.Null(CapProfile.WhyIgnored(Read(CapXml.Alert(status: "Exercise")), Plan(CapXml.Alert(status: "Exercise"))));
    }

    [Fact]
    public void a_sender_replaces_its_own_alerts_only()
    {
        var plan = Plan(CapXml.Alert(type: "Cancel", references: "city@w.example,w-0,2022-03-01T08:00:00+08:00 other@x.example,x-1,2022-03-01T08:00:00+08:00"));
        Assert.Equal(new AlertReference("city@w.example", "w-0", DateTimeOffset.Parse("2022-03-01T00:00:00Z")), Assert.Single(plan.Replaces));
        Assert.True(plan.Cancels);
        Assert.Empty(plan.Measures);
    }

    [Theory]
    [InlineData("huzhu:measure", "curfew", CapXml.Polygon, "info[0].parameter")]
    [InlineData("huzhu:provider", "the clinic", CapXml.Polygon, "info[0].parameter")]
    [InlineData("huzhu:measure", "lockdown", "<geocode><valueName>FIPS6</valueName><value>030049</value></geocode>", "info[0].area")]
    [InlineData("huzhu:measure", "lockdown", "<circle>31.2,121.4 0</circle>", "info[0].area")]
    [InlineData("huzhu:measure", "lockdown", "<polygon>31.2,121.4 31.3,121.5 31.2,121.5 31.3,121.4 31.2,121.4</polygon>", "info[0].area[0].polygon[0]")]
    [InlineData("huzhu:measure", "lockdown", "<circle>31.2,179.99 20</circle>", "info[0].area[0].circle[0]")]
    public void what_cannot_be_done_is_named(string parameter, string value, string shapes, string path) =>
        Assert.Equal([path], Profile.Plan(Read(CapXml.Alert(parameters: CapXml.Parameter(parameter, value), shapes: shapes)), "op", Now).Errors.Keys);

    [Fact]
    public void an_end_before_its_beginning_is_named() =>
        Assert.Equal(["info[0].expires"], Profile.Plan(Read(CapXml.Alert(times: "<onset>2022-04-02T08:00:00+08:00</onset><expires>2022-04-01T08:30:00+08:00</expires>")), "op", Now).Errors.Keys);

    [Fact]
    public void the_same_moment_in_another_offset_is_the_same_alert() =>
        Assert.Equal(CapProfile.IdOf(Read(CapXml.Alert()).Reference), CapProfile.IdOf(Read(CapXml.Alert(sent: "2022-04-01T00:00:00+00:00")).Reference));

    [Theory]
    [InlineData("Cap:EventCodes:0:ValueName", "SAME", "Cap:EventCodes:0")]
    [InlineData("Cap:Feeds:0:Url", "http://feeds.example/cap", "Cap:Feeds:0:Url")]
    [InlineData("Cap:Feeds:0:Url", "https://10.0.0.1/cap", "Cap:Feeds:0:Url")]
    [InlineData("Cap:Feeds:0:Url", "https://feeds.example/cap", "Cap:Feeds:0:Senders")]
    public void a_bad_setting_is_named(string key, string value, string named)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { [key] = value }).Build();
        var outbound = Huzhu.ServiceDefaults.OutboundHttp.Read(configuration, "Cap:AllowedPrivateHosts");
        Assert.Contains(named, Assert.Throws<InvalidOperationException>(() => (CapProfile.Read(configuration), CapFeed.ReadAll(configuration, outbound))).Message);
    }

    private static CapAlert Read(string xml) => CapDocument.Read(CapDocument.Load(Encoding.UTF8.GetBytes(xml))).Alert!;

    private static AlertReceived Plan(string xml)
    {
        var (plan, errors) = Profile.Plan(Read(xml), "op", Now);
        Assert.Empty(errors);
        return plan!;
    }
}
