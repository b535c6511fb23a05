using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Xunit;

namespace Huzhu.Tests.Unit.Scenarios;

public sealed class Haiti2010Tests : IDisposable
{
    const string Header = "serial,reported_at,latitude,longitude,category_codes";
    readonly string _folder = Directory.CreateTempSubdirectory("huzhu-haiti-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    string File(string name, params string[] lines)
    {
        var path = Path.Combine(_folder, name);
        System.IO.File.WriteAllText(path, string.Join('\n', lines) + "\n");
        return path;
    }

    string Services(params string[] codes) => File("services.csv",
        [Header, .. codes.Select((code, index) => $"{index + 1},2010-01-13T0{index % 10}:00:00Z,18.54,-72.33,{code}")]);

    Scenario Build(string[] needs, params string[] services) =>
        Haiti2010.Build(File("needs.csv", [Header, .. needs]), Services(services.Length > 0 ? services : ["7d", "7"]), 1);

    static string Row(string codes, int serial = 1, string at = "2010-01-12T08:01:00Z") => $"{serial},{at},18.53927,-72.33641,{codes}";

    [Theory]
    [InlineData("1b", ServiceKinds.MedicalCare, Urgency.LifeThreatening), InlineData("2a", ServiceKinds.Meals, Urgency.Hardship)]
    [InlineData("2b", ServiceKinds.Water, Urgency.Health), InlineData("3c", ServiceKinds.Medicine, Urgency.Health), InlineData("3e", ServiceKinds.Counselling, Urgency.Health)]
    [InlineData("8d", ServiceKinds.Rescue, Urgency.LifeThreatening), InlineData("2D", ServiceKinds.Shelter, Urgency.Hardship)]
    [InlineData("", ServiceKinds.BasicNeeds, Urgency.Hardship), InlineData("zz", ServiceKinds.BasicNeeds, Urgency.Routine), InlineData("3q", ServiceKinds.MedicalCare, Urgency.Health)]
    public void a_category_asks_for_a_service_kind(string codes, string kind, Urgency urgency)
    {
        var request = Assert.Single(Build([Row(codes)]).Requests);
        Assert.Equal(kind, Assert.Single(request.Needs).Kind);
        Assert.Equal(urgency, request.Urgency);
    }

    [Theory]
    [InlineData("2a 2b"), InlineData("\"2a 2b\""), InlineData("\"2a, 2b\""), InlineData("2a;2b"), InlineData("2a  2b 2a"), InlineData("2 2a 2b"), InlineData("2a.2b.")]
    public void several_codes_are_one_call_with_several_needs(string codes)
    {
        var request = Assert.Single(Build([Row(codes)]).Requests);
        Assert.Equal([ServiceKinds.Meals, ServiceKinds.Water], request.Needs.Select(need => need.Kind).Order(StringComparer.Ordinal).Reverse().Order(StringComparer.Ordinal).OrderBy(kind => kind != ServiceKinds.Meals));
        Assert.Equal(Urgency.Health, request.Urgency);
    }

    [Fact]
    public void hospitals_are_providers_and_all_others_groups()
    {
        var scenario = Build([Row("1")], "7d", "7 7d", "7a", "7c", "7", "7b", "");
        Assert.Equal(2, scenario.Providers.Count());
        var groups = scenario.Responders.Where(responder => !responder.IsProvider).ToList();
        Assert.Equal([ServiceKinds.Meals], groups[0].ServiceKinds);
        Assert.Contains(groups[1].ServiceKinds, kind => ServiceKinds.Covers(kind, ServiceKinds.Goods));
        Assert.Equal(4, groups[2].ServiceKinds.Count);
        Assert.Equal([ServiceKinds.Water], groups[3].ServiceKinds);
        Assert.Equal(4, groups[4].ServiceKinds.Count);
    }

    [Fact]
    public void calls_are_replayed_in_the_order_of_their_time_whatever_the_order_of_the_file()
    {
        var scenario = Build([Row("1", 3, "2010-01-15T00:00:00Z"), Row("1", 1, "2010-01-12T00:00:00Z"), Row("1", 2, "2010-01-13T00:00:00Z")]);
        Assert.Equal(["report-1", "report-2", "report-3"], scenario.Requests.Select(request => request.Key));
        Assert.True(scenario.Requests[0].ArrivalDay < scenario.Requests[1].ArrivalDay && scenario.Requests[1].ArrivalDay < scenario.Requests[2].ArrivalDay);
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(10), InlineData(400)]
    public void half_of_the_calls_come_before_the_closure_and_some_after_the_reopening(int count)
    {
        var scenario = Build([.. Enumerable.Range(1, count).Select(serial => Row("1", serial, $"2010-01-{12 + serial % 15:00}T{serial % 24:00}:00:00Z"))]);
        var counts = scenario.Requests.CountBy(request => scenario.Calendar.PhaseOf(request.ArrivalDay)).ToDictionary();
        Assert.Equal((count + 1) / 2, counts[Phase.Open]);
        Assert.True(scenario.Calendar.ClosureDay < scenario.Calendar.ReopeningDay && scenario.Calendar.ReopeningDay < scenario.Calendar.PhasesEndDay);
        if (count >= 10)
            Assert.True(counts[Phase.Lockdown] > counts[Phase.Recovery] && counts[Phase.Recovery] > 0);
    }

    [Fact]
    public void calls_of_one_moment_are_spread()
    {
        var scenario = Build([.. Enumerable.Range(1, 20).Select(serial => Row("1", serial))]);
        Assert.Equal(20, scenario.Requests.Select(request => request.ArrivalDay).Distinct().Count());
        Assert.True(double.IsFinite(scenario.Calendar.SecondsPerDay) && scenario.Calendar.SecondsPerDay > 0);
    }

    [Fact]
    public void a_long_silence_does_not_stop_the_replay()
    {
        var scenario = Build([Row("1", 1, "1990-01-01T00:00:00Z"), Row("1", 2), Row("1", 3, "2010-01-12T09:00:00Z"), Row("1", 4, "2030-01-01T00:00:00Z")]);
        Assert.True(scenario.Calendar.SecondsAt(scenario.Calendar.PhasesEndDay) < 60);
    }

    [Fact]
    public void a_bad_row_is_named_by_its_line_and_left_out()
    {
        var scenario = Build([Row("1"), "2,yesterday,18.5,-72.3,1", "3,2010-01-12T08:01:00Z,95,-72.3,1", "4,2010-01-12T08:01:00Z,18.5", "", Row("2a", 5), Row("2a", 6), Row("2b", 7)]);
        Assert.Equal(4, scenario.Requests.Count);
        Assert.Contains(scenario.Notes, note => note.Contains("line 3") && note.Contains("yesterday"));
        Assert.Contains(scenario.Notes, note => note.Contains("line 4") && note.Contains("95"));
        Assert.Contains(scenario.Notes, note => note.Contains("line 5"));
    }

    [Fact]
    public void a_stray_quote_spoils_its_own_row_only()
    {
        var scenario = Build([Row("1"), "2,2010-01-12T09:00:00Z,18.5,-72.3,\"2a", Row("2a", 3), Row("2b", 4)]);
        Assert.Equal(4, scenario.Requests.Count);
        Assert.Equal(ServiceKinds.Meals, scenario.Requests.Single(request => request.Key == "report-2").Needs.Single().Kind);
    }

    [Fact]
    public void two_calls_under_one_serial_are_two_calls()
    {
        var scenario = Build([Row("1", 7), Row("2a", 7), Row("2b", 7)]);
        Assert.Equal(3, scenario.Requests.Select(request => request.Key).Distinct().Count());
        Assert.Equal(3, scenario.Requests.Select(request => request.PersonRef).Distinct().Count());
    }

    [Fact]
    public void columns_are_found_by_their_names()
    {
        var needs = File("needs.csv", "Category_Codes, latitude ,longitude,reported_at,serial,extra", "2a,18.5,-72.3,2010-01-12T08:01:00Z,9,x");
        Assert.Equal("report-9", Haiti2010.Build(needs, Services("7d"), 1).Requests.Single().Key);
    }

    [Fact]
    public void what_cannot_be_used_is_refused_with_the_reason()
    {
        var services = Services("7d");
        void Refused(string mention, params string[] lines)
        {
            var refusal = Assert.Throws<UsageException>(() => Haiti2010.Build(File("bad.csv", lines), services, 1));
            Assert.Contains(mention, refusal.Message);
            Assert.Contains("bad.csv", refusal.Message);
        }
        Refused("category_codes", "serial,reported_at,latitude,longitude", "1,2010-01-12T08:01:00Z,18.5,-72.3");
        Refused("serial", "");
        Refused("no row can be used", Header);
        Refused("line 2", Header, "1,never,18.5,-72.3,1");
        Refused("too many", Header, Row("1"), "2,never,18.5,-72.3,1", "3,never,18.5,-72.3,1");
        Assert.Throws<UsageException>(() => Haiti2010.Build(Path.Combine(_folder, "missing.csv"), services, 1));
    }

    [Fact]
    public void files_without_a_hospital_still_make_a_story()
    {
        var scenario = Build([Row("1"), Row("2a", 2)], "7a", "7");
        Assert.Empty(scenario.Providers);
        Assert.Contains(scenario.Notes, note => note.Contains("7d"));
        Assert.Equal(0, OnPaper.Run(scenario, withGroups: true).HeldAtClosure);
    }
}
