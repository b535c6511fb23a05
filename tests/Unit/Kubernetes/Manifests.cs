using System.Diagnostics;
using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using k8s;
using k8s.Models;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>The manifests under deploy/k8s: each file as it is written, the base with its patches, and what kubectl makes of an overlay.</summary>
static partial class Manifests
{
    public static readonly string Repository = Local.Infrastructure.Repository.Find().Root;
    public static readonly string Folder = Path.Combine(Repository, "deploy", "k8s");
    public static readonly string[] Overlays = ["dev", "production", "surge-drill"];
    public static readonly string[] Services = [.. Local.Infrastructure.Repository.ServiceNames];
    /// <summary>The services and those that only show what they know: whatever answers HTTP.</summary>
    public static readonly string[] Answering = [.. Services, Local.Infrastructure.Repository.Audit, Local.Infrastructure.Repository.Console];

    /// <summary>The base as kubectl would render it, but for generated configuration.</summary>
    public static IReadOnlyList<object> Base { get; } = RenderBase();

    /// <summary>Every file of the folder that holds resources or a patch, by its path from there.</summary>
    public static IEnumerable<string> ResourceFiles =>
        Directory.EnumerateFiles(Folder, "*.yaml", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Folder, file))
            .Where(file => Path.GetFileName(file) is not ("kustomization.yaml" or "collector-config.yaml" or "alerts.test.yaml" or "objectives.test.yaml")).Order(StringComparer.Ordinal);

    public static Kustomization KustomizationOf(string folder) =>
        new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).IgnoreUnmatchedProperties().Build()
            .Deserialize<Kustomization>(File.ReadAllText(Path.Combine(Folder, folder, "kustomization.yaml")));

    /// <summary>Loads resources into their types; a field that the type does not have is an error.</summary>
    public static IReadOnlyList<object> Load(string yaml) => KubernetesYaml.LoadAllFromString(yaml, CustomResources.Types, strict: true);

    /// <summary>Null where there is no kubectl.</summary>
    public static string? Render(string overlay)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "kubectl"))))
            return null;
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl", ["kustomize", Path.Combine(Folder, "overlays", overlay)]) { RedirectStandardOutput = true })!;
        var output = kubectl.StandardOutput.ReadToEnd();
        kubectl.WaitForExit();
        return kubectl.ExitCode == 0 ? output : throw new InvalidOperationException($"kubectl kustomize {overlay} ended with {kubectl.ExitCode}.");
    }

    public static T Named<T>(this IEnumerable<object> resources, string name) where T : IMetadata<V1ObjectMeta> =>
        resources.OfType<T>().Single(resource => resource.Metadata.Name == name);

    /// <summary>The pods that the resources make.</summary>
    public static IEnumerable<(string Of, V1PodTemplateSpec Template)> Pods(this IEnumerable<object> resources) => resources.SelectMany(resource => resource switch
    {
        V1Deployment deployment => [($"deployment {deployment.Name()}", deployment.Spec.Template)],
        V1Job job => [($"job {job.Name()}", job.Spec.Template)],
        V1CronJob cron => [($"cron job {cron.Name()}", cron.Spec.JobTemplate.Spec.Template)],
        _ => Array.Empty<(string, V1PodTemplateSpec)>(),
    });

    /// <summary>Reads documents as maps, lists and texts.</summary>
    public static List<Dictionary<object, object>> Documents(string yaml)
    {
        var parser = new Parser(new StringReader(yaml));
        parser.Consume<StreamStart>();
        var documents = new List<Dictionary<object, object>>();
        while (parser.Accept<DocumentStart>(out _))
            documents.Add(new DeserializerBuilder().Build().Deserialize<Dictionary<object, object>>(parser));
        return documents;
    }

    private static IReadOnlyList<object> RenderBase()
    {
        var kustomization = KustomizationOf("base");
        var resources = kustomization.Resources.SelectMany(file => Documents(Read(file))).ToList();
        foreach (var patch in kustomization.Patches)
        {
            foreach (var resource in resources.Where(patch.Target!.Matches))
            {
                var merged = Documents(Read(patch.Path!)).Single();
                foreach (var (key, value) in merged.Where(field => (string)field.Key is not ("apiVersion" or "kind" or "metadata")))
                    resource[key] = resource.TryGetValue(key, out var there) ? Merge(there, value) : value;
            }
        }
        var serializer = new SerializerBuilder().WithQuotingNecessaryStrings().Build();
        return Load(string.Join("---\n", resources.Select(serializer.Serialize)));

        static string Read(string file) => File.ReadAllText(Path.Combine(Folder, "base", file));
    }

    /// <summary>A strategic merge, as far as our patches need it: maps by key, lists of named things by name, all else replaced.</summary>
    private static object Merge(object target, object patch)
    {
        if (target is Dictionary<object, object> map && patch is Dictionary<object, object> changes)
        {
            foreach (var (key, value) in changes)
                map[key] = map.TryGetValue(key, out var there) ? Merge(there, value) : value;
            return map;
        }
        if (target is not List<object> list || patch is not List<object> items || KeyOf(items[0]) is not { } name)
            return patch;
        foreach (var item in items)
        {
            var index = list.FindIndex(there => Equals(((Dictionary<object, object>)there)[name], ((Dictionary<object, object>)item)[name]));
            if (index < 0)
                list.Add(item);
            else
                list[index] = Merge(list[index], item);
        }
        return list;

        static string? KeyOf(object item) => item is not Dictionary<object, object> fields ? null
            : fields.ContainsKey("mountPath") ? "mountPath" : fields.ContainsKey("name") ? "name" : null;
    }

    public sealed record Kustomization
    {
        public List<string> Resources { get; init; } = [];
        public List<Patch> Patches { get; init; } = [];
        public List<Generator> ConfigMapGenerator { get; init; } = [];
        public List<Image> Images { get; init; } = [];
    }

    public sealed record Image
    {
        public required string Name { get; init; }
    }

    public sealed record Generator
    {
        public required string Name { get; init; }
        public List<string> Literals { get; init; } = [];
        public List<string> Files { get; init; } = [];
    }

    public sealed record Patch
    {
        public string? Path { get; init; }
        public Target? Target { get; init; }
    }

    public sealed partial record Target
    {
        public string Kind { get; init; } = ".*";
        public string Name { get; init; } = ".*";
        public string? Group { get; init; }
        public string? LabelSelector { get; init; }

        public bool Matches(Dictionary<object, object> resource)
        {
            var metadata = (Dictionary<object, object>)resource["metadata"];
            var labels = metadata.TryGetValue("labels", out var given) ? (Dictionary<object, object>)given : [];
            return Regex.IsMatch((string)resource["kind"], $"^({Kind})$") && Regex.IsMatch((string)metadata["name"], $"^({Name})$")
                && (Group is null || ((string)resource["apiVersion"]).StartsWith(Group + "/", StringComparison.Ordinal))
                && (LabelSelector is null || (Selector().Match(LabelSelector) is { Success: true } selector
                    && labels.TryGetValue(selector.Groups["key"].Value, out var label) && selector.Groups["values"].Value.Split(',').Contains(label)));
        }

        [GeneratedRegex(@"^(?<key>\S+?)(=| in \()(?<values>[^)]+)\)?$")]
        private static partial Regex Selector();
    }
}
