using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Xunit;

namespace Huzhu.Tests.Integration.Requests;

/// <summary>The city's desk and apps speak GeoReport v2 with two replicas of the service.</summary>
[Collection(RequestsCollection.Name)]
public sealed class Open311Tests(RequestsFixture requests) : IDisposable
{
    public const string City = "w.example";
    public const string Desk = "desk-0123456789abcdef";
    public const string App = "app-0123456789abcdef";
    public const string Map = "map-0123456789abcdef";
    public const string Elsewhere = "elsewhere-0123456789abcdef";

    private readonly HttpClient _http = new();

    public void Dispose() => _http.Dispose();

    [Fact]
    public async Task discovery_and_services_are_told_in_xml_unless_json_is_asked_for()
    {
        var discovery = XDocument.Parse(await GetAsync("discovery.xml")).Root!;
        Assert.Equal("desk@w.example", discovery.Element("contact")!.Value);
        var endpoint = Assert.Single(discovery.Element("endpoints")!.Elements("endpoint"));
        Assert.Equal("http://wiki.open311.org/GeoReport_v2", endpoint.Element("specification")!.Value);
        Assert.Equal(new Uri(requests.Process().BaseAddress, "/open311/v2").ToString(), endpoint.Element("url")!.Value);
        Assert.Equal(["text/xml", "application/json"], endpoint.Element("formats")!.Elements("format").Select(format => format.Value));

        var (status, type, xml) = await SendAsync(HttpMethod.Get, "services");
        Assert.Equal((200, "text/xml"), (status, type));
        Assert.StartsWith("<?xml version=\"1.0\" encoding=\"utf-8\"?>", xml);
        Assert.Equal(ServiceKinds.All, XDocument.Parse(xml).Root!.Elements("service").Select(service => service.Element("service_code")!.Value));
        (status, type, var json) = await SendAsync(HttpMethod.Get, "services.json");
        Assert.Equal((200, "application/json"), (status, type));
        var water = JsonNode.Parse(json)!.AsArray().Single(service => (string)service!["service_code"]! == "basic-needs.water")!;
        Assert.Equal(("Water", "realtime", true, "Basic needs"), ((string)water["service_name"]!, (string)water["type"]!, (bool)water["metadata"]!, (string)water["group"]!));

        var definition = JsonNode.Parse(await GetAsync("services/basic-needs.water.json"))!;
        Assert.Equal(["mode", "communication", "urgency", "quantity", "external_id"], definition["attributes"]!.AsArray().Select(attribute => (string)attribute!["code"]!));
        Assert.Equal(Words.All<CommunicationNeed>(), definition["attributes"]![1]!["values"]!.AsArray().Select(value => (string)value!["key"]!));
        Assert.Equal("multivaluelist", XDocument.Parse(await GetAsync("services/basic-needs.water")).Root!.Element("attributes")!.Elements("attribute").ElementAt(1).Element("datatype")!.Value);
        Assert.Equal(404, (await SendAsync(HttpMethod.Get, "services/haircuts.json")).Status);
    }

