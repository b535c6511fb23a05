using System.Diagnostics;
using System.Diagnostics.Metrics;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Marten;

namespace Huzhu.Notifications.Features;

/// <summary>
/// Tells one audience one thing: make one attempt, append that it was to be told and what came of it. Whoever calls
/// this (a consumer, a timer) lets go of its message or timer only afterwards. A crash in between leads back here with
/// the same notification id, and the state says what is left to do: the receiver may see the same id twice, nobody is
/// left untold. One run is one attempt; what comes later comes by a durable timer.
/// </summary>
public sealed class Delivery(
    NotificationLog log, IEnumerable<IChannel> channels, [FromKeyedServices(Subscriptions.Lane)] IChannel subscribersChannel, RequestsDirectory requests,
    GroupsDirectory groups, Subscriptions subscriptions, LinkWriter links, AnswerBook answers, IDocumentStore store, TimeProvider time)
{
    /// <summary>From this age on, a message asks whether something newer has been said already. Fresh ones need not: it costs a query.</summary>
    private static readonly TimeSpan LateAfter = TimeSpan.FromSeconds(5);

    /// <summary>A database stores microseconds: a timer may fire this much before the moment that its event names.</summary>
    private static readonly TimeSpan TimerTolerance = TimeSpan.FromMilliseconds(50);

    private readonly Dictionary<string, IChannel> _channels = channels.ToDictionary(channel => channel.Kind);

    public async Task TellAsync(IReadOnlyList<NotificationRequested> requested, string? causationId, CancellationToken cancellation) =>
        await Task.WhenAll(requested.Select(request => TellAsync(request, causationId, cancellation)));

    /// <summary>A timer fired.</summary>
    public async Task ContinueAsync(NotificationId id, CancellationToken cancellation)
    {
        var current = await log.LoadAsync(id, cancellation);
        // A timer of an earlier try; the one that belongs to this state is still to come.
        if (current.State.NextAt is not { } next || next - TimerTolerance > time.GetUtcNow())
            return;
        await AttemptAsync(id, current, null, cancellation);
    }

    private async Task TellAsync(NotificationRequested request, string? causationId, CancellationToken cancellation)
    {
        var id = NotificationLog.IdOf(request.CauseId, request.Audience);
        // After an outage many offers come too late, and those behind them wait: nothing is read for these.
        var current = request.ExpiresAt <= time.GetUtcNow() ? NotificationLog.BeginUnread(request) : await log.BeginAsync(id, request, cancellation);
        // Ended, or a timer goes on with it: the message has come twice.
        if (current.State is { HasEnded: false, NextAt: null })
            await AttemptAsync(id, current, causationId, cancellation);
    }

    private async Task AttemptAsync(NotificationId id, Current current, string? causationId, CancellationToken cancellation)
    {
        var request = current.State.Request!;
        // A timer has no trace of its own.
        using var activity = NotificationTelemetry.Activities.StartActivity("tell", ActivityKind.Internal, Activity.Current?.Context ?? Cause.ContextOf(current.Began));
        activity?.SetTag("huzhu.need.id", request.NeedId.ToString());
        activity?.SetTag("huzhu.notification.id", id.ToString());

        var overtaken = await IsOvertakenAsync(id, current.State, cancellation);
        var relevance = Notification.DecideRelevance(current.State, overtaken, time.GetUtcNow());
        var events = relevance.Events.Count > 0
            ? await log.RecordAsync(id, current, state => Notification.DecideRelevance(state, overtaken, time.GetUtcNow()).Events, causationId, cancellation)
            : await SendAsync(id, current, causationId, cancellation);
        foreach (var happened in events)
            NotificationTelemetry.Count(request, happened);
        if (request.SubscriptionId is { } subscription && Subscription.WhyDisable(events) is { } reason)
            await subscriptions.ChangeAsync(subscription, state => ValueTask.FromResult(Subscription.DecideDisabling(state, reason, null, time.GetUtcNow())), cancellation);
    }

    private async Task<IReadOnlyList<NotificationEvent>> SendAsync(NotificationId id, Current current, string? causationId, CancellationToken cancellation)
    {
        var request = current.State.Request!;
        var answer = await LookUpAsync(request, cancellation);
        if (answer is not Answer<Facts>.Found { Value: var facts })
        {
            var jitter = Random.Shared.NextDouble();
            return await log.RecordAsync(id, current, state => (answer switch
            {
                Answer<Facts>.Erased => Notification.DecideErased(state, time.GetUtcNow()),
                Answer<Facts>.Unknown => Notification.DecideUnknownRecipient(state, time.GetUtcNow()),
                Answer<Facts>.Unavailable away => Notification.DecideContactUnavailable(state, away.Reason, jitter, time.GetUtcNow()),
                _ => throw new UnreachableException(),
            }).Events, causationId, cancellation);
        }

        var contact = facts.Contact;
        // The table of the choice is the person's needs; a responder's abilities are not needs.
        IReadOnlyList<CommunicationNeed> needs = request.Audience == Audience.Requester ? contact.Communication : [];
        var options = contact.Channels.Select(OptionOf).ToArray();
        var now = time.GetUtcNow();
        var choice = Notification.DecideChannel(current.State, options, needs, now).Events;
        var chosen = Notification.Fold(current.State, choice);
        if (chosen.HasEnded)
            return await log.RecordAsync(id, current, state => Notification.DecideChannel(state, options, needs, now).Events, causationId, cancellation);

        var (position, channel) = (chosen.Position, chosen.Channel!);
        var toSubscriber = request.Audience == Audience.Subscriber;
        var carrier = toSubscriber ? subscribersChannel : _channels[channel];
        var address = AddressOf(contact.Channels[position]);
        // Before it is told: an answer may come faster than this goes on.
        var answerNumber = request is { Audience: Audience.Responder, OfferId: not null } && carrier.RepliesFrom(address) is { } replier
            ? await answers.NoteAsync(replier, request, now, cancellation)
            : (int?)null;
        var message = new Message(id, KeyOf(request), toSubscriber ? MessageBody.WriteThin(id, request) : MessageBody.Write(id, request, facts, links.Of(request), now, answerNumber, links.PageOf(request, contact)));
        var outcome = await carrier.SendAsync(message, address, cancellation);
        // There is no other channel, and a receiver with a wrong key or path is mended within the day.
        if (toSubscriber && outcome is { Permanent: true, Reason: { } why } && why.StartsWith("http-", StringComparison.Ordinal))
            outcome = outcome with { Permanent = false };
        var attempt = new Attempt(chosen.Attempts + 1, position, channel, Notification.HasFittingChannelAfter(position, options, needs), outcome);
        var spread = Random.Shared.NextDouble();
        return await log.RecordAsync(id, current, state =>
        {
            // On a conflict this state is a newer one: another worker has chosen and tried at the same time.
            var again = Notification.DecideChannel(state, options, needs, now).Events;
            var result = Notification.DecideOutcome(Notification.Fold(state, again), attempt, spread, time.GetUtcNow()).Events;
            return result.Count == 0 ? [] : [.. again, .. result];
        }, causationId, cancellation);
    }

    private async Task<Answer<Facts>> LookUpAsync(NotificationRequested request, CancellationToken cancellation)
    {
        Visit? visit = null;
        string? responderName = null;
        if (request.Message == MessageKind.OfferAccepted)
        {
            switch (await requests.FindVisitAsync(request.RequestId, request.NeedId, cancellation))
            {
                case Answer<Visit>.Found found:
                    visit = found.Value;
                    break;
                case var other:
                    return Without<Visit>(other);
            }
        }
        if (request is { Audience: Audience.Requester, State: NeedState.Accepted, ResponderId: { } responder })
        {
            switch (await groups.FindContactAsync(responder, cancellation))
            {
                case Answer<Contact>.Found found:
                    responderName = found.Value.Name;
                    break;
                case Answer<Contact>.Unavailable away:
                    return new Answer<Facts>.Unavailable(away.Reason);
                    // A directory that does not know its name is no reason to tell the person nothing.
            }
        }
        var contact = request.Audience switch
        {
            Audience.Responder => await groups.FindContactAsync(request.ResponderId!.Value, cancellation),
            Audience.Requester => await requests.FindContactAsync(request.RequestId, request.NeedId, cancellation),
            Audience.Subscriber => await subscriptions.FindContactAsync(request.SubscriptionId!.Value, cancellation),
        };
        return contact is Answer<Contact>.Found { Value: var known }
            ? new Answer<Facts>.Found(new Facts(known, visit, responderName))
            : Without(contact);
    }

    private static Answer<Facts> Without<T>(Answer<T> answer) => answer switch
    {
        Answer<T>.Erased => new Answer<Facts>.Erased(),
        Answer<T>.Unknown => new Answer<Facts>.Unknown(),
        Answer<T>.Unavailable away => new Answer<Facts>.Unavailable(away.Reason),
        _ => throw new UnreachableException(),
    };

    private async Task<bool> IsOvertakenAsync(NotificationId id, Notification state, CancellationToken cancellation)
    {
        var request = state.Request!;
        // Subscribers hear everything.
        if (request.Audience == Audience.Subscriber || request.ExpiresAt <= time.GetUtcNow() || state is { Attempts: 0, Lookups: 0 } && time.GetUtcNow() - request.CausedAt < LateAfter)
            return false;
        await using var session = store.QuerySession();
        return await session.Query<NotificationEntry>().AnyAsync(other =>
            other.NeedId == request.NeedId.Value && other.Topic == NotificationEntry.TopicOf(request)
            && other.CausedAt > request.CausedAt && other.Id != id.Value, cancellation);
    }

    private ChannelOption OptionOf(ContactChannel contact) => _channels.TryGetValue(contact.Kind, out var channel)
        ? new ChannelOption(contact.Kind, channel.Abilities, channel.Refuse(AddressOf(contact)))
        : new ChannelOption(contact.Kind, null);

    private static Address AddressOf(ContactChannel contact) => new(contact.Address, contact.Secret);

    private static string KeyOf(NotificationRequested request) => request.Audience switch
    {
        Audience.Responder => $"responder-{request.ResponderId}",
        Audience.Requester => $"requester-{request.RequestId}",
        Audience.Subscriber => $"subscription-{request.SubscriptionId}",
    };
}

