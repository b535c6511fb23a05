using System.Text.Json;
using System.Xml.Linq;
using Huzhu.Contracts;
using Huzhu.Local.Scenarios;
using Xunit;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class ReportTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("huzhu-report-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    static Report Make(Logs logs, string name = "Neighbours <script>alert(1)</script> & friends")
    {
        var calendar = new Calendar(Logs.Start, OpenDays: 10, LockdownDays: 20, RecoveryDays: 10, FollowUpDays: 10, 1, 1, PatienceDays: 7);
        var here = new GeoPoint(31.22, 121.44);
        ScenarioResponder Responder(Guid id, bool provider) => new(id, provider, name, "", "J", [new ScenarioSite(here, "J")], null, [],
            [ServiceKinds.Specialised], [DeliveryMode.Offline], [CommunicationNeed.TextOnly], 2, false, true);
        var scenario = new Scenario("w-district", "A district", 3, calendar, new Behaviour(0, 0, 0, 0, 0, 0, 0, 0),
            [new Area("J", [new(31.2, 121.4), new(31.3, 121.4), new(31.3, 121.5), new(31.2, 121.5)])],
            [Responder(Logs.Provider, true), Responder(Logs.Group, false)],
            [new("call-1", 0, "p", false, here, "J", Urgency.Health, [CommunicationNeed.TextOnly], [new ScenarioNeed(ServiceKinds.Medicine, DeliveryMode.Offline, 1, 5, "")])],
            [new(31.1, 121.3), new(31.4, 121.3), new(31.4, 121.6), new(31.1, 121.6)],
            [new Figure("Groups", "318", "1", "study")], ["A note with <angles>."]);
        var measured = new Measurements(scenario, Logs.Start);
        foreach (var row in logs.Rows)
            measured.Read(row);
        return Report.Of(scenario, measured, Replayed(measured), [.. logs.Check().Values],
            new RunFacts(Logs.Start, 12.3, new Dictionary<string, UrgencyTimes> { ["health"] = new(900, 4, 7200, 10) }, [new Kill("matching", 1, 2, 3, 4)], 0, 0, (3, 0, 0, 1), new Dictionary<string, int> { ["accept 200"] = 1 },
                measured.EventsByService, measured.NotificationOutcomes));
    }

    /// <summary>As the audit writes it.</summary>
    static Replay Replayed(Measurements measured)
    {
        object course = new
        {
            phases = new[] { "open", "lockdown", "recovery" }.Select(name => new { name, needs = 1, met = 0, metShare = 0.25, fulfilledShare = 0.5 }),
            equity = new
            {
                leastShown = 10,
                tables = new[] { new { by = "channel", rows = new object[] { new { of = "hotline", needs = 12, timeToOfferSeconds = new { p50 = 0.1, p90 = 0.2 }, unmetShare = 0.4 }, new { of = "wechat <b>" } } } },
                load = new[] { new { kind = "group", responders = 3, accepted = 4, gini = 0.5, topTenthShare = 0.75 } },
            },
        };
        return Replay.Read(JsonSerializer.Serialize(new
        {
            comparison = new { question = "without groups", happened = course, simulated = course, instead = course },
            needsInstead = measured.Needs().Select(need => new { id = need.Id, met = false, fulfilledAt = Logs.Start.AddDays(1), waits = new[] { new { from = Logs.Start, to = Logs.Start.AddDays(1) } } }),
        }));
    }

    JsonElement Json(Report report)
    {
        ReportWriter.Write(report, new DirectoryInfo(_folder));
        return JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, "report.json"))).RootElement;
    }

    static string[] Names(JsonElement element) => [.. element.EnumerateObject().Select(property => property.Name)];

    [Fact]
    public void report_json_has_the_shape_that_others_read()
    {
        var json = Json(Make(Logs.OfAFulfilledNeed()));
        Assert.Equal(
            ["scenario", "seed", "startedAt", "durationSeconds", "needs", "phases", "fallback", "capacity", "invariants", "byServiceKind", "bySubDistrict"],
            Names(json).Take(11));
        Assert.Equal(["submitted", "fulfilled", "waiting", "escalated", "cancelled", "other"], Names(json.GetProperty("needs")));
        Assert.Equal(["open", "lockdown", "recovery"], json.GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("name").GetString()));
        foreach (var phase in json.GetProperty("phases").EnumerateArray())
        {
            Assert.Equal(["name", "submitted", "met", "metShare", "metShareWithoutGroups", "timeToOfferMs", "distanceMetres"], Names(phase).Take(7));
            Assert.Equal(["p50", "p99"], Names(phase.GetProperty("timeToOfferMs")));
            Assert.Equal(["p50", "p95"], Names(phase.GetProperty("distanceMetres")));
        }
        Assert.Equal(["heldAtClosure", "rematched", "escalated", "secondsToRematchAll"], Names(json.GetProperty("fallback")).Take(4));
        Assert.Equal(["responders", "placesOffered", "maxHeldShare"], Names(json.GetProperty("capacity")).Take(3));
        Assert.All(json.GetProperty("invariants").EnumerateArray(), invariant => Assert.Equal(["name", "holds", "checked"], Names(invariant).Take(3)));
    }

    [Fact]
    public void the_numbers_add_up()
    {
        var json = Json(Make(Logs.OfAFulfilledNeed()));
        var needs = json.GetProperty("needs");
        Assert.Equal(needs.GetProperty("submitted").GetInt32(), Names(needs).Skip(1).Sum(name => needs.GetProperty(name).GetInt32()));
        Assert.Equal(needs.GetProperty("submitted").GetInt32(), json.GetProperty("phases").EnumerateArray().Sum(phase => phase.GetProperty("submitted").GetInt32()));
        Assert.Equal(1, json.GetProperty("phases")[0].GetProperty("metShare").GetDouble());
        // As the audit says, and no figure of the page's own.
        Assert.Equal(0.25, json.GetProperty("phases")[1].GetProperty("metShareWithoutGroups").GetDouble());
        Assert.Equal("without groups", json.GetProperty("withoutGroups").GetProperty("question").GetString());
        Assert.Equal(1, json.GetProperty("byServiceKind").GetProperty("specialised.medicine").GetProperty("met").GetInt32());
        Assert.Equal(1, json.GetProperty("bySubDistrict").GetProperty("J").GetProperty("submitted").GetInt32());
    }

    [Fact]
    public void the_page_is_well_formed_and_needs_nothing_but_itself()
    {
        ReportWriter.Write(Make(Logs.OfAFulfilledNeed()), new DirectoryInfo(_folder));
        var page = File.ReadAllText(Path.Combine(_folder, "report.html"));
        Assert.StartsWith("<!doctype html>", page);
        var root = XDocument.Parse(page["<!doctype html>".Length..]).Root!;
        Assert.DoesNotContain(root.Descendants(), element => element.Name.LocalName is "script" or "link" or "img" or "iframe");
        Assert.DoesNotContain(root.Descendants().Attributes(), attribute => attribute.Value.Contains("://", StringComparison.Ordinal) || attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal));
        Assert.DoesNotContain("url(", page);
        Assert.DoesNotContain("@import", page);
    }

    [Fact]
    public void the_page_can_be_used_without_eyes_or_a_mouse()
    {
        ReportWriter.Write(Make(Logs.OfAFulfilledNeed()), new DirectoryInfo(_folder));
        var root = XDocument.Parse(File.ReadAllText(Path.Combine(_folder, "report.html"))["<!doctype html>".Length..]).Root!;
        Assert.Equal("en", root.Attribute("lang")!.Value);
        Assert.Single(root.Descendants("h1"));
        Assert.All(root.Descendants("section"), section => Assert.Contains(root.Descendants("h2"), heading => heading.Attribute("id")!.Value == section.Attribute("aria-labelledby")!.Value));
        Assert.All(root.Descendants("svg").Where(svg => svg.Attribute("class")?.Value.StartsWith("chart", StringComparison.Ordinal) == true), svg =>
        {
            Assert.Equal("img", svg.Attribute("role")!.Value);
            Assert.NotEqual("", svg.Attribute("aria-label")!.Value);
        });
        Assert.All(root.Descendants("input"), input => Assert.Equal("label", input.Parent!.Name.LocalName));
        Assert.All(root.Descendants("th"), header => Assert.Contains(header.Attribute("scope")!.Value, new[] { "row", "col" }));
    }

    [Fact]
    public void text_is_text_and_never_markup()
    {
        ReportWriter.Write(Make(Logs.OfAFulfilledNeed()), new DirectoryInfo(_folder));
        var page = File.ReadAllText(Path.Combine(_folder, "report.html"));
        Assert.DoesNotContain("<script", page);
        Assert.Contains("&lt;script&gt;", page);
        Assert.Contains("A note with &lt;angles&gt;.", page);
    }

    [Fact]
    public void a_broken_promise_is_shown_with_its_streams()
    {
        var logs = Logs.OfAFulfilledNeed();
        logs.Recorded("waiting", "full");
        ReportWriter.Write(Make(logs), new DirectoryInfo(_folder));
        var page = File.ReadAllText(Path.Combine(_folder, "report.html"));
        Assert.Contains("promises broken", page);
        Assert.Contains($"matching stream {Logs.Need}", page);
    }

    [Fact]
    public void a_run_in_which_nothing_happened_has_a_report_too()
    {
        var json = Json(Make(new Logs()));
        Assert.Equal(0, json.GetProperty("needs").GetProperty("submitted").GetInt32());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("phases")[0].GetProperty("timeToOfferMs").GetProperty("p50").ValueKind);
    }

    [Theory]
    [InlineData(0.5, 2), InlineData(0.99, 4), InlineData(0.25, 1), InlineData(0, 1), InlineData(1, 4)]
    public void a_percentile_is_a_value_that_was_measured(double share, double expected) => Assert.Equal(expected, Report.Percentile([1, 2, 3, 4], share));
}
