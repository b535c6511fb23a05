using Huzhu.Contracts;
using Huzhu.Contracts.Matching.V1;
using Huzhu.Notifications;
using Huzhu.Notifications.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public class MessagesTests
{
    /// <summary>The whole table: cause, and who is told what.</summary>
    public static TheoryData<string, string[]> Table => new()
    {
        { "offer made", ["Responder OfferMade"] },
        { "offer accepted", ["Responder OfferAccepted", "Requester NeedState Accepted"] },
        { "offer ended Declined", [] },
        { "offer ended Expired", ["Responder OfferEnded Expired"] },
        { "offer ended Undeliverable", [] },
        { "offer ended Superseded", ["Responder OfferEnded Superseded"] },
        { "offer ended Released", [] },
        { "offer ended Revoked", ["Responder OfferEnded Revoked"] },
        { "offer ended Disputed", ["Responder OfferEnded Disputed"] },
        { "need Partial", [] },
        { "need Open", [] },
        { "need Offered", [] },
        { "need Accepted", [] },
        { "need Started", [] },
        { "need Fulfilled", ["Requester NeedState Fulfilled"] },
        { "need Closed", [] },
        { "need Waiting", ["Requester NeedState Waiting"] },
        { "need Escalated", ["Requester NeedState Escalated"] },
        { "need OnHold", ["Requester NeedState OnHold"] },
        { "need Cancelled", ["Requester NeedState Cancelled"] },
        { "need DuplicateOf", [] },
        { "need Reopened", [] },
    };

    [Theory, MemberData(nameof(Table))]
    public void who_is_told_what(string cause, string[] told) =>
        Assert.Equal(told, CausedBy(cause).Select(request => string.Join(' ', new object?[] { request.Audience, request.Message, request.Outcome, request.State }.OfType<object>())));

    [Fact]
    public void the_table_has_every_outcome_and_every_state()
    {
        var causes = Table.Select(row => row.Data.Item1).ToList();
        Assert.All(Enum.GetNames<OfferOutcome>(), outcome => Assert.Contains($"offer ended {outcome}", causes));
        Assert.All(Enum.GetNames<NeedState>(), state => Assert.Contains($"need {state}", causes));
    }

    [Theory]
    [InlineData("nobody-left", "nobody-left")]
    [InlineData("Mr Lin in building 3 does not open the door", null)]
    [InlineData("lin\n", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void only_a_reason_that_is_a_code_is_kept(string? given, string? kept)
    {
        Assert.Equal(kept, Messages.Of(Given.Ended(OfferOutcome.Revoked, given), Given.Cause, Given.Now).Single().Reason);
        Assert.Equal(kept, Messages.Of(Given.State(NeedState.Cancelled, given), Given.Cause, Given.Now).Single().Reason);
    }

    [Fact]
    public void a_reason_longer_than_a_code_is_not_kept() =>
        Assert.Null(Messages.Of(Given.Ended(OfferOutcome.Revoked, new string('a', 65)), Given.Cause, Given.Now).Single().Reason);

    [Fact]
    public void nobody_is_told_twice_that_nobody_has_been_found()
    {
        Assert.Single(Messages.Of(Given.State(NeedState.Escalated, "full"), Given.Cause, Given.Now));
        Assert.Empty(Messages.Of(Given.State(NeedState.Escalated, "full") with { Again = true }, Given.Cause, Given.Now));
    }

    [Fact]
    public void nobody_is_told_that_telling_is_behind()
    {
        Assert.Empty(Messages.Of(Given.State(NeedState.Waiting, NeedStateChanged.TellingIsBehind), Given.Cause, Given.Now));
        Assert.Single(Messages.Of(Given.State(NeedState.Waiting, "full"), Given.Cause, Given.Now));
        // By then it is the centre's people who look for help.
        Assert.Single(Messages.Of(Given.State(NeedState.Escalated, NeedStateChanged.TellingIsBehind), Given.Cause, Given.Now));
    }

    [Fact]
    public void one_cause_has_one_id_for_each_audience_and_it_never_changes()
    {
        Assert.Equal("b3b63c6d-5696-5870-b15d-2ea9a38a4380", NotificationLog.IdOf(Given.Cause, Audience.Responder).ToString());
        Assert.NotEqual(NotificationLog.IdOf(Given.Cause, Audience.Responder), NotificationLog.IdOf(Given.Cause, Audience.Requester));
        Assert.NotEqual(NotificationLog.IdOf(Given.Cause, Audience.Responder), NotificationLog.IdOf(Given.Need.Value, Audience.Responder));
    }

    [Fact]
    public void only_an_offer_expires() =>
        Assert.All(Given.EveryRequest(), request => Assert.Equal(request.Message == MessageKind.OfferMade, request.ExpiresAt is not null));

    private static IReadOnlyList<NotificationRequested> CausedBy(string cause) => cause.Split(' ') switch
    {
        ["offer", "made"] => Messages.Of(Given.Made(), Given.Cause, Given.Now),
        ["offer", "accepted"] => Messages.Of(Given.Accepted(), Given.Cause, Given.Now),
        ["offer", "ended", var outcome] => Messages.Of(Given.Ended(Enum.Parse<OfferOutcome>(outcome)), Given.Cause, Given.Now),
        ["need", var state] => Messages.Of(Given.State(Enum.Parse<NeedState>(state)), Given.Cause, Given.Now),
        _ => throw new ArgumentException(cause),
    };
}
