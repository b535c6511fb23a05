using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Registering, changing, reading: what a coordinator and an integrator do with the directory.</summary>
public sealed class DirectoryTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    private readonly GroupsService _groups = shared.Service;

    [Theory, InlineData("/v1/groups", ResponderKind.Group), InlineData("/v1/providers", ResponderKind.Provider)]
    public async Task what_is_registered_can_be_read_and_is_told(string path, ResponderKind kind)
    {
        var answer = await _groups.PostAsync(path, _groups.Coordinator(), Entry());
        Assert.Equal(HttpStatusCode.Created, answer.Status);
        var id = (Guid)answer.Body!["id"]!;
        Assert.Equal($"{path}/{id}", answer.Location);
        Assert.Equal("\"1\"", answer.ETag);
        var read = await _groups.GetAsync($"{path}/{id}", _groups.Coordinator());
        Assert.Equal(HttpStatusCode.OK, read.Status);
        Assert.True(JsonNode.DeepEquals(answer.Body, read.Body), $"{answer.Body}\n{read.Body}");

        var told = await _groups.ToldOfAsync(id, 1);
        Assert.Equal((kind, Opening.Open, 8, false), (told.Kind, told.Opening, told.Capacity, told.ZonePermit));
        Assert.Equal([new Contracts.Groups.V1.Site(new GeoPoint(31.22, 121.44), "J")], told.Sites);
        Assert.Equal(["meals", "specialised"], told.ServiceKinds);
        Assert.Equal([CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly], told.CommunicationAbilities);
        Assert.Equal(["lin"], told.ManagedBy);
    }

    [Fact]
    public async Task a_repeat_with_the_same_id_and_content_is_the_same_answer()
    {
        var id = Guid.NewGuid();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _groups.PostAsync("/v1/groups", _groups.Coordinator(), Entry(id: id))));
        Assert.All(answers, answer => Assert.Equal((HttpStatusCode.Created, 1), (answer.Status, (int)answer.Body!["version"]!)));
        Assert.Equal(1, await _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where stream_id = '{id}'"));
    }

    [Fact]
    public async Task another_content_under_the_same_id_is_refused_also_across_kinds()
    {
        var id = await _groups.RegisterAsync("/v1/groups", Entry(id: Guid.NewGuid()));
        Assert.Equal((HttpStatusCode.Conflict, "id-taken"), Of(await _groups.PostAsync("/v1/groups", _groups.Operator, Entry("Another", id))));
        Assert.Equal((HttpStatusCode.Conflict, "id-taken"), Of(await _groups.PostAsync("/v1/providers", _groups.Operator, Entry(id: id))));
        Assert.Equal((HttpStatusCode.NotFound, "not-found"), Of(await _groups.GetAsync($"/v1/providers/{id}", _groups.Operator)));
        Assert.Equal((HttpStatusCode.NotFound, "not-found"), Of(await _groups.PostAsync($"/v1/providers/{id}/closures", _groups.Operator, new { reason = "r" })));
        Assert.Equal((HttpStatusCode.NotFound, "not-found"), Of(await _groups.PostAsync($"/v1/measures/{id}/lift", _groups.Operator, new { reason = "r" })));
    }

    [Fact]
    public async Task a_wrong_entry_is_told_every_field_and_nothing_is_stored()
    {
        var before = (await _groups.CountEventsAsync(), await _groups.QueryAsync<long>("select count(*) from huzhu.person_keys"));
        var entry = Entry("");
        entry["sites"]![0]!["lat"] = 91;
        entry["serviceKinds"] = new JsonArray("magic");
        entry["modes"] = new JsonArray();
        var answer = await _groups.PostAsync("/v1/groups", _groups.Coordinator(), entry);
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "invalid"), Of(answer));
        Assert.Equal(["modes", "name", "serviceKinds[0]", "sites[0].lat"], answer.Fields.Order());

        Assert.Equal((HttpStatusCode.BadRequest, "malformed"), Of(await _groups.PostAsync("/v1/groups", _groups.Coordinator(), new StringContent("{\"name\":", Encoding.UTF8, "application/json"))));
        Assert.Equal(HttpStatusCode.BadRequest, (await _groups.PostAsync("/v1/groups", _groups.Coordinator(), new { name = 5 })).Status);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await _groups.SendAsync(HttpMethod.Post, "/v1/groups", _groups.Coordinator(),
            new StringContent($"{{\"name\":\"{new string('a', 10_000_000)}\"}}", Encoding.UTF8, "application/json"), with: request => request.Headers.ExpectContinue = true)).Status);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await _groups.PostAsync("/v1/groups", _groups.Coordinator(), new StringContent("<a/>", Encoding.UTF8, "text/xml"))).Status);
        Assert.Equal(before, (await _groups.CountEventsAsync(), await _groups.QueryAsync<long>("select count(*) from huzhu.person_keys")));
    }

    [Fact]
    public async Task who_is_not_its_manager_is_refused_and_nothing_is_stored()
    {
        var id = await _groups.RegisterAsync("/v1/providers", token: _groups.Coordinator("lin"));
        var before = await _groups.CountEventsAsync();
        var wang = _groups.Coordinator("wang");
        Assert.Equal((HttpStatusCode.Forbidden, "not-your-group"), Of(await _groups.SendAsync(HttpMethod.Put, $"/v1/providers/{id}", wang, Entry("Mine now"))));
        foreach (var verb in new[] { "pause", "resume", "withdraw", "closures", "reopenings" })
            Assert.Equal((HttpStatusCode.Forbidden, "not-your-group"), Of(await _groups.PostAsync($"/v1/providers/{id}/{verb}", wang, new { reason = "r" })));
        // The subject alone is not enough: who speaks for a responder must have a role to speak in.
        Assert.Equal(HttpStatusCode.Forbidden, (await _groups.PostAsync($"/v1/providers/{id}/pause", _groups.Host.Token("lin", ["intake"]), new { reason = "r" })).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _groups.PostAsync($"/v1/providers/{id}/pause", null, new { reason = "r" })).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _groups.PostAsync($"/v1/providers/{id}/pause", "not.a.token", new { reason = "r" })).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await _groups.PostAsync("/v1/groups", _groups.Host.Token("x", ["responder"]), Entry())).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await _groups.PostAsync("/v1/measures", _groups.Coordinator(), Measure())).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _groups.PostAsync($"/v1/providers/{Guid.NewGuid()}/pause", wang, new { reason = "r" })).Status);
        Assert.Equal(before, await _groups.CountEventsAsync());
    }

    [Fact]
    public async Task its_manager_its_own_system_and_an_operator_may_act()
    {
        var id = await _groups.RegisterAsync("/v1/providers", token: _groups.Coordinator("lin"));
        Assert.Equal("paused", Opening(await _groups.PostAsync($"/v1/providers/{id}/pause", _groups.Coordinator("lin"), new { reason = "rest" })));
        Assert.Equal("open", Opening(await _groups.PostAsync($"/v1/providers/{id}/resume", _groups.Host.Token("clinic-system", ["responder"], [id.ToString()]), new { reason = "back" })));
        Assert.Equal("withdrawn", Opening(await _groups.PostAsync($"/v1/providers/{id}/withdraw", _groups.Operator, new { reason = "moved away" })));
        Assert.Equal((HttpStatusCode.Conflict, "withdrawn"), Of(await _groups.PostAsync($"/v1/providers/{id}/resume", _groups.Operator, new { reason = "back" })));
        var openings = new List<Contracts.Opening>();
        for (var version = 1; version <= 4; version++)
            openings.Add((await _groups.ToldOfAsync(id, version)).Opening);
        Assert.Equal([Contracts.Opening.Open, Contracts.Opening.Paused, Contracts.Opening.Open, Contracts.Opening.Withdrawn], openings);

        static string Opening(Answer answer) => (string)answer.Body!["opening"]!;
    }

    [Fact]
    public async Task a_change_needs_the_version_it_started_from_when_it_names_one()
    {
        var id = await _groups.RegisterAsync("/v1/groups");
        Task<Answer> Put(string name, string? ifMatch) => _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{id}", _groups.Operator, Entry(name),
            with: request => { if (ifMatch is not null) request.Headers.TryAddWithoutValidation("If-Match", ifMatch); });
        var first = await Put("Second name", "\"1\"");
        Assert.Equal((HttpStatusCode.OK, "\"2\""), (first.Status, first.ETag));
        Assert.Equal((HttpStatusCode.PreconditionFailed, "stale"), Of(await Put("Third name", "\"1\"")));
        Assert.Equal(HttpStatusCode.BadRequest, (await Put("Third name", "two")).Status);
        Assert.Equal("\"3\"", (await Put("Third name", null)).ETag);
        Assert.Equal("\"3\"", (await Put("Third name", "\"3\"")).ETag);
        Assert.Equal("\"4\"", (await Put("Fourth name", "*")).ETag);
        Assert.Equal("id", Assert.Single((await _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{id}", _groups.Operator, Entry(id: Guid.NewGuid()))).Fields));
        Assert.Equal((HttpStatusCode.NotFound, "not-found"), Of(await _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{Guid.NewGuid()}", _groups.Operator, Entry())));
    }

    [Fact]
    public async Task contact_is_encrypted_at_rest_and_shown_only_to_whom_it_concerns()
    {
        var entry = Entry("Phoenix");
        entry["coordinatorName"] = "Lin Xiaomei";
        var id = await _groups.RegisterAsync("/v1/groups", entry, _groups.Coordinator("lin"));

        var manager = (await _groups.GetAsync($"/v1/groups/{id}", _groups.Coordinator("lin"))).Body!;
        Assert.Equal("Lin Xiaomei", (string)manager["coordinatorName"]!);
        Assert.Equal("https://group.example/offers", (string)manager["channels"]![0]!["address"]!);
        Assert.True((bool)manager["channels"]![0]!["hasSecret"]!);
        Assert.Equal(manager["channels"]!.ToJsonString(), (await _groups.GetAsync($"/v1/groups/{id}", _groups.Operator)).Body!["channels"]!.ToJsonString());
        Assert.DoesNotContain("whsec", manager.ToJsonString());

        foreach (var role in new[] { "coordinator", "intake", "auditor", "responder", "service" })
        {
            var other = (await _groups.GetAsync($"/v1/groups/{id}", _groups.Host.Token("somebody", [role]))).Body!.AsObject();
            Assert.Equal("Phoenix", (string)other["name"]!);
            Assert.DoesNotContain(other, one => one.Key is "channels" or "coordinatorName" or "managedBy");
        }
        Assert.DoesNotContain("group.example", (await _groups.GetAsync("/v1/groups?pageSize=200", _groups.Operator)).Body!.ToJsonString());

        var contact = (await _groups.GetAsync($"/v1/responders/{id}/contact", _groups.Host.Token("notifications", ["service"]))).Body!;
        Assert.Equal("whsec_c2VjcmV0", (string)contact["channels"]![0]!["secret"]!);
        Assert.Equal(("Phoenix", "Lin Xiaomei"), ((string)contact["name"]!, (string)contact["coordinatorName"]!));
        Assert.Equal(HttpStatusCode.Forbidden, (await _groups.GetAsync($"/v1/responders/{id}/contact", _groups.Operator)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _groups.GetAsync($"/v1/responders/{Guid.NewGuid()}/contact", _groups.Host.Token("n", ["service"]))).Status);

        foreach (var table in new[] { "mt_events", "mt_doc_responderview" })
            Assert.Equal(0, await _groups.QueryAsync<long>($"select count(*) from huzhu.{table} t where t::text like any (array['%Xiaomei%', '%group.example%', '%whsec%'])"));
    }

    [Fact]
    public async Task contact_that_a_change_leaves_out_stays_and_a_repeat_of_it_yields_nothing()
    {
        var id = await _groups.RegisterAsync("/v1/groups");
        var again = Entry();
        again["channels"]![0]!.AsObject().Remove("secret");
        Assert.Equal("\"1\"", (await _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{id}", _groups.Operator, again)).ETag);
        again.Remove("channels");
        Assert.Equal("\"1\"", (await _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{id}", _groups.Operator, again)).ETag);
        again["channels"] = new JsonArray();
        Assert.Equal("\"2\"", (await _groups.SendAsync(HttpMethod.Put, $"/v1/groups/{id}", _groups.Operator, again)).ETag);
        Assert.Empty((await _groups.GetAsync($"/v1/responders/{id}/contact", _groups.Host.Token("n", ["service"]))).Body!["channels"]!.AsArray());
    }

    [Fact]
    public async Task contact_whose_key_was_deleted_is_gone_and_the_entry_is_not()
    {
        var id = await _groups.RegisterAsync("/v1/groups");
        await _groups.QueryAsync<Guid>($"delete from huzhu.person_keys where person_id = '{id}' returning person_id");
        // The service may keep a key for a minute; a restart forgets it at once.
        await _groups.Host["groups"].RestartAsync(TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.Gone, "erased"), Of(await _groups.GetAsync($"/v1/responders/{id}/contact", _groups.Host.Token("n", ["service"]))));
        Assert.Equal(HttpStatusCode.OK, (await _groups.GetAsync($"/v1/groups/{id}", _groups.Operator)).Status);
    }

    [Fact]
    public async Task lists_are_filtered_paged_and_without_the_withdrawn()
    {
        var district = $"district {Guid.NewGuid():N}";
        async Task<Guid> Register(string name, params string[] kinds)
        {
            var entry = Entry(name);
            entry["sites"]![0]!["subDistrict"] = district;
            entry["serviceKinds"] = new JsonArray([.. kinds.Select(kind => JsonValue.Create(kind))]);
            return await _groups.RegisterAsync("/v1/groups", entry);
        }
        var (a, b, c) = (await Register("A", "meals"), await Register("B", "specialised"), await Register("C", "specialised.medicine", "meals"));
        var gone = await Register("D", "meals");
        await _groups.PostAsync($"/v1/groups/{gone}/withdraw", _groups.Operator, new { reason = "r" });
        var serving = Entry("E");
        serving["subDistricts"] = new JsonArray(district);
        var e = await _groups.RegisterAsync("/v1/groups", serving);

        async Task<Guid[]> List(string query) => [.. (await _groups.GetAsync($"/v1/groups?subDistrict={Uri.EscapeDataString(district)}{query}", _groups.Coordinator())).Body!["items"]!.AsArray().Select(one => (Guid)one!["id"]!)];
        Assert.Equal([a, b, c, e], await List(""));
        Assert.Equal([b, c, e], await List("&kind=specialised.medicine"));
        Assert.Equal([b, e], await List("&kind=specialised"));
        Assert.Equal([a, c, e], await List("&kind=meals"));
        Assert.Equal([c, e], await List("&page=2&pageSize=2"));
        Assert.Equal(4, (int)(await _groups.GetAsync($"/v1/groups?subDistrict={Uri.EscapeDataString(district)}&pageSize=1", _groups.Coordinator())).Body!["total"]!);
        Assert.Empty((await _groups.GetAsync($"/v1/providers?subDistrict={Uri.EscapeDataString(district)}", _groups.Coordinator())).Body!["items"]!.AsArray());
        Assert.Equal(["kind", "page", "pageSize"], (await _groups.GetAsync("/v1/groups?kind=magic&page=0&pageSize=201", _groups.Coordinator())).Fields.Order());
        Assert.Equal(HttpStatusCode.BadRequest, (await _groups.GetAsync("/v1/groups?page=one", _groups.Coordinator())).Status);
    }

    [Fact]
    public async Task the_service_describes_itself_and_is_ready()
    {
        Assert.Equal(HttpStatusCode.OK, (await _groups.GetAsync("/openapi/v1.json", null)).Status);
        var paths = (await _groups.GetAsync("/openapi/v1.json", null)).Body!["paths"]!.AsObject().Select(path => path.Key).ToHashSet();
        Assert.Superset(new HashSet<string> { "/v1/groups", "/v1/groups/{id}", "/v1/providers/{id}/closures", "/v1/provider-events", "/v1/measures/{id}/lift", "/v1/responders/{id}/contact" }, paths);
    }

    private static (HttpStatusCode, string?) Of(Answer answer) => (answer.Status, answer.Code);
}
