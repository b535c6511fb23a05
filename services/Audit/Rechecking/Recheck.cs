using System.Globalization;
using System.Runtime.InteropServices;
using Huzhu.Audit.Reading;
using Huzhu.Contracts;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Audit.Rechecking;

/// <summary>An offer that comes out otherwise when it is decided again.</summary>
public sealed record Difference(OfferId OfferId, NeedId NeedId, long Sequence, string Words);

/// <param name="Retried">
/// Offers that came out alike only after another version of a ledger that the explanation does not name was tried: one
/// that the same transaction, or another replica a moment before, has written.
/// </param>
/// <param name="Different">How many differ; <paramref name="Differences"/> names the first of them.</param>
/// <param name="Plans">Assignments of many needs together that were looked at.</param>
/// <param name="PlansCertified">Those that are proved by their prices to be the best there was.</param>
/// <param name="Unjudged">Those of which a need had moved on before the plan was in the log: how it stood is not to be had.</param>
public sealed record RecheckResult(long Offers, long Retried, long Different, IReadOnlyList<Difference> Differences, long Plans = 0, long PlansCertified = 0, long Unjudged = 0);

/// <summary>
/// Decides every offer again from Matching's log alone: the same need, the policy, zones and ledgers at the versions that
/// the offer names, and the rules as they are in this program. What comes out must be what is in the log: the same
/// responder at the same rank and distance, and before it the same ones left out, in the same order, for the same reasons.
/// </summary>
/// <remarks>
/// An offer names the ledger versions of the chosen one and of everybody better placed. All others were placed behind, and
/// of them it does not say which version was seen. They are taken as the log has them just before the offer's transaction;
/// where that does not fit, as they were a moment earlier (another replica's change takes up to a few hundred milliseconds
/// to be heard of) or after other decisions of the same transaction.
/// </remarks>
/// <param name="remembered">So many of the matches that are over stay in memory; another is read again when it is spoken of.</param>
public sealed class Recheck(DateTimeOffset? from, DateTimeOffset? to, int remembered = 50_000)
{
    /// <summary>What another replica wrote may not have been heard of for so long.</summary>
    private static readonly TimeSpan HeardWithin = TimeSpan.FromSeconds(2);

    /// <summary>Another replica may not have heard of new prices for so long.</summary>
    private static readonly TimeSpan PricesKept = TimeSpan.FromMinutes(5);

    /// <summary>A transaction's events lie close together, but others' lie between them: by then they have all been read.</summary>
    private const int ReadAhead = 20_000;
    private const int MaxNamed = 1000;
    private const int MaxAttempts = 64;

    private readonly Dictionary<NeedId, (MatchState State, long Version)> _matches = [];
    private readonly Queue<NeedId> _over = new();
    private readonly LedgerHistory _ledgers = new();
    private readonly Roster _roster = new();
    private readonly Queue<(long Sequence, ResponderId Id, ResponderState State, DateTimeOffset At)> _notYetKnown = new();

    /// <summary>Changes of the very transaction whose offers are being checked.</summary>
    private readonly List<(ResponderId Id, ResponderState State, DateTimeOffset At)> _ofTheSame = [];
    private readonly Queue<Waiting> _pending = new();
    private readonly List<PolicyState> _policies = [PolicyState.Initial];
    private readonly Dictionary<Guid, NeedsAssigned> _plans = [];
    private readonly Queue<(Plan Prices, DateTimeOffset At)> _prices = new();
    private readonly List<Zones> _zones = [new(MeasuresState.Initial)];
    private readonly List<Difference> _differences = [];
    private MeasuresState _measures = MeasuresState.Initial;
    private long _offers, _retried, _different, _plansSeen, _plansCertified, _unjudged;

    public async Task<RecheckResult> RunAsync(ServiceLog log, CancellationToken cancellation)
    {
        await foreach (var stored in log.ReadDecodedAsync(cancellation))
        {
            if (stored.Event is MatchEvent && stored.Version > 1 && !_matches.ContainsKey(NeedId.Of(stored.Stream)))
                await RememberAsync(log, stored, cancellation);
            Take(stored);
            while (_pending.TryPeek(out var oldest) && oldest.Sequence + ReadAhead < stored.Sequence)
                Look(_pending.Dequeue());
            // No offer that is still to come can be of a transaction that far back.
            if (_pending.Count == 0)
                Advance(stored.Sequence - ReadAhead, null);
        }
        while (_pending.TryDequeue(out var left))
            Look(left);
        return new RecheckResult(_offers, _retried, _different, _differences, _plansSeen, _plansCertified, _unjudged);

        void Look(Waiting next)
        {
            if (next is Pending offer)
                Check(offer);
            else if (next is PendingPlan plan)
                Certify(plan);
        }
    }

