using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Huzhu.Local.Scenarios;

/// <summary>One promise, and whether the logs keep it.</summary>
/// <param name="Name">A kebab-case word.</param>
/// <param name="Checked">How many cases were looked at. None means that nothing was proved.</param>
/// <param name="Violations">The first of them, each naming its streams.</param>
public sealed record Invariant(string Name, string Meaning, bool Holds, long Checked, long ViolationCount, IReadOnlyList<string> Violations);

/// <summary>
/// Decides from the four event logs alone whether the system kept its promises. It shares no code with the services: it
/// folds the stored JSON with rules of its own, so that a mistake of theirs is not also a mistake of the judge.
/// </summary>
public sealed class Checker
{
    const int NamedViolations = 20;
    const double DistanceToleranceMetres = 1;

    readonly Dictionary<string, Finding> _findings = [];
    readonly Dictionary<(string Service, Guid Stream), long> _streams = [];
    readonly Dictionary<Guid, string> _eventIds = [];
    readonly Dictionary<Guid, Match> _matches = [];
    readonly Dictionary<Guid, Ledger> _ledgers = [];
    readonly Dictionary<Guid, Offer> _offers = [];
    readonly List<Dictionary<Guid, JsonElement>> _zones = [[]];
    readonly Dictionary<Guid, RequestedNeed> _needs = [];
    readonly Dictionary<(Guid Stream, string Type, Guid Need), int> _requestEvents = [];
    readonly Dictionary<(string Type, Guid Subject), int> _plainEvents = [];
    readonly Dictionary<Guid, Notification> _notifications = [];
    readonly Dictionary<(Guid Cause, string Audience), Guid> _causes = [];
    long _policyVersions;
    Dictionary<Guid, Guid>? _secondMessages;

    sealed class Finding(string meaning)
    {
        public string Meaning { get; } = meaning;
        public long Checked { get; set; }
        public long Count { get; private set; }
        public List<string> Violations { get; } = [];

        public void Violated(string sentence)
        {
            Count++;
            if (Violations.Count < NamedViolations)
                Violations.Add(sentence);
        }
    }

    static class Names
    {
        public const string WholeStreams = "streams-are-whole";
        public const string Capacity = "capacity-is-never-exceeded";
        public const string OneAcceptance = "one-accepted-offer-a-need";
        public const string RequestsLogged = "every-accepted-request-is-in-the-log-once";
        public const string AnswersLogged = "every-accepted-answer-is-in-the-log-once";
        public const string Settled = "every-need-is-final-or-waiting-with-a-reason";
        public const string Agree = "requests-and-matching-agree";
        public const string HardRules = "every-offer-satisfies-every-hard-rule";
        public const string Explained = "every-offer-is-explained";
        public const string FromOffers = "every-answer-belongs-to-an-offer";
        public const string Places = "places-and-offers-agree";
        public const string ClosedHoldNothing = "closed-providers-hold-nothing";
        public const string OneCause = "every-notification-has-one-cause";
    }

    public Checker()
    {
        void Promise(string name, string meaning) => _findings.Add(name, new Finding(meaning));
        Promise(Names.WholeStreams, "The versions of every stream follow each other without a gap, and no event is there twice.");
        Promise(Names.Capacity, "At no version of its ledger does a responder hold more needs than it has places.");
        Promise(Names.OneAcceptance, "No need is ever in the hands of two responders at once.");
        Promise(Names.RequestsLogged, "Whatever Requests or Groups answered with a 2xx stands in the log, once.");
        Promise(Names.AnswersLogged, "Whatever Matching answered a coordinator with a 2xx stands in the log, once.");
        Promise(Names.Settled, "At the end every need is final, or waits for somebody and says why.");
        Promise(Names.Agree, "Requests and Matching say the same of every need.");
        Promise(Names.HardRules, "Every offer went to a responder that satisfied every hard rule at the ledger version and zones version it names.");
        Promise(Names.Explained, "Every offer says which policy, zones and ledger version it was decided on, and who was left out why.");
        Promise(Names.FromOffers, "Whatever happens to an offer happens to one that was made before, to the same responder, in the same match.");
        Promise(Names.Places, "Every place held belongs to an offer, every offer holds a place, and the place is free when the offer has ended.");
        Promise(Names.ClosedHoldNothing, "A closed provider takes nothing new, and holds nothing when its closure ends or the run does.");
        Promise(Names.OneCause, "Every notification has exactly one cause, which stands in a log, and no cause tells the same audience twice.");
    }

    /// <summary>Whether the promise is about what has come to rest: in the middle of things it says nothing.</summary>
    public static bool SpeaksOfTheEnd(Invariant invariant) => invariant.Name is Names.Settled or Names.Agree or Names.ClosedHoldNothing;

