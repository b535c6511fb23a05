using CsCheck;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching;
using Huzhu.Matching.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

/// <summary>
/// Random histories through what decides in production, batch by batch, without a database: at every version of every
/// stream the promises hold.
/// </summary>
public class HistoryTests
{
    private const int Needs = 5, Responders = 4;

    private static readonly Gen<(int What, int Need, int Offer, int Responder, int Value, int Minutes)> Step =
        Gen.Select(Gen.Int[0, 16], Gen.Int[0, Needs - 1], Gen.Int[0, 3], Gen.Int[1, Responders], Gen.Int[0, 4], Gen.Int[0, 600]);

    [Fact]
    public void whatever_happens_no_place_is_given_twice_and_no_need_is_lost() =>
        Step.Array[1, 60].Sample(steps => Run(steps), iter: 3_000);

    private static bool Run((int What, int Need, int Offer, int Responder, int Value, int Minutes)[] steps)
    {
        var world = new World();
        foreach (var responder in Enumerable.Range(1, Responders))
            world.Do(new ResponderWork(Entry(responder, 1, 1 + responder % 2, Opening.Open), default));
        foreach (var batch in steps.Chunk(3))
        {
            world.Now = world.Now.AddMinutes(batch[0].Minutes);
            world.Do([.. batch.Select(step => WorkOf(step, world)).OfType<Work>()]);
            world.Check();
        }
        return true;
    }

    private static Work? WorkOf((int What, int Need, int Offer, int Responder, int Value, int Minutes) step, World world)
    {
        var need = Need((Urgency)(step.Need % 4), quantity: 1 + step.Need % 3, communication: step.Need == 4 ? [CommunicationNeed.SignLanguage] : [], id: 10 + step.Need);
        var offers = world.StateOf(need.NeedId).Offers;
        var offer = offers.Count == 0 ? O1 : offers[Math.Max(0, offers.Count - 1 - step.Offer)].Id;
        var said = world.Now.AddSeconds(step.Value);
        DecideOnMatch? decide = step.What switch
        {
            0 or 1 or 2 => (state, now) => Match.DecideReceive(state, need, now.Now),
            3 or 4 => (state, now) => Match.DecideAccept(state, offer, now.Now),
            5 => (state, now) => Match.DecideDecline(state, offer, (DeclineReason)step.Value, now.Now),
            6 => (state, now) => Match.DecideStart(state, offer, now.Now),
            7 => (state, now) => Match.DecideComplete(state, offer, step.Value == 0 ? null : step.Value, now.Now),
            8 => (state, now) => Match.DecideRelease(state, offer, "ill", now.Now),
            9 => (state, now) => Match.DecideExpire(state, now.Now),
            10 => (state, now) => Match.DecideUndeliverable(state, offer, "no-channel", now.Now),
            11 => (state, now) => Match.DecideCancel(state, need.RequestId, "solved", said, now.Now),
            12 => (state, now) => Match.DecideConfirm(state, need.RequestId, said, now.Now),
            13 => (state, now) => Match.DecideReopen(state, need, "again", step.Value % 2 == 0, said, now.Now),
            14 => (state, now) => step.Value < 3 ? Match.DecideRaiseUrgency(state, (Urgency)step.Value, now.Now) : Match.DecideHold(state, need.RequestId, null, said, now.Now),
            15 => Sweeps.Retry,
            _ => null,
        };
        return decide is not null
            ? new NeedWork(need.NeedId, decide, Lane.Normal, default)
            : new ResponderWork(Entry(step.Responder, world.NextVersion(), step.Value, (Opening)(step.Offer % 4)), default);
    }

    private static ResponderChanged Entry(int id, long version, int capacity, Opening opening) => new(
        Responder(id), id % 2 == 0 ? ResponderKind.Provider : ResponderKind.Group, version, opening, null, null, [new Site(new GeoPoint(31.22 + id * 0.001, 121.44), "J")],
        null, [], [ServiceKinds.Meals], [DeliveryMode.Offline], id == 1 ? [CommunicationNeed.SignLanguage] : [], capacity, false, null, [], Now);