    private abstract record Waiting(long Sequence, DateTimeOffset At);

    private sealed record Pending(NeedId NeedId, MatchState Match, OfferMade Offer, long Sequence) : Waiting(Sequence, Offer.At);

    /// <param name="Needs">As they stood; null where one has moved on before the plan was in the log.</param>
    private sealed record PendingPlan(Guid Id, NeedsAssigned Plan, IReadOnlyList<MatchState>? Needs, long Sequence) : Waiting(Sequence, Plan.At);

    /// <summary>A match that was over and had been let go: its stream says again how it stood.</summary>
    private async Task RememberAsync(ServiceLog log, DecodedEvent next, CancellationToken cancellation)
    {
        var match = MatchState.Initial;
        await foreach (var stored in log.FindAsync("stream_id = any($1)", [next.Stream], cancellation))
        {
            if (stored.Sequence >= next.Sequence || EventTypes.Decode(log.Service, stored) is not MatchEvent change)
                continue;
            try
            {
                match = MatchState.Evolve(match, change);
            }
            catch (InvalidOperationException)
            {
                // It was named when it was come by at first.
            }
        }
        _matches[NeedId.Of(next.Stream)] = (match, next.Version - 1);
    }

    private void Take(DecodedEvent stored)
    {
        try
        {
            Fold(stored);
        }
        catch (InvalidOperationException exception)
        {
            // No service writes such a thing: somebody else did. What follows is decided without it.
            Differs(default, NeedId.Of(stored.Stream), stored.Sequence, $"The {stored.Type} at sequence {stored.Sequence} does not follow from what comes before it: {exception.Message}");
        }
    }

    private void Fold(DecodedEvent stored)
    {
        switch (stored.Event)
        {
            case MatchEvent change:
                var needId = NeedId.Of(stored.Stream);
                ref var match = ref CollectionsMarshal.GetValueRefOrAddDefault(_matches, needId, out var isKnown);
                match = (isKnown ? match.State : MatchState.Initial, stored.Version);
                if (change is OfferMade made && !(made.At < from || made.At > to))
                    _pending.Enqueue(new Pending(needId, match.State, made, stored.Sequence));
                match.State = MatchState.Evolve(match.State, change);
                if (match.State.IsOver)
                    LetGo(needId);
                break;
            case ResponderEvent change:
                var id = ResponderId.Of(stored.Stream);
                // In a quiet log an offer is looked at long after it was made.
                var asked = _pending.TryPeek(out var oldest) ? oldest.At : change.At;
                var ledger = _ledgers.Append(id, change, stored.Sequence, from > asked ? from.Value : asked);
                // No offer that is asked for can be of its transaction, or stand before it.
                if (oldest is null && change.At < from)
                    Know(id, ledger);
                else
                    _notYetKnown.Enqueue((stored.Sequence, id, ledger, change.At));
                break;
            case MeasuresEvent change:
                _measures = MeasuresState.Evolve(_measures, change);
                _zones.Add(new Zones(_measures));
                break;
            case PolicyEvent change:
                _policies.Add(PolicyState.Evolve(_policies[^1], change));
                break;
            case PricesSet prices:
                _prices.Enqueue((Plan.Of(prices, stored.Version), prices.At));
                // An offer names those that held when it was made.
                while (_prices.Count > 2 && _prices.ElementAt(1).At < (_pending.TryPeek(out var first) ? first.At : prices.At) - PricesKept)
                    _prices.Dequeue();
                break;
            case NeedsAssigned assigned:
                _plans[stored.Stream] = assigned;
                if (!(assigned.At < from || assigned.At > to))
                    _pending.Enqueue(new PendingPlan(stored.Stream, assigned, NeedsOf(assigned), stored.Sequence));
                break;
        }
    }

    /// <summary>Of those that are over only the last are kept: words that come afterwards come soon, as a rule.</summary>
    private void LetGo(NeedId needId)
    {
        _over.Enqueue(needId);
        while (_over.Count > remembered)
        {
            if (_over.Dequeue() is var oldest && _matches.TryGetValue(oldest, out var match) && match.State.IsOver)
                _matches.Remove(oldest);
        }
    }

