using Huzhu.Contracts;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// The same needs, the same providers, the same closure, worked out on paper: who would have been helped if there had
/// been no groups. Nobody declines here, nothing is silent and a match takes no time, so it flatters the world without
/// groups. With groups it is the plausibility check of the run itself.
/// </summary>
public static class Counterfactual
{
    /// <param name="Waiting">How many needs nobody had, after each day on which that changed.</param>
    public sealed record Outcome(IReadOnlyList<NeedOutcome> Needs, int HeldAtClosure, IReadOnlyList<(double Day, int Count)> Waiting)
    {
        public double MetShare(Phase phase) => Needs.Where(need => need.Phase == phase).Select(need => need.Met ? 1.0 : 0.0).DefaultIfEmpty(0).Average();
    }

    /// <param name="FulfilledDay">Null when it was not by the end of the run.</param>
    /// <param name="Met">Fulfilled, and never without a responder for longer than the calendar's patience in all.</param>
    public sealed record NeedOutcome(string RequestKey, int Index, Phase Phase, double ArrivalDay, double? FulfilledDay, double WaitedDays, bool Met);

    static uint Mask<T>(IEnumerable<T> words, Func<T, bool> holds) =>
        words.Select((word, bit) => holds(word) ? 1u << bit : 0).Aggregate(0u, (mask, bit) => mask | bit);

    public static Outcome Run(Scenario scenario, bool withGroups) => new Simulation(scenario, withGroups).Run();

    sealed class Responder(ScenarioResponder entry, int order)
    {
        public ScenarioResponder Entry { get; } = entry;
        public int Order { get; } = order;
        public bool Open { get; set; } = true;
        public HashSet<Need> Held { get; } = [];
        public uint Kinds { get; } = Mask(ServiceKinds.All, kind => entry.ServiceKinds.Any(given => ServiceKinds.Covers(given, kind)));
        public uint Modes { get; } = Mask(Enum.GetValues<DeliveryMode>(), entry.Modes.Contains);
        public uint Abilities { get; } = Mask(Enum.GetValues<CommunicationNeed>(), entry.Abilities.Contains);
        public bool HasFreePlace => Open && Held.Count < Entry.Capacity;
        public double Load => Held.Count / (double)Math.Max(1, Entry.Capacity);
    }

    sealed class Need(ScenarioRequest request, int index)
    {
        public ScenarioRequest Request { get; } = request;
        public ScenarioNeed Asked { get; } = request.Needs[index];
        public int Index { get; } = index;
        public uint Kind { get; } = Mask(ServiceKinds.All, kind => kind == request.Needs[index].Kind);
        public uint Mode { get; } = Mask(Enum.GetValues<DeliveryMode>(), mode => mode == request.Needs[index].Mode);
        public uint Communication { get; } = Mask(Enum.GetValues<CommunicationNeed>(), request.Communication.Contains);
        public double WorkLeftDays { get; set; } = request.Needs[index].WorkDays;
        public double WaitingSince { get; set; } = request.ArrivalDay;
        public double WaitedDays { get; set; }
        public double? HeldSince { get; set; }
        public Responder? HeldBy { get; set; }
        public double? FulfilledDay { get; set; }
        public bool Ended { get; set; }
        public int Attempt { get; set; }
    }

    enum What { Reopening, Completion, Closure, Cancel, Arrival }

    sealed class Simulation
    {
        readonly Scenario _scenario;
        readonly Calendar _calendar;
        readonly List<Responder> _responders;
        readonly List<Need> _needs = [];
        readonly PriorityQueue<(What What, Need? Need, int Attempt), (double Day, int Order, int Sequence)> _agenda = new();
        readonly SortedSet<Need> _backlog = new(Comparer<Need>.Create((left, right) =>
            (-(int)left.Request.Urgency, left.Request.ArrivalDay, left.Request.Key, left.Index)
                .CompareTo((-(int)right.Request.Urgency, right.Request.ArrivalDay, right.Request.Key, right.Index))));
        bool _sealed;
        int _heldAtClosure;
        readonly List<(double Day, int Count)> _waiting = [];
        int _sequence;

        public Simulation(Scenario scenario, bool withGroups)
        {
            _scenario = scenario;
            _calendar = scenario.Calendar;
            _responders = [.. scenario.Responders.Where(responder => withGroups || responder.IsProvider)
                .OrderBy(responder => responder.Id).Select((responder, index) => new Responder(responder, index))];
        }

        public Outcome Run()
        {
            foreach (var request in _scenario.Requests)
                for (var index = 0; index < request.Needs.Count; index++)
                {
                    var need = new Need(request, index);
                    _needs.Add(need);
                    // A repeated call is linked to the first: it asks for no second helper.
                    if (request.RepeatsKey is not null)
                    {
                        need.Ended = true;
                        continue;
                    }
                    At(request.ArrivalDay, What.Arrival, need);
                    if (request.CancelAfterDays is { } after)
                        At(request.ArrivalDay + after, What.Cancel, need);
                }
            At(_calendar.ClosureDay, What.Closure, null);
            At(_calendar.ReopeningDay, What.Reopening, null);

            while (_agenda.TryDequeue(out var next, out var when) && when.Day <= _calendar.EndDay)
            {
                Happen(next.What, next.Need, next.Attempt, when.Day);
                if (_waiting.Count == 0 || _waiting[^1].Count != _backlog.Count)
                    _waiting.Add((when.Day, _backlog.Count));
            }

            var firsts = _needs.Where(need => need.Request.RepeatsKey is null && need.Index == 0).ToDictionary(need => need.Request.Key);
            return new Outcome([.. _needs.Select(need =>
            {
                // The same person, the same need: it is met when the need that it repeats is.
                var told = need.Request.RepeatsKey is { } key ? firsts[key] : need;
                var met = told.FulfilledDay is not null && told.WaitedDays <= _calendar.PatienceDays;
                return new NeedOutcome(need.Request.Key, need.Index, _calendar.PhaseOf(need.Request.ArrivalDay),
                    need.Request.ArrivalDay, told.FulfilledDay, told.WaitedDays, met);
            })], _heldAtClosure, _waiting);
        }