    public static async Task<IReadOnlyList<Invariant>> CheckAsync(IAsyncEnumerable<LogRow> rows, IEnumerable<AcceptedCall> accepted)
    {
        var checker = new Checker();
        await foreach (var row in rows)
            checker.Read(row);
        return checker.Finish(accepted);
    }

    /// <summary>Takes the next event of a log; the logs one after the other or mixed, each in its own order.</summary>
    public void Read(LogRow row)
    {
        // What Marten writes where a refused append has burned a sequence number. It says nothing and belongs to nobody.
        if (row.Type == "tombstone")
            return;
        var whole = _findings[Names.WholeStreams];
        whole.Checked++;
        var last = _streams.GetValueOrDefault((row.Service, row.Stream));
        if (row.Version != last + 1)
            whole.Violated($"{row.Service} stream {row.Stream}: version {row.Version} follows {last}.");
        _streams[(row.Service, row.Stream)] = row.Version;
        if (!_eventIds.TryAdd(row.EventId, row.Service))
            whole.Violated($"{row.Service} stream {row.Stream}: the event {row.EventId} is there twice.");

        // What no promise here speaks of: who read or erased whose data or wrapped its keys, what was said in a conversation, what was planned together, when the intake shed.
        if (row.Type is "personal_data_read" or "person_erased" or "retention_changed" or "data_keys_rewrapped" or "turn_taken" or "update_received" or "needs_assigned" or "prices_set" or "shedding_began" or "shedding_ended")
            return;
        switch (row.Service)
        {
            case "matching": ReadMatching(row); break;
            case "requests": ReadRequests(row); break;
            case "groups": ReadGroups(row); break;
            case "notifications": ReadNotifications(row); break;
            default: throw new InvalidOperationException($"No rules for the log of {row.Service}.");
        }
    }

    // ---- Matching ----

    /// <param name="Profile">Null until the responder is listed.</param>
    readonly record struct LedgerState(string Opening, JsonElement? Profile, int Capacity, int Held);

    sealed class Ledger
    {
        /// <summary>The state after each version; the first is the one before any.</summary>
        public List<LedgerState> States { get; } = [new("closed", null, 0, 0)];
        public Dictionary<Guid, (Guid Need, long Version)> Held { get; } = [];
        public Dictionary<Guid, long> HeldAt { get; } = [];
        public bool IsProvider { get; set; }
        public long ClosedAtVersion { get; set; }
        public LedgerState Now => States[^1];
    }

    enum Life { Open, Accepted, Done, Ended }

    sealed class Offer(Guid id, Guid need, Guid responder)
    {
        public Guid Id { get; } = id;
        public Guid Need { get; } = need;
        public Guid Responder { get; } = responder;
        public Life Life { get; set; } = Life.Open;
        public Dictionary<string, int> Events { get; } = [];
        public bool HoldsPlace => Life is Life.Open or Life.Accepted;
    }

    sealed class Match
    {
        public JsonElement? Need { get; set; }
        public string State { get; set; } = "open";
        public string? Reason { get; set; }
        public List<Offer> Offers { get; } = [];
        public HashSet<Guid> Excluded { get; } = [];
    }

    void ReadMatching(LogRow row)
    {
        var data = row.Data;
        switch (row.Type)
        {
            case "responder_listed" or "responder_updated" or "responder_closed" or "responder_reopened" or "responder_paused"
                or "responder_withdrawn" or "place_held" or "place_released":
                ReadLedger(row);
                return;
            case "zone_sealed":
                _zones.Add(new(_zones[^1]) { [data.GetProperty("measureId").GetGuid()] = data.GetProperty("area") });
                return;
            case "zone_lifted":
                var left = new Dictionary<Guid, JsonElement>(_zones[^1]);
                left.Remove(data.GetProperty("measureId").GetGuid());
                _zones.Add(left);
                return;
            case "policy_changed":
                _policyVersions++;
                return;
        }
        var match = GetOrAdd(_matches, row.Stream);
        switch (row.Type)
        {
            case "need_received":
                match.Need = data.GetProperty("need");
                break;
            case "need_reopened":
                match.Need = data.GetProperty("need");
                if (match.State is "fulfilled" or "closed" or "cancelled" or "on-hold")
                    (match.State, match.Reason) = ("open", null);
                break;
            case "need_urgency_raised" or "word_heard":
                break;
            case "offer_made":
                ReadOffer(row, match);
                break;
            case "need_waits":
                (match.State, match.Reason) = ("waiting", Text(data, "reason"));
                break;
            case "need_escalated":
                (match.State, match.Reason) = ("escalated", Text(data, "reason"));
                break;
            case "need_held":
                (match.State, match.Reason) = ("on-hold", "concern");
                break;
            case "need_cancelled":
                (match.State, match.Reason) = ("cancelled", Text(data, "reason"));
                break;
            case "need_confirmed":
                (match.State, match.Reason) = ("closed", null);
                break;
            case "responder_excluded":
                match.Excluded.Add(data.GetProperty("responderId").GetGuid());
                break;
            case "offer_sent" or "offer_accepted" or "offer_declined" or "offer_expired" or "offer_undeliverable" or "offer_superseded"
                or "offer_revoked" or "offer_released" or "offer_disputed" or "help_started" or "help_completed":
                ReadOfferEvent(row, match);
                break;
            default:
                throw new InvalidOperationException($"The checker has no rule for {row.Type} in Matching's log (stream {row.Stream}).");
        }
    }

