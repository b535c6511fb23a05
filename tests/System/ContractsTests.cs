using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Huzhu.SystemTests.Clients;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>What the services say of themselves is committed, so that every change of it is seen.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed class ContractsTests(ConsoleHuzhu fixture) : IDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);

    public void Dispose() => _huzhu.Dispose();

    public static TheoryData<string> EveryService => [.. Repository.ServiceNames, Repository.Audit];

    [Theory, MemberData(nameof(EveryService))]
    public async Task the_committed_openapi_document_is_what_the_service_serves(string service)
    {
        var (status, document) = await _huzhu.SendAsync(HttpMethod.Get, service, "/openapi/v1.json", role: null);
        Assert.Equal(200, status);
        Assert.StartsWith("3.", (string)document!["openapi"]!);
        Assert.All(document["paths"]!.AsObject(), path => Assert.All(path.Value!.AsObject().Where(operation => operation.Value is JsonObject), operation =>
            Assert.True(operation.Value!["summary"] is not null, $"{operation.Key} {path.Key} says what it does")));
        // Where it runs is not part of it.
        document.AsObject().Remove("servers");
        CommittedDocument.AssertSame($"docs/integrators/openapi/{service}.json", document);
    }

    /// <summary>By AsyncAPI's own parser. That the document is the contracts' is a unit test's business.</summary>
    [Fact]
    public async Task the_committed_asyncapi_document_is_valid()
    {
        var clients = await NodeClients.InstallAsync("Events", TestContext.Current.CancellationToken);
        var file = Path.Combine(Repository.Find().Root, "docs", "integrators", "asyncapi.json");
        Assert.StartsWith("3.0.0 ", await clients.RunAsync("check-asyncapi.js", [file], cancellation: TestContext.Current.CancellationToken));
    }
}
