using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Assigning;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;

namespace Huzhu.Audit.Replaying;

/// <summary>What is otherwise than it was.</summary>
/// <param name="Policy">From the beginning to the end, instead of those that were in force.</param>
/// <param name="WithoutClosures">Nobody closes, no site is shut and no zone is sealed.</param>
public sealed record Variant(Policy? Policy = null, bool WithoutGroups = false, bool WithoutClosures = false);

/// <summary>
/// The same people asking, on paper: everything that came from outside comes again when it came, responders answer and work
/// as <see cref="Behaviour"/> says, and Matching's own rules decide, in no time. Pure: a history and a variant make one course.
/// </summary>
public sealed class Simulation
{
    private readonly Behaviour _behaviour;
    private readonly Variant _variant;
    private readonly DateTimeOffset _endsAt;
    private readonly Course _course = new();
    private readonly Roster _roster = new();
    private readonly Dictionary<NeedId, MatchState> _matches = [];
    private readonly SortedSet<(int Rank, DateTimeOffset SubmittedAt, Guid NeedId)> _backlog = [];
    private readonly Dictionary<NeedId, (int Rank, DateTimeOffset SubmittedAt, Guid NeedId)> _waiting = [];
    private readonly Dictionary<(NeedId, ResponderId), int> _asked = [];
    private readonly Dictionary<OfferId, (Answer Answer, DateTimeOffset AcceptedAt)> _offers = [];
    private readonly Dictionary<NeedId, TimeSpan> _worked = [];
    private readonly PriorityQueue<Action<DateTimeOffset>, (DateTimeOffset At, long Order)> _agenda = new();
    private PolicyState _policy = PolicyState.Initial;
    private MeasuresState _measures = MeasuresState.Initial;
    private Zones _zones = new(MeasuresState.Initial);
    private long _order;

    private Simulation(Behaviour behaviour, Variant variant, DateTimeOffset endsAt)
    {
        (_behaviour, _variant, _endsAt) = (behaviour, variant, endsAt);
        if (variant.Policy is { } policy)
            _policy = new PolicyState(policy, 1);
    }

    public static Course Run(History history, Behaviour behaviour, Variant variant)
    {
        var simulation = new Simulation(behaviour, variant, history.EndsAt);
        foreach (var input in history.Inputs)
            simulation.At(input.At, at => simulation.Come(input, at));
        while (simulation._agenda.TryDequeue(out var act, out var when))
            act(when.At);
        return simulation._course;
    }

    private void At(DateTimeOffset at, Action<DateTimeOffset> act)
    {
        if (at <= _endsAt)
            _agenda.Enqueue(act, (at, _order++));
    }

    // ---- From outside ----

    private void Come(Input input, DateTimeOffset at)
    {
        switch (input.Event)
        {
            case DirectoryEntry entry:
                Change(ResponderId.Of(input.Stream), entry, at);
                break;
            case PolicyChanged changed when _variant.Policy is null:
                _policy = PolicyState.Evolve(_policy, changed);
                TryBacklog(null, at);
                break;
            case MeasuresEvent measures when !_variant.WithoutClosures:
                _measures = MeasuresState.Evolve(_measures, measures);
                _zones = new Zones(_measures);
                TakeAcrossZones(at);
                TryBacklog(null, at);
                break;
            case MatchEvent said when Heed(input.About, _matches.GetValueOrDefault(NeedId.Of(input.Stream), MatchState.Initial)):
                Decide(NeedId.Of(input.Stream), (state, situation) => Say(state, said, input.About, situation.Now), at);
                break;
        }
    }

    private static bool Heed(ResponderId? about, MatchState state) =>
        about is null || state.Offers.Exists(offer => offer.ResponderId == about && (offer.IsTaken || offer.Status is OfferStatus.Done));

    private static Deciding.Decision<MatchEvent> Say(MatchState state, MatchEvent said, ResponderId? about, DateTimeOffset now) => said switch
    {
        NeedReceived received => Match.DecideReceive(state, received.Need, now),
        Matching.Domain.NeedUrgencyRaised raised => Match.DecideRaiseUrgency(state, raised.Urgency, now),
        Matching.Domain.NeedCancelled cancelled => Match.DecideCancel(state, cancelled.RequestId, cancelled.Reason, cancelled.SaidAt, now),
        Matching.Domain.NeedConfirmed confirmed => Match.DecideConfirm(state, confirmed.RequestId, confirmed.SaidAt, now),
        // Nobody reopens what is on its way.
        Matching.Domain.NeedReopened reopened => about is not null || state.IsOver || state.State is NeedState.OnHold
            ? Match.DecideReopen(state, reopened.Need, reopened.Reason, about is not null, reopened.SaidAt, now)
            : Deciding.Decision<MatchEvent>.Nothing,
        ResponderExcluded excluded => Match.DecideExclude(state, excluded.ResponderId, now),
        NeedHeld held => Match.DecideHold(state, held.RequestId, about, held.SaidAt ?? now, now),
        _ => throw new InvalidOperationException($"{said.GetType().Name} does not come from outside."),
    };

