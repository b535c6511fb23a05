using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using k8s;
using Xunit;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>Alerts and charts ask for series that exist, and every alert says what to do.</summary>
public partial class AlertTests
{
    /// <summary>Series of others: the runtime's web server, RabbitMQ, CloudNativePG, kube-state-metrics, the kubelet.</summary>
    private static readonly string[] OfOthers =
    [
        "http_server_request_duration_seconds_count", "rabbitmq_detailed_queue_messages", "rabbitmq_alarms_memory_used_watermark",
        "rabbitmq_alarms_free_disk_space_watermark", "cnpg_collector_up", "cnpg_pg_replication_streaming_replicas", "kube_deployment_status_replicas_available",
        "kube_statefulset_status_replicas_ready", "kube_job_status_failed", "kube_cronjob_status_last_successful_time",
        "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
    ];

    private static readonly IReadOnlySet<string> Series = Code.Series();

    private static readonly IReadOnlyList<AlertRule> Alerts = [.. Manifests.Base.Named<Resource<RuleSpec>>("huzhu").Spec.Groups.SelectMany(group => group.Rules)];

    public static TheoryData<string> EveryAlert => [.. Alerts.Select(alert => alert.Alert)];

    [Theory, MemberData(nameof(EveryAlert))]
    public void an_alert_asks_for_series_that_exist(string alert) => AssertExist(Alerts.Single(each => each.Alert == alert).Expr);

    [Fact]
    public void the_charts_ask_for_series_that_exist()
    {
        var dashboard = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Path.Combine(Manifests.Folder, "base", "monitoring", "huzhu.json"))).RootElement;
        var expressions = dashboard.GetProperty("panels").EnumerateArray().SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target => target.GetProperty("expr").GetString()!).ToList();
        Assert.NotEmpty(expressions);
        Assert.All(expressions, AssertExist);
    }

    [Theory, MemberData(nameof(EveryAlert))]
    public void an_alert_leads_to_a_section_of_the_runbooks(string alert)
    {
        var said = Alerts.Single(each => each.Alert == alert);
        Assert.Contains(said.Labels["severity"], new[] { "critical", "warning" });
        Assert.NotEmpty(said.Annotations["summary"]);
        var link = said.Annotations["runbook"].Split('#');
        Assert.Contains(File.ReadLines(Path.Combine(Manifests.Repository, link[0])), line => line.StartsWith("## ", StringComparison.Ordinal) && line[3..].ToLowerInvariant() == link[1]);
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

    /// <summary>
    /// Every alert has a case in which it fires and one in which it does not. With HUZHU_CONTAINERS=1 promtool, of Debian's
    /// package prometheus, plays them all.
    /// </summary>
    [Fact]
    public async Task alert_rules_fire_when_they_should()
    {
        var folder = Path.Combine(Manifests.Folder, "base", "monitoring");
        var cases = Manifests.Documents(await File.ReadAllTextAsync(Path.Combine(folder, "alerts.test.yaml"), TestContext.Current.CancellationToken)).Single();
        var tests = ((List<object>)cases["tests"]).Cast<Dictionary<object, object>>().SelectMany(test => (List<object>)test["alert_rule_test"]).Cast<Dictionary<object, object>>()
            .Select(test => ((string)test["alertname"], Fires: test.TryGetValue("exp_alerts", out var expected) && expected is List<object> { Count: > 0 })).ToList();
        Assert.Equal(Alerts.Select(alert => alert.Alert).Order(), tests.Where(test => test.Fires).Select(test => test.Item1).Distinct().Order());
        Assert.Equal(Alerts.Select(alert => alert.Alert).Order(), tests.Where(test => !test.Fires).Select(test => test.Item1).Distinct().Order());
        if (Environment.GetEnvironmentVariable("HUZHU_CONTAINERS") != "1")
            return;

        var work = Directory.CreateTempSubdirectory("huzhu-alerts-");
        try
        {
            var rules = Manifests.Documents(await File.ReadAllTextAsync(Path.Combine(folder, "alerts.yaml"), TestContext.Current.CancellationToken)).Single()["spec"];
            await File.WriteAllTextAsync(Path.Combine(work.FullName, "alerts.yaml"), KubernetesYaml.Serialize(rules), TestContext.Current.CancellationToken);
            File.Copy(Path.Combine(folder, "alerts.test.yaml"), Path.Combine(work.FullName, "alerts.test.yaml"));
            using var promtool = Process.Start(new ProcessStartInfo("promtool", ["test", "rules", "alerts.test.yaml"]) { WorkingDirectory = work.FullName, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var said = await promtool.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken) + await promtool.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await promtool.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(promtool.ExitCode == 0, said);
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    private static void AssertExist(string expression)
    {
        var bare = NoSeries().Replace(expression, " ");
        var asked = SeriesName().Matches(bare).Select(match => match.Value).ToList();
        Assert.NotEmpty(asked);
        Assert.DoesNotContain(asked, name => !Series.Contains(name) && !OfOthers.Contains(name));
    }

    /// <summary>Selectors, labels and texts, which hold no names of series.</summary>
    [GeneratedRegex(@"\{[^}]*\}|(by|on|without|group_left|group_right)\s*\([^)]*\)|""[^""]*""")]
    private static partial Regex NoSeries();

    [GeneratedRegex(@"\b[a-z][a-z0-9]*(_[a-z0-9]+)+\b(?!\s*\()")]
    private static partial Regex SeriesName();

    [GeneratedRegex(@"queue=~""([^""]+)""")]
    private static partial Regex QueuePattern();
}
