using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Huzhu.ServiceDefaults;
using Xunit;
using static Huzhu.Tests.Integration.Groups.GroupsService;

namespace Huzhu.Tests.Integration.Groups;

/// <summary>Who may see and do what at Groups, as a table of callers and calls; and that whoever acts is in the log.</summary>
public sealed class AccessTests(SharedGroups shared) : IClassFixture<SharedGroups>
{
    /// <summary>Manages the entries that are its own, and no others.</summary>
    private const string Manager = "lin";

    // What nobody, the intake, coordinator, responder, stranger, operator, auditor, service, one without a role and an operator without a name are answered.
    private const string AnyRole = "401 200 200 200 200 200 200 200 403 401";
    private const string NoneAnyRole = "401 404 404 404 404 404 404 404 403 401";
    private const string OwnManaged = "401 403 200 200 403 200 403 403 403 401";
    private const string ForeignManaged = "401 403 403 403 403 200 403 403 403 401";
    private const string NoneManaged = "401 403 404 404 404 404 403 403 403 401";

    /// <summary>In the order in which they are asked: what is withdrawn stays so. A call that is allowed may be repeated, and is then the same.</summary>
    private static readonly AccessRow[] Table =
    [
        .. Entries("/v1/groups"),
        .. Entries("/v1/providers"),
        .. Managed("POST /v1/providers/{id}/closures"),
        .. Managed("POST /v1/providers/{id}/reopenings"),
        // A provider's own system and the centre speak in CloudEvents; people do not.
        new("POST /v1/provider-events", "own", "401 403 403 200 403 200 403 403 403 401", "GET /v1/providers/{id}"),
        new("POST /v1/provider-events", "foreign", ForeignManaged, "GET /v1/providers/{id}"),
        new("POST /v1/provider-events", "none", "401 403 403 404 403 404 403 403 403 401", "GET /v1/providers/{id}"),
        new("GET /v1/responders/{id}/contact", "own", "401 403 403 403 403 403 403 200 403 401"),
        new("GET /v1/responders/{id}/contact", "none", "401 403 403 403 403 403 403 404 403 401"),
        new("POST /v1/measures", "", "401 403 403 403 403 201 403 403 403 401"),
        new("GET /v1/measures", "", AnyRole),
        new("GET /v1/measures/{id}", "own", AnyRole),
        new("GET /v1/measures/{id}", "none", NoneAnyRole),
        new("POST /v1/measures/{id}/lift", "own", "401 403 403 403 403 200 403 403 403 401"),
        new("POST /v1/measures/{id}/lift", "none", "401 403 403 403 403 404 403 403 403 401"),
        new("POST /v1/cap", "", "401 403 403 403 403 400 403 403 403 401"),
        new("GET /v1/cap/{id}", "own", "401 403 403 403 403 200 200 403 403 401"),
        new("GET /v1/cap/{id}", "none", "401 403 403 403 403 404 404 403 403 401"),
        new("GET /v1/retention", "", "401 403 403 403 403 200 200 403 403 401"),
        new("PUT /v1/retention", "", "401 403 403 403 403 428 403 403 403 401"),
        new("GET /hsds", "", AnyRole),
        new("GET /hsds/services", "", AnyRole),
        new("GET /hsds/services/{id}", "own", AnyRole),
        new("GET /hsds/services/{id}", "none", NoneAnyRole),
        new("GET /hsds/organizations", "", AnyRole),
        new("GET /hsds/organizations/{id}", "own", AnyRole),
        new("GET /hsds/organizations/{id}", "none", NoneAnyRole),
        new("GET /hsds/service_at_locations", "", AnyRole),
        new("GET /hsds/taxonomies", "", AnyRole),
        new("GET /hsds/taxonomy_terms", "", AnyRole),
        new("POST /hsds", "", "401 403 403 403 403 422 403 403 403 401"),
        // While the entry takes needs, nobody's contact is erased.
        new("DELETE /v1/people/{id}", "own", "401 403 409 409 403 409 403 403 403 401"),
        new("DELETE /v1/people/{id}", "foreign", "401 403 403 403 403 409 403 403 403 401"),
        new("DELETE /v1/people/{id}", "none", "401 403 403 403 403 404 403 403 403 401"),
        .. Managed("POST /v1/groups/{id}/withdraw"),
        .. Managed("POST /v1/providers/{id}/withdraw"),
    ];

