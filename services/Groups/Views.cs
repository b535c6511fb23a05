using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using JasperFx.Events;
using Marten;
using Marten.Events.Aggregation;
using Marten.Events.Projections;

namespace Huzhu.Groups;

/// <summary>
/// One group or provider for lists and searches. Holds the domain's own state, so that the view cannot tell another
/// story than the stream; no contact, not even encrypted.
/// </summary>
public sealed record ResponderView(Guid Id, long Version, Group? Group, Provider? Provider)
{
    public IResponder Responder => (IResponder?)Group ?? Provider!;

    // What queries look at.
    public bool IsProvider => Provider is not null;
    public string Name => Responder.Listing.Entry!.Name;
    public bool Listed => Responder.Listing.IsListed;
    public IReadOnlyList<string> ServiceKinds => Responder.Listing.Entry!.ServiceKinds;
    /// <summary>Sub-districts that it works from or serves.</summary>
    public IReadOnlyList<string> SubDistricts => [.. Responder.Listing.Entry!.Sites.Select(site => site.SubDistrict).Concat(Responder.Listing.Entry.SubDistricts).Distinct()];

    /// <summary>Whose service it is, in the words of HSDS. Who did not come with an organisation is one.</summary>
    public Guid OrganizationId => Responder.Listing.Entry!.Imported?.OrganizationId ?? Id;

    public static ResponderView After(ResponderView? view, Guid id, long version, object happened) => happened switch
    {
        GroupEvent one => Of(id, version, Group.Evolve(view?.Group ?? Group.Initial, one)),
        ProviderEvent one => Of(id, version, Provider.Evolve(view?.Provider ?? Provider.Initial, one)),
        _ => throw new InvalidOperationException($"The responders' view does not know the event {happened.GetType().Name}."),
    };

    private static ResponderView Of(Guid id, long version, Group group) => new(id, version, new Group(WithoutContact(group.Listing)), null);

    private static ResponderView Of(Guid id, long version, Provider provider) =>
        new(id, version, null, provider with { Listing = WithoutContact(provider.Listing), Heard = [] });

    private static Listing WithoutContact(Listing listing) => listing with { Entry = listing.Entry! with { Contact = null } };
}

/// <summary>One measure for lists and for those who must know what is in force.</summary>
public sealed record MeasureView(Guid Id, long Version, Measure Measure)
{
    public MeasurePhase Phase => Measure.Phase;

    public static MeasureView After(MeasureView? view, Guid id, long version, object happened) =>
        new(id, version, Measure.Evolve(view?.Measure ?? Measure.Initial, (MeasureEvent)happened));
}

public sealed partial class ResponderViewProjection : SingleStreamProjection<ResponderView, Guid>
{
    public ResponderViewProjection()
    {
        foreach (var type in ServiceDefaults.EventStore.EventsOf<GroupEvent>().Concat(ServiceDefaults.EventStore.EventsOf<ProviderEvent>()))
            IncludeType(type);
    }

    public override ResponderView? Evolve(ResponderView? snapshot, Guid id, IEvent e) => ResponderView.After(snapshot, id, e.Version, e.Data);
}

public sealed partial class MeasureViewProjection : SingleStreamProjection<MeasureView, Guid>
{
    public MeasureViewProjection()
    {
        foreach (var type in ServiceDefaults.EventStore.EventsOf<MeasureEvent>())
            IncludeType(type);
    }

    public override MeasureView? Evolve(MeasureView? snapshot, Guid id, IEvent e) => MeasureView.After(snapshot, id, e.Version, e.Data);
}

public static class Views
{
    /// <summary>Inline: who has changed an entry sees the change in the next list.</summary>
    public static void AddViews(this StoreOptions options)
    {
        options.Projections.Add(new ResponderViewProjection(), JasperFx.Events.Projections.ProjectionLifecycle.Inline);
        options.Projections.Add(new MeasureViewProjection(), JasperFx.Events.Projections.ProjectionLifecycle.Inline);
        options.Storage.ExtendedSchemaObjects.Add(Formats.Cap.ReadFeeds.Table());
        options.Schema.For<ResponderView>().Index(view => view.IsProvider).Index(view => view.Name);
    }
}