    void ReadLedger(LogRow row)
    {
        var ledger = GetOrAdd(_ledgers, row.Stream);
        var before = ledger.Now;
        var data = row.Data;
        LedgerState after;
        switch (row.Type)
        {
            case "responder_listed":
                after = WithProfile(before, data.GetProperty("profile")) with { Opening = data.Word("opening")! };
                ledger.IsProvider = data.GetProperty("profile").Word("kind") == "provider";
                break;
            case "responder_updated":
                after = WithProfile(before, data.GetProperty("profile"));
                break;
            case "responder_closed":
                after = before with { Opening = "closed" };
                break;
            case "responder_reopened":
                after = before with { Opening = "open" };
                break;
            case "responder_paused":
                after = before with { Opening = "paused" };
                break;
            case "responder_withdrawn":
                after = before with { Opening = "withdrawn" };
                break;
            case "place_held":
                {
                    var (offer, need) = (data.GetProperty("offerId").GetGuid(), data.GetProperty("needId").GetGuid());
                    if (!ledger.Held.TryAdd(offer, (need, row.Version)) || !ledger.HeldAt.TryAdd(offer, row.Version))
                        _findings[Names.Places].Violated($"matching ledger {row.Stream}: the offer {offer} holds a second place at version {row.Version}.");
                    if (before.Opening == "closed")
                        _findings[Names.ClosedHoldNothing].Violated($"matching ledger {row.Stream}: a place is held for the need {need} at version {row.Version}, while it is closed.");
                    after = before with { Held = ledger.Held.Count };
                    break;
                }
            default:
                {
                    var offer = data.GetProperty("offerId").GetGuid();
                    if (!ledger.Held.Remove(offer))
                        _findings[Names.Places].Violated($"matching ledger {row.Stream}: version {row.Version} frees a place that the offer {offer} does not hold.");
                    after = before with { Held = ledger.Held.Count };
                    break;
                }
        }

        var closures = _findings[Names.ClosedHoldNothing];
        if (after.Opening == "closed" && before.Opening != "closed")
        {
            ledger.ClosedAtVersion = row.Version;
            closures.Checked++;
        }
        if (before.Opening == "closed" && after.Opening != "closed" && ledger.Held.Count > 0)
            closures.Violated($"matching ledger {row.Stream}: still holds {ledger.Held.Count} needs at version {row.Version}, when the closure of version {ledger.ClosedAtVersion} ends.");

        var capacity = _findings[Names.Capacity];
        capacity.Checked++;
        if (after.Held > after.Capacity)
            capacity.Violated($"matching ledger {row.Stream}: holds {after.Held} of {after.Capacity} places at version {row.Version}.");
        ledger.States.Add(after);
    }

    static LedgerState WithProfile(LedgerState state, JsonElement profile) =>
        state with { Profile = profile, Capacity = profile.GetProperty("capacity").GetInt32() };

    void ReadOffer(LogRow row, Match match)
    {
        var data = row.Data;
        var offer = new Offer(data.GetProperty("offerId").GetGuid(), row.Stream, data.GetProperty("responderId").GetGuid());
        if (!_offers.TryAdd(offer.Id, offer))
            _findings[Names.FromOffers].Violated($"matching stream {row.Stream}: the offer {offer.Id} is made a second time at version {row.Version}.");

        var rules = _findings[Names.HardRules];
        rules.Checked++;
        if (match.Need is not { } need)
            rules.Violated($"matching stream {row.Stream}: an offer at version {row.Version} before the need is known.");
        else
            _pending.Add(new PendingOffer(row, offer, need,
                match.Excluded.Contains(offer.Responder), match.Offers.Any(other => other.Responder == offer.Responder && other.HoldsPlace)));
        match.Offers.Add(offer);
        (match.State, match.Reason) = ("offered", null);
    }

    /// <summary>
    /// An offer that is yet to be compared with its ledger: the place is held in the same transaction as the offer is
    /// made, and may come after it in the log.
    /// </summary>
    sealed record PendingOffer(LogRow Row, Offer Offer, JsonElement Need, bool Excluded, bool AlreadyOffered);

    readonly List<PendingOffer> _pending = [];

