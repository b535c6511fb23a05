using System.Globalization;
using System.Text.RegularExpressions;
using Huzhu.Audit.Verbs;
using Huzhu.Groups.Features;
using Huzhu.Requests.Intake;
using Huzhu.ServiceDefaults;
using k8s.Models;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>Manifests and code say the same of ports, paths, queues, settings and times: whoever changes one side alone is told here.</summary>
public partial class AgreementTests
{
    public static TheoryData<string> EveryService => [.. Manifests.Services];
    public static TheoryData<string> EveryAnswering => [.. Manifests.Answering];

    [Theory, MemberData(nameof(EveryAnswering))]
    public void probes_ask_the_paths_that_the_code_serves(string service)
    {
        var container = Container(service);
        Assert.Equal((Hosting.LivePath, "http"), Asked(container.StartupProbe));
        Assert.Equal((Hosting.LivePath, "http"), Asked(container.LivenessProbe));
        Assert.Equal((Hosting.ReadyPath, "http"), Asked(container.ReadinessProbe));

        static (string, string) Asked(V1Probe probe) => (probe.HttpGet.Path, probe.HttpGet.Port.Value);
    }

    [Fact]
    public void metrics_are_read_where_the_code_serves_them()
    {
        var monitor = Manifests.Base.Named<Resource<PodMonitorSpec>>("services").Spec;
        Assert.All(Manifests.Answering, name => Assert.True(ManifestTests.Selects(monitor.Selector, Manifests.Base.Named<V1Deployment>(name).Spec.Template.Metadata.Labels), name));
        var endpoint = Assert.Single(monitor.PodMetricsEndpoints);
        Assert.Equal(("http", Hosting.MetricsPath), (endpoint.Port, endpoint.Path));
    }

    [Theory, MemberData(nameof(EveryAnswering))]
    public void everybody_uses_the_port_that_the_image_listens_on(string service)
    {
        var listens = ContainerImageTests.Port();
        var port = Assert.Single(Container(service).Ports);
        Assert.Equal((listens, "http"), (port.ContainerPort, port.Name));
        Assert.Equal((80, "http"), Manifests.Base.Named<V1Service>(service).Spec.Ports.Select(each => (each.Port, each.TargetPort.Value)).Single());
        var policies = Manifests.Base.OfType<V1NetworkPolicy>().ToDictionary(policy => policy.Name());
        string[] lettingIn = ["entered", "answering", "asked-by-notifications", "asked-by-requests", "asked-by-console"];
        Assert.All(lettingIn.SelectMany(policy => policies[policy].Spec.Ingress),
            rule => Assert.Equal([listens.ToString(CultureInfo.InvariantCulture)], rule.Ports.Select(each => each.Port.Value)));
    }

    [Theory]
    // Matching's address stands in links only; a public one is set beside it.
    [InlineData("notifications", "Groups", "Matching", "Requests")]
    [InlineData("requests", "Notifications")]
    [InlineData("console", "Audit", "Groups", "Matching", "Notifications", "Requests")]
    public void a_service_asks_those_that_it_may_ask(string service, params string[] others)
    {
        var asked = Settings(service).Where(setting => setting.Key.StartsWith("Services__", StringComparison.Ordinal)).ToDictionary(setting => setting.Key["Services__".Length..], setting => setting.Value);
        Assert.Equal(others, asked.Keys.Order());
        var policies = Manifests.Base.OfType<V1NetworkPolicy>().ToDictionary(policy => policy.Name());
        Assert.All(asked, address =>
        {
            Assert.Equal($"http://{address.Key.ToLowerInvariant()}", address.Value);
            var other = Manifests.Base.Named<V1Deployment>(address.Key.ToLowerInvariant()).Spec.Template.Metadata.Labels;
            Assert.Contains(policies[$"{service}-asks"].Spec.Egress.SelectMany(rule => rule.To), peer => ManifestTests.Selects(peer.PodSelector, other));
        });
    }

