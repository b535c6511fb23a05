using System.Security.Claims;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Npgsql;

namespace Huzhu.Groups.Features;

/// <summary>
/// A person, here, is whoever is reached through an entry: coordinator and channels lie under one key, and the id is the
/// entry's. The entry itself describes an organisation and stays.
/// </summary>
public sealed class DirectoryPeople(Streams streams, NpgsqlDataSource database) : IPeople
{
    /// <summary>After the entry was withdrawn.</summary>
    public const string AfterWithdrawal = "after-withdrawal";

    private static readonly Refusal StillListed = Refusal.Conflict("still-listed",
        "The entry takes needs, and nobody could be told of them: pause or withdraw it first, or have an operator pause it with the erasure (force=true).");

    public IReadOnlyList<string> RetentionRules { get; } = [AfterWithdrawal];

    public async ValueTask<bool> IsThemselvesAsync(ClaimsPrincipal user, Guid person, string? key, CancellationToken cancellation)
    {
        var group = await streams.LoadAsync<Group, GroupEvent>(person, cancellation);
        var listing = group.IsForeign ? (await streams.LoadAsync<Provider, ProviderEvent>(person, cancellation)).State.Listing : group.State.Listing;
        return user.MayManage(person, listing);
    }

    public async Task<Parting> PartAsync(IDocumentSession session, Guid person, bool force, string by, DateTimeOffset at, CancellationToken cancellation) =>
        await PartAsync<Group, GroupEvent>(session, person, force, by, at, cancellation)
        ?? await PartAsync<Provider, ProviderEvent>(session, person, force, by, at, cancellation)
        ?? default;

    /// <summary>A contact that is given at the moment of the erasure is one that is given anew.</summary>
    public Task FinishAsync(Guid person, CancellationToken cancellation) => Task.CompletedTask;

    public async Task<IReadOnlyList<Guid>> FindExpiredAsync(IReadOnlyDictionary<string, double> days, DateTimeOffset now, int limit, CancellationToken cancellation)
    {
        if (!days.TryGetValue(AfterWithdrawal, out var value))
            return [];
        await using var command = database.CreateCommand($"""
            select id from {EventStore.Schema}.mt_doc_responderview join {EventStore.Schema}.person_keys on person_id = id
            where data ->> 'listed' = 'false' and mt_last_modified < $1 limit $2
            """);
        command.Parameters.AddWithValue(now.AddDays(-value).ToUniversalTime());
        command.Parameters.AddWithValue(limit);
        var found = new List<Guid>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            found.Add(reader.GetGuid(0));
        return found;
    }

    /// <returns>Null when the entry is of the other kind.</returns>
    private static async Task<Parting?> PartAsync<TState, TEvent>(IDocumentSession session, Guid id, bool force, string by, DateTimeOffset at, CancellationToken cancellation)
        where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
    {
        var loaded = await Streams.LoadAsync<TState, TEvent>(session, id, cancellation);
        if (loaded.IsForeign)
            return null;
        if (loaded.State.Listing.Standing != Standing.Active)
            return new Parting(loaded.Version > 0, 0, null);
        if (!force)
            return new Parting(IsKnown: true, 0, StillListed);
        var paused = Listing.DecidePause<TEvent>(loaded.State.Listing, "The contact was erased.", by, at).Events.Cast<object>();
        session.Events.Append(id, loaded.Version + 1, paused).CausedBy(Cause.Current());
        return new Parting(IsKnown: true, 1, null);
    }
}
