using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.ServiceDefaults;
using NotificationsV1 = Huzhu.Contracts.Notifications.V1;
using RequestsV1 = Huzhu.Contracts.Requests.V1;

namespace Huzhu.Tests.Unit.Simulated;

/// <summary>What is broken on purpose, to see that the judge finds it.</summary>
[Flags]
internal enum Defect
{
    None = 0,

    /// <summary>The stores append without looking at expected versions.</summary>
    NoExpectedVersions = 1,

    /// <summary>The relay writes down that it has told a page before it has.</summary>
    TellsBeforePublishing = 2,

    /// <summary>A notification's id does not come from its cause.</summary>
    ForgetsCauses = 4,
}

/// <summary>
/// Three services, two replicas of Matching among them, on a broker, databases and a clock that exist only here. One seed
/// decides who moves next, what is lost, doubled, delayed, whose clock is an hour off, and who dies between which two steps. At the end nothing goes
/// wrong any more and all comes to rest.
/// </summary>
internal sealed class World
{
    public static readonly GeoPoint Centre = new(31.22, 121.44);
    private const int MostStepsToRest = 20_000;

    private readonly Relay[] _relays;
    private readonly SimulatedProcess[] _processes;
    private readonly List<(Guid Id, ResponderChanged Entry)> _entries = [];
    private int _ids;

    public World(ulong seed, Defect defects = Defect.None)
    {
        Chance = new Chance(seed);
        ForgetsCauses = defects.HasFlag(Defect.ForgetsCauses);
        var checksVersions = !defects.HasFlag(Defect.NoExpectedVersions);
        (Requests, Matching, Notifications) = (new(1, checksVersions), new(2, checksVersions), new(3, checksVersions));
        Bus = new SimulatedBus(Chance, Faults);
        Bind();
        RequestsService = new RequestsProcess(this);
        MatchingService = [new MatchingProcess(this), new MatchingProcess(this)];
        _notifications = new NotificationsProcess(this);
        _processes = [RequestsService, .. MatchingService, _notifications];
        People = new People(this);
        var early = defects.HasFlag(Defect.TellsBeforePublishing);
        _relays =
        [
            new Relay(this, Requests, stored => Huzhu.Requests.Publishing.Map((Huzhu.Requests.Domain.RequestEvent)stored.Event,
                RequestsProcess.Fold(Requests.Read(stored.Stream).Take((int)stored.Version))), early),
            new Relay(this, Matching, stored => stored.Event is MatchEvent change ? Huzhu.Matching.Publishing.Of(NeedId.Of(stored.Stream), stored.Version, change) : [], early),
            new Relay(this, Notifications, stored => Huzhu.Notifications.Publishing.Of(stored.Event), early),
        ];
        foreach (var id in Responders)
            Change(id, first: true);
    }

    private readonly NotificationsProcess _notifications;

    public Chance Chance { get; }
    public Faults Faults { get; } = new();
    public SimulatedLog Requests { get; }
    public SimulatedLog Matching { get; }
    public SimulatedLog Notifications { get; }
    public SimulatedBus Bus { get; }
    public RequestsProcess RequestsService { get; }
    public MatchingProcess[] MatchingService { get; }
    public People People { get; }
    public PolicyState Policy { get; } = new(Huzhu.Matching.Domain.Policy.Default, 1);
    public Zones Zones { get; } = new(MeasuresState.Initial);
    public DateTimeOffset Now { get; private set; } = new(2022, 4, 1, 8, 0, 0, TimeSpan.Zero);
    public bool ForgetsCauses { get; }
    public IReadOnlyList<ResponderId> Responders { get; } = [.. Enumerable.Range(1, 3).Select(number => ResponderId.Of(new Guid(number, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)))];
    public List<NeedId> Needs { get; } = [];
    public Dictionary<NotificationId, int> Sent { get; } = [];
    public IReadOnlyList<SimulatedLog> Logs => [Requests, Matching, Notifications];
    public int Steps { get; private set; }

    /// <summary>How far the backlog's subscription has read Matching's log, and whether a replica is at it.</summary>
    public int BacklogTold { get; set; }
    public bool SomebodyTries { get; set; }

