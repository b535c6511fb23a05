using System.Text.Json;
using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

public enum Outcome { Met, MetLate, Waiting, Escalated, Cancelled, Other }

/// <summary>One need as the logs tell it.</summary>
/// <param name="WaitedSeconds">All the time, until fulfilled or until the run's end, in which nobody had taken it.</param>
public sealed record MeasuredNeed(
    Guid Id, string RequestKey, int Index, Phase Phase, string Kind, string Mode, Urgency Urgency, string SubDistrict, GeoPoint? Place,
    double SubmittedSecond, double? FirstOfferMs, double? FulfilledSecond, double? EndedSecond, double WaitedSeconds, string FinalState, Outcome Outcome, Guid? DuplicateOf,
    IReadOnlyList<Holding> Holdings);

/// <summary>From an acceptance to its end.</summary>
/// <param name="DistanceMetres">Null for online help.</param>
public sealed record Holding(Guid Responder, bool IsProvider, double FromSecond, double ToSecond, double? DistanceMetres, bool AfterClosure);

public sealed record Fallback(
    int PlacesHeldAtClosure, int HeldAtClosure, int EndedMeanwhile, int Rematched, int Escalated, double? SecondsToRematchAll,
    double? SecondsToRematchHalf, int RematchedToGroups, int FulfilledByGroups);

public sealed record MeasuredResponder(Guid Id, int Capacity, int MaxHeld, int Accepted);

/// <summary>What happened, measured from the four logs. Times are seconds from the run's start, by the databases' clocks.</summary>
public sealed class Measurements
{
    readonly Scenario _scenario;
    readonly DateTimeOffset _startedAt;
    readonly Dictionary<Guid, Draft> _drafts = [];
    readonly Dictionary<Guid, Ledger> _ledgers = [];
    readonly Dictionary<Guid, (Guid Need, Guid Responder, bool IsProvider, double? Distance)> _offers = [];
    readonly Dictionary<string, int> _eventsByService = [];
    readonly Dictionary<string, int> _notificationOutcomes = [];
    double _lastSecond;

    sealed class Draft(Guid id)
    {
        public Guid Id { get; } = id;
        public string RequestKey { get; set; } = "";
        public int Index { get; set; }
        public string Kind { get; set; } = "";
        public string Mode { get; set; } = "";
        public Urgency Urgency { get; set; }
        public string SubDistrict { get; set; } = "";
        public GeoPoint? Place { get; set; }
        public Guid? DuplicateOf { get; set; }
        public DateTimeOffset SubmittedAt { get; set; }
        public DateTimeOffset? CompleteAt { get; set; }
        public DateTimeOffset? FirstOfferAt { get; set; }
        public double? FulfilledSecond { get; set; }
        public string State { get; set; } = "open";
        public List<Holding> Holdings { get; } = [];
        public (Guid Offer, double Since)? Taken { get; set; }
        /// <summary>When the need went to somebody: offers made, and acceptances of offers that were open already.</summary>
        public List<(long Version, double Second, Guid Offer)> Turns { get; } = [];
        /// <summary>At which version of the match each offer was over.</summary>
        public Dictionary<Guid, long> OfferEnds { get; } = [];
        /// <summary>The offers of this need that held a place of a provider when it closed.</summary>
        public List<Guid> Hits { get; } = [];
        public double HitSecond { get; set; }
        public double? EndedSecond { get; set; }
    }

    sealed class Ledger
    {
        public int Capacity { get; set; }
        public bool IsProvider { get; set; }
        public string Opening { get; set; } = "closed";
        public Dictionary<Guid, Guid> Held { get; } = [];
        public int MaxHeld { get; set; }
        public int Accepted { get; set; }
    }

    public Measurements(Scenario scenario, DateTimeOffset startedAt)
    {
        (_scenario, _startedAt) = (scenario, startedAt);
    }

    public IReadOnlyDictionary<string, int> EventsByService => _eventsByService;
    public IReadOnlyDictionary<string, int> NotificationOutcomes => _notificationOutcomes;

    double SecondOf(DateTimeOffset at) => (at - _startedAt).TotalSeconds;

    public void Read(LogRow row)
    {
        _eventsByService[row.Service] = _eventsByService.GetValueOrDefault(row.Service) + 1;
        _lastSecond = Math.Max(_lastSecond, SecondOf(row.StoredAt));
        switch (row.Service)
        {
            case "requests": ReadRequests(row); break;
            case "matching": ReadMatching(row); break;
            case "notifications" when row.Type is "notification_delivered" or "notification_undeliverable" or "notification_dropped":
                var outcome = row.Type["notification_".Length..];
                _notificationOutcomes[outcome] = _notificationOutcomes.GetValueOrDefault(outcome) + 1;
                break;
        }
    }

