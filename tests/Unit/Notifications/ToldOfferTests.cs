using Huzhu.Contracts;
using Huzhu.Notifications.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public class ToldOfferTests
{
    private static readonly DateTimeOffset Now = new(2022, 4, 1, 8, 30, 0, TimeSpan.FromHours(8));

    private static ToldOffer Offer(int number, OfferStanding standing = OfferStanding.Asked, int toldMinutesAgo = 1, int answerInMinutes = 10, string? messageKey = null) => new(
        number, new OfferId(Guid.CreateVersion7()), new ResponderId(Guid.CreateVersion7()), ServiceKinds.Meals,
        Now.AddMinutes(-toldMinutesAgo), Now.AddMinutes(answerInMinutes), standing, messageKey);

    private static int[] About(ToldOffer[] told, AnswerVerb verb = AnswerVerb.Accept, int? number = null, string key = "m1", DateTimeOffset? since = null) =>
        [.. ToldOffer.About(told, verb, number, key, since, Now).Select(offer => offer.Number)];

    [Fact]
    public void a_bare_number_answers_the_one_open_offer() =>
        Assert.Equal([11], About([Offer(10, OfferStanding.Over), Offer(11), Offer(12, answerInMinutes: -1, toldMinutesAgo: 30), Offer(13, OfferStanding.Taken)]));

    [Fact]
    public void among_several_open_offers_the_person_must_choose_and_can()
    {
        Assert.Equal([10, 11], About([Offer(11), Offer(10, toldMinutesAgo: 2)]));
        Assert.Equal([11], About([Offer(11), Offer(10)], number: 11));
    }

    [Fact]
    public void a_number_that_was_never_told_is_nobodys() => Assert.Empty(About([Offer(10)], number: 11));

    [Fact]
    public void a_message_that_comes_again_means_what_it_meant_whatever_was_told_since() =>
        Assert.Equal([10], About([Offer(10, OfferStanding.Taken, toldMinutesAgo: 3, messageKey: "m1"), Offer(11, toldMinutesAgo: 0)]));

    [Fact]
    public void a_late_answer_is_about_the_newest_offer_of_the_day_and_later_about_none()
    {
        Assert.Equal([11], About([Offer(10, OfferStanding.Over, toldMinutesAgo: 90), Offer(11, OfferStanding.Over, toldMinutesAgo: 60)]));
        Assert.Empty(About([Offer(10, OfferStanding.Over, toldMinutesAgo: 24 * 60)]));
    }

    [Fact]
    public void an_answer_to_what_was_asked_after_the_offer_is_not_about_the_offer()
    {
        Assert.Empty(About([Offer(10, toldMinutesAgo: 5)], since: Now.AddMinutes(-4)));
        Assert.Equal([10], About([Offer(10, toldMinutesAgo: 5)], since: Now.AddMinutes(-6)));
        Assert.Equal([10], About([Offer(10, toldMinutesAgo: 5)], number: 10, since: Now.AddMinutes(-4)));
    }

    [Theory]
    [InlineData(AnswerVerb.Complete)]
    [InlineData(AnswerVerb.Release)]
    public void done_and_cannot_go_on_are_about_what_was_taken(AnswerVerb verb) =>
        Assert.Equal([10], About([Offer(10, OfferStanding.Taken, toldMinutesAgo: 600, answerInMinutes: -500), Offer(11)], verb));

    [Fact]
    public void who_was_told_of_nothing_answers_nothing() => Assert.Empty(About([]));
}
