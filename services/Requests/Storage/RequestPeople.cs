using System.Security.Claims;
using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Marten;
using Npgsql;
using NpgsqlTypes;

namespace Huzhu.Requests.Storage;

/// <summary>
/// A person, here, is whoever needs help or calls for somebody who does: all their requests hang together by the
/// pseudonym that is made of the front end and its name for them.
/// </summary>
public sealed class RequestPeople(IDocumentStore store, NpgsqlDataSource database, PersonalRecords records, PersonLinks links, TimeProvider time) : IPeople
{
    /// <summary>SQL: somebody else called for the person.</summary>
    public const string CalledForAnother = "data ->> 'callerId' <> data ->> 'personId'";

    /// <summary>After every request of the person has ended.</summary>
    public const string AfterEnd = "after-end";
    /// <summary>After the last word about a partial intake that nobody completed.</summary>
    public const string AfterPartial = "after-partial";

    /// <summary>Why what was under way ended; may be published.</summary>
    private const string Reason = "erased";
    private const string Table = EventStore.Schema + ".mt_doc_requestview";

    private static readonly Refusal HelpIsUnderWay = Refusal.Conflict("help-under-way",
        "Help is under way for this person, or by a call of theirs: cancel the needs first, or have an operator end them with the erasure (force=true).");

    public IReadOnlyList<string> RetentionRules { get; } = [AfterEnd, AfterPartial];

    public ValueTask<bool> IsThemselvesAsync(ClaimsPrincipal user, Guid person, string? key, CancellationToken cancellation) =>
        ValueTask.FromResult(links.IsOf(person, key));

    public async Task<Parting> PartAsync(IDocumentSession session, Guid person, bool force, string by, DateTimeOffset at, CancellationToken cancellation)
    {
        var ids = await FindRequestsAsync(person, cancellation);
        var changes = new StreamChanges(session);
        await changes.LoadAsync(ids, cancellation);
        if (!force && ids.Any(id => changes.StateOf(id).Needs.Any(need => need.IsUnderWay)))
            return new Parting(IsKnown: true, 0, HelpIsUnderWay);
        var ended = ids.Sum(id => End(changes, id, by, at));
        changes.Queue();
        IdempotencyKeys.Forget(session, ids);
        return new Parting(ids.Count > 0, ended, null);
    }

    /// <summary>A call that was committed while its person was erased: nobody can read it, so nobody can help.</summary>
    public Task FinishAsync(Guid person, CancellationToken cancellation) => Conflict.RetryAsync(async () =>
    {
        await using var session = store.LightweightSession();
        var changes = new StreamChanges(session);
        var ids = await FindRequestsAsync(person, cancellation);
        await changes.LoadAsync(ids, cancellation);
        var lost = new List<Guid>();
        foreach (var id in ids)
        {
            if (await records.RevealAsync(changes.StateOf(id), cancellation) is null)
                lost.Add(id);
        }
        foreach (var id in lost)
            End(changes, id, People.RulesOfRetention, time.GetUtcNow());
        changes.Queue();
        IdempotencyKeys.Forget(session, lost);
        await session.SaveChangesAsync(cancellation);
        return lost.Count;
    });

    public async Task<IReadOnlyList<Guid>> FindExpiredAsync(IReadOnlyDictionary<string, double> days, DateTimeOffset now, int limit, CancellationToken cancellation)
    {
        // The last change of its row is the last word about a request. A repeat ends with the need that it repeats, which is the same person's.
        await using var command = database.CreateCommand($"""
            with involved as (
                select person_id as person, data ->> 'status' as status, mt_last_modified as changed from {Table}
                union all select (data ->> 'callerId')::uuid, data ->> 'status', mt_last_modified from {Table} where {CalledForAnother})
            select person from involved join {EventStore.Schema}.person_keys on person_id = person group by person
            having bool_and(case when status = 'partial' then changed < $2 when status in ('fulfilled', 'closed', 'cancelled', 'duplicate-of') then changed < $1 else false end)
            limit $3
            """);
        command.Parameters.Add(Limit(AfterEnd));
        command.Parameters.Add(Limit(AfterPartial));
        command.Parameters.AddWithValue(limit);
        return await ReadAsync(command, cancellation);

        // A rule that is not set compares with null, which is true of nobody.
        NpgsqlParameter Limit(string rule) => new()
        {
            NpgsqlDbType = NpgsqlDbType.TimestampTz,
            Value = days.TryGetValue(rule, out var value) ? now.AddDays(-value).UtcDateTime : DBNull.Value,
        };
    }

    /// <summary>Every request that the person needs or made.</summary>
    public async Task<IReadOnlyList<Guid>> FindRequestsAsync(Guid person, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand($"""
            select id from {Table} where person_id = $1
            union select id from {Table} where {CalledForAnother} and CAST(data ->> 'callerId' as uuid) = $1
            """);
        command.Parameters.AddWithValue(person);
        return await ReadAsync(command, cancellation);
    }

    /// <returns>How many needs were under way.</returns>
    private static int End(StreamChanges changes, Guid id, string by, DateTimeOffset at)
    {
        var state = changes.StateOf(id);
        var underWay = state.Needs.Count(need => need.IsUnderWay);
        // Matching puts what is said in order by its time.
        var after = at > state.SaidAt ? at : state.SaidAt.AddTicks(1);
        // What has ended refuses, which is as well.
        changes.Append(id, Request.DecideCancellation(state, null, new Said(by, Reason, null, after)).Events, Cause.Current());
        return underWay;
    }

    private static async Task<IReadOnlyList<Guid>> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        var found = new List<Guid>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            found.Add(reader.GetGuid(0));
        return found;
    }
}

/// <summary>
/// A person's own link: whoever took their call gets it with the answer, and can pass it on. Signed with a key that is
/// derived from the master key; those of a rotation still count.
/// </summary>
public sealed class PersonLinks(IConfiguration configuration)
{
    private const string Purpose = "erase";

    private readonly LinkSigner _signer = PersonalDataVault.DeriveSigner(configuration, "huzhu person links"u8);

    public string Of(HttpContext http, PersonId person) =>
        $"{http.Request.Scheme}://{http.Request.Host}{http.Request.PathBase}/v1/people/{person}?key={_signer.Sign(Purpose, person.Value, person.Value)}";

    public bool IsOf(Guid person, string? key) => _signer.Verify(Purpose, person, person, key);
}
