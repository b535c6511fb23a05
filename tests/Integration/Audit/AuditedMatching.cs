using System.Collections.Concurrent;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Verbs;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.TestKit;
using Huzhu.Tests.Integration.Matching;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Xunit;

namespace Huzhu.Tests.Integration.Audit;

/// <summary>
/// The log of a Matching that has lived a little and has stopped, read as an auditor reads it: with a role that may only
/// read, and a folder for what is sealed.
/// </summary>
public sealed class AuditedMatching(Servers servers) : IAsyncLifetime
{
    private static int _count;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-audit-");

    /// <summary>As the superuser, who can do everything to the log.</summary>
    public NpgsqlDataSource Superuser { get; private set; } = null!;

    /// <summary>As the auditor.</summary>
    public string ConnectionString { get; private set; } = null!;

    public IReadOnlyList<Need> Needs { get; private set; } = [];
    public string KeyFile => Path.Combine(_folder.FullName, "key");

    public async ValueTask InitializeAsync()
    {
        await using (var host = await MatchingHost.StartAsync(servers))
        {
            Superuser = NpgsqlDataSource.Create(host.Database);
            Needs = await LiveAsync(host);
        }
        ConnectionString = await GrantAsync();
        Assert.Equal(ExitCodes.Ok, (await RunAsync("", "key", KeyFile)).ExitCode);
    }

    public async ValueTask DisposeAsync()
    {
        await Superuser.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    public ServiceLog OpenLog() => new("matching", ConnectionString);

    /// <summary>A folder of its own for each test's seal.</summary>
    public string NewFolder() => _folder.CreateSubdirectory($"seal-{Interlocked.Increment(ref _count)}").FullName;

    public async Task<(int ExitCode, string Output)> RunAsync(string folder, params string[] arguments)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:Matching"] = ConnectionString,
            ["Audit:Folder"] = folder,
            ["Audit:KeyFile"] = KeyFile,
        }).Build();
        var output = new StringWriter();
        var exitCode = await AuditCommand.RunAsync(arguments, configuration, output, output, TestContext.Current.CancellationToken);
        return (exitCode, output.ToString());
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Superuser.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T> QueryAsync<T>(string sql)
    {
        await using var command = Superuser.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Offers of every kind: nearest, full, provider first, declined, online by load, across a seal, after a closure.</summary>
    private static async Task<IReadOnlyList<Need>> LiveAsync(MatchingHost host)
    {
        var town = new Town();
        var provider = town.Responder(kind: ResponderKind.Provider, metresNorth: 2000, capacity: 40);
        await host.ListAsync(provider);
        var named = default(ResponderId);
        for (var index = 0; index < 8; index++)
            named = await host.ListAsync(town.Responder(metresNorth: 300 * index, capacity: 3 + index % 3));
        await host.ListAsync(town.Responder(metresNorth: 100, capacity: 5, kinds: ["specialised"]));
        var needs = Enumerable.Range(0, 60).Select(index =>
            town.Need(index % 7 == 0 ? Urgency.Health : Urgency.Hardship) with { Mode = index % 3 == 0 ? DeliveryMode.Online : DeliveryMode.Offline, HelpedBefore = index % 2 == 0 ? [named] : null }).ToList();
        await Task.WhenAll(needs.Take(40).Select(host.SubmitAsync));
        foreach (var need in needs.Take(40))
            await host.EventuallyAsync(need.NeedId, _ => true, "heard of");
        foreach (var (need, index) in needs.Take(20).Select((need, index) => (need, index)))
        {
            var open = MatchingHost.Open((await host.MatchAsync(need.NeedId))!).FirstOrDefault();
            if (open is not null)
                await host.AnswerAsync(open, index % 4 == 0 ? "decline" : "accept", index % 4 == 0 ? new { reason = "other" } : null);
        }
        var (assigned, answer) = await host.SendAsync(HttpMethod.Post, $"/v1/matches/{needs[38].NeedId}/assign", new { responderId = named, reason = "knows the family" });
        Assert.True(assigned == 200, answer?.ToJsonString());
        await host.ChangePolicyAsync(policy =>
        {
            policy["maxCandidatesExplained"] = 4;
            policy["weights"] = new System.Text.Json.Nodes.JsonObject { ["notHelpedBeforeMetres"] = 400, ["fullLoadMetres"] = 150 };
        });
        await host.SayAsync(provider with { Version = 2, Opening = Opening.Closed, ClosedBecause = "lockdown" });
        await MatchingHost.EventuallyAsync(async () => (int)(await host.ResponderAsync(provider.ResponderId))!["held"]! == 0, "the closed provider to hold nothing");
        var (area, measure) = town.Zone(700);
        await host.SayAsync(new MeasureImposed(measure, "Lockdown", area, true, DateTimeOffset.UtcNow, null, DateTimeOffset.UtcNow));
        await MatchingHost.EventuallyAsync(async () => await host.CountAsync("select count(*) from huzhu.mt_events where type = 'zone_sealed'") == 1, "the zone to be sealed");
        await Task.WhenAll(needs.Skip(40).Select(host.SubmitAsync));
        foreach (var need in needs.Skip(40))
            await host.EventuallyAsync(need.NeedId, match => (string)match["state"]! is "offered" or "waiting", "settled");
        await host.SayAsync(new MeasureLifted(measure, "over", DateTimeOffset.UtcNow));
        await host.SayAsync(provider with { Version = 3, Opening = Opening.Open });
        foreach (var need in needs)
            await host.EventuallyAsync(need.NeedId, match => (string)match["state"]! is not "waiting", "out of the backlog");
        return needs;
    }

    /// <summary>The role that docs/auditors tells to make.</summary>
    private async Task<string> GrantAsync()
    {
        var role = $"auditor_{Guid.NewGuid():N}";
        await ExecuteAsync($"""
            create role {role} login password 'secret';
            grant usage on schema huzhu to {role};
            grant select on all tables in schema huzhu to {role};
            grant select on all sequences in schema huzhu to {role};
            """);
        return new NpgsqlConnectionStringBuilder(Superuser.ConnectionString) { Username = role, Password = "secret" }.ConnectionString;
    }
}