    [Fact]
    public async Task a_post_is_an_intake_like_any_other()
    {
        var post = Post(("attribute[communication]", "text-only,proxy"), ("attribute[urgency]", "health"), ("attribute[quantity]", "3"),
            ("first_name", "OPEN311MARKER-first"), ("last_name", "Lin"), ("email", "OPEN311MARKER@w.example"), ("phone", "+86 138 0000 0000"),
            ("account_id", "OPEN311MARKER-account"), ("description", "OPEN311MARKER <insulin> & \u0001"), ("address_string", "OPEN311MARKER-street"), ("media_url", "https://w.example/OPEN311MARKER.jpg"));
        var (status, _, xml) = await SendAsync(HttpMethod.Post, "requests", post);
        Assert.True(status == 201, xml);
        var answer = XDocument.Parse(xml).Root!.Element("request")!;
        Assert.Equal("OPEN311MARKER-account", answer.Element("account_id")!.Value);
        var id = answer.Element("service_request_id")!.Value;

        var told = await requests.PublishedAsync<NeedSubmitted>(message => message.Need.RequestId.ToString() == id);
        Assert.Equal(("specialised.medicine", DeliveryMode.Offline, 3, Urgency.Health), (told.Need.Kind, told.Need.Mode, told.Need.Quantity, told.Need.Urgency));
        Assert.Equal([CommunicationNeed.TextOnly, CommunicationNeed.Proxy], told.Need.Communication);
        Assert.Equal(new GeoPoint(31.22051, 121.44013).Snapped(), told.Need.Place);
        var (_, stored, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{id}?personal=true", role: "operator");
        Assert.Equal(("open311.w.example.desk", "open311"), ((string)stored!["source"]!, (string)stored["channel"]!));
        Assert.Equal("OPEN311MARKER-first Lin", (string)stored["personal"]!["caller"]!["name"]!);
        Assert.Equal("OPEN311MARKER <insulin> & \u0001\nhttps://w.example/OPEN311MARKER.jpg", (string)stored["personal"]!["person"]!["notes"]![0]!);
        foreach (var table in new[] { "mt_events", "mt_doc_requestview" })
            Assert.Equal(0, await requests.CountAsync($"select count(*) from huzhu.{table} where data::text ilike '%OPEN311MARKER%'"));

        // XML has no place for every character; it must still be XML.
        var shown = XDocument.Parse(await GetAsync($"requests/{id}.xml")).Root!.Element("request")!;
        Assert.StartsWith("OPEN311MARKER <insulin> & \uFFFD", shown.Element("description")!.Value);
        Assert.Equal(("31.22051", "OPEN311MARKER-street"), (shown.Element("lat")!.Value, shown.Element("address")!.Value));
    }

    [Fact]
    public async Task the_same_external_id_is_the_same_request_on_every_replica()
    {
        var post = Post(("attribute[external_id]", Guid.NewGuid().ToString("N")), ("email", "somebody@w.example"));
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(number => SendAsync(HttpMethod.Post, "requests.json", post, 1 + number % 2)));
        Assert.All(answers, answer => Assert.True(answer.Status == 201, answer.Body));
        var id = Assert.Single(answers.Select(answer => (string)JsonNode.Parse(answer.Body)![0]!["service_request_id"]!).Distinct());
        Assert.Equal(1, await requests.CountAsync("select count(*) from huzhu.mt_events where stream_id = $1", Guid.Parse(id)));

        var (status, _, body) = await SendAsync(HttpMethod.Post, "requests.json", [.. post.Where(field => field.Key != "description"), new("description", "another")]);
        Assert.Equal(400, status);
        Assert.Contains("external_id", body);
        // Another key's client has ids of its own.
        Assert.NotEqual(id, await PostAsync([.. post.Where(field => field.Key != "api_key"), new("api_key", App)]));
    }

