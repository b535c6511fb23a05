using CsCheck;
using Huzhu.Contracts;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Intake;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

/// <summary>The conversation as the front ends drive it: each turn's draft and question are what the next one starts from.</summary>
public class ConversationTests
{
    private static readonly RequestId Request = Given.Request;

    private sealed class Talk(bool canPin = true)
    {
        private int _messages;

        public ConversationState State { get; private set; } = ConversationState.Initial(Language.Zh);
        public Draft? Draft { get; private set; }
        public List<Deed> Deeds { get; } = [];

        public Turn Say(string? text, ExactPlace? pin = null, string? address = null, bool isPassive = false, string? key = null)
        {
            var said = new Utterance(key ?? $"m{++_messages}", text, pin, address, isPassive, Given.Now);
            var turn = Conversation.Decide(State, Draft, said, canPin);
            Deeds.Add(turn.Deed);
            if (turn.IsRepeat || turn.Deed == Deed.Nothing && turn.Language == State.Language)
                return turn;
            RequestId? about = turn.Deed == Deed.Begin ? Request : State.RequestId;
            State = Conversation.Evolve(State, new TurnTaken(said.Key, about, turn.Asked, turn.Reply, turn.Language, Given.Now));
            // Complete or given up: nothing more to be drafted.
            Draft = turn.Deed == Deed.Cancel || turn.Draft is { ConsentedAt: not null, Place: not null } ? null : turn.Draft;
            return turn;
        }
    }

    private static readonly ExactPlace Here = new(31.2201, 121.4401, null);

    [Fact]
    public void a_plea_a_position_and_a_yes_make_a_request()
    {
        var talk = new Talk();
        Assert.Equal((Deed.Begin, Asked.Place, Reply.AskPlace), Short(talk.Say("我妈妈的胰岛素用完了，她听不见")));
        Assert.Equal((Deed.Extend, Asked.Confirmation, Reply.Confirm), Short(talk.Say(null, Here, "J路3号")));
        var taken = talk.Say("1");
        Assert.Equal((Deed.Extend, Asked.Nothing, Reply.Taken), Short(taken));
        Assert.Equal(new Draft(ServiceKinds.Medicine, "我妈妈的胰岛素用完了，她听不见", Here, "J路3号", Urgency.Health, taken.Draft!.Communication, null, Given.Now), taken.Draft);
        Assert.Equal([CommunicationNeed.TextOnly], taken.Draft.Communication);
    }

    [Fact]
    public void words_that_name_no_kind_are_kept_and_the_kind_is_asked_for()
    {
        var talk = new Talk();
        Assert.Equal((Deed.Begin, Asked.Kind, Reply.AskKind), Short(talk.Say("please do something")));
        Assert.Equal((Deed.Nothing, Asked.Kind, Reply.AskKind), Short(talk.Say("9")));
        Assert.Equal((Deed.Extend, Asked.Kind, Reply.AskKind), Short(talk.Say("my mother fell over")));
        var chosen = talk.Say("3");
        Assert.Equal((Deed.Extend, Asked.Place, Reply.AskPlace), Short(chosen));
        Assert.Equal((ServiceKinds.MedicalCare, "please do something\nmy mother fell over", Urgency.Health), (chosen.Draft!.Kind, chosen.Draft.Note, chosen.Draft.Urgency));
    }

    [Fact]
    public void an_address_in_words_is_kept_and_the_position_is_still_asked_for()
    {
        var talk = new Talk();
        talk.Say("没有吃的了");
        var noted = talk.Say("W区J街道12号301");
        Assert.Equal((Deed.Extend, Asked.Place, Reply.PlaceNoted), Short(noted));
        Assert.Equal(("W区J街道12号301", "没有吃的了"), (noted.Draft!.Address, noted.Draft.Note));
        Assert.Equal((Deed.Extend, Asked.Confirmation, Reply.Confirm), Short(talk.Say(null, Here)));
        Assert.Equal("W区J街道12号301", talk.Draft!.Address);
    }

    [Fact]
    public void where_no_position_can_be_sent_the_words_do_and_people_find_the_place()
    {
        var talk = new Talk(canPin: false);
        Assert.Equal((Deed.Begin, Asked.Place, Reply.AskPlaceInWords), Short(talk.Say("food please")));
        Assert.Equal((Deed.Extend, Asked.Confirmation, Reply.Confirm), Short(talk.Say("12 J Road, flat 301")));
        Assert.Equal((Deed.Extend, Asked.Nothing, Reply.TakenWithoutPlace), Short(talk.Say("yes")));
        Assert.Equal((Deed.Extend, Asked.Nothing, Reply.Added), Short(talk.Say("the second door")));
        var found = talk.Say("31.2201, 121.4401");
        Assert.Equal((Deed.Extend, Asked.Nothing, Reply.Taken), Short(found));
        Assert.Equal(Here, found.Draft!.Place);
    }