/// <summary>Goes on with a notification whose time has come: another try, or the next channel.</summary>
public class DeliverNotificationTimer(IServiceScopeFactory scopes) : ITimerHandler
{
    public const string TimerKind = "deliver-notification";

    public virtual string Kind => TimerKind;

    public async Task HandleAsync(Guid subject, CancellationToken cancellation)
    {
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<Delivery>().ContinueAsync(new NotificationId(subject), cancellation);
    }
}

internal static class NotificationTelemetry
{
    public static readonly ActivitySource Activities = new("Huzhu.Notifications");
    private static readonly Meter Meter = new("Huzhu.Notifications");
    private static readonly Counter<long> Attempts = Meter.CreateCounter<long>("huzhu.notifications.attempts", description: "Attempts by channel and result");
    private static readonly Counter<long> Ended = Meter.CreateCounter<long>("huzhu.notifications.ended", "{notification}", "Notifications that ended, by how, on which channel, and who was to be told");
    private static readonly Histogram<double> ToldAfter = Meter.CreateHistogram<double>("huzhu.notifications.told.after", "s", "From the cause to the delivery");

    public static void Count(NotificationRequested request, NotificationEvent happened)
    {
        var audience = new KeyValuePair<string, object?>("audience", Words.Of(request.Audience));
        switch (happened)
        {
            case AttemptSucceeded succeeded:
                Attempts.Add(1, new("channel", succeeded.Channel), new("result", "ok"));
                break;
            case AttemptFailed failed:
                Attempts.Add(1, new("channel", failed.Channel), new("result", failed.Reason));
                break;
            case NotificationDelivered told:
                Ended.Add(1, new("as", "delivered"), new("channel", told.Channel), audience);
                // How soon people are told; subscribers are nobody's clock.
                if (request.Audience != Audience.Subscriber)
                    ToldAfter.Record(Math.Max(0, (told.At - request.CausedAt).TotalSeconds));
                break;
            case NotificationUndeliverable undeliverable:
                Ended.Add(1, new("as", "undeliverable"), new("reason", undeliverable.Reason), audience);
                break;
            case NotificationDropped dropped:
                Ended.Add(1, new("as", "dropped"), new("reason", dropped.Reason), audience);
                break;
        }
    }
}
