using System.Text.Json.Serialization;
using Huzhu.Contracts;

namespace Huzhu.Notifications.Domain;

/// <summary>What a responder says about an offer by a message: 1, 2, 3 and 4 on the channels where people answer by numbers.</summary>
[JsonConverter(typeof(KebabEnumConverter<AnswerVerb>))]
public enum AnswerVerb { Accept, Decline, Complete, Release }

/// <summary>How far an offer is, as far as its address knows. It only goes forward.</summary>
public enum OfferStanding { Asked, Taken, Over }

/// <summary>An offer that was told to an address on which people answer by messages.</summary>
/// <param name="Number">How the person names it, while several are open.</param>
/// <param name="MessageKey">The front end's name for the last message that was taken for an answer to it.</param>
public sealed record ToldOffer(
    int Number, OfferId OfferId, ResponderId ResponderId, string Kind, DateTimeOffset ToldAt, DateTimeOffset AnswerBy, OfferStanding Standing, string? MessageKey)
{
    /// <summary>A late answer is still taken to be about the newest offer, so that it can be explained.</summary>
    private static readonly TimeSpan Lately = TimeSpan.FromHours(24);

    /// <summary>Which offer a message is about. Pure.</summary>
    /// <param name="told">All that the address was told of.</param>
    /// <param name="number">The number in the message, if there was one.</param>
    /// <param name="since">When the front end asked the same person something else: whoever sends a bare number means what was asked last.</param>
    /// <returns>None: the message is not about an offer. Several: the person must say which.</returns>
    public static IReadOnlyList<ToldOffer> About(
        IReadOnlyCollection<ToldOffer> told, AnswerVerb verb, int? number, string messageKey, DateTimeOffset? since, DateTimeOffset now)
    {
        // The message has come before: whatever else was told since, it means what it meant.
        if (told.FirstOrDefault(offer => offer.MessageKey == messageKey) is { } repeated)
            return [repeated];
        if (number is not null)
            return [.. told.Where(offer => offer.Number == number)];
        var newer = told.Where(offer => since is null || offer.ToldAt > since).OrderBy(offer => offer.ToldAt).ThenBy(offer => offer.Number).ToList();
        var waiting = newer.Where(offer => verb is AnswerVerb.Accept or AnswerVerb.Decline
            ? offer.Standing == OfferStanding.Asked && offer.AnswerBy > now
            : offer.Standing == OfferStanding.Taken).ToList();
        return waiting.Count > 0 ? waiting : [.. newer.Where(offer => now - offer.ToldAt < Lately).TakeLast(1)];
    }
}
