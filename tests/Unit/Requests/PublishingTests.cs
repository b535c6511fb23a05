using Huzhu.Contracts;
using Huzhu.Requests;
using Huzhu.Requests.Domain;
using Huzhu.ServiceDefaults;
using Xunit;
using Decider = Huzhu.Requests.Domain.Request;
using V1 = Huzhu.Contracts.Requests.V1;

namespace Huzhu.Tests.Unit.Requests;

public class PublishingTests
{
    private static IReadOnlyList<object> Publish(string state, RequestEvent happened)
    {
        var after = Decider.Evolve(Given.State(state), happened);
        return Publishing.Map(happened, after);
    }

    [Fact]
    public void a_complete_intake_publishes_its_needs_with_all_that_matching_must_know()
    {
        var content = Given.Content(urgency: Urgency.Health) with { OwnGroupId = Given.Stranger, ExcludedResponders = [Given.Helper], HelpedBefore = [Given.Stranger] };
        var message = Assert.IsType<V1.NeedSubmitted>(Assert.Single(Publish("missing", Given.Submitted(content))));
        Assert.Equivalent(new V1.Need(Given.Need, Given.Request, Given.Person, ServiceKinds.Medicine, DeliveryMode.Offline, 2, new GeoPoint(31.2201, 121.44011), "J",
            Urgency.Health, [CommunicationNeed.TextOnly], Given.Stranger, [Given.Helper], Given.Now, [Given.Stranger]), message.Need, strict: true);
    }

    [Fact]
    public void a_partial_intake_publishes_nothing_until_it_is_complete_and_then_with_the_original_clock()
    {
        Assert.Empty(Publish("missing", Given.Submitted(Given.Content(partial: true))));
        Assert.Empty(Publish("partial", new IntakeExtended(Given.Content() with { Consent = null }, "me", Given.Now.AddDays(1))));
        var message = Assert.IsType<V1.NeedSubmitted>(Assert.Single(Publish("partial", new IntakeCompleted(Given.Content(), "me", Given.Now.AddDays(1)))));
        Assert.Equal((Given.Now, Given.Now.AddDays(1)), (message.Need.SubmittedAt, message.At));
    }

    [Fact]
    public void what_is_linked_to_an_older_need_is_never_published()
    {
        Assert.Empty(Publish("missing", Given.Submitted(Given.Content(duplicateOf: Given.Older))));
        Assert.Empty(Publish("repeat", Given.Cancelled with { WithMatching = false }));
        Assert.Empty(Publish("cancelled-repeat", Given.Reopened));
    }

    [Fact]
    public void each_step_of_a_need_publishes_its_own_message()
    {
        Assert.Equal(new V1.NeedUrgencyRaised(Given.Need, Urgency.Health, Given.Now), Assert.Single(Publish("open", new NeedUrgencyRaised(Given.Need, Urgency.Health, Given.Now))));
        Assert.Equal(new V1.NeedCancelled(Given.Need, Given.Request, "mistake", Given.Cancelled.At), Assert.Single(Publish("open", Given.Cancelled)));
        Assert.Equal(new V1.NeedConfirmed(Given.Need, Given.Request, Given.Now), Assert.Single(Publish("fulfilled", new NeedConfirmed(Given.Need, "me", Given.Now))));
        Assert.Equal(new V1.ConcernRaised(Given.Need, Given.Request, Given.Person, Given.Helper, Given.Concern.At), Assert.Single(Publish("accepted", Given.Concern)));
        var disputed = Assert.IsType<V1.NeedReopened>(Assert.Single(Publish("fulfilled", new NeedDisputed(Given.Need, [Given.Stranger], "not-delivered", Given.Words, "me", Given.Now))));
        Assert.True(disputed.Disputed);
        Assert.Equal([Given.Stranger], disputed.Need.ExcludedResponders);
        Assert.Equal(Given.Now, disputed.Need.SubmittedAt);
        Assert.False(Assert.IsType<V1.NeedReopened>(Assert.Single(Publish("cancelled", Given.Reopened))).Disputed);
    }

    [Fact]
    public void what_matching_said_is_not_said_back() => Assert.Empty(Publish("open", Given.Told(1, NeedState.Waiting)));

    [Fact]
    public void every_event_is_thought_of()
    {
        var state = Given.State("open");
        foreach (var type in EventStore.EventsOf<RequestEvent>())
        {
            var happened = (RequestEvent)System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(type);
            var refused = Record.Exception(() => Publishing.Map(happened, state)) as InvalidOperationException;
            Assert.DoesNotContain("does not know the event", refused?.Message ?? "");
        }
    }
}
