using System.Text.RegularExpressions;
using Huzhu.Audit.Verbs;
using Huzhu.Local.Infrastructure;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests.Faults;

/// <summary>
/// docs/operations/backup.md, done, with its own commands: the copy of a moment keeps every promise made until then, is
/// what was sealed until then, has whoever was erased since erased again, and goes on.
/// </summary>
[Collection(FaultCollection.Name)]
public sealed partial class BackupTests(FaultFixture fixture, ITestOutputHelper output) : IAsyncDisposable
{
    private const string TheBackup = "/srv/huzhu-backup", TheMoment = "2022-04-01T08:00:00Z", TheReport = "/srv/huzhu-erasures.json";

    private readonly string _folder = Path.Combine("/var/tmp", $"huzhu-backup-{Guid.NewGuid():N}");
    private readonly string _page = File.ReadAllText(Path.Combine(Repository.Find().Root, "docs", "operations", "backup.md"));

    private string Archive => Path.Combine(_folder, "backup");
    private string Report => Path.Combine(_folder, "erasures.json");

    public async ValueTask DisposeAsync()
    {
        if (!Directory.Exists(_folder))
            return;
        await using (var server = NpgsqlDataSource.Create(fixture.Huzhu.Description.Databases["requests"]))
        {
            foreach (var statement in new[] { "alter system reset archive_command", "select pg_reload_conf()" })
            {
                await using var command = server.CreateCommand(statement);
                await command.ExecuteNonQueryAsync();
            }
        }
        KeptDatabase.Forget(new Repository(Path.Combine(_folder, "clone")));
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task a_copy_of_a_moment_keeps_what_was_promised_until_then_and_goes_on()
    {
        Assert.SkipUnless(FaultSettings.IsAsked, "HUZHU_FAULTS=short asks for it.");
        var huzhu = fixture.Huzhu;
        var cancellation = TestContext.Current.CancellationToken;
        var postgres = await Provisioning.FindPostgresAsync(Repository.Find(), Narrator.Silent, cancellation);
        Assert.SkipUnless(postgres is Installation.Native, "Containers keep their data to themselves.");
        var prefix = Guid.NewGuid().ToString("N");
        var commands = Commands();

        // What these services are is up, for the commands of a clone of its own.
        var clone = await CloneAsync(cancellation);
        var up = await RunFolder.CreateAsync(clone, "up");
        huzhu.Description.Write(clone);

        await using var load = new FaultLoad(huzhu.Services);
        await load.RegisterGroupsAsync("backup", groups: 4);
        await load.SubmitSteadilyAsync($"{prefix}-before", FaultSettings.Rate, Task.Delay(1000, cancellation));
        await SayAsync(commands[0]);
        var taken = PostgresBackup.Read(Archive);
        await ArchivesAsThePageSaysAsync(huzhu.Description.Databases["requests"]);

        // In the middle of things.
        var enough = new TaskCompletionSource();
        var submitting = load.SubmitSteadilyAsync($"{prefix}-meanwhile", FaultSettings.Rate, enough.Task);
        await load.SubmitAsync($"{prefix}-forgotten");
        var forgotten = load.Accepted.Single(call => call.Key == $"{prefix}-forgotten").Subject;
        await SayAsync("./huzhu audit seal");
        var early = Path.Combine(_folder, "sealed");
        await Tool.RunAsync("cp", ["-a", Path.Combine(clone.LocalFolder, "audit", up.Id), early], TimeSpan.FromMinutes(1), cancellation: cancellation);
        var moment = DateTimeOffset.UtcNow;
        var promised = load.Accepted.Where(call => call.At < moment).ToList();
        await load.SubmitAsync($"{prefix}-later");
        enough.SetResult();
        await submitting;
        await load.CheckAsync(huzhu.Description.Databases, TimeSpan.FromMinutes(5));
        await SayAsync($"./huzhu audit erase {forgotten} --basis drill --force");
        await SayAsync("./huzhu audit seal");
        await SayAsync(commands[1]);
        await SayAsync(commands[2]);
        await up.DisposeAsync();

        // Before the backup was taken there is nothing to go back to.
        var refused = await RunAsync(commands[4].Replace(TheMoment, $"{taken.TakenAt.AddHours(-1):O}", StringComparison.Ordinal));
        Assert.Equal((2, true), (refused.ExitCode, refused.Output.Contains("what was before that it does not know", StringComparison.Ordinal)));
        await SayAsync(commands[3]);
        Assert.Contains("4 logs", Summary(await RunAsync(commands[5]), expected: ExitCodes.Ok));
        await SayAsync(commands[4].Replace(TheMoment, $"{moment:O}", StringComparison.Ordinal));
        // It lacks what was sealed later, and that is said; there is nothing else to say.
        Assert.DoesNotMatch(NotTruncated(), Summary(await RunAsync(commands[5]), expected: ExitCodes.Found));

        await using var copy = await KeptDatabase.Find(clone)!.StartAsync(postgres, huzhu.Infrastructure.Run, cancellation);
        var databases = Repository.ServiceNames.ToDictionary(service => service, service => copy.ConnectionString(service, maximumPoolSize: 10));
        var settings = Settings(databases, early, Path.Combine(clone.LocalFolder, "audit", "key"));
        Assert.Equal(ExitCodes.Ok, (await AuditAsync(settings, "verify")).ExitCode);
        await ATamperingIsFoundAsync(databases["matching"], settings);
        await SetBackAsThePageSaysAsync(databases.Values);

        // The broker is a new one: what was in the queues of the old is gone.
        await using var services = await ServiceHost.StartAsync(huzhu.Infrastructure.Run, new ServiceHostOptions
        {
            Databases = databases,
            AmqpUri = await huzhu.Infrastructure.RabbitMq.CreateVirtualHostAsync($"restored-{prefix}", cancellation),
            Keys = huzhu.Services.Options.Keys,
        }, cancellation: cancellation);
        await using var again = new FaultLoad(services, promised);
        await again.SubmitAsync($"{prefix}-after");
        await again.CheckAsync(databases, TimeSpan.FromMinutes(5));
        output.WriteLine($"{promised.Count} promises until {moment:O}; {load.Accepted.Count} in all.");
        Assert.True(load.Accepted.Count > promised.Count, "Nothing was promised after the moment.");

        await ErasuresAreRepeatedAsync(databases["requests"], settings, services, forgotten);
        await again.CheckAsync(databases, TimeSpan.FromMinutes(5));
        var (exitCode, verified) = await AuditAsync(settings, "verify");
        Assert.True(exitCode == ExitCodes.Ok, verified);
        Assert.Equal(4, verified.Split('\n').Count(line => line.Contains("events are as 1 checkpoint sealed them", StringComparison.Ordinal)));

        string Summary(Tool.Outcome ran, int expected)
        {
            Assert.True(ran.ExitCode == expected, ran.Output);
            return $"{ran.Output.Split('\n').Count(line => line.Contains("TAMPERED", StringComparison.Ordinal) || line.Contains("sealed them", StringComparison.Ordinal))} logs\n{ran.Output}";
        }
    }

    /// <summary>One event of the copy is another now; then it is as it was again.</summary>
    private static async Task ATamperingIsFoundAsync(string matching, IReadOnlyDictionary<string, string?> settings)
    {
        await using var database = NpgsqlDataSource.Create(matching);
        var (id, data) = ("", "");
        await using (var read = database.CreateCommand("select id::text, data::text from huzhu.mt_events where type = 'offer_made' order by seq_id limit 1"))
        await using (var row = await read.ExecuteReaderAsync())
        {
            Assert.True(await row.ReadAsync());
            (id, data) = (row.GetString(0), row.GetString(1));
        }
        await WriteAsync("""jsonb_set(data, '{responderId}', '"00000000-0000-0000-0000-000000000001"')""");
        var (exitCode, said) = await AuditAsync(settings, "verify");
        Assert.Equal(ExitCodes.Found, exitCode);
        Assert.Matches($"matching: TAMPERED: 1 finding.\n +changed: Event {id}", said);
        await WriteAsync("$2::jsonb");
        Assert.Equal(ExitCodes.Ok, (await AuditAsync(settings, "verify")).ExitCode);

        async Task WriteAsync(string expression)
        {
            await using var write = database.CreateCommand($"update huzhu.mt_events set data = {expression} where id = $1::uuid and $2 is not null");
            write.Parameters.AddWithValue(id);
            write.Parameters.AddWithValue(data);
            Assert.Equal(1, await write.ExecuteNonQueryAsync());
        }
    }

    private async Task ErasuresAreRepeatedAsync(string requests, IReadOnlyDictionary<string, string?> settings, ServiceHost services, Guid forgotten)
    {
        var running = new Dictionary<string, string?>(settings)
        {
            ["Services:requests"] = services.BaseAddress("requests").AbsoluteUri,
            ["Services:groups"] = services.BaseAddress("groups").AbsoluteUri,
            ["Audit:Token"] = services.Token("local-operator", ["operator"]),
        };
        await using var database = NpgsqlDataSource.Create(requests);
        await using var keys = database.CreateCommand("select count(*) from huzhu.person_keys where person_id = (select person_id from huzhu.mt_doc_requestview where id = $1)");
        keys.Parameters.AddWithValue(forgotten);
        Assert.Equal(1L, await keys.ExecuteScalarAsync());
        var asked = Repeat().Match(_page).Groups[1].Value.Split(' ').Select(word => word.Replace(TheReport, Report, StringComparison.Ordinal)).ToArray();
        Assert.Contains(Report, asked);
        foreach (var summary in new[] { "1 of them repeated, 0 refused", "0 of them repeated, 0 refused" })
        {
            var (exitCode, said) = await AuditAsync(running, asked);
            Assert.True(exitCode == ExitCodes.Ok, said);
            Assert.Contains(summary, said);
            Assert.Equal(0L, await keys.ExecuteScalarAsync());
        }
        var (left, report) = await AuditAsync(settings, "erasure-report");
        Assert.True(left == ExitCodes.Ok, report);
        Assert.Contains("by local-operator, drill: no key is left", report);
    }

    /// <summary>What the page tells those who have a PostgreSQL of their own is what the commands do.</summary>
    private async Task ArchivesAsThePageSaysAsync(string connectionString)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        await using var show = database.CreateCommand("show archive_command");
        Assert.Equal(ArchiveCommand().Match(_page).Groups[1].Value.Replace("/backup/wal", Path.Combine(Archive, "wal"), StringComparison.Ordinal), await show.ExecuteScalarAsync());
    }