    [Fact]
    public void the_phones_own_position_is_offered_and_taken_only_with_a_yes()
    {
        var talk = new Talk();
        talk.Say("请帮帮我");
        Assert.Equal((Deed.Extend, Asked.Kind, Reply.AskKind), Short(talk.Say(null, Here, isPassive: true)));
        Assert.Equal((Deed.Nothing, Asked.Kind, Reply.AskKind), Short(talk.Say(null, Here with { Lat = 30 }, isPassive: true)));
        Assert.Equal((Deed.Extend, Asked.Place, Reply.AskPlaceHere), Short(talk.Say("1")));
        Assert.Equal((Deed.Extend, Asked.Confirmation, Reply.Confirm), Short(talk.Say("1")));
        Assert.Equal(Here, talk.Draft!.Place);
    }

    [Fact]
    public void an_address_takes_the_place_of_the_phones_own_position()
    {
        var talk = new Talk();
        talk.Say("请帮帮我");
        talk.Say(null, Here, isPassive: true);
        talk.Say("1");
        Assert.Equal((Deed.Extend, Asked.Place, Reply.PlaceNoted), Short(talk.Say("我妈妈家，K路5号")));
        Assert.Null(talk.Draft!.Place);
    }

    [Fact]
    public void a_position_that_the_phone_sends_by_itself_begins_nothing() =>
        Assert.Equal(Deed.Nothing, new Talk().Say(null, Here, isPassive: true).Deed);

    [Fact]
    public void at_the_end_it_can_be_changed_or_made_more_urgent()
    {
        var talk = new Talk();
        talk.Say("food");
        talk.Say(null, Here);
        Assert.Equal((Urgency.Health, Reply.Confirm), (talk.Say("3").Draft!.Urgency, talk.State.Reply));
        Assert.Equal(Urgency.LifeThreatening, talk.Say("3").Draft!.Urgency);
        Assert.Equal("food\nfor two", talk.Say("for two").Draft!.Note);
        Assert.Equal((Deed.Extend, Asked.Kind, Reply.AskKind), Short(talk.Say("2")));
        Assert.Equal(ServiceKinds.Medicine, talk.Say("2").Draft!.Kind);
        Assert.Equal((Deed.Extend, Asked.Confirmation, Reply.Confirm), Short(talk.Say(null, Here with { Lat = 31.3 })));
        Assert.Equal((31.3, Urgency.LifeThreatening), (talk.Draft!.Place!.Lat, talk.Draft.Urgency));
    }

    [Fact]
    public void a_repeat_is_answered_again_and_changes_nothing()
    {
        var talk = new Talk();
        var first = talk.Say("food", key: "1");
        var again = talk.Say("food", key: "1");
        Assert.True(again.IsRepeat);
        Assert.Equal((Deed.Nothing, first.Reply), (again.Deed, again.Reply));
        talk.Say(null, Here, key: "2");
        Assert.Equal((Deed.Nothing, Reply.Confirm), (talk.Say("food", key: "1").Deed, talk.State.Reply));
        Assert.Equal("food", talk.Draft!.Note);
    }

    [Fact]
    public void a_person_can_be_asked_for_at_every_step()
    {
        foreach (var before in new string[][] { [], ["hm hm"], ["food"], ["food", "12 J Road"] })
        {
            var talk = new Talk();
            foreach (var text in before)
                talk.Say(text);
            var asked = talk.State.Asked;
            var turn = talk.Say("0");
            Assert.Equal((before.Length == 0 ? Deed.Begin : Deed.Extend, Reply.Human, before.Length == 0 ? Asked.Kind : asked), (turn.Deed, turn.Reply, turn.Asked));
            Assert.Contains("asks for a person", turn.Draft!.Note);
            Assert.Equal("13800000000", talk.Say("call 13800000000").Draft!.Phone);
        }
    }

    [Theory]
    [InlineData("你好", Reply.Welcome)]
    [InlineData("hello", Reply.Welcome)]
    [InlineData("进度", Reply.Status)]
    [InlineData("Status?", Reply.Status)]
    [InlineData("谢谢！", Reply.NotUnderstood)]
    [InlineData("好的", Reply.NotUnderstood)]
    [InlineData("4", Reply.NotUnderstood)]
    [InlineData("取消", Reply.NothingToCancel)]
    [InlineData("English", Reply.LanguageChosen)]
    [InlineData(null, Reply.Unreadable)]
    public void words_that_ask_for_nothing_begin_nothing(string? text, Reply reply)
    {
        var turn = new Talk().Say(text);
        Assert.Equal((Deed.Nothing, reply), (turn.Deed, turn.Reply));
    }

    [Fact]
    public void a_request_can_be_given_up_and_the_next_words_begin_another()
    {
        var talk = new Talk();
        talk.Say("food");
        Assert.Equal((Deed.Cancel, Asked.Nothing, Reply.Cancelled), Short(talk.Say("取消")));
        Assert.Equal(Deed.Begin, talk.Say("medicine").Deed);
    }

    [Fact]
    public void the_language_is_that_of_the_person()
    {
        var talk = new Talk();
        Assert.Equal(Language.En, talk.Say("I have no food").Language);
        Assert.Equal(Language.En, talk.Say("2").Language);
        Assert.Equal(Language.Zh, talk.Say("在J路").Language);
        Assert.Equal(Language.En, talk.Say("English").Language);
    }

