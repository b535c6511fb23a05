using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.Notifications.Domain;
using Huzhu.Requests.Domain;

namespace Huzhu.Tests.Unit.Simulated;

/// <summary>What must hold once a history has come to rest.</summary>
internal static class Judge
{
    public static IReadOnlyList<string> Of(World world)
    {
        var found = new List<string>();
        Ledgers(world, found);
        Matches(world, found);
        Promises(world, found);
        Agreement(world, found);
        Messages(world, found);
        Told(world, found);
        return found;
    }

    private static void Ledgers(World world, List<string> found)
    {
        foreach (var id in world.Responders)
        {
            var state = ResponderState.Initial;
            foreach (var change in world.Matching.Read(id.Value).Cast<ResponderEvent>())
            {
                var before = state;
                if (change is PlaceHeld held && before.Held.ContainsKey(held.OfferId))
                    found.Add($"Responder {id} holds a place twice for {held.OfferId}.");
                else
                    state = ResponderState.Evolve(state, change);
                if (state.Held.Count > state.Capacity)
                    found.Add($"Responder {id} holds {state.Held.Count} of {state.Capacity} at version {state.Version}.");
                if (change is PlaceHeld && before.Opening is not Opening.Open)
                    found.Add($"Responder {id} is given a need while {before.Opening}.");
                if (change is PlaceReleased released && !before.Held.ContainsKey(released.OfferId))
                    found.Add($"Responder {id} frees a place that it does not hold.");
                if (before.Opening is Opening.Closed && state.Opening is not Opening.Closed && state.Held.Count > 0)
                    found.Add($"Responder {id} ends its closure with needs in hand.");
            }
            if (state.Opening is Opening.Closed or Opening.Withdrawn && state.Held.Count > 0)
                found.Add($"Responder {id} is {state.Opening} and keeps {state.Held.Count} needs.");
            if (world.EntryOf(id) is { } entry && (entry.Version != state.DirectoryVersion || entry.Opening != state.Opening || entry.Capacity != state.Capacity))
                found.Add($"Responder {id} is known at version {state.DirectoryVersion}, {state.Opening} with {state.Capacity} places; the directory says {entry.Version}, {entry.Opening}, {entry.Capacity}.");
        }
    }

    private static void Matches(World world, List<string> found)
    {
        var roster = new Roster();
        var held = new HashSet<OfferId>();
        foreach (var id in world.Responders)
        {
            var ledger = world.Matching.Read(id.Value).Cast<ResponderEvent>().Aggregate(ResponderState.Initial, ResponderState.Evolve);
            roster.Set(id, ledger);
            held.UnionWith(ledger.Held.Keys);
        }
        var holding = new HashSet<OfferId>();
        foreach (var id in world.Needs)
        {
            var state = MatchState.Initial;
            var (received, offers) = (0, new HashSet<OfferId>());
            foreach (var change in world.Matching.Read(id.Value).Cast<MatchEvent>())
            {
                state = MatchState.Evolve(state, change);
                received += change is NeedReceived ? 1 : 0;
                if (change is OfferMade made && !offers.Add(made.OfferId))
                    found.Add($"Need {id} makes the offer {made.OfferId} twice.");
                if (state.Offers.Count(offer => offer.IsTaken) > 1)
                    found.Add($"Need {id} is in two hands after {change}.");
            }
            if (received > 1)
                found.Add($"Need {id} is received {received} times.");
            holding.UnionWith(state.Offers.Where(offer => offer.HoldsPlace).Select(offer => offer.Id));
            var settled = state.State switch
            {
                NeedState.Open => state.Need is null,
                NeedState.Waiting or NeedState.Escalated => !string.IsNullOrEmpty(state.Reason) && !state.Offers.Exists(offer => offer.HoldsPlace),
                NeedState.Fulfilled => state.Remaining == 0 && !state.Offers.Exists(offer => offer.HoldsPlace),
                NeedState.Closed or NeedState.Cancelled or NeedState.OnHold => !state.Offers.Exists(offer => offer.HoldsPlace),
                // Whoever was asked says yes, and whoever has said yes does it: at rest nothing is under way.
                _ => false,
            };
            if (!settled)
                found.Add($"Need {id} is left {state.State} with the offers {string.Join(", ", state.Offers.Select(offer => offer.Status))}.");
            if (state.State is NeedState.Waiting or NeedState.Escalated && state.OffersWanted(world.Policy.Policy) > 0
                && Ranker.Rank(state, roster, world.Policy, world.Zones, world.Now).Best is { } best)
                found.Add($"Need {id} is left {state.State} although {best.Id} could take it.");
        }
        if (!held.SetEquals(holding))
            found.Add($"Places and offers do not agree: {string.Join(", ", held.Except(holding).Select(id => $"{id} only holds a place").Concat(holding.Except(held).Select(id => $"{id} holds none")))}.");
    }

