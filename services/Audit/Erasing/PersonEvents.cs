using Huzhu.Audit.Reading;
using Huzhu.Audit.Verbs;
using Huzhu.ServiceDefaults;

namespace Huzhu.Audit.Erasing;

/// <summary>What the logs say of people's data: who erased whom, who read what.</summary>
public static class PersonEvents
{
    /// <summary>The services that hold personal data.</summary>
    public static readonly IReadOnlyList<string> Services = ["requests", "groups"];

    /// <summary>SQL: a reading about one of these people, requests or responders.</summary>
    public const string ReadingsOf = """
        type = 'personal_data_read' and exists (select from jsonb_array_elements(data -> 'reads') one where (one ->> 'subject')::uuid = any($1) or one -> 'people' ?| $1::text[])
        """;

    /// <summary>SQL: data that one of these people gave, through an intake or an entry.</summary>
    public const string GivenBy = """
        type = 'request_submitted' and ((data ->> 'personId')::uuid = any($1) or (data ->> 'callerId')::uuid = any($1))
        or type in ('group_registered', 'group_changed', 'provider_registered', 'provider_changed') and stream_id = any($1)
        """;

    /// <summary>Every reading of one person's data, or about one request or responder.</summary>
    public static async Task<IReadOnlyList<(string Service, Access Access)>> ReadingsAsync(Settings settings, Guid id, CancellationToken cancellation)
    {
        var readings = new List<(string, Access)>();
        foreach (var service in Services)
        {
            await using var log = settings.Open(service);
            await foreach (var stored in log.FindAsync(ReadingsOf, [id], cancellation))
                readings.AddRange(((PersonalDataRead)EventTypes.Decode(service, stored)!).Reads.Where(read => read.Subject == id || read.People.Contains(id)).Select(read => (service, read)));
        }
        return [.. readings.OrderBy(reading => reading.Item2.At)];
    }

    /// <summary>The erasures in one log, of one person or of all, each with what is left of the person there.</summary>
    public static async Task<IReadOnlyList<ErasureFound>> ErasuresAsync(ServiceLog log, Guid? person, CancellationToken cancellation)
    {
        var erasures = new List<(PersonErased Erased, long Sequence)>();
        await foreach (var stored in log.FindAsync(person is null ? "type = 'person_erased' and $1 is not null" : "stream_id = any($1)", person is { } one ? [People.StreamOf(one)] : [], cancellation))
            erasures.Add(((PersonErased)EventTypes.Decode(log.Service, stored)!, stored.Sequence));
        var people = erasures.Select(erasure => erasure.Erased.PersonId).Distinct().ToArray();
        var withKey = await log.FindPeopleWithKeyAsync(people, cancellation);
        var given = new Dictionary<Guid, long>();
        await foreach (var stored in log.FindAsync(GivenBy, [.. withKey], cancellation))
        {
            foreach (var giver in Givers(EventTypes.Decode(log.Service, stored)!, stored.Stream))
                given[giver] = stored.Sequence;
        }
        return [.. erasures.Select(erasure => new ErasureFound(log.Service, erasure.Erased, !withKey.Contains(erasure.Erased.PersonId) ? Remainder.Nothing
            : given.GetValueOrDefault(erasure.Erased.PersonId) > erasure.Sequence ? Remainder.GivenSince
            : Remainder.Key))];
    }

    private static IEnumerable<Guid> Givers(object happened, Guid stream) => happened is Requests.Domain.RequestSubmitted submitted
        ? [submitted.PersonId.Value, submitted.CallerId.Value]
        : [stream];
}

/// <summary>What of an erased person a database still opens.</summary>
public enum Remainder
{
    /// <summary>There is no key.</summary>
    Nothing,
    /// <summary>There is another key, of data that the person gave after the erasure; it opens nothing older.</summary>
    GivenSince,
    /// <summary>There is a key, and nothing was given since: it was put back.</summary>
    Key,
}

public sealed record ErasureFound(string Service, PersonErased Erased, Remainder Remainder);
