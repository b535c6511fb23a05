using System.Security.Cryptography;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Notifications.Contacts;
using Huzhu.Notifications.Domain;
using Huzhu.Notifications.Features;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Marten.Events.Aggregation;
using Npgsql;

namespace Huzhu.Notifications;

/// <summary>Where a subscription's events go, and what signs them. Encrypted wherever it is stored; it does not print itself.</summary>
public sealed record SubscriptionTarget(string Url, string Secret, string? OldSecret = null, DateTimeOffset? OldSecretUntil = null)
{
    /// <summary>Both secrets sign while the old one is still good.</summary>
    public string SecretsAt(DateTimeOffset now) => OldSecret is not null && OldSecretUntil > now ? $"{Secret} {OldSecret}" : Secret;

    public SubscriptionTarget Rotated(string secret, DateTimeOffset oldUntil) => new(Url, secret, Secret, oldUntil);

    public override string ToString() => nameof(SubscriptionTarget);
}

/// <summary>One subscription for lists and for those who deliver.</summary>
public sealed record SubscriptionView(Guid Id, long Version, Subscription Subscription)
{
    // What queries look at.
    public string Owner => Subscription.Owner;
    public bool IsActive => Subscription.Status == SubscriptionStatus.Active;
    public bool IsDeleted => Subscription.Status == SubscriptionStatus.Deleted;

    public static SubscriptionView After(SubscriptionView? view, Guid id, long version, SubscriptionEvent happened) =>
        new(id, version, Subscription.Evolve(view?.Subscription ?? Subscription.Initial, happened));
}

public sealed partial class SubscriptionViewProjection : SingleStreamProjection<SubscriptionView, Guid>
{
    public SubscriptionViewProjection()
    {
        foreach (var type in EventStore.EventsOf<SubscriptionEvent>())
            IncludeType(type);
    }

    public override SubscriptionView? Evolve(SubscriptionView? snapshot, Guid id, IEvent e) => SubscriptionView.After(snapshot, id, e.Version, (SubscriptionEvent)e.Data);

    public static void Configure(StoreOptions options)
    {
        options.Projections.Add(new SubscriptionViewProjection(), JasperFx.Events.Projections.ProjectionLifecycle.Inline);
        options.Schema.For<SubscriptionView>().Index(view => view.Owner);
    }
}

/// <summary>Reads and changes subscriptions, and knows which of them are active without asking the database for every event.</summary>
public sealed class Subscriptions(IDocumentStore store, PersonalDataVault vault, NpgsqlDataSource database, TimeProvider time) : IDisposable
{
    /// <summary>The lane of everything that is done for subscriptions, so that nothing of it holds up the telling of people.</summary>
    public const string Lane = "subscriptions";
    public const int MostWaiting = 10_000;
    private const int MostConflicts = 5;
    public const int Most = 1000;

    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CountEvery = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private Known _known = Known.Nothing;

    /// <param name="Full">Those of the active ones that have too much waiting.</param>
    public sealed record Known(IReadOnlyList<SubscriptionView> Active, IReadOnlySet<Guid> Full, DateTimeOffset Until, DateTimeOffset CountAgainAt)
    {
        public static readonly Known Nothing = new([], new HashSet<Guid>(), DateTimeOffset.MinValue, DateTimeOffset.MinValue);
    }

