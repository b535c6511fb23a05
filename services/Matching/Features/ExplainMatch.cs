using System.Globalization;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using NeedStateChanged = Huzhu.Contracts.Matching.V1.NeedStateChanged;

namespace Huzhu.Matching.Features;

/// <summary>Why each offer of a need went where it went.</summary>
public sealed record ExplanationView(NeedId NeedId, NeedState State, string Now, IReadOnlyList<OfferExplanation> Offers)
{
    public static ExplanationView Of(NeedId needId, MatchState state) =>
        new(needId, state.State, InWords.Now(state), [.. state.Offers.Select((offer, index) => OfferExplanation.Of(offer, index + 1))]);
}

/// <param name="Words">Plain English, one sentence each.</param>
/// <param name="Data">What was stored with the offer, and what an auditor decides again from.</param>
public sealed record OfferExplanation(OfferId OfferId, ResponderId ResponderId, ResponderKind ResponderKind, DateTimeOffset At, IReadOnlyList<string> Words, Explanation Data)
{
    public static OfferExplanation Of(Offer offer, int number) =>
        new(offer.Id, offer.ResponderId, offer.ResponderKind, offer.MadeAt, [.. InWords.Of(offer, number)], offer.Explanation);
}

/// <summary>The codes of an explanation as sentences.</summary>
internal static class InWords
{
    private const int NamedOneByOne = 10;

    public static IEnumerable<string> Of(Offer offer, int number)
    {
        var why = offer.Explanation;
        var who = $"the {Kind(offer.ResponderKind)} {offer.ResponderId}";
        yield return why.DistanceMetres is { } metres
            ? $"Offer {number} went to {who}, {Distance(metres)} away, which held {why.Held} of its {why.Capacity} places."
            : $"Offer {number} went to {who}, which helps online and held {why.Held} of its {why.Capacity} places.";
        yield return First(why);
        if (why.Assignment is { } assignment)
            yield return $"{assignment.By} gave as the reason: {assignment.Reason.TrimEnd('.')}.";
        if (why.Weighed is { Metres: > 0 } weighed)
            yield return $"By the policy's weights it counted as {Distance(weighed.Metres)} further away than it is: {string.Join(", ", Weights(weighed))}.";
        if (why.LeftOut.Count == 0)
            yield return "Nobody was better placed.";
        else
        {
            yield return $"{Count(why.Rank - 1)} better placed but {Otherwise(why)}:";
            foreach (var left in why.LeftOut.Take(NamedOneByOne))
                yield return $"The {Kind(left.Kind)} {left.ResponderId}{(left.DistanceMetres is { } away ? $", {Distance(away)} away," : "")} {Reason(left.Reason)}.";
            if (why.LeftOut.Count > NamedOneByOne)
                yield return $"{why.LeftOut.Count - NamedOneByOne} more are listed in the data.";
        }
        if (why.OthersLeftOut.Count > 0)
            yield return $"Of those better placed beyond these, {string.Join("; ", why.OthersLeftOut.OrderByDescending(other => other.Value).Select(other => $"{other.Value} {ReasonOfMany(other.Key, other.Value)}"))}.";
        yield return $"It was decided by version {why.PolicyVersion} of the policy and version {why.ZonesVersion} of the sealed zones, with the responder's ledger at version {why.LedgerVersion}.";
        yield return offer.Status switch
        {
            OfferStatus.Made => "It has not reached the responder yet.",
            OfferStatus.Sent => "The responder has been told and has not answered yet.",
            OfferStatus.Accepted => "The responder accepted.",
            OfferStatus.Started => "The responder accepted and has begun.",
            OfferStatus.Done => "The responder has done it.",
            OfferStatus.Declined => "The responder declined.",
            OfferStatus.Expired => "The responder did not answer in time.",
            OfferStatus.Undeliverable => "The responder could not be reached.",
            OfferStatus.Superseded => "Another responder that was asked at the same time was first.",
            OfferStatus.Revoked => $"It was taken back: {offer.EndedBecause}.",
            OfferStatus.Released => "The responder accepted, and then could not go on.",
            OfferStatus.Disputed => "The person said that the help did not come as promised.",
        };
    }

    public static string Now(MatchState state) => state.State switch
    {
        NeedState.Offered => $"{(state.OpenOffers.Count() is var open and > 1 ? $"{open} responders have" : "One responder has")} been asked.",
        NeedState.Accepted => "A responder has accepted.",
        NeedState.Started => "Help is under way.",
        NeedState.Fulfilled => "The help was given.",
        NeedState.Closed => "The person has confirmed the help.",
        NeedState.Waiting => $"It waits in the backlog: {Waits(state.Reason)}",
        NeedState.Escalated => $"People of the centre look for help too: {Waits(state.Reason)}",
        NeedState.OnHold => "A concern was raised: only people decide about it now.",
        NeedState.Cancelled => "It was cancelled.",
        NeedState.Open or NeedState.Reopened or NeedState.Partial or NeedState.DuplicateOf => "It is being matched.",
    };

