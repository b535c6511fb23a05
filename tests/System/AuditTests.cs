using System.Text.Json.Nodes;
using Huzhu.Audit.Verbs;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Xunit;

namespace Huzhu.SystemTests;

/// <summary>The audit on four services that are running, each with what one need has left in its log.</summary>
public sealed class AuditTests(HuzhuFixture fixture) : IClassFixture<HuzhuFixture>, IAsyncLifetime
{
    private readonly Client _huzhu = new(fixture.Huzhu);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-audit-");
    private string _request = "", _need = "", _group = "", _offer = "";

    public async ValueTask InitializeAsync()
    {
        Assert.Equal(ExitCodes.Ok, (await AuditAsync("key", Path.Combine(_folder.FullName, "key"))).ExitCode);
        var place = Random.Shared.NextDouble();
        _group = await _huzhu.RegisterAsync("groups", Client.Entry($"audited {place}", 32 + place, 122, abilities: ["text-only"], radiusMetres: 3000, file: "audited"));
        (_request, _need) = await _huzhu.SubmitAsync(Client.Request($"audited-{place}", lat: 32 + place, lon: 122, communication: ["text-only"]));
        _offer = (string)(await _huzhu.MatchInAsync(_need, "offered"))["offers"]![0]!["offerId"]!;
        await _huzhu.AnswerAsync(_offer, "accept");
        await _huzhu.AnswerAsync(_offer, "start");
        await _huzhu.AnswerAsync(_offer, "complete");
        await _huzhu.RequestInAsync(_request, "fulfilled");
    }

