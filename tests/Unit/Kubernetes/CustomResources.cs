using k8s;
using k8s.Models;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>
/// The fields of other people's resources that our manifests use, by the names and shapes that their definitions give them
/// (RabbitMQ's two operators 2.x and 1.x, CloudNativePG 1.30 and newer and its Barman Cloud plug-in, KEDA 2.17, Prometheus Operator v1). Loading is
/// strict: a field that is not here is a spelling mistake, or must be looked up there and added.
/// </summary>
static class CustomResources
{
    public static readonly Dictionary<string, Type> Types = new()
    {
        ["rabbitmq.com/v1beta1/RabbitmqCluster"] = typeof(Resource<BrokerSpec>),
        ["rabbitmq.com/v1beta1/Vhost"] = typeof(Resource<VhostSpec>),
        ["rabbitmq.com/v1beta1/User"] = typeof(Resource<UserSpec>),
        ["rabbitmq.com/v1beta1/Permission"] = typeof(Resource<PermissionSpec>),
        ["rabbitmq.com/v1beta1/Policy"] = typeof(Resource<PolicySpec>),
        ["rabbitmq.com/v1beta1/Exchange"] = typeof(Resource<ExchangeSpec>),
        ["rabbitmq.com/v1beta1/Queue"] = typeof(Resource<QueueSpec>),
        ["rabbitmq.com/v1beta1/Binding"] = typeof(Resource<BindingSpec>),
        ["postgresql.cnpg.io/v1/Cluster"] = typeof(Resource<DatabaseSpec>),
        ["postgresql.cnpg.io/v1/ScheduledBackup"] = typeof(Resource<ScheduledBackupSpec>),
        ["barmancloud.cnpg.io/v1/ObjectStore"] = typeof(Resource<ObjectStoreSpec>),
        ["keda.sh/v1alpha1/ScaledObject"] = typeof(Resource<ScaledObjectSpec>),
        ["keda.sh/v1alpha1/TriggerAuthentication"] = typeof(Resource<TriggerAuthenticationSpec>),
        ["monitoring.coreos.com/v1/PodMonitor"] = typeof(Resource<PodMonitorSpec>),
        ["monitoring.coreos.com/v1/PrometheusRule"] = typeof(Resource<RuleSpec>),
    };
}

sealed record Resource<TSpec> : IMetadata<V1ObjectMeta>
{
    public string ApiVersion { get; set; } = "";
    public string Kind { get; set; } = "";
    public V1ObjectMeta Metadata { get; set; } = new();
    public TSpec Spec { get; set; } = default!;
}

sealed record NamedReference { public string Name { get; set; } = ""; }

sealed record BrokerSpec
{
    public int Replicas { get; set; }
    public string Image { get; set; } = "";
    public V1ResourceRequirements? Resources { get; set; }
    public BrokerPersistence? Persistence { get; set; }
    public BrokerTlsSpec? Tls { get; set; }
    public BrokerConfiguration Rabbitmq { get; set; } = new();
    public V1Affinity? Affinity { get; set; }
}

sealed record BrokerPersistence { public string Storage { get; set; } = ""; }
sealed record BrokerTlsSpec { public string SecretName { get; set; } = ""; }
sealed record BrokerConfiguration { public string AdditionalConfig { get; set; } = ""; }

abstract record InBroker { public NamedReference RabbitmqClusterReference { get; set; } = new(); }

sealed record VhostSpec : InBroker
{
    public string Name { get; set; } = "";
    public string DefaultQueueType { get; set; } = "";
    public string DeletionPolicy { get; set; } = "";
}

sealed record UserSpec : InBroker { public List<string> Tags { get; set; } = []; }

sealed record PermissionSpec : InBroker
{
    public string Vhost { get; set; } = "";
    public NamedReference UserReference { get; set; } = new();
    public Rights Permissions { get; set; } = new();
}

sealed record Rights
{
    public string Configure { get; set; } = "";
    public string Write { get; set; } = "";
    public string Read { get; set; } = "";
}

sealed record PolicySpec : InBroker
{
    public string Name { get; set; } = "";
    public string Vhost { get; set; } = "";
    public string Pattern { get; set; } = "";
    public string ApplyTo { get; set; } = "";
    public Dictionary<string, string> Definition { get; set; } = [];
}

sealed record ExchangeSpec : InBroker
{
    public string Name { get; set; } = "";
    public string Vhost { get; set; } = "";
    public string Type { get; set; } = "";
    public bool Durable { get; set; }
}

sealed record QueueSpec : InBroker
{
    public string Name { get; set; } = "";
    public string Vhost { get; set; } = "";
    public string Type { get; set; } = "";
    public bool Durable { get; set; }
}

sealed record BindingSpec : InBroker
{
    public string Vhost { get; set; } = "";
    public string Source { get; set; } = "";
    public string Destination { get; set; } = "";
    public string DestinationType { get; set; } = "";
}

sealed record DatabaseSpec
{
    public int Instances { get; set; }
    public string ImageName { get; set; } = "";
    public DatabaseStorage? Storage { get; set; }
    public DatabaseStorage? WalStorage { get; set; }
    public V1ResourceRequirements? Resources { get; set; }
    public DatabaseAffinity? Affinity { get; set; }
    public DatabaseBootstrap Bootstrap { get; set; } = new();
    public DatabasePostgresql Postgresql { get; set; } = new();
    public DatabaseManaged? Managed { get; set; }
    public List<DatabasePlugin> Plugins { get; set; } = [];
    public List<ExternalDatabase> ExternalClusters { get; set; } = [];
}