    /// <summary>./huzhu restore has done so already: by the page it comes out the same.</summary>
    private async Task SetBackAsThePageSaysAsync(IEnumerable<string> databases)
    {
        var statement = Statement().Match(_page).Groups[1].Value;
        foreach (var connectionString in databases)
        {
            await using var database = NpgsqlDataSource.Create(connectionString);
            const string marks = "select string_agg(name || ' ' || last_seq_id, ', ' order by name) from huzhu.mt_event_progression";
            await using var before = database.CreateCommand(marks);
            var set = await before.ExecuteScalarAsync();
            await using var command = database.CreateCommand(statement);
            Assert.True(await command.ExecuteNonQueryAsync() > 0);
            await using var after = database.CreateCommand(marks);
            Assert.Equal(set, await after.ExecuteScalarAsync());
        }
    }

    /// <summary>The commands of the page's section for one machine, in their order.</summary>
    private List<string> Commands()
    {
        var lines = Block().Match(_page).Groups[1].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('#')[0].Trim()).ToList();
        Assert.Equal(["backup", "backup", "audit", "restore", "restore", "audit"], lines.Select(line => line.Split(' ')[1]));
        Assert.Contains(TheMoment, lines[4]);
        return lines;
    }

    /// <summary>A clone whose <c>.local</c> is the test's: what is up there, and what was kept of the last demo.</summary>
    private async Task<Repository> CloneAsync(CancellationToken cancellation)
    {
        var (here, clone) = (Repository.Find(), new Repository(Path.Combine(_folder, "clone")));
        var program = Path.Combine("deploy", "local", "bin");
        Directory.CreateDirectory(Path.Combine(clone.Root, "deploy", "local"));
        Directory.CreateDirectory(Path.Combine(clone.LocalFolder, "build"));
        var copied = await Tool.RunAsync("cp", ["-a", .. new[] { "Huzhu.slnx", "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "global.json", ".editorconfig" }
            .Select(name => Path.Combine(here.Root, name)), clone.Root], TimeSpan.FromMinutes(1), cancellation: cancellation);
        Assert.True(copied.Succeeded, copied.Tail);
        copied = await Tool.RunAsync("cp", ["-a", Path.Combine(here.Root, program), Path.Combine(clone.Root, program)], TimeSpan.FromMinutes(1), cancellation: cancellation);
        Assert.True(copied.Succeeded, copied.Tail);
        Directory.CreateSymbolicLink(Path.Combine(clone.Root, "services"), Path.Combine(here.Root, "services"));
        // They are built: the fixture has seen to it.
        File.Copy(Path.Combine(here.LocalFolder, "build", Builds.Services.Name), Path.Combine(clone.LocalFolder, "build", Builds.Services.Name));
        return clone;
    }

    private async Task SayAsync(string command)
    {
        var ran = await RunAsync(command);
        Assert.True(ran.Succeeded, $"{command}: {ran.Output}");
    }

    /// <summary>A line as it stands on the page; <c>./huzhu</c> becomes this program.</summary>
    private async Task<Tool.Outcome> RunAsync(string command)
    {
        var program = Path.Combine(_folder, "clone", "deploy", "local", "bin", "Release", "net10.0", "Huzhu.Local.dll");
        var line = command.Replace(TheBackup, Archive, StringComparison.Ordinal).Replace(TheReport, Report, StringComparison.Ordinal);
        Assert.StartsWith("./huzhu ", line);
        return await Tool.RunAsync("bash", ["-euc", $"dotnet {program}{line["./huzhu".Length..]}"], TimeSpan.FromMinutes(3), cancellation: TestContext.Current.CancellationToken);
    }

    private static Dictionary<string, string?> Settings(IReadOnlyDictionary<string, string> databases, string folder, string key) =>
        new(databases.Select(database => KeyValuePair.Create($"ConnectionStrings:{database.Key}", (string?)database.Value))) { ["Audit:Folder"] = folder, ["Audit:KeyFile"] = key };

    private static async Task<(int ExitCode, string Output)> AuditAsync(IReadOnlyDictionary<string, string?> settings, params string[] arguments)
    {
        var said = new StringWriter();
        var exitCode = await AuditCommand.RunAsync(arguments, new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), said, said, TestContext.Current.CancellationToken);
        return (exitCode, said.ToString());
    }

    [GeneratedRegex(@"^## One machine\n\n```\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Block();

    [GeneratedRegex(@"`archive_command = '([^']+)'`")]
    private static partial Regex ArchiveCommand();

    [GeneratedRegex(@"```sql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Statement();

    [GeneratedRegex(@"`(?:\./huzhu )?audit (erase --repeat [^`]+)`")]
    private static partial Regex Repeat();

    [GeneratedRegex(@"^  (?!truncated: )", RegexOptions.Multiline)]
    private static partial Regex NotTruncated();
}
