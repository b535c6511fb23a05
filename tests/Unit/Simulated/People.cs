using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.Notifications.Domain;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Tests.Unit.Simulated;

internal enum Word { Submit, Cancel, Confirm, Dispute, Reopen, Concern, Accept, Decline, Complete, Release }

/// <summary>What somebody was answered with a 2xx: a promise that the logs must keep.</summary>
internal sealed record Promise(Word Word, Guid Subject);

/// <summary>Those who call: front ends that repeat a call until it is answered, coordinators who say yes or no, people who change their mind.</summary>
internal sealed class People(World world)
{
    private static readonly Protected Words = new("Y2lwaGVydGV4dA==");
    private const int Persons = 3;

    private readonly List<Attempt> _attempts = [];
    private readonly List<Request> _requests = [];
    private readonly Dictionary<OfferId, Told> _offers = [];

    public List<Promise> Promises { get; } = [];
    public IEnumerable<(RequestId Id, IReadOnlyList<NeedId> Needs, bool Accepted)> Requests => _requests.Select(request => (request.Id, request.Needs, request.Accepted));
    public bool AreBusy => _attempts.Count > 0;

    private sealed record Request(RequestId Id, PersonId Person, IReadOnlyList<NeedId> Needs)
    {
        public bool Accepted { get; set; }
    }

    private sealed record Told(OfferId Id, NeedId Need)
    {
        public OfferStatus Status { get; set; } = OfferStatus.Sent;
        public bool Asked { get; set; }
    }

    private sealed class Attempt(Func<(SimulatedProcess, IEnumerable<bool>)> call, Action answered)
    {
        public Call? Now { get; private set; }
        public void Send()
        {
            var (process, work) = call();
            process.Serve(Now = new Call(work));
        }
        public void Answer() => answered();
    }

    /// <summary>A message reached its receiver; an offer's tells a coordinator what there is to answer.</summary>
    public void Hear(NotificationId id, NotificationRequested request)
    {
        world.Sent[id] = world.Sent.GetValueOrDefault(id) + 1;
        if (request is { Message: MessageKind.OfferMade, OfferId: { } offer })
            _offers.TryAdd(offer, new Told(offer, request.NeedId));
    }

    /// <summary>Goes on with calls that have no answer yet.</summary>
    public bool Continue()
    {
        var moved = false;
        foreach (var attempt in _attempts.ToList())
        {
            switch (attempt.Now?.Fate)
            {
                case null or Fate.Lost:
                    attempt.Send();
                    moved = true;
                    break;
                case Fate.Answered:
                    _attempts.Remove(attempt);
                    attempt.Answer();
                    moved = true;
                    break;
                case Fate.Pending:
                    break;
            }
        }
        return moved;
    }

    public void DoSomething()
    {
        switch (world.Chance.Below(10))
        {
            case < 3:
                Submit();
                break;
            case < 5 when _requests.Count > 0:
                Say();
                break;
            default:
                Answer(honest: false);
                break;
        }
    }

    /// <summary>Every coordinator takes what is offered and does it.</summary>
    public bool AnswerAll()
    {
        var any = false;
        while (Answer(honest: true))
            any = true;
        return any;
    }