    public ValueTask DisposeAsync()
    {
        _huzhu.Dispose();
        _folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task one_need_is_followed_through_the_four_logs_by_request_by_need_and_by_responder()
    {
        foreach (var id in new[] { _request, _need })
        {
            var output = "";
            var entries = (await Client.EventuallyAsync("the timeline to reach the last message", async () =>
            {
                (var exitCode, output) = await AuditAsync("timeline", id, "--json");
                Assert.True(exitCode == ExitCodes.Ok, output);
                var seen = JsonNode.Parse(output)!.AsArray();
                // What the coordinator caused may be told first: wait for what the call itself has led to.
                var call = seen.SingleOrDefault(entry => (string)entry!["event"]!["type"]! == "request_submitted")?["trace"];
                return (seen.Any(entry => (string)entry!["service"]! == "notifications" && (string?)entry["trace"] == (string?)call), seen);
            })).AsArray();
            var types = entries.Select(entry => $"{entry!["service"]} {entry["event"]!["type"]}").ToList();
            Assert.Contains("requests request_submitted", types);
            Assert.Contains("matching offer_made", types);
            Assert.Contains("matching place_held", types);
            Assert.Contains("notifications notification_requested", types);
            // One trace from the call to the message.
            var submitted = entries.Single(entry => (string)entry!["event"]!["type"]! == "request_submitted")!;
            Assert.Contains(entries, entry => (string)entry!["service"]! == "notifications" && (string?)entry["trace"] == (string?)submitted["trace"]);
            Assert.DoesNotContain("\"Lin\"", output);
            Assert.DoesNotContain("13800000000", output);
        }
        var (code, text) = await AuditAsync("timeline", _group);
        Assert.Equal(ExitCodes.Ok, code);
        foreach (var expected in new[] { "groups        group_registered", "matching      responder_listed", "matching      help_completed", "notifications notification_requested", "caused by: ", "trace: " })
            Assert.Contains(expected, text);
        Assert.Equal(ExitCodes.Unknown, (await AuditAsync("timeline", Guid.NewGuid().ToString())).ExitCode);
        Assert.Equal(ExitCodes.Unknown, (await AuditAsync("timeline", _need, "--as-of", "2000-01-01T00:00:00Z")).ExitCode);
    }

    [Fact]
    public async Task what_the_services_work_with_is_what_the_logs_make()
    {
        var (exitCode, output) = await AuditAsync("rebuild");
        Assert.True(exitCode == ExitCodes.Ok, output);
        foreach (var table in new[] { "requests: mt_doc_requestview", "groups: mt_doc_responderview", "notifications: mt_doc_notificationentry", "matching: needs" })
            Assert.Matches($@"{table}: [1-9]\d* rows, 0 differ", output);
        (exitCode, output) = await AuditAsync("recheck");
        Assert.True(exitCode == ExitCodes.Ok, output);

        await using var database = NpgsqlDataSource.Create(fixture.Huzhu.Description.Databases["requests"]);
        await using (var tamper = database.CreateCommand($"update huzhu.mt_doc_requestview set person_id = gen_random_uuid() where id = '{_request}'"))
            await tamper.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        (exitCode, output) = await AuditAsync("rebuild", "--service", "requests");
        Assert.Equal(ExitCodes.Found, exitCode);
        Assert.Contains($"mt_doc_requestview {_request} is ", output);
        await using var repair = database.CreateCommand($"update huzhu.mt_doc_requestview set person_id = (data->>'personId')::uuid where id = '{_request}'");
        await repair.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task running_services_are_sealed_verified_and_exported_without_a_person_in_it()
    {
        var (exitCode, output) = await AuditAsync("seal");
        Assert.True(exitCode == ExitCodes.Ok, output);
        (exitCode, output) = await AuditAsync("verify");
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Equal(4, output.Split('\n').Count(line => line.Contains("events are as 1 checkpoint sealed them", StringComparison.Ordinal)));
        foreach (var format in new[] { "cloudevents", "csv", "parquet" })
        {
            var export = Path.Combine(_folder.FullName, format);
            (exitCode, output) = await AuditAsync("export", "--format", format, "--out", export);
            Assert.True(exitCode == ExitCodes.Ok, output);
            var text = string.Concat(Directory.EnumerateFiles(export).Select(File.ReadAllText));
            Assert.Contains(format switch { "csv" => ",offer_made,", "parquet" => "PAR1", _ => "org.huzhu.matching.offer-made.v1" }, text);
            Assert.Contains("| offer_made | explanation.distanceMetres |", text);
            foreach (var known in new[] { _request, _need, _group, _offer, "\"Lin\"", "13800000000", "second floor" })
                Assert.DoesNotContain(known, text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task the_logs_are_played_again_and_told_by_groups_of_people()
    {
        var (exitCode, output) = await AuditAsync("replay", "--without-closures", "--json");
        Assert.True(exitCode == ExitCodes.Ok, output);
        var comparison = JsonNode.Parse(output)!;
        Assert.Equal("without closures", (string)comparison["question"]!);
        Assert.True((int)comparison["happened"]!["met"]! > 0);
        // Nothing closed here, so nothing is otherwise.
        Assert.Equal(comparison["simulated"]!.ToJsonString(), comparison["instead"]!.ToJsonString());

        var file = Path.Combine(_folder.FullName, "policy.json");
        var policy = (await _huzhu.GetAsync("matching", "/v1/policy", "operator")).ToJsonString();
        await File.WriteAllTextAsync(file, policy, TestContext.Current.CancellationToken);
        (exitCode, output) = await AuditAsync("replay", "--policy", file, "--out", Path.Combine(_folder.FullName, "replay"));
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Contains("with policy.json", output);
        var page = await File.ReadAllTextAsync(Path.Combine(_folder.FullName, "replay", "replay.html"), TestContext.Current.CancellationToken);
        System.Xml.Linq.XDocument.Parse(page["<!doctype html>".Length..]);
        Assert.Contains("<svg class=\"chart\"", page);
        await File.WriteAllTextAsync(file, policy.Replace("\"parallelOffers\":", "\"paralelOffers\":", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        (exitCode, output) = await AuditAsync("replay", "--policy", file);
        Assert.Equal((ExitCodes.Unknown, true), (exitCode, output.Contains("is no policy of Matching", StringComparison.Ordinal)));
        Assert.Equal(ExitCodes.Usage, (await AuditAsync("replay")).ExitCode);

        (exitCode, output) = await AuditAsync("equity", "--least", "1", "--json");
        Assert.True(exitCode == ExitCodes.Ok, output);
        var channels = JsonNode.Parse(output)!["tables"]!.AsArray().Single(table => (string)table!["by"]! == "channel")!["rows"]!.AsArray();
        Assert.Contains(channels, row => (int?)row!["needs"] > 0);
        (exitCode, output) = await AuditAsync("equity", "--least", "100000");
        Assert.True(exitCode == ExitCodes.Ok, output);
        Assert.Contains("withheld", output);
    }

    [Fact]
    public async Task a_timeline_is_a_page_to_print()
    {
        var file = Path.Combine(_folder.FullName, "timeline.html");
        var (exitCode, output) = await AuditAsync("timeline", _need, "--html", file);
        Assert.True(exitCode == ExitCodes.Ok, output);
        var page = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        System.Xml.Linq.XDocument.Parse(page["<!doctype html>".Length..]);
        Assert.Contains("offer_made", page);
        Assert.DoesNotContain("13800000000", page);
    }

    private async Task<(int ExitCode, string Output)> AuditAsync(params string[] arguments)
    {
        var settings = fixture.Huzhu.Description.Databases.ToDictionary(database => $"ConnectionStrings:{database.Key}", database => (string?)database.Value);
        settings["Audit:Folder"] = Path.Combine(_folder.FullName, "seal");
        settings["Audit:KeyFile"] = Path.Combine(_folder.FullName, "key");
        var output = new StringWriter();
        var exitCode = await AuditCommand.RunAsync(arguments, new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), output, output, TestContext.Current.CancellationToken);
        return (exitCode, output.ToString());
    }
}
