using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Storage;
using Xunit;

namespace Huzhu.Tests.Unit.Requests;

public class AdmissionTests
{
    private static readonly DateTimeOffset Now = Given.Now;
    private static readonly AdmissionSigns Limits = new(100, 1), Calm = new(50, 0.5), Over = new(101, 0), Slow = new(0, 1.01), Between = new(100, 1);
    private static readonly AdmissionState Open = AdmissionState.Initial, Shedding = new(AdmissionMode.Shedding, Now);

    public static TheoryData<AdmissionState, AdmissionSigns, int?, int, string> Table => new()
    {
        // mode, seen, calm for seconds (of the one who decides), seconds since the mode began, what follows
        { Open, Calm, 60, 60, "" },
        { Open, Between, null, 60, "" },
        { Open, Over, null, 60, "SheddingBegan" },
        { Open, Slow, null, 60, "SheddingBegan" },
        { Shedding, Over, null, 60, "" },
        { Shedding, Slow, null, 60, "" },
        { Shedding, Between, null, 60, "" },
        { Shedding, Calm, 9, 60, "" },
        { Shedding, Calm, 10, 60, "SheddingEnded" },
        // Another replica has only just seen overload.
        { Shedding, Calm, 60, 9, "" },
        { Shedding, Calm, 60, 10, "SheddingEnded" },
    };

    [Theory, MemberData(nameof(Table))]
    public void the_mode_changes_above_the_limits_and_back_when_all_has_been_calm(AdmissionState state, AdmissionSigns seen, int? calmFor, int since, string follows)
    {
        var now = Now.AddSeconds(since);
        var decision = Admission.Decide(state, seen, Limits, calmFor is { } seconds ? now.AddSeconds(-seconds) : null, now);
        Assert.Null(decision.Refusal);
        Assert.Equal(follows, string.Join(", ", decision.Events.Select(happened => happened.GetType().Name)));
        Assert.All(decision.Events, happened => Assert.Equal(now, Admission.Evolve(state, happened).Since));
    }

    [Fact]
    public void calm_and_over_leave_room_between_them()
    {
        Assert.True(Calm.IsCalm(Limits) && !Calm.IsOver(Limits));
        Assert.False(Between.IsCalm(Limits) || Between.IsOver(Limits));
        Assert.False(Over.IsCalm(Limits) || Slow.IsCalm(Limits));
    }

    [Theory]
    [InlineData(AdmissionMode.Open, Urgency.Routine, false)]
    [InlineData(AdmissionMode.Open, Urgency.LifeThreatening, false)]
    [InlineData(AdmissionMode.Shedding, Urgency.Routine, true)]
    [InlineData(AdmissionMode.Shedding, Urgency.Hardship, true)]
    [InlineData(AdmissionMode.Shedding, Urgency.Health, true)]
    [InlineData(AdmissionMode.Shedding, Urgency.LifeThreatening, false)]
    public void danger_of_life_is_never_shed(AdmissionMode mode, Urgency urgency, bool sheds) => Assert.Equal(sheds, Admission.Sheds(mode, urgency));

    public static TheoryData<NeedState, string?, bool> Needs => new()
    {
        { NeedState.Waiting, "telling-is-behind", true },
        { NeedState.Waiting, "full", false },
        { NeedState.Escalated, "telling-is-behind", false },
        { NeedState.Offered, null, false },
        { NeedState.Fulfilled, null, false },
    };

    [Theory, MemberData(nameof(Needs))]
    public void a_request_is_unasked_until_somebody_is_asked_or_nobody_can_be(NeedState state, string? reason, bool isUnasked)
    {
        var submitted = RequestView.After(null, Given.Submitted());
        Assert.True(submitted.Unasked);
        Assert.Equal(isUnasked, RequestView.After(submitted, new NeedStateRecorded(Given.Need, 1, state, null, reason, 1, Now)).Unasked);
    }
}
