using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>One running Huzhu for the tests of one class.</summary>
public class HuzhuFixture : IAsyncLifetime
{
    protected virtual int Replicas => 1;
    /// <summary>A machine that is slow by itself is no overload here.</summary>
    protected virtual IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "5000", ["Admission__LongestSubmissionSeconds"] = "3600" };

    /// <summary>Whether the console runs too.</summary>
    protected virtual bool Console => false;

    public LocalDeployment Huzhu { get; private set; } = null!;

    public virtual async ValueTask InitializeAsync() =>
        Huzhu = await LocalDeployment.StartAsync(new LocalDeploymentOptions { Kind = "system-test", Replicas = Replicas, Console = Console, Environment = Environment });

    public virtual async ValueTask DisposeAsync() => await Huzhu.DisposeAsync();
}

/// <summary>One running Huzhu for tests of single needs and single calls, each with its own place on the map.</summary>
[CollectionDefinition(Name)]
public sealed class NeedsCollection : ICollectionFixture<HuzhuFixture>
{
    public const string Name = "Needs";
}

public sealed class ConsoleHuzhu : HuzhuFixture
{
    protected override bool Console => true;
}

/// <summary>One running Huzhu for all that integrators do to it, and for those who see it through the console.</summary>
[CollectionDefinition(Name)]
public sealed class IntegratorsCollection : ICollectionFixture<ConsoleHuzhu>
{
    public const string Name = "Integrators";
}

public sealed class TwoReplicas : HuzhuFixture
{
    protected override int Replicas => 2;
}
