using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Audit.Verbs;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>
/// A person who needs help, one who calls for them and one who coordinates a group, each with a marker in every personal
/// field. The bytes on the disks of the servers have no marker before the erasure, but for what was told to people; after
/// it nothing has, and the log verifies as before.
/// </summary>
public sealed class ErasureTests(HuzhuFixture fixture) : IClassFixture<HuzhuFixture>, IAsyncDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-erasure-");

    private static readonly string Marker = $"MK{Guid.NewGuid():N}";
    private static readonly string Phone = $"+86{RandomNumberGenerator.GetString("123456789", 15)}";
    private static readonly double Lat = 33.1 + RandomNumberGenerator.GetInt32(1_000_000_000) * 1e-12, Lon = 120.1 + RandomNumberGenerator.GetInt32(1_000_000_000) * 1e-12;

    /// <summary>Not personal, and stored in clear: a search that does not find it finds nothing.</summary>
    private static readonly string Findable = $"FI{Guid.NewGuid():N}";

    private static readonly IReadOnlyList<(string Name, byte[] Bytes)> Personal =
    [
        .. Forms(Marker), .. Forms(Phone[1..]), .. Forms(Text(Lat)), .. Forms(Text(Lon)), .. Forms(Lat), .. Forms(Lon),
    ];

    public ValueTask DisposeAsync()
    {
        _huzhu.Dispose();
        _folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task after_an_erasure_nothing_of_the_person_is_left_anywhere_and_the_log_verifies_as_before()
    {
        Assert.Equal(ExitCodes.Ok, (await AuditAsync("key", Path.Combine(_folder.FullName, "key"))).ExitCode);
        var (group, request, need) = await LiveAsync();
        var answer = await _huzhu.GetAsync("requests", $"/v1/requests/{request}?personal=true&purpose=drill", "operator");
        Assert.Contains(Marker, answer.ToJsonString());
        Guid person = Guid.Parse((string)answer["personId"]!), caller = Guid.Parse((string)answer["callerId"]!);
        var keys = await KeysAsync(person, caller, Guid.Parse(group));
        Assert.Equal(3, keys.Count);

        // Before: only what people were told has it in clear.
        await FlushAsync(vacuum: false);
        var dump = await DumpAsync("before");
        Assert.NotEmpty(Find(ServerFolders(), Forms(Findable)));
        Assert.NotEmpty(Find([dump], Forms(Findable)));
        var told = fixture.Huzhu.Services.FileChannelFolder;
        Assert.NotEmpty(Find([told], Personal));
        AssertNothing(Find([.. ServerFolders(), dump], [.. Personal, .. keys.Select(key => ("a data key", key.Plain))], except: told));
        Assert.Equal(ExitCodes.Ok, (await AuditAsync("seal")).ExitCode);

        // Help is under way again, so it takes an operator who says so.
        var (exitCode, output) = await AuditAsync("erase", request);
        Assert.Equal(ExitCodes.Found, exitCode);
        Assert.Contains("Help is under way", output);
        foreach (var erased in new[] { request, caller.ToString(), group })
        {
            (exitCode, output) = await AuditAsync("erase", erased, "--force", "--basis", "drill");
            Assert.True(exitCode == ExitCodes.Ok, output);
        }
        await _huzhu.MatchInAsync(need, "cancelled");
        Assert.Equal(ExitCodes.Ok, (await AuditAsync("erase", person.ToString())).ExitCode);
        Assert.Equal(ExitCodes.Unknown, (await AuditAsync("erase", Guid.NewGuid().ToString())).ExitCode);
        await RepeatAsync(person);
        await Client.EventuallyAsync("what was told to be forgotten", () =>
        {
            var found = Find([told], Personal);
            return Task.FromResult((found.Count == 0, (JsonNode?)string.Join("\n", found)));
        });

        // After: nothing, in the servers' files, in a dump, in exports; and no key, wrapped or not, among the rows. The
        // services end first: what a transaction of theirs may still see, a vacuum spares.
        await fixture.Huzhu.Services.DisposeAsync();
        await FlushAsync(vacuum: true);
        dump = await DumpAsync("after");
        foreach (var format in new[] { "log", "cloudevents", "csv" })
            Assert.Equal(ExitCodes.Ok, (await AuditAsync("export", "--format", format, "--out", Path.Combine(_folder.FullName, format))).ExitCode);
        Assert.NotEmpty(Find([_folder.FullName], Forms(Findable)));
        AssertNothing(Find([.. ServerFolders(), _folder.FullName], [.. Personal, .. keys.Select(key => ("a data key", key.Plain))]));
        Assert.Empty(await KeysAsync(person, caller, Guid.Parse(group)));
        var wrapped = keys.Select(key => ("a wrapped key", key.Wrapped)).ToList();
        // The write-ahead log has the wrapped keys until it is written over; they open with the master key, which is elsewhere.
        AssertNothing(Find([dump, .. DataFolder() is { } data ? [Path.Combine(data, "base")] : Array.Empty<string>()], [.. wrapped, .. wrapped.SelectMany(key => Forms(Convert.ToHexStringLower(key.Wrapped)))]));

        // The log is whole, what is made of it is as it was made, and it says who was erased and who had read what.
        foreach (var verb in new[] { "verify", "rebuild", "recheck" })
        {
            (exitCode, output) = await AuditAsync(verb);
            Assert.True(exitCode == ExitCodes.Ok, $"{verb}: {output}");
        }
        (exitCode, output) = await AuditAsync("erasure-report");
        Assert.True(exitCode == ExitCodes.Ok, output);
        foreach (var erased in new[] { person, caller, Guid.Parse(group) })
            Assert.Matches($"{erased}  by local-operator, drill: no key is left", output);
        Assert.Contains("3 erasures, 0 of which left a key", output);
        Assert.Equal(ExitCodes.Unknown, (await AuditAsync("erasure-report", Guid.NewGuid().ToString())).ExitCode);
        (_, output) = await AuditAsync("access", person.ToString());
        Assert.Matches("Everything +by local-operator, drill, about " + request, output);
        Assert.Matches("Visit +by .*, notification, about " + request, output);
        (_, output) = await AuditAsync("access", group, "--json");
        Assert.Contains(JsonNode.Parse(output)!.AsArray(), one => (string)one!["what"]! == "Contact" && (string?)one["purpose"] == "notification");
        (_, output) = await AuditAsync("timeline", request);
        Assert.Contains("person_erased", output);
        Assert.Contains("personal_data_read", output);

        // A key that comes back, out of a backup perhaps, is found.
        await ExecuteAsync("requests", "insert into huzhu.person_keys (person_id, wrapped_key) values ($1, $2)", person, keys[0].Wrapped);
        (exitCode, output) = await AuditAsync("erasure-report", person.ToString());
        Assert.Equal(ExitCodes.Found, exitCode);
        Assert.Contains("A KEY IS THERE", output);
        await ExecuteAsync("requests", "delete from huzhu.person_keys where person_id = $1", person);
    }

    /// <summary>As after a restore: only what the log does not know is asked for again, and what is no report is none.</summary>
    private async Task RepeatAsync(Guid person)
    {
        var file = Path.Combine(_folder.FullName, "erasures.json");
        var (_, report) = await AuditAsync("erasure-report", "--json");
        await File.WriteAllTextAsync(file, report);
        var (exitCode, output) = await AuditAsync("erase", "--repeat", file);
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Contains("3 erasures in the report, 0 of them repeated, 0 refused", output);

        // One of after the last event of this log, and one of somebody of whom it knows nothing yet.
        var erasures = JsonNode.Parse(report)!.AsArray();
        var later = erasures.Single(one => (Guid)one!["personId"]! == person)!;
        later["at"] = DateTimeOffset.UtcNow.AddHours(1);
        var (stranger, unknown) = (Guid.NewGuid(), later.DeepClone());
        unknown["personId"] = stranger;
        erasures.Add(unknown);
        await File.WriteAllTextAsync(file, erasures.ToJsonString());
        (exitCode, output) = await AuditAsync("erase", "--repeat", file);
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Contains($"requests: {person} is erased again.", output);
        Assert.Contains($"requests: {stranger} is not known here.", output);
        Assert.Contains("4 erasures in the report, 2 of them repeated, 0 refused", output);

        foreach (var broken in new[] { "{", "null", "[null]", """[{"service":"requests"}]""", report.Replace("\"groups\"", "\"nobody\"", StringComparison.Ordinal) })
        {
            await File.WriteAllTextAsync(file, broken);
            (exitCode, output) = await AuditAsync("erase", "--repeat", file);
            Assert.Equal(ExitCodes.Unknown, exitCode);
            Assert.Contains("is not what erasure-report --json writes", output);
        }
        Assert.Equal(ExitCodes.Usage, (await AuditAsync("erase")).ExitCode);
        Assert.Equal(ExitCodes.Usage, (await AuditAsync("erase", person.ToString(), "--repeat", file)).ExitCode);
        File.Delete(file);
    }

    /// <summary>One need, told to a group and a caller, accepted, visited, fulfilled, disputed in the person's own words and offered again.</summary>
    private async Task<(string Group, string Request, string Need)> LiveAsync()
    {
        var group = (string)(await _huzhu.PostAsync("groups", "/v1/groups", "coordinator", new
        {
            name = "erasure test",
            sites = new[] { new { lat = 33.1, lon = 120.1, subDistrict = "J" } },
            radiusMetres = 3000,
            serviceKinds = new[] { "meals" },
            modes = new[] { "offline" },
            communicationAbilities = Array.Empty<string>(),
            capacity = 5,
            coordinatorName = $"{Marker} coordinator",
            channels = new[] { new { kind = "file", address = $"{Marker}-group", secret = (string?)$"{Marker}-secret" } },
        }))["id"]!;
        var (request, need) = await _huzhu.SubmitAsync(new
        {
            source = "erasure-tests",
            externalId = Guid.NewGuid(),
            channel = "phone",
            receivedAt = DateTimeOffset.UtcNow,
            operatorId = Findable,
            caller = new { @ref = $"{Marker}-caller", name = $"{Marker} 林", phone = Phone, language = "zh", channels = new[] { new { kind = "file", address = $"{Marker}-caller" } } },
            onBehalfOf = new { @ref = $"{Marker}-person", name = $"老林 {Marker}" },
            location = new { lat = Lat, lon = Lon, text = $"Building 3, {Marker}", accuracyMetres = 12.5 },
            needs = new[] { new { kind = "meals", mode = "offline", quantity = 1, note = $"{Marker} allergic" } },
            urgency = "hardship",
            communication = Array.Empty<string>(),
            consent = new { basis = "explicit", at = DateTimeOffset.UtcNow },
            callbackOk = true,
        }, key: $"{Marker}-key");
        var offer = (string)(await _huzhu.MatchInAsync(need, "offered"))["offers"]![0]!["offerId"]!;
        await _huzhu.AnswerAsync(offer, "accept");
        await Client.EventuallyAsync("the visit to reach the group", () => Task.FromResult((_huzhu.FileMessages().Exists(message => message.ToJsonString().Contains(Phone[1..])), (JsonNode?)null)));
        await _huzhu.AnswerAsync(offer, "start");
        await _huzhu.AnswerAsync(offer, "complete");
        await _huzhu.RequestInAsync(request, "fulfilled");
        // What is wrong is written down nowhere either.
        await _huzhu.SendAsync(HttpMethod.Post, "requests", "/v1/requests", "intake", new { source = Marker, urgency = Marker, caller = new { name = Marker } }, "k");
        await _huzhu.PostAsync("requests", $"/v1/requests/{request}/dispute", "intake", new { reason = $"{Marker} did not come" });
        await _huzhu.RequestInAsync(request, "waiting");
        return (group, request, need);
    }

    private async Task<List<(byte[] Wrapped, byte[] Plain)>> KeysAsync(params Guid[] people)
    {
        var keys = new List<(byte[], byte[])>();
        foreach (var service in new[] { "requests", "groups" })
        {
            foreach (var person in people)
            {
                foreach (var wrapped in await _huzhu.QueryAsync<byte[]>(service, "select wrapped_key from huzhu.person_keys where person_id = $1", person))
                {
                    var plain = new byte[32];
                    using var aes = new AesGcm(Convert.FromBase64String(fixture.Huzhu.Services.Options.Keys.PersonalData), 16);
                    aes.Decrypt(wrapped.AsSpan(0, 12), wrapped.AsSpan(28), wrapped.AsSpan(12, 16), plain, person.ToByteArray());
                    keys.Add((wrapped, plain));
                }
            }
        }
        return keys;
    }

    private async Task FlushAsync(bool vacuum)
    {
        foreach (var service in fixture.Huzhu.Description.Databases.Keys)
        {
            if (vacuum)
                await ExecuteAsync(service, "vacuum full");
            await ExecuteAsync(service, "select pg_switch_wal()");
            await ExecuteAsync(service, "checkpoint");
        }
    }

    private async Task ExecuteAsync(string service, string sql, params object[] arguments)
    {
        await using var connection = new NpgsqlConnection(fixture.Huzhu.Description.Databases[service] + ";Command Timeout=120");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var argument in arguments)
            command.Parameters.AddWithValue(argument);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>All databases as <c>pg_dump</c> writes them. The rows are in it whole, where in the data files they may be compressed.</summary>
    private async Task<string> DumpAsync(string name)
    {
        var folder = _folder.CreateSubdirectory(name).FullName;
        var programs = (await _huzhu.QueryAsync<string>("requests", "select setting from pg_config() where name = 'BINDIR'"))[0];
        foreach (var (service, text) in fixture.Huzhu.Description.Databases)
        {
            var connection = new NpgsqlConnectionStringBuilder(text);
            var start = new ProcessStartInfo(Path.Combine(programs, "pg_dump"), ["-h", connection.Host!, "-p", $"{connection.Port}", "-U", connection.Username!, "-f", Path.Combine(folder, $"{service}.sql"), service])
            {
                RedirectStandardError = true,
                Environment = { ["PGPASSWORD"] = connection.Password },
            };
            using var dump = Process.Start(start)!;
            var error = await dump.StandardError.ReadToEndAsync();
            await dump.WaitForExitAsync();
            Assert.True(dump.ExitCode == 0, error);
        }
        return folder;
    }

    private string? DataFolder() => _huzhu.QueryAsync<string>("requests", "show data_directory").GetAwaiter().GetResult()[0] is var folder && Directory.Exists(folder) ? folder : null;

    /// <summary>Data, logs and messages of everything that runs, wherever it had to be put.</summary>
    private IReadOnlyList<string> ServerFolders()
    {
        var run = fixture.Huzhu.Infrastructure.Run;
        return [run.FullPath, .. Directory.EnumerateDirectories("/var/tmp", $"huzhu-{run.Id}-*"), .. DataFolder() is { } data && !data.StartsWith(run.FullPath, StringComparison.Ordinal) ? [data] : Array.Empty<string>()];
    }

    private static void AssertNothing(List<string> found) => Assert.True(found.Count == 0, string.Join("\n", found));

    private static List<string> Find(IEnumerable<string> folders, IEnumerable<(string Name, byte[] Bytes)> patterns, string? except = null)
    {
        var (wanted, found) = (patterns.ToList(), new List<string>());
        foreach (var file in folders.SelectMany(folder => Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint })))
        {
            if (except is not null && file.StartsWith(except, StringComparison.Ordinal))
                continue;
            byte[] content;
            try
            {
                using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                using var memory = new MemoryStream();
                stream.CopyTo(memory);
                content = [.. Encoding.UTF8.GetBytes(Path.GetFileName(file)), .. memory.GetBuffer().AsSpan(0, (int)memory.Length)];
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                // The servers remove files as they go.
                continue;
            }
            found.AddRange(wanted.Where(pattern => content.AsSpan().IndexOf(pattern.Bytes) >= 0).Select(pattern => $"{file}: {pattern.Name}"));
        }
        return found;
    }

    /// <summary>As text in both Unicode forms, in hexadecimal, and in base64 at each of the three offsets without what the neighbours have a part in.</summary>
    private static IEnumerable<(string, byte[])> Forms(string text)
    {
        yield return ($"{text} in UTF-8", Encoding.UTF8.GetBytes(text));
        yield return ($"{text} in UTF-16", Encoding.Unicode.GetBytes(text));
        yield return ($"{text} in hexadecimal", Encoding.ASCII.GetBytes(Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text))));
        yield return ($"{text} JSON-escaped", Encoding.ASCII.GetBytes(string.Concat(text.Select(character => $"\\u{(int)character:x4}"))));
        for (var offset = 0; offset < 3; offset++)
        {
            var encoded = Convert.ToBase64String(Encoding.UTF8.GetBytes(new string('x', offset) + text + "xxx"));
            yield return ($"{text} in base64", Encoding.ASCII.GetBytes(encoded[(offset == 0 ? 0 : 4)..(encoded.Length - 8)]));
        }
    }

    private static IEnumerable<(string, byte[])> Forms(double number)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, number);
        yield return ($"{Text(number)} as bytes", bytes);
        yield return ($"{Text(number)} as bytes, reversed", [.. bytes.Reverse()]);
    }

    private static string Text(double number) => number.ToString("R", CultureInfo.InvariantCulture);

    private async Task<(int ExitCode, string Output)> AuditAsync(params string[] arguments)
    {
        var description = fixture.Huzhu.Description;
        var settings = description.Databases.ToDictionary(database => $"ConnectionStrings:{database.Key}", database => (string?)database.Value);
        foreach (var (service, address) in description.Services)
            settings[$"Services:{service}"] = address;
        settings["Audit:Token"] = description.Tokens["operator"];
        settings["Audit:Folder"] = Path.Combine(_folder.FullName, "seal");
        settings["Audit:KeyFile"] = Path.Combine(_folder.FullName, "key");
        var output = new StringWriter();
        var exitCode = await AuditCommand.RunAsync(arguments, new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), output, output, TestContext.Current.CancellationToken);
        return (exitCode, output.ToString());
    }
}
