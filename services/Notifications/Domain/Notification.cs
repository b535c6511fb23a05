using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.Deciding;

namespace Huzhu.Notifications.Domain;

/// <summary>Who is told.</summary>
[JsonConverter(typeof(KebabEnumConverter<Audience>))]
public enum Audience { Responder, Requester, Subscriber }

/// <summary>What is told. An <c>Event</c> is what subscribers hear: that something has changed, and nothing that only the parties may know.</summary>
[JsonConverter(typeof(KebabEnumConverter<MessageKind>))]
public enum MessageKind { OfferMade, OfferAccepted, OfferEnded, NeedState, Event }

/// <summary>What an offer says about the need, without personal data.</summary>
public sealed record OfferFacts(
    string Kind, DeliveryMode Mode, int Quantity, Urgency Urgency, IReadOnlyList<CommunicationNeed> Communication,
    double? DistanceMetres, string? SubDistrict, int ParallelOffers);

/// <summary>The offer that a notification carries, for those who wait to hear whether it arrived.</summary>
public sealed record OfferReference(OfferId OfferId, NeedId NeedId, ResponderId ResponderId);

/// <summary>
/// What happens to one notification: one cause told to one audience. No address, name or text is ever in it; they are
/// asked for at the moment of sending and forgotten.
/// </summary>
public abstract record NotificationEvent;

/// <summary>Something happened (the cause) that this audience must hear of, before <paramref name="ExpiresAt"/> if that is set.</summary>
/// <param name="CauseId">Id of the message, and so of the stored event, behind this.</param>
/// <param name="SubscriptionId">The subscription whose owner is told, when the audience is a subscriber.</param>
public sealed record NotificationRequested(
    Guid CauseId, string CauseType, DateTimeOffset CausedAt, Audience Audience, MessageKind Message,
    NeedId NeedId, RequestId RequestId, OfferId? OfferId, ResponderId? ResponderId, OfferFacts? Offer,
    OfferOutcome? Outcome, NeedState? State, int? RemainingQuantity, string? Reason,
    DateTimeOffset? ExpiresAt, DateTimeOffset At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? SubscriptionId = null) : NotificationEvent;

/// <summary>Who could be written to could not be found out: the service that knows was away. Asked again at <paramref name="RetryAt"/>.</summary>
public sealed record ContactUnavailable(int Lookup, string Reason, DateTimeOffset RetryAt, DateTimeOffset At) : NotificationEvent;

/// <summary>A channel of the contact was left out, for good, without an attempt: it cannot carry this to this person.</summary>
/// <param name="Position">The channel's place in the contact's list, from 0.</param>
public sealed record ChannelRefused(int Position, string Channel, string Reason, DateTimeOffset At) : NotificationEvent;

/// <summary>The first channel of the contact that fits and has not failed was taken.</summary>
public sealed record ChannelChosen(int Position, string Channel, DateTimeOffset At) : NotificationEvent;

/// <summary>The channel took the message.</summary>
public sealed record AttemptSucceeded(int Attempt, string Channel, DateTimeOffset At) : NotificationEvent;

/// <summary>The channel did not take the message. It is tried again at <paramref name="RetryAt"/>, or never when that is null.</summary>
/// <param name="Permanent">The channel said, or showed, that another try is of no use.</param>
public sealed record AttemptFailed(int Attempt, string Channel, string Reason, bool Permanent, DateTimeOffset? RetryAt, DateTimeOffset At)
    : NotificationEvent;

/// <summary>The channel is given up; the next one that fits has its turn at once.</summary>
public sealed record MovedToNextChannel(int FromPosition, string FromChannel, string Reason, DateTimeOffset At) : NotificationEvent;

/// <summary>The message has reached the audience, as far as its channel can tell.</summary>
/// <param name="Offer">Set when the message was an offer.</param>
public sealed record NotificationDelivered(string Channel, int Attempts, OfferReference? Offer, DateTimeOffset At) : NotificationEvent;

/// <summary>No channel could carry the message; nobody will try again.</summary>
/// <param name="Offer">Set when the message was an offer.</param>
public sealed record NotificationUndeliverable(string Reason, OfferReference? Offer, DateTimeOffset At) : NotificationEvent;

