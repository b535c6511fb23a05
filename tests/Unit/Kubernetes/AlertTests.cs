using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Matching.Domain;
using k8s;
using k8s.Models;
using Xunit;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>Alerts and charts ask for series that exist, and every alert says what to do.</summary>
public partial class AlertTests
{
    /// <summary>Series of others: the runtime's web server, RabbitMQ, CloudNativePG, kube-state-metrics, the kubelet.</summary>
    private static readonly string[] OfOthers =
    [
        "http_server_request_duration_seconds_count", "http_server_request_duration_seconds_bucket", "rabbitmq_detailed_queue_messages", "rabbitmq_alarms_memory_used_watermark",
        "rabbitmq_alarms_free_disk_space_watermark", "cnpg_collector_up", "cnpg_pg_replication_streaming_replicas",
        "cnpg_pg_stat_archiver_last_failed_time", "cnpg_pg_stat_archiver_last_archived_time", "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp", "kube_deployment_status_replicas_available",
        "kube_statefulset_status_replicas_ready", "kube_job_status_failed", "kube_cronjob_status_last_successful_time",
        "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
    ];

    private static readonly IReadOnlySet<string> Series = Code.Series();

    private static readonly IReadOnlyList<RuleGroup> Groups = [.. Manifests.Base.OfType<Resource<RuleSpec>>().SelectMany(resource => resource.Spec.Groups)];
    private static readonly IReadOnlyList<AlertRule> Alerts = [.. Groups.SelectMany(group => group.Rules).Where(rule => rule.Alert is not null)];
    private static readonly IReadOnlyList<AlertRule> Records = [.. Groups.SelectMany(group => group.Rules).Where(rule => rule.Record is not null)];
    private static readonly IReadOnlySet<string> Recorded = Records.Select(rule => rule.Record!).ToHashSet();

    public static TheoryData<string> EveryAlert => [.. Alerts.Select(alert => alert.Alert!)];
    public static TheoryData<string> EveryRecord => [.. Recorded];
    public static TheoryData<string> EveryObjective => [.. Records.Select(rule => rule.Labels.GetValueOrDefault("slo")).OfType<string>().Distinct()];

    [Theory, MemberData(nameof(EveryAlert))]
    public void an_alert_asks_for_series_that_exist(string alert) => AssertExist(Alerts.Single(each => each.Alert == alert).Expr);

    [Theory, MemberData(nameof(EveryRecord))]
    public void a_recorded_series_is_made_of_series_that_exist(string record) => Assert.All(Records.Where(rule => rule.Record == record), rule =>
    {
        // The objectives themselves are numbers.
        if (!rule.Expr.StartsWith("vector(", StringComparison.Ordinal))
            AssertExist(rule.Expr);
    });

    [Fact]
    public void a_rule_records_or_alerts() =>
        Assert.All(Groups.SelectMany(group => group.Rules), rule => Assert.True(rule.Alert is null != rule.Record is null, rule.Alert ?? rule.Record ?? rule.Expr));

    [Fact]
    public void the_charts_ask_for_series_that_exist()
    {
        var expressions = ChartExpressions();
        Assert.NotEmpty(expressions);
        Assert.All(expressions, AssertExist);
    }

    [Theory, MemberData(nameof(EveryAlert))]
    public void an_alert_leads_to_a_section_of_the_runbooks(string alert)
    {
        var said = Alerts.Single(each => each.Alert == alert);
        Assert.Contains(said.Labels["severity"], new[] { "critical", "warning" });
        Assert.NotEmpty(said.Annotations["summary"]);
        var link = new Uri(said.Annotations["runbook_url"], UriKind.Absolute);
        Assert.EndsWith(Runbooks, link.AbsolutePath);
        Assert.Contains(File.ReadLines(Path.Combine(Manifests.Repository, Runbooks[1..])), line => line.StartsWith("## ", StringComparison.Ordinal) && line[3..].ToLowerInvariant() == link.Fragment[1..]);
    }

