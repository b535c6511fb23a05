using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public class SubscriptionTests
{
    private static readonly DateTimeOffset Now = Given.Now;
    private static readonly SubscriptionFilter All = new([], [], [], []);
    private static readonly Subscription Active = Subscription.Evolve(Subscription.Initial, new SubscriptionCreated("desk", All, null, new Protected("c2VjcmV0"), Now));
    private static readonly Subscription Disabled = Subscription.Evolve(Active, new SubscriptionDisabled(Subscription.Gone, null, Now));
    private static readonly Subscription Deleted = Subscription.Evolve(Active, new SubscriptionDeleted("desk", Now));

    public static TheoryData<string, string> Table => new()
    {
        { "initial disable", "not-found" }, { "initial enable", "not-found" }, { "initial delete", "not-found" }, { "initial rotate", "not-found" }, { "initial change", "not-found" },
        { "active disable", "SubscriptionDisabled" }, { "active enable", "" }, { "active delete", "SubscriptionDeleted" }, { "active rotate", "SecretRotated" }, { "active change", "SubscriptionChanged" },
        { "disabled disable", "" }, { "disabled enable", "SubscriptionEnabled" }, { "disabled delete", "SubscriptionDeleted" }, { "disabled rotate", "SecretRotated" }, { "disabled change", "SubscriptionChanged" },
        { "deleted disable", "not-found" }, { "deleted enable", "not-found" }, { "deleted delete", "not-found" }, { "deleted rotate", "not-found" }, { "deleted change", "not-found" },
    };

    [Theory, MemberData(nameof(Table))]
    public void each_command_in_each_state(string given, string expected)
    {
        var state = given.Split(' ')[0] switch { "initial" => Subscription.Initial, "active" => Active, "disabled" => Disabled, _ => Deleted };
        var decision = given.Split(' ')[1] switch
        {
            "disable" => Subscription.DecideDisabling(state, Subscription.Failing, null, Now),
            "enable" => Subscription.DecideEnabling(state, "desk", Now),
            "delete" => Subscription.DecideDeletion(state, "desk", Now),
            "rotate" => Subscription.DecideRotation(state, new Protected("bmV3"), Now.AddDays(1), "desk", Now),
            _ => Subscription.DecideChange(state, All with { Types = [Subscription.NeedChanged] }, null, null, null, "desk", Now),
        };
        Assert.Equal(expected, decision.Refusal?.Code ?? string.Join(' ', decision.Events.Select(happened => happened.GetType().Name)));
    }

    [Fact]
    public void a_change_that_changes_nothing_yields_nothing_and_a_switch_goes_with_a_change()
    {
        Assert.Empty(Subscription.DecideChange(Active, new SubscriptionFilter([], [], [], []), null, null, true, "desk", Now).Events);
        Assert.Equal([typeof(SubscriptionChanged), typeof(SubscriptionDisabled)],
            Subscription.DecideChange(Active, All, "mine", null, false, "desk", Now).Events.Select(happened => happened.GetType()));
        Assert.Equal(Active.Target, Assert.IsType<SubscriptionChanged>(Subscription.DecideChange(Active, All, "mine", null, null, "desk", Now).Events[0]).Target);
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData("org.huzhu.need.changed.v1", "", true)]
    [InlineData("org.huzhu.offer.changed.v1", "", false)]
    [InlineData("", "waiting escalated", true)]
    [InlineData("", "made", false)]
    [InlineData("org.huzhu.need.changed.v1", "offered", false)]
    public void a_filter_of_types_and_states_lets_through_what_fits_both(string types, string states, bool wanted) =>
        Assert.Equal(wanted, (All with { Types = Words(types), States = Words(states) }).Wants(Subscription.NeedChanged, "waiting"));

    [Theory]
    [InlineData("", "", true)]
    [InlineData("specialised.medicine", "", true)]
    [InlineData("specialised", "J", true)]
    [InlineData("meals", "", false)]
    [InlineData("meals specialised", "K", false)]
    [InlineData("", "K J", true)]
    public void a_filter_of_kinds_and_sub_districts_lets_through_what_fits_both(string kinds, string subDistricts, bool wanted)
    {
        var filter = All with { Kinds = Words(kinds), SubDistricts = Words(subDistricts) };
        Assert.Equal(wanted, filter.WantsNeed("specialised.medicine", "J"));
        Assert.Equal(!filter.AsksForNeed, filter.WantsNeed(null, null));
    }

    [Fact]
    public void a_receiver_that_says_gone_or_fails_on_the_last_try_is_left_alone()
    {
        Assert.Equal(Subscription.Gone, Subscription.WhyDisable([Failed("gone", permanent: true), Ended]));
        Assert.Equal(Subscription.Failing, Subscription.WhyDisable([Failed("http-503", permanent: false), Ended]));
        Assert.Null(Subscription.WhyDisable([Failed("private-address", permanent: true), Ended]));
        Assert.Null(Subscription.WhyDisable([Failed("http-503", permanent: false)]));
        Assert.Null(Subscription.WhyDisable([Ended]));
        Assert.Null(Subscription.WhyDisable([new AttemptSucceeded(1, "webhook", Now), new NotificationDelivered("webhook", 1, null, Now)]));
    }

    /// <summary>0, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h, and a share of each more.</summary>
    [Fact]
    public void a_delivery_is_tried_ten_times_over_three_days()
    {
        var state = Given.Pending(ToSubscriber(Given.State(NeedState.Waiting)));
        Assert.Equal(Now, state.NextAt);
        TimeSpan[] delays = [.. new[] { 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600 }.Select(seconds => TimeSpan.FromSeconds(seconds))];
        for (var (number, now) = (1, Now); ; number++, now = state.NextAt!.Value)
        {
            var events = Notification.DecideOutcome(state, new Attempt(number, 0, "webhook", false, SendOutcome.Transient("http-503")), 0.5, now).Events;
            state = Notification.Fold(state, events);
            if (number > delays.Length)
            {
                Assert.Equal(Subscription.Failing, Subscription.WhyDisable(events));
                return;
            }
            Assert.Equal(delays[number - 1] * 1.1, state.NextAt - now);
        }
    }

    [Fact]
    public void what_has_ended_is_delivered_again_on_request_and_what_has_not_is_not()
    {
        var pending = Given.Pending(ToSubscriber(Given.State(NeedState.Waiting)));
        Assert.Equal("still-trying", Notification.DecideRedelivery(pending, "desk", Now).Refusal?.Code);
        var delivered = Notification.Fold(pending, [new ChannelChosen(0, "webhook", Now), new AttemptSucceeded(1, "webhook", Now), new NotificationDelivered("webhook", 1, null, Now)]);
        var again = Notification.Fold(delivered, Notification.DecideRedelivery(delivered, "desk", Now.AddHours(1)).Events);
        Assert.Equal((NotificationStatus.Pending, Now.AddHours(1), 1), (again.Status, again.NextAt, again.Attempts));
    }

    /// <summary>Whoever hears of an offer so must not be able to answer it, and its delivery must not start anybody's clock.</summary>
    [Fact]
    public void a_subscriber_hears_ids_and_states_and_nothing_else()
    {
        var requests = Given.EveryEvent().ToList();
        Assert.Equal(["waiting", "made", "accepted", "revoked"], requests.Select(Messages.StateOf));
        Assert.All(requests, request =>
        {
            Assert.Null(new LinkWriter(new LinkSigner(new byte[32]), new Uri("https://huzhu.example/")).Of(request));
            Assert.Null(Notification.AnswerBy(request, Now));
            Assert.All(Notification.DecideOutcome(Given.Pending(request), new Attempt(1, 0, "webhook", false, SendOutcome.Success), 0, Now).Events, happened => Assert.Empty(Publishing.Of(happened)));
            Assert.DoesNotContain("Lin", System.Text.Encoding.UTF8.GetString(MessageBody.WriteThin(NotificationLog.IdOf(request), request)), StringComparison.Ordinal);
        });
    }

    [Fact]
    public void each_subscription_has_its_own_delivery_of_a_cause()
    {
        var request = ToSubscriber(Given.State(NeedState.Waiting));
        Assert.Equal(NotificationLog.IdOf(request), NotificationLog.IdOf(request with { At = Now.AddHours(1) }));
        Assert.NotEqual(NotificationLog.IdOf(request), NotificationLog.IdOf(request with { SubscriptionId = Given.Cause }));
    }

    [Fact]
    public void both_secrets_sign_until_the_old_one_has_had_its_time()
    {
        var rotated = new SubscriptionTarget("https://desk.example", "whsec_old").Rotated("whsec_new", Now.AddHours(24));
        Assert.Equal("whsec_new whsec_old", rotated.SecretsAt(Now.AddHours(23)));
        Assert.Equal("whsec_new", rotated.SecretsAt(Now.AddHours(24)));
        Assert.DoesNotContain("whsec", rotated.ToString(), StringComparison.Ordinal);
    }

    private static readonly NotificationUndeliverable Ended = new("all-channels-failed", null, Now);
    private static AttemptFailed Failed(string reason, bool permanent) => new(10, "webhook", reason, permanent, null, Now);
    private static NotificationRequested ToSubscriber(NeedStateChanged changed) => Messages.ToSubscriber(changed, Given.Cause, Now) with { SubscriptionId = Given.Subscription };
    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