    [Theory]
    [InlineData("matching")]
    [InlineData("notifications")]
    public void replicas_follow_exactly_the_queues_that_the_service_reads(string service)
    {
        var scaled = Manifests.Base.Named<Resource<ScaledObjectSpec>>(service).Spec;
        Assert.Equal(service, scaled.ScaleTargetRef.Name);
        Assert.Null(Manifests.Base.Named<V1Deployment>(service).Spec.Replicas);
        Assert.InRange(scaled.MinReplicaCount, 2, scaled.MaxReplicaCount);
        var trigger = Assert.Single(scaled.Triggers);
        Assert.Equal(("rabbitmq", "http", "QueueLength", "true"), (trigger.Type, trigger.Metadata["protocol"], trigger.Metadata["mode"], trigger.Metadata["useRegex"]));
        var named = QueueAlternatives().Match(trigger.Metadata["queueName"]).Groups[1].Value.Split('|');
        Assert.Equal(Code.QueuesOf(service).Order(), named.Order());
    }

    [Fact]
    public void the_policy_is_for_every_queue_that_is_read_and_for_no_other()
    {
        var policy = Manifests.Base.Named<Resource<PolicySpec>>("work-queues").Spec;
        Assert.Equal("quorum_queues", policy.ApplyTo);
        Assert.All(Manifests.Services.SelectMany(Code.QueuesOf), queue =>
        {
            Assert.Matches(policy.Pattern, queue);
            Assert.DoesNotMatch(policy.Pattern, queue + "_error");
        });
        var dead = Manifests.Base.Named<Resource<BindingSpec>>("dead-letters").Spec;
        Assert.DoesNotMatch(policy.Pattern, dead.Destination);
        Assert.Equal((dead.Source, "at-least-once", "reject-publish"),
            (policy.Definition["dead-letter-exchange"], policy.Definition["dead-letter-strategy"], policy.Definition["overflow"]));
        Assert.Equal((dead.Source, dead.Destination), (Manifests.Base.Named<Resource<ExchangeSpec>>("dead-letters").Spec.Name, Manifests.Base.Named<Resource<QueueSpec>>("dead-letters").Spec.Name));
    }

    [Theory, MemberData(nameof(EveryService))]
    public void the_broker_lets_a_service_use_its_own_queues_and_nobody_elses(string service)
    {
        var rights = Manifests.Base.Named<Resource<PermissionSpec>>(service).Spec.Permissions;
        string[] patterns = [rights.Configure, rights.Write, rights.Read];
        Assert.All(patterns, pattern =>
        {
            Assert.All(Code.QueuesOf(service).SelectMany(queue => new[] { queue, queue + "_error" }), queue => Assert.Matches(pattern, queue));
            Assert.All(Manifests.Services.Where(other => other != service).SelectMany(Code.QueuesOf), queue => Assert.DoesNotMatch(pattern, queue));
            Assert.Matches(pattern, "Huzhu.Contracts.Matching.V1:OfferMade");
            Assert.Equal(service == "groups", Regex.IsMatch(ConsumeProviderEvents.Exchange, pattern));
        });
        // What cannot be understood is put into the error queue by its name, through the nameless exchange.
        Assert.Equal(service == "groups", Regex.IsMatch("amq.default", rights.Write));
    }

    /// <summary>The service is built as its Program does, with nothing but what the manifest gives it and texts for its secrets.</summary>
    [Theory, MemberData(nameof(EveryService))]
    public async Task a_service_takes_the_settings_of_its_manifest_and_stops_in_time(string service)
    {
        var (drain, bus) = await Code.BuiltAsync(service, Settings(service), services =>
        {
            Assert.True(services.GetRequiredService<IHostEnvironment>().IsProduction());
            // Made here, so that what reads its settings late reads them too.
            Assert.NotEmpty(services.GetServices<IHostedService>());
            if (services.GetRequiredService<IServiceProviderIsService>().IsService(typeof(PersonalDataVault)))
                services.GetRequiredService<PersonalDataVault>();
            return (services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout, services.GetRequiredService<IOptions<MassTransitHostOptions>>().Value);
        });
        var pod = Manifests.Base.Named<V1Deployment>(service).Spec.Template.Spec;
        Assert.True(bus.ConsumerStopTimeout <= bus.StopTimeout && bus.StopTimeout < drain);
        Assert.True(drain + TimeSpan.FromSeconds(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds) < TimeSpan.FromSeconds(pod.TerminationGracePeriodSeconds!.Value));
    }

