using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Features;

/// <summary>Why each offer of a need went where it went.</summary>
/// <param name="Language">zh or en: of <paramref name="Now"/> and of the offers' words.</param>
public sealed record ExplanationView(NeedId NeedId, NeedState State, string Language, string Now, IReadOnlyList<OfferExplanation> Offers)
{
    /// <param name="tellsWhoHelped">Whether the reader may know who has helped the person before.</param>
    public static ExplanationView Of(NeedId needId, MatchState state, InWords? words = null, bool tellsWhoHelped = true)
    {
        words ??= InWords.English;
        return new(needId, state.State, words.Language, words.Now(state), [.. state.Offers
            .Select(offer => tellsWhoHelped || offer.Explanation.Weighed is not { } weighed ? offer : offer with { Explanation = offer.Explanation with { Weighed = weighed with { NotHelpedBefore = null } } })
            .Select((offer, index) => new OfferExplanation(offer.Id, offer.ResponderId, offer.ResponderKind, offer.MadeAt, [.. words.Of(offer, index + 1)], offer.Explanation))]);
    }
}

/// <param name="Words">Plain sentences.</param>
/// <param name="Data">What was stored with the offer, and what an auditor decides again from.</param>
public sealed record OfferExplanation(OfferId OfferId, ResponderId ResponderId, ResponderKind ResponderKind, DateTimeOffset At, IReadOnlyList<string> Words, Explanation Data);

/// <summary>The codes of an explanation as sentences of one language, from Sentences.json.</summary>
public sealed class InWords
{
    private const int NamedOneByOne = 10;

    private sealed record Sentence(string Zh, string En, string? Many);

    private static readonly FrozenDictionary<string, Sentence> All = Load();

    public static InWords English { get; } = new("en", sentence => sentence.En, "; ", ", ");
    public static InWords Chinese { get; } = new("zh", sentence => sentence.Zh, "；", "，");

    private readonly Func<Sentence, string> _language;
    private readonly string _semicolon, _comma;

    private InWords(string language, Func<Sentence, string> of, string semicolon, string comma) =>
        (Language, _language, _semicolon, _comma) = (language, of, semicolon, comma);

    public string Language { get; }

    /// <returns>Null for a language other than zh and en.</returns>
    public static InWords? In(string language) => language switch { "en" => English, "zh" => Chinese, _ => null };

    internal IEnumerable<string> Of(Offer offer, int number)
    {
        var why = offer.Explanation;
        yield return Say(why.DistanceMetres is null ? "offer.online" : "offer.away", ("number", number), ("who", Who(offer.ResponderKind, offer.ResponderId)),
            ("distance", Distance(why.DistanceMetres)), ("held", why.Held), ("capacity", why.Capacity));
        yield return First(why);
        if (why.Assignment is { } assignment)
            yield return Say("assigned", ("by", assignment.By), ("reason", assignment.Reason.TrimEnd('.', '。')));
        if (why.Priced is { Metres: > 0 } priced)
            yield return Say("priced", ("distance", Distance(priced.Metres)), ("version", priced.Version));
        if (why.Weighed is { Metres: > 0 } weighed)
            yield return Say("weighed", ("distance", Distance(weighed.Metres)), ("weights", string.Join(_comma, Weights(weighed))));
        if (why.Weighed is { NotHelpedBefore: 0 })
            yield return Say("helped-before");
        if (why.LeftOut.Count == 0)
            yield return Say("nobody-better");
        else
        {
            yield return Say(why.Rank == 2 ? "better.one" : "better.many", ("count", why.Rank - 1), ("otherwise", Say(Otherwise(why))));
            foreach (var left in why.LeftOut.Take(NamedOneByOne))
            {
                var who = Who(left.Kind, left.ResponderId);
                yield return Say(left.DistanceMetres is null ? "left-out.online" : "left-out.away",
                    ("who", who), ("Who", char.ToUpperInvariant(who[0]) + who[1..]), ("distance", Distance(left.DistanceMetres)), ("reason", Reason(left.Reason)));
            }
            if (why.LeftOut.Count > NamedOneByOne)
                yield return Say("more-in-data", ("count", why.LeftOut.Count - NamedOneByOne));
        }
        if (why.OthersLeftOut.Count > 0)
            yield return Say("others", ("others", string.Join(_semicolon, why.OthersLeftOut.OrderByDescending(other => other.Value)
                .Select(other => Say("other", ("count", other.Value), ("reason", Reason(other.Key, other.Value)))))));
        yield return Say("decided-by", ("policy", why.PolicyVersion), ("zones", why.ZonesVersion), ("ledger", why.LedgerVersion));
        yield return Say($"status.{offer.Status.ToString().ToLowerInvariant()}", ("because", offer.EndedBecause is { } because ? Find($"revoked.{because}", because) : ""));
    }

