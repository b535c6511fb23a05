using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Notifications.Content;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Caching.Memory;

namespace Huzhu.Notifications.Contacts;

/// <summary>Asks Requests who to tell and where to go, which is not kept, and which front end took a request in.</summary>
public sealed class RequestsDirectory(HttpClient http, NeedFactsCache cache)
{
    public Task<Answer<Contact>> FindContactAsync(RequestId request, NeedId need, CancellationToken cancellation) =>
        Question.AskAsync(http, "requests", $"v1/requests/{request}/contact?needId={need}&purpose=notification", Question.ToContact, cancellation);

    public Task<Answer<Visit>> FindVisitAsync(RequestId request, NeedId need, CancellationToken cancellation) =>
        Question.AskAsync<Visit, Visit>(http, "requests", $"v1/requests/{request}/visit?needId={need}&purpose=notification", visit => visit, cancellation);

    /// <returns>Null when Requests knows no such request.</returns>
    /// <exception cref="HttpRequestException">Requests is away; ask again later.</exception>
    public async Task<string?> FindSourceAsync(RequestId request, CancellationToken cancellation)
    {
        if (cache.Needs.TryGetValue<RequestFacts>(request, out var known))
            return known!.Source;
        var answer = await Question.AskAsync<RequestFacts, RequestFacts>(http, "requests", $"v1/requests/{request}", facts => facts, cancellation);
        var facts = answer switch
        {
            Answer<RequestFacts>.Found found => found.Value,
            Answer<RequestFacts>.Unavailable away => throw new HttpRequestException(away.Reason),
            _ => new RequestFacts(null),
        };
        return cache.Needs.Set(request, facts, NeedFactsCache.ForAWhile()).Source;
    }

    private sealed record RequestFacts(string? Source);
}

/// <summary>
/// Asks Groups how to reach a responder. A contact is kept for a few seconds, because a closure or a surge makes many
/// offers to the same groups at once.
/// </summary>
public sealed class GroupsDirectory(HttpClient http, ContactCache cache)
{
    public async Task<Answer<Contact>> FindContactAsync(ResponderId responder, CancellationToken cancellation)
    {
        if (cache.Find(responder) is { } known)
            return new Answer<Contact>.Found(known);
        var answer = await Question.AskAsync(http, "groups", $"v1/responders/{responder}/contact?purpose=notification", Question.ToContact, cancellation);
        if (answer is Answer<Contact>.Found { Value: var contact })
            cache.Keep(responder, contact);
        return answer;
    }
}

/// <summary>What a need is about, for filters.</summary>
public sealed record NeedFacts(string? Kind, string? SubDistrict);

/// <summary>Asks Matching what a need is about, and remembers it for a while: it never changes, and a need makes several events.</summary>
public sealed class MatchingDirectory(HttpClient http, NeedFactsCache cache)
{
    /// <exception cref="HttpRequestException">Matching is away; ask again later.</exception>
    public async Task<NeedFacts> FindNeedAsync(NeedId need, CancellationToken cancellation)
    {
        if (cache.Needs.Get<NeedFacts>(need) is { } known)
            return known;
        var answer = await Question.AskAsync<NeedFacts, NeedFacts>(http, "matching", $"v1/matches/{need}", facts => facts, cancellation);
        var facts = answer switch
        {
            Answer<NeedFacts>.Found found => found.Value,
            Answer<NeedFacts>.Unavailable away => throw new HttpRequestException(away.Reason),
            _ => new NeedFacts(null, null),
        };
        return cache.Needs.Set(need, facts, NeedFactsCache.ForAWhile());
    }
}

public sealed class NeedFactsCache : IDisposable
{
    public MemoryCache Needs { get; } = new(new MemoryCacheOptions { SizeLimit = 50_000 });

    public static MemoryCacheEntryOptions ForAWhile() => new() { Size = 1, AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) };

    public void Dispose() => Needs.Dispose();
}

public sealed class ContactCache : IDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(5);
    private readonly MemoryCache _contacts = new(new MemoryCacheOptions { SizeLimit = 10_000 });

    public Contact? Find(ResponderId responder) => _contacts.Get<Contact>(responder);

    public void Keep(ResponderId responder, Contact contact) =>
        _contacts.Set(responder, contact, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Lifetime });

    public void Forget(ResponderId responder) => _contacts.Remove(responder);

    public void Dispose() => _contacts.Dispose();
}

internal static partial class Question
{
    /// <summary>A contact with more channels than this is cut: every channel may cost minutes of trying.</summary>
    private const int MostChannels = 8;

    private const string Unusable = "unusable";

    public sealed record ContactBody(string? Name, IReadOnlyList<ContactChannel?>? Channels, IReadOnlyList<CommunicationNeed>? Communication, string? Language, string? OwnKey = null);

    public static Task<Answer<Contact>> AskAsync(HttpClient http, string service, string path, Func<ContactBody, Contact> map, CancellationToken cancellation) =>
        AskAsync<ContactBody, Contact>(http, service, path, map, cancellation);

    public static async Task<Answer<T>> AskAsync<TBody, T>(HttpClient http, string service, string path, Func<TBody, T> map, CancellationToken cancellation)
        where TBody : class
    {
        try
        {
            using var response = await http.GetAsync(path, cancellation);
            return response.StatusCode switch
            {
                HttpStatusCode.OK => await response.Content.ReadFromJsonAsync<TBody>(cancellation) is { } body
                    ? new Answer<T>.Found(map(body))
                    : new Answer<T>.Unavailable($"{service}-malformed"),
                HttpStatusCode.Gone => new Answer<T>.Erased(),
                HttpStatusCode.NotFound => new Answer<T>.Unknown(),
                var status => new Answer<T>.Unavailable($"{service}-http-{(int)status}"),
            };
        }
        catch (JsonException)
        {
            return new Answer<T>.Unavailable($"{service}-malformed");
        }
        catch (Exception exception) when (Messaging.IsServerAway(exception)
            || exception is OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new Answer<T>.Unavailable($"{service}-away");
        }
    }

    /// <summary>The kind is the one word of the answer that is stored, so it must be a word and not, say, a phone number.</summary>
    public static Contact ToContact(ContactBody body) => new(
        body.Name,
        [.. (body.Channels ?? []).Take(MostChannels).Select(channel => channel is { Kind: { } kind, Address: not null } && KindWord().IsMatch(kind)
            ? channel
            : new ContactChannel(Unusable, "", null))],
        body.Communication ?? [],
        body.Language,
        body.OwnKey);

    [GeneratedRegex(@"^[a-z]+(-[a-z]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex KindWord();
}

public static class Directories
{
    public static IServiceCollection AddDirectories(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton<ContactCache>().AddSingleton<NeedFactsCache>();
        services.AddServiceClient(configuration, "Services:Requests").AddTypedClient<RequestsDirectory>();
        services.AddServiceClient(configuration, "Services:Groups").AddTypedClient<GroupsDirectory>();
        services.AddServiceClient(configuration, "Services:Matching").AddTypedClient<MatchingDirectory>();
        return services;
    }
}