    /// <summary>The same for the console, whose Program asks for neither a database nor a broker.</summary>
    [Fact]
    public async Task the_console_takes_the_settings_of_its_manifest()
    {
        var settings = Settings("console");
        Assert.DoesNotContain(settings.Keys, key => key.StartsWith("ConnectionStrings__", StringComparison.Ordinal) || key.StartsWith("PersonalData__", StringComparison.Ordinal));
        var drain = await Code.BuiltAsync("console", settings, services =>
        {
            Assert.True(services.GetRequiredService<IHostEnvironment>().IsProduction());
            return services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout;
        });
        var pod = Manifests.Base.Named<V1Deployment>("console").Spec.Template.Spec;
        Assert.True(drain + TimeSpan.FromSeconds(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds) < TimeSpan.FromSeconds(pod.TerminationGracePeriodSeconds!.Value));
        foreach (var needed in new[] { "Console__CookieKey", "Console__CallerKey", "Services__Matching" })
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => Code.BuiltAsync("console", settings.Where(setting => setting.Key != needed), _ => 0));
            Assert.Contains(needed.Replace("__", ":", StringComparison.Ordinal), refused.Message);
        }
    }

    [Theory, MemberData(nameof(EveryService))]
    public async Task a_setting_that_the_manifest_leaves_out_is_missed(string service) =>
        await Assert.ThrowsAsync<InvalidOperationException>(() => Code.BuiltAsync(service, Settings(service).Where(setting => setting.Key != "ConnectionStrings__Broker"), _ => 0));

    [Theory, MemberData(nameof(EveryService))]
    public void the_migration_is_the_same_image_with_the_same_settings(string service)
    {
        var (migration, serving) = (Manifests.Base.Named<V1Job>($"migrate-{service}").Spec.Template.Spec.Containers.Single(), Container(service));
        Assert.Equal(["--migrate"], migration.Args);
        Assert.Equal(serving.Image, migration.Image);
        Assert.Equal(serving.Env.Select(variable => variable.Name), migration.Env.Select(variable => variable.Name));
        // In production nothing else applies the schema.
        Assert.DoesNotContain(Settings(service), setting => setting.Key is "EventStore__ApplySchema" or "ASPNETCORE_ENVIRONMENT" or "DOTNET_ENVIRONMENT");
    }

    [Theory, MemberData(nameof(EveryService))]
    public void a_database_takes_all_connections_of_all_replicas(string service)
    {
        var database = Manifests.Base.Named<Resource<DatabaseSpec>>($"{service}-db").Spec;
        var connection = new NpgsqlConnectionStringBuilder(Settings(service)["ConnectionStrings__EventStore"]);
        Assert.Equal(($"{service}-db-rw", service, SslMode.VerifyFull), (connection.Host, connection.Database, connection.SslMode));
        Assert.Equal((service, service), (database.Bootstrap.Initdb.Database, database.Bootstrap.Initdb.Owner));
        var replicas = Manifests.Base.OfType<Resource<ScaledObjectSpec>>().FirstOrDefault(scaled => scaled.Spec.ScaleTargetRef.Name == service)?.Spec.MaxReplicaCount
            ?? Manifests.Base.Named<V1Deployment>(service).Spec.Replicas!.Value;
        // One more while an upgrade rolls, and some for the migration, the audit, the operator and a person.
        const int others = 40;
        Assert.InRange((replicas + 1) * connection.MaxPoolSize + others, 1, int.Parse(database.Postgresql.Parameters["max_connections"], CultureInfo.InvariantCulture));
    }

    [Theory, MemberData(nameof(EveryService))]
    public void a_service_speaks_tls_with_the_broker_and_can_speak_nothing_else(string service)
    {
        var broker = new Uri(Container(service).Env.Single(variable => variable.Name == "ConnectionStrings__Broker").Value.Replace("$(BROKER_USER):$(BROKER_PASSWORD)@", "", StringComparison.Ordinal));
        Assert.Equal(("amqps", "broker", 5671), (broker.Scheme, broker.Host, broker.Port));
        var pod = Manifests.Base.Named<V1Deployment>(service).Spec.Template.Spec;
        var (mount, secret) = (pod.Containers.Single().VolumeMounts.Single(mount => mount.Name == "broker-ca"), pod.Volumes.Single(volume => volume.Name == "broker-ca").Secret);
        Assert.Equal($"?cacertfile={mount.MountPath}/{secret.Items.Single().Path}", broker.Query);
        // Whom it trusts, and not the key of whom it trusts.
        Assert.Equal((Manifests.Base.Named<Resource<BrokerSpec>>("broker").Spec.Tls!.SecretName, "ca.crt"), (secret.SecretName, secret.Items.Single().Key));
        var policies = Manifests.Base.OfType<V1NetworkPolicy>().ToDictionary(policy => policy.Name());
        Assert.DoesNotContain(policies.Values.SelectMany(policy => (policy.Spec.Egress ?? []).SelectMany(rule => rule.Ports ?? []).Concat((policy.Spec.Ingress ?? []).SelectMany(rule => rule.Ports ?? []))), port => port.Port.Value == "5672");
        Assert.Equal(["5671"], policies["services"].Spec.Egress.SelectMany(rule => rule.Ports).Select(port => port.Port.Value));
    }

    [Fact]
    public async Task the_audit_runs_verbs_that_there_are_with_settings_that_it_reads()
    {
        var (seal, verify, serve) = (CronContainer("audit-seal"), CronContainer("audit-verify"), Container("audit"));
        Assert.Equal(["seal"], seal.Args);
        Assert.Equal(["verify"], verify.Args);
        Assert.Equal(["serve"], serve.Args);
        Assert.All(new[] { seal, verify, serve }, container =>
        {
            var settings = SettingsOf(container);
            var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => new KeyValuePair<string, string?>(setting.Key.Replace("__", ":", StringComparison.Ordinal), setting.Value))).Build();
            Assert.All(Huzhu.Audit.Verbs.Settings.Services, service =>
            {
                var connection = new NpgsqlConnectionStringBuilder(configuration.GetConnectionString(service));
                Assert.Equal(($"{service}-db-rw", SslMode.VerifyFull), (connection.Host, connection.SslMode));
            });
            // The role that only reads.
            Assert.All(container.Env.Where(variable => variable.Name is "DATABASE_USER" or "DATABASE_PASSWORD"), variable => Assert.Equal("audit-database", variable.ValueFrom.SecretKeyRef.Name));
            Assert.Equal(container.VolumeMounts.Single(mount => mount.Name == "seals").MountPath, configuration["Audit:Folder"]);
        });
        // One has the private key; who verifies or serves could forge nothing.
        Assert.All(new[] { verify, serve }, container => Assert.True(SettingsOf(seal).ContainsKey("Audit__KeyFile") && !SettingsOf(container).ContainsKey("Audit__KeyFile")));
        Assert.Equal("audit-trust", Manifests.Base.Named<V1Deployment>("audit").Spec.Template.Spec.Volumes.Single(volume => volume.Name == "keys").Secret.SecretName);
        Assert.Equal(ExitCodes.Ok, await RunAuditAsync("seal", "--help"));
        Assert.Equal(ExitCodes.Ok, await RunAuditAsync("verify", "--help"));
        Assert.Equal(ExitCodes.Ok, await RunAuditAsync("serve", "--help"));

        // What it asks before it serves: whose tokens it takes.
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true, EnvironmentName = Environments.Production });
        builder.Configuration.AddInMemoryCollection(SettingsOf(serve).Select(setting => new KeyValuePair<string, string?>(setting.Key.Replace("__", ":", StringComparison.Ordinal), setting.Value)));
        builder.AddHuzhuSecurity();
        Assert.NotNull(builder.Configuration["Auth:Authority"]);
    }

    [Fact]
    public void every_setting_is_documented()
    {
        var documented = File.ReadAllText(Path.Combine(Manifests.Repository, "docs", "operations", "configuration.md"))
            + File.ReadAllText(Path.Combine(Manifests.Repository, "services", "Audit", "README.md"));
        var literals = new[] { "base" }.Concat(Manifests.Overlays.Select(overlay => $"overlays/{overlay}"))
            .SelectMany(folder => Manifests.KustomizationOf(folder).ConfigMapGenerator).SelectMany(generator => generator.Literals).Select(literal => literal.Split('=')[0]);
        var keys = literals.Concat(Manifests.Base.Pods().SelectMany(pod => pod.Template.Spec.Containers).SelectMany(container => container.Env ?? []).Select(variable => variable.Name))
            .Where(key => key.Contains("__", StringComparison.Ordinal) && !key.StartsWith("Logging__", StringComparison.Ordinal)).Distinct().ToList();
        Assert.NotEmpty(keys);
        Assert.DoesNotContain(keys, key => !Names(key).Any(name => documented.Contains(name, StringComparison.Ordinal)));

        // The tables shorten a row of keys that differ in their last word.
        static IEnumerable<string> Names(string key)
        {
            var words = key.Split("__");
            return [$"`{key}`", $"`{string.Join(':', words)}`", $"`{words[^1]}`", $"`…{words[^1]}`"];
        }
    }

    [Fact]
    public void every_secret_is_made_by_an_operator_or_by_the_script()
    {
        var script = ScriptSecrets().Matches(File.ReadAllText(Path.Combine(Manifests.Folder, "secrets.sh")))
            .SelectMany(made => SecretKeys().Matches(made.Groups["how"].Value).Select(key => (made.Groups["name"].Value, key.Groups[1].Value)));
        var operators = Manifests.Base.OfType<Resource<DatabaseSpec>>().SelectMany(database => new[] { ($"{database.Metadata.Name}-app", "username"), ($"{database.Metadata.Name}-app", "password"), ($"{database.Metadata.Name}-ca", "ca.crt") })
            .Concat(Manifests.Base.OfType<Resource<UserSpec>>().SelectMany(user => new[] { ($"{user.Metadata.Name}-user-credentials", "username"), ($"{user.Metadata.Name}-user-credentials", "password") }));
        var made = script.Concat(operators).ToHashSet();
        var specs = Manifests.Base.Pods().Select(pod => pod.Template.Spec).ToList();
        var used = specs.SelectMany(spec => spec.Containers).SelectMany(container => container.Env ?? []).Select(variable => variable.ValueFrom?.SecretKeyRef).OfType<V1SecretKeySelector>().Where(reference => reference.Optional != true).Select(reference => (reference.Name, reference.Key))
            .Concat(specs.SelectMany(spec => spec.Volumes).Where(volume => volume.Secret?.Items is not null).SelectMany(volume => volume.Secret.Items.Select(item => (volume.Secret.SecretName, item.Key))))
            .Concat(specs.SelectMany(spec => spec.Volumes).SelectMany(volume => volume.Projected?.Sources ?? []).SelectMany(source => source.Secret.Items.Select(item => (source.Secret.Name, item.Key))))
            .Concat(Manifests.Base.OfType<Resource<TriggerAuthenticationSpec>>().SelectMany(authentication => authentication.Spec.SecretTargetRef).Select(reference => (reference.Name, reference.Key)))
            .Concat(Manifests.Base.OfType<Resource<DatabaseSpec>>().SelectMany(database => database.Spec.Managed!.Roles).Select(role => (role.PasswordSecret!.Name, "password")))
            .ToList();
        Assert.NotEmpty(used);
        Assert.Empty(used.Except(made).Distinct());
        var whole = specs.SelectMany(spec => spec.Volumes).Where(volume => volume.Secret is { Items: null }).Select(volume => volume.Secret.SecretName);
        Assert.Empty(whole.Except(made.Select(secret => secret.Item1)));
    }

    [Fact]
    public void the_drill_sends_what_the_services_take()
    {
        var folder = Path.Combine(Manifests.Folder, "overlays", "surge-drill");
        var request = System.Text.Json.JsonSerializer.Deserialize<IntakeForm>(File.ReadAllText(Path.Combine(folder, "request.json")), System.Text.Json.JsonSerializerOptions.Web)!;
        Assert.Empty(IntakeCheck.Run(request, DateTimeOffset.UnixEpoch.AddYears(60)).Errors);
        var group = System.Text.Json.JsonSerializer.Deserialize<EntryBody>(File.ReadAllText(Path.Combine(folder, "group.json")), System.Text.Json.JsonSerializerOptions.Web)!;
        Assert.Empty(group.Validate());
    }

    private static V1Container Container(string service) => Manifests.Base.Named<V1Deployment>(service).Spec.Template.Spec.Containers.Single();

    private static V1Container CronContainer(string name) => Manifests.Base.Named<V1CronJob>(name).Spec.JobTemplate.Spec.Template.Spec.Containers.Single();

    internal static Dictionary<string, string> Settings(string service) => SettingsOf(Container(service));

    /// <summary>What a container of the production overlay finds in its environment, with texts that could be its secrets.</summary>
    private static Dictionary<string, string> SettingsOf(V1Container container)
    {
        var settings = new Dictionary<string, string>();
        // What comes later wins: the overlay, and of two ConfigMaps the second.
        foreach (var literal in (container.EnvFrom ?? []).SelectMany(source => new[] { "base", "overlays/production" }.SelectMany(folder => Manifests.KustomizationOf(folder).ConfigMapGenerator)
            .Where(generator => generator.Name == source.ConfigMapRef.Name)).SelectMany(generator => generator.Literals))
            settings[literal[..literal.IndexOf('=')]] = literal[(literal.IndexOf('=') + 1)..];
        foreach (var variable in container.Env)
            settings[variable.Name] = variable.Value is null
                ? variable.ValueFrom.SecretKeyRef.Key.EndsWith("-key", StringComparison.Ordinal) ? Convert.ToBase64String(new byte[32]) : "secret"
                : Variable().Replace(variable.Value, match => settings[match.Groups[1].Value]).Replace("/etc/huzhu/broker/ca.crt", SomeAuthority.Value, StringComparison.Ordinal);
        return settings;
    }

    /// <summary>What is mounted there is read at the start.</summary>
    private static readonly Lazy<string> SomeAuthority = new(() =>
    {
        using var key = System.Security.Cryptography.ECDsa.Create();
        using var authority = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=some authority", key, System.Security.Cryptography.HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var file = Path.GetTempFileName();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(file);
        File.WriteAllText(file, authority.ExportCertificatePem());
        return file;
    });

    private static async Task<int> RunAuditAsync(params string[] arguments) =>
        await AuditCommand.RunAsync(arguments, new ConfigurationBuilder().Build(), TextWriter.Null, TextWriter.Null, TestContext.Current.CancellationToken);

    [GeneratedRegex(@"^\^\((.+)\)\$$")]
    private static partial Regex QueueAlternatives();

    [GeneratedRegex(@"\$\((\w+)\)")]
    private static partial Regex Variable();

    [GeneratedRegex(@"^secret generic (?<name>\S+) (?<how>.+)$", RegexOptions.Multiline)]
    private static partial Regex ScriptSecrets();

    [GeneratedRegex("--from-(?:literal|file)=([^=]+)=")]
    private static partial Regex SecretKeys();
}