/// <summary>The message no longer means anything, so it was not sent (again).</summary>
/// <param name="Offer">Set when the message was an offer that ran out before its responder was told.</param>
public sealed record NotificationDropped(string Reason, OfferReference? Offer, DateTimeOffset At) : NotificationEvent;

/// <summary>A subscriber asked for something that had ended to be delivered again.</summary>
public sealed record RedeliveryRequested(string By, DateTimeOffset At) : NotificationEvent;

[JsonConverter(typeof(KebabEnumConverter<NotificationStatus>))]
public enum NotificationStatus { Unknown, Pending, Delivered, Undeliverable, Dropped }

/// <summary>Why a notification ended, or a channel was left out. Words that operators and auditors can count.</summary>
public static class ReasonCodes
{
    public const string CannotCarryCommunication = "cannot-carry-communication";
    public const string UnknownChannel = "unknown-channel";
    public const string NoChannel = "no-channel";
    public const string NoFittingChannel = "no-fitting-channel";
    public const string AllChannelsFailed = "all-channels-failed";
    public const string ContactUnavailable = "contact-unavailable";
    public const string UnknownRecipient = "unknown-recipient";
    public const string PersonErased = "person-erased";
    public const string OfferExpired = OfferUndeliverable.TooLate;
    public const string Overtaken = "overtaken";
}

/// <summary>One channel of a contact, as the choice sees it: its place is its index in the contact's list.</summary>
/// <param name="Abilities">Null when no plug-in of this kind is installed.</param>
/// <param name="Refusal">Why this very address cannot be used, when it cannot.</param>
public sealed record ChannelOption(string Kind, ChannelAbilities? Abilities, string? Refusal = null);

/// <summary>How one attempt ended.</summary>
/// <param name="Reason">A reason code; null when it succeeded.</param>
/// <param name="Permanent">Another try on this channel is of no use.</param>
/// <param name="RetryAfter">The receiver asked for at least this long a pause.</param>
public sealed record SendOutcome(string? Reason, bool Permanent = false, TimeSpan? RetryAfter = null)
{
    public static SendOutcome Success { get; } = new((string?)null);
    public bool Succeeded => Reason is null;
    public static SendOutcome Transient(string reason, TimeSpan? retryAfter = null) => new(reason, false, retryAfter);
    public static SendOutcome Refused(string reason) => new(reason, Permanent: true);
}

/// <summary>An attempt that was made: which one, where, and what came of it.</summary>
/// <param name="HasNext">A later channel of the contact fits too.</param>
public sealed record Attempt(int Number, int Position, string Channel, bool HasNext, SendOutcome Outcome);

