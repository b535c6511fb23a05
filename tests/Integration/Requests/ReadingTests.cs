using System.Diagnostics;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Requests;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Marten;
using Marten.Events.Daemon;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Xunit;
using static Huzhu.Tests.Integration.Requests.RequestsFixture;

namespace Huzhu.Tests.Integration.Requests;

[Collection(RequestsCollection.Name)]
public sealed class ReadingTests(RequestsFixture requests)
{
    [Fact]
    public async Task lists_are_newest_first_paged_and_filtered()
    {
        var before = DateTimeOffset.UtcNow;
        var made = new List<JsonNode>();
        for (var index = 0; index < 5; index++)
            made.Add(await requests.SubmitAsync(Call()));
        await requests.ActAsync(made[1], "cancel", new { reason = "mistake" });
        var since = Uri.EscapeDataString(before.ToString("O"));

        var page = await ListAsync($"?since={since}&pageSize=2&page=2");
        Assert.Equal((5, 2, 2), ((int)page["total"]!, (int)page["page"]!, (int)page["pageSize"]!));
        Assert.Equal([Id(made[2]), Id(made[1])], page["items"]!.AsArray().Select(item => Id(item!)));
        var open = await ListAsync($"?since={since}&status=open");
        Assert.Equal([Id(made[4]), Id(made[3]), Id(made[2]), Id(made[0])], open["items"]!.AsArray().Select(item => Id(item!)));
        Assert.Equal([Id(made[1])], (await ListAsync($"?since={since}&status=cancelled"))["items"]!.AsArray().Select(item => Id(item!)));
        Assert.DoesNotContain("Lin", page.ToJsonString());
    }

    [Theory]
    [InlineData("?status=lost", "status")]
    [InlineData("?page=0", "page")]
    [InlineData("?pageSize=100000", "pageSize")]
    public async Task a_bad_filter_is_422(string query, string field)
    {
        var (status, problem, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests{query}");
        Assert.Equal(422, status);
        Assert.NotNull(problem!["errors"]![field]);
    }

    [Fact]
    public async Task an_unknown_request_is_404_and_an_id_that_is_none_is_a_problem()
    {
        Assert.Equal(404, (await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{Guid.NewGuid()}")).Status);
        Assert.Equal(400, (await requests.SendAsync(HttpMethod.Get, "/v1/requests/what")).Status);
    }

    [Fact]
    public async Task the_service_describes_its_api()
    {
        var (status, description, _) = await requests.SendAsync(HttpMethod.Get, "/openapi/v1.json", role: null);
        Assert.Equal(200, status);
        string[] paths = ["/v1/requests", "/v1/requests/{id}", "/v1/requests/{id}/cancel", "/v1/requests/{id}/confirm", "/v1/requests/{id}/dispute",
            "/v1/requests/{id}/reopen", "/v1/requests/{id}/concern", "/v1/requests/{id}/contact", "/v1/requests/{id}/visit",
            "/v1/requests/{id}/release-hold", "/v1/requests/{id}/own", "/v1/requests/of-caller",
            "/v1/people/{id}", "/v1/retention", "/v1/admission",
            "/channels/wechat/{account}", "/channels/hotline/{account}/sms", "/channels/hotline/{account}/voice", "/channels/hotline/{account}/calls"];
        Assert.Equal(paths.Order(StringComparer.Ordinal), description!["paths"]!.AsObject().Select(path => path.Key).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task the_rebuilt_view_equals_the_live_one()
    {
        var person = Guid.NewGuid().ToString("N");
        var first = await requests.SubmitAsync(Call(person));
        await requests.SubmitAsync(Call(person, urgency: "health"));
        await requests.MatchingSaysAsync(first, 2, NeedState.Fulfilled, new ResponderId(Guid.NewGuid()));
        await requests.StateAsync(first, "fulfilled");
        await requests.ActAsync(first, "dispute", new { reason = "not-delivered" });

        const string all = "select coalesce(string_agg(id || data::text || person_id || submitted_at, '' order by id), '') from huzhu.mt_doc_requestview";
        var live = await TextAsync(all);
        Assert.Contains(first["requestId"]!.ToString(), live);

        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["ConnectionStrings:EventStore"] = requests.Database, ["ConnectionStrings:Broker"] = requests.Broker, ["EventStore:ApplySchema"] = "false" });
        builder.Services.AddSingleton(TimeProvider.System);
        builder.AddMessaging("requests-rebuild", _ => { });
        builder.AddEventStore(EventStore.EventsOf<RequestEvent>(), Publishing.Map, options =>
        {
            options.Storage.ExtendedSchemaObjects.Add(IdempotencyKeys.Table());
            RequestView.Configure(options);
        });
        await using var app = builder.Build();
        using var daemon = await app.Services.GetRequiredService<IDocumentStore>().BuildProjectionDaemonAsync();
        await daemon.RebuildProjectionAsync<RequestViewProjection>(TestContext.Current.CancellationToken);
        Assert.Equal(live, await TextAsync(all));
    }

    [Fact]
    public async Task expired_idempotency_keys_are_forgotten_and_others_kept()
    {
        await requests.SubmitAsync(Call());
        await using (var age = requests.Sql.CreateCommand("insert into huzhu.idempotency_keys (key_hash, fingerprint, request_id, created_at) values ($1, 'x', gen_random_uuid(), now() - interval '49 hours')"))
        {
            age.Parameters.AddWithValue(Guid.NewGuid().ToByteArray());
            await age.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        var before = await requests.CountAsync("select count(*) from huzhu.idempotency_keys");
        Assert.Equal(1, await IdempotencyKeys.Expiry.ForgetAsync(requests.Sql, DateTimeOffset.UtcNow - IdempotencyKeys.Lifetime, TestContext.Current.CancellationToken));
        Assert.Equal(before - 1, await requests.CountAsync("select count(*) from huzhu.idempotency_keys"));
    }

    [Theory]
    [InlineData("Places__SubDistrictsFile", "/does/not/exist.geojson", "Places:SubDistrictsFile")]
    [InlineData("PersonalData__MasterKey", "c2hvcnQ=", "PersonalData:MasterKey")]
    [InlineData("Channels__Sources__desk__Kind", "webhook", "Channels:Sources:desk:Address")]
    public async Task a_bad_setting_stops_the_service_at_start_up_with_its_name(string variable, string value, string named)
    {
        var assembly = Repository.Find().ServiceAssembly("requests");
        var start = new ProcessStartInfo("dotnet", [assembly]) { RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = Path.GetDirectoryName(assembly) };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["ConnectionStrings__EventStore"] = requests.Database;
        start.Environment["ConnectionStrings__Broker"] = requests.Broker;
        start.Environment["Auth__Development__SigningKey"] = requests.Keys.Signing;
        start.Environment["PersonalData__MasterKey"] = requests.Keys.PersonalData;
        start.Environment[variable] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
        Assert.NotEqual(0, process.ExitCode);
        Assert.Contains(named, await output + await errors);
    }

    private async Task<JsonNode> ListAsync(string query)
    {
        var (status, body, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests{query}", role: "auditor");
        Assert.True(status == 200, $"The list was answered {status}: {body}");
        return body!;
    }

    private async Task<string> TextAsync(string sql)
    {
        await using var command = requests.Sql.CreateCommand(sql);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    private static string Id(JsonNode item) => item["requestId"]!.ToString();
}