    private static string First(Explanation why) => why.FirstBecause switch
    {
        OrderReasons.OnlyOne => "It was the only one that could be asked.",
        OrderReasons.OwnGroup => "It is the person's own group.",
        OrderReasons.ProviderFirst => "Formal providers are asked before groups while they are open.",
        OrderReasons.Nearest => why.RunnerUpDistanceMetres is { } next
            ? $"It was the nearest that could be asked; the next one is {Distance(next)} away."
            : "It was the nearest that could be asked.",
        OrderReasons.SameSubDistrict => "It is in the person's sub-district.",
        OrderReasons.LeastLoaded => "Of those equally placed it had the most room.",
        OrderReasons.LeastTogether => "It was assigned together with many other needs: this is the shortest way to all of them, although somebody who could be asked was nearer.",
        OrderReasons.ByOperator => "A person of the operating centre chose it.",
        OrderReasons.LeastWeighed => "It was not the nearest that could be asked, but with what the policy weighs (who knows the place, who is a peer, who has room, whose turn it is) it came first.",
        OrderReasons.LowestId => "It was equal to the next one in every respect; the lower id decided.",
        var code => $"It came first by the rule {code}.",
    };

    private static string Otherwise(Explanation why) => why switch
    {
        { Assignment: not null } => "could not be asked, or were passed over",
        { PlanId: not null } => "could not be asked, or kept for others",
        { Weighed: not null } => "could not be asked, or weighed against",
        _ => "could not be asked",
    };

    private static IEnumerable<string> Weights(Weighed weighed)
    {
        if (weighed.OtherSubDistrict > 0)
            yield return $"{Distance(weighed.OtherSubDistrict)} for working from another sub-district";
        if (weighed.NoPeer > 0)
            yield return $"{Distance(weighed.NoPeer)} for not being led by a peer";
        if (weighed.Load > 0)
            yield return $"{Distance(weighed.Load)} for the places that it held";
        if (weighed.Turn > 0)
            yield return $"{Distance(weighed.Turn)} for having had its turn";
    }

    private static string Waits(string? reason) => reason switch
    {
        ExclusionReasons.Kind => "no responder provides this service kind.",
        "offers-exhausted" => "as many responders as the policy allows were asked, and none took it.",
        NeedStateChanged.TellingIsBehind => "more offers are made than responders can be told of, and those of people in danger of life go first.",
        null or "" => "nobody could be asked.",
        _ => $"whoever came closest {ReasonOfMany(reason, 1)}.",
    };

    internal static string Reason(string code) => ReasonOfMany(code, 1);

    private static string ReasonOfMany(string code, int count)
    {
        var one = count == 1;
        return code switch
        {
            ExclusionReasons.Kind => one ? "does not provide the service kind" : "do not provide the service kind",
            ExclusionReasons.Mode => one ? "does not help in this way" : "do not help in this way",
            ExclusionReasons.Communication => one ? "cannot communicate in the person's way" : "cannot communicate in the person's way",
            ExclusionReasons.OutOfArea => one ? "does not serve the place" : "do not serve the place",
            ExclusionReasons.ZoneSealed => one ? "would have to cross a sealed zone" : "would have to cross a sealed zone",
            ExclusionReasons.Withdrawn => one ? "has left for good" : "have left for good",
            ExclusionReasons.Closed => one ? "is closed" : "are closed",
            ExclusionReasons.Paused => one ? "takes no new needs for now" : "take no new needs for now",
            ExclusionReasons.ExcludedByPerson => one ? "is never asked for this person" : "are never asked for this person",
            ExclusionReasons.ExcludedConcern => one ? "is not asked after a concern" : "are not asked after a concern",
            ExclusionReasons.ExcludedDisputed => one ? "had this need before, and the help was disputed" : "had this need before, and the help was disputed",
            ExclusionReasons.ExcludedDeclined => one ? "has declined this need" : "have declined this need",
            ExclusionReasons.ExcludedReleased => one ? "has given this need back" : "have given this need back",
            ExclusionReasons.ExcludedRevoked => one ? "had this need taken away by the centre" : "had this need taken away by the centre",
            ExclusionReasons.AskedRecently => one ? "was asked a short while ago and could not be reached or did not answer" : "were asked a short while ago and could not be reached or did not answer",
            ExclusionReasons.AlreadyOffered => one ? "has already been asked" : "have already been asked",
            ExclusionReasons.Full => one ? "has no free place" : "have no free place",
            ExclusionReasons.PassedOver => "could have been asked, but a person chose another",
            ExclusionReasons.WeighedAgainst => "could be asked and came after by the policy's weights",
            ExclusionReasons.KeptForOthers => one ? "was kept for others who would otherwise have had further to go, or nobody" : "were kept for others who would otherwise have had further to go, or nobody",
            _ => one ? $"was left out ({code})" : $"were left out ({code})",
        };
    }

    private static string Kind(ResponderKind kind) => kind switch { ResponderKind.Provider => "provider", ResponderKind.Group => "group" };

    private static string Count(int count) => count == 1 ? "One was" : $"{count.ToString(CultureInfo.InvariantCulture)} were";

    private static string Distance(double metres) => metres < 1000
        ? $"{Math.Round(metres).ToString(CultureInfo.InvariantCulture)} m"
        : $"{(metres / 1000).ToString("0.0", CultureInfo.InvariantCulture)} km";
}