    private static void Promises(World world, List<string> found)
    {
        var asked = world.Requests.All.GroupBy(stored => stored.Stream).ToDictionary(stream => stream.Key, stream => stream.Select(stored => stored.Event).ToList());
        var said = world.Requests.All.Select(stored => stored.Event).ToList();
        var decided = world.Matching.All.Select(stored => stored.Event).ToList();
        foreach (var promise in world.People.Promises)
        {
            var times = promise.Word switch
            {
                Word.Submit => asked.GetValueOrDefault(promise.Subject)?.Count(happened => happened is RequestSubmitted) ?? 0,
                Word.Accept => decided.OfType<OfferAccepted>().Count(happened => happened.OfferId.Value == promise.Subject),
                Word.Decline => decided.OfType<OfferDeclined>().Count(happened => happened.OfferId.Value == promise.Subject),
                Word.Complete => decided.OfType<HelpCompleted>().Count(happened => happened.OfferId.Value == promise.Subject),
                Word.Release => decided.OfType<OfferReleased>().Count(happened => happened.OfferId.Value == promise.Subject),
                // These may come again, after the need has moved on.
                Word.Cancel => Math.Min(1, said.OfType<Huzhu.Requests.Domain.NeedCancelled>().Count(happened => happened.NeedId.Value == promise.Subject)),
                Word.Confirm => Math.Min(1, said.OfType<Huzhu.Requests.Domain.NeedConfirmed>().Count(happened => happened.NeedId.Value == promise.Subject)),
                Word.Concern => Math.Min(1, said.OfType<ConcernRaised>().Count(happened => happened.NeedId.Value == promise.Subject)),
                _ => 1,
            };
            if (times != 1)
                found.Add($"{promise.Word} of {promise.Subject} was answered and stands in the log {times} times.");
        }
    }

    private static void Agreement(World world, List<string> found)
    {
        foreach (var (id, events) in world.Requests.Streams)
        {
            foreach (var need in RequestsProcess.Fold(events).Needs.Where(need => need.DuplicateOf is null))
            {
                var match = MatchingProcess.Fold(world.Matching.Read(need.NeedId.Value));
                if (match.State != need.State || match.Need is null && match.State is not (NeedState.Cancelled or NeedState.Closed or NeedState.OnHold))
                    found.Add($"Requests says that the need {need.NeedId} is {need.State}; Matching says {match.State}.");
            }
        }
    }

    private static void Messages(World world, List<string> found)
    {
        foreach (var (id, message) in world.Expected())
        {
            foreach (var queue in world.Bus.QueuesOf(message).Where(queue => !world.Bus.WasRouted(queue, id)))
                found.Add($"{message.GetType().Name} {id} never reached the queue of {queue}.");
        }
        found.AddRange(world.Bus.SetAside.Select(delivery => $"{delivery.Message.GetType().Name} {delivery.Id} was set aside by {delivery.Queue}."));
    }

    private static void Told(World world, List<string> found)
    {
        var causes = new HashSet<(Guid, Audience)>();
        foreach (var (id, events) in world.Notifications.Streams)
        {
            var (requests, ends) = (0, 0);
            foreach (var happened in events)
            {
                ends += happened is NotificationDelivered or NotificationUndeliverable or NotificationDropped ? 1 : 0;
                if (happened is not NotificationRequested request)
                    continue;
                requests++;
                if (!causes.Add((request.CauseId, request.Audience)))
                    found.Add($"Notification {id}: the {request.Audience} is told of {request.CauseId} twice.");
            }
            if (requests != 1 || ends != 1)
                found.Add($"Notification {id} has {requests} causes and {ends} ends.");
        }
        foreach (var (id, message) in world.Expected())
        {
            var wanted = message switch
            {
                Huzhu.Contracts.Matching.V1.OfferMade made => Huzhu.Notifications.Domain.Messages.Of(made, id, world.Now),
                Huzhu.Contracts.Matching.V1.OfferAccepted accepted => Huzhu.Notifications.Domain.Messages.Of(accepted, id, world.Now),
                Huzhu.Contracts.Matching.V1.OfferEnded ended => Huzhu.Notifications.Domain.Messages.Of(ended, id, world.Now),
                Huzhu.Contracts.Matching.V1.NeedStateChanged changed => Huzhu.Notifications.Domain.Messages.Of(changed, id, world.Now),
                _ => [],
            };
            foreach (var request in wanted.Where(request => !causes.Contains((request.CauseId, request.Audience))))
                found.Add($"The {request.Audience} is never told of {request.CauseType} {id}.");
        }
    }
}