    private readonly GroupsService _groups = shared.Service;

    private AccessTable Service => new(_groups.Host["groups"].BaseAddress);

    [Fact]
    public async Task every_role_reads_the_directory_and_who_manages_an_entry_changes_it_alone()
    {
        var own = (Group: await _groups.RegisterAsync("/v1/groups", token: _groups.Coordinator(Manager)), Provider: await _groups.RegisterAsync("/v1/providers", token: _groups.Coordinator(Manager)));
        var foreign = (Group: await _groups.RegisterAsync("/v1/groups", token: _groups.Coordinator("wang")), Provider: await _groups.RegisterAsync("/v1/providers", token: _groups.Coordinator("wang")));
        var (measure, alert) = (await _groups.ImposeAsync(Far), (Guid)(await Service.SendAsync("POST /v1/cap", "/v1/cap", _groups.Operator, Cap(new City(40, 20)))).Body!["id"]!);
        await Service.HoldsAsync(
        [
            ("nobody", null),
            // It has the name of a manager, and not the role.
            ("intake", _groups.Host.Token(Manager, [Roles.Intake])),
            ("coordinator", _groups.Coordinator(Manager)),
            ("responder", _groups.Host.Token("a-system", [Roles.Responder], [$"{own.Group}", $"{own.Provider}"])),
            ("stranger", _groups.Host.Token("a-stranger", [Roles.Coordinator], [$"{Guid.NewGuid()}"])),
            ("operator", _groups.Operator),
            ("auditor", _groups.Host.Token("aud", [Roles.Auditor])),
            ("service", _groups.Host.Token("svc", [Roles.Service])),
            ("one without a role", _groups.Host.Token(Manager, [], [$"{own.Group}", $"{own.Provider}"])),
            ("one without a name", _groups.Host.Token("", [Roles.Operator])),
        ], Table, (row, _) =>
        {
            var entries = row.Of switch { "own" => own, "foreign" => foreign, _ => (Group: Guid.NewGuid(), Provider: Guid.NewGuid()) };
            var id = row switch
            {
                { Of: "none" } => Guid.NewGuid(),
                _ when row.Path.StartsWith("/v1/measures", StringComparison.Ordinal) => measure,
                _ when row.Path.StartsWith("/v1/cap", StringComparison.Ordinal) => alert,
                _ when row.Path.Contains("provider", StringComparison.Ordinal) => entries.Provider,
                _ => entries.Group,
            };
            return (row.Path.Replace("{id}", $"{id}", StringComparison.Ordinal), row.Operation.Split(' ')[0] is "GET" or "DELETE" ? null : row.Path switch
            {
                "/v1/groups" or "/v1/providers" => Entry(id: row.Of == "new" ? null : id),
                "/v1/groups/{id}" or "/v1/providers/{id}" => Entry(),
                "/v1/provider-events" => Said(id),
                "/v1/measures" => Far,
                "/v1/cap" => new StringContent("no XML", Encoding.UTF8, "application/cap+xml"),
                "/v1/retention" => new { days = new { } },
                "/hsds" => new JsonArray(),
                _ => new { reason = "a reason" },
            });
        });
    }

