using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Matching.Domain;
using Huzhu.ServiceDefaults;
using MassTransit;

namespace Huzhu.Matching.Deciding;

/// <summary>
/// Which replica decides. The queues whose messages change ledgers have a single active consumer each: the broker gives
/// them to one replica and, when its connection is gone, to the next. Here a replica finds out whether it is the one, by
/// saying a word into the queue of needs and listening whether it hears anything from there; and what only asks for a
/// decision (an answer over HTTP, a timer, a freed place) is sent on to the one that is.
/// </summary>
/// <remarks>
/// Nothing rests on its being right. Whoever is mistaken decides against ledgers that others have written meanwhile, and is
/// refused by their versions. So without a broker, or without an answer, a replica decides by itself.
/// </remarks>
public sealed class Decider(DecisionLoop loop, Log log, IServiceProvider services, TimeProvider time, ILogger<Decider> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    // Long enough for the broker to find out that the one that decides hangs, and for a surge: deciding elsewhere would add to it.
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(10);
    // The exchange of the same name, and not "queue:": that would declare the queue once more, as one of many consumers.
    private static readonly Uri Needs = new("exchange:matching-receive-need");
    private static readonly Uri Others = new("exchange:matching-decide-for-others");

    private readonly long _startedAt = time.GetTimestamp();
    private long _heardAt, _saidAt;

    /// <summary>
    /// The broker takes what this replica says into the queue of needs, and gives it to another one. False as long as it is
    /// not known, and when the broker is away.
    /// </summary>
    public bool IsElsewhere =>
        Volatile.Read(ref _saidAt) is var said and > 0
        && time.GetElapsedTime(said) < Patience
        && time.GetElapsedTime(Math.Max(Volatile.Read(ref _heardAt), _startedAt), said) > Patience;

    /// <summary>Something came from the queue of needs.</summary>
    public void Heard() => Volatile.Write(ref _heardAt, time.GetTimestamp());

    /// <summary>Has it decided by the replica that decides, and waits until it is in the log, or refused.</summary>
    public async Task<Answer> DoAsync(NeedCommand command, Lane lane, Cause cause, CancellationToken cancellation)
    {
        await loop.Loaded.WaitAsync(cancellation);
        if (IsElsewhere)
        {
            var (state, version) = await log.LoadMatchAsync(command.NeedId, cancellation);
            var decision = command.Decide(state, loop.Look());
            if (decision.Refusal is not null || decision.Events.Count == 0 && state.OffersWanted(loop.Policy.Policy) <= 0)
                return new Answer(decision.Refusal, state, version);
            if (ChangesLedgers(state, decision.Events) && await AskAsync(command with { TraceParent = cause.TraceParent, CausationId = cause.CausationId }, cancellation) is { } answer)
                return answer;
        }
        return await loop.DoAsync(command.NeedId, command.Decide, lane, cause, cancellation);
    }

    /// <summary>Has the backlog tried for these streams, by the replica that decides.</summary>
    /// <returns>False when that is this one, as far as it knows, or the other cannot be told.</returns>
    public async Task<bool> PassOnAsync(PlacesFreed freed, CancellationToken cancellation)
    {
        if (!IsElsewhere)
            return false;
        try
        {
            await SendWithinAsync(Patience, Others, freed, cancellation);
            return true;
        }
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
        {
            logger.LogWarning(exception, "The replica that decides could not be told of freed places; the backlog is tried here");
            return false;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                loop.StandsBy = IsElsewhere;
                try
                {
                    await SendWithinAsync(Patience, Needs, new WhoDecides(), stoppingToken);
                    Volatile.Write(ref _saidAt, time.GetTimestamp());
                }
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
                {
                    logger.LogDebug(exception, "The broker could not be asked which replica decides");
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private bool ChangesLedgers(MatchState before, IReadOnlyList<MatchEvent> events)
    {
        var after = events.Aggregate(before, MatchState.Evolve);
        return after.OffersWanted(loop.Policy.Policy) > 0 || before.Offers.Exists(offer => offer.HoldsPlace && after.Find(offer.Id) is { HoldsPlace: false });
    }

    /// <returns>Null when nobody answers in time: whoever asked then decides.</returns>
    private async Task<Answer?> AskAsync(NeedCommand command, CancellationToken cancellation)
    {
        try
        {
            var client = services.GetRequiredService<IBus>().CreateRequestClient<NeedCommand>(Others, AnswerWithin);
            var decided = await client.GetResponse<NeedDecided>(command, cancellation);
            var (state, version) = await log.LoadMatchAsync(command.NeedId, cancellation);
            return new Answer(decided.Message.Refusal, state, version);
        }
        catch (Exception exception) when (exception is RequestException or TimeoutException)
        {
            logger.LogWarning(exception, "The replica that decides did not answer about need {NeedId}; it is decided here", command.NeedId);
            return null;
        }
    }

    private async Task SendWithinAsync<T>(TimeSpan patience, Uri queue, T message, CancellationToken cancellation) where T : class
    {
        using var within = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        within.CancelAfter(patience);
        await (await services.GetRequiredService<IBus>().GetSendEndpoint(queue)).Send(message, within.Token);
    }
}

/// <summary>Said by every replica into the queue of needs, to find out who hears it.</summary>
[EntityName("matching-who-decides")]
public sealed record WhoDecides;

/// <summary>The backlog may move: these streams (ledgers, the measures) have got to these versions.</summary>
[EntityName("matching-places-freed")]
public sealed record PlacesFreed(IReadOnlyDictionary<Guid, long> Versions, bool Everywhere, string CausationId, string? TraceParent = null);

public enum NeedVerb { Accept, Decline, Start, Complete, Release, Revoke, Expire, Retry }

/// <summary>What may be asked of a match by whoever does not decide about it.</summary>
/// <param name="OfferId">None for what is not about one offer.</param>
/// <param name="Reason">Of a release or a revocation.</param>
/// <param name="Quantity">Of a completion; null: all that remains.</param>
/// <param name="TraceParent">What stands behind it, for the event's headers.</param>
/// <param name="By">Who asks, as the event will say; null where nobody does.</param>
[EntityName("matching-need-command")]
public sealed record NeedCommand(NeedId NeedId, NeedVerb Verb, OfferId OfferId = default, string? Reason = null, DeclineReason? DeclineReason = null, int? Quantity = null,
    string? TraceParent = null, string? CausationId = null, string? By = null)
{
    /// <summary>A <see cref="DecideOnMatch"/>.</summary>
    public Decision<MatchEvent> Decide(MatchState state, Situation situation) => Verb switch
    {
        NeedVerb.Accept => Match.DecideAccept(state, OfferId, situation.Now, By),
        NeedVerb.Decline => Match.DecideDecline(state, OfferId, DeclineReason ?? Contracts.DeclineReason.Other, situation.Now, By),
        NeedVerb.Start => Match.DecideStart(state, OfferId, situation.Now, By),
        NeedVerb.Complete => Match.DecideComplete(state, OfferId, Quantity, situation.Now, By),
        NeedVerb.Release => Match.DecideRelease(state, OfferId, Reason ?? "", situation.Now, By),
        NeedVerb.Revoke => Match.DecideRevokeByOperator(state, OfferId, Reason ?? "", situation.Now, By),
        NeedVerb.Expire => Match.DecideExpire(state, situation.Now),
        NeedVerb.Retry => Sweeps.Retry(state, situation),
    };
}

/// <summary>The answer to a <see cref="NeedCommand"/>: it is in the log, or refused.</summary>
[EntityName("matching-need-decided")]
public sealed record NeedDecided(Refusal? Refusal);