    readonly Dictionary<Guid, string> _keys = [];

    void ReadRequests(LogRow row)
    {
        var data = row.Data;
        switch (row.Type)
        {
            case "request_submitted" or "intake_completed" or "intake_extended":
                if (row.Type == "request_submitted")
                    _keys[row.Stream] = data.GetProperty("externalId").GetString()!;
                var content = data.GetProperty("content");
                var place = Present(content, "place") is { } point ? new GeoPoint(point.GetProperty("lat").GetDouble(), point.GetProperty("lon").GetDouble()) : (GeoPoint?)null;
                var isPartial = place is null || Present(content, "consent") is null;
                var index = 0;
                foreach (var asked in content.GetProperty("needs").EnumerateArray())
                {
                    var draft = DraftOf(asked.GetProperty("needId").GetGuid());
                    draft.RequestKey = _keys[row.Stream];
                    draft.Index = index++;
                    draft.Kind = asked.GetProperty("kind").GetString()!;
                    draft.Mode = asked.Word("mode")!;
                    draft.Urgency = Enum.Parse<Urgency>(content.Word("urgency")!.Replace("-", ""), ignoreCase: true);
                    draft.SubDistrict = Present(content, "subDistrict")?.GetString() ?? "";
                    draft.Place = place;
                    draft.DuplicateOf = Present(asked, "duplicateOf")?.GetProperty("needId").GetGuid();
                    if (row.Type == "request_submitted")
                        draft.SubmittedAt = row.StoredAt;
                    if (!isPartial)
                        draft.CompleteAt = row.StoredAt;
                    draft.State = isPartial ? "partial" : draft.DuplicateOf is null ? "open" : "duplicate-of";
                }
                break;
            case "need_cancelled":
                _requestSaid[data.GetProperty("needId").GetGuid()] = "cancelled";
                break;
        }
    }

    readonly Dictionary<Guid, string> _requestSaid = [];

    void ReadMatching(LogRow row)
    {
        var data = row.Data;
        var second = SecondOf(row.StoredAt);
        switch (row.Type)
        {
            case "responder_listed" or "responder_updated":
                var listed = LedgerOf(row.Stream);
                listed.Capacity = data.GetProperty("profile").GetProperty("capacity").GetInt32();
                listed.IsProvider = data.GetProperty("profile").Word("kind") == "provider";
                if (row.Type == "responder_listed")
                    listed.Opening = data.Word("opening")!;
                return;
            case "responder_closed":
                var closed = LedgerOf(row.Stream);
                closed.Opening = "closed";
                PlacesHeldAtClosure += closed.Held.Count;
                if (closed.IsProvider)
                    FirstClosureSecond ??= second;
                LastClosureSecond = second;
                foreach (var (heldOffer, need) in closed.Held)
                {
                    DraftOf(need).Hits.Add(heldOffer);
                    DraftOf(need).HitSecond = second;
                }
                return;
            case "responder_reopened":
                var reopened = LedgerOf(row.Stream);
                reopened.Opening = "open";
                if (reopened.IsProvider && FirstClosureSecond is not null)
                    FirstReopeningSecond ??= second;
                return;
            case "place_held":
                var holder = LedgerOf(row.Stream);
                holder.Held[data.GetProperty("offerId").GetGuid()] = data.GetProperty("needId").GetGuid();
                holder.MaxHeld = Math.Max(holder.MaxHeld, holder.Held.Count);
                UsePlaces(second, +1, holder);
                return;
            case "place_released":
                var freed = LedgerOf(row.Stream);
                if (freed.Held.Remove(data.GetProperty("offerId").GetGuid()))
                    UsePlaces(second, -1, freed);
                return;
            case "responder_paused" or "responder_withdrawn" or "zone_sealed" or "zone_lifted" or "policy_changed":
                return;
        }

        var draft = DraftOf(row.Stream);
        switch (row.Type)
        {
            case "offer_made":
                var offer = data.GetProperty("offerId").GetGuid();
                var responder = data.GetProperty("responderId").GetGuid();
                var distance = data.GetProperty("explanation").TryGetProperty("distanceMetres", out var metres) && metres.ValueKind == JsonValueKind.Number
                    ? metres.GetDouble() : (double?)null;
                _offers[offer] = (row.Stream, responder, data.Word("responderKind") == "provider", distance);
                draft.FirstOfferAt ??= row.StoredAt;
                draft.Turns.Add((row.Version, second, offer));
                draft.State = "offered";
                break;
            case "offer_accepted":
                draft.Taken = (data.GetProperty("offerId").GetGuid(), second);
                draft.Turns.Add((row.Version, second, data.GetProperty("offerId").GetGuid()));
                LedgerOf(data.GetProperty("responderId").GetGuid()).Accepted++;
                draft.State = "accepted";
                break;
            case "help_started":
                draft.State = "started";
                break;
            case "help_completed":
                EndHolding(draft, second);
                draft.OfferEnds[data.GetProperty("offerId").GetGuid()] = row.Version;
                var isDone = data.GetProperty("remaining").GetInt32() == 0;
                draft.State = isDone ? "fulfilled" : "open";
                draft.FulfilledSecond = isDone ? second : null;
                if (isDone)
                    draft.EndedSecond = second;
                break;
            case "offer_declined" or "offer_expired" or "offer_undeliverable" or "offer_superseded":
                draft.OfferEnds[data.GetProperty("offerId").GetGuid()] = row.Version;
                break;
            case "offer_released" or "offer_revoked" or "offer_disputed":
                draft.OfferEnds[data.GetProperty("offerId").GetGuid()] = row.Version;
                if (draft.Taken is { } taken && taken.Offer == data.GetProperty("offerId").GetGuid())
                    EndHolding(draft, second);
                if (row.Type == "offer_disputed")
                    draft.FulfilledSecond = null;
                break;
            case "need_reopened":
                (draft.FulfilledSecond, draft.EndedSecond) = (null, null);
                draft.State = "open";
                break;
            case "need_waits":
                draft.State = "waiting";
                break;
            case "need_escalated":
                draft.State = "escalated";
                break;
            case "need_held":
                draft.State = "on-hold";
                draft.EndedSecond ??= second;
                break;
            case "need_cancelled":
                draft.State = "cancelled";
                draft.EndedSecond ??= second;
                break;
            case "need_confirmed":
                draft.State = "closed";
                draft.FulfilledSecond ??= second;
                draft.EndedSecond ??= second;
                break;
        }
    }