    /// <returns>Null when they cannot be known: one has been offered, declined or ended since the plan was made.</returns>
    private List<MatchState>? NeedsOf(NeedsAssigned plan)
    {
        var needs = new List<MatchState>();
        foreach (var assigned in plan.Assigned)
        {
            var (need, version) = _matches.GetValueOrDefault(assigned.NeedId, (MatchState.Initial, 0));
            var hasMovedOn = assigned.MatchVersion > 0
                ? version != assigned.MatchVersion
                : need.Offers.Exists(offer => offer.MadeAt >= plan.At || offer.EndedAt >= plan.At);
            if (hasMovedOn || need is { Need: null } or { IsOver: true })
                return null;
            needs.Add(need);
        }
        return needs;
    }

    /// <summary>Whether a plan is the best there was, by its prices, over every pair of need and responder as they stood.</summary>
    private void Certify(PendingPlan pending)
    {
        var plan = pending.Plan;
        Advance(pending.Sequence, plan.At);
        _plansSeen++;
        var policy = plan.PolicyVersion > 0 ? _policies.ElementAtOrDefault((int)plan.PolicyVersion) : _policies[^1];
        var zones = plan.PolicyVersion > 0 ? _zones.ElementAtOrDefault((int)plan.ZonesVersion) : _zones[^1];
        if (policy is null || zones is null)
        {
            PlanDiffers($"it names version {plan.PolicyVersion} of the policy and {plan.ZonesVersion} of the sealed zones, and one of them does not exist");
            return;
        }
        if (pending.Needs is not { } needs)
        {
            _unjudged++;
            return;
        }
        var touched = new Dictionary<ResponderId, ResponderState>();
        var named = new HashSet<ResponderId>();
        foreach (var listing in _roster.All.ToList())
        {
            if (_ledgers.AsOf(listing.Id, plan.At) is { } then && then.Version != listing.State.Version)
                Set(listing.Id, then);
        }
        foreach (var (id, version) in plan.Ledgers ?? [])
        {
            if (_ledgers.At(id, version) is not { } then)
            {
                Restore();
                PlanDiffers($"it names version {version} of the ledger of {id}, which the log does not have near it");
                return;
            }
            Set(id, then);
            named.Add(id);
        }
        var flaw = Certificate.FlawOf(plan, needs, _roster, policy, zones);
        var tried = new Dictionary<ResponderId, IEnumerator<ResponderState>>();
        for (var attempt = 0; attempt < MaxAttempts && flaw is { Suspect: { } suspect } && !named.Contains(suspect); attempt++)
        {
            if (!tried.TryGetValue(suspect, out var versions))
                tried[suspect] = versions = _ledgers.Seen(suspect, pending.Sequence, plan.At, HeardWithin).GetEnumerator();
            if (!versions.MoveNext())
                break;
            Set(suspect, versions.Current);
            flaw = Certificate.FlawOf(plan, needs, _roster, policy, zones);
        }
        Restore();
        if (flaw is null)
            _plansCertified++;
        else
            PlanDiffers(flaw.Words);

        void PlanDiffers(string what) => Differs(default, default, pending.Sequence, $"Plan {pending.Id} of {plan.Assigned.Count} needs (sequence {pending.Sequence}) is not the best there was: {what}.");

        void Set(ResponderId id, ResponderState state)
        {
            touched.TryAdd(id, _roster.StateOf(id));
            _roster.Set(id, state);
        }

        void Restore()
        {
            foreach (var (id, state) in touched)
                _roster.Set(id, state);
        }
    }

