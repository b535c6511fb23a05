using System.Text.RegularExpressions;
using Huzhu.Contracts;
using Huzhu.Notifications.Content;
using Huzhu.Notifications.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public partial class TextsTests
{
    [Fact]
    public void every_message_has_a_text_in_both_languages_with_nothing_left_open() =>
        Assert.All(Given.EveryRequest(), request =>
        {
            var text = Texts.Of(request, "Deaf mothers of J", Given.Now);
            Assert.Matches(Chinese(), text.Zh);
            Assert.Matches("[A-Za-z]{3}", text.En);
            Assert.DoesNotContain('{', text.Zh + text.En);
        });

    [Fact]
    public void where_people_answer_by_a_message_the_text_says_how_and_fits_into_twenty_characters()
    {
        Assert.All(Given.EveryRequest(), request =>
        {
            var text = Texts.Of(request, "Deaf mothers of J", Given.Now, answerNumber: 37);
            Assert.DoesNotContain('{', text.Zh + text.En);
            Assert.DoesNotContain("link", text.En, StringComparison.Ordinal);
            if (request.Message is MessageKind.OfferMade or MessageKind.OfferAccepted)
                Assert.Contains("37", text.Zh);
        });
        Assert.All(ServiceKinds.All, kind =>
        {
            var text = Texts.InShort(Messages.Of(Given.Made() with { Kind = kind }, Given.Cause, Given.Now).Single(), 37)!;
            Assert.InRange(text.Zh.Length, 1, 20);
            Assert.InRange(text.En.Length, 1, 20);
        });
    }

    [Fact]
    public void every_kind_mode_and_urgency_has_words_in_both_languages()
    {
        foreach (var kind in ServiceKinds.All)
        {
            foreach (var urgency in Enum.GetValues<Urgency>())
            {
                foreach (var mode in Enum.GetValues<DeliveryMode>())
                {
                    var made = Given.Made() with { Kind = kind, Urgency = urgency, Mode = mode, DistanceMetres = null };
                    var text = Texts.Of(Messages.Of(made, Given.Cause, Given.Now).Single(), null, Given.Now);
                    Assert.DoesNotContain(kind, text.Zh, StringComparison.Ordinal);
                    Assert.DoesNotContain('{', text.Zh + text.En);
                }
            }
        }
    }

    [Fact]
    public void an_offer_says_what_how_urgent_how_far_and_until_when()
    {
        var text = Texts.Of(Given.OfferRequest(), null, Given.Now + TimeSpan.FromSeconds(30));
        Assert.Equal("Somebody needs help: medicine (in person), health at stake, about 400 m away. Please answer within 15 min: "
            + "the accept link takes it, the decline link leaves it to others.", text.En);
        Assert.Equal("有人需要帮助：药品（上门），健康问题，距离约400 m。请在15分钟内回复：打开“accept”链接表示接受，打开“decline”链接表示不能接受。", text.Zh);
    }

    [Theory]
    [InlineData(3.0, "about 50 m away")]
    [InlineData(974.9, "about 950 m away")]
    [InlineData(1234.0, "about 1.2 km away")]
    public void a_distance_is_told_as_people_tell_it(double metres, string told) =>
        Assert.Contains(told, Texts.Of(Messages.Of(Given.Made() with { DistanceMetres = metres }, Given.Cause, Given.Now).Single(), null, Given.Now).En, StringComparison.Ordinal);

    [Fact]
    public void a_kind_that_is_not_in_the_list_is_told_by_its_family()
    {
        var made = Given.Made() with { Kind = "meals.halal" };
        Assert.Contains("food and meals", Texts.Of(Messages.Of(made, Given.Cause, Given.Now).Single(), null, Given.Now).En, StringComparison.Ordinal);
    }

    [Fact]
    public void a_helper_without_a_known_name_is_still_announced()
    {
        var accepted = Messages.Of(Given.Accepted(), Given.Cause, Given.Now).Single(request => request.Audience == Audience.Requester);
        Assert.Equal("A helper will help you.", Texts.Of(accepted, null, Given.Now).En);
        Assert.Equal("Deaf mothers of J will help you.", Texts.Of(accepted, "Deaf mothers of J", Given.Now).En);
    }

    [GeneratedRegex(@"\p{IsCJKUnifiedIdeographs}")]
    private static partial Regex Chinese();
}