/// <param name="Position">The channel in the contact's list that is in use, or has its turn next.</param>
/// <param name="Channel">The kind of the channel in use; null before one is chosen.</param>
/// <param name="NextAt">When a timer goes on with it; null when nobody waits for a timer.</param>
public sealed record Notification(
    NotificationRequested? Request, NotificationStatus Status, int Position, string? Channel,
    int Attempts, int AttemptsOnChannel, int Lookups, DateTimeOffset? NextAt)
{
    public static Notification Initial { get; } = new(null, NotificationStatus.Unknown, 0, null, 0, 0, 0, null);

    /// <summary>By when whoever is told now must have answered; null when no answer is wanted.</summary>
    public static DateTimeOffset? AnswerBy(NotificationRequested request, DateTimeOffset now) =>
        request is { Message: MessageKind.OfferMade, ExpiresAt: { } expiresAt } ? now + (expiresAt - request.CausedAt) : null;

    public bool HasEnded => Status is NotificationStatus.Delivered or NotificationStatus.Undeliverable or NotificationStatus.Dropped;

    public static Notification Evolve(Notification state, NotificationEvent stored) => stored switch
    {
        NotificationRequested requested => Initial with
        {
            Request = requested,
            Status = NotificationStatus.Pending,
            // What subscribers hear is always delivered by a timer of their own lane.
            NextAt = requested.Audience == Audience.Subscriber ? requested.At : null,
        },
        RedeliveryRequested again => state with { Status = NotificationStatus.Pending, Position = 0, Channel = null, AttemptsOnChannel = 0, NextAt = again.At },
        ContactUnavailable missed => state with { Lookups = missed.Lookup, NextAt = missed.RetryAt },
        ChannelRefused refused => state with { Position = refused.Position + 1, Channel = null, AttemptsOnChannel = 0 },
        ChannelChosen chosen => state with { Position = chosen.Position, Channel = chosen.Channel, AttemptsOnChannel = 0 },
        AttemptSucceeded succeeded => state with
        {
            Attempts = succeeded.Attempt,
            AttemptsOnChannel = state.AttemptsOnChannel + 1,
            Lookups = 0,
            NextAt = null,
        },
        AttemptFailed failed => state with
        {
            Attempts = failed.Attempt,
            AttemptsOnChannel = state.AttemptsOnChannel + 1,
            Lookups = 0,
            NextAt = failed.RetryAt,
        },
        MovedToNextChannel moved => state with
        {
            Position = moved.FromPosition + 1,
            Channel = null,
            AttemptsOnChannel = 0,
            NextAt = moved.At,
        },
        NotificationDelivered => state with { Status = NotificationStatus.Delivered, NextAt = null },
        NotificationUndeliverable => state with { Status = NotificationStatus.Undeliverable, NextAt = null },
        NotificationDropped => state with { Status = NotificationStatus.Dropped, NextAt = null },
        _ => throw new InvalidOperationException($"A notification cannot hold {stored.GetType().Name}."),
    };

    public static Notification Fold(Notification state, IEnumerable<NotificationEvent> events) => events.Aggregate(state, Evolve);

    public static Decision<NotificationEvent> DecideRequest(Notification state, NotificationRequested requested) =>
        state.Status == NotificationStatus.Unknown ? requested : Decision<NotificationEvent>.Nothing;

    public static Decision<NotificationEvent> DecideRedelivery(Notification state, string by, DateTimeOffset now) =>
        state.HasEnded ? new RedeliveryRequested(by, now) : Refusal.Conflict("still-trying", "The delivery has not ended: it is tried again by itself.");

    /// <summary>Whether the message still means anything.</summary>
    /// <param name="overtaken">The same audience has been, or is being, told something newer about the same thing.</param>
    public static Decision<NotificationEvent> DecideRelevance(Notification state, bool overtaken, DateTimeOffset now)
    {
        if (state.HasEnded)
            return Decision<NotificationEvent>.Nothing;
        if (Requested(state).ExpiresAt <= now)
            return new NotificationDropped(ReasonCodes.OfferExpired, OfferOf(state), now);
        return overtaken ? new NotificationDropped(ReasonCodes.Overtaken, null, now) : Decision<NotificationEvent>.Nothing;
    }

    /// <summary>
    /// The first channel, from the one in use on, that fits. The state after the events has it; they end the
    /// notification when there is none. A retry on the channel in use makes no event.
    /// </summary>
    public static Decision<NotificationEvent> DecideChannel(
        Notification state, IReadOnlyList<ChannelOption> channels, IReadOnlyCollection<CommunicationNeed> needs, DateTimeOffset now)
    {
        if (state.HasEnded)
            return Decision<NotificationEvent>.Nothing;
        var events = new List<NotificationEvent>();
        for (var position = state.Position; position < channels.Count; position++)
        {
            var channel = channels[position];
            if (WhyNot(channel, needs) is { } reason)
            {
                events.Add(new ChannelRefused(position, channel.Kind, reason, now));
                continue;
            }
            if (state.Channel != channel.Kind || state.Position != position)
                events.Add(new ChannelChosen(position, channel.Kind, now));
            return events;
        }
        var why = state.Attempts > 0 ? ReasonCodes.AllChannelsFailed
            : channels.Count == 0 ? ReasonCodes.NoChannel
            : ReasonCodes.NoFittingChannel;
        events.Add(Undeliverable(state, why, now));
        return events;
    }

    public static bool HasFittingChannelAfter(int position, IReadOnlyList<ChannelOption> channels, IReadOnlyCollection<CommunicationNeed> needs) =>
        channels.Skip(position + 1).Any(channel => WhyNot(channel, needs) is null);

    /// <summary>What follows from an attempt: done, another try, the next channel, or the end.</summary>
    /// <param name="jitter">0 to 1: spreads the retries of many notifications.</param>
    public static Decision<NotificationEvent> DecideOutcome(Notification state, Attempt attempt, double jitter, DateTimeOffset now)
    {
        if (state.HasEnded)
            return Decision<NotificationEvent>.Nothing;
        var number = state.Attempts + 1;
        if (attempt.Outcome.Succeeded)
        {
            return new NotificationEvent[]
            {
                new AttemptSucceeded(number, attempt.Channel, now),
                new NotificationDelivered(attempt.Channel, number, OfferOf(state), now),
            };
        }
        // Somebody else tried at the same time and has recorded it: one failure is enough to go on from.
        if (attempt.Number != number || attempt.Position != state.Position)
            return Decision<NotificationEvent>.Nothing;

        var (reason, permanent) = (attempt.Outcome.Reason!, attempt.Outcome.Permanent);
        var retryAt = permanent ? null
            : Patience.NextAttemptAt(Requested(state), state.AttemptsOnChannel + 1, attempt.HasNext, attempt.Outcome.RetryAfter, jitter, now);
        var failed = new AttemptFailed(number, attempt.Channel, reason, permanent, retryAt, now);
        if (retryAt is not null)
            return failed;
        return new NotificationEvent[]
        {
            failed,
            attempt.HasNext
                ? new MovedToNextChannel(attempt.Position, attempt.Channel, reason, now)
                : Undeliverable(state, ReasonCodes.AllChannelsFailed, now),
        };
    }

    /// <summary>Nobody could say how to reach the audience just now.</summary>
    public static Decision<NotificationEvent> DecideContactUnavailable(Notification state, string reason, double jitter, DateTimeOffset now)
    {
        if (state.HasEnded)
            return Decision<NotificationEvent>.Nothing;
        var lookup = state.Lookups + 1;
        return Patience.NextLookupAt(Requested(state), lookup, jitter, now) is { } retryAt
            ? new ContactUnavailable(lookup, reason, retryAt, now)
            : Undeliverable(state, ReasonCodes.ContactUnavailable, now);
    }

    /// <summary>The directory does not know the audience, which a later question would not change.</summary>
    public static Decision<NotificationEvent> DecideUnknownRecipient(Notification state, DateTimeOffset now) =>
        state.HasEnded ? Decision<NotificationEvent>.Nothing : Undeliverable(state, ReasonCodes.UnknownRecipient, now);

    /// <summary>Whoever should be told, or visited, asked to be forgotten. An offer is then for somebody else to answer.</summary>
    public static Decision<NotificationEvent> DecideErased(Notification state, DateTimeOffset now)
    {
        if (state.HasEnded)
            return Decision<NotificationEvent>.Nothing;
        return OfferOf(state) is null
            ? new NotificationDropped(ReasonCodes.PersonErased, null, now)
            : Undeliverable(state, ReasonCodes.PersonErased, now);
    }

    private static string? WhyNot(ChannelOption channel, IReadOnlyCollection<CommunicationNeed> needs) => channel switch
    {
        { Abilities: null } => ReasonCodes.UnknownChannel,
        { Refusal: { } refusal } => refusal,
        { Abilities: { } abilities } => needs.All(abilities.Carries) ? null : ReasonCodes.CannotCarryCommunication,
    };

    private static NotificationUndeliverable Undeliverable(Notification state, string reason, DateTimeOffset now) =>
        new(reason, OfferOf(state), now);

    private static OfferReference? OfferOf(Notification state) =>
        Requested(state) is { Message: MessageKind.OfferMade, OfferId: { } offerId, ResponderId: { } responderId } request
            ? new OfferReference(offerId, request.NeedId, responderId)
            : null;

    private static NotificationRequested Requested(Notification state) =>
        state.Request ?? throw new InvalidOperationException("The notification has not been requested.");
}
