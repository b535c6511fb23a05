using System.Net;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications.Features;

/// <summary>
/// A person to whom offers were told has answered with a number, on a channel without links: the front end that took the message in
/// asks here what it was about, and the answer goes to Matching by the offer's own link. A repeat of the message says the same again.
/// </summary>
public static class AnswerByMessage
{
    private const int LongestName = 200;

    /// <param name="Source">The front end's name, and with <paramref name="Ref"/> the person whose message it vouches for.</param>
    /// <param name="Number">The number of the offer, when the message names one.</param>
    /// <param name="MessageKey">The front end's name for the message, the same on every delivery.</param>
    /// <param name="Since">When the front end asked this person something else that a number may answer.</param>
    public sealed record Body(string Source, string Ref, AnswerVerb Verb, int? Number, string MessageKey, DateTimeOffset? Since)
    {
        public override string ToString() => nameof(Body);
    }

    /// <param name="Outcome">What came of it: a word of <see cref="Outcomes"/>.</param>
    /// <param name="Choices">The offers among which the person must choose.</param>
    public sealed record Told(string Outcome, int? Number, IReadOnlyList<Choice>? Choices);

    public sealed record Choice(int Number, string Kind);

    public static class Outcomes
    {
        public const string Accepted = "accepted";
        public const string Declined = "declined";
        public const string Completed = "completed";
        public const string Released = "released";
        public const string PlaceFilled = "place-filled";
        public const string Ended = "offer-ended";
        public const string AlreadyAccepted = "already-accepted";
        public const string NotAccepted = "not-accepted";
        public const string Which = "which";
        public const string UnknownNumber = "unknown-number";
    }

    /// <summary>Speaks to Matching without a token: the offer's key is what lets it answer.</summary>
    public sealed class OfferDesk(HttpClient http, LinkWriter links)
    {
        /// <returns>Null when Matching does not answer.</returns>
        public async Task<(string Outcome, OfferStanding Standing)?> AnswerAsync(ToldOffer offer, AnswerVerb verb, CancellationToken cancellation)
        {
            object body = verb switch
            {
                AnswerVerb.Decline => new { reason = Words.Of(DeclineReason.Other) },
                AnswerVerb.Release => new { reason = "cannot-go-on" },
                AnswerVerb.Accept or AnswerVerb.Complete => new { },
            };
            try
            {
                using var response = await http.PostAsJsonAsync($"v1/offers/{offer.OfferId}/{Words.Of(verb)}?key={links.KeyOf(offer.OfferId, offer.ResponderId)}", body, cancellation);
                if (response.IsSuccessStatusCode)
                    return verb switch
                    {
                        AnswerVerb.Accept => (Outcomes.Accepted, OfferStanding.Taken),
                        AnswerVerb.Decline => (Outcomes.Declined, OfferStanding.Over),
                        AnswerVerb.Complete => (Outcomes.Completed, OfferStanding.Over),
                        AnswerVerb.Release => (Outcomes.Released, OfferStanding.Over),
                    };
                if (response.StatusCode is not (HttpStatusCode.Conflict or HttpStatusCode.NotFound or HttpStatusCode.Forbidden or HttpStatusCode.UnprocessableEntity))
                    return null;
                var problem = await response.Content.ReadFromJsonAsync<JsonElement>(cancellation);
                return problem.TryGetProperty("code", out var code) ? code.GetString() switch
                {
                    Outcomes.AlreadyAccepted => (Outcomes.AlreadyAccepted, OfferStanding.Taken),
                    Outcomes.NotAccepted => (Outcomes.NotAccepted, OfferStanding.Asked),
                    Outcomes.PlaceFilled => (Outcomes.PlaceFilled, OfferStanding.Over),
                    _ => (Outcomes.Ended, OfferStanding.Over),
                } : (Outcomes.Ended, OfferStanding.Over);
            }
            catch (Exception exception) when (exception is JsonException || Messaging.IsServerAway(exception) || exception is OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                return null;
            }
        }
    }

    public static IServiceCollection AddOfferDesk(this IServiceCollection services, IConfiguration configuration)
    {
        // The address inside, where there is one: the public one may not be reachable from here.
        var address = ServiceAddress.Read(configuration, configuration["Services:Matching"] is { Length: > 0 } ? "Services:Matching" : "Offers:PublicUrl");
        services.AddHttpClient<OfferDesk>(http => http.BaseAddress = address).AddHuzhuResilience();
        return services;
    }

    public static void Map(IEndpointRouteBuilder app) => app.MapPost("/v1/answers", AnswerAsync).RequireRoles(Roles.Service)
        .Produces<Told>().Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status422UnprocessableEntity).ProducesProblem(StatusCodes.Status503ServiceUnavailable)
        .WithSummary("A person answered an offer by a message; 204 when the message is not about an offer");

    private static async Task<IResult> AnswerAsync(Body body, AnswerBook book, OfferDesk desk, CancellationToken cancellation)
    {
        if (new[] { body.Source, body.Ref, body.MessageKey }.Any(name => name.Length is 0 or > LongestName))
            return Problems.Invalid(new Dictionary<string, string[]> { ["source, ref, messageKey"] = [$"Each is needed, at most {LongestName} characters."] });
        var from = new Replier(body.Source, body.Ref);
        switch (await book.FindAsync(from, body.Verb, body.Number, body.MessageKey, body.Since, cancellation))
        {
            // While something else is asked, "2-15" may as well be a house and a door.
            case [] when body is { Number: { } unknown, Since: null }:
                return Results.Ok(new Told(Outcomes.UnknownNumber, unknown, null));
            case []:
                return Results.NoContent();
            case [var offer]:
                if (await desk.AnswerAsync(offer, body.Verb, cancellation) is not var (outcome, standing))
                    return Problems.Of(StatusCodes.Status503ServiceUnavailable, "matching-away", "Matching does not answer; say it again later.");
                await book.SettleAsync(from, offer, standing, cancellation);
                return Results.Ok(new Told(outcome, offer.Number, null));
            case var several:
                return Results.Ok(new Told(Outcomes.Which, null, [.. several.Select(offer => new Choice(offer.Number, offer.Kind))]));
        }
    }
}