    public static string NewSecret() => "whsec_" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>The active ones, as they were at most a second ago.</summary>
    public async Task<Known> ActiveAsync(CancellationToken cancellation)
    {
        if (_known is { } fresh && fresh.Until > time.GetUtcNow())
            return fresh;
        await _turn.WaitAsync(cancellation);
        try
        {
            var known = _known;
            var now = time.GetUtcNow();
            if (known.Until > now)
                return known;
            await using var session = store.QuerySession();
            var active = await session.Query<SubscriptionView>().Where(view => view.IsActive).OrderBy(view => view.Id).Take(Most).ToListAsync(cancellation);
            return _known = active.Count > 0 && known.CountAgainAt <= now
                ? new Known(active, await ReadFullAsync(cancellation), now + Memory, now + CountEvery)
                : known with { Active = active, Until = now + Memory };
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<SubscriptionView?> FindAsync(Guid id, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        return await session.LoadAsync<SubscriptionView>(id, cancellation) is { IsDeleted: false } view ? view : null;
    }

    /// <summary>Where to deliver: as a contact with one channel, the way every other delivery sees its receiver.</summary>
    public async Task<Answer<Contact>> FindContactAsync(Guid id, CancellationToken cancellation) =>
        await FindAsync(id, cancellation) is { IsActive: true } view && await RevealAsync(id, view.Subscription, cancellation) is { } target
            ? new Answer<Contact>.Found(new Contact(null, [new ContactChannel("webhook", target.Url, target.SecretsAt(time.GetUtcNow()))], [], null))
            : new Answer<Contact>.Unknown();

    public Task<Protected> SealAsync(Guid id, SubscriptionTarget target, CancellationToken cancellation) => vault.ProtectAsync(id, target, cancellation);

    public async Task<SubscriptionTarget?> RevealAsync(Guid id, Subscription subscription, CancellationToken cancellation) =>
        subscription.Target is { } target ? await vault.RevealAsync<SubscriptionTarget>(id, target, cancellation) : null;

    public async Task<(int OfOwner, int OfAll)> CountAsync(string owner, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var kept = session.Query<SubscriptionView>().Where(view => !view.IsDeleted);
        return (await kept.CountAsync(view => view.Owner == owner, cancellation), await kept.CountAsync(cancellation));
    }

    public async Task<(IReadOnlyList<SubscriptionView> Items, long Total)> ListAsync(string? owner, int page, int pageSize, CancellationToken cancellation)
    {
        await using var session = store.QuerySession();
        var query = session.Query<SubscriptionView>().Where(view => !view.IsDeleted);
        if (owner is not null)
            query = query.Where(view => view.Owner == owner);
        var found = await query.OrderBy(view => view.Id).Stats(out var statistics).Skip((page - 1) * pageSize).Take(pageSize).ToListAsync(cancellation);
        return (found, statistics.TotalResults);
    }

    /// <param name="decide">Called again after a conflict, with the newer state.</param>
    public async Task<(SubscriptionView? View, Refusal? Refusal)> ChangeAsync(Guid id, Func<Subscription, ValueTask<Decision<SubscriptionEvent>>> decide, CancellationToken cancellation)
    {
        for (var conflicts = 0; ; conflicts++)
        {
            await using var session = store.LightweightSession();
            var view = await session.LoadAsync<SubscriptionView>(id, cancellation);
            var decision = await decide(view?.Subscription ?? Subscription.Initial);
            if (decision.Refusal is not null || decision.Events.Count == 0)
                return (view, decision.Refusal);
            var version = (view?.Version ?? 0) + decision.Events.Count;
            var appended = view is null ? session.Events.StartStream(id, decision.Events.Cast<object>()) : session.Events.Append(id, version, decision.Events.Cast<object>());
            appended.CausedBy(Cause.Current(null));
            var isDeleted = decision.Events.Any(change => change is SubscriptionDeleted);
            if (isDeleted)
                PersonalDataVault.Erase(session, id);
            try
            {
                await session.SaveChangesAsync(cancellation);
            }
            catch (Exception exception) when (NotificationLog.IsConflict(exception) && conflicts < MostConflicts)
            {
                continue;
            }
            if (isDeleted)
                vault.Forget(id);
            _known = _known with { Until = DateTimeOffset.MinValue };
            return (new SubscriptionView(id, version, decision.Events.Aggregate(view?.Subscription ?? Subscription.Initial, Subscription.Evolve)), null);
        }
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>Those with more deliveries under way than are kept waiting: a receiver that is away for days must not fill the database.</summary>
    private async Task<IReadOnlySet<Guid>> ReadFullAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select (entry.data ->> 'subscriptionId')::uuid from {EventStore.Schema}.timers timer
            join {EventStore.Schema}.mt_doc_notificationentry entry on entry.id = timer.subject
            where timer.kind = '{DeliverEventTimer.TimerKind}' group by 1 having count(*) >= {MostWaiting}
            """);
        var full = new HashSet<Guid>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            full.Add(reader.GetGuid(0));
        return full;
    }
}
