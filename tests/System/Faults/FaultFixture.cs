using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>One Huzhu for the tests that stop and kill parts of it: two replicas of every service.</summary>
public sealed class FaultFixture : HuzhuFixture
{
    protected override int Replicas => 2;

    protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["Limits__RequestsPerSecond"] = "5000",
        ["Admission__LongestSubmissionSeconds"] = "3600",
    };
}

[CollectionDefinition(Name)]
public sealed class FaultCollection : ICollectionFixture<FaultFixture>
{
    public const string Name = "Faults";
}