    /// <summary>Every objective says what it is about and what it allows, has an alert for each pace, and stands in the documentation with its number.</summary>
    [Theory, MemberData(nameof(EveryObjective))]
    public void an_objective_is_recorded_watched_charted_and_promised(string objective)
    {
        var rules = Records.Where(rule => rule.Labels.GetValueOrDefault("slo") == objective).ToDictionary(rule => rule.Record!, rule => rule.Expr);
        Assert.Equal(["huzhu:slo_all:rate5m", "huzhu:slo_bad:rate5m", "huzhu:slo_objective:ratio"], rules.Keys.Order(StringComparer.Ordinal));
        var kept = decimal.Parse(rules["huzhu:slo_objective:ratio"]["vector(".Length..^1], CultureInfo.InvariantCulture);
        Assert.InRange(kept, 0.9m, 0.9999m);
        var watched = Alerts.Where(alert => alert.Expr.Contains($"{{slo=\"{objective}\"}}", StringComparison.Ordinal)).Select(alert => alert.Alert!).ToList();
        Assert.Equal(["Fast", "Slow"], watched.Select(alert => alert[^4..]).Order(StringComparer.Ordinal));
        Assert.Single(watched.Select(alert => alert[..^4]).Distinct());
        var row = Assert.Single(File.ReadLines(Path.Combine(Manifests.Repository, "docs", "operations", "objectives.md")), line => line.StartsWith($"| `{objective}` |", StringComparison.Ordinal));
        Assert.Contains($"| {(kept * 100).ToString("0.##", CultureInfo.InvariantCulture)} % |", row);
        Assert.Contains(ChartExpressions(), expression => expression.Contains("huzhu:slo_burn:rate30d", StringComparison.Ordinal));
    }

    /// <summary>A need's limit in the objective is where the policy that a new installation begins with escalates it, and a limit of the histogram.</summary>
    [Theory]
    [InlineData(Urgency.Health)]
    [InlineData(Urgency.Hardship)]
    [InlineData(Urgency.Routine)]
    public void a_need_is_late_when_it_is_escalated(Urgency urgency)
    {
        var limit = Policy.Default.For(urgency).EscalateAfterSeconds.ToString(CultureInfo.InvariantCulture);
        var bad = Records.Single(rule => rule.Record == "huzhu:slo_bad:rate5m" && rule.Labels["slo"] == "offer-others").Expr;
        Assert.Contains($"urgency=\"{Words.Of(urgency)}\", outcome=\"offered\", le=~\"{limit}(\\\\.0)?\"", bad);
    }

    /// <summary>A limit that no bucket has would find nothing, and everything would seem late.</summary>
    [Fact]
    public void a_limit_of_an_objective_is_a_limit_of_its_histogram()
    {
        var limits = Code.Limits();
        var asked = Records.SelectMany(rule => BucketAsked().Matches(rule.Expr)).Select(match => (Series: match.Groups["series"].Value, Limit: double.Parse(match.Groups["limit"].Value, CultureInfo.InvariantCulture)))
            .Where(each => each.Series.StartsWith("huzhu_", StringComparison.Ordinal)).Distinct().ToList();
        Assert.Equal(5, asked.Count);
        Assert.All(asked, each => Assert.Contains(each.Limit, limits[each.Series]));
    }

    [Fact]
    public void where_there_is_one_of_each_and_no_backup_nobody_is_told_so()
    {
        Assert.SkipWhen(Tool.Find("kubectl") is null, "kubectl is not installed, and renders the overlays.");
        string[] ofProduction = ["HuzhuArchivingFails", "HuzhuBackupStale", "HuzhuBrokerNodeDown", "HuzhuDatabaseAlone"];
        Assert.Equal(ofProduction, In("production").Intersect(ofProduction).Order());
        Assert.Empty(In("dev").Intersect(ofProduction));
        Assert.Equal(Alerts.Select(alert => alert.Alert!).Except(ofProduction).Order(), In("dev").Order());

        static IEnumerable<string> In(string overlay) => Rendered(overlay).Select(alert => alert.Alert!);
    }

    /// <summary>The address stands in one place of the overlay, and in every alert.</summary>
    [Fact]
    public void an_overlay_says_once_where_its_runbooks_are()
    {
        Assert.SkipWhen(Tool.Find("kubectl") is null, "kubectl is not installed, and renders the overlays.");
        var folder = Path.Combine(Manifests.Folder, "overlays", "production", "kustomization.yaml");
        var address = Assert.Single(Manifests.KustomizationOf("overlays/production").ConfigMapGenerator, generator => generator.Name == "runbooks").Literals.Single()["url=".Length..];
        Assert.Single(File.ReadLines(folder), line => line.Contains(address, StringComparison.Ordinal));
        Assert.DoesNotContain(Manifests.Load(Manifests.Render("production")!).OfType<V1ConfigMap>(), map => map.Metadata.Name.StartsWith("runbooks", StringComparison.Ordinal));
        Assert.Equal(Alerts.Count, Rendered("production").Count);
        Assert.All(Rendered("production"), alert => Assert.StartsWith(address + "#huzhu", alert.Annotations["runbook_url"]));
    }

    [Fact]
    public void queues_in_alerts_are_the_queues_that_are_read()
    {
        var pattern = QueuePattern().Match(Alerts.Single(alert => alert.Alert == "HuzhuQueueWaits").Expr).Groups[1].Value;
        Assert.All(Manifests.Services.SelectMany(Code.QueuesOf), queue => Assert.Matches($"^({pattern})$", queue));
        var aside = QueuePattern().Match(Alerts.Single(alert => alert.Alert == "HuzhuMessagesSetAside").Expr).Groups[1].Value;
        Assert.All(Manifests.Services.SelectMany(Code.QueuesOf), queue => Assert.Matches($"^({aside})$", queue + "_error"));
        Assert.Matches($"^({aside})$", Manifests.Base.Named<Resource<QueueSpec>>("dead-letters").Spec.Name);
    }

    public static TheoryData<string> EveryFileOfRules => ["alerts.yaml", "objectives.yaml"];

    [Fact]
    public void every_rule_is_in_a_file_that_has_cases()
    {
        var files = Manifests.KustomizationOf("base").Resources.Where(file => Manifests.Documents(File.ReadAllText(Path.Combine(Manifests.Folder, "base", file))).Exists(document => (string)document["kind"] == "PrometheusRule"));
        Assert.Equal(EveryFileOfRules.Select(file => $"monitoring/{file.Data}").Order(), files.Order());
    }

    [Theory, MemberData(nameof(EveryFileOfRules))]
    public void every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(string file)
    {
        var cases = Manifests.Documents(File.ReadAllText(Path.Combine(Monitoring, CasesOf(file)))).Single();
        var tests = ((List<object>)cases["tests"]).Cast<Dictionary<object, object>>().SelectMany(test => (List<object>)test["alert_rule_test"]).Cast<Dictionary<object, object>>()
            .Select(test => ((string)test["alertname"], Fires: test.TryGetValue("exp_alerts", out var expected) && expected is List<object> { Count: > 0 })).ToList();
        var alerts = RulesOf(file).SelectMany(group => (List<object>)group["rules"]).Cast<Dictionary<object, object>>().Where(rule => rule.ContainsKey("alert")).Select(rule => (string)rule["alert"]).Order().ToList();
        Assert.NotEmpty(alerts);
        Assert.Equal(alerts, tests.Where(test => test.Fires).Select(test => test.Item1).Distinct().Order());
        Assert.Equal(alerts, tests.Where(test => !test.Fires).Select(test => test.Item1).Distinct().Order());
    }

    /// <summary>promtool, of Debian's package prometheus, plays the cases wherever it is there or can be installed.</summary>
    [Theory, MemberData(nameof(EveryFileOfRules))]
    public async Task alert_rules_fire_when_they_should(string file)
    {
        var cancellation = TestContext.Current.CancellationToken;
        string promtool;
        try
        {
            promtool = await Provisioning.FindOrInstallPromtoolAsync(Local.Infrastructure.Repository.Find(), Narrator.ToOutput(), cancellation);
        }
        catch (MissingRequirementException missing)
        {
            Assert.Skip(missing.Message);
            return;
        }

        var work = Directory.CreateTempSubdirectory("huzhu-alerts-");
        try
        {
            var rules = new Dictionary<string, object> { ["groups"] = RulesOf(file) };
            await File.WriteAllTextAsync(Path.Combine(work.FullName, file), KubernetesYaml.Serialize(rules), cancellation);
            // promtool looks for the rules beside their cases.
            var cases = Path.Combine(work.FullName, CasesOf(file));
            File.Copy(Path.Combine(Monitoring, CasesOf(file)), cases);
            var played = await Tool.RunAsync(promtool, ["test", "rules", cases], TimeSpan.FromMinutes(2), cancellation: cancellation);
            Assert.True(played.Succeeded, played.Output);
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    private const string Runbooks = "/docs/operations/runbooks.md";

    private static readonly string Monitoring = Path.Combine(Manifests.Folder, "base", "monitoring");

    private static string CasesOf(string file) => Path.ChangeExtension(file, ".test.yaml");

    /// <summary>The groups of a file, as they are written.</summary>
    private static List<Dictionary<object, object>> RulesOf(string file) =>
        [.. Manifests.Documents(File.ReadAllText(Path.Combine(Monitoring, file))).SelectMany(document => (List<object>)((Dictionary<object, object>)document["spec"])["groups"]).Cast<Dictionary<object, object>>()];

    private static List<AlertRule> Rendered(string overlay) =>
        [.. Manifests.Load(Manifests.Render(overlay)!).OfType<Resource<RuleSpec>>().SelectMany(resource => resource.Spec.Groups).SelectMany(group => group.Rules).Where(rule => rule.Alert is not null)];

    /// <summary>Of all panels, those in rows too.</summary>
    private static List<string> ChartExpressions()
    {
        var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Monitoring, "huzhu.json"))).RootElement;
        return [.. dashboard.GetProperty("panels").EnumerateArray().Where(panel => panel.GetProperty("type").GetString() != "row")
            .SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target => target.GetProperty("expr").GetString()!)];
    }

    private static void AssertExist(string expression)
    {
        var bare = NoSeries().Replace(expression, " ");
        var asked = SeriesName().Matches(bare).Select(match => match.Value).ToList();
        Assert.NotEmpty(asked);
        Assert.DoesNotContain(asked, name => !Series.Contains(name) && !OfOthers.Contains(name) && !Recorded.Contains(name));
    }

    /// <summary>Selectors, labels and texts, which hold no names of series.</summary>
    [GeneratedRegex(@"\{[^}]*\}|(by|on|without|group_left|group_right)\s*\([^)]*\)|""[^""]*""")]
    private static partial Regex NoSeries();

    [GeneratedRegex(@"\b[a-z][a-z0-9]*([_:][a-z0-9]+)+\b(?!\s*\()")]
    private static partial Regex SeriesName();

    [GeneratedRegex(@"(?<series>\w+)_bucket\{[^}]*le=~?""(?<limit>[0-9.]+)")]
    private static partial Regex BucketAsked();

    [GeneratedRegex(@"queue=~""([^""]+)""")]
    private static partial Regex QueuePattern();
}
