using Huzhu.Groups.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Groups;

public class AlertTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.Parse("2022-04-01T12:00:00Z");
    private static readonly AlertReference One = new("city@w.example", "w-1", Now), Two = One with { Identifier = "w-2" };
    private static readonly AlertReceived Meant = new(One, false, false, [], [], [], "op", Now);
    private static readonly AlertReceived Drill = Meant with { IsDrill = true };
    private static readonly AlertReplaced Replaced = new(Two, Cancelled: false, InDrill: false, Now);
    private static readonly AlertReplaced ReplacedInDrill = Replaced with { InDrill = true };

    [Fact]
    public void the_same_alert_again_yields_nothing()
    {
        Assert.Equal([Meant], Alert.DecideReceipt(Alert.Initial, Meant).Events);
        Assert.Empty(Alert.DecideReceipt(After(Meant), Meant with { By = "feed", At = Now.AddHours(1) }).Events);
    }

    [Fact]
    public void the_first_that_takes_its_place_counts()
    {
        Assert.Equal([Replaced], Alert.DecideReplacement(After(Meant), Replaced).Events);
        Assert.Empty(Alert.DecideReplacement(After(Meant, Replaced), Replaced with { Cancelled = true }).Events);
        Assert.Empty(Alert.DecideReplacement(After(Drill, ReplacedInDrill), ReplacedInDrill).Events);
        // A drill that said so first does not keep what is meant from being said.
        Assert.Equal([Replaced], Alert.DecideReplacement(After(Meant, ReplacedInDrill), Replaced).Events);
    }

    [Fact]
    public void an_alert_that_comes_after_its_replacement_is_over_when_it_comes()
    {
        var early = After(Replaced);
        Assert.Equal([Meant], Alert.DecideReceipt(early, Meant).Events);
        Assert.Equal(Replaced, Alert.Evolve(early, Meant).EndedBy);
    }

    [Theory]
    [InlineData(false, false, true)]
    [InlineData(false, true, false)]
    [InlineData(true, false, true)]
    [InlineData(true, true, true)]
    public void an_exercise_ends_exercises_and_nothing_else(bool drill, bool replacedInDrill, bool ends)
    {
        var (received, replaced) = (drill ? Drill : Meant, replacedInDrill ? ReplacedInDrill : Replaced);
        Assert.Equal(ends, After(received, replaced).EndedBy is not null);
        Assert.Equal(ends, After(replaced, received).EndedBy is not null);
    }

    private static Alert After(params AlertEvent[] events) => events.Aggregate(Alert.Initial, Alert.Evolve);
}
