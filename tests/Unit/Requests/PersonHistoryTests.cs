using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Microsoft.Extensions.Configuration;
using Xunit;
using Decider = Huzhu.Requests.Domain.Request;

namespace Huzhu.Tests.Unit.Requests;

public class PersonHistoryTests
{
    private static readonly RequestId Another = new(Guid.NewGuid());

    private static PersonHistory Of(params RequestState[] requests)
    {
        var history = new PersonHistory();
        foreach (var request in requests)
            history.Add(request);
        return history;
    }

    private static RequestState Asked(string kind, DateTimeOffset? at = null, NeedId? id = null) => Decider.Fold(
        [Given.Submitted(Given.Content(needs: [new AskedNeed(id ?? Given.Need, kind, DeliveryMode.Offline, 1, null)])) with { At = at ?? Given.Now }]);

    [Theory]
    [InlineData("specialised.medicine", "specialised.medicine", true)]
    [InlineData("specialised.medicine", "specialised", true)]
    [InlineData("specialised", "specialised.medicine", true)]
    [InlineData("specialised.medicine", "specialised.counselling", false)]
    [InlineData("meals", "donations", false)]
    public void a_need_repeats_one_of_the_same_kind_or_its_general_form(string older, string newer, bool repeats) =>
        Assert.Equal(repeats, Of(Asked(older)).FindRepeated(newer, Another) is not null);

    [Theory]
    [InlineData("open", true)]
    [InlineData("waiting", true)]
    [InlineData("accepted", true)]
    [InlineData("on-hold", true)]
    [InlineData("reopened", true)]
    [InlineData("partial", false)]
    [InlineData("abandoned", false)]
    [InlineData("fulfilled", false)]
    [InlineData("closed", false)]
    [InlineData("cancelled", false)]
    [InlineData("repeat", false)]
    public void only_a_need_that_is_under_way_can_be_repeated(string state, bool can) =>
        Assert.Equal(can, Of(Given.State(state)).FindRepeated(ServiceKinds.Medicine, Another) is not null);

    [Fact]
    public void the_same_kind_comes_before_the_general_one_and_the_oldest_first()
    {
        var (general, young, old) = (new NeedId(Guid.NewGuid()), new NeedId(Guid.NewGuid()), new NeedId(Guid.NewGuid()));
        var history = Of(Asked("specialised", Given.Now.AddHours(-9), general), Asked("specialised.medicine", Given.Now, young), Asked("specialised.medicine", Given.Now.AddHours(-1), old));
        Assert.Equal(old, history.FindRepeated("specialised.medicine", Another)!.NeedId);
        Assert.Equal(general, history.FindRepeated("specialised.counselling", Another)!.NeedId);
    }

    [Fact]
    public void a_request_does_not_repeat_itself() => Assert.Null(Of(Given.State("open")).FindRepeated(ServiceKinds.Medicine, Given.Request));

    [Fact]
    public void whoever_a_concern_named_is_excluded_even_after_the_end()
    {
        var ended = Decider.Evolve(Given.State("on-hold"), Given.Cancelled);
        Assert.Equal([Given.Helper], Of(ended, Given.State("open")).Excluded);
    }

    [Theory]
    [InlineData("fulfilled", true)]
    [InlineData("closed", true)]
    [InlineData("accepted", false)]
    [InlineData("on-hold", false)]
    [InlineData("reopened", false)]
    [InlineData("cancelled", false)]
    [InlineData("repeat", false)]
    public void only_help_that_was_given_counts(string state, bool counts) => Assert.Equal(counts, HelpersOf(Given.State(state)).Contains(Given.Helper));

    [Fact]
    public void help_that_was_disputed_is_wanted_again_or_worries_somebody_does_not_count()
    {
        foreach (var said in new RequestEvent[] { new NeedDisputed(Given.Need, [], "not-delivered", null, "me", Given.Now.AddHours(2)), Given.Reopened })
            Assert.Empty(HelpersOf(Decider.Evolve(Given.State("closed"), said)));
        Assert.Empty(HelpersOf(Decider.Evolve(Given.State("fulfilled"), Given.Concern)));
        // Nor does whoever a concern is about count for what was good before.
        var history = Of(Given.State("on-hold"));
        history.AddHelp(Given.State("closed"));
        Assert.Empty(history.Helpers);
    }

    [Fact]
    public void the_newest_who_helped_are_told_of_once_and_in_order_of_id()
    {
        var helpers = Enumerable.Range(0, PersonHistory.MaxHelpers + 3).Select(_ => new ResponderId(Guid.NewGuid())).ToArray();
        var all = helpers.Select((helper, hours) => Helped(helper, Given.Now.AddHours(hours))).Append(Helped(helpers[4], Given.Now)).ToArray();
        Assert.Equal(helpers[3..].OrderBy(id => id.Value), HelpersOf(all));
        Assert.Equal(HelpersOf(all), HelpersOf([.. all.Reverse()]));
    }

    private static RequestState Helped(ResponderId helper, DateTimeOffset at) => Decider.Fold([Given.Submitted(), Given.Told(5, NeedState.Fulfilled, helper, at)]);

    private static IReadOnlyList<ResponderId> HelpersOf(params RequestState[] requests)
    {
        var history = new PersonHistory();
        foreach (var request in requests)
            history.AddHelp(request);
        return history.Helpers;
    }

    [Fact]
    public void a_source_without_a_channel_has_none_and_a_reference_cannot_leave_its_place_in_a_url()
    {
        var channels = new SourceChannels(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Channels:Sources:desk:Kind"] = "webhook",
            ["Channels:Sources:desk:Address"] = "https://desk.example/{ref}/notify",
            ["Channels:Sources:files:Kind"] = "file",
            ["Channels:Sources:files:Address"] = "caller {ref}",
        }).Build());
        Assert.Null(channels.Find("unknown", "x"));
        Assert.Equal(new ContactChannel("webhook", "https://desk.example/..%2Fa%3Fb%23c/notify"), channels.Find("desk", "../a?b#c"));
        Assert.Equal(new ContactChannel("file", "caller a/b"), channels.Find("FILES", "a/b"));
    }
}
