using System.Diagnostics.Metrics;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Deciding;

/// <summary>What became of needs and offers, as metrics: counted where it is decided, once it is in the log.</summary>
internal static class RoundMetrics
{
    private static readonly Meter Meter = new("Huzhu.Matching");
    private static readonly Counter<long> Outcomes = Meter.CreateCounter<long>("huzhu.matching.offers.outcomes", "{offer}", "Offers by what became of them");
    private static readonly Histogram<double> TimeToOffer = Meter.CreateHistogram(
        "huzhu.matching.needs.time_to_offer", "s", "From the need's own clock to its first offer, or to its escalation when there was none by then; once for each need",
        tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 7200, 21600, 86400, 259200] });

    public static void Count(Round round)
    {
        foreach (var match in round.Matches.Values)
        {
            var urgency = new KeyValuePair<string, object?>("urgency", Words.Of(match.State.Urgency));
            // Who was held or came back has been waiting for something else than an offer.
            var asked = match.Before is { Offers.Count: > 0 } or { HasEscalated: true } || match.State.SaidAt > DateTimeOffset.MinValue || match.State.ConcernAt > DateTimeOffset.MinValue;
            foreach (var (change, _) in match.Events)
            {
                if (OutcomeOf(change) is { } outcome)
                    Outcomes.Add(1, new("outcome", outcome), urgency);
                if (asked || change is not (OfferMade or NeedEscalated))
                    continue;
                asked = true;
                TimeToOffer.Record(Math.Max(0, (change.At - match.State.Need!.SubmittedAt).TotalSeconds), new("outcome", change is OfferMade ? "offered" : "escalated"), urgency);
            }
        }
    }

    private static string? OutcomeOf(MatchEvent change) => change switch
    {
        OfferAccepted => "accepted",
        OfferDeclined => "declined",
        OfferExpired => "expired",
        OfferUndeliverable => "undeliverable",
        OfferSuperseded => "superseded",
        OfferRevoked => "revoked",
        OfferReleased => "released",
        OfferDisputed => "disputed",
        HelpCompleted => "done",
        _ => null,
    };
}