    private void Check(Pending offer)
    {
        _offers++;
        Advance(offer.Sequence, offer.Offer.At);
        var why = offer.Offer.Explanation;
        if (why.PolicyVersion < 0 || why.PolicyVersion >= _policies.Count)
        {
            Differs(offer, $"it names version {why.PolicyVersion} of the policy, which does not exist");
            return;
        }
        if (why.ZonesVersion < 0 || why.ZonesVersion >= _zones.Count)
        {
            Differs(offer, $"it names version {why.ZonesVersion} of the sealed zones, which does not exist");
            return;
        }
        if (why.PlanId is { } plan && !_plans.ContainsKey(plan))
        {
            Differs(offer, $"it names the plan {plan}, which the log does not have before it");
            return;
        }
        if (why.Priced is { } priced && PricesOf(priced.Version) is null)
        {
            Differs(offer, $"it names version {priced.Version} of the prices, which the log does not have near it");
            return;
        }
        var named = why.LeftOut.Select(left => (left.ResponderId, left.LedgerVersion)).Append((ResponderId: offer.Offer.ResponderId, why.LedgerVersion)).ToList();
        foreach (var (id, version) in named)
        {
            if (_ledgers.At(id, version) is not { Profile: not null })
            {
                Differs(offer, $"it names version {version} of the ledger of {id}, which the log does not have near it");
                return;
            }
        }
        if (_ledgers.At(offer.Offer.ResponderId, why.LedgerVersion + 1) is not { } held || !held.Held.ContainsKey(offer.Offer.OfferId))
        {
            Differs(offer, $"the ledger of {offer.Offer.ResponderId} holds no place for it at version {why.LedgerVersion + 1}");
            return;
        }

        var touched = new Dictionary<ResponderId, ResponderState>();
        foreach (var (id, version) in named)
            Set(id, _ledgers.At(id, version)!);
        var problem = Decide(offer, out var suspects);
        if (problem is not null && suspects.Count > 0)
        {
            problem = Retry(offer, problem, named, suspects, Set);
            if (problem is null)
                _retried++;
        }
        foreach (var (id, state) in touched)
            _roster.Set(id, state);
        problem ??= FollowsFromState(offer);
        if (problem is not null)
            Differs(offer, problem);

        void Set(ResponderId id, ResponderState state)
        {
            touched.TryAdd(id, _roster.StateOf(id));
            _roster.Set(id, state);
        }
    }

    /// <summary>Lets the roster know what stands before a number of the log, but for the transaction of this instant.</summary>
    private void Advance(long sequence, DateTimeOffset? at)
    {
        for (var index = _ofTheSame.Count - 1; index >= 0; index--)
        {
            if (_ofTheSame[index] is var change && change.At != at)
            {
                Know(change.Id, change.State);
                _ofTheSame.RemoveAt(index);
            }
        }
        while (_notYetKnown.TryPeek(out var change) && change.Sequence < sequence)
        {
            _notYetKnown.Dequeue();
            if (change.At == at)
                _ofTheSame.Add((change.Id, change.State, change.At));
            else
                Know(change.Id, change.State);
        }
    }

    private void Know(ResponderId id, ResponderState state)
    {
        if (state.Version > _roster.StateOf(id).Version)
            _roster.Set(id, state);
    }

    /// <returns>What is not as the offer says, or null.</returns>
    /// <param name="suspects">Those that came out better placed than the offer knows: another version of their ledgers may not.</param>
    private string? Decide(Pending offer, out IReadOnlyList<ResponderId> suspects)
    {
        var (made, why) = (offer.Offer, offer.Offer.Explanation);
        var (policy, zones) = (_policies[(int)why.PolicyVersion], _zones[(int)why.ZonesVersion]);
        var plan = why.PlanId is { } id ? Plan.Of(id, _plans[id]) : why.Priced is { } priced ? PricesOf(priced.Version) : null;
        suspects = [];
        Choice choice;
        if (why.Assignment is { } assignment)
        {
            // A person chose; what can be decided again is whether it was allowed to, and who was passed over.
            if (!_roster.TryGet(made.ResponderId, out var named))
                return $"it names {made.ResponderId}, which the log does not have";
            var (forbidden, explained) = Ranker.ExplainAssigned(offer.Match, named, _roster, policy, zones, made.At, assignment);
            if (forbidden is not null)
                return $"{made.ResponderId} may not be asked, not even by hand ({forbidden})";
            choice = new Choice(named, explained);
        }
        else
            choice = Ranker.Rank(offer.Match, _roster, policy, zones, made.At, plan);
        if (choice.Best is not { } best || choice.Explanation is not { } again)
            return $"nobody can be asked ({Ranker.WhyNobody(offer.Match, _roster, policy, zones, made.At).Reason})";
        if (best.Id != made.ResponderId)
        {
            suspects = [best.Id];
            return $"it goes to {best.Id}{Away(again.DistanceMetres)} instead of {made.ResponderId}{Away(why.DistanceMetres)}";
        }
        if (!SameDistance(again.DistanceMetres, why.DistanceMetres))
            return $"the distance is {again.DistanceMetres} m instead of {why.DistanceMetres} m";
        if (again.Priced != why.Priced)
            return $"its price is {again.Priced?.Metres} m instead of {why.Priced?.Metres} m";
        if ((again.Held, again.Capacity) != (why.Held, why.Capacity))
            return $"{best.Id} held {again.Held} of {again.Capacity} places instead of {why.Held} of {why.Capacity}";
        if (again.Weighed != why.Weighed)
            return $"what the policy weighs adds {again.Weighed} instead of {why.Weighed}";
        for (var place = 0; place < Math.Max(again.LeftOut.Count, why.LeftOut.Count); place++)
        {
            var (now, then) = (again.LeftOut.ElementAtOrDefault(place), why.LeftOut.ElementAtOrDefault(place));
            if (now?.ResponderId == then?.ResponderId && now?.Reason == then?.Reason && SameDistance(now?.DistanceMetres, then?.DistanceMetres))
                continue;
            suspects = [.. again.LeftOut.Select(left => left.ResponderId).Except(why.LeftOut.Select(left => left.ResponderId))];
            return $"place {place + 1} of those better placed is {Words(now)} instead of {Words(then)}";
        }
        // Online, the place of one that is not named hangs on how many it held, at a version that nobody wrote down.
        var allNamed = offer.Match.Need!.Mode is DeliveryMode.Offline || why.LeftOut.Count < policy.Policy.MaxCandidatesExplained;
        if (allNamed && again.Rank != why.Rank)
            return $"its rank is {again.Rank} instead of {why.Rank}";
        return null;

        static string Words(LeftOut? left) => left is null ? "nobody" : $"{left.ResponderId}{Away(left.DistanceMetres)}, left out for {left.Reason}";
    }

