using System.Globalization;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>
/// An entry of the directory as an HSDS 3.0 service. What was imported is shown as it came, as far as it fits the standard;
/// what the directory decides by, the status above all, is shown as it is now.
/// </summary>
public static class Export
{
    public static JsonObject ServiceOf(ResponderView view)
    {
        var (id, responder) = (view.Id.ToString(), view.Responder);
        var entry = responder.Listing.Entry!;
        var service = RecordOf(view);
        service["id"] = id;
        service["name"] = entry.Name;
        service["status"] = StatusOf(responder.Opening);
        if (responder.ClosedBecause is { } because)
            service["alert"] = because;
        service["organization"] = OrganizationOf(view, service);
        service["attributes"] = new JsonArray([.. Others(service["attributes"]), .. AttributesOf(id, responder)]);
        service["service_areas"] = new JsonArray([.. Others(service["service_areas"]), .. entry.SubDistricts.Select(name => AreaOf(id, name))]);
        service["service_at_locations"] = new JsonArray([.. Enumerable.Range(0, responder.Sites.Count).Select(index => ServiceAtLocationOf(view, index, service))]);
        if (entry.CommunicationAbilities.Contains(CommunicationNeed.SignLanguage) && service["languages"] is not JsonArray { Count: > 0 })
            service["languages"] = new JsonArray(new JsonObject { ["id"] = Vocabulary.IdOf($"language\n{id}").ToString(), ["name"] = "Sign language", ["code"] = "sgn" });
        service["schedules"] = new JsonArray([.. Others(service["schedules"]), .. ClosuresOf(id, responder)]);
        return service;
    }

    /// <summary>What there is one of: what a list shows.</summary>
    public static JsonObject BriefOf(JsonObject whole)
    {
        var brief = new JsonObject();
        foreach (var (name, value) in whole)
            if (value is not JsonArray && name is not ("organization" or "program" or "location"))
                brief[name] = value?.DeepClone();
        if (whole["organization"]?["id"] is { } organization)
            brief["organization_id"] = organization.DeepClone();
        return brief;
    }

    public static JsonObject OrganizationOf(ResponderView view) => OrganizationOf(view, RecordOf(view));

    private static JsonObject OrganizationOf(ResponderView view, JsonObject record)
    {
        var entry = view.Responder.Listing.Entry!;
        var organization = record["organization"]?.DeepClone() as JsonObject ?? [];
        organization["id"] = view.OrganizationId.ToString();
        organization["name"] ??= entry.Name;
        organization["description"] ??= view.IsProvider ? "A formal provider" : "A self-organised group";
        return organization;
    }

    public static JsonObject ServiceAtLocationOf(ResponderView view, int index) => ServiceAtLocationOf(view, index, RecordOf(view));

    private static JsonObject ServiceAtLocationOf(ResponderView view, int index, JsonObject record)
    {
        var site = view.Responder.Sites[index];
        var key = string.Create(CultureInfo.InvariantCulture, $"{view.Id}\n{site.Place.Latitude},{site.Place.Longitude}\n{index}");
        var location = (record["service_at_locations"] as JsonArray ?? []).Select(one => one?["location"]).OfType<JsonObject>()
            .FirstOrDefault(one => Import.PlaceOf(one) == site.Place)?.DeepClone() as JsonObject
            ?? new JsonObject { ["id"] = Vocabulary.IdOf($"location\n{key}").ToString() };
        location["location_type"] = "physical";
        location["latitude"] = site.Place.Latitude;
        location["longitude"] = site.Place.Longitude;
        location["attributes"] = new JsonArray([.. Others(location["attributes"]),
            Vocabulary.AttributeOf(key, "location", Vocabulary.Directory, Vocabulary.SubDistrict, site.SubDistrict)]);
        if (location["accessibility"] is not JsonArray { Count: > 0 } && view.Responder.Listing.Entry!.CommunicationAbilities is { Count: > 0 } abilities)
            location["accessibility"] = new JsonArray(new JsonObject
            {
                ["id"] = Vocabulary.IdOf($"accessibility\n{key}").ToString(),
                ["description"] = $"Speaks with people by: {string.Join(", ", abilities.Select(Words.Of).Select(Vocabulary.InWords))}.",
            });
        return new JsonObject
        {
            ["id"] = Vocabulary.IdOf($"service at location\n{key}").ToString(),
            ["service_id"] = view.Id.ToString(),
            ["location_id"] = location["id"]?.DeepClone(),
            ["description"] = site.Open ? "Open" : "Shut at present",
            ["location"] = location,
        };
    }