    private void Change(ResponderId id, DirectoryEntry entry, DateTimeOffset at)
    {
        var (profile, opening) = (entry.Profile, entry.Opening);
        if (_variant.WithoutGroups && profile.Kind is ResponderKind.Group)
            return;
        if (_variant.WithoutClosures)
            (profile, opening) = (profile with { Sites = [.. profile.Sites.Select(site => site with { Open = true })] }, opening is Opening.Closed ? Opening.Open : opening);
        var work = new ResponderWork(new ResponderChanged(id, profile.Kind, entry.Version, opening, null, null, profile.Sites, profile.RadiusMetres, profile.SubDistricts,
            profile.ServiceKinds, profile.Modes, profile.CommunicationAbilities, profile.Capacity, profile.ZonePermit, profile.LeaderHasDisability, profile.ManagedBy, at), default);
        Round(at, work.Needs(_roster), round => work.Run(round));
        if (_roster.StateOf(id) is { Opening: not Opening.Open, Held.Count: > 0 } ledger)
        {
            Take(InOrder(ledger.Held.Values.Select(place => (place.NeedId, place.OfferId))), offerId => Sweeps.TakeFrom(id, offerId), at);
        }
        TryBacklog([id], at);
    }

    private void TakeAcrossZones(DateTimeOffset at)
    {
        var held = _roster.All.SelectMany(listing => listing.State.Held.Values.Select(place => (place.NeedId, place.OfferId)));
        var responders = _roster.All.SelectMany(listing => listing.State.Held.Keys.Select(offerId => (offerId, listing.Id))).ToDictionary();
        Take(InOrder(held), offerId => Sweeps.TakeAcrossZone(responders[offerId], offerId), at);
    }

    /// <summary>As the sweeps do: those of many that move are assigned together.</summary>
    private void Take(List<(NeedId NeedId, OfferId OfferId)> places, Func<OfferId, DecideOnMatch> take, DateTimeOffset at)
    {
        var situation = new Situation(_roster, _policy, _zones, at);
        var moving = places.DistinctBy(place => place.NeedId)
            .Where(place => _matches[place.NeedId].Need!.Mode is DeliveryMode.Offline && take(place.OfferId)(_matches[place.NeedId], situation).Events.Count > 0)
            .Select(place => _matches[place.NeedId]).ToList();
        var plan = Planner.AreMany(moving.Count, _policy.Policy) ? Plan.Of(Guid.Empty, Planner.Assign(moving, _roster, _policy, _zones, at).Event) : null;
        foreach (var (needId, offerId) in places)
            Decide(needId, take(offerId), at, plan);
    }

    private List<(NeedId NeedId, OfferId OfferId)> InOrder(IEnumerable<(NeedId NeedId, OfferId OfferId)> places) =>
        [.. places.OrderBy(place => PositionOf(place.NeedId, _matches[place.NeedId]))];

    private static (int Rank, DateTimeOffset SubmittedAt, Guid NeedId) PositionOf(NeedId id, MatchState match) => (-(int)match.Urgency, match.Need!.SubmittedAt, id.Value);

    // ---- Deciding ----

    private void Decide(NeedId id, DecideOnMatch decide, DateTimeOffset at, Plan? plan = null) => TryBacklog(Round(at, [id], round => round.Decide(id, decide, plan)), at);

    /// <returns>Who has places again.</returns>
    private HashSet<ResponderId> Round(DateTimeOffset at, IEnumerable<NeedId> needs, Action<Round> run)
    {
        var round = new Round(new Situation(_roster, _policy, _zones, at));
        foreach (var id in needs)
            round.Know(id, _matches.GetValueOrDefault(id, MatchState.Initial), 0);
        run(round);
        var freed = new HashSet<ResponderId>();
        foreach (var (id, ledger) in round.Ledgers)
        {
            foreach (var (change, _) in ledger.Events)
            {
                _course.Take(id, change);
                if (change is PlaceReleased)
                    freed.Add(id);
            }
        }
        foreach (var (id, match) in round.Matches)
        {
            _matches[id] = match.State;
            foreach (var (change, _) in match.Events)
            {
                _course.Take(id, change);
                Follow(id, change);
            }
            Place(id, match.State);
        }
        return freed;
    }

    private void Place(NeedId id, MatchState match)
    {
        if (_waiting.Remove(id, out var before))
            _backlog.Remove(before);
        if (match.State is not (NeedState.Waiting or NeedState.Escalated))
            return;
        _waiting[id] = PositionOf(id, match);
        _backlog.Add(_waiting[id]);
    }