    /// <summary>Offered or accepted by providers, unfinished, when their closures took effect in their ledgers.</summary>
    public int PlacesHeldAtClosure { get; private set; }
    public double? FirstClosureSecond { get; private set; }
    public double? LastClosureSecond { get; private set; }
    public double? FirstReopeningSecond { get; private set; }

    void EndHolding(Draft draft, double second)
    {
        if (draft.Taken is not { } taken)
            return;
        var (_, responder, isProvider, distance) = _offers[taken.Offer];
        draft.Holdings.Add(new Holding(responder, isProvider, taken.Since, second, distance, draft.Hits.Count > 0 && !draft.Hits.Contains(taken.Offer) && taken.Since >= draft.HitSecond));
        draft.Taken = null;
    }

    readonly SortedDictionary<double, (int Providers, int Groups)> _use = [];

    void UsePlaces(double second, int change, Ledger ledger)
    {
        var (providers, groups) = _use.GetValueOrDefault(second);
        _use[second] = ledger.IsProvider ? (providers + change, groups) : (providers, groups + change);
    }

    /// <summary>All needs, the scenario's phases and patience applied.</summary>
    public IReadOnlyList<MeasuredNeed> Needs()
    {
        var calendar = _scenario.Calendar;
        var measured = new Dictionary<Guid, MeasuredNeed>();
        foreach (var draft in _drafts.Values.Where(draft => draft.RequestKey.Length > 0).OrderBy(draft => draft.DuplicateOf is not null))
        {
            if (draft.Taken is not null)
                EndHolding(draft, _lastSecond);
            var submitted = SecondOf(draft.SubmittedAt);
            var state = draft.DuplicateOf is not null && draft.State == "duplicate-of" && _requestSaid.ContainsKey(draft.Id) ? "cancelled" : draft.State;
            // A need that never reached Matching can still have been called off.
            if (state is "open" or "partial" && _requestSaid.TryGetValue(draft.Id, out var said))
                state = said;
            var until = draft.FulfilledSecond ?? draft.EndedSecond ?? _lastSecond;
            // A person who has not finished the call does not wait for a responder yet.
            var waited = WaitedSeconds(draft, SecondOf(draft.CompleteAt ?? draft.SubmittedAt), until);
            var outcome = state switch
            {
                "fulfilled" or "closed" => waited <= calendar.PatienceSeconds ? Outcome.Met : Outcome.MetLate,
                "waiting" => Outcome.Waiting,
                "escalated" => Outcome.Escalated,
                "cancelled" => Outcome.Cancelled,
                // The same person, the same need: it is met when the need that it repeats is.
                "duplicate-of" when measured.TryGetValue(draft.DuplicateOf!.Value, out var first) && first.Outcome is Outcome.Met => Outcome.Met,
                _ => Outcome.Other,
            };
            measured[draft.Id] = new MeasuredNeed(draft.Id, draft.RequestKey, draft.Index, PhaseOf(submitted), draft.Kind, draft.Mode,
                draft.Urgency, draft.SubDistrict, draft.Place, submitted,
                draft.FirstOfferAt is { } first2 && draft.CompleteAt is { } complete ? Math.Max(0, (first2 - complete).TotalMilliseconds) : null,
                draft.FulfilledSecond, draft.EndedSecond, waited, state, outcome, draft.DuplicateOf, draft.Holdings);
        }
        return [.. measured.Values.OrderBy(need => need.SubmittedSecond)];
    }

