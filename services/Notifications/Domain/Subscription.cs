using System.Text.Json.Serialization;
using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Deciding;
using Huzhu.ServiceDefaults;

namespace Huzhu.Notifications.Domain;

/// <summary>
/// What happens to one subscription: an integrator's wish to hear of needs and offers as they change. Its address and
/// secrets are ciphertext under the subscription's own key.
/// </summary>
public abstract record SubscriptionEvent;

/// <summary>An integrator wants to hear of what its filter lets through, from now on.</summary>
public sealed record SubscriptionCreated(string Owner, SubscriptionFilter Filter, string? Description, Protected Target, DateTimeOffset At) : SubscriptionEvent;

/// <summary>Filter, description or address are others from now on; the event holds all of them.</summary>
public sealed record SubscriptionChanged(SubscriptionFilter Filter, string? Description, Protected Target, string By, DateTimeOffset At) : SubscriptionEvent;

/// <summary>A new secret signs from now on; the one before it signs too, until <paramref name="OldUntil"/>.</summary>
public sealed record SecretRotated(Protected Target, DateTimeOffset OldUntil, string By, DateTimeOffset At) : SubscriptionEvent;

/// <summary>Nothing is delivered until it is enabled again.</summary>
/// <param name="By">Who did it; null when the receiver's answers did.</param>
public sealed record SubscriptionDisabled(string Reason, string? By, DateTimeOffset At) : SubscriptionEvent;

/// <summary>Events are delivered again, from now on.</summary>
public sealed record SubscriptionEnabled(string By, DateTimeOffset At) : SubscriptionEvent;

/// <summary>The subscription is gone for good, and with its key its address and secrets.</summary>
public sealed record SubscriptionDeleted(string By, DateTimeOffset At) : SubscriptionEvent;

/// <summary>Which events a subscription wants. An empty list lets everything through.</summary>
/// <param name="Types">Types of CloudEvents.</param>
/// <param name="States">States of needs and of offers.</param>
/// <param name="Kinds">Service kinds; a root covers everything below it.</param>
/// <param name="Sources">Front ends that took the requests in; null for all, as in logs of before this was kept.</param>
public sealed record SubscriptionFilter(IReadOnlyList<string> Types, IReadOnlyList<string> States, IReadOnlyList<string> Kinds, IReadOnlyList<string> SubDistricts,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Sources = null)
{
    /// <summary>Whether what the need is about must be known to decide.</summary>
    [JsonIgnore]
    public bool AsksForNeed => Kinds.Count > 0 || SubDistricts.Count > 0;

    public bool Wants(string type, string state) => (Types.Count == 0 || Types.Contains(type)) && (States.Count == 0 || States.Contains(state));

    public bool WantsNeed(string? kind, string? subDistrict) =>
        (Kinds.Count == 0 || kind is not null && Kinds.Any(wanted => ServiceKinds.Covers(wanted, kind)))
        && (SubDistricts.Count == 0 || subDistrict is not null && SubDistricts.Contains(subDistrict));

    public bool Equals(SubscriptionFilter? other) => other is not null && Types.SequenceEqual(other.Types) && States.SequenceEqual(other.States)
        && Kinds.SequenceEqual(other.Kinds) && SubDistricts.SequenceEqual(other.SubDistricts) && (Sources ?? []).SequenceEqual(other.Sources ?? []);

    public override int GetHashCode() => HashCode.Combine(Types.Count, States.Count, Kinds.Count, SubDistricts.Count);
}

public enum SubscriptionStatus { Unknown, Active, Disabled, Deleted }

