using System.Reflection;
using Huzhu.Contracts.Requests.V1;
using Xunit;

namespace Huzhu.Tests.Unit.Architecture;

/// <summary>The rules of CONTRIBUTING that the compiler alone does not keep.</summary>
public class ArchitectureTests
{
    private static readonly string[] Services = ["Requests", "Groups", "Matching", "Notifications"];

    public static TheoryData<string> EveryService => new(Services);

    [Theory, MemberData(nameof(EveryService))]
    public void a_domain_is_pure(string service)
    {
        // Ciphertext is data like any other, so a domain may hold it; what encrypts and decrypts it stays outside.
        var plumbing = typeof(Huzhu.ServiceDefaults.Hosting).Assembly.GetExportedTypes()
            .Where(type => type.Namespace == "Huzhu.ServiceDefaults" && type.Name is not ("Protected" or "ProtectedConverter"))
            .Select(type => type.FullName!);
        string[] impure = ["Marten", "MassTransit", "Microsoft.AspNetCore", "Npgsql", "RabbitMQ", "JasperFx", "System.Net.Http", .. plumbing];
        var domain = NetArchTest.Rules.Types.InAssembly(Assembly.Load($"Huzhu.{service}")).That().ResideInNamespaceStartingWith($"Huzhu.{service}.Domain");
        Assert.NotEmpty(domain.GetTypes());
        Assert.Empty((domain.ShouldNot().HaveDependencyOnAny(impure).GetResult().FailingTypes ?? []).Select(type => type.FullName));
    }

    [Theory, MemberData(nameof(EveryService))]
    public void no_service_references_another(string service)
    {
        var referenced = Assembly.Load($"Huzhu.{service}").GetReferencedAssemblies().Select(name => name.Name);
        Assert.Empty(referenced.Intersect(Services.Where(other => other != service).Select(other => $"Huzhu.{other}")));
    }

    /// <summary>The audit reads the logs with the services' own code (docs/adr/0006); nothing may lean on it, and it starts no service.</summary>
    [Fact]
    public void only_the_audit_references_services_and_nothing_references_the_audit()
    {
        Assert.Equal(Services.Order(), ReferencesOf("Audit").Intersect(Services).Order());
        Assert.All(Services.Append("ServiceDefaults").Append("Contracts"), service => Assert.DoesNotContain("Audit", ReferencesOf(service)));
        var audit = NetArchTest.Rules.Types.InAssembly(Assembly.Load("Huzhu.Audit"));
        var messaging = audit.ShouldNot().HaveDependencyOnAny("MassTransit", "RabbitMQ", "Huzhu.ServiceDefaults.PersonalDataVault").GetResult();
        Assert.Empty((messaging.FailingTypes ?? []).Select(type => type.FullName));
        // Only where its verbs are served over HTTP.
        var hosting = audit.That().DoNotResideInNamespace("Huzhu.Audit.Serving").ShouldNot().HaveDependencyOnAny("Microsoft.AspNetCore", "Huzhu.ServiceDefaults.Hosting").GetResult();
        Assert.Empty((hosting.FailingTypes ?? []).Select(type => type.FullName));

        static IEnumerable<string> ReferencesOf(string project) =>
            Assembly.Load($"Huzhu.{project}").GetReferencedAssemblies().Select(name => name.Name!).Where(name => name.StartsWith("Huzhu.", StringComparison.Ordinal)).Select(name => name["Huzhu.".Length..]);
    }

    /// <summary>The console asks the others over HTTP (docs/adr/0013), and stores nothing.</summary>
    [Fact]
    public void the_console_references_no_service_and_no_store()
    {
        var console = Assembly.Load("Huzhu.Console");
        Assert.Empty(console.GetReferencedAssemblies().Select(name => name.Name).Intersect([.. Services.Select(service => $"Huzhu.{service}"), "Huzhu.Audit", "Marten", "MassTransit", "Npgsql", "RabbitMQ.Client"]));
    }

    [Theory]
    [InlineData("Console")]
    [MemberData(nameof(EveryService))]
    public void a_program_stays_short(string service)
    {
        var lines = File.ReadLines(Path.Combine(Repository(), "services", service, "Program.cs"));
        Assert.InRange(lines.Count(line => line.Trim().Length > 0), 1, 40);
    }

    [Fact]
    public void contracts_depend_on_nothing_but_the_runtime() =>
        Assert.All(typeof(Need).Assembly.GetReferencedAssemblies(), name => Assert.StartsWith("System.", name.Name));

    [Fact]
    public void a_message_type_lives_in_a_namespace_of_its_service_and_version()
    {
        var messages = typeof(Need).Assembly.GetExportedTypes().Where(type => type.Namespace != "Huzhu.Contracts").ToList();
        Assert.NotEmpty(messages);
        Assert.All(messages, type => Assert.Matches(@"^Huzhu\.Contracts\.(Requests|Groups|Matching|Notifications)\.V\d+$", type.Namespace));
    }

    private static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return folder;
    }
}
