using System.Text.RegularExpressions;
using Huzhu.ServiceDefaults;
using k8s.Models;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>The manifests by themselves: that a cluster would take them, and that they say what every pod of ours must say.</summary>
public partial class ManifestTests
{
    public static TheoryData<string> EveryFile => [.. Manifests.ResourceFiles];
    public static TheoryData<string> EveryOverlay => [.. Manifests.Overlays];

    [Theory, MemberData(nameof(EveryFile))]
    public void a_file_has_no_unknown_field(string file) => Assert.NotEmpty(Manifests.Load(File.ReadAllText(Path.Combine(Manifests.Folder, file))));

    /// <summary>The API takes no number where it wants a text, and our types do not mind.</summary>
    [Theory, MemberData(nameof(EveryFile))]
    public void a_text_that_looks_like_a_number_is_quoted(string file)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(File.ReadAllText(Path.Combine(Manifests.Folder, file))));
        string[] texts = ["labels", "matchLabels", "annotations", "parameters"];
        var wrong = stream.Documents.SelectMany(document => document.AllNodes.OfType<YamlMappingNode>()).SelectMany(node => node.Children)
            .SelectMany(field => (field.Key, field.Value) switch
            {
                (YamlScalarNode { Value: { } key }, YamlMappingNode map) when texts.Contains(key) || key == "metadata" && map.Children.ContainsKey("protocol") => map.Children.Values.OfType<YamlScalarNode>(),
                (YamlScalarNode { Value: "args" or "values" }, YamlSequenceNode list) => list.OfType<YamlScalarNode>(),
                _ => [],
            })
            .Concat(stream.Documents.SelectMany(document => document.AllNodes.OfType<YamlSequenceNode>()).SelectMany(list => list.OfType<YamlMappingNode>())
                .Where(item => item.Children.ContainsKey("name") && item.Children.ContainsKey("value")).Select(item => item.Children["value"]).OfType<YamlScalarNode>())
            .Where(scalar => scalar.Style == YamlDotNet.Core.ScalarStyle.Plain && LooksTyped().IsMatch(scalar.Value ?? ""));
        Assert.Empty(wrong.Select(scalar => $"line {scalar.Start.Line}: {scalar.Value}"));
    }

    [Fact]
    public void every_file_is_part_of_the_base_or_an_overlay_and_every_part_is_there()
    {
        var named = new[] { "base" }.Concat(Manifests.Overlays.Select(overlay => $"overlays/{overlay}")).SelectMany(folder =>
        {
            var kustomization = Manifests.KustomizationOf(folder);
            return kustomization.Resources.Concat(kustomization.Patches.Select(patch => patch.Path).OfType<string>())
                .Concat(kustomization.ConfigMapGenerator.SelectMany(generator => generator.Files).Select(file => file[(file.IndexOf('=') + 1)..]))
                .Select(part => Path.GetRelativePath(Manifests.Folder, Path.GetFullPath(Path.Combine(Manifests.Folder, folder, part))));
        }).ToHashSet();
        Assert.DoesNotContain(named, part => !Path.Exists(Path.Combine(Manifests.Folder, part)));
        Assert.Empty(Manifests.ResourceFiles.Except(named));
    }

    [Fact]
    public void every_patch_meets_something()
    {
        var resources = Manifests.Overlays.Select(overlay => $"overlays/{overlay}").Prepend("base").SelectMany(folder => Manifests.KustomizationOf(folder).Resources.Select(part => Path.Combine(Manifests.Folder, folder, part)))
            .Where(File.Exists).SelectMany(file => Manifests.Documents(File.ReadAllText(file))).ToList();
        // The namespace of a production deployment comes with its resources, those of the drill with its own.
        foreach (var folder in Manifests.Overlays.Select(overlay => $"overlays/{overlay}").Prepend("base"))
            Assert.All(Manifests.KustomizationOf(folder).Patches, patch => Assert.Contains(resources, patch.Target!.Matches));
    }

    [Fact]
    public void an_overlay_names_every_image_of_ours()
    {
        var images = Manifests.Base.Pods().SelectMany(pod => pod.Template.Spec.Containers).Select(container => container.Image).Where(image => image.StartsWith("huzhu/", StringComparison.Ordinal)).ToHashSet();
        Assert.Equal(Manifests.Answering.Select(name => $"huzhu/{name}").Order(), images.Order());
        foreach (var overlay in new[] { "dev", "production" })
            Assert.Equal(images.Order(), Manifests.KustomizationOf($"overlays/{overlay}").Images.Select(image => image.Name).Order());
    }

    [Fact]
    public void the_base_is_safe_and_steady() => AssertSafeAndSteady(Manifests.Base);

    /// <summary>Where there is a kubectl, what it makes of an overlay is held to the same; elsewhere the base stands for all.</summary>
    [Theory, MemberData(nameof(EveryOverlay))]
    public void an_overlay_renders_and_is_as_safe(string overlay)
    {
        if (Manifests.Render(overlay) is { } yaml)
            AssertSafeAndSteady(Manifests.Load(yaml));
        else
            AssertSafeAndSteady(Manifests.Base);
    }

    private static void AssertSafeAndSteady(IReadOnlyList<object> resources)
    {
        var claimed = resources.OfType<V1Deployment>().Select(deployment => deployment.Name()).ToList();
        Assert.Equal(Manifests.Answering.Append("otel-collector").Order(), claimed.Order());
        Assert.All(resources.Pods(), pod =>
        {
            var (of, spec) = (pod.Of, pod.Template.Spec);
            Assert.True(spec.SecurityContext is { RunAsNonRoot: true, RunAsUser: > 0, SeccompProfile.Type: "RuntimeDefault" }, of);
            Assert.True(spec is { AutomountServiceAccountToken: false, HostNetwork: null, HostPID: null, HostIPC: null }, of);
            Assert.DoesNotContain(spec.Volumes ?? [], volume => volume.HostPath is not null);
            Assert.All(spec.Containers.Concat(spec.InitContainers ?? []), container =>
            {
                Assert.True(container.SecurityContext is { AllowPrivilegeEscalation: false, ReadOnlyRootFilesystem: true, Privileged: null, Capabilities: { Add: null, Drop: ["ALL"] } }, of);
                Assert.True(container.Resources?.Requests?.ContainsKey("cpu") == true && container.Resources.Limits?.ContainsKey("memory") == true, $"{of}: resources");
                // Secrets come by reference only.
                Assert.DoesNotContain(container.Env ?? [], variable => variable.Value is { } value && SecretInside().IsMatch(variable.Name) && !value.Contains("$(", StringComparison.Ordinal));
                Assert.All(container.VolumeMounts ?? [], mount => Assert.Contains(spec.Volumes!, volume => volume.Name == mount.Name));
            });
        });
        Assert.All(resources.OfType<V1Deployment>().Where(deployment => Manifests.Answering.Contains(deployment.Name())), deployment =>
        {
            var spec = deployment.Spec.Template.Spec;
            Assert.True(spec.Containers.Single() is { LivenessProbe: not null, ReadinessProbe: not null, StartupProbe: not null }, deployment.Name());
            Assert.NotEmpty(spec.TopologySpreadConstraints);
            Assert.All(spec.TopologySpreadConstraints, spread => Assert.True(Selects(spread.LabelSelector, deployment.Spec.Template.Metadata.Labels), deployment.Name()));
        });
        Assert.Single(resources.OfType<V1NetworkPolicy>(), policy => policy.Spec is { PodSelector.MatchLabels: null, PodSelector.MatchExpressions: null, Ingress: null, Egress: null, PolicyTypes: ["Ingress", "Egress"] });
        Assert.Empty(resources.OfType<V1Secret>());
        Assert.Empty(resources.OfType<V2HorizontalPodAutoscaler>());
    }

    [Fact]
    public void every_service_and_server_keeps_running_while_nodes_are_drained()
    {
        var budgets = Manifests.Base.OfType<V1PodDisruptionBudget>().ToDictionary(budget => budget.Name());
        Assert.All(Manifests.Base.OfType<V1Deployment>(), deployment =>
        {
            Assert.Equal("1", budgets[deployment.Name()].Spec.MaxUnavailable.Value);
            Assert.Equal(deployment.Spec.Selector.MatchLabels, budgets[deployment.Name()].Spec.Selector.MatchLabels);
        });
        Assert.Equal("1", budgets["broker"].Spec.MaxUnavailable.Value);
    }

    [Fact]
    public void what_is_acknowledged_is_on_two_machines()
    {
        var broker = Manifests.Base.Named<Resource<BrokerSpec>>("broker").Spec;
        Assert.Equal(3, broker.Replicas);
        // From this version on nodes that were parted join again by themselves; the setting that stood for it says nothing any more.
        Assert.True(Version.Parse(broker.Image.Split(':')[1].Split('-')[0]) >= new Version(4, 2), broker.Image);
        Assert.DoesNotContain("cluster_partition_handling", broker.Rabbitmq.AdditionalConfig);
        Assert.All(Manifests.Services, service =>
        {
            var database = Manifests.Base.Named<Resource<DatabaseSpec>>($"{service}-db").Spec;
            Assert.Equal(3, database.Instances);
            Assert.Equal(new DatabaseSynchronous { Method = "any", Number = 1, DataDurability = "required" }, database.Postgresql.Synchronous);
        });
    }

    /// <summary>One node can mount the volume: a pod that goes elsewhere would wait for ever beside one that serves for ever.</summary>
    [Fact]
    public void all_that_use_the_volume_of_the_seals_run_on_its_node()
    {
        var users = Manifests.Base.Pods().Where(pod => (pod.Template.Spec.Volumes ?? []).Any(volume => volume.PersistentVolumeClaim?.ClaimName == "audit-seals")).ToList();
        Assert.Equal(["cron job audit-seal", "cron job audit-verify", "deployment audit"], users.Select(pod => pod.Of).Order());
        Assert.All(users, pod =>
        {
            var near = Assert.Single(pod.Template.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution);
            Assert.Equal("kubernetes.io/hostname", near.TopologyKey);
            // The first of them matches itself, or it could run nowhere.
            Assert.All(users, other => Assert.True(Selects(near.LabelSelector, other.Template.Metadata.Labels), pod.Of));
        });
        var writers = users.Where(pod => pod.Template.Spec.Containers.SelectMany(container => container.VolumeMounts).Any(mount => mount.Name == "seals" && mount.ReadOnlyProperty is not true));
        Assert.Equal("cron job audit-seal", Assert.Single(writers).Of);
    }

    /// <summary>Health and metrics are for the cluster; what an ingress leads to listens there.</summary>
    [Fact]
    public void nothing_but_pages_and_interfaces_is_open_to_the_outside()
    {
        var ingress = Manifests.Base.OfType<V1Ingress>().Single();
        var services = Manifests.Base.OfType<V1Service>().ToDictionary(service => service.Name());
        Assert.Equal(ingress.Spec.Rules.Select(rule => rule.Host).Order(), ingress.Spec.Tls.SelectMany(tls => tls.Hosts).Order());
        Assert.Equal(Manifests.Services.Append("console").Order(), ingress.Spec.Rules.Select(rule => rule.Host.Split('.')[0]).Order());
        Assert.Null(services["nobody"].Spec.Selector);
        Assert.All(ingress.Spec.Rules, rule =>
        {
            var name = rule.Host.Split('.')[0];
            Assert.All(rule.Http.Paths, path => Assert.True(path.PathType == "Prefix" && path.Backend.Service.Port.Name == "http", rule.Host));
            Assert.Equal(name, BackendOf(name == "console" ? "/calls/new" : "/v1/anything"));
            foreach (var closed in new[] { Hosting.LivePath, Hosting.ReadyPath, Hosting.MetricsPath })
                Assert.Contains(BackendOf(closed), new[] { null, "nobody" });

            // The longest path that leads there wins.
            string? BackendOf(string asked) => rule.Http.Paths.Where(path => path.Path == "/" || asked == path.Path || asked.StartsWith(path.Path + "/", StringComparison.Ordinal))
                .MaxBy(path => path.Path.Length)?.Backend.Service.Name;
        });
        Assert.All(Manifests.Answering, name => Assert.True(Selects(new V1LabelSelector { MatchLabels = services[name].Spec.Selector }, Manifests.Base.Named<V1Deployment>(name).Spec.Template.Metadata.Labels), name));
    }

    [Fact]
    public void a_flow_that_is_let_out_is_let_in()
    {
        var policies = Manifests.Base.OfType<V1NetworkPolicy>().Where(policy => policy.Name() != "deny-by-default").ToList();
        var pods = Manifests.Base.Pods().Select(pod => pod.Template.Metadata.Labels)
            .Append(new Dictionary<string, string> { ["app.kubernetes.io/name"] = "broker" })
            .Concat(Manifests.Services.Select(service => new Dictionary<string, string> { ["cnpg.io/cluster"] = $"{service}-db" })).ToList();
        var outwards = Flows(policy => policy.Spec.Egress?.Select(rule => (rule.To, rule.Ports)) ?? []).ToHashSet();
        var inwards = Flows(policy => policy.Spec.Ingress?.Select(rule => (rule.FromProperty, rule.Ports)) ?? []).Select(flow => (flow.Other, flow.Own, flow.Port)).ToHashSet();
        Assert.NotEmpty(outwards);
        Assert.Equal(outwards.Select(flow => $"{flow.Own} → {flow.Other}:{flow.Port}").Order(), inwards.Select(flow => $"{flow.Other} → {flow.Own}:{flow.Port}").Order());

        // Between pods of this namespace only: what comes from elsewhere is let out elsewhere.
        IEnumerable<(string Own, string Other, string Port)> Flows(Func<V1NetworkPolicy, IEnumerable<(IList<V1NetworkPolicyPeer>, IList<V1NetworkPolicyPort>)>> rules) =>
            from policy in policies
            from own in pods
            where Selects(policy.Spec.PodSelector, own)
            from rule in rules(policy)
            from peer in rule.Item1 ?? []
            where peer is { PodSelector: not null, NamespaceSelector: null }
            from other in pods
            where Selects(peer.PodSelector, other)
            from port in rule.Item2
            select (Name(own), Name(other), port.Port.Value);

        static string Name(IDictionary<string, string> labels) => string.Join(' ', labels.Values.Order());
    }

    internal static bool Selects(V1LabelSelector selector, IDictionary<string, string> labels) =>
        (selector.MatchLabels ?? new Dictionary<string, string>()).All(wanted => labels.TryGetValue(wanted.Key, out var value) && value == wanted.Value)
        && (selector.MatchExpressions ?? []).All(wanted => wanted.OperatorProperty switch
        {
            "In" => labels.TryGetValue(wanted.Key, out var value) && wanted.Values.Contains(value),
            "Exists" => labels.ContainsKey(wanted.Key),
            _ => throw new NotSupportedException(wanted.OperatorProperty),
        });

    [GeneratedRegex(@"^([-+]?[0-9][0-9_.e]*|true|false|on|off|yes|no|null|~)$", RegexOptions.IgnoreCase)]
    private static partial Regex LooksTyped();

    [GeneratedRegex("(key|secret|password|token)$|^connectionstrings", RegexOptions.IgnoreCase)]
    private static partial Regex SecretInside();
}
