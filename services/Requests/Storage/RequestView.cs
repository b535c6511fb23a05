using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using Marten.Events.Aggregation;

namespace Huzhu.Requests.Storage;

/// <summary>One request as lists show it and as the next intake of the same person looks it up. No personal data.</summary>
public sealed class RequestView
{
    public Guid Id { get; init; }
    public RequestState State { get; init; } = RequestState.Initial;
    /// <summary>As a word: queries look at it.</summary>
    public string Status { get; init; } = Words.Of(RequestStatus.Open);
    public Guid PersonId { get; init; }
    /// <summary>Who called for the person.</summary>
    public Guid CallerId { get; init; }
    public DateTimeOffset SubmittedAt { get; init; }
    /// <summary>The newest time of its events.</summary>
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Whether the person's next intake must know of this request: a need is under way, or there was a concern.</summary>
    public bool Matters { get; init; }

    /// <summary>Nobody has been asked for one of its needs, because so much is on its way before it: Matching has said nothing yet, or cannot have offers told.</summary>
    public bool Unasked { get; init; }

    /// <summary>SQL: <see cref="Unasked"/>.</summary>
    public const string IsUnasked = "data ->> 'unasked' = 'true'";

    public static RequestView After(RequestView? view, RequestEvent happened)
    {
        var state = Request.Evolve(view?.State ?? RequestState.Initial, happened);
        return new RequestView
        {
            Id = state.Id.Value,
            State = state,
            Status = Words.Of(state.Status),
            PersonId = state.PersonId.Value,
            CallerId = state.CallerId.Value,
            SubmittedAt = state.SubmittedAt,
            UpdatedAt = view?.UpdatedAt > happened.At ? view.UpdatedAt : happened.At,
            Matters = state.Concerned.Count > 0 || state.Needs.Any(need => need.IsUnderWay),
            Unasked = state.Needs.Any(need => need is { State: NeedState.Open or NeedState.Reopened } or { State: NeedState.Waiting, Reason: NeedStateChanged.TellingIsBehind }),
        };
    }

    public static void Configure(StoreOptions options)
    {
        // A duplicated field has an index of its own.
        options.Schema.For<RequestView>()
            .Duplicate(view => view.PersonId, notNull: true)
            .Duplicate(view => view.SubmittedAt, notNull: true)
            // Rows of an older version have none until the next event, or until the views are rebuilt.
            .Duplicate(view => view.UpdatedAt)
            .Index([view => view.Status, view => view.SubmittedAt], index => index.Name = "request_view_status_submitted_at")
            .Index(view => view.SubmittedAt, index => (index.Name, index.Predicate) = ("request_view_unasked", IsUnasked))
            // Few call for somebody else.
            .Index(view => view.CallerId, index => (index.Name, index.Predicate) = ("request_view_caller", RequestPeople.CalledForAnother));
        options.Projections.Add(new RequestViewProjection(), JasperFx.Events.Projections.ProjectionLifecycle.Inline);
    }
}

public sealed partial class RequestViewProjection : SingleStreamProjection<RequestView, Guid>
{
    public RequestViewProjection()
    {
        foreach (var type in EventStore.EventsOf<RequestEvent>())
            IncludeType(type);
    }

    public override RequestView Evolve(RequestView? snapshot, Guid id, IEvent e) => RequestView.After(snapshot, (RequestEvent)e.Data);
}

/// <summary>What is known of a person from earlier requests: which needs are under way, whom to keep away, and who has helped.</summary>
public sealed class PersonHistory
{
    private readonly List<(NeedLink Need, string Kind, DateTimeOffset Since)> _underWay = [];
    private readonly HashSet<ResponderId> _excluded = [];
    private readonly List<(ResponderId Responder, DateTimeOffset At)> _help = [];

    /// <summary>So many of those who have helped are told of, and so many requests of a person are looked at for them: the newest.</summary>
    public const int MaxHelpers = 10;

    public IReadOnlyList<ResponderId> Excluded => [.. _excluded.OrderBy(id => id.Value)];

    /// <summary>Who has helped the person, but for those whom a concern keeps away.</summary>
    public IReadOnlyList<ResponderId> Helpers =>
        [.. _help.OrderByDescending(help => help.At).ThenBy(help => help.Responder.Value).Select(help => help.Responder).Distinct().Except(_excluded).Take(MaxHelpers).OrderBy(id => id.Value)];

    public void Add(RequestState request)
    {
        _excluded.UnionWith(request.Concerned);
        _underWay.AddRange(request.Needs.Where(need => need.IsUnderWay)
            .Select(need => (new NeedLink(request.Id, need.NeedId), need.Kind, request.SubmittedAt)));
    }

    public void AddHelp(RequestState request)
    {
        foreach (var need in request.Needs)
        {
            if (need.HelpedBy is { } helper)
                _help.Add((helper, need.FulfilledAt ?? request.SubmittedAt));
        }
    }

    /// <summary>
    /// The need that a new one of this kind repeats: the same kind first, then one of which either is the general form of
    /// the other; the oldest of those. Two specialisations of one root are two different needs.
    /// </summary>
    public NeedLink? FindRepeated(string kind, RequestId except) => _underWay
        .Where(need => need.Need.RequestId != except && (ServiceKinds.Covers(need.Kind, kind) || ServiceKinds.Covers(kind, need.Kind)))
        .OrderByDescending(need => need.Kind == kind).ThenBy(need => need.Since).ThenBy(need => need.Need.NeedId.Value)
        .Select(need => need.Need)
        .FirstOrDefault();

    /// <summary>The requests of each of these people that their next intake must know of.</summary>
    public static async Task<Dictionary<PersonId, IReadOnlyList<Guid>>> FindRequestsAsync(
        IQuerySession session, IEnumerable<PersonId> people, CancellationToken cancellation)
    {
        var ids = people.Select(person => person.Value).Distinct().ToArray();
        var found = await session.Query<RequestView>().Where(view => ids.Contains(view.PersonId) && view.Matters)
            .Select(view => new { view.Id, view.PersonId }).ToListAsync(cancellation);
        var byPerson = found.ToLookup(view => view.PersonId, view => view.Id);
        return ids.ToDictionary(id => new PersonId(id), id => (IReadOnlyList<Guid>)[.. byPerson[id]]);
    }

    /// <summary>The newest requests of each of these people that somebody has helped with. Those of before an erasure are forgotten.</summary>
    public static async Task<IEnumerable<RequestState>> FindHelpedAsync(IQuerySession session, IEnumerable<PersonId> people, CancellationToken cancellation)
    {
        var ids = people.Select(person => person.Value).ToArray();
        var helped = await session.AdvancedSql.QueryAsync<Guid>($$"""
            select helped.id from unnest(?, ?) as asked (person, erasures) cross join lateral (
                select id from {{EventStore.Schema}}.mt_doc_requestview where person_id = asked.person
                    and (data #> '{state,needs}' @> '[{"state": "fulfilled"}]' or data #> '{state,needs}' @> '[{"state": "closed"}]')
                    and submitted_at > coalesce((select max((data ->> 'at')::timestamptz) from {{EventStore.Schema}}.mt_events where stream_id = asked.erasures), '-infinity')
                order by submitted_at desc, id limit {{MaxHelpers}}) helped
            """, cancellation, ids, ids.Select(People.StreamOf).ToArray());
        return helped.Count == 0 ? [] : (await session.LoadManyAsync<RequestView>(cancellation, [.. helped])).Select(view => view.State);
    }
}