public sealed record Subscription(
    string Owner, SubscriptionFilter Filter, string? Description, Protected? Target, SubscriptionStatus Status, string? DisabledBecause, DateTimeOffset CreatedAt)
{
    public const string NeedChanged = "org.huzhu.need.changed.v1";
    public const string OfferChanged = "org.huzhu.offer.changed.v1";
    public const string Gone = "gone";
    public const string Failing = "failing";
    public const string TooManyWaiting = "too-many-waiting";
    public const string ByHand = "by-hand";

    public static readonly IReadOnlyList<string> Types = [NeedChanged, OfferChanged];
    public static readonly IReadOnlyList<string> States = [.. Words.All<NeedState>().Concat(["made", "accepted"]).Concat(Words.All<OfferOutcome>()).Distinct()];

    public static readonly Refusal NotKnown = Refusal.NotFound("not-found", "There is no such subscription.");

    public static Subscription Initial { get; } = new("", new SubscriptionFilter([], [], [], []), null, null, SubscriptionStatus.Unknown, null, default);

    public static Subscription Evolve(Subscription state, SubscriptionEvent stored) => stored switch
    {
        SubscriptionCreated created => new(created.Owner, created.Filter, created.Description, created.Target, SubscriptionStatus.Active, null, created.At),
        SubscriptionChanged changed => state with { Filter = changed.Filter, Description = changed.Description, Target = changed.Target },
        SecretRotated rotated => state with { Target = rotated.Target },
        SubscriptionDisabled disabled => state with { Status = SubscriptionStatus.Disabled, DisabledBecause = disabled.Reason },
        SubscriptionEnabled => state with { Status = SubscriptionStatus.Active, DisabledBecause = null },
        SubscriptionDeleted => state with { Status = SubscriptionStatus.Deleted, Target = null },
        _ => throw new InvalidOperationException($"A subscription cannot hold {stored.GetType().Name}."),
    };

    /// <param name="by">The system itself disables with a reason other than <see cref="ByHand"/> and nobody's name.</param>
    public static Decision<SubscriptionEvent> DecideDisabling(Subscription state, string reason, string? by, DateTimeOffset now) => state.Status switch
    {
        SubscriptionStatus.Unknown or SubscriptionStatus.Deleted => NotKnown,
        SubscriptionStatus.Active => new SubscriptionDisabled(reason, by, now),
        SubscriptionStatus.Disabled => Decision<SubscriptionEvent>.Nothing,
    };

    public static Decision<SubscriptionEvent> DecideEnabling(Subscription state, string by, DateTimeOffset now) => state.Status switch
    {
        SubscriptionStatus.Unknown or SubscriptionStatus.Deleted => NotKnown,
        SubscriptionStatus.Active => Decision<SubscriptionEvent>.Nothing,
        SubscriptionStatus.Disabled => new SubscriptionEnabled(by, now),
    };

    public static Decision<SubscriptionEvent> DecideDeletion(Subscription state, string by, DateTimeOffset now) => state.Status switch
    {
        SubscriptionStatus.Unknown or SubscriptionStatus.Deleted => NotKnown,
        SubscriptionStatus.Active or SubscriptionStatus.Disabled => new SubscriptionDeleted(by, now),
    };

    public static Decision<SubscriptionEvent> DecideRotation(Subscription state, Protected target, DateTimeOffset oldUntil, string by, DateTimeOffset now) => state.Status switch
    {
        SubscriptionStatus.Unknown or SubscriptionStatus.Deleted => NotKnown,
        SubscriptionStatus.Active or SubscriptionStatus.Disabled => new SecretRotated(target, oldUntil, by, now),
    };

    /// <summary>A change and, beside it, whether the subscription is to be on or off.</summary>
    /// <param name="target">Null when the address stays: encrypted again it would look like another.</param>
    public static Decision<SubscriptionEvent> DecideChange(
        Subscription state, SubscriptionFilter filter, string? description, Protected? target, bool? enabled, string by, DateTimeOffset now)
    {
        if (state.Status is SubscriptionStatus.Unknown or SubscriptionStatus.Deleted)
            return NotKnown;
        var same = target is null && filter.Equals(state.Filter) && description == state.Description;
        return (List<SubscriptionEvent>)
        [
            .. same ? Array.Empty<SubscriptionEvent>() : [new SubscriptionChanged(filter, description, target ?? state.Target!.Value, by, now)],
            .. enabled switch
            {
                null => [],
                true => DecideEnabling(state, by, now).Events,
                false => DecideDisabling(state, ByHand, by, now).Events,
            },
        ];
    }

    /// <summary>What the end of a delivery says about its receiver, as the reason for which to disable; null: nothing.</summary>
    public static string? WhyDisable(IReadOnlyList<NotificationEvent> happened) => happened switch
    {
        [.., AttemptFailed { Permanent: true, Reason: Gone }, NotificationUndeliverable] => Gone,
        // Its last try, after the whole schedule.
        [.., AttemptFailed { Permanent: false }, NotificationUndeliverable] => Failing,
        _ => null,
    };
}