sealed record DatabasePlugin
{
    public string Name { get; set; } = "";
    public bool IsWALArchiver { get; set; }
    public Dictionary<string, string> Parameters { get; set; } = [];
}

sealed record ExternalDatabase
{
    public string Name { get; set; } = "";
    public DatabasePlugin Plugin { get; set; } = new();
}

sealed record ScheduledBackupSpec
{
    public string Schedule { get; set; } = "";
    public bool Immediate { get; set; }
    public string BackupOwnerReference { get; set; } = "";
    public NamedReference Cluster { get; set; } = new();
    public string Method { get; set; } = "";
    public NamedReference PluginConfiguration { get; set; } = new();
}

sealed record ObjectStoreSpec
{
    public ObjectStoreConfiguration Configuration { get; set; } = new();
    public string RetentionPolicy { get; set; } = "";
}

sealed record ObjectStoreConfiguration
{
    public string DestinationPath { get; set; } = "";
    public ObjectStoreCredentials S3Credentials { get; set; } = new();
    public ObjectStoreWriting Wal { get; set; } = new();
    public ObjectStoreWriting Data { get; set; } = new();
}

sealed record ObjectStoreCredentials
{
    public V1SecretKeySelector AccessKeyId { get; set; } = new();
    public V1SecretKeySelector SecretAccessKey { get; set; } = new();
}

sealed record ObjectStoreWriting
{
    public string Compression { get; set; } = "";
    public string Encryption { get; set; } = "";
}

sealed record DatabaseStorage { public string Size { get; set; } = ""; }

sealed record DatabaseAffinity
{
    public string PodAntiAffinityType { get; set; } = "";
    public string TopologyKey { get; set; } = "";
}

sealed record DatabaseBootstrap
{
    public DatabaseInitdb Initdb { get; set; } = new();
    public DatabaseRecovery? Recovery { get; set; }
}

sealed record DatabaseRecovery
{
    public string Source { get; set; } = "";
    public string Database { get; set; } = "";
    public string Owner { get; set; } = "";
    public DatabaseRecoveryTarget RecoveryTarget { get; set; } = new();
}

sealed record DatabaseRecoveryTarget { public string TargetTime { get; set; } = ""; }

sealed record DatabaseInitdb
{
    public string Database { get; set; } = "";
    public string Owner { get; set; } = "";
}

sealed record DatabasePostgresql
{
    public DatabaseSynchronous? Synchronous { get; set; }
    public Dictionary<string, string> Parameters { get; set; } = [];
}

sealed record DatabaseSynchronous
{
    public string Method { get; set; } = "";
    public int Number { get; set; }
    public string DataDurability { get; set; } = "";
}

sealed record DatabaseManaged { public List<DatabaseRole> Roles { get; set; } = []; }

sealed record DatabaseRole
{
    public string Name { get; set; } = "";
    public string Ensure { get; set; } = "";
    public bool Login { get; set; }
    public List<string> InRoles { get; set; } = [];
    public NamedReference? PasswordSecret { get; set; }
}

sealed record ScaledObjectSpec
{
    public NamedReference ScaleTargetRef { get; set; } = new();
    public int PollingInterval { get; set; }
    public int MinReplicaCount { get; set; }
    public int MaxReplicaCount { get; set; }
    public ScaleFallback? Fallback { get; set; }
    public ScaleAdvanced? Advanced { get; set; }
    public List<ScaleTrigger> Triggers { get; set; } = [];
}

sealed record ScaleFallback
{
    public int FailureThreshold { get; set; }
    public int Replicas { get; set; }
    public string Behavior { get; set; } = "";
}

sealed record ScaleAdvanced { public ScaleAutoscaler? HorizontalPodAutoscalerConfig { get; set; } }
sealed record ScaleAutoscaler { public V2HorizontalPodAutoscalerBehavior? Behavior { get; set; } }

sealed record ScaleTrigger
{
    public string Type { get; set; } = "";
    public Dictionary<string, string> Metadata { get; set; } = [];
    public NamedReference? AuthenticationRef { get; set; }
}

sealed record TriggerAuthenticationSpec { public List<TriggerSecret> SecretTargetRef { get; set; } = []; }

sealed record TriggerSecret
{
    public string Parameter { get; set; } = "";
    public string Name { get; set; } = "";
    public string Key { get; set; } = "";
}

sealed record PodMonitorSpec
{
    public V1LabelSelector Selector { get; set; } = new();
    public List<string> PodTargetLabels { get; set; } = [];
    public List<PodEndpoint> PodMetricsEndpoints { get; set; } = [];
}

sealed record PodEndpoint
{
    public string Port { get; set; } = "";
    public string Path { get; set; } = "";
    public string Interval { get; set; } = "";
    public Dictionary<string, List<string>> Params { get; set; } = [];
}

sealed record RuleSpec { public List<RuleGroup> Groups { get; set; } = []; }

sealed record RuleGroup
{
    public string Name { get; set; } = "";
    public List<AlertRule> Rules { get; set; } = [];
}

sealed record AlertRule
{
    public string? Alert { get; set; }
    public string? Record { get; set; }
    public string Expr { get; set; } = "";
    public string? For { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
    public Dictionary<string, string> Annotations { get; set; } = [];
}