    void ReadOfferEvent(LogRow row, Match match)
    {
        var finding = _findings[Names.FromOffers];
        finding.Checked++;
        var id = row.Data.GetProperty("offerId").GetGuid();
        if (!_offers.TryGetValue(id, out var offer) || offer.Need != row.Stream)
        {
            finding.Violated($"matching stream {row.Stream}: {row.Type} at version {row.Version} is about the offer {id}, which was not made in this match.");
            return;
        }
        if (row.Data.TryGetProperty("responderId", out var responder) && responder.GetGuid() != offer.Responder)
            finding.Violated($"matching stream {row.Stream}: {row.Type} at version {row.Version} names {responder.GetGuid()} as the responder; the offer {id} was made to {offer.Responder}.");
        offer.Events[row.Type] = offer.Events.GetValueOrDefault(row.Type) + 1;

        bool Was(params ReadOnlySpan<Life> lives)
        {
            if (lives.Contains(offer.Life))
                return true;
            finding.Violated($"matching stream {row.Stream}: {row.Type} at version {row.Version} for the offer {id}, which is {offer.Life.ToString().ToLowerInvariant()}.");
            return false;
        }
        switch (row.Type)
        {
            case "offer_sent":
                Was(Life.Open);
                break;
            case "offer_accepted":
                Was(Life.Open);
                var acceptances = _findings[Names.OneAcceptance];
                if (match.Offers.FirstOrDefault(other => other != offer && other.Life is Life.Accepted) is { } first)
                    acceptances.Violated($"matching stream {row.Stream}: the offer {id} to {offer.Responder} is accepted at version {row.Version}, while the offer {first.Id} to {first.Responder} is.");
                offer.Life = Life.Accepted;
                match.State = "accepted";
                break;
            case "help_started":
                Was(Life.Accepted);
                match.State = "started";
                break;
            case "help_completed":
                Was(Life.Accepted);
                offer.Life = Life.Done;
                match.State = row.Data.GetProperty("remaining").GetInt32() == 0 ? "fulfilled" : "open";
                break;
            case "offer_released":
                Was(Life.Accepted);
                match.Excluded.Add(offer.Responder);
                End(match, offer);
                break;
            case "offer_disputed":
                Was(Life.Accepted, Life.Done);
                match.Excluded.Add(offer.Responder);
                End(match, offer);
                break;
            case "offer_revoked":
                Was(Life.Open, Life.Accepted);
                if (Text(row.Data, "reason") == "by-operator")
                    match.Excluded.Add(offer.Responder);
                End(match, offer);
                break;
            case "offer_declined":
                Was(Life.Open);
                match.Excluded.Add(offer.Responder);
                End(match, offer);
                break;
            default:
                Was(Life.Open);
                End(match, offer);
                break;
        }
    }

    static void End(Match match, Offer offer)
    {
        var wasAccepted = offer.Life is Life.Accepted;
        offer.Life = Life.Ended;
        if (wasAccepted && match.State is "accepted" or "started"
            || match.State == "offered" && !match.Offers.Any(other => other.Life is Life.Open))
            match.State = "open";
    }

