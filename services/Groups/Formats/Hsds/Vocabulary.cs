using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>A word of one of our own taxonomies.</summary>
public sealed record Term(string Taxonomy, string Code, string Description)
{
    public Guid Id => Vocabulary.IdOf($"term\n{Taxonomy}\n{Code}");
}

/// <summary>
/// Our words as HSDS taxonomies, so that an export says all that matching rests on, in a form that an import understands
/// without a mapping.
/// </summary>
public static class Vocabulary
{
    public const string Kinds = "huzhu-service-kinds";
    public const string Communication = "huzhu-communication";
    public const string Directory = "huzhu-directory";

    // Terms of the directory's taxonomy; those without a list of their own carry a value.
    public const string Capacity = "capacity";
    public const string RadiusMetres = "radius-metres";
    public const string SubDistrict = "sub-district";
    public const string Closure = "closure";

    private static readonly Guid Space = new("3f0d7f2a-51f5-5f0e-9a44-7a0c1f6d4b21");

    public static IReadOnlyList<(string Name, string Description)> Taxonomies { get; } =
    [
        (Kinds, "What kind of help a service gives"),
        (Communication, "How a service can speak with people"),
        (Directory, "What else the directory knows of a service: who gives it, how, how much and how far"),
    ];

    public static IReadOnlyList<Term> Terms { get; } =
    [
        .. ServiceKinds.All.Select(kind => new Term(Kinds, kind, InWords(kind))),
        .. Words.All<CommunicationNeed>().Select(word => new Term(Communication, word, InWords(word))),
        .. Words.All<ResponderKind>().Select(word => new Term(Directory, word, word == Words.Of(ResponderKind.Provider) ? "Given by a formal organisation" : "Given by a self-organised group")),
        .. Words.All<DeliveryMode>().Select(word => new Term(Directory, word, $"Given {word}")),
        new(Directory, Capacity, "How many needs it can hold at once"),
        new(Directory, RadiusMetres, "How far from its locations it reaches"),
        new(Directory, SubDistrict, "The sub-district of a location, or one that is served"),
        new(Directory, Closure, "A closure that the provider has published"),
    ];

    /// <summary>The same name always has the same id.</summary>
    public static Guid IdOf(string name) => DeterministicId.Of(Space, name);

    public static Guid TaxonomyIdOf(string name) => IdOf($"taxonomy\n{name}");

    public static string InWords(string code) => code.Replace('.', ' ').Replace('-', ' ');

    public static JsonObject TaxonomyOf(string name) => new()
    {
        ["id"] = TaxonomyIdOf(name).ToString(),
        ["name"] = name,
        ["description"] = Taxonomies.First(taxonomy => taxonomy.Name == name).Description,
        ["version"] = "1",
    };

    public static JsonObject TermOf(Term term)
    {
        var json = new JsonObject
        {
            ["id"] = term.Id.ToString(),
            ["code"] = term.Code,
            ["name"] = InWords(term.Code),
            ["description"] = term.Description,
            ["taxonomy"] = term.Taxonomy,
            ["taxonomy_detail"] = TaxonomyOf(term.Taxonomy),
            ["language"] = "en",
        };
        if (term.Taxonomy == Kinds && ServiceKinds.RootOf(term.Code) is var root && root != term.Code)
            json["parent_id"] = Terms.First(parent => parent.Taxonomy == Kinds && parent.Code == root).Id.ToString();
        return json;
    }

    public static JsonObject AttributeOf(string owner, string entity, string taxonomy, string code, string? value = null)
    {
        var attribute = new JsonObject
        {
            ["id"] = IdOf($"attribute\n{owner}\n{taxonomy}\n{code}\n{value}").ToString(),
            ["link_type"] = code,
            ["link_entity"] = entity,
            ["taxonomy_term"] = TermOf(Terms.First(term => term.Taxonomy == taxonomy && term.Code == code)),
        };
        if (value is not null)
            attribute["value"] = value;
        return attribute;
    }
}
