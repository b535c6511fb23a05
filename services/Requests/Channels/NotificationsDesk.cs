using System.Net;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>What came of an answer to an offer, in words of Notifications' interface.</summary>
/// <param name="Choices">The offers among which the person must choose.</param>
public sealed record OfferTold(string Outcome, int? Number = null, IReadOnlyList<OfferTold.Choice>? Choices = null)
{
    public sealed record Choice(int Number, string Kind);
}

/// <summary>Notifications told the offers and reaches people, so it is asked what an answer is about, and to bring late answers.</summary>
public sealed class NotificationsDesk(IHttpClientFactory clients)
{
    public const string AddressKey = "Services:Notifications";
    private static readonly Guid ReplySpace = new("8a0b9f0e-3c55-5b1e-9d43-5b7f0c2e6d11");

    /// <param name="since">When the person was asked something else that a number may answer.</param>
    /// <returns>Null when the message is not about an offer, or nobody can tell and something else was asked.</returns>
    public async Task<OfferTold?> AnswerAsync(Correspondent who, OfferAnswer answer, string messageKey, DateTimeOffset? since, CancellationToken cancellation)
    {
        // Without an answer, what the front end itself has asked goes on; otherwise the number was meant for an offer.
        var away = since is null ? new OfferTold("later") : null;
        try
        {
            using var response = await Http.PostAsJsonAsync("v1/answers", new { who.Source, who.Ref, answer.Verb, answer.Number, messageKey, since }, cancellation);
            return response.StatusCode switch
            {
                HttpStatusCode.OK => await response.Content.ReadFromJsonAsync<OfferTold>(cancellation),
                HttpStatusCode.NoContent => null,
                // It is an offer, and Matching is away.
                HttpStatusCode.ServiceUnavailable => new OfferTold("later"),
                _ => away,
            };
        }
        catch (Exception exception) when (exception is JsonException || Messaging.IsServerAway(exception) || exception is OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return away;
        }
    }

    public async Task TellAsync(Correspondent who, string messageKey, Answer answer, CancellationToken cancellation)
    {
        if (who.ReachedBy is not { } reached || answer.Text is null)
            return;
        var reply = new { Id = DeterministicId.Of(ReplySpace, $"{who.ConversationId}\n{messageKey}"), reached.Kind, reached.Address, Language = Words.Of(answer.Language), answer.Text };
        using var response = await Http.PostAsJsonAsync("v1/replies", reply, cancellation);
        response.EnsureSuccessStatusCode();
    }

    private HttpClient Http => clients.CreateClient(AddressKey);
}