    internal string Now(MatchState state)
    {
        var open = state.OpenOffers.Count();
        return state.State switch
        {
            NeedState.Offered => Say(open > 1 ? "now.offered.many" : "now.offered.one", ("count", open)),
            NeedState.Waiting or NeedState.Escalated => Say($"now.{Words.Of(state.State)}", ("why", Waits(state.Reason))),
            NeedState.Open or NeedState.Reopened or NeedState.Partial or NeedState.DuplicateOf => Say("now.matching"),
            _ => Say($"now.{Words.Of(state.State)}"),
        };
    }

    internal string Reason(string code, int count = 1)
    {
        var sentence = All.GetValueOrDefault($"reason.{code}") ?? All["reason."];
        return (count != 1 && this == English && sentence.Many is { } many ? many : _language(sentence)).Replace("{code}", code, StringComparison.Ordinal);
    }

    private string First(Explanation why) => why is { FirstBecause: OrderReasons.Nearest, RunnerUpDistanceMetres: { } next }
        ? Say("first.nearest.next", ("distance", Distance(next)))
        : why is { FirstBecause: OrderReasons.LeastPriced } && NearestKeptFrom(why) is { } nearest
        ? Say("first.least-priced.by", ("distance", Distance(why.DistanceMetres - nearest)))
        : Say(All.ContainsKey($"first.{why.FirstBecause}") ? $"first.{why.FirstBecause}" : "first.by-rule", ("code", why.FirstBecause));

    private static double? NearestKeptFrom(Explanation why) => why.LeftOut.FirstOrDefault(left => left.Reason == ExclusionReasons.KeptForOthers)?.DistanceMetres;

    private static string Otherwise(Explanation why) => why switch
    {
        { Assignment: not null } => "otherwise.passed-over",
        { PlanId: not null } or { Priced: not null } => "otherwise.kept",
        { Weighed: not null } => "otherwise.weighed",
        _ => "otherwise",
    };

    private IEnumerable<string> Weights(Weighed weighed) => new[]
    {
        ("weight.other-sub-district", weighed.OtherSubDistrict), ("weight.no-peer", weighed.NoPeer), ("weight.load", weighed.Load), ("weight.turn", weighed.Turn),
        ("weight.not-helped-before", weighed.NotHelpedBefore ?? 0),
    }.Where(weight => weight.Item2 > 0).Select(weight => Say(weight.Item1, ("distance", Distance(weight.Item2))));

    private string Waits(string? reason) => reason switch
    {
        null or "" => Say("waits.nobody"),
        _ when All.ContainsKey($"waits.{reason}") => Say($"waits.{reason}"),
        _ => Say("waits.closest", ("reason", Reason(reason))),
    };

    private string Who(ResponderKind kind, ResponderId id) => Say($"kind.{Words.Of(kind)}", ("id", id));

    private string Find(string key, string fallback) => All.TryGetValue(key, out var sentence) ? _language(sentence) : fallback;

    private string Say(string key, params ReadOnlySpan<(string Name, object Value)> values)
    {
        var text = _language(All[key]);
        foreach (var (name, value) in values)
            text = text.Replace($"{{{name}}}", Convert.ToString(value, CultureInfo.InvariantCulture), StringComparison.Ordinal);
        return text;
    }

    private static string Distance(double? metres) => metres < 1000
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Round(metres.Value)} m")
        : string.Create(CultureInfo.InvariantCulture, $"{metres / 1000:0.0} km");

    private static FrozenDictionary<string, Sentence> Load()
    {
        using var stream = typeof(InWords).Assembly.GetManifestResourceStream("Sentences.json")
            ?? throw new InvalidOperationException("The resource Sentences.json is missing.");
        return JsonSerializer.Deserialize<Dictionary<string, Sentence>>(stream, JsonSerializerOptions.Web)!.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
