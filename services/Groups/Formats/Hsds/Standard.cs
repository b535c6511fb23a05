using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>
/// What HSDS 3.0 lets a field hold: by its name, which means the same in every table. An export is held to it whatever came
/// in, because one record that does not fit makes a reader refuse the page that it is on.
/// </summary>
public static partial class Standard
{
    private static readonly string[] Named = ["name", "description"];

    /// <summary>Lists by their names, with what each of their items must have besides an id.</summary>
    private static readonly Dictionary<string, string[]> Lists = new()
    {
        ["accessibility"] = [],
        ["addresses"] = ["address_1", "city", "state_province", "postal_code", "country", "address_type"],
        ["attributes"] = [],
        ["cost_options"] = [],
        ["languages"] = [],
        ["locations"] = ["location_type"],
        ["organization_identifiers"] = ["identifier_type", "identifier"],
        ["programs"] = Named,
        ["required_documents"] = [],
        ["schedules"] = [],
        ["service_areas"] = [],
        ["service_at_locations"] = [],
    };

    /// <summary>The same for what there is one of; a service's organisation and a location have the rest from the export.</summary>
    private static readonly Dictionary<string, string[]> Parts = new()
    {
        ["location"] = [],
        ["organization"] = [],
        ["program"] = Named,
        ["taxonomy_detail"] = Named,
        ["taxonomy_term"] = Named,
    };

    private static readonly HashSet<string> Links = ["schedule_link", "term_uri", "uri", "url", "website"];

    private static readonly string[] Places = ["physical", "postal", "virtual"];

    private static readonly Dictionary<string, string[]> Codes = new()
    {
        ["address_type"] = Places,
        ["freq"] = ["WEEKLY", "MONTHLY"],
        ["location_type"] = Places,
        ["wkst"] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"],
    };

    /// <summary>The record without what its fields cannot hold, and its items with an id each.</summary>
    public static JsonObject Fitting(JsonObject record)
    {
        var fitting = new JsonObject();
        foreach (var (name, value) in record)
            if (Fitting(name, value) is { } fits)
                fitting[name] = fits;
        return fitting;
    }

    private static JsonNode? Fitting(string name, JsonNode? value)
    {
        if (Lists.TryGetValue(name, out var required))
            return value is JsonArray items ? new JsonArray([.. Import.Objects(items).Select(item => Item(item, required)).OfType<JsonObject>()]) : null;
        if (Parts.TryGetValue(name, out required))
            return value is JsonObject part ? Item(part, required) : null;
        if (Import.Numbers.Contains(name))
            return Import.Number(value);
        var text = value is JsonValue truth && truth.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? value.ToJsonString() : Import.Text(value);
        if (name == "id" || (name.EndsWith("_id", StringComparison.Ordinal) && name != "tax_id"))
            return Guid.TryParseExact(text, "D", out _) ? text : null;
        if (name == "last_modified")
            return Moment(text);
        if (Links.Contains(name))
            return Uri.IsWellFormedUriString(text, UriKind.Absolute) ? text : null;
        return Codes.TryGetValue(name, out var codes) && !codes.Contains(text) ? null : text;
    }

    /// <summary>Null when it lacks what it must have.</summary>
    private static JsonObject? Item(JsonObject item, string[] required)
    {
        var fitting = Fitting(item);
        // Where an id is no UUID it is often the only code there is.
        if (fitting["id"] is null && required == Named && Import.Text(item["id"]) is { } code)
            fitting["code"] ??= code;
        fitting["id"] ??= Vocabulary.IdOf($"imported\n{item.ToJsonString()}").ToString();
        if (required == Named)
            fitting["description"] ??= fitting["name"]?.DeepClone();
        return required.All(field => fitting[field] is not null) ? fitting : null;
    }

    private static string? Moment(string? text) =>
        !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment) ? null
        : Rfc3339().IsMatch(text) ? text
        : moment.ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Rfc3339();
}
