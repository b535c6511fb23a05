using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>A word of another directory that has no meaning here yet.</summary>
/// <param name="Term">As a mapping is to name it.</param>
public sealed record UnmappedTerm(string Term, string? Name, int UsedBy);

/// <summary>One service as it was read: what it would be here, or why it cannot be taken.</summary>
/// <param name="Body">Null when it is refused at once.</param>
public sealed record ReadService(int Line, Guid? Id, string? Name, ResponderKind? Kind, EntryBody? Body, ImportedRecord? Record, string? Alert, IReadOnlyList<string> Reasons);

/// <summary>
/// Reads HSDS 3.0: a service, an organisation with services, a list or a page of either, or the tables of a package in
/// JSON. Nothing is guessed: a word without a meaning is asked for.
/// </summary>
public static class Import
{
    public const int MaxServices = 1_000;
    private const int MaxDepth = 32;
    private const int MaxRecord = 64 * 1024;

    /// <summary>Whom to call there is the other directory's to tell, and often a person; histories and money say nothing about help.</summary>
    private static readonly HashSet<string> LeftOut = ["contacts", "phones", "email", "metadata", "attention", "assurer_email", "funding"];

    /// <summary>What HSDS has as numbers; all else that looks like one is a text, however a table wrote it.</summary>
    internal static readonly HashSet<string> Numbers =
        ["latitude", "longitude", "minimum_age", "maximum_age", "year_incorporated", "timezone", "count", "interval", "amount", "extension"];

    /// <summary>ISO 639: the family of sign languages, and the ones that are asked for here.</summary>
    private static readonly HashSet<string> SignLanguages = ["sgn", "csl", "ase", "bfi", "hks"];

