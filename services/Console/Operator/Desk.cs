using System.Text;
using System.Text.Json;
using System.Xml.Linq;
using Huzhu.Contracts;
using Huzhu.Web.Apis;

namespace Huzhu.Web.Operator;

/// <summary>Matching, as the operating desk and the board ask it.</summary>
public sealed class MatchingDesk(HttpClient http) : Api(http)
{
    public Task<Answer<BacklogPage>> BacklogAsync(string? state, int page, CancellationToken cancellation) =>
        GetAsync<BacklogPage>($"v1/backlog?page={page}&pageSize=50{(state is null ? "" : $"&state={state}")}", cancellation);

    public Task<Answer<Explained>> ExplanationAsync(Guid need, string language, CancellationToken cancellation) => GetAsync<Explained>($"v1/matches/{need}/explanation?language={language}", cancellation);
    public Task<Answer<JsonElement>> PolicyAsync(CancellationToken cancellation) => GetAsync<JsonElement>("v1/policy", cancellation);
    public Task<Answer<CandidateList>> CandidatesAsync(Guid need, CancellationToken cancellation) => GetAsync<CandidateList>($"v1/matches/{need}/candidates?limit=100", cancellation);

    public Task<Answer<MatchStanding>> AssignAsync(Guid need, Guid responder, string reason, CancellationToken cancellation) =>
        PostAsync<MatchStanding>($"v1/matches/{need}/assign", new { responderId = responder, reason }, cancellation);

    public Task<Answer<ClosurePreview>> PreviewMeasureAsync(IReadOnlyList<GeoPoint> area, bool seals, bool closes, CancellationToken cancellation) =>
        PostAsync<ClosurePreview>("v1/measures/preview", new { area, sealsZone = seals, closesProviders = closes }, cancellation);

    public Task<Answer<ClosurePreview>> PreviewClosureAsync(Guid responder, CancellationToken cancellation) =>
        PostAsync<ClosurePreview>($"v1/responders/{responder}/closure/preview", new { }, cancellation);

    public Task<Answer<Board>> BoardAsync(CancellationToken cancellation) => GetAsync<Board>("v1/board", cancellation);
}

public sealed record BacklogPage(IReadOnlyList<BacklogEntry> Items, int Page, int PageSize, long Total);

public sealed record BacklogEntry(
    Guid NeedId, Guid RequestId, string State, string? Reason, DateTimeOffset? Since, string Kind, DeliveryMode Mode, Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication, string? SubDistrict, DateTimeOffset SubmittedAt);

public sealed record Explained(Guid NeedId, NeedState State, string Now, IReadOnlyList<ExplainedOffer> Offers);

public sealed record ExplainedOffer(Guid OfferId, Guid ResponderId, ResponderKind ResponderKind, DateTimeOffset At, IReadOnlyList<string> Words);

public sealed record MatchStanding(Guid NeedId, NeedState State);

public sealed record CandidateList(
    Guid NeedId, NeedState State, string Kind, DeliveryMode Mode, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication, GeoPoint Place, string? SubDistrict,
    string? Refusal, int CanTake, IReadOnlyDictionary<string, int> LeftOut, IReadOnlyList<Candidate> Candidates);

public sealed record Candidate(
    Guid ResponderId, ResponderKind Kind, bool CanTake, string? Reason, double? DistanceMetres, GeoPoint? Place, string? SubDistrict, int Held, int Capacity, int Free);

public sealed record ClosurePreview(
    DateTimeOffset At, IReadOnlyList<ClosingProvider> Providers, int Taken, int Rehearsed, int Offered, IReadOnlyDictionary<string, int> Waiting,
    double? DistanceMetres, InsideArea? Inside, IReadOnlyList<MovedNeed> Moves)
{
    public IEnumerable<Guid> Named => [.. Providers.Select(provider => provider.ResponderId), .. Moves.Select(move => move.From), .. Moves.Select(move => move.To).OfType<Guid>()];
}