    public Guid NewId() => new(++_ids, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    /// <summary>The newest entry of a responder that the directory has told.</summary>
    public ResponderChanged EntryOf(ResponderId id) => _entries.Where(entry => entry.Entry.ResponderId == id).MaxBy(entry => entry.Entry.Version).Entry;

    public IEnumerable<(Guid Id, object Message)> Expected() => _relays.SelectMany(relay => relay.Expected()).Concat(_entries.Select(entry => (entry.Id, (object)entry.Entry)));

    /// <returns>What does not hold at the end; empty when all does.</returns>
    public IReadOnlyList<string> Run(int steps)
    {
        try
        {
            for (var step = 0; step < steps; step++)
                Step();
            return ComeToRest() ? Judge.Of(this) : ["It does not come to rest."];
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or KeyNotFoundException)
        {
            return [$"It breaks: {exception}"];
        }
    }

    private void Bind()
    {
        Bus.Bind<RequestsV1.NeedSubmitted>("matching");
        Bus.Bind<RequestsV1.LifeThreateningNeedSubmitted>("matching");
        Bus.Bind<RequestsV1.NeedUrgencyRaised>("matching");
        Bus.Bind<RequestsV1.NeedCancelled>("matching");
        Bus.Bind<RequestsV1.NeedConfirmed>("matching");
        Bus.Bind<RequestsV1.NeedReopened>("matching");
        Bus.Bind<RequestsV1.ConcernRaised>("matching");
        Bus.Bind<ResponderChanged>("matching");
        Bus.Bind<NotificationsV1.OfferDelivered>("matching");
        Bus.Bind<NotificationsV1.OfferUndeliverable>("matching");
        Bus.Bind<NeedStateChanged>("requests");
        Bus.Bind<NeedStateChanged>("notifications");
        Bus.Bind<Huzhu.Contracts.Matching.V1.OfferMade>("notifications");
        Bus.Bind<Huzhu.Contracts.Matching.V1.OfferAccepted>("notifications");
        Bus.Bind<OfferEnded>("notifications");
    }

    private void Step()
    {
        Steps++;
        foreach (var process in _processes)
            process.Idle();
        switch (Chance.Below(100))
        {
            case < 45:
                var process = Chance.Pick(_processes);
                if (process.Busy > 0)
                    process.Step(Chance.Below(process.Busy));
                break;
            case < 62:
                Deliver();
                break;
            case < 78:
                Chance.Pick(_relays).Step();
                break;
            case < 86:
                People.DoSomething();
                break;
            case < 90:
                People.Continue();
                break;
            case < 92:
                Chance.Pick(MatchingService).Tail();
                break;
            case < 95:
                Fire(all: false);
                break;
            case < 97:
                Now = Now.AddSeconds(1 + Chance.Below(Chance.OneIn(4) ? 7200 : 60));
                var stepped = Chance.Pick(_processes);
                // Forwards and back, but not under the hands of a timer that has just fired.
                if (Chance.OneIn(4) && stepped.Busy == 0)
                    stepped.Skew = TimeSpan.FromSeconds(Chance.Below(7200) - 3600);
                break;
            case < 98:
                Change(Chance.Pick(Responders), first: false);
                break;
            default:
                Crash();
                break;
        }
    }

    private bool ComeToRest()
    {
        Faults.On = false;
        // Clocks are set right without a step back: time has passed meanwhile.
        Now += TimeSpan.FromHours(1);
        foreach (var process in _processes)
            process.Skew = TimeSpan.Zero;
        var sweeps = 0;
        for (var step = 0; step < MostStepsToRest; step++)
        {
            Steps++;
            var moved = People.AnswerAll() | People.Continue();
            foreach (var process in _processes)
            {
                process.Idle();
                for (var which = process.Busy - 1; which >= 0; which--)
                    moved |= which < process.Busy && process.Step(which);
            }
            foreach (var replica in MatchingService)
                replica.Tail();
            foreach (var relay in _relays)
                moved |= relay.Step();
            while (Deliver())
                moved = true;
            moved |= Fire(all: true);
            if (moved)
                continue;
            if (Logs.SelectMany(log => log.Timers).Select(timer => (DateTimeOffset?)timer.DueAt).Min() is { } next)
            {
                Now = next > Now ? next : Now;
                sweeps = 0;
            }
            else if (++sweeps <= 3)
            {
                // What the net below the events catches, it has caught by then.
                Now = Now.AddSeconds(61);
            }
            else
            {
                return Bus.Waiting.Count == 0 && !People.AreBusy;
            }
        }
        return false;
    }

    private bool Deliver()
    {
        if (Bus.Take() is not { } delivery)
            return false;
        SimulatedProcess process = delivery.Queue switch { "requests" => RequestsService, "matching" => Chance.Pick(MatchingService), _ => _notifications };
        process.Receive(delivery);
        return true;
    }

    private bool Fire(bool all)
    {
        var fired = false;
        foreach (var (log, process) in new (SimulatedLog, Func<SimulatedProcess>)[] { (Matching, () => Chance.Pick(MatchingService)), (Notifications, () => _notifications) })
        {
            var taker = process();
            foreach (var timer in log.Timers.Where(timer => !timer.IsTaken && timer.DueAt <= taker.Now).Take(all ? int.MaxValue : 1))
            {
                timer.IsTaken = true;
                taker.Fire(timer);
                fired = true;
            }
        }
        return fired;
    }

    private void Crash()
    {
        switch (Chance.Below(_processes.Length + 1))
        {
            case 0:
                RequestsService.Crash();
                _relays[0].Crash();
                break;
            case 1 or 2:
                Chance.Pick(MatchingService).CrashLeader();
                _relays[1].Crash();
                break;
            case 3:
                _notifications.Crash();
                _relays[2].Crash();
                break;
            default:
                // The broker: what it delivered and nobody has acknowledged comes again.
                foreach (var delivery in Bus.Waiting)
                    delivery.IsTaken = false;
                break;
        }
    }

    private void Change(ResponderId id, bool first)
    {
        var number = Responders.ToList().IndexOf(id) + 1;
        var entry = new ResponderChanged(id, number == 2 ? ResponderKind.Provider : ResponderKind.Group, _entries.Count(entry => entry.Entry.ResponderId == id) + 1,
            first ? Opening.Open : (Opening)Chance.Below(4), null, null, [new Site(new GeoPoint(31.22 + number * 0.001, 121.44), "J")], null, [], [ServiceKinds.Meals],
            [DeliveryMode.Offline], number == 1 ? [CommunicationNeed.SignLanguage] : [], first ? 1 + number % 2 : Chance.Below(3), false, null, [], Now);
        var messageId = NewId();
        _entries.Add((messageId, entry));
        Bus.Publish(messageId, entry);
    }
}

/// <summary>Tells the bus what the log holds: page by page, each message at least once, then writes down how far it is.</summary>
internal sealed class Relay(World world, SimulatedLog log, Func<Stored, IReadOnlyList<object>> map, bool early)
{
    private IEnumerator<bool>? _page;

