using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Web.Apis;

namespace Huzhu.Web.Auditor;

/// <summary>The audit, which reads the four logs.</summary>
public sealed class AuditApi(HttpClient http) : Api(http)
{
    private readonly HttpClient _http = http;

    public Task<Answer<IReadOnlyList<TimelineEntry>>> TimelineAsync(Guid id, CancellationToken cancellation) => GetAsync<IReadOnlyList<TimelineEntry>>($"v1/timelines/{id}", cancellation);
    public Task<Answer<ExplainedNeed>> ExplanationAsync(Guid need, string language, CancellationToken cancellation) => GetAsync<ExplainedNeed>($"v1/explanations/{need}?language={language}", cancellation);

    public Task<Answer<StateReport>> StateAsync(DateTimeOffset? at, CancellationToken cancellation) =>
        GetAsync<StateReport>($"v1/state{(at is { } instant ? $"?at={Uri.EscapeDataString(instant.ToUniversalTime().ToString("O"))}" : "")}", cancellation);

    public Task<Answer<EquityReport>> EquityAsync(CancellationToken cancellation) => GetAsync<EquityReport>("v1/equity", cancellation);
    public Task<Answer<IReadOnlyList<JobEntry>>> JobsAsync(CancellationToken cancellation) => GetAsync<IReadOnlyList<JobEntry>>("v1/jobs", cancellation);
    public Task<Answer<JobEntry>> JobAsync(Guid id, CancellationToken cancellation) => GetAsync<JobEntry>($"v1/jobs/{id}", cancellation);
    public Task<Answer<JobEntry>> VerifyAsync(CancellationToken cancellation) => PostAsync<JobEntry>("v1/verifications", new { }, cancellation);

    public Task<Answer<JobEntry>> ReplayAsync(JsonElement? policy, bool withoutGroups, bool withoutClosures, CancellationToken cancellation) =>
        PostAsync<JobEntry>("v1/replays", new { policy, withoutGroups, withoutClosures }, cancellation);

    /// <returns>Null with the status when there is none.</returns>
    public async Task<(string? Proof, int Status)> ProofAsync(Guid eventId, CancellationToken cancellation)
    {
        try
        {
            using var response = await _http.GetAsync($"v1/proofs/{eventId}", cancellation);
            return (response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync(cancellation) : null, (int)response.StatusCode);
        }
        catch (HttpRequestException)
        {
            return (null, StatusCodes.Status503ServiceUnavailable);
        }
    }

    public static T? Read<T>(JsonElement? result) where T : class => result?.Deserialize<T>(Json);
}

public sealed record TimelineEntry(string Service, string? Trace, StoredEvent Event);

/// <param name="Data">As stored: what is personal in it is ciphertext.</param>
public sealed record StoredEvent(Guid Id, Guid Stream, long Version, long Sequence, string Type, DateTimeOffset Time, JsonElement Data, EventContext? Context);

public sealed record EventContext(string? Causation);

public sealed record ExplainedNeed(Guid NeedId, NeedState State, string Now, IReadOnlyList<OfferExplanation> Offers, AskedNeed? Need, IReadOnlyList<NamedPlace> Places);
public sealed record OfferExplanation(Guid OfferId, Guid ResponderId, ResponderKind ResponderKind, DateTimeOffset At, IReadOnlyList<string> Words, ExplanationData Data);

public sealed record ExplanationData(
    long PolicyVersion, long ZonesVersion, int Rank, double? DistanceMetres, int Held, int Capacity, long LedgerVersion, string FirstBecause,
    Guid? RunnerUp, double? RunnerUpDistanceMetres, IReadOnlyList<LeftOut> LeftOut, IReadOnlyDictionary<string, int> OthersLeftOut, HandAssignment? Assignment);

public sealed record LeftOut(Guid ResponderId, ResponderKind Kind, string Reason, double? DistanceMetres, long LedgerVersion);
public sealed record HandAssignment(string By, string Reason);
public sealed record AskedNeed(string Kind, DeliveryMode Mode, int Quantity, GeoPoint Place, string? SubDistrict, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, DateTimeOffset SubmittedAt);
public sealed record NamedPlace(Guid ResponderId, ResponderKind Kind, int Capacity, IReadOnlyList<NamedSite> Sites);
public sealed record NamedSite(GeoPoint Place, string SubDistrict, bool Open);

public sealed record StateReport(
    long Events, long PolicyVersion, int SealedZones, IReadOnlyList<KindPlaces> Responders, IReadOnlyDictionary<string, int> Needs, IReadOnlyDictionary<string, int> Backlog,
    DateTimeOffset? FirstAt, DateTimeOffset? LastAt, IReadOnlyList<SubDistrictState> SubDistricts);

public sealed record KindPlaces(string Kind, int Open, int Closed, int Paused, int Withdrawn, int Held, int Capacity);
public sealed record SubDistrictState(string Name, GeoPoint? Place, int OpenProviders, int OpenGroups, int Closed, int Held, int Capacity, int Waiting, int UnderWay, int Ended);

public sealed record EquityReport(int LeastShown, IReadOnlyList<EquityTable> Tables, IReadOnlyList<Concentration> Load);
public sealed record EquityTable(string By, IReadOnlyList<EquityRow> Rows);
public sealed record EquityRow(string Of, int? Needs, Spread? TimeToOfferSeconds, double? UnmetShare);
public sealed record Spread(double? P50, double? P90);
public sealed record Concentration(string Kind, int Responders, int Accepted, double Gini, double TopTenthShare);

public sealed record JobEntry(Guid Id, string Kind, string State, DateTimeOffset AskedAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt, bool Found, string? Problem, JsonElement? Result)
{
    public bool IsOver => State is "done" or "failed";
}

public sealed record VerifiedLog(string Service, long Events, long Unsealed, int Checkpoints, string? Root, int Findings, IReadOnlyList<Finding> Named);
public sealed record Finding(string Kind, long Sequence, string Words);

public sealed record Comparison(string Question, ReplaySummary Happened, ReplaySummary Simulated, ReplaySummary Instead);

public sealed record ReplaySummary(int Needs, int Met, double MetShare, int Fulfilled, int Cancelled, int Unmet, Spread TimeToOfferSeconds, Spread WaitedSeconds, Spread DistanceMetres, IReadOnlyList<Concentration> Load);
