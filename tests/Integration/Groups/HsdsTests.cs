using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.TestKit;
using NJsonSchema;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>The directory reads and writes HSDS 3.0, checked with the examples and the schemas of its specification.</summary>
public sealed class HsdsTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private const string ExampleTerm = "taxonomy:code";
    private static readonly ConcurrentDictionary<string, Task<JsonSchema>> Schemas = [];

    private readonly GroupsService _groups = shared.Service;

    [Fact]
    public async Task an_example_of_the_specification_is_taken_once_its_words_are_explained_and_comes_out_as_it_came()
    {
        var service = Example();
        var before = await _groups.CountEventsAsync();
        var asked = await ImportAsync(service);
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "unmapped-terms"), (asked.Status, asked.Code));
        Assert.Equal([$"area:{service["service_areas"]![0]!["name"]}", ExampleTerm], asked.Body!["unmapped"]!.AsArray().Select(term => (string)term!["term"]!).Order(StringComparer.Ordinal));
        Assert.Equal(before, await _groups.CountEventsAsync());

        Assert.Equal(("registered", 0), Line(await ImportAsync(Explained(service))));
        Assert.Equal(("unchanged", 0), Line(await ImportAsync(Explained(service))));
        var id = (string)service["id"]!;
        var entry = (await _groups.GetAsync($"/v1/providers/{id}", _groups.Operator)).Body!;
        Assert.Equal(("Community Counselling", "open", 7, "MyRegion"), ((string)entry["name"]!, (string)entry["opening"]!, (int)entry["capacity"]!, (string)entry["sites"]![0]!["subDistrict"]!));
        Assert.Equal(["specialised.counselling"], entry["serviceKinds"]!.AsArray().Select(kind => (string)kind!));
        Assert.Equal(["J"], entry["subDistricts"]!.AsArray().Select(name => (string)name!));

        var shown = await ValidAsync($"/hsds/services/{id}", "service");
        Assert.Equal("active", (string)shown["status"]!);
        foreach (var (path, wanted) in new[] { ("schedules.0.byday", "TH,FR"), ("languages.0.code", "ur"), ("organization.tax_status", "tax_status"),
            ("service_at_locations.0.location.accessibility.0.details", "Switch hearing aid to T-coil to access the induction loop facility."),
            ("service_at_locations.0.location.addresses.0.postal_code", "ABC 1234"), ("service_areas.0.extent_type", "geojson"), ("required_documents.0.uri", "http://example.com") })
            Assert.Equal(wanted, (string?)path.Split('.').Aggregate((JsonNode?)shown, (node, step) => int.TryParse(step, out var index) ? node![index] : node![step]));
        Assert.DoesNotContain("Persona", shown.ToJsonString());
        Assert.Equal(0, await _groups.QueryAsync<long>("select count(*) from huzhu.mt_events where data::text like '%Persona%' or data::text like '%1234 234567%'"));
        // What the entry is told to be here does not lose what came from there.
        var put = Entry("Counselling, renamed");
        Assert.Equal(HttpStatusCode.OK, (await _groups.SendAsync(HttpMethod.Put, $"/v1/providers/{id}", _groups.Operator, put)).Status);
        Assert.Equal("TH,FR", (string)(await ValidAsync($"/hsds/services/{id}", "service"))["schedules"]![0]!["byday"]!);
    }

    [Fact]
    public async Task what_cannot_be_taken_is_told_line_by_line_and_the_rest_is_taken()
    {
        // As it is published, the example lies on no earth: latitude 100.
        var published = Read("service_full.json");
        published["id"] = Guid.NewGuid().ToString();
        var good = Example();
        var nameless = Example();
        nameless.Remove("name");
        nameless["status"] = "open";
        var kindless = Example();
        kindless["attributes"] = new JsonArray();
        var answer = await ImportAsync(Explained(new JsonArray(published, good, nameless, kindless, good.DeepClone(), 7, null)));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var lines = answer.Body!["lines"]!.AsArray();
        Assert.Equal(["refused", "registered", "refused", "refused", "refused", "refused", "refused"], lines.Select(line => (string)line!["outcome"]!));
        Assert.Equal((1, 6), ((int)answer.Body["registered"]!, (int)answer.Body["refused"]!));
        foreach (var (line, reason) in new[] { (0, "sites[0].lat"), (2, "status: One of"), (3, "attributes:"), (4, "earlier line"), (5, "an object is expected") })
            Assert.Contains(lines[line]!["reasons"]!.AsArray(), told => ((string)told!).Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task an_organisation_and_the_tables_of_a_package_are_taken_too()
    {
        var organization = Read("organization_full.json");
        organization["id"] = Guid.NewGuid().ToString();
        organization["services"] = new JsonArray(Example(withOrganization: false), Example(withOrganization: false));
        var answer = await ImportAsync(Explained(organization));
        Assert.Equal(2, (int)answer.Body!["registered"]!);
        var listed = await PageAsync($"/hsds/services?organization_id={organization["id"]}", "service");
        Assert.Equal(organization["services"]!.AsArray().Select(service => (string)service!["id"]!).Order(), listed["contents"]!.AsArray().Select(service => (string)service!["id"]!).Order());
        var shown = await ValidAsync($"/hsds/organizations/{organization["id"]}", "organization");
        Assert.Equal(("Example Organization Inc.", 2), ((string)shown["name"]!, shown["services"]!.AsArray().Count));

        var package = Read("tabular.json");
        var id = package["services.csv"]![0]!["id"] = Guid.NewGuid().ToString();
        foreach (var table in new[] { "service_at_location.csv", "schedules.csv", "languages.csv", "service_areas.csv" })
            package[table]![0]!["service_id"] = id.DeepClone();
        package["attributes.csv"]![0]!["link_id"] = id.DeepClone();
        (package["locations.csv"]![0]!["latitude"], package["locations.csv"]![0]!["longitude"]) = (31.2, 121.4);
        Assert.Equal(("registered", 0), Line(await ImportAsync(Explained(package))));
        var service = await ValidAsync($"/hsds/services/{id}", "service");
        Assert.Equal(("Urdu", "MyCity Civic Center", "Example Organization Inc."), ((string)service["languages"]![0]!["name"]!,
            (string)service["service_at_locations"]![0]!["location"]!["name"]!, (string)service["organization"]!["name"]!));
        Assert.NotNull(service["service_at_locations"]![0]!["location"]!["accessibility"]![0]!["description"]);
    }

    [Fact]
    public async Task a_closure_there_is_a_closure_here_and_one_from_here_shows_there()
    {
        var service = Example();
        var id = Guid.Parse((string)service["id"]!);
        async Task SaysAsync(string status, string expectedOpening, string? alert = null)
        {
            service["status"] = status;
            service["alert"] = alert;
            var answer = await ImportAsync(Explained(service));
            Assert.Equal(expectedOpening, (string)answer.Body!["lines"]![0]!["opening"]!);
        }

        await SaysAsync("temporarily closed", "closed", "Flood in the basement");
        Assert.Equal("Temporarily closed in the imported directory: Flood in the basement", (await _groups.ToldOfAsync(id, 3)).ClosedBecause);
        Assert.Equal("temporarily closed", (string)(await ValidAsync($"/hsds/services/{id}", "service"))["status"]!);
        await SaysAsync("temporarily closed", "closed", "Flood in the basement");
        await SaysAsync("active", "open");
        await SaysAsync("inactive", "paused");
        // Whoever resumes it here is not undone by the same word again.
        await _groups.PostAsync($"/v1/providers/{id}/resume", _groups.Operator, new { reason = "they called" });
        await SaysAsync("inactive", "open");

        // A closure that came another way is not ended by a word that was not about it.
        await _groups.PostAsync($"/v1/providers/{id}/closures", _groups.Operator, new { reason = "no staff", until = DateTimeOffset.UtcNow.AddDays(3) });
        await SaysAsync("active", "closed");
        var shown = await ValidAsync($"/hsds/services/{id}", "service");
        Assert.Equal(("temporarily closed", "no staff"), ((string)shown["status"]!, (string)shown["alert"]!));
        Assert.Contains(shown["schedules"]!.AsArray(), schedule => ((string?)schedule!["description"])?.Contains("no staff", StringComparison.Ordinal) == true && schedule["valid_from"] is not null);
        await SaysAsync("defunct", "withdrawn");
        await SaysAsync("defunct", "withdrawn");
        Assert.Equal("defunct", (string)(await ValidAsync($"/hsds/services/{id}", "service"))["status"]!);
        service["status"] = "active";
        Assert.Equal(("refused", 1), Line(await ImportAsync(Explained(service))));
    }

    [Fact]
    public async Task a_measure_closes_a_provider_in_the_export_and_an_open_group_stays_active()
    {
        var provider = await _groups.RegisterAsync("/v1/providers", Entry("under a measure", sites: (11.5, 12.5)));
        var group = await _groups.RegisterAsync("/v1/groups", Entry("goes on", sites: (11.5, 12.5)));
        await _groups.ImposeAsync(new { name = "Curfew", area = new[] { new { lat = 11, lon = 12 }, new { lat = 11, lon = 13 }, new { lat = 12, lon = 13 }, new { lat = 12, lon = 12 } }, closesProviders = true });
        await _groups.OpeningBecomesAsync(provider, "closed");
        var shown = await ValidAsync($"/hsds/services/{provider}", "service");
        Assert.Equal(("temporarily closed", "Curfew", "Shut at present"), ((string)shown["status"]!, (string)shown["alert"]!, (string)shown["service_at_locations"]![0]!["description"]!));
        Assert.Equal("active", (string)(await ValidAsync($"/hsds/services/{group}", "service"))["status"]!);
    }

    [Fact]
    public async Task an_export_of_ours_is_understood_without_a_mapping_and_changes_nothing_that_is_decided_by()
    {
        var entry = Entry("there and back", sites: [(31.21, 121.41), (31.22, 121.42)]);
        entry["subDistricts"] = new JsonArray("J", "K");
        foreach (var path in new[] { "/v1/groups", "/v1/providers" })
        {
            var id = await _groups.RegisterAsync(path, entry.DeepClone());
            var before = (await _groups.GetAsync($"{path}/{id}", _groups.Operator)).Body!;
            var exported = await ValidAsync($"/hsds/services/{id}", "service");
            Assert.Equal(("changed", 0), Line(await ImportAsync(exported)));
            Assert.Equal(("unchanged", 0), Line(await ImportAsync(exported)));
            var after = (await _groups.GetAsync($"{path}/{id}", _groups.Operator)).Body!;
            before["version"] = after["version"]!.DeepClone();
            Assert.True(JsonNode.DeepEquals(before, after), $"{before}\n{after}");
            var again = await ValidAsync($"/hsds/services/{id}", "service");
            Assert.True(JsonNode.DeepEquals(exported, again), $"{exported}\n{again}");
        }
    }

    [Fact]
    public async Task every_list_comes_in_pages_that_fit_the_schemas()
    {
        for (var number = 0; number < 3; number++)
            await _groups.RegisterAsync("/v1/groups", Entry($"listed {number}", sites: [(31.21, 121.41), (31.22, 121.42)]));
        foreach (var (path, schema) in new[] { ("services", "service"), ("services?full=true", "service"), ("organizations", "organization"),
            ("service_at_locations", "service_at_location"), ("taxonomies", "taxonomy"), ("taxonomy_terms", "taxonomy_term") })
        {
            var separator = path.Contains('?', StringComparison.Ordinal) ? '&' : '?';
            var ids = new List<string>();
            for (var page = 1; ; page++)
            {
                var shown = await PageAsync($"/hsds/{path}{separator}page={page}&per_page=2", schema);
                Assert.Equal((page, page == 1, shown["contents"]!.AsArray().Count), ((int)shown["page_number"]!, (bool)shown["first_page"]!, (int)shown["size"]!));
                ids.AddRange(shown["contents"]!.AsArray().Select(one => (string)one!["id"]!));
                if ((bool)shown["last_page"]!)
                {
                    Assert.Equal(((int)shown["total_items"]!, page), (ids.Count, (int)shown["total_pages"]!));
                    break;
                }
            }
            Assert.Equal(ids.Count, ids.Distinct().Count());
            Assert.True(ids.Count >= 3, path);
        }
        var meals = (await PageAsync("/hsds/taxonomy_terms?per_page=200", "taxonomy_term"))["contents"]!.AsArray().Single(term => (string)term!["code"]! == "meals")!;
        Assert.True((int)(await PageAsync($"/hsds/services?taxonomy_term_id={meals["id"]}", "service"))["total_items"]! >= 3);
        Assert.True((bool)(await PageAsync($"/hsds/services?taxonomy_term_id={Guid.NewGuid()}", "service"))["empty"]!);
        Assert.Equal(["page", "per_page"], (await _groups.GetAsync("/hsds/services?page=0&per_page=1000", _groups.Operator)).Fields);
        Assert.Equal("3.0", (string)(await _groups.GetAsync("/hsds/", _groups.Operator)).Body!["version"]!);
        Assert.Equal(HttpStatusCode.NotFound, (await _groups.GetAsync($"/hsds/services/{Guid.NewGuid()}", _groups.Operator)).Status);
    }

    [Fact]
    public async Task only_an_operator_imports_and_nobody_reads_without_a_token()
    {
        Assert.Equal(HttpStatusCode.Forbidden, (await _groups.PostAsync("/hsds", _groups.Coordinator(), Example())).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _groups.GetAsync("/hsds/services", null)).Status);
    }

    [Theory]
    [InlineData("{\"data\": ", 400), InlineData("{\"id\": \"1\", \"id\": \"2\"}", 400), InlineData("{\"name\": \"\\ud800\"}", 400), InlineData("{\"\\udc00\": 1}", 400)]
    [InlineData("{\"name\": \"\\u0000\"}", 400), InlineData("[]", 422), InlineData("null", 200), InlineData("{\"data\": []}", 422), InlineData("7", 200)]
    [InlineData("{\"data\": {}, \"mapping\": []}", 422), InlineData("{\"data\": {}, \"mapping\": {\"a:b\": \"haircuts\"}}", 422), InlineData("{\"data\": {}, \"as\": \"friend\", \"capacity\": -1}", 422)]
    public async Task what_nobody_should_send_is_answered_with_a_reason(string body, int expected)
    {
        var answer = await _groups.SendAsync(HttpMethod.Post, "/hsds", _groups.Operator, new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.True(expected == (int)answer.Status, $"{answer.Status}: {answer.Body}");
        Assert.True(expected == 200 ? (int)answer.Body!["refused"]! == 1 : answer.Body!["status"] is not null);
    }

    [Fact]
    public async Task a_package_that_multiplies_itself_is_refused()
    {
        var location = new JsonObject { ["id"] = "l", ["description"] = new string('x', 1_000_000) };
        var rows = Enumerable.Range(0, 500).Select(_ => (JsonNode)new JsonObject { ["service_id"] = "s", ["location_id"] = "l" });
        var package = new JsonObject { ["services.csv"] = new JsonArray(new JsonObject { ["id"] = "s" }), ["locations.csv"] = new JsonArray(location), ["service_at_location.csv"] = new JsonArray([.. rows]) };
        var answer = await ImportAsync(package);
        Assert.Equal((HttpStatusCode.BadRequest, "malformed"), (answer.Status, answer.Code));
        var nested = new StringBuilder().Insert(0, "[", 5_000).Append(']', 5_000).ToString();
        Assert.Equal(HttpStatusCode.BadRequest, (await _groups.SendAsync(HttpMethod.Post, "/hsds", _groups.Operator, new StringContent(nested, Encoding.UTF8, "application/json"))).Status);
    }

    /// <summary><c>HUZHU_HSDS_IMPORTS=100000 ./huzhu test mutated_imports</c> is the long run.</summary>
    [Fact]
    public async Task mutated_imports_do_not_break_the_service_nor_its_export()
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("HUZHU_HSDS_IMPORTS"), out var wanted) ? wanted : 500;
        var taken = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (seed, _) =>
        {
            var random = new Random(seed);
            var document = Explained(random.Next(2) == 0 ? Example() : new JsonArray(Example(), Example()));
            for (var times = random.Next(1, 6); times > 0; times--)
                Mutate(document, random);
            var answer = await ImportAsync(document);
            Assert.True((int)answer.Status is 200 or 400 or 422, $"Seed {seed}: {answer.Status} {answer.Body}");
            foreach (var line in answer.Body!["lines"]?.AsArray() ?? [])
                if ((string)line!["outcome"]! == "registered" && taken.Count < 100)
                    taken.Add((string)line["id"]!);
        });
        Assert.NotEmpty(taken);
        foreach (var id in taken)
            await ValidAsync($"/hsds/services/{id}", "service");
        foreach (var (path, schema) in new[] { ("services?full=true", "service"), ("organizations?", "organization"), ("service_at_locations?", "service_at_location") })
            await PageAsync($"/hsds/{path}&per_page=200", schema);
    }

    /// <summary>Puts something else in the place of one value, wherever it lies.</summary>
    private static void Mutate(JsonNode root, Random random)
    {
        var node = root;
        while (true)
        {
            var children = node switch { JsonObject all => all.Select(field => field.Value).ToList(), JsonArray items => [.. items], _ => [] };
            var inner = children.Where(child => child is JsonObject or JsonArray).ToList();
            if (inner.Count > 0 && random.Next(3) > 0)
            {
                node = inner[random.Next(inner.Count)]!;
                continue;
            }
            if (node is JsonObject fields && fields.Count > 0)
                fields[fields.ElementAt(random.Next(fields.Count)).Key] = Nonsense(random);
            else if (node is JsonArray list && list.Count > 0)
                list[random.Next(list.Count)] = Nonsense(random);
            return;
        }
    }

    private static JsonNode? Nonsense(Random random) => random.Next(12) switch
    {
        0 => null,
        1 => random.NextInt64(),
        2 => -1e300,
        3 => new string((char)random.Next(32, 0xD7FF), random.Next(1, 70_000)),
        4 => "",
        5 => new JsonArray(new JsonArray(new JsonArray())),
        6 => new JsonObject { ["id"] = "x", ["attributes"] = 1 },
        7 => true,
        8 => "'; drop table huzhu.mt_events; --",
        9 => new JsonArray(null, 1, "two", new JsonObject()),
        10 => "temporarily closed",
        _ => Guid.NewGuid().ToString(),
    };

    private Task<Answer> ImportAsync(JsonNode document) =>
        _groups.SendAsync(HttpMethod.Post, "/hsds", _groups.Operator, new StringContent(document.ToJsonString(), Encoding.UTF8, "application/json"));

    private static (string Outcome, int Reasons) Line(Answer answer)
    {
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Body?.ToString());
        var line = Assert.Single(answer.Body!["lines"]!.AsArray())!;
        return ((string)line["outcome"]!, line["reasons"]!.AsArray().Count);
    }

    private static JsonObject Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(PublicData.Folder("hsds-3.0"), file)))!.AsObject();

    /// <summary>The specification's example under an id of its own and on earth.</summary>
    private static JsonObject Example(bool withOrganization = true)
    {
        var service = Read("service_full.json");
        service["id"] = Guid.NewGuid().ToString();
        var location = service["service_at_locations"]![0]!["location"]!;
        (location["latitude"], location["longitude"]) = (31.22, 121.44);
        if (!withOrganization)
            service.Remove("organization");
        return service;
    }

    private static JsonObject Explained(JsonNode data) => new()
    {
        ["mapping"] = new JsonObject
        {
            [ExampleTerm] = "specialised.counselling",
            [$"area:{Read("service_full.json")["service_areas"]![0]!["name"]}"] = "J",
        },
        ["capacity"] = 7,
        ["data"] = data.DeepClone(),
    };

    private async Task<JsonObject> ValidAsync(string path, string schema)
    {
        var answer = await _groups.GetAsync(path, _groups.Operator);
        Assert.True(answer.Status == HttpStatusCode.OK, $"{path}: {answer.Body}");
        await ValidateAsync(answer.Body!, schema);
        return answer.Body!.AsObject();
    }

    private async Task<JsonObject> PageAsync(string path, string schema)
    {
        var answer = await _groups.GetAsync(path, _groups.Operator);
        Assert.True(answer.Status == HttpStatusCode.OK, $"{path}: {answer.Body}");
        foreach (var item in answer.Body!["contents"]!.AsArray())
            await ValidateAsync(item!, schema);
        return answer.Body!.AsObject();
    }

    private static async Task ValidateAsync(JsonNode document, string schema)
    {
        var known = await Schemas.GetOrAdd(schema, name => JsonSchema.FromFileAsync(Path.Combine(PublicData.Folder("hsds-3.0"), "schema", $"{name}.json")));
        Assert.Empty(known.Validate(document.ToJsonString()).Select(error => error.ToString()));
    }
}