    /// <summary>Tries what waits again, most urgent then oldest first.</summary>
    /// <param name="responders">Only what one of these could serve, while they have places; null for everything.</param>
    private void TryBacklog(IReadOnlyCollection<ResponderId>? responders, DateTimeOffset at)
    {
        var listings = responders?.Select(id => _roster.TryGet(id, out var listing) ? listing : null).OfType<Listing>().Where(HasPlaces).ToList();
        if (_backlog.Count == 0 || listings is { Count: 0 })
            return;
        // Within one rank the order of the clock stays.
        foreach (var (_, _, needId) in _backlog.OrderBy(one => _policy.Policy.BacklogRank(_matches[NeedId.Of(one.NeedId)].Urgency, at - one.SubmittedAt)).ThenBy(one => one.SubmittedAt).ThenBy(one => one.NeedId).ToList())
        {
            var id = NeedId.Of(needId);
            if (listings is not null)
            {
                listings.RemoveAll(listing => !HasPlaces(listing));
                if (listings.Count == 0)
                    return;
                var match = _matches[id];
                if (!listings.Exists(listing => listing.State.Profile!.Modes.Contains(match.Need!.Mode) && Ranker.CouldServe(match, listing, _policy, _zones, at)))
                    continue;
            }
            Round(at, [id], round => round.Decide(id, Sweeps.Retry));
        }

        static bool HasPlaces(Listing listing) => listing.State is { Opening: Opening.Open, Free: > 0 };
    }

    // ---- What people do then ----

    private void Follow(NeedId id, MatchEvent change)
    {
        var at = change.At;
        switch (change)
        {
            case OfferMade made:
                var time = _asked[(id, made.ResponderId)] = _asked.GetValueOrDefault((id, made.ResponderId)) + 1;
                var answer = _behaviour.AnswerOf(id, made.ResponderId, made.ResponderKind, time);
                _offers[made.OfferId] = (answer, default);
                At(at, now => Decide(id, (state, _) => Match.DecideDelivered(state, made.OfferId, "replay", now, now), now));
                if (answer.Kind is not AnswerKind.StaysSilent)
                    At(at + answer.After, now => Decide(id, (state, _) => Give(state, answer.Kind, made.OfferId, now), now));
                break;
            case OfferSent sent:
                At(sent.ExpiresAt, now => Decide(id, (state, _) => Match.DecideExpire(state, now), now));
                break;
            case OfferAccepted accepted:
                Begin(id, accepted.OfferId, at);
                break;
            case HelpCompleted completed:
                // What is wanted once more takes its time once more.
                _worked.Remove(id);
                _offers.Remove(completed.OfferId);
                break;
            case OfferExpired or OfferUndeliverable:
                At(at + TimeSpan.FromSeconds(_policy.Policy.For(_matches[id].Urgency).AskAgainAfterSeconds), now => Decide(id, Sweeps.Retry, now));
                break;
            case NeedWaits when _matches[id].EscalatesAt(_policy.Policy) is var escalatesAt && escalatesAt > at:
                At(escalatesAt, now => Decide(id, Sweeps.Retry, now));
                break;
        }
        if (change is OfferEnding ending && _offers.Remove(ending.OfferId, out var offer) && offer.AcceptedAt != default)
            _worked[id] = _worked.GetValueOrDefault(id) + (at - offer.AcceptedAt);
    }

    private static Deciding.Decision<MatchEvent> Give(MatchState state, AnswerKind kind, OfferId offerId, DateTimeOffset now) => kind switch
    {
        AnswerKind.Accepts => Match.DecideAccept(state, offerId, now),
        AnswerKind.Declines => Match.DecideDecline(state, offerId, DeclineReason.Other, now),
        AnswerKind.IsNotReached => Match.DecideUndeliverable(state, offerId, "replay", now),
        AnswerKind.StaysSilent => Deciding.Decision<MatchEvent>.Nothing,
    };

    /// <summary>Help that was begun goes on where it stopped, whoever gives it next.</summary>
    private void Begin(NeedId id, OfferId offerId, DateTimeOffset at)
    {
        var answer = _offers[offerId].Answer;
        _offers[offerId] = (answer, at);
        var left = _behaviour.WorkOf(id, _matches[id].Need!.Kind) - _worked.GetValueOrDefault(id);
        left = left > TimeSpan.Zero ? left : TimeSpan.Zero;
        if (answer.StartedAfter is { } started && started < left)
            At(at + started, now => Decide(id, (state, _) => Match.DecideStart(state, offerId, now), now));
        if (answer.ReleasedAfter is { } released && released < left)
            At(at + released, now => Decide(id, (state, _) => Match.DecideRelease(state, offerId, "replay", now), now));
        else
            At(at + left, now => Decide(id, (state, _) => Match.DecideComplete(state, offerId, null, now), now));
    }
}