    public void Crash() => _page = null;

    public bool Step()
    {
        if (_page is null && log.Told < log.All.Count)
            _page = Page().GetEnumerator();
        if (_page is null)
            return false;
        if (!_page.MoveNext())
            _page = null;
        return true;
    }

    public IEnumerable<(Guid Id, object Message)> Expected() => log.All.SelectMany(MessagesOf);

    private IEnumerable<(Guid Id, object Message)> MessagesOf(Stored stored) =>
        map(stored).Select((message, index) => (index == 0 ? stored.Id : DeterministicId.Of(stored.Id, index.ToString(System.Globalization.CultureInfo.InvariantCulture)), message));

    private IEnumerable<bool> Page()
    {
        var page = log.All.Skip(log.Told).Take(1 + world.Chance.Below(10)).ToList();
        var messages = page.SelectMany(MessagesOf).ToList();
        if (early)
            log.Told += page.Count;
        yield return true;
        while (messages.Count > 0)
        {
            var message = world.Chance.Pick(messages);
            var fate = world.Faults.On ? world.Chance.Below(10) : 9;
            // 0: lost on the way; 1: the confirmation is lost. Either way it is published again.
            if (fate > 0)
                world.Bus.Publish(message.Id, message.Message);
            if (fate > 1)
                messages.Remove(message);
            yield return true;
        }
        if (!early)
            log.Told += page.Count;
    }
}