    /// <summary>By what the logs say of the closure, as whoever replays them sees it.</summary>
    Phase PhaseOf(double second) => second < (FirstClosureSecond ?? double.PositiveInfinity) ? Phase.Open
        : second < (FirstReopeningSecond ?? double.PositiveInfinity) ? Phase.Lockdown : Phase.Recovery;

    static double WaitedSeconds(Draft draft, double from, double until)
    {
        var (waited, since) = (0.0, from);
        foreach (var holding in draft.Holdings.OrderBy(holding => holding.FromSecond))
        {
            if (holding.FromSecond > since)
                waited += Math.Max(0, Math.Min(holding.FromSecond, until) - since);
            since = Math.Max(since, holding.ToSecond);
        }
        return until > since ? waited + until - since : waited;
    }

    /// <summary>
    /// Every need that a provider held when it closed counts once, also when several providers that closed held it. It was
    /// matched again when, after the last of those offers was over, it went to somebody else; it was escalated, to the
    /// backlog and the humans who watch it, when it did not. What was done or called off at that very moment is neither.
    /// </summary>
    public Fallback Fallback()
    {
        int held = 0, ended = 0, rematched = 0, escalated = 0, toGroups = 0, fulfilledByGroups = 0;
        var seconds = new List<double>();
        foreach (var draft in _drafts.Values.Where(draft => draft.Hits.Count > 0))
        {
            var over = draft.Hits.Max(offer => draft.OfferEnds.GetValueOrDefault(offer, long.MaxValue));
            var next = draft.Turns.Where(turn => turn.Version > over && !draft.Hits.Contains(turn.Offer))
                .Select(turn => ((long Version, double Second, Guid Offer)?)turn).FirstOrDefault();
            if (next is null && draft.EndedSecond is not null)
            {
                ended++;
                continue;
            }
            held++;
            if (next is not { } turned)
            {
                escalated++;
                continue;
            }
            rematched++;
            seconds.Add(Math.Max(0, turned.Second - (FirstClosureSecond ?? draft.HitSecond)));
            if (!_offers[turned.Offer].IsProvider)
                toGroups++;
            if (draft.FulfilledSecond is not null && draft.Holdings is [.., { IsProvider: false }])
                fulfilledByGroups++;
        }
        seconds.Sort();
        return new Fallback(PlacesHeldAtClosure, held, ended, rematched, escalated,
            seconds.Count > 0 ? seconds[^1] : null, seconds.Count > 0 ? seconds[seconds.Count / 2] : null, toGroups, fulfilledByGroups);
    }

    public IReadOnlyDictionary<Guid, MeasuredResponder> Responders() =>
        _ledgers.ToDictionary(entry => entry.Key, entry => new MeasuredResponder(entry.Key, entry.Value.Capacity, entry.Value.MaxHeld, entry.Value.Accepted));

    /// <summary>Places in use after each change, by second.</summary>
    public IReadOnlyList<(double Second, int Providers, int Groups)> PlacesInUse()
    {
        var (providers, groups) = (0, 0);
        var series = new List<(double, int, int)>();
        foreach (var (second, change) in _use)
        {
            providers += change.Providers;
            groups += change.Groups;
            series.Add((second, providers, groups));
        }
        return series;
    }

    Draft DraftOf(Guid id) => _drafts.TryGetValue(id, out var draft) ? draft : _drafts[id] = new Draft(id);

    Ledger LedgerOf(Guid id) => _ledgers.TryGetValue(id, out var ledger) ? ledger : _ledgers[id] = new Ledger();

    static JsonElement? Present(JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;
}
