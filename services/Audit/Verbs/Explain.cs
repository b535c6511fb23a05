using System.CommandLine;
using System.Text.Json;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Features;

namespace Huzhu.Audit.Verbs;

/// <summary>Why each offer of a need went where it went, in the words that Matching itself uses.</summary>
static class Explain
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Command(Settings settings)
    {
        var id = new Argument<Guid>("need") { Description = "Id of the need." };
        var asOf = new Option<DateTimeOffset?>("--as-of") { Description = "As it stood then.", HelpName = "TIME" };
        var json = new Option<bool>("--json") { Description = "As JSON, with the data behind the words." };
        var language = new Option<string>("--language") { Description = "Of the words.", DefaultValueFactory = _ => "en" };
        language.AcceptOnlyFromAmong("en", "zh");
        var command = new Command("explain", "Why each offer of a need went where it went, and who was nearer and why not.") { id, asOf, json, language };
        command.SetAction(async (parsed, cancellation) =>
        {
            await using var log = settings.Open("matching");
            var (needId, match) = (NeedId.Of(parsed.GetValue(id)), MatchState.Initial);
            await foreach (var stored in log.FindAsync("stream_id = any($1)", [needId.Value], cancellation))
            {
                if (!(stored.StoredAt > parsed.GetValue(asOf)) && EventTypes.Decode("matching", stored) is MatchEvent change)
                    match = MatchState.Evolve(match, change);
            }
            if (match == MatchState.Initial)
                throw new UnknownIdException($"Matching knows no need {needId}.");
            var output = parsed.InvocationConfiguration.Output;
            var view = ExplanationView.Of(needId, match, InWords.In(parsed.GetValue(language)!));
            if (parsed.GetValue(json))
            {
                var places = await PlacesAsync(log, match, parsed.GetValue(asOf), cancellation);
                await output.WriteLineAsync(JsonSerializer.Serialize(new ExplainedNeed(view.NeedId, view.State, view.Language, view.Now, view.Offers, match.Need, places), Json));
                return ExitCodes.Ok;
            }
            if (match.Need is { } need)
                await output.WriteLineAsync($"Need {needId} of request {need.RequestId}: {need.Kind}, {Words.Of(need.Mode)}, {Words.Of(match.Urgency)}, submitted {StoredEvent.TimeText(need.SubmittedAt)}.");
            await output.WriteLineAsync(view.Now);
            foreach (var offer in view.Offers)
            {
                await output.WriteLineAsync($"\nOffer {offer.OfferId}, {StoredEvent.TimeText(offer.At)}");
                foreach (var words in offer.Words)
                    await output.WriteLineAsync($"  {words}");
                foreach (var left in offer.Data.LeftOut)
                    await output.WriteLineAsync($"    {left.ResponderId}: {left.Reason}, ledger at version {left.LedgerVersion}");
            }
            return ExitCodes.Ok;
        });
        return command;
    }

    /// <summary>Where those that the explanations name work from, by the ledgers' newest entries.</summary>
    private static async Task<IReadOnlyList<NamedPlace>> PlacesAsync(ServiceLog log, MatchState match, DateTimeOffset? asOf, CancellationToken cancellation)
    {
        var named = match.Offers.SelectMany(offer => offer.Explanation.LeftOut.Select(left => left.ResponderId).Append(offer.ResponderId).Concat(offer.Explanation.RunnerUp is { } next ? [next] : []));
        var places = new SortedDictionary<Guid, NamedPlace>();
        await foreach (var stored in log.FindAsync("stream_id = any($1) and type in ('responder_listed', 'responder_updated')", [.. named.Select(id => id.Value).Distinct()], cancellation))
        {
            var profile = stored.StoredAt > asOf ? null : EventTypes.Decode("matching", stored) switch
            {
                ResponderListed listed => listed.Profile,
                ResponderUpdated updated => updated.Profile,
                _ => null,
            };
            if (profile is not null)
                places[stored.Stream] = new NamedPlace(ResponderId.Of(stored.Stream), profile.Kind, profile.Capacity, profile.Sites);
        }
        return [.. places.Values];
    }
}

/// <summary>The explanation as Matching gives it, with what is needed to draw it.</summary>
/// <param name="Need">Its place is snapped to about 100 m; null when only words about the need were heard.</param>
/// <param name="Places">Of everybody that the explanations name.</param>
public sealed record ExplainedNeed(NeedId NeedId, NeedState State, string Language, string Now, IReadOnlyList<OfferExplanation> Offers, Contracts.Requests.V1.Need? Need, IReadOnlyList<NamedPlace> Places);

public sealed record NamedPlace(ResponderId ResponderId, ResponderKind Kind, int Capacity, IReadOnlyList<Contracts.Groups.V1.Site> Sites);
