using Huzhu.Contracts;

namespace Huzhu.Web.Apis;

/// <summary>Matching, as whoever holds the link of an offer asks it.</summary>
public sealed class MatchingApi(HttpClient http) : Api(http)
{
    /// <summary>An offer, for whoever holds its link.</summary>
    public Task<Answer<Offered>> OfferAsync(Guid id, string key, CancellationToken cancellation) => GetByKeyAsync<Offered>($"v1/offers/{id}", key, cancellation);

    /// <param name="answer">accept, decline, start, complete or release.</param>
    public Task<Answer<Offered>> AnswerAsync(Guid id, string key, string answer, object body, CancellationToken cancellation) =>
        PostByKeyAsync<Offered>($"v1/offers/{id}/{answer}", key, body, cancellation);
}

/// <summary>What is asked of a responder; of an offer that is over, only its state.</summary>
public sealed record Offered(
    Guid OfferId, string State, DateTimeOffset ExpiresAt, string? Kind, DeliveryMode? Mode, int? Quantity, Urgency? Urgency,
    IReadOnlyList<CommunicationNeed>? Communication, double? DistanceMetres, string? SubDistrict, Guid? NeedId, Guid? RequestId, string? VisitKey)
{
    public bool IsOpen => State is "made" or "sent";
    public bool IsTaken => State is "accepted" or "started";
}