    [Fact]
    public async Task the_subject_of_every_act_at_groups_is_in_its_event()
    {
        var acts = new Acts(Service, subject => _groups.QueryAsync<long>($"select count(*) from huzhu.mt_events where data ->> 'by' = '{subject}'"));
        var acted = 0;
        // Each by a name that nobody else has.
        Task<JsonNode?> ActAsync(string operation, Guid id, object? body, string role = Roles.Operator, Guid? speaksFor = null, string? ifMatch = null)
        {
            var subject = $"actor-{++acted}";
            return acts.ActAsync(operation, operation.Split(' ')[1].Replace("{id}", $"{id}", StringComparison.Ordinal), subject,
                _groups.Host.Token(subject, [role], speaksFor is { } responder ? [$"{responder}"] : null), body, ifMatch);
        }

        var reason = new { reason = "a reason" };
        var provider = Guid.Empty;
        foreach (var path in new[] { "/v1/groups", "/v1/providers" })
        {
            provider = (Guid)(await ActAsync($"POST {path}", default, Entry(), Roles.Coordinator))!["id"]!;
            await ActAsync($"PUT {path}/{{id}}", provider, Entry("Another name"), Roles.Responder, provider);
            foreach (var verb in new[] { "pause", "resume" })
                await ActAsync($"POST {path}/{{id}}/{verb}", provider, reason, Roles.Coordinator, provider);
        }
        foreach (var noun in new[] { "closures", "reopenings" })
            await ActAsync($"POST /v1/providers/{{id}}/{noun}", provider, reason, Roles.Coordinator, provider);
        await ActAsync("POST /v1/provider-events", provider, Said(provider), Roles.Responder, provider);
        await ActAsync("POST /v1/providers/{id}/withdraw", provider, reason);
        var group = await _groups.RegisterAsync("/v1/groups");
        await ActAsync("POST /v1/groups/{id}/withdraw", group, reason);
        await ActAsync("DELETE /v1/people/{id}", group, null, Roles.Coordinator, group);
        var measure = (Guid)(await ActAsync("POST /v1/measures", default, Far))!["id"]!;
        await ActAsync("POST /v1/measures/{id}/lift", measure, reason);
        await ActAsync("POST /v1/cap", default, Cap(new City(42, 20)));
        await ActAsync("PUT /v1/retention", default, new { days = new Dictionary<string, double> { ["after-withdrawal"] = 36_500 } }, ifMatch: "\"0\"");
        // An import is as many acts as it has services.
        await ActAsync("POST /hsds", default, new JsonObject { ["data"] = await ExportedAsync(group) });

        await acts.AreAllAsync();
    }

    private static IEnumerable<AccessRow> Entries(string path) =>
    [
        new($"POST {path}", "new", "401 403 201 403 201 201 403 403 403 401"),
        new($"POST {path}", "foreign", "401 403 409 403 409 409 403 403 403 401"),
        new($"GET {path}", "", AnyRole),
        new($"GET {path}/{{id}}", "own", AnyRole),
        new($"GET {path}/{{id}}", "foreign", AnyRole),
        new($"GET {path}/{{id}}", "none", NoneAnyRole),
        .. Managed($"PUT {path}/{{id}}"),
        .. Managed($"POST {path}/{{id}}/pause"),
        .. Managed($"POST {path}/{{id}}/resume"),
    ];

    private static IEnumerable<AccessRow> Managed(string operation) => [new(operation, "own", OwnManaged), new(operation, "foreign", ForeignManaged), new(operation, "none", NoneManaged)];

    /// <summary>Out of everybody's way.</summary>
    private static object Far => new
    {
        name = "Far away",
        area = new[] { new { lat = -60.0, lon = 10.0 }, new { lat = -60.0, lon = 11.0 }, new { lat = -61.0, lon = 11.0 } },
    };

    private static StringContent Cap(City city) => new(city.Alert("1", city.WestHalf), Encoding.UTF8, "application/cap+xml");

    private static StringContent Said(Guid provider)
    {
        var content = new StringContent($$$"""{"specversion":"1.0","id":"{{{Guid.NewGuid()}}}","source":"//clinic.example","type":"org.huzhu.provider.reopened.v1","subject":"{{{provider}}}","data":{"reason":"a reason"}}""");
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("application/cloudevents+json");
        return content;
    }

    /// <summary>The entry as another directory would tell of it.</summary>
    private async Task<JsonNode> ExportedAsync(Guid id)
    {
        var service = (await _groups.GetAsync($"/hsds/services/{id}", _groups.Operator)).Body!.DeepClone();
        (service["id"], service["status"]) = ($"{Guid.NewGuid()}", "active");
        return service;
    }
}