    void JudgeOffer(PendingOffer pending)
    {
        var (row, offer, need, excluded, already) = pending;
        var rules = _findings[Names.HardRules];
        void Broken(string rule) => rules.Violated(
            $"matching stream {row.Stream}: the offer {offer.Id} at version {row.Version} to the responder {offer.Responder} breaks a hard rule: {rule}.");

        var explained = _findings[Names.Explained];
        explained.Checked++;
        if (!row.Data.TryGetProperty("explanation", out var explanation) || explanation.ValueKind != JsonValueKind.Object)
        {
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} at version {row.Version} has no explanation.");
            return;
        }
        var (policyVersion, zonesVersion, ledgerVersion) = (Number(explanation, "policyVersion"), Number(explanation, "zonesVersion"), Number(explanation, "ledgerVersion"));
        if (policyVersion is not { } policy || policy < 1 || policy > _policyVersions)
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} names version {policyVersion} of the policy; the log has {_policyVersions}.");
        if (!explanation.TryGetProperty("leftOut", out var leftOut) || leftOut.ValueKind != JsonValueKind.Array
            || leftOut.EnumerateArray().Any(one => string.IsNullOrEmpty(Text(one, "reason")))
            || string.IsNullOrEmpty(Text(explanation, "firstBecause")))
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} does not say who was left out and why, or what put the chosen one first.");
        if (zonesVersion is not { } zonesAt || zonesAt < 0 || zonesAt >= _zones.Count)
        {
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} names version {zonesVersion} of the zones; the log has {_zones.Count - 1}.");
            return;
        }
        if (!_ledgers.TryGetValue(offer.Responder, out var ledger) || ledgerVersion is not { } at || at < 1 || at >= ledger.States.Count)
        {
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} names version {ledgerVersion} of the ledger {offer.Responder}, which the log does not have.");
            return;
        }

        var places = _findings[Names.Places];
        places.Checked++;
        if (!ledger.HeldAt.TryGetValue(offer.Id, out var heldAt))
            places.Violated($"matching stream {row.Stream}: the offer {offer.Id} holds no place in the ledger {offer.Responder}.");
        else if (heldAt != at + 1)
            places.Violated($"matching ledger {offer.Responder}: the place of the offer {offer.Id} is held at version {heldAt}, but the offer was decided on version {at}.");

        var state = ledger.States[(int)at];
        var profile = state.Profile!.Value;
        var kind = Text(need, "kind")!;
        var online = need.Word("mode") == "online";
        if (!Texts(profile, "serviceKinds").Any(given => given == kind || kind.StartsWith(given + ".", StringComparison.Ordinal)))
            Broken($"it does not provide {kind}");
        if (!profile.Words("modes").Contains(need.Word("mode")))
            Broken($"it does not help {need.Word("mode")}");
        if (state.Held >= state.Capacity)
            Broken($"it has no free place ({state.Held} of {state.Capacity})");
        if (state.Opening != "open")
            Broken($"it is {state.Opening}");
        if (need.Words("communication").Except(profile.Words("communicationAbilities")).FirstOrDefault() is { } missing)
            Broken($"it cannot communicate by {missing}");
        if (excluded || need.GetProperty("excludedResponders").EnumerateArray().Any(one => one.GetGuid() == offer.Responder))
            Broken("it is excluded for this need or person");
        if (already)
            Broken("it has been asked already and has not answered");

        var subDistrict = Text(need, "subDistrict");
        var districts = Texts(profile, "subDistricts").ToList();
        var served = districts.Count == 0 || subDistrict is not null && districts.Contains(subDistrict);
        var place = need.GetProperty("place");
        var radius = profile.TryGetProperty("radiusMetres", out var given2) && given2.ValueKind == JsonValueKind.Number ? given2.GetDouble() : (double?)null;
        var sites = profile.GetProperty("sites").EnumerateArray()
            .Where(site => !site.TryGetProperty("open", out var open) || open.ValueKind != JsonValueKind.False)
            .Select(site => site.GetProperty("place")).ToList();
        if (online)
        {
            if (!served && !(subDistrict is null && sites.Any(site => DistanceMetres(site, place) <= radius)))
                Broken($"it does not serve {subDistrict ?? "a place that no sub-district is known for"}");
            return;
        }
        var zones = _zones[(int)zonesAt];
        var permit = profile.GetProperty("zonePermit").GetBoolean();
        var reached = sites
            .Where(site => radius is null ? served : DistanceMetres(site, place) <= radius && (served || subDistrict is null)).ToList();
        if (reached.Count == 0)
            Broken("the place is not served from any open site");
        var usable = reached.Where(site => permit || zones.Values.All(zone => Inside(zone, site) == Inside(zone, place))).ToList();
        if (reached.Count > 0 && usable.Count == 0)
            Broken($"help would cross the edge of a sealed zone (zones version {zonesAt})");
        if (usable.Count == 0)
            return;
        var nearest = usable.Min(site => DistanceMetres(site, place));
        var said = explanation.TryGetProperty("distanceMetres", out var number) && number.ValueKind == JsonValueKind.Number ? number.GetDouble() : (double?)null;
        if (said is null || Math.Abs(said.Value - nearest) > DistanceToleranceMetres)
            explained.Violated($"matching stream {row.Stream}: the offer {offer.Id} says {said:0.0} m; it is {nearest:0.0} m.");
    }

    // ---- Requests ----

    sealed class RequestedNeed(Guid request)
    {
        public Guid Request { get; } = request;
        public string State { get; set; } = "open";
        public string? Reason { get; set; }
        public bool Linked { get; set; }
        public bool HoldIsKnown { get; set; }
        public bool CancelledLast { get; set; }
    }

    void ReadRequests(LogRow row)
    {
        var data = row.Data;
        var need = data.TryGetProperty("needId", out var id) ? id.GetGuid() : Guid.Empty;
        Count(_requestEvents, (row.Stream, row.Type, need));
        RequestedNeed? Known()
        {
            if (_needs.TryGetValue(need, out var known) && known.Request == row.Stream)
                return known;
            _findings[Names.WholeStreams].Violated($"requests stream {row.Stream}: {row.Type} at version {row.Version} is about the need {need}, which was never asked for.");
            return null;
        }
        switch (row.Type)
        {
            case "request_submitted" or "intake_extended" or "intake_completed":
                var content = data.GetProperty("content");
                var isPartial = !Has(content, "place") || !Has(content, "consent") || content.GetProperty("needs").GetArrayLength() == 0;
                foreach (var asked in content.GetProperty("needs").EnumerateArray())
                {
                    var linked = Has(asked, "duplicateOf");
                    var needId = asked.GetProperty("needId").GetGuid();
                    _needs[needId] = new RequestedNeed(row.Stream)
                    {
                        State = isPartial ? "partial" : linked ? "duplicate-of" : "open",
                        Reason = isPartial ? "incomplete" : linked ? "duplicate" : null,
                        Linked = linked,
                    };
                    if (row.Type == "request_submitted")
                        Count(_requestEvents, (row.Stream, "asked", needId));
                }
                break;
            case "intake_abandoned":
                foreach (var abandoned in _needs.Values.Where(one => one.Request == row.Stream))
                    (abandoned.State, abandoned.Reason) = ("cancelled", "abandoned");
                break;
            case "need_state_recorded":
                if (Known() is { } told)
                    Record(told, data.Word("state")!, Text(data, "reason"));
                break;
            case "need_cancelled":
                if (Known() is { } cancelled)
                    (cancelled.State, cancelled.Reason, cancelled.CancelledLast) = ("cancelled", Text(data, "reasonCode"), true);
                break;
            case "need_confirmed":
                if (Known() is { } confirmed)
                    (confirmed.State, confirmed.Reason, confirmed.CancelledLast) = ("closed", null, false);
                break;
            case "need_disputed" or "need_reopened":
                if (Known() is { } reopened)
                    (reopened.State, reopened.Reason, reopened.CancelledLast) = (reopened.Linked ? "duplicate-of" : "reopened", null, false);
                break;
            case "concern_raised":
                if (Known() is { State: not ("closed" or "cancelled") } held)
                    (held.State, held.Reason, held.HoldIsKnown, held.CancelledLast) = ("on-hold", "concern", false, false);
                break;
            case "repeat_call_linked" or "need_urgency_raised":
                Known();
                break;
            default:
                throw new InvalidOperationException($"The checker has no rule for {row.Type} in Requests' log (stream {row.Stream}).");
        }
    }

    static void Record(RequestedNeed need, string state, string? reason)
    {
        if (state == "cancelled" && need.CancelledLast && need.State != "closed")
            (need.State, need.Reason) = ("cancelled", reason);
        // Cancelled and closed are Requests' own words; Matching only echoes them. Help that came is true all the same.
        if (state is "cancelled" or "closed" || need.State == "closed" || need.State == "cancelled" && state != "fulfilled")
            return;
        if (need.State == "on-hold" && !need.HoldIsKnown && state is not ("on-hold" or "fulfilled"))
            return;
        (need.State, need.Reason, need.HoldIsKnown) = (state, reason, state == "on-hold");
    }

    // ---- Groups and Notifications ----

    void ReadGroups(LogRow row) => Count(_plainEvents, (row.Type, row.Stream));

    sealed class Notification
    {
        public int Requests { get; set; }
    }

    void ReadNotifications(LogRow row)
    {
        // Subscriptions have streams of their own: somebody who wants to be told is no cause of telling anything.
        if (row.Type is "subscription_created" or "subscription_changed" or "secret_rotated" or "subscription_disabled" or "subscription_enabled" or "subscription_deleted")
            return;
        var notification = GetOrAdd(_notifications, row.Stream);
        if (row.Type != "notification_requested")
            return;
        notification.Requests++;
        var finding = _findings[Names.OneCause];
        var (cause, audience) = (row.Data.GetProperty("causeId").GetGuid(), row.Data.Word("audience")!);
        if (!_causes.TryAdd((cause, audience), row.Stream))
            finding.Violated($"notifications streams {_causes[(cause, audience)]} and {row.Stream}: both tell the {audience} of {cause}.");
    }

    /// <summary>A stored event that says two things has two messages; the second one's id is named after the first.</summary>
    bool IsCause(Guid cause)
    {
        if (_eventIds.ContainsKey(cause))
            return true;
        if (_secondMessages is null)
        {
            _secondMessages = [];
            foreach (var (id, service) in _eventIds)
                if (service != "notifications")
                    for (var index = 1; index <= 3; index++)
                        _secondMessages[NameBased(id, index.ToString(System.Globalization.CultureInfo.InvariantCulture))] = id;
        }
        return _secondMessages.ContainsKey(cause);
    }

    // ---- The end ----

    public IReadOnlyList<Invariant> Finish(IEnumerable<AcceptedCall> accepted)
    {
        foreach (var pending in _pending)
            JudgeOffer(pending);
        JudgePlaces();
        JudgeClosures();
        JudgeNeeds();
        JudgeNotifications();
        JudgeAccepted(accepted);
        _findings[Names.OneAcceptance].Checked = _matches.Count;
        return [.. _findings.Select(entry => new Invariant(
            entry.Key, entry.Value.Meaning, entry.Value.Count == 0, entry.Value.Checked, entry.Value.Count, entry.Value.Violations))];
    }

    void JudgePlaces()
    {
        var finding = _findings[Names.Places];
        foreach (var (responder, ledger) in _ledgers)
        {
            foreach (var (offerId, version) in ledger.HeldAt)
            {
                finding.Checked++;
                if (!_offers.TryGetValue(offerId, out var offer))
                    finding.Violated($"matching ledger {responder}: version {version} holds a place for the offer {offerId}, which was never made.");
                else if (offer.HoldsPlace != ledger.Held.ContainsKey(offerId))
                    finding.Violated(offer.HoldsPlace
                        ? $"matching ledger {responder}: the place of the offer {offerId} (need {offer.Need}) is free, while the offer goes on."
                        : $"matching ledger {responder}: still holds a place for the offer {offerId} (need {offer.Need}), which has ended.");
            }
        }
    }

    void JudgeClosures()
    {
        var finding = _findings[Names.ClosedHoldNothing];
        foreach (var (responder, ledger) in _ledgers)
        {
            finding.Checked++;
            if (ledger.Now.Opening == "closed" && ledger.Held.Count > 0)
                finding.Violated($"matching ledger {responder}: closed since version {ledger.ClosedAtVersion} and still holds {ledger.Held.Count} needs, {string.Join(", ", ledger.Held.Values.Take(3).Select(held => held.Need))} among them.");
        }
    }

    void JudgeNeeds()
    {
        var (settled, agree) = (_findings[Names.Settled], _findings[Names.Agree]);
        foreach (var (id, need) in _needs)
        {
            settled.Checked++;
            if (need.State is not ("fulfilled" or "closed" or "cancelled" or "duplicate-of" or "partial" or "waiting" or "escalated" or "on-hold"))
                settled.Violated($"requests stream {need.Request}: the need {id} is left {need.State}.");
            else if (need.State is not ("fulfilled" or "closed") && string.IsNullOrEmpty(need.Reason))
                settled.Violated($"requests stream {need.Request}: the need {id} is {need.State} and does not say why.");

            if (need.State is "partial" or "duplicate-of" || need is { Linked: true } || need is { State: "cancelled", Reason: "abandoned" })
                continue;
            agree.Checked++;
            if (!_matches.TryGetValue(id, out var match) || match.Need is null && match.State is not ("cancelled" or "closed" or "on-hold"))
                agree.Violated($"requests stream {need.Request}: the need {id} is {need.State}, and Matching has never heard of it.");
            else if (match.State != need.State)
                agree.Violated($"requests stream {need.Request} says that the need {id} is {need.State}; matching stream {id} says {match.State}.");
        }
        foreach (var (id, match) in _matches)
            if (!_needs.ContainsKey(id))
                agree.Violated($"matching stream {id}: a need that Requests never took in ({match.State}).");
    }

    void JudgeNotifications()
    {
        var finding = _findings[Names.OneCause];
        foreach (var (stream, notification) in _notifications)
        {
            finding.Checked++;
            if (notification.Requests != 1)
                finding.Violated($"notifications stream {stream}: has {notification.Requests} causes.");
        }
        foreach (var ((cause, _), stream) in _causes)
            if (!IsCause(cause))
                finding.Violated($"notifications stream {stream}: its cause {cause} stands in no log.");
    }

    void JudgeAccepted(IEnumerable<AcceptedCall> calls)
    {
        // Two 2xx to the same question, such as a retry after a lost answer, are one promise.
        foreach (var call in calls.DistinctBy(call => (call.Call, call.Subject, Need: call.Call is Call.Submit ? default : call.Needs.FirstOrDefault(), call.Key)))
        {
            switch (call.Call)
            {
                case Call.Submit:
                    Once(Names.RequestsLogged, $"requests stream {call.Subject}", $"submission {call.Key}", _requestEvents.GetValueOrDefault((call.Subject, "request_submitted", Guid.Empty)));
                    foreach (var need in call.Needs)
                        if (_requestEvents.GetValueOrDefault((call.Subject, "asked", need)) != 1)
                            _findings[Names.RequestsLogged].Violated($"requests stream {call.Subject}: the answer to {call.Key} named the need {need}, which is not in it.");
                    break;
                case Call.CompleteIntake:
                    Once(Names.RequestsLogged, $"requests stream {call.Subject}", $"completion of {call.Key}", _requestEvents.GetValueOrDefault((call.Subject, "intake_completed", Guid.Empty)));
                    break;
                case Call.Cancel or Call.Confirm or Call.Dispute or Call.Concern:
                    var type = call.Call switch { Call.Cancel => "need_cancelled", Call.Confirm => "need_confirmed", Call.Dispute => "need_disputed", _ => "concern_raised" };
                    Once(Names.RequestsLogged, $"requests stream {call.Subject}", $"{type} of the need {call.Needs[0]}", _requestEvents.GetValueOrDefault((call.Subject, type, call.Needs[0])));
                    break;
                case Call.RegisterGroup or Call.RegisterProvider or Call.ImposeMeasure or Call.LiftMeasure or Call.PublishClosure or Call.PublishReopening:
                    var name = call.Call switch
                    {
                        Call.RegisterGroup => "group_registered",
                        Call.RegisterProvider => "provider_registered",
                        Call.ImposeMeasure => "measure_published",
                        Call.LiftMeasure => "measure_lifted",
                        Call.PublishClosure => "closure_published",
                        _ => "reopening_published",
                    };
                    Once(Names.RequestsLogged, $"groups stream {call.Subject}", name, _plainEvents.GetValueOrDefault((name, call.Subject)));
                    break;
                case Call.ChangePolicy:
                    break;
                case Call.Accept or Call.Decline or Call.Start or Call.Complete or Call.Release:
                    JudgeAnswer(call);
                    break;
                default:
                    throw new InvalidOperationException($"No rule for {call.Call}.");
            }
        }
    }

    void JudgeAnswer(AcceptedCall call)
    {
        if (!_offers.TryGetValue(call.Subject, out var offer))
        {
            var finding = _findings[Names.AnswersLogged];
            finding.Checked++;
            finding.Violated($"matching: {call.Call} of the offer {call.Subject} was answered with a 2xx, and the offer is in no log.");
            return;
        }
        int Times(string type) => offer.Events.GetValueOrDefault(type);
        var (what, times) = call.Call switch
        {
            Call.Accept => ("offer_accepted", Times("offer_accepted")),
            Call.Decline => ("offer_declined", Times("offer_declined")),
            // Help that is done needs no start any more: a start that crosses a confirmation is answered and not stored.
            Call.Start => ("help_started", Times("help_started") == 0 && Times("help_completed") == 1 ? 1 : Times("help_started")),
            Call.Complete => ("help_completed", Times("help_completed")),
            _ => ("offer_released", Times("offer_released")),
        };
        Once(Names.AnswersLogged, $"matching stream {offer.Need}", $"{what} of the offer {offer.Id}", times);
    }

    void Once(string name, string stream, string what, int times)
    {
        var finding = _findings[name];
        finding.Checked++;
        if (times != 1)
            finding.Violated($"{stream}: {what} was answered with a 2xx and stands in the log {times} times.");
    }

    // ---- Small things ----

    static TValue GetOrAdd<TValue>(Dictionary<Guid, TValue> values, Guid key) where TValue : new()
    {
        if (!values.TryGetValue(key, out var value))
            values.Add(key, value = new TValue());
        return value;
    }

    static void Count<TKey>(Dictionary<TKey, int> counts, TKey key) where TKey : notnull => counts[key] = counts.GetValueOrDefault(key) + 1;

    static bool Has(JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined);

    static string? Text(JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    static IEnumerable<string> Texts(JsonElement data, string name) => data.GetProperty(name).EnumerateArray().Select(value => value.GetString()!);

    static long? Number(JsonElement data, string name) =>
        data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : null;

    static double DistanceMetres(JsonElement from, JsonElement to)
    {
        // By vectors, not by the formula that the services use.
        static (double X, double Y, double Z) Vector(JsonElement place)
        {
            var (latitude, longitude) = (place.GetProperty("lat").GetDouble() * Math.PI / 180, place.GetProperty("lon").GetDouble() * Math.PI / 180);
            return (Math.Cos(latitude) * Math.Cos(longitude), Math.Cos(latitude) * Math.Sin(longitude), Math.Sin(latitude));
        }
        var (a, b) = (Vector(from), Vector(to));
        var cross = (X: a.Y * b.Z - a.Z * b.Y, Y: a.Z * b.X - a.X * b.Z, Z: a.X * b.Y - a.Y * b.X);
        var sine = Math.Sqrt(cross.X * cross.X + cross.Y * cross.Y + cross.Z * cross.Z);
        return 6_371_008.8 * Math.Atan2(sine, a.X * b.X + a.Y * b.Y + a.Z * b.Z);
    }

    static bool Inside(JsonElement ring, JsonElement place)
    {
        // By winding, not by the even-odd rule that the services use; the same for a ring that does not cross itself.
        var points = ring.EnumerateArray().Select(point => (X: point.GetProperty("lon").GetDouble(), Y: point.GetProperty("lat").GetDouble())).ToList();
        var (x, y) = (place.GetProperty("lon").GetDouble(), place.GetProperty("lat").GetDouble());
        var winding = 0;
        for (var index = 0; index < points.Count; index++)
        {
            var (a, b) = (points[index], points[(index + 1) % points.Count]);
            var side = (b.X - a.X) * (y - a.Y) - (x - a.X) * (b.Y - a.Y);
            if (a.Y <= y && b.Y > y && side > 0)
                winding++;
            else if (a.Y > y && b.Y <= y && side < 0)
                winding--;
        }
        return winding != 0;
    }

    /// <summary>RFC 9562, version 5.</summary>
    static Guid NameBased(Guid space, string name)
    {
        var hash = SHA1.HashData([.. space.ToByteArray(bigEndian: true), .. Encoding.UTF8.GetBytes(name)])[..16];
        hash[6] = (byte)(hash[6] & 0x0F | 0x50);
        hash[8] = (byte)(hash[8] & 0x3F | 0x80);
        return new Guid(hash, bigEndian: true);
    }
}