public sealed record ClosingProvider(Guid ResponderId, int Sites, int ClosedSites, bool Closes, int Held);
public sealed record InsideArea(IReadOnlyDictionary<string, int> Needs, IReadOnlyDictionary<string, int> NeedsByUrgency, int Groups, int FreePlaces);
public sealed record MovedNeed(Guid NeedId, Urgency Urgency, Guid From, Guid? To, ResponderKind? ToKind, double? DistanceMetres, string? Reason);

public sealed record Board(
    DateTimeOffset At, IReadOnlyList<NeedCount> Needs, OldestWaiting? Oldest, IReadOnlyList<TimeToOffer> TimeToOffer, IReadOnlyList<SubDistrictLoad> SubDistricts,
    IReadOnlyList<KindCapacity> Capacity, IReadOnlyList<OpeningCount> Responders, int SealedZones, RelayState Relay, IReadOnlyList<QueueDepth>? Queues, int? Replicas);

public sealed record NeedCount(string State, Urgency Urgency, int Needs);
public sealed record OldestWaiting(Guid NeedId, string State, Urgency Urgency, DateTimeOffset SubmittedAt);
public sealed record TimeToOffer(Urgency Urgency, int Needs, int Offered, double? P50Seconds, double? P95Seconds, double ObjectiveSeconds, double Within);
public sealed record SubDistrictLoad(string Name, GeoPoint? Place, int Waiting, int Escalated, int UnderWay, int OpenResponders, int ClosedResponders, int Free, int Capacity);
public sealed record KindCapacity(string SubDistrict, string Kind, int Responders, int Free, int Capacity);
public sealed record OpeningCount(ResponderKind Kind, Opening Opening, int Responders);
public sealed record RelayState(long EventsBehind, DateTimeOffset? Since);
public sealed record QueueDepth(string Name, uint Messages, uint Consumers);

/// <summary>Requests, as the operating desk asks it.</summary>
public sealed class RequestsDesk(HttpClient http) : Api(http)
{
    public Task<Answer<RequestPage>> RecentAsync(CancellationToken cancellation) => GetAsync<RequestPage>("v1/requests?page=1&pageSize=20", cancellation);

    public Task<Answer<RequestPage>> HeldAsync(int page, CancellationToken cancellation) => GetAsync<RequestPage>($"v1/requests?status=on-hold&page={page}&pageSize=50", cancellation);

    public Task<Answer<RequestStanding>> ReleaseAsync(Guid request, Guid need, string reason, CancellationToken cancellation) =>
        PostAsync<RequestStanding>($"v1/requests/{request}/release-hold", new { needId = need, reason }, cancellation);

    public Task<Answer<RequestStanding>> CancelAsync(Guid request, Guid need, string reason, CancellationToken cancellation) =>
        PostAsync<RequestStanding>($"v1/requests/{request}/cancel", new { needId = need, reason }, cancellation);
}

/// <summary>Groups, as the operating desk asks it.</summary>
public sealed class GroupsDesk(HttpClient http) : Api(http)
{
    private const int PageSize = 200;
    private static readonly XNamespace Cap = "urn:oasis:names:tc:emergency:cap:1.2";

    public Task<Answer<DirectoryPage>> ListAsync(ResponderKind kind, int page, CancellationToken cancellation) =>
        GetAsync<DirectoryPage>($"v1/{(kind is ResponderKind.Group ? "groups" : "providers")}?page={page}&pageSize={PageSize}", cancellation);

    public Task<Answer<DirectoryEntry>> FindAsync(ResponderKind kind, Guid id, CancellationToken cancellation) =>
        GetAsync<DirectoryEntry>($"v1/{(kind is ResponderKind.Group ? "groups" : "providers")}/{id}", cancellation);

    public Task<Answer<DirectoryEntry>> CloseAsync(Guid provider, string reason, string? until, CancellationToken cancellation) =>
        PostAsync<DirectoryEntry>($"v1/providers/{provider}/closures", new { reason, until }, cancellation);

    public Task<Answer<DirectoryEntry>> ReopenAsync(Guid provider, string reason, CancellationToken cancellation) =>
        PostAsync<DirectoryEntry>($"v1/providers/{provider}/reopenings", new { reason }, cancellation);

