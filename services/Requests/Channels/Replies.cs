using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Requests.Features;

namespace Huzhu.Requests.Channels;

/// <summary>The answers, in Chinese and English, from Replies.json.</summary>
public static class Replies
{
    private const int LongestNote = 200;

    private sealed record Text(string Zh, string En);

    private static readonly Dictionary<string, Text> All = Resources.Read<Dictionary<string, Text>>("Replies.json");

    /// <summary>What a person calls the request by: the beginning of its id.</summary>
    public static string NumberOf(RequestId request) => request.ToString()[..8].ToUpperInvariant();

    /// <param name="about">The request that the answer names.</param>
    /// <param name="requests">What is told of on "status", newest first.</param>
    /// <param name="isSpoken">Whether it is read out: there are keys to press then, and no buttons to tap.</param>
    public static string Write(Turn turn, RequestId? about, IReadOnlyList<RequestAnswer> requests, bool canPin, bool isSpoken)
    {
        var language = turn.Language;
        if (turn.Reply == Reply.Status && requests.Count == 0)
            return Of("no-status", language);
        var number = about is not { } id ? "" : isSpoken ? string.Join(' ', NumberOf(id).ToCharArray()) : NumberOf(id);
        // Who cannot send a position can send its numbers.
        var said = turn.Reply == Reply.TakenWithoutPlace && !canPin && !isSpoken ? Of("taken-without-place-in-words", language) : Of(turn.Reply, language, isSpoken);
        var text = said.Replace("{number}", number, StringComparison.Ordinal);
        return turn.Reply switch
        {
            Reply.Confirm => Describe(turn.Draft ?? Draft.Empty, language, isSpoken),
            Reply.PlaceNoted => text.Replace("{address}", Short(turn.Draft?.Address ?? ""), StringComparison.Ordinal),
            Reply.Status => text.Replace("{requests}", string.Join('\n', requests.Select(request => StatusOf(request, language))), StringComparison.Ordinal),
            Reply.Human => text.Replace("{question}", Question(turn, canPin, isSpoken), StringComparison.Ordinal),
            _ => text,
        };
    }

    /// <summary>What came of the answer to an offer.</summary>
    public static Answer Write(OfferTold told, Language language, bool isSpoken)
    {
        var reply = Contracts.Words.TryRead<Reply>(told.Outcome.StartsWith("offer-", StringComparison.Ordinal) ? told.Outcome : $"offer-{told.Outcome}", out var known) ? known : Reply.OfferEnded;
        var choices = (told.Choices ?? []).Select(choice => $"{choice.Number} {(All.ContainsKey($"kind.{choice.Kind}") ? Of($"kind.{choice.Kind}", language) : choice.Kind)}");
        return new Answer(Of(reply, language, isSpoken).Replace("{number}", told.Number?.ToString(CultureInfo.InvariantCulture) ?? "", StringComparison.Ordinal)
            .Replace("{choices}", string.Join('\n', choices), StringComparison.Ordinal), reply, language, IsAboutOffer: true);
    }

    public static string Of(Reply reply, Language language, bool isSpoken = false) =>
        isSpoken && All.ContainsKey($"spoken.{Words.Of(reply)}") ? Of($"spoken.{Words.Of(reply)}", language) : Of(Words.Of(reply), language);

    private static string Of(string key, Language language) => language switch
    {
        Language.Zh => All[key].Zh,
        Language.En => All[key].En,
    };

    private static string Question(Turn turn, bool canPin, bool isSpoken) => turn.Asked switch
    {
        Asked.Nothing => "",
        Asked.Kind => Of(Reply.AskKind, turn.Language, isSpoken),
        Asked.Place when turn.Draft is { Place: not null } => Of(Reply.AskPlaceHere, turn.Language),
        Asked.Place => Of(canPin ? Reply.AskPlace : Reply.AskPlaceInWords, turn.Language, isSpoken),
        Asked.Confirmation => Describe(turn.Draft ?? Draft.Empty, turn.Language, isSpoken),
    };

    // What people wrote goes in last, so that a placeholder in their words is not replaced.
    private static string Describe(Draft draft, Language language, bool isSpoken) => Of(Reply.Confirm, language, isSpoken)
        .Replace("{kind}", Of($"kind.{draft.Kind}", language), StringComparison.Ordinal)
        .Replace("{urgency}", Of($"urgency.{Words.Of(draft.Urgency)}", language), StringComparison.Ordinal)
        .Replace("{place}", draft switch
        {
            { Address: { } address } => Short(address.Replace("{note}", "", StringComparison.Ordinal)),
            { Place: not null } => Of("place.pin", language),
            _ => Of("place.none", language),
        }, StringComparison.Ordinal)
        .Replace("{note}", draft.Note.Length == 0 ? "-" : Short(draft.Note), StringComparison.Ordinal);

    private static string StatusOf(RequestAnswer request, Language language) => $"{NumberOf(request.RequestId)}: " + string.Join("; ",
        request.Needs.Count == 0
            ? [Of($"state.{Words.Of(NeedState.Partial)}", language)]
            : request.Needs.Select(need => $"{Of($"kind.{need.Kind}", language)}: {Of($"state.{Words.Of(need.State)}", language)}"));

    private static string Short(string text) => text.Length <= LongestNote ? text : string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[LongestNote - 1]) ? LongestNote - 1 : LongestNote), "…");
}
