using Huzhu.Contracts;

namespace Huzhu.Web.Apis;

/// <summary>Requests, as its API tells them.</summary>
public sealed class RequestsApi(HttpClient http) : Api(http)
{
    public Task<Answer<RequestPage>> ListAsync(string? status, int page, int pageSize, CancellationToken cancellation) =>
        GetAsync<RequestPage>($"v1/requests?page={page}&pageSize={pageSize}{(status is null ? "" : $"&status={Uri.EscapeDataString(status)}")}", cancellation);

    public Task<Answer<RequestStanding>> GetAsync(Guid id, CancellationToken cancellation) => GetAsync<RequestStanding>($"v1/requests/{id}", cancellation);

    /// <summary>The request that a source calls so.</summary>
    public Task<Answer<RequestPage>> FindAsync(string source, string externalId, CancellationToken cancellation) =>
        GetAsync<RequestPage>($"v1/requests?source={Uri.EscapeDataString(source)}&externalId={Uri.EscapeDataString(externalId)}", cancellation);

    /// <param name="intake">The body, as docs/integrators/intake.md describes it.</param>
    public Task<Answer<Submitted>> SubmitAsync(object intake, string idempotencyKey, CancellationToken cancellation) =>
        SendAsync<Submitted>(HttpMethod.Post, "v1/requests", intake, cancellation, idempotencyKey);

    /// <summary>What is under way for a caller.</summary>
    public Task<Answer<RequestsOfCaller>> OfCallerAsync(string source, string reference, CancellationToken cancellation) =>
        PostAsync<RequestsOfCaller>("v1/requests/of-caller", new { source, @ref = reference }, cancellation);

    public Task<Answer<OwnRequest>> OwnAsync(Guid id, string key, CancellationToken cancellation) => GetByKeyAsync<OwnRequest>($"v1/requests/{id}/own", key, cancellation);

    public Task<Answer<OwnRequest>> SayAsync(Guid id, string key, string says, string sayingId, string? words, CancellationToken cancellation) =>
        PostByKeyAsync<OwnRequest>($"v1/requests/{id}/own", key, new { says, id = sayingId, words }, cancellation);

    public Task<Answer<Visit>> VisitAsync(Guid id, Guid needId, string key, CancellationToken cancellation) =>
        GetByKeyAsync<Visit>($"v1/requests/{id}/visit?needId={needId}", key, cancellation);
}

public sealed record RequestPage(IReadOnlyList<RequestStanding> Items, int Page, int PageSize, long Total);

public sealed record RequestsOfCaller(IReadOnlyList<RequestStanding> Items);

public sealed record Submitted(Guid RequestId, string Status, IReadOnlyList<string> Missing);

/// <summary>Where a request stands; nothing personal.</summary>
public sealed record RequestStanding(
    Guid RequestId, string Source, string ExternalId, string Channel, DateTimeOffset ReceivedAt, DateTimeOffset SubmittedAt, string Status,
    IReadOnlyList<string> Missing, string? SubDistrict, IReadOnlyList<CommunicationNeed> Communication, IReadOnlyList<NeedStanding> Needs);

public sealed record NeedStanding(
    Guid NeedId, string Kind, DeliveryMode Mode, int Quantity, int RemainingQuantity, Urgency Urgency, NeedState State,
    Guid? DuplicateOf, Guid? DuplicateOfRequest, Guid? ResponderId, string? Reason, DateTimeOffset? FulfilledAt, int RepeatCalls);

/// <summary>A request as the person sees it.</summary>
public sealed record OwnRequest(
    Guid RequestId, string Number, DateTimeOffset SubmittedAt, string Status, IReadOnlyList<string> Missing, IReadOnlyList<CommunicationNeed> Communication, IReadOnlyList<OwnNeed> Needs);

public sealed record OwnNeed(Guid NeedId, string Kind, DeliveryMode Mode, int Quantity, int RemainingQuantity, Urgency Urgency, NeedState State, DateTimeOffset? FulfilledAt);

/// <summary>Whom to see and where. Personal: shown, and kept nowhere.</summary>
public sealed record Visit(string? Name, string? Phone, double Lat, double Lon, string? AddressText, string? Note)
{
    public override string ToString() => nameof(Visit);
}