    private Plan? PricesOf(long version) => _prices.FirstOrDefault(prices => prices.Prices.Version == version).Prices;

    /// <summary>Tries other versions of those that the explanation does not name and that stand in the way.</summary>
    /// <returns>Null when it comes out alike; else what is wrong when nobody stands in the way any more, or what was wrong at first.</returns>
    private string? Retry(Pending offer, string atFirst, List<(ResponderId Id, long)> named, IReadOnlyList<ResponderId> suspects, Action<ResponderId, ResponderState> set)
    {
        var tried = new Dictionary<ResponderId, IEnumerator<ResponderState>>();
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var changed = false;
            foreach (var suspect in suspects.Where(suspect => !named.Exists(one => one.Id == suspect)))
            {
                if (!tried.TryGetValue(suspect, out var versions))
                    tried[suspect] = versions = _ledgers.Seen(suspect, offer.Sequence, offer.Offer.At, HeardWithin).GetEnumerator();
                if (!versions.MoveNext())
                    continue;
                set(suspect, versions.Current);
                changed = true;
            }
            if (!changed)
                return atFirst;
            var problem = Decide(offer, out suspects);
            if (problem is null || suspects.Count == 0)
                return problem;
        }
        return atFirst;
    }

    /// <summary>What else the offer says must follow from the match as it stood.</summary>
    private string? FollowsFromState(Pending offer)
    {
        var made = offer.Offer;
        var expectedId = Round.NextOfferId(offer.Match, offer.NeedId);
        if (made.OfferId != expectedId)
            return $"its id is {made.OfferId} instead of {expectedId}";
        var policy = _policies[(int)made.Explanation.PolicyVersion].Policy;
        var again = made.Explanation.Assignment is null
            ? Match.DecideOffer(offer.Match, policy, made.OfferId, made.ResponderId, made.ResponderKind, made.Explanation, made.At)
            : Match.DecideAssign(offer.Match, policy, made.OfferId, made.ResponderId, made.ResponderKind, made.Explanation, made.At);
        if (again.Refusal is { } refusal)
            return $"the match refuses it ({refusal.Code})";
        var now = (OfferMade)again.Events[0];
        return now.Communication.SequenceEqual(made.Communication) && now with { Communication = made.Communication } == made ? null : "what it asks for, or until when, does not follow from the need and the policy";
    }

    private void Differs(Pending offer, string what) =>
        Differs(offer.Offer.OfferId, offer.NeedId, offer.Sequence, $"Offer {offer.Offer.OfferId} of need {offer.NeedId} (sequence {offer.Sequence}): decided again, {what}.");

    private void Differs(OfferId offerId, NeedId needId, long sequence, string words)
    {
        _different++;
        if (_differences.Count < MaxNamed)
            _differences.Add(new Difference(offerId, needId, sequence, words));
    }

    /// <summary>Another processor's sine may differ in the last bit.</summary>
    private static bool SameDistance(double? a, double? b) => a == b || a is { } one && b is { } other && Math.Abs(one - other) <= 1e-6;

    private static string Away(double? metres) => metres is { } away ? string.Create(CultureInfo.InvariantCulture, $" ({away:0.0} m away)") : "";
}