    [Theory]
    [InlineData("1", "accept", null)]
    [InlineData(" ２。", "decline", null)]
    [InlineData("1 37", "accept", 37)]
    [InlineData("137", "accept", 37)]
    [InlineData("2，37", "decline", 37)]
    [InlineData("接受 37", "accept", 37)]
    [InlineData("不能接受", "decline", null)]
    [InlineData("Accept #37", "accept", 37)]
    [InlineData("完成", "complete", null)]
    [InlineData("4", "release", null)]
    public void a_message_can_answer_an_offer(string text, string verb, int? number) => Assert.Equal(new OfferAnswer(verb, number), Understanding.OfferAnswerOf(text));

    [Theory]
    [InlineData("5")]
    [InlineData("37")]
    [InlineData("1 3")]
    [InlineData("1 137")]
    [InlineData("是")]
    [InlineData("1. food")]
    [InlineData("I accept your offer of food")]
    [InlineData("")]
    public void other_messages_do_not(string text) => Assert.Null(Understanding.OfferAnswerOf(text));

    [Theory]
    [InlineData("accepted", Reply.OfferAccepted)]
    [InlineData("place-filled", Reply.OfferPlaceFilled)]
    [InlineData("offer-ended", Reply.OfferEnded)]
    [InlineData("a word of a newer version", Reply.OfferEnded)]
    public void what_came_of_an_answer_is_said_with_the_offers_number(string outcome, Reply reply)
    {
        var answer = Replies.Write(new OfferTold(outcome, 37), Language.Zh, isSpoken: false);
        Assert.Equal((reply, true), (answer.Reply, answer.IsAboutOffer));
        Assert.Contains("37", answer.Text);
        var which = Replies.Write(new OfferTold("which", null, [new OfferTold.Choice(37, ServiceKinds.Meals), new OfferTold.Choice(38, "newer.kind")]), Language.En, isSpoken: false);
        Assert.EndsWith("\n37 food and meals\n38 newer.kind", which.Text);
    }

    [Fact]
    public void every_answer_can_be_written_in_both_languages()
    {
        foreach (var reply in Enum.GetValues<Reply>())
            foreach (var (language, isSpoken) in Enum.GetValues<Language>().SelectMany(language => new[] { (language, true), (language, false) }))
            {
                var text = Replies.Write(new Turn(Deed.Nothing, Draft.Empty with { Kind = ServiceKinds.Meals, Note = "{kind}", Address = "{note}" }, Asked.Confirmation, reply, language), Request, [], canPin: !isSpoken, isSpoken);
                Assert.NotEmpty(text);
                Assert.DoesNotMatch(@"\{(number|question|address|requests|urgency|place)\}", text);
            }
        Assert.All(ServiceKinds.All, kind => Assert.NotEmpty(Replies.Write(new Turn(Deed.Nothing, Draft.Empty with { Kind = kind }, Asked.Confirmation, Reply.Confirm, Language.En), Request, [], true, false)));
        Assert.All(Understanding.Menu, kind => Assert.True(ServiceKinds.IsKnown(kind)));
    }

    [Fact]
    public void after_any_talk_no_word_is_lost_and_nothing_goes_out_without_a_yes()
    {
        var anything = Gen.OneOf(
            Gen.OneOf("1", "2", "3", "0", "yes", "不对", "进度", "取消", "food", "药", "12 J Road", "13800000000", "谢谢", "31.22011,121.44011", "English").Select(text => (Text: (string?)text, Pin: (ExactPlace?)null)),
            Gen.String[0, 40].Select(text => ((string?)text, (ExactPlace?)null)),
            Gen.Const(((string?)null, (ExactPlace?)Here)), Gen.Const(((string?)null, (ExactPlace?)null)));
        Gen.Select(anything.List[1, 25], Gen.Bool).Sample((messages, canPin) =>
        {
            var talk = new Talk(canPin);
            foreach (var (text, pin) in messages)
            {
                var before = talk.Draft;
                var turn = talk.Say(text, pin);
                if (turn.Deed is not (Deed.Begin or Deed.Extend))
                    continue;
                var draft = turn.Draft!;
                Assert.True(ServiceKinds.IsKnown(draft.Kind));
                Assert.True(draft.Note.Length <= Draft.LongestNote && (draft.Address?.Length ?? 0) <= Draft.LongestAddress);
                Assert.True(draft.Urgency >= (before?.Urgency ?? Urgency.Routine));
                Assert.StartsWith(before?.Note ?? "", draft.Note);
                if (draft.ConsentedAt is not null && before is { ConsentedAt: null })
                    Assert.True(Understanding.Of(text!) is { Number: 1 } or { Intent: Intent.Yes });
                Assert.Equal(turn.Deed == Deed.Begin, before is null);
            }
        }, iter: 20_000);
    }

    private static (Deed, Asked, Reply) Short(Turn turn) => (turn.Deed, turn.Asked, turn.Reply);
}
