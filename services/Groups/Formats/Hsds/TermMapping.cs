using Huzhu.Contracts;

namespace Huzhu.Groups.Formats.Hsds;

/// <summary>
/// What another directory's words mean here: <c>taxonomy:code</c> is a service kind, a way to communicate or <c>ignore</c>;
/// <c>area:name</c> is a sub-district, or <c>everywhere</c>. From <c>Formats:Hsds:Mapping</c>, and from the import itself.
/// </summary>
public sealed class TermMapping
{
    public const string Ignore = "ignore";
    public const string Everywhere = "everywhere";
    public const string Area = "area:";
    private const string Section = "Formats:Hsds:Mapping";
    private const int MaxWord = 300;

    private readonly Dictionary<string, string> _meanings = new(StringComparer.OrdinalIgnoreCase);

    /// <exception cref="InvalidOperationException">A meaning is not known; the message names the key.</exception>
    public TermMapping(IConfiguration configuration)
    {
        foreach (var one in configuration.GetSection(Section).GetChildren())
        {
            // A name of a setting cannot hold a colon, so both sides are values.
            var (term, meaning) = (one["Term"], one["Meaning"]);
            if (string.IsNullOrWhiteSpace(term) || string.IsNullOrWhiteSpace(meaning))
                throw new InvalidOperationException($"{one.Path}: set Term, such as taxonomy:code, and Meaning.");
            if (Wrong(term, meaning) is { } wrong)
                throw new InvalidOperationException($"{one.Path}:Meaning: {wrong}");
            _meanings[term.Trim()] = meaning.Trim();
        }
    }

    private TermMapping(TermMapping stored) => _meanings = new(stored._meanings, _meanings.Comparer);

    public string? Find(string term) => _meanings.GetValueOrDefault(term.Trim());

    /// <summary>This mapping with another's words in it, which win; or, under each, what is wrong with them.</summary>
    public (TermMapping Mapping, IDictionary<string, string[]> Errors) With(IEnumerable<KeyValuePair<string, string?>> words)
    {
        var mapping = new TermMapping(this);
        var errors = new Dictionary<string, string[]>();
        foreach (var (term, meaning) in words)
        {
            if (Wrong(term, meaning) is { } wrong)
                errors[$"mapping.{(term.Length > MaxWord ? term[..MaxWord] : term)}"] = [wrong];
            else
                mapping._meanings[term.Trim()] = meaning!.Trim();
        }
        return (mapping, errors);
    }

    private static string? Wrong(string term, string? meaning) => (term, meaning?.Trim()) switch
    {
        ({ Length: 0 or > MaxWord }, _) => $"A term has 1 to {MaxWord} characters.",
        (_, null or "") => "A text is required.",
        (_, { Length: > Features.EntryBody.MaxSubDistrict }) => $"A meaning has at most {Features.EntryBody.MaxSubDistrict} characters.",
        _ when term.StartsWith(Area, StringComparison.OrdinalIgnoreCase) => null,
        (_, { } word) => word == Ignore || ServiceKinds.IsKnown(word) || Words.TryRead<CommunicationNeed>(word, out _)
            ? null
            : $"'{word}' is not {Ignore}, a service kind ({string.Join(", ", ServiceKinds.All)}) or a way to communicate ({Words.List<CommunicationNeed>()}).",
    };
}