    [Fact]
    public async Task a_second_report_of_the_same_caller_is_a_repeat_also_when_nobody_says_who_called()
    {
        foreach (var caller in new[] { ("email", $"{Guid.NewGuid():N}@w.example"), ("description", Guid.NewGuid().ToString()) })
        {
            var (first, second) = (await PostAsync(Post(caller)), await PostAsync(Post(caller)));
            Assert.NotEqual(first, second);
            var (_, repeat, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{second}", role: "operator");
            Assert.Equal(("duplicate-of", first), ((string)repeat!["status"]!, (string)repeat["needs"]![0]!["duplicateOfRequest"]!));
        }
    }

    [Fact]
    public async Task an_address_alone_is_kept_for_a_person_to_complete()
    {
        var post = Post(("address_string", "Lane 12, near the market")).Where(field => field.Key is not ("lat" or "long")).ToList();
        var (status, _, json) = await SendAsync(HttpMethod.Post, "requests.json", post);
        Assert.Equal(201, status);
        Assert.Contains("lat and long", json);
        var id = (string)JsonNode.Parse(json)![0]!["service_request_id"]!;
        var shown = JsonNode.Parse(await GetAsync($"requests/{id}.json"))![0]!;
        Assert.Equal(("open", "A person has to complete it: location missing.", null), ((string)shown["status"]!, (string)shown["status_notes"]!, (double?)shown["lat"]));
    }

    [Fact]
    public async Task everything_that_is_wrong_with_a_post_is_told_at_once_and_nothing_is_stored()
    {
        var post = Post(("service_code", "haircuts"), ("lat", "91"), ("long", "121,44"), ("phone", "call me"), ("description", new string('x', 4001)),
            ("media_url", "javascript:alert(1)"), ("attribute[mode]", "by-drone"), ("attribute[communication]", "telepathy"), ("attribute[quantity]", "1.5"));
        var before = await requests.CountEventsAsync();
        var (status, _, json) = await SendAsync(HttpMethod.Post, "requests.json", post);
        Assert.Equal(400, status);
        var errors = JsonNode.Parse(json)!.AsArray();
        Assert.All(errors, error => Assert.Equal(400, (int)error!["code"]!));
        Assert.All(["service_code", "lat", "long", "phone", "description", "media_url", "attribute[mode]", "attribute[communication]", "attribute[quantity]"],
            argument => Assert.Contains(errors, error => ((string)error!["description"]!).StartsWith(argument, StringComparison.Ordinal)));
        var (_, _, xml) = await SendAsync(HttpMethod.Post, "requests.xml", [new("api_key", Desk), new("jurisdiction_id", City)]);
        Assert.Equal(["lat and long, address_string or address_id was not provided.", "service_code: Required."],
            XDocument.Parse(xml).Root!.Elements("error").Select(error => error.Element("description")!.Value));
        Assert.Equal(before, await requests.CountEventsAsync());
    }

    [Theory]
    [InlineData("POST", "requests", null, City, 403), InlineData("POST", "requests", "desk-0123456789abcdeF", City, 403), InlineData("POST", "requests", Elsewhere, City, 403)]
    [InlineData("POST", "requests", Map, City, 403), InlineData("POST", "requests", Desk, null, 400), InlineData("POST", "requests", Desk, "nowhere.example", 404)]
    [InlineData("GET", "requests", null, City, 403), InlineData("GET", "requests", App, City, 403), InlineData("GET", "requests", Map, City, 200)]
    [InlineData("GET", "servicerequestupdates", App, City, 403), InlineData("POST", "servicerequestupdates", Map, City, 403), InlineData("GET", "tokens/1", App, City, 403)]
    [InlineData("GET", "services", null, City, 200), InlineData("GET", "services", null, null, 400), InlineData("GET", "discovery", null, "nowhere.example", 404)]
    [InlineData("GET", "nothing", Desk, City, 404), InlineData("DELETE", "requests", Desk, City, 404)]
    public async Task a_key_opens_what_its_scopes_say_in_its_own_jurisdiction(string method, string resource, string? key, string? jurisdiction, int expected)
    {
        var arguments = Post().Where(field => field.Key is not ("api_key" or "jurisdiction_id")).ToList();
        if (key is not null)
            arguments.Add(new("api_key", key));
        if (jurisdiction is not null)
            arguments.Add(new("jurisdiction_id", jurisdiction));
        foreach (var format in new[] { ".xml", ".json" })
        {
            var (status, _, body) = await SendAsync(new HttpMethod(method), resource + format, arguments, own: false);
            Assert.True(expected == status, body);
            if (status >= 400)
                Assert.Equal(expected, format == ".json" ? (int)JsonNode.Parse(body)![0]!["code"]! : (int)XDocument.Parse(body).Root!.Element("error")!.Element("code")!);
        }
    }

    [Fact]
    public async Task a_map_sees_coarse_places_and_no_words_and_nobody_sees_another_citys_requests()
    {
        var id = await PostAsync(Post(("description", "behind the red door"), ("address_string", "Lane 3"), ("first_name", "Lin")));
        var map = await SendAsync(HttpMethod.Get, $"requests/{id}.json", [new("api_key", Map), new("jurisdiction_id", City)], own: false);
        Assert.Equal(200, map.Status);
        var seen = JsonNode.Parse(map.Body)![0]!;
        Assert.Equal((null, null), ((string?)seen["description"], (string?)seen["address"]));
        var coarse = new GeoPoint(31.22051, 121.44013).Snapped();
        Assert.Equal((coarse.Latitude, coarse.Longitude), ((double)seen["lat"]!, (double)seen["long"]!));
        Assert.DoesNotContain("Lin", map.Body);
        foreach (var path in new[] { $"requests/{id}.json", $"requests.json?service_request_id={id}", $"tokens/{id}.json" })
            Assert.Equal(404, (await SendAsync(HttpMethod.Get, path, [new("api_key", Elsewhere), new("jurisdiction_id", "elsewhere")], own: false)).Status);
        Assert.Equal(404, (await SendAsync(HttpMethod.Post, "servicerequestupdates.json",
            [new("api_key", Elsewhere), new("jurisdiction_id", "elsewhere"), new("service_request_id", id), new("status", "closed")], own: false)).Status);
        Assert.DoesNotContain(id, (await SendAsync(HttpMethod.Get, "requests.json", [new("api_key", Elsewhere), new("jurisdiction_id", "elsewhere")], own: false)).Body);
        Assert.Equal(id, (string)JsonNode.Parse(await GetAsync($"tokens/{id}.json"))![0]!["service_request_id"]!);
    }

    [Fact]
    public async Task requests_are_found_by_id_service_status_and_time()
    {
        var start = DateTimeOffset.UtcNow.AddSeconds(-2).ToString("yyyy-MM-ddTHH:mm:ssZ");
        var meal = await PostAsync(Post(("service_code", "meals"), ("email", $"{Guid.NewGuid():N}@w.example")));
        var rescue = await PostAsync(Post(("service_code", "specialised.rescue"), ("email", $"{Guid.NewGuid():N}@w.example")));
        await UpdateAsync(rescue, "closed", "rescued by the neighbours");
        Assert.Equal([meal, rescue], (await FindAsync($"service_request_id={meal},{rescue},{Guid.NewGuid()}")).Order().OrderBy(id => id != meal));
        Assert.Equal(2, JsonNode.Parse(await GetAsync($"requests/{meal},{rescue}.json"))!.AsArray().Count);
        Assert.Contains(meal, await FindAsync($"start_date={start}&service_code=meals,donations"));
        Assert.DoesNotContain(rescue, await FindAsync($"start_date={start}&service_code=meals,donations"));
        Assert.Contains(meal, await FindAsync($"start_date={start}&status=open"));
        Assert.DoesNotContain(rescue, await FindAsync($"start_date={start}&status=open"));
        Assert.Contains(rescue, await FindAsync($"start_date={start}&status=closed"));
        Assert.Superset(new HashSet<string> { meal, rescue }, (await FindAsync($"start_date={start}&status=open,closed")).ToHashSet());
        Assert.Empty(await FindAsync("end_date=2011-01-01T00:00:00Z"));
        Assert.Empty(await FindAsync("start_date=2011-01-01T00:00:00Z"));
        foreach (var wrong in new[] { "start_date=2011-01-01T00:00:00Z&end_date=2011-06-01T00:00:00Z", "start_date=yesterday", "status=lost", "start_date=2011-02-01T00:00:00Z&end_date=2011-01-01T00:00:00Z" })
            Assert.Equal(400, (await SendAsync(HttpMethod.Get, $"requests.json?{wrong}")).Status);
        Assert.Equal(404, (await SendAsync(HttpMethod.Get, $"requests/{Guid.NewGuid()}.json")).Status);
    }

    [Fact]
    public async Task the_life_of_a_request_is_told_and_what_its_caller_says_is_heard_once()
    {
        var start = DateTimeOffset.UtcNow.AddSeconds(-2).ToString("yyyy-MM-ddTHH:mm:ssZ");
        var id = await PostAsync(Post(("email", $"{Guid.NewGuid():N}@w.example")));
        var (_, submitted, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{id}", role: "operator");
        var helper = new ResponderId(Guid.NewGuid());
        await requests.MatchingSaysAsync(submitted!, 3, NeedState.Accepted, helper);
        await requests.StateAsync(submitted!, "accepted");
        await requests.MatchingSaysAsync(submitted!, 5, NeedState.Fulfilled, helper);
        await requests.StateAsync(submitted!, "fulfilled");
        var shown = JsonNode.Parse(await GetAsync($"requests/{id}.json"))![0]!;
        Assert.Equal(("closed", "Help was reported as given."), ((string)shown["status"]!, (string)shown["status_notes"]!));

        // The person says that nothing came, and the front end says so twice.
        Assert.Equal(await UpdateAsync(id, "OPEN", "UPDATEMARKER nobody came", "u-1"), await UpdateAsync(id, "OPEN", "UPDATEMARKER nobody came", "u-1"));
        await requests.StateAsync(submitted!, "reopened");
        Assert.Equal(1, await requests.CountEventsAsync(submitted!, "update_received"));
        Assert.Equal(1, await requests.CountEventsAsync(submitted!, "need_disputed"));
        await UpdateAsync(id, null, "UPDATEMARKER the bell is broken", "u-2");
        await UpdateAsync(id, "investigating", "UPDATEMARKER they ask again", "u-3");
        await UpdateAsync(id, "FIXED", "UPDATEMARKER a neighbour helped", "u-4");
        await requests.StateAsync(submitted!, "cancelled");
        // Late and out of order, it is still the same update.
        await UpdateAsync(id, "OPEN", "UPDATEMARKER nobody came", "u-1");
        await requests.StateAsync(submitted!, "cancelled");
        Assert.Equal(0, await requests.CountAsync("select count(*) from huzhu.mt_events where data::text like '%UPDATEMARKER%'"));
        var (_, personal, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{id}?personal=true", role: "operator");
        Assert.Equal(4, personal!["personal"]!["said"]!.AsArray().Count(said => (string)said!["what"]! == "update"));

        var updates = JsonNode.Parse(await GetAsync($"servicerequestupdates.json?start_date={start}"))!.AsArray().Where(update => (string)update!["service_request_id"]! == id).ToList();
        Assert.Equal(["Somebody will help.", "Help was reported as given.", "Somebody who can help is looked for.", "No longer wanted."], updates.Select(update => (string)update!["description"]!));
        Assert.Equal(["open", "closed", "open", "closed"], updates.Select(update => (string)update!["status"]!));
        Assert.Equal(4, updates.Select(update => (string)update!["update_id"]!).Distinct().Count());
        var xml = XDocument.Parse(await GetAsync($"servicerequestupdates?start_date={start}")).Root!;
        Assert.Equal(4, xml.Elements("request_update").Count(update => update.Element("service_request_id")!.Value == id));
    }

    [Fact]
    public async Task what_is_said_about_a_repeat_reaches_the_older_request()
    {
        var caller = ("email", $"{Guid.NewGuid():N}@w.example");
        var (first, second) = (await PostAsync(Post(caller)), await PostAsync(Post(caller)));
        var (_, older, _) = await requests.SendAsync(HttpMethod.Get, $"/v1/requests/{first}", role: "operator");
        await requests.MatchingSaysAsync(older!, 5, NeedState.Fulfilled, new ResponderId(Guid.NewGuid()));
        await requests.StateAsync(older!, "fulfilled");
        Assert.Equal("closed", (string)JsonNode.Parse(await GetAsync($"requests/{second}.json"))![0]!["status"]!);
        Assert.Contains(second, await FindAsync("status=closed"));
        await UpdateAsync(second, "open", "nobody came");
        await requests.StateAsync(older!, "reopened");
        // Who no longer wants it here only takes back the repeat.
        await UpdateAsync(second, "closed", "never mind the second call");
        await requests.StateAsync(older!, "reopened");
    }

    /// <summary><c>HUZHU_OPEN311_POSTS=100000 ./huzhu test mutated_posts</c> is the long run.</summary>
    [Fact]
    public async Task mutated_posts_neither_break_the_service_nor_get_in_with_a_forged_key()
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("HUZHU_OPEN311_POSTS"), out var wanted) ? wanted : 3_000;
        var statuses = new int[600];
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (seed, cancellation) =>
        {
            var random = new Random(seed);
            var (path, content, isForged) = Mutate(random);
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(requests.Process(1 + seed % 2).BaseAddress, path)) { Content = content };
            using var response = await _http.SendAsync(request, cancellation);
            var body = await response.Content.ReadAsStringAsync(cancellation);
            Interlocked.Increment(ref statuses[(int)response.StatusCode]);
            Assert.True((int)response.StatusCode is 201 or 400 or 403 or 404 or 413, $"Seed {seed}, {path}: {response.StatusCode} {body}");
            Assert.False(isForged && response.StatusCode == HttpStatusCode.Created, $"Seed {seed}: a forged key was let in.");
            Assert.True(body.Length < 20_000, $"Seed {seed}: the answer is {body.Length} characters.");
            if (path.EndsWith(".json", StringComparison.Ordinal))
                JsonNode.Parse(body);
            else
                XDocument.Parse(body);
        });
        // It is no test of anything when all are turned away at the door.
        Assert.True(statuses[201] > count / 50 && statuses[400] > count / 20 && statuses[403] > count / 20, string.Join(", ", statuses.Index().Where(one => one.Item > 0).Select(one => $"{one.Index}: {one.Item}")));
    }

    private static (string Path, HttpContent Content, bool IsForged) Mutate(Random random)
    {
        var isUpdate = random.Next(5) == 0;
        var path = $"/open311/v2/{(isUpdate ? "servicerequestupdates" : "requests")}{new[] { "", ".xml", ".json" }[random.Next(3)]}";
        var fields = Post(("first_name", "Lin"), ("email", $"{random.Next()}@w.example"), ("attribute[mode]", "offline"), ("attribute[quantity]", "2"),
            ("attribute[communication]", "proxy"), ("address_string", "Lane 3"), ("media_url", "https://w.example/1.jpg"), ("status", "closed"), ("service_request_id", Guid.NewGuid().ToString()));
        var isForged = random.Next(3) == 0;
        if (isForged)
            fields = [.. fields.Select(field => field.Key == "api_key" ? new("api_key", Forge(random)) : field)];
        for (var times = random.Next(5); times > 0; times--)
        {
            var index = random.Next(fields.Count);
            var (key, value) = fields[index];
            // The key stays what was decided above: that is what the test is about.
            if (key == "api_key")
                continue;
            fields[index] = random.Next(6) switch
            {
                0 => new(key, Nonsense(random)),
                1 => new(key, value + Nonsense(random)),
                2 => new(Nonsense(random), value),
                3 => new($"{key}[{Nonsense(random)}]", value),
                4 => new(key, value.Length > 1 ? value.Remove(random.Next(value.Length), 1) : ""),
                _ => fields[random.Next(fields.Count)] is var other && other.Key != "api_key" ? new(other.Key, value) : fields[index],
            };
        }
        if (random.Next(20) > 0)
            return (path, new FormUrlEncodedContent(fields), isForged);
        var bytes = Encoding.UTF8.GetBytes(string.Join('&', fields.Where(field => field.Key != "api_key").Select(field => $"{field.Key}={field.Value}")));
        for (var times = random.Next(30); times > 0; times--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        var raw = new ByteArrayContent(bytes);
        raw.Headers.TryAddWithoutValidation("Content-Type", new[] { "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "application/json", "text/xml" }[random.Next(5)]);
        return (path, raw, IsForged: true);
    }

    private static string Forge(Random random) => random.Next(6) switch
    {
        0 => "",
        1 => Desk[..random.Next(Desk.Length)],
        2 => Desk + (char)random.Next('!', '~'),
        3 => Desk.ToUpperInvariant(),
        4 => Elsewhere,
        _ => Map,
    };

    private static string Nonsense(Random random) => random.Next(12) switch
    {
        0 => new string((char)random.Next(1, 0xD7FF), random.Next(1, 5_000)),
        1 => "\0\u0001\u0008\uFFFE\u202E",
        2 => "NaN",
        3 => "1e999",
        4 => "-0",
        5 => "' or 1=1; drop table huzhu.mt_events; --",
        6 => "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x>&y;</x>",
        7 => "%00%ff%zz",
        8 => "{\"$type\":\"System.Object\"}",
        9 => "../../../etc/passwd",
        10 => random.NextInt64().ToString(System.Globalization.CultureInfo.InvariantCulture),
        _ => "🏥" + (char)0xD83C,
    };

    private static List<KeyValuePair<string, string>> Post(params IEnumerable<(string Key, string Value)> changes)
    {
        var fields = new Dictionary<string, string>
        {
            ["api_key"] = Desk,
            ["jurisdiction_id"] = City,
            ["service_code"] = "specialised.medicine",
            ["lat"] = "31.22051",
            ["long"] = "121.44013",
            ["description"] = "insulin",
        };
        foreach (var (key, value) in changes)
            fields[key] = value;
        return [.. fields];
    }

    private async Task<string> PostAsync(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        var (status, _, json) = await SendAsync(HttpMethod.Post, "requests.json", fields);
        Assert.True(status == 201, json);
        return (string)JsonNode.Parse(json)![0]!["service_request_id"]!;
    }

    private async Task<string> UpdateAsync(string id, string? status, string description, string? updateId = null)
    {
        var fields = new List<KeyValuePair<string, string>> { new("api_key", Desk), new("service_request_id", id), new("description", description), new("update_id", updateId ?? Guid.NewGuid().ToString("N")) };
        if (status is not null)
            fields.Add(new("status", status));
        var (answer, _, json) = await SendAsync(HttpMethod.Post, "servicerequestupdates.json", fields);
        Assert.True(answer == 201, json);
        return (string)JsonNode.Parse(json)![0]!["update_id"]!;
    }

    private async Task<IReadOnlyList<string>> FindAsync(string query) =>
        [.. JsonNode.Parse(await GetAsync($"requests.json?{query}"))!.AsArray().Select(request => (string)request!["service_request_id"]!)];

    private async Task<string> GetAsync(string path)
    {
        var (status, _, body) = await SendAsync(HttpMethod.Get, path);
        Assert.True(status == 200, body);
        return body;
    }

    /// <param name="own">Names the city and its desk's key where the arguments do not.</param>
    private async Task<(int Status, string? Type, string Body)> SendAsync(HttpMethod method, string path, IReadOnlyList<KeyValuePair<string, string>>? arguments = null, int replica = 1, bool own = true)
    {
        List<KeyValuePair<string, string>> all = [.. arguments ?? []];
        foreach (var (key, value) in own ? new[] { ("api_key", Desk), ("jurisdiction_id", City) } : [])
            if (all.TrueForAll(argument => argument.Key != key))
                all.Add(new(key, value));
        var form = new FormUrlEncodedContent(all);
        var address = new UriBuilder(new Uri(requests.Process(replica).BaseAddress, $"/open311/v2/{path}"));
        if (method == HttpMethod.Get)
            address.Query = $"{address.Query.TrimStart('?')}&{await form.ReadAsStringAsync()}".TrimStart('&');
        using var request = new HttpRequestMessage(method, address.Uri) { Content = method == HttpMethod.Get ? null : form };
        using var response = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