    public Task<Answer<MeasurePage>> MeasuresAsync(CancellationToken cancellation) => GetAsync<MeasurePage>("v1/measures?pageSize=50", cancellation);
    public Task<Answer<MeasureEntry>> MeasureAsync(Guid id, CancellationToken cancellation) => GetAsync<MeasureEntry>($"v1/measures/{id}", cancellation);

    public Task<Answer<MeasureEntry>> PublishAsync(Guid id, string name, IReadOnlyList<GeoPoint> area, string? until, bool seals, bool closes, CancellationToken cancellation) =>
        PostAsync<MeasureEntry>("v1/measures", new { id, name, area, until, sealsZone = seals, closesProviders = closes }, cancellation);

    public Task<Answer<MeasureEntry>> LiftAsync(Guid id, string reason, CancellationToken cancellation) => PostAsync<MeasureEntry>($"v1/measures/{id}/lift", new { reason }, cancellation);

    /// <summary>Records an exercise, as a warning in CAP with that status: nothing is published, nobody is told.</summary>
    public Task<Answer<AlertEntry>> DrillAsync(Guid id, string name, IReadOnlyList<GeoPoint> area, bool seals, bool closes, DateTimeOffset now, CancellationToken cancellation)
    {
        var ring = area[0] == area[^1] ? area : [.. area, area[0]];
        var at = now.ToString("yyyy-MM-ddTHH:mm:sszzz", System.Globalization.CultureInfo.InvariantCulture);
        var alert = new XElement(Cap + "alert",
            new XElement(Cap + "identifier", $"drill-{id}"), new XElement(Cap + "sender", "console@huzhu"), new XElement(Cap + "sent", at),
            new XElement(Cap + "status", "Exercise"), new XElement(Cap + "msgType", "Alert"), new XElement(Cap + "scope", "Public"),
            new XElement(Cap + "info",
                new XElement(Cap + "category", "Other"), new XElement(Cap + "event", name), new XElement(Cap + "urgency", "Immediate"),
                new XElement(Cap + "severity", "Severe"), new XElement(Cap + "certainty", "Observed"), new XElement(Cap + "headline", name),
                new XElement(Cap + "parameter", new XElement(Cap + "valueName", "huzhu:measure"), new XElement(Cap + "value", seals && closes ? "lockdown" : seals ? "seal" : "closure")),
                new XElement(Cap + "area", new XElement(Cap + "areaDesc", name), new XElement(Cap + "polygon", string.Join(' ', ring.Select(AreaText.Of))))));
        return PostAsync<AlertEntry>("v1/cap", new StringContent(alert.ToString(SaveOptions.DisableFormatting), Encoding.UTF8, "application/cap+xml"), cancellation);
    }

    public Task<Answer<AlertEntry>> AlertAsync(Guid id, CancellationToken cancellation) => GetAsync<AlertEntry>($"v1/cap/{id}", cancellation);
}

public sealed record DirectoryPage(IReadOnlyList<DirectoryEntry> Items, int Page, int PageSize, long Total);

public sealed record DirectoryEntry(
    Guid Id, ResponderKind Kind, Opening Opening, string? ClosedBecause, Guid? ClosedByMeasureId, string Name, IReadOnlyList<DirectorySite> Sites,
    IReadOnlyList<string> ServiceKinds, int Capacity, string? Note = null);

public sealed record DirectorySite(double Lat, double Lon, string SubDistrict, bool Open);
public sealed record MeasurePage(IReadOnlyList<MeasureEntry> Items, long Total);

public sealed record MeasureEntry(
    Guid Id, string Name, string State, DateTimeOffset From, DateTimeOffset? Until, bool SealsZone, bool ClosesProviders, DateTimeOffset? EndedAt, string? Reason, IReadOnlyList<GeoPoint>? Area);

public sealed record AlertEntry(Guid? Id, string Outcome, string Note, DrillEntry? Drill);
public sealed record DrillEntry(IReadOnlyList<DrillProvider> Providers, int ProvidersClosed, int CapacityLost, int GroupsInside);
public sealed record DrillProvider(Guid ProviderId, string Name, bool Closed, int SitesShut, int Capacity);
