using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Deciding;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

/// <summary>Decisions about people's data, and the frozen form of their events.</summary>
public class PeopleTests
{
    private static readonly Guid Person = new("9a8b7c6d-0000-4000-8000-000000000001");
    private static readonly DateTimeOffset At = new(2022, 4, 1, 8, 0, 0, TimeSpan.Zero);
    private static readonly PersonErased Erased = new(Person, "local-operator", "request-of-the-person", At);
    private static readonly Refusal Wait = Refusal.Conflict("help-under-way", "Help is under way.");

    private static readonly PersonEvent[] Samples =
    [
        Erased,
        new PersonalDataRead([new Access([Person], new("9a8b7c6d-0000-4000-8000-000000000002"), Revealed.Everything, "local-operator", "welfare-check", At), new Access([Person], Person, Revealed.Contact, "notifications", null, At)], At),
        new RetentionChanged(new Dictionary<string, double> { ["after-end"] = 365, ["after-partial"] = 0.5 }, "local-operator", At),
        new DataKeysRewrapped("5f0c9a7e11d24b36", 1204, At, "op-7"),
    ];

    public static TheoryData<string> EveryEvent => new(EventStore.EventsOf<PersonEvent>().Select(type => type.Name));

    [Theory, MemberData(nameof(EveryEvent))]
    public void a_stored_event_is_read_as_it_was_written(string name)
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
            folder = Path.GetDirectoryName(folder)!;
        var frozen = File.ReadAllText(Path.Combine(folder, "tests", "Unit", "ServiceDefaults", "Samples", $"{name}.json"));
        var store = EventStore.CreateSerializer();
        var sample = Samples.Single(one => one.GetType().Name == name);
        foreach (var written in new[] { store.ToJson(sample), store.ToJson(store.FromJson(sample.GetType(), new MemoryStream(Encoding.UTF8.GetBytes(frozen)))) })
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(frozen), JsonNode.Parse(written)), written);
    }

    [Fact]
    public void keys_wrapped_anew_before_it_was_asked_who_had_it_done_are_read_without()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
            folder = Path.GetDirectoryName(folder)!;
        using var frozen = File.OpenRead(Path.Combine(folder, "tests", "Unit", "ServiceDefaults", "Samples", "DataKeysRewrapped-before-who-acted.json"));
        Assert.Equal(new DataKeysRewrapped("5f0c9a7e11d24b36", 1204, At), EventStore.CreateSerializer().FromJson<DataKeysRewrapped>(frozen));
    }

    [Theory]
    // erased before, known, has a key, must wait → what is decided
    [InlineData(false, false, false, false, "person-not-found")]
    [InlineData(false, true, false, false, "erased")]
    [InlineData(false, true, true, false, "erased")]
    [InlineData(false, false, true, false, "erased")]
    [InlineData(false, true, true, true, "help-under-way")]
    [InlineData(false, true, false, true, "help-under-way")]
    [InlineData(true, true, false, false, "nothing")]
    [InlineData(true, true, false, true, "nothing")]
    [InlineData(true, false, false, false, "nothing")]
    [InlineData(true, true, true, false, "erased")]
    [InlineData(true, true, true, true, "help-under-way")]
    public void a_person_is_erased_once_and_again_when_data_was_given_again(bool before, bool isKnown, bool hasKey, bool mustWait, string expected)
    {
        var decision = People.DecideErasure(before ? Erased with { At = At.AddDays(-1) } : null, isKnown, hasKey, mustWait ? Wait : null, Erased);
        Assert.Equal(expected, decision.Refusal?.Code ?? (decision.Events is [PersonErased] ? "erased" : "nothing"));
    }

    [Fact]
    public void rules_of_retention_change_by_version_and_only_when_they_differ()
    {
        var state = Retention.Evolve(Retention.Initial, new RetentionChanged(Days(("after-end", 30)), "op", At));
        Assert.Equal(1, state.Version);
        Assert.Equal("stale-retention", Retention.DecideChange(state, Days(("after-end", 5)), 0, "op", At).Refusal?.Code);
        Assert.Equal(Decision<PersonEvent>.Nothing, Retention.DecideChange(state, Days(("after-end", 30)), 1, "op", At));
        Assert.IsType<RetentionChanged>(Assert.Single(Retention.DecideChange(state, Days(("after-end", 5)), 1, "op", At).Events));
        Assert.IsType<RetentionChanged>(Assert.Single(Retention.DecideChange(state, Days(), 1, "op", At).Events));
        Assert.IsType<RetentionChanged>(Assert.Single(Retention.DecideChange(state, Days(("after-partial", 30)), 1, "op", At).Events));
    }

    [Theory]
    [InlineData("after-end", 0.0, true)]
    [InlineData("after-end", -1.0, true)]
    [InlineData("after-end", double.NaN, true)]
    [InlineData("after-end", 36_501.0, true)]
    [InlineData("after-war", 5.0, true)]
    [InlineData("after-end", 0.001, false)]
    [InlineData("after-end", 36_500.0, false)]
    public void a_rule_must_exist_and_its_time_must_make_sense(string rule, double days, bool isWrong) =>
        Assert.Equal(isWrong, Retention.Errors(Days((rule, days)), ["after-end"]).ContainsKey($"days.{rule}"));

    [Fact]
    public void each_person_and_each_day_has_a_stream_of_its_own()
    {
        Assert.Equal(People.StreamOf(Person), People.StreamOf(Person));
        Assert.NotEqual(Person, People.StreamOf(Person));
        Assert.Equal(People.AccessStreamOf(At), People.AccessStreamOf(new DateTimeOffset(2022, 4, 2, 1, 0, 0, TimeSpan.FromHours(8))));
        Assert.NotEqual(People.AccessStreamOf(At), People.AccessStreamOf(At.AddDays(1)));
    }

    private static Dictionary<string, double> Days(params (string Rule, double Days)[] rules) => rules.ToDictionary(rule => rule.Rule, rule => rule.Days);
}