    /// <summary>The streams, as a database would keep them, and one decision loop's worth of memory.</summary>
    private sealed class World
    {
        private readonly Dictionary<NeedId, List<MatchEvent>> _matches = [];
        private readonly Dictionary<ResponderId, List<ResponderEvent>> _ledgers = [];
        private readonly Roster _roster = new();
        private long _version = 1;

        public DateTimeOffset Now { get; set; } = Make.Now;

        public long NextVersion() => ++_version;

        public MatchState StateOf(NeedId id) => _matches.GetValueOrDefault(id, []).Aggregate(MatchState.Initial, MatchState.Evolve);

        public void Do(params Work[] batch)
        {
            var round = new Round(new Situation(_roster, new PolicyState(Policy.Default, 1), new Zones(MeasuresState.Initial), Now));
            foreach (var id in batch.SelectMany(work => work.Needs(_roster)).Concat(_matches.Keys).Distinct())
                round.Know(id, StateOf(id), _matches.GetValueOrDefault(id, []).Count);
            foreach (var work in batch)
                work.Run(round);
            foreach (var (id, part) in round.Matches)
            {
                if (part.Events.Count == 0)
                    continue;
                var stream = _matches.TryGetValue(id, out var known) ? known : _matches[id] = [];
                Assert.Equal(part.Version, stream.Count);
                stream.AddRange(part.Events.Select(change => change.Event));
                Assert.All(part.Events, change => Publishing.Of(id, 1, change.Event));
            }
            foreach (var (id, part) in round.Ledgers)
            {
                var stream = _ledgers.TryGetValue(id, out var known) ? known : _ledgers[id] = [];
                Assert.Equal(part.Version, stream.Count);
                stream.AddRange(part.Events.Select(change => change.Event));
            }
        }

        public void Check()
        {
            var held = new HashSet<OfferId>();
            foreach (var (id, stream) in _ledgers)
            {
                var state = ResponderState.Initial;
                foreach (var change in stream)
                {
                    var before = state;
                    state = ResponderState.Evolve(state, change);
                    Assert.True(state.Held.Count <= state.Capacity, $"{id} holds {state.Held.Count} of {state.Capacity} at version {state.Version}.");
                    Assert.False(before.Opening is Opening.Closed && state.Opening is not Opening.Closed && state.Held.Count > 0, $"{id} ends its closure with needs in hand.");
                    Assert.False(change is PlaceHeld && before.Opening is not Opening.Open, $"{id} is given a need while {before.Opening}.");
                }
                Assert.Equal((state.Version, state.Held.Count, state.Opening), (_roster.StateOf(id).Version, _roster.StateOf(id).Held.Count, _roster.StateOf(id).Opening));
                held.UnionWith(state.Held.Keys);
            }
            var holding = new HashSet<OfferId>();
            foreach (var (id, stream) in _matches)
            {
                var state = MatchState.Initial;
                foreach (var change in stream)
                {
                    state = MatchState.Evolve(state, change);
                    Assert.True(state.Offers.Count(offer => offer.IsTaken) <= 1, $"{id} is in two hands after {change}.");
                }
                holding.UnionWith(state.Offers.Where(offer => offer.HoldsPlace).Select(offer => offer.Id));
                var settled = state.State switch
                {
                    NeedState.Open => state.Need is null,
                    NeedState.Offered => state.OpenOffers.Any() && state.Taken is null,
                    NeedState.Accepted or NeedState.Started => state.Taken is not null && !state.OpenOffers.Any(),
                    NeedState.Waiting or NeedState.Escalated => !string.IsNullOrEmpty(state.Reason) && !state.Offers.Exists(offer => offer.HoldsPlace),
                    NeedState.Fulfilled => state.Remaining == 0 && !state.Offers.Exists(offer => offer.HoldsPlace),
                    NeedState.Closed or NeedState.Cancelled or NeedState.OnHold => !state.Offers.Exists(offer => offer.HoldsPlace),
                    _ => false,
                };
                Assert.True(settled, $"{id} is left {state.State} with {string.Join(", ", state.Offers.Select(offer => offer.Status))}.");
            }
            Assert.True(held.SetEquals(holding), "Places and offers do not agree.");
        }
    }
}