    /// <summary>The document in a form that can be worked with: keys in order, and no text that the database cannot hold.</summary>
    /// <exception cref="JsonException">It is not JSON, or has what nobody should send: the same key twice, half characters, null characters, depth.</exception>
    public static JsonNode? Parse(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return Copy(document.RootElement);
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("A text has half a character.", exception);
        }
    }

    /// <summary>Every service of the document, nested as HSDS nests it.</summary>
    /// <exception cref="JsonException">Put together, they are far larger than the document.</exception>
    public static IReadOnlyList<JsonObject?> ServicesOf(JsonNode? data) => ServicesOf(data, new Copies());

    private static IReadOnlyList<JsonObject?> ServicesOf(JsonNode? data, Copies copies) => data switch
    {
        JsonArray items => [.. items.SelectMany(item => ServicesOf(item, copies))],
        JsonObject page when page["contents"] is JsonArray contents => ServicesOf(contents, copies),
        JsonObject package when package.Any(table => table.Key.EndsWith(".csv", StringComparison.Ordinal)) => new Tables(package, copies).Services(),
        JsonObject organization when organization["services"] is JsonArray services => WithOrganization(services, organization, copies),
        JsonObject service => [service],
        _ => [null],
    };

    public static GeoPoint? PlaceOf(JsonObject location) =>
        Number(location["latitude"]) is { } latitude && Number(location["longitude"]) is { } longitude ? new GeoPoint(latitude, longitude) : null;

    /// <summary>Whether it is one that an export of ours adds.</summary>
    public static bool IsOurs(JsonObject item) =>
        Vocabulary.Taxonomies.Any(taxonomy => taxonomy.Name == TaxonomyOf(item)) || Objects(item["attributes"]).Any(IsOurs);

    /// <param name="unmapped">Collects the words without a meaning, each with how often it was met.</param>
    public static ReadService Read(int line, JsonObject? service, TermMapping mapping, ResponderKind kind, Dictionary<string, UnmappedTerm> unmapped)
    {
        if (service is null)
            return new ReadService(line, null, null, null, null, null, null, ["It is not an HSDS service: an object is expected."]);
        var reasons = new List<string>();
        var name = Text(service["name"]);
        var hasId = Guid.TryParse(Text(service["id"]), out var id) && id != Guid.Empty;
        if (!hasId)
            reasons.Add("id: A UUID is required.");
        var status = Text(service["status"]);
        if (status is null || !Status.All.Contains(status))
            reasons.Add($"status: One of {string.Join(", ", Status.All)} is required.");

        var organization = service["organization"] as JsonObject;
        var (kinds, abilities, modes) = (new HashSet<string>(), new HashSet<string>(), new HashSet<string>());
        // Who says it in our words has said it: what it says in others' besides is kept, and nobody has to explain it.
        var asks = Objects(service["attributes"]).Any(IsOurs) ? null : unmapped;
        int? capacity = null;
        double? radius = null;
        foreach (var attribute in Objects(service["attributes"]))
        {
            var (taxonomy, code, value) = (TaxonomyOf(attribute), CodeOf(attribute), Text(attribute["value"]));
            if (code is null)
                continue;
            var meaning = taxonomy switch
            {
                Vocabulary.Kinds or Vocabulary.Communication => code,
                Vocabulary.Directory => TermMapping.Ignore,
                _ => Meaning(mapping, asks, $"{taxonomy}:{code}", Text((attribute["taxonomy_term"] as JsonObject)?["name"])),
            };
            if (taxonomy == Vocabulary.Directory)
            {
                if (Words.TryRead<ResponderKind>(code, out var said))
                    kind = said;
                else if (Words.TryRead<DeliveryMode>(code, out _))
                    modes.Add(code);
                else if (code == Vocabulary.Capacity && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var places))
                    capacity = places;
                else if (code == Vocabulary.RadiusMetres && double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var metres))
                    radius = metres;
            }
            else if (meaning is not (null or TermMapping.Ignore))
                _ = (ServiceKinds.IsKnown(meaning) ? kinds : abilities).Add(meaning);
        }
        if (kinds.Count == 0)
            reasons.Add("attributes: none of them says what kind of help the service gives.");

        var locations = Objects(service["service_at_locations"]).Select(one => one["location"]).OfType<JsonObject>().ToList();
        // A service without locations of its own is given where its organisation is.
        if (!locations.Any(location => PlaceOf(location) is not null))
            locations.AddRange(Objects(organization?["locations"]));
        var spoken = Objects(service["languages"]).Concat(locations.SelectMany(location => Objects(location["languages"])));
        if (spoken.Any(language => Text(language["code"])?.Split('-')[0].ToLowerInvariant() is { } code && SignLanguages.Contains(code)))
            abilities.Add(Words.Of(CommunicationNeed.SignLanguage));
        if (modes.Count == 0)
        {
            var types = locations.Select(location => Text(location["location_type"])).ToHashSet();
            if (types.Contains("virtual"))
                modes.Add(Words.Of(DeliveryMode.Online));
            if (types.Contains("physical") || modes.Count == 0)
                modes.Add(Words.Of(DeliveryMode.Offline));
        }

        var areas = Objects(service["service_areas"]).Where(area => Text(area["name"]) is not null)
            .Select(area => SubDistrictOf(area) ?? Meaning(mapping, asks, TermMapping.Area + Text(area["name"]), Text(area["description"]))).ToHashSet();
        var body = new EntryBody(
            Name: name,
            Sites: [.. locations.Where(location => PlaceOf(location) is not null).Select(location => SiteOf(location))],
            RadiusMetres: radius,
            SubDistricts: areas.Contains(TermMapping.Everywhere) ? [] : [.. areas.Where(area => area is not (null or TermMapping.Ignore))],
            ServiceKinds: [.. kinds], Modes: [.. modes], CommunicationAbilities: [.. abilities], Capacity: capacity);
        var organizationId = Guid.TryParse(Text(organization?["id"]), out var owner) ? owner : id;
        var record = Kept(service);
        if (record.Length > MaxRecord)
            reasons.Add($"It is larger than {MaxRecord / 1024} KiB without its contact data.");
        return new ReadService(line, hasId ? id : null, name, kind, body, new ImportedRecord(organizationId, status ?? "", record), Text(service["alert"]), reasons);
    }

    private static string? Meaning(TermMapping mapping, Dictionary<string, UnmappedTerm>? unmapped, string term, string? name)
    {
        if (mapping.Find(term) is { } meaning || unmapped is null)
            return mapping.Find(term);
        var key = term.Trim().ToLowerInvariant();
        unmapped[key] = unmapped.TryGetValue(key, out var met) ? met with { UsedBy = met.UsedBy + 1 } : new UnmappedTerm(term.Trim(), name, 1);
        return null;
    }

    private static SiteBody SiteOf(JsonObject location)
    {
        var place = PlaceOf(location)!.Value;
        var address = Objects(location["addresses"]).FirstOrDefault();
        return new SiteBody(place.Latitude, place.Longitude, SubDistrictOf(location) ?? Text(address?["region"]) ?? Text(address?["city"]));
    }

    private static string? SubDistrictOf(JsonObject item) =>
        Text(Objects(item["attributes"]).FirstOrDefault(attribute => TermOf(attribute) == $"{Vocabulary.Directory}:{Vocabulary.SubDistrict}")?["value"]);

    private static string? TermOf(JsonObject attribute) => attribute["taxonomy_term"] is JsonObject ? $"{TaxonomyOf(attribute)}:{CodeOf(attribute)}" : null;

    private static string? TaxonomyOf(JsonObject attribute) => attribute["taxonomy_term"] is JsonObject term
        ? Text(term["taxonomy"]) ?? Text((term["taxonomy_detail"] as JsonObject)?["name"]) ?? Text(term["taxonomy_id"])
        : null;

    private static string? CodeOf(JsonObject attribute) => attribute["taxonomy_term"] is JsonObject term ? Text(term["code"]) ?? Text(term["id"]) : Text(attribute["taxonomy_term_id"]);

    private static string Kept(JsonObject service)
    {
        var kept = (JsonObject)Without(service)!;
        // Where the service itself is given is kept; where else its organisation is belongs to other services.
        (kept["organization"] as JsonObject)?.Remove("locations");
        return kept.ToJsonString();
    }

    private static JsonNode? Without(JsonNode? node) => node switch
    {
        JsonObject all => new JsonObject(all.Where(field => !LeftOut.Contains(field.Key)).Select(field => KeyValuePair.Create(field.Key, field.Value is JsonValue value ? Written(field.Key, value) : Without(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Without)]),
        _ => node?.DeepClone(),
    };

    private static JsonNode? Written(string name, JsonValue value) => Numbers.Contains(name)
        ? Number(value) is { } number ? JsonValue.Create(number) : null
        : value.GetValueKind() == JsonValueKind.Number ? JsonValue.Create(value.ToJsonString()) : value.DeepClone();

    private static List<JsonObject?> WithOrganization(JsonArray services, JsonObject organization, Copies copies)
    {
        var owner = new JsonObject(organization.Where(field => field.Key != "services").Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone())));
        return [.. services.Select(one =>
        {
            if (one is not JsonObject service || service["organization"] is JsonObject)
                return one as JsonObject;
            var nested = copies.Of(service);
            nested["organization"] = copies.Of(owner);
            return nested;
        })];
    }

    private static JsonNode? Copy(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(element.EnumerateObject().OrderBy(field => field.Name, StringComparer.Ordinal)
            .Select(field => KeyValuePair.Create(Storable(field.Name), Copy(field.Value)))),
        JsonValueKind.Array => new JsonArray([.. element.EnumerateArray().Select(Copy)]),
        JsonValueKind.String => JsonValue.Create(Storable(element.GetString()!)),
        JsonValueKind.Null => null,
        _ => JsonValue.Create(element.Clone()),
    };

    private static string Storable(string text) => text.Contains('\0', StringComparison.Ordinal) ? throw new JsonException("A text has a null character.") : text;

    internal static IEnumerable<JsonObject> Objects(JsonNode? items) => (items as JsonArray ?? []).OfType<JsonObject>();

    /// <summary>A text, or a number in the place of one, as tables have them.</summary>
    internal static string? Text(JsonNode? node) => node switch
    {
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>().Trim() is { Length: > 0 } text ? text : null,
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => value.ToJsonString(),
        _ => null,
    };

    internal static double? Number(JsonNode? node) =>
        double.TryParse(Text(node), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;
}