    public static string StatusOf(Opening opening) => opening switch
    {
        Opening.Open => Status.Active,
        Opening.Paused => Status.Inactive,
        Opening.Closed => Status.TemporarilyClosed,
        Opening.Withdrawn => Status.Defunct,
    };

    private static JsonObject RecordOf(ResponderView view) =>
        view.Responder.Listing.Entry!.Imported is { } imported ? Standard.Fitting(JsonNode.Parse(imported.Record)!.AsObject()) : [];

    /// <summary>Those that are not ours: ours are written anew.</summary>
    private static IEnumerable<JsonNode?> Others(JsonNode? items) => (items as JsonArray ?? []).Where(item => item is JsonObject one && !Import.IsOurs(one)).Select(item => item!.DeepClone());

    private static IEnumerable<JsonObject> AttributesOf(string id, IResponder responder)
    {
        var entry = responder.Listing.Entry!;
        JsonObject Attribute(string taxonomy, string code, string? value = null) => Vocabulary.AttributeOf(id, "service", taxonomy, code, value);
        return
        [
            .. entry.ServiceKinds.Select(kind => Attribute(Vocabulary.Kinds, kind)),
            .. entry.CommunicationAbilities.Select(ability => Attribute(Vocabulary.Communication, Words.Of(ability))),
            Attribute(Vocabulary.Directory, Words.Of(responder.Kind)),
            .. entry.Modes.Select(mode => Attribute(Vocabulary.Directory, Words.Of(mode))),
            Attribute(Vocabulary.Directory, Vocabulary.Capacity, entry.Capacity.ToString(CultureInfo.InvariantCulture)),
            .. entry.RadiusMetres is { } radius ? [Attribute(Vocabulary.Directory, Vocabulary.RadiusMetres, radius.ToString("R", CultureInfo.InvariantCulture))] : Array.Empty<JsonObject>(),
        ];
    }

    private static JsonObject AreaOf(string id, string name) => new()
    {
        ["id"] = Vocabulary.IdOf($"area\n{id}\n{name}").ToString(),
        ["name"] = name,
        ["attributes"] = new JsonArray(Vocabulary.AttributeOf($"area\n{id}", "service_area", Vocabulary.Directory, Vocabulary.SubDistrict, name)),
    };

    /// <summary>When the provider's own closures end what was open before, and when it is open again.</summary>
    private static IEnumerable<JsonObject> ClosuresOf(string id, IResponder responder) => responder is not Provider provider ? [] : provider.Timeline.Spans.Where(span => span.Closes).Select(span =>
    {
        var schedule = new JsonObject
        {
            ["id"] = Vocabulary.IdOf($"closure\n{id}\n{span.From:O}").ToString(),
            ["description"] = string.Create(CultureInfo.InvariantCulture, $"Closed from {span.From:yyyy-MM-dd}{(span.Until is null ? "" : $" until {span.Until:yyyy-MM-dd}")}: {span.Reason}"),
            ["attributes"] = new JsonArray(Vocabulary.AttributeOf($"closure\n{id}\n{span.From:O}", "schedule", Vocabulary.Directory, Vocabulary.Closure)),
        };
        if (span.Until is { } until)
            schedule["valid_from"] = until.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        return schedule;
    });
}

/// <summary>The words of HSDS for whether a service is open.</summary>
public static class Status
{
    public const string Active = "active";
    public const string Inactive = "inactive";
    public const string Defunct = "defunct";
    public const string TemporarilyClosed = "temporarily closed";

    public static IReadOnlyList<string> All { get; } = [Active, Inactive, Defunct, TemporarilyClosed];
}