    private void Submit()
    {
        var chance = world.Chance;
        if (_requests.Count >= 4)
            return;
        var person = new PersonId(new Guid(1 + chance.Below(Persons), 5, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        var id = new RequestId(world.NewId());
        var older = chance.OneIn(3) ? _requests.FindLast(request => request.Person == person && request.Accepted) : null;
        var needs = Enumerable.Range(0, older is null && chance.OneIn(4) ? 2 : 1)
            .Select(_ => new AskedNeed(NeedId.Of(world.NewId()), ServiceKinds.Meals, DeliveryMode.Offline, 1 + chance.Below(2), null)).ToList();
        IReadOnlyList<CommunicationNeed> communication = chance.OneIn(6) ? [CommunicationNeed.SignLanguage] : [];
        var content = new IntakeContent(World.Centre, "J", needs, (Urgency)chance.Below(4), communication, null, new Consent("explicit", world.Now), true, [], Words, Words);
        var submitted = new RequestSubmitted(id, person, person, "hotline", $"call-{_requests.Count}", "phone", world.Now, null, content, "fingerprint", "intake", world.Now);
        var request = new Request(id, person, [.. needs.Select(need => need.NeedId)]);
        _requests.Add(request);
        world.Needs.AddRange(request.Needs);
        Ask(() => (world.RequestsService, older is null ? world.RequestsService.Submit(submitted) : world.RequestsService.SubmitRepeat(submitted, new NeedLink(older.Id, older.Needs[0]))), () =>
        {
            request.Accepted = true;
            Promises.Add(new Promise(Word.Submit, id.Value));
        });
    }

    private void Say()
    {
        var request = world.Chance.Pick(_requests);
        if (!request.Accepted)
            return;
        var need = world.Chance.Pick(request.Needs);
        var word = (Word)(1 + world.Chance.Below(5));
        // Concerns end a need for good: a history full of them shows nothing else.
        if (word is Word.Concern && !world.Chance.OneIn(4))
            word = Word.Confirm;
        Refusal? refusal = null;
        Ask(() => (world.RequestsService, world.RequestsService.Change(request.Id, (state, now) =>
        {
            refusal = null;
            // Later than anything said before, as Requests has it.
            var said = new Said("me", "other", null, now > state.SaidAt ? now : state.SaidAt.AddMilliseconds(1));
            return word switch
            {
                Word.Cancel => Huzhu.Requests.Domain.Request.DecideCancellation(state, need, said),
                Word.Confirm => Huzhu.Requests.Domain.Request.DecideConfirmation(state, need, said.By, said.At),
                Word.Dispute => Huzhu.Requests.Domain.Request.DecideDispute(state, need, [], said),
                Word.Reopen => Huzhu.Requests.Domain.Request.DecideReopening(state, need, [], said),
                _ => Huzhu.Requests.Domain.Request.DecideConcern(state, need, null, said),
            };
        }, why => refusal = why)), () =>
        {
            if (refusal is null)
                Promises.Add(new Promise(word, need.Value));
        });
    }

    private bool Answer(bool honest)
    {
        var open = _offers.Values.Where(offer => !offer.Asked && offer.Status is OfferStatus.Sent or OfferStatus.Accepted && !offer.Asked).ToList();
        if (open.Count == 0)
            return false;
        var offer = world.Chance.Pick(open);
        var word = offer.Status is OfferStatus.Sent
            ? honest || world.Chance.Below(3) > 0 ? Word.Accept : Word.Decline
            : honest || world.Chance.Below(3) > 0 ? Word.Complete : Word.Release;
        int? quantity = !honest && word is Word.Complete && world.Chance.OneIn(3) ? 1 : null;
        DecideOnOffer decide = word switch
        {
            Word.Accept => (state, now) => Match.DecideAccept(state, offer.Id, now),
            Word.Decline => (state, now) => Match.DecideDecline(state, offer.Id, DeclineReason.NoCapacity, now),
            Word.Complete => (state, now) => Match.DecideComplete(state, offer.Id, quantity, now),
            _ => (state, now) => Match.DecideRelease(state, offer.Id, "ill", now),
        };
        Refusal? refusal = null;
        offer.Asked = true;
        Ask(() =>
        {
            var replica = world.Chance.Pick(world.MatchingService);
            return (replica, replica.Do(offer.Need, (state, situation) => decide(state, situation.Now), Huzhu.Matching.Deciding.Lane.Urgent, answer => refusal = answer.Refusal));
        }, () =>
        {
            offer.Asked = false;
            offer.Status = refusal is not null ? OfferStatus.Revoked : word is Word.Accept ? OfferStatus.Accepted : OfferStatus.Done;
            if (refusal is null)
                Promises.Add(new Promise(word, offer.Id.Value));
        });
        return true;
    }

    private delegate Decision<MatchEvent> DecideOnOffer(MatchState state, DateTimeOffset now);

    private void Ask(Func<(SimulatedProcess, IEnumerable<bool>)> call, Action answered) => _attempts.Add(new Attempt(call, answered));
}