/// <summary>Copies of parts of a document, with a limit: what many refer to is copied for each.</summary>
public sealed class Copies
{
    private const long MaxCharacters = 64 * 1024 * 1024;
    private readonly Dictionary<JsonObject, int> _lengths = new(ReferenceEqualityComparer.Instance);
    private long _left = MaxCharacters;

    /// <exception cref="JsonException">All copies together are too large.</exception>
    public JsonObject Of(JsonObject part)
    {
        if (!_lengths.TryGetValue(part, out var length))
            _lengths[part] = length = part.ToJsonString().Length;
        _left -= length;
        return _left >= 0 ? (JsonObject)part.DeepClone() : throw new JsonException($"Its parts refer to each other so often that it is larger than {MaxCharacters / 1024 / 1024} MiB; send it in parts.");
    }
}

/// <summary>The tables of an HSDS package, <c>services.csv</c> and the others, each a list of rows in JSON, put together again.</summary>
public sealed class Tables(JsonObject package, Copies copies)
{
    private readonly Dictionary<(string Table, string Column), ILookup<string, JsonObject>> _indexes = [];

    public IReadOnlyList<JsonObject?> Services() => [.. Import.Objects(package["services.csv"]).Select(row =>
    {
        var id = Import.Text(row["id"]);
        var service = Nested(row, id, "service_id", ("schedules", "schedules"), ("languages", "languages"), ("service_areas", "service_areas"), ("service_at_locations", "service_at_location"));
        foreach (var one in Import.Objects(service["service_at_locations"]))
            if (Find("locations", "id", Import.Text(one["location_id"])) is { } location)
                one["location"] = Nested(location, Import.Text(location["id"]), "location_id",
                    ("addresses", "addresses"), ("accessibility", "accessibility"), ("languages", "languages"), ("schedules", "schedules"));
        service["attributes"] = AttributesOf(id);
        if (Find("organizations", "id", Import.Text(row["organization_id"])) is { } organization)
            service["organization"] = copies.Of(organization);
        return service;
    })];

