using Huzhu.Contracts;

namespace Huzhu.Web.Apis;

/// <summary>Requests, as its API tells them.</summary>
public sealed class RequestsApi(HttpClient http) : Api(http)
{
    public Task<Answer<RequestPage>> ListAsync(string? status, int page, int pageSize, CancellationToken cancellation) =>
        GetAsync<RequestPage>($"v1/requests?page={page}&pageSize={pageSize}{(status is null ? "" : $"&status={Uri.EscapeDataString(status)}")}", cancellation);

    public Task<Answer<RequestStanding>> GetAsync(Guid id, CancellationToken cancellation) => GetAsync<RequestStanding>($"v1/requests/{id}", cancellation);
}

public sealed record RequestPage(IReadOnlyList<RequestStanding> Items, int Page, int PageSize, long Total);

/// <summary>Where a request stands; nothing personal.</summary>
public sealed record RequestStanding(
    Guid RequestId, string Source, string ExternalId, string Channel, DateTimeOffset ReceivedAt, DateTimeOffset SubmittedAt, string Status,
    IReadOnlyList<string> Missing, string? SubDistrict, IReadOnlyList<CommunicationNeed> Communication, IReadOnlyList<NeedStanding> Needs);

public sealed record NeedStanding(
    Guid NeedId, string Kind, DeliveryMode Mode, int Quantity, int RemainingQuantity, Urgency Urgency, NeedState State,
    Guid? DuplicateOf, Guid? DuplicateOfRequest, Guid? ResponderId, string? Reason, DateTimeOffset? FulfilledAt, int RepeatCalls);
