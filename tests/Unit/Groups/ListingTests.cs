using Huzhu.Contracts;
using Huzhu.Deciding;
using Huzhu.Groups.Domain;
using Xunit;
using static Huzhu.Tests.Unit.Groups.Entries;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>What groups and providers have in common, as a table of states × commands, walked for both.</summary>
public class ListingTests
{
    private static readonly DirectoryEntry Known = Entry();
    private static readonly DirectoryEntry Other = Entry("Another name");

    /// <summary>State, command, what follows; <c>*</c> stands for Group or Provider.</summary>
    public static TheoryData<string, string, string> Table => new()
    {
        { "unknown", "register", "*Registered" },
        { "unknown", "register-other", "*Registered" },
        { "unknown", "change", "NotFound: not-found" },
        { "unknown", "change-other", "NotFound: not-found" },
        { "unknown", "pause", "NotFound: not-found" },
        { "unknown", "resume", "NotFound: not-found" },
        { "unknown", "withdraw", "NotFound: not-found" },

        { "active", "register", "nothing" },
        { "active", "register-other", "Conflict: id-taken" },
        { "active", "change", "nothing" },
        { "active", "change-other", "*Changed" },
        { "active", "pause", "*Paused" },
        { "active", "resume", "nothing" },
        { "active", "withdraw", "*Withdrawn" },

        { "paused", "register", "nothing" },
        { "paused", "register-other", "Conflict: id-taken" },
        { "paused", "change", "nothing" },
        { "paused", "change-other", "*Changed" },
        { "paused", "pause", "nothing" },
        { "paused", "resume", "*Resumed" },
        { "paused", "withdraw", "*Withdrawn" },

        { "withdrawn", "register", "Conflict: withdrawn" },
        { "withdrawn", "register-other", "Conflict: id-taken" },
        { "withdrawn", "change", "Conflict: withdrawn" },
        { "withdrawn", "change-other", "Conflict: withdrawn" },
        { "withdrawn", "pause", "Conflict: withdrawn" },
        { "withdrawn", "resume", "Conflict: withdrawn" },
        { "withdrawn", "withdraw", "nothing" },
    };

    [Theory, MemberData(nameof(Table))]
    public void a_group_decides_as_the_table_says(string state, string command, string follows) =>
        Assert.Equal(follows.Replace("*", "Group"), Summary(Decide<Group, GroupEvent>(state, command)));

    [Theory, MemberData(nameof(Table))]
    public void a_provider_decides_as_the_table_says(string state, string command, string follows) =>
        Assert.Equal(follows.Replace("*", "Provider"), Summary(Decide<Provider, ProviderEvent>(state, command)));

    [Fact]
    public void the_opening_follows_the_standing()
    {
        Assert.Equal(Opening.Open, State<Group, GroupEvent>("active").Opening);
        Assert.Equal(Opening.Paused, State<Group, GroupEvent>("paused").Opening);
        Assert.Equal(Opening.Withdrawn, State<Group, GroupEvent>("withdrawn").Opening);
        Assert.Equal(Opening.Open, State<Provider, ProviderEvent>("active").Opening);
        Assert.Equal(Opening.Paused, State<Provider, ProviderEvent>("paused").Opening);
        Assert.Equal(Opening.Withdrawn, State<Provider, ProviderEvent>("withdrawn").Opening);
    }

    [Fact]
    public void a_change_replaces_the_whole_entry()
    {
        var changed = Fold<Group, GroupEvent>(new GroupRegistered(Known, "c", Noon), new GroupPaused("rest", "c", Noon), new GroupChanged(Other, "c", Noon));
        Assert.Equal(Other, changed.Listing.Entry);
        Assert.Equal(Standing.Paused, changed.Listing.Standing);
    }

    [Fact]
    public void entries_are_equal_when_every_field_is()
    {
        Assert.Equal(Entry(), Entry());
        Assert.NotEqual(Entry(), Entry() with { Sites = [new Location(Outside, "J")] });
        Assert.NotEqual(Entry(), Entry() with { Sites = [new Location(Inside, "K")] });
        Assert.NotEqual(Entry(), Entry() with { RadiusMetres = null });
        Assert.NotEqual(Entry(), Entry() with { SubDistricts = [] });
        Assert.NotEqual(Entry(), Entry() with { ServiceKinds = [ServiceKinds.Money] });
        Assert.NotEqual(Entry(), Entry() with { Modes = [DeliveryMode.Online] });
        Assert.NotEqual(Entry(), Entry() with { CommunicationAbilities = [] });
        Assert.NotEqual(Entry(), Entry() with { Capacity = 9 });
        Assert.NotEqual(Entry(), Entry() with { ZonePermit = true });
        Assert.NotEqual(Entry(), Entry() with { LeaderHasDisability = null });
        Assert.NotEqual(Entry(), Entry() with { ManagedBy = [] });
        Assert.NotEqual(Entry(), Entry() with { Contact = null });
    }

    [Fact]
    public void an_event_that_is_not_known_throws()
    {
        Assert.Throws<InvalidOperationException>(() => Group.Evolve(Group.Initial, new UnknownGroupEvent(Noon)));
        Assert.Throws<InvalidOperationException>(() => Provider.Evolve(Provider.Initial, new UnknownProviderEvent(Noon)));
        Assert.Throws<InvalidOperationException>(() => Measure.Evolve(Measure.Initial, new UnknownMeasureEvent(Noon)));
    }

    private sealed record UnknownGroupEvent(DateTimeOffset At) : GroupEvent(At);
    private sealed record UnknownProviderEvent(DateTimeOffset At) : ProviderEvent(At);
    private sealed record UnknownMeasureEvent(DateTimeOffset At) : MeasureEvent(At);

    private static TState State<TState, TEvent>(string state) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent> => Fold<TState, TEvent>(state switch
    {
        "unknown" => [],
        "active" => [TEvent.Registered(Known, "c", Noon)],
        "paused" => [TEvent.Registered(Known, "c", Noon), TEvent.Paused("rest", "c", Noon)],
        "withdrawn" => [TEvent.Registered(Known, "c", Noon), TEvent.Withdrawn("moved away", "c", Noon)],
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    });

    private static Decision<TEvent> Decide<TState, TEvent>(string state, string command) where TState : IResponder<TState, TEvent> where TEvent : IListingEvents<TEvent>
    {
        var now = State<TState, TEvent>(state);
        return command switch
        {
            "register" => TState.DecideRegistration(now, Known, [], "c", Noon),
            "register-other" => TState.DecideRegistration(now, Other, [], "c", Noon),
            "change" => TState.DecideChange(now, Known, [], "c", Noon),
            "change-other" => TState.DecideChange(now, Other, [], "c", Noon),
            "pause" => Listing.DecidePause<TEvent>(now.Listing, "rest", "c", Noon),
            "resume" => Listing.DecideResumption<TEvent>(now.Listing, "back", "c", Noon),
            "withdraw" => Listing.DecideWithdrawal<TEvent>(now.Listing, "moved away", "c", Noon),
            _ => throw new ArgumentOutOfRangeException(nameof(command)),
        };
    }
}