    private JsonArray AttributesOf(string? id) => new([.. Rows("attributes", "link_id", id).Select(row =>
    {
        var attribute = copies.Of(row);
        if (Find("taxonomy_terms", "id", Import.Text(row["taxonomy_term_id"])) is { } known)
        {
            var term = copies.Of(known);
            if (term["taxonomy"] is null && Find("taxonomies", "id", Import.Text(term["taxonomy_id"])) is { } taxonomy)
                term["taxonomy"] = taxonomy["name"]?.DeepClone();
            attribute["taxonomy_term"] = term;
        }
        return attribute;
    })]);

    private JsonObject Nested(JsonObject row, string? id, string column, params IEnumerable<(string Name, string Table)> children)
    {
        var nested = copies.Of(row);
        foreach (var (name, table) in children)
            nested[name] = new JsonArray([.. Rows(table, column, id).Select(copies.Of)]);
        return nested;
    }

    private JsonObject? Find(string table, string column, string? value) => Rows(table, column, value).FirstOrDefault();

    private IEnumerable<JsonObject> Rows(string table, string column, string? value)
    {
        if (!_indexes.TryGetValue((table, column), out var index))
            _indexes[(table, column)] = index = Import.Objects(package[$"{table}.csv"]).Where(row => Import.Text(row[column]) is not null).ToLookup(row => Import.Text(row[column])!);
        return value is null ? [] : index[value];
    }
}
