using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;

namespace Huzhu.Groups;

/// <summary>What the other services are told of each stored event.</summary>
public static class Publishing
{
    public static async ValueTask<IReadOnlyList<object>> Map(IEvent stored, IQuerySession log, CancellationToken cancellation) => stored.Data switch
    {
        // What a provider says is not yet what it does: its closure is told when it is in force.
        ClosurePublished or ReopeningPublished => [],
        GroupEvent happened => [Told(await At<Group, GroupEvent>(stored, log, cancellation), stored, happened.At)],
        ProviderEvent happened => [Told(await At<Provider, ProviderEvent>(stored, log, cancellation), stored, happened.At)],
        Domain.MeasureImposed happened => [Told(await At<Measure, MeasureEvent>(stored, log, cancellation), stored, happened)],
        Domain.MeasureLifted happened => [new Contracts.Groups.V1.MeasureLifted(new MeasureId(stored.StreamId), happened.Reason, happened.At)],
        PersonErased happened => [new ContactErased(new ResponderId(happened.PersonId), happened.At)],
        MeasurePublished or MeasureCancelled or AlertEvent or RetentionChanged or DataKeysRewrapped => [],
        _ => throw new InvalidOperationException($"Nobody has said what {stored.Data.GetType().Name} means to other services."),
    };

    public static ResponderChanged Told(IResponder responder, IEvent stored, DateTimeOffset at)
    {
        var entry = responder.Listing.Entry!;
        return new ResponderChanged(new ResponderId(stored.StreamId), responder.Kind, stored.Version, responder.Opening, responder.ClosedBecause,
            responder.ClosedByMeasureId, responder.Sites, entry.RadiusMetres, entry.SubDistricts, entry.ServiceKinds, entry.Modes,
            entry.CommunicationAbilities, entry.Capacity, entry.ZonePermit, entry.LeaderHasDisability, entry.ManagedBy, at);
    }

    private static Contracts.Groups.V1.MeasureImposed Told(Measure measure, IEvent stored, Domain.MeasureImposed imposed)
    {
        var plan = measure.Plan!;
        return new(new MeasureId(stored.StreamId), plan.Name, plan.Area, plan.SealsZone, plan.From, plan.Until, imposed.At);
    }

    /// <summary>The state at this event, not the newest: a message says what was so at its version.</summary>
    private static async Task<TState> At<TState, TEvent>(IEvent stored, IQuerySession log, CancellationToken cancellation)
        where TState : IStreamState<TState, TEvent> where TEvent : notnull =>
        (await Streams.LoadAsync<TState, TEvent>(log, stored.StreamId, cancellation, stored.Version)).State;
}