        void At(double day, What what, Need? need) => _agenda.Enqueue((what, need, need?.Attempt ?? 0), (day, (int)what, _sequence++));

        void Happen(What what, Need? need, int attempt, double day)
        {
            switch (what)
            {
                case What.Arrival:
                    Match(need!, day);
                    break;
                case What.Cancel when !need!.Ended:
                    need.Ended = true;
                    _backlog.Remove(need);
                    Leave(need, day);
                    break;
                case What.Completion when !need!.Ended && need.Attempt == attempt:
                    need.FulfilledDay = day;
                    need.Ended = true;
                    Leave(need, day);
                    break;
                case What.Closure:
                    _sealed = _scenario.MeasureArea is not null;
                    var providers = _responders.Where(responder => responder.Entry.IsProvider).ToList();
                    var held = providers.SelectMany(provider => provider.Held)
                        .OrderByDescending(one => one.Request.Urgency).ThenBy(one => one.Request.ArrivalDay).ToList();
                    _heldAtClosure = held.Count;
                    foreach (var provider in providers)
                        provider.Open = false;
                    foreach (var one in held)
                        Release(one, day);
                    foreach (var one in held)
                        Match(one, day);
                    break;
                case What.Reopening:
                    _sealed = false;
                    foreach (var provider in _responders)
                        provider.Open = true;
                    foreach (var one in _backlog.ToList())
                        Match(one, day);
                    break;
                case What.Cancel or What.Completion:
                    break;
            }
        }

        void Match(Need need, double day)
        {
            if (Best(need) is not { } chosen)
            {
                _backlog.Add(need);
                return;
            }
            _backlog.Remove(need);
            need.WaitedDays += day - need.WaitingSince;
            need.HeldSince = day;
            need.HeldBy = chosen;
            need.Attempt++;
            chosen.Held.Add(need);
            At(day + need.WorkLeftDays, What.Completion, need);
        }

        /// <summary>The responder goes; help that was begun goes on where it stopped.</summary>
        static void Release(Need need, double day)
        {
            need.WorkLeftDays = Math.Max(0.5, need.WorkLeftDays - (day - need.HeldSince!.Value));
            need.HeldBy!.Held.Remove(need);
            need.HeldBy = null;
            need.HeldSince = null;
            need.WaitingSince = day;
            need.Attempt++;
        }

        void Leave(Need need, double day)
        {
            if (need.HeldBy is not { } responder)
                return;
            responder.Held.Remove(need);
            need.HeldBy = null;
            if (!responder.HasFreePlace)
                return;
            if (_backlog.FirstOrDefault(waiting => Serves(responder, waiting)) is { } next)
                Match(next, day);
        }

        Responder? Best(Need need)
        {
            Responder? best = null;
            (bool, bool, double, int) bestRank = default;
            foreach (var responder in _responders)
            {
                if (!responder.HasFreePlace || !Serves(responder, need))
                    continue;
                var distance = need.Asked.Mode == DeliveryMode.Offline
                    ? Distance(responder.Entry, need.Request.Place)
                    : (responder.Entry.Sites.Any(site => site.SubDistrict == need.Request.SubDistrict) ? 0 : 1) + Math.Min(0.999, responder.Load);
                var rank = (responder.Entry.Id != need.Request.OwnGroupId, !responder.Entry.IsProvider, distance, responder.Order);
                if (best is null || rank.CompareTo(bestRank) < 0)
                    (best, bestRank) = (responder, rank);
            }
            return best;
        }

        bool Serves(Responder responder, Need need)
        {
            var entry = responder.Entry;
            if ((responder.Kinds & need.Kind) == 0 || (responder.Modes & need.Mode) == 0
                || (responder.Abilities & need.Communication) != need.Communication
                || (entry.SubDistricts.Count > 0 && !entry.SubDistricts.Contains(need.Request.SubDistrict ?? "")))
                return false;
            if (need.Asked.Mode == DeliveryMode.Online)
                return true;
            if (entry.RadiusMetres is { } radius && Distance(entry, need.Request.Place) > radius)
                return false;
            return !_sealed || entry.ZonePermit
                || entry.Sites.Any(site => Geometry.Contains(_scenario.MeasureArea!, site.Place)) == Geometry.Contains(_scenario.MeasureArea!, need.Request.Place);
        }

        static double Distance(ScenarioResponder entry, GeoPoint place) => entry.Sites.Min(site => Geometry.DistanceMetres(site.Place, place));
    }
}
