using System.Text.RegularExpressions;
using Huzhu.Local.Infrastructure;
using k8s.Models;
using Xunit;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>Every database of a production deployment is backed up, and a copy is looked for where the original writes.</summary>
public sealed partial class BackupManifestTests
{
    private const string Plugin = "barman-cloud.cloudnative-pg.io";

    [Fact]
    public void every_database_has_a_base_backup_a_day_and_its_log_archived()
    {
        var production = Rendered("production");
        var databases = production.OfType<Resource<DatabaseSpec>>().ToList();
        var store = Assert.Single(production.OfType<Resource<ObjectStoreSpec>>());
        Assert.NotEmpty(databases);
        Assert.All(databases, database =>
        {
            var archiver = Assert.Single(database.Spec.Plugins);
            Assert.True(archiver is { Name: Plugin, IsWALArchiver: true }, database.Metadata.Name);
            Assert.Equal(store.Metadata.Name, archiver.Parameters["barmanObjectName"]);
            Assert.Equal(store.Metadata.NamespaceProperty, database.Metadata.NamespaceProperty);
        });
        var backups = production.OfType<Resource<ScheduledBackupSpec>>().ToList();
        Assert.Equal(databases.Select(database => database.Metadata.Name).Order(), backups.Select(backup => backup.Spec.Cluster.Name).Order());
        // With seconds before the minutes; a fixed second, minute and hour, any day.
        Assert.All(backups, backup => Assert.Matches(@"^\d+ \d+ \d+ \* \* \*$", backup.Spec.Schedule));
        Assert.All(backups, backup => Assert.True(backup.Spec is { Immediate: true, Method: "plugin", PluginConfiguration.Name: Plugin }, backup.Metadata.Name));
        Assert.Equal(backups.Count, backups.Select(backup => backup.Spec.Schedule).Distinct().Count());
        Assert.True(store.Spec is { RetentionPolicy.Length: > 0, Configuration: { Wal.Encryption.Length: > 0, Data.Encryption.Length: > 0 } });
    }

    [Fact]
    public void the_keys_of_the_store_are_made_by_the_script()
    {
        var script = File.ReadAllText(Path.Combine(Manifests.Folder, "secrets.sh"));
        var credentials = Assert.Single(Rendered("production").OfType<Resource<ObjectStoreSpec>>()).Spec.Configuration.S3Credentials;
        Assert.All(new[] { credentials.AccessKeyId, credentials.SecretAccessKey }, reference =>
            Assert.Matches($@"(?m)^secret generic {reference.Name} .*--from-file={reference.Key}=", script));
    }

    [Theory, InlineData("dev"), InlineData("surge-drill")]
    public void nobody_else_writes_where_production_does(string overlay)
    {
        var resources = Rendered(overlay);
        Assert.All(resources.OfType<Resource<DatabaseSpec>>(), database => Assert.Empty(database.Spec.Plugins));
        Assert.Empty(resources.OfType<Resource<ObjectStoreSpec>>());
        Assert.Empty(resources.OfType<Resource<ScheduledBackupSpec>>());
    }

    [Fact]
    public void the_page_restores_from_where_the_database_writes()
    {
        var page = File.ReadAllText(Path.Combine(Manifests.Repository, "docs", "operations", "backup.md"));
        var copy = Assert.IsType<Resource<DatabaseSpec>>(Assert.Single(Manifests.Load(Assert.Single(Yaml().Matches(page)).Groups[1].Value)));
        var original = Manifests.Base.Named<Resource<DatabaseSpec>>(copy.Metadata.Name);
        var (recovery, from) = (copy.Spec.Bootstrap.Recovery!, Assert.Single(copy.Spec.ExternalClusters));
        Assert.Equal(recovery.Source, from.Name);
        Assert.Equal(Plugin, from.Plugin.Name);
        // A database writes into a folder of its own name as long as no other is given.
        Assert.Equal(original.Metadata.Name, from.Plugin.Parameters["serverName"]);
        Assert.Contains($"barmanObjectName: {from.Plugin.Parameters["barmanObjectName"]}", File.ReadAllText(Path.Combine(Manifests.Folder, "overlays", "production", "kustomization.yaml")));
        Assert.Equal((original.Spec.Bootstrap.Initdb.Database, original.Spec.Bootstrap.Initdb.Owner), (recovery.Database, recovery.Owner));
        Assert.True(DateTimeOffset.TryParse(recovery.RecoveryTarget.TargetTime, out _), recovery.RecoveryTarget.TargetTime);
        Assert.Empty(copy.Spec.Plugins);
    }

    private static IReadOnlyList<object> Rendered(string overlay)
    {
        Assert.SkipWhen(Tool.Find("kubectl") is null, "kubectl is not installed, and renders the overlays.");
        return Manifests.Load(Manifests.Render(overlay)!);
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();
}
