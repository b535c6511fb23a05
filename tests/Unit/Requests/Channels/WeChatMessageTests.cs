using CsCheck;
using Huzhu.Contracts;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Channels.WeChat;
using Huzhu.Requests.Domain;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

public class WeChatMessageTests
{
    private static readonly DateTimeOffset Now = Given.Now;

    private static Utterance? Said(string xml)
    {
        var message = WeChatMessage.Read(xml);
        Assert.NotNull(message);
        Assert.True(message.IsComplete);
        return message.ToUtterance(Now);
    }

    [Fact]
    public void a_text_is_what_was_written()
    {
        var said = Said(WeChatVectors.Text)!;
        Assert.Equal(("5832509444155992350", "TNT2", DateTimeOffset.FromUnixTimeSeconds(1357986928)), (said.Key, said.Text, said.SentAt));
        Assert.Equal(("olPjZjsXuQPJoV0HlruZkNzKc91E", "gh_a96a4a619366"), (WeChatMessage.Read(WeChatVectors.Text)!.From, WeChatMessage.Read(WeChatVectors.Text)!.To));
    }

    [Fact]
    public void a_location_is_a_position_on_wgs84_with_its_address()
    {
        var said = Said(WeChatVectors.Location)!;
        var place = new GeoPoint(said.Pin!.Lat, said.Pin.Lon);
        var shifted = Datum.ToGcj02(place);
        Assert.Equal((31.285774, 120.597610), (Math.Round(shifted.Latitude, 6), Math.Round(shifted.Longitude, 6)));
        Assert.NotEqual(31.2858, place.Latitude, 3);
        Assert.Equal("中国江苏省苏州市沧浪区桐泾南路251号-309号", said.Address);
        Assert.False(said.IsPassive);
    }

    [Fact]
    public void a_voice_message_is_its_recognition()
    {
        Assert.Null(Said(WeChatVectors.Voice)!.Text);
        Assert.Equal("我需要药", Said(WeChatVectors.Voice.Replace("<MsgId>", "<Recognition><![CDATA[我需要药]]></Recognition><MsgId>", StringComparison.Ordinal))!.Text);
    }

    [Fact]
    public void a_location_event_is_passive_and_knows_its_accuracy()
    {
        var said = Said(WeChatVectors.LocationEvent)!;
        Assert.True(said.IsPassive);
        Assert.Equal(119.38504, said.Pin!.AccuracyMetres);
        Assert.Equal("1358061152 LOCATION", said.Key);
    }

    [Theory]
    [InlineData("subscribe", "<EventKey><![CDATA[qrscene_123]]></EventKey><Ticket>T</Ticket>", "menu")]
    [InlineData("SCAN", "<EventKey>123</EventKey><Ticket>T</Ticket>", "menu")]
    [InlineData("CLICK", "<EventKey><![CDATA[进度]]></EventKey>", "进度")]
    public void an_event_can_say_something(string kind, string fields, string text) =>
        Assert.Equal(text, Said(WeChatVectors.Of("event", $"<Event><![CDATA[{kind}]]></Event>{fields}"))!.Text);

    [Theory]
    [InlineData("unsubscribe", "<EventKey></EventKey>")]
    [InlineData("VIEW", "<EventKey><![CDATA[https://example.com]]></EventKey>")]
    [InlineData("CLICK", "<EventKey/>")]
    [InlineData("TEMPLATESENDJOBFINISH", "<MsgID>200163836</MsgID><Status><![CDATA[success]]></Status>")]
    [InlineData("LOCATION", "<Latitude>north</Latitude><Longitude>1</Longitude>")]
    [InlineData("something_new", "")]
    public void other_events_are_only_acknowledged(string kind, string fields) =>
        Assert.Null(Said(WeChatVectors.Of("event", $"<Event><![CDATA[{kind}]]></Event>{fields}")));

    [Theory]
    [InlineData("image")]
    [InlineData("video")]
    [InlineData("shortvideo")]
    [InlineData("link")]
    public void what_cannot_be_read_here_is_still_a_message(string type)
    {
        var said = Said(WeChatVectors.Of(type, "<MsgId>7</MsgId>"))!;
        Assert.Null(said.Text);
        Assert.Null(said.Pin);
    }

    [Theory]
    [InlineData("<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><Content>&e;</Content></xml>")]
    [InlineData("<!DOCTYPE xml [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><xml><Content>&b;</Content></xml>")]
    [InlineData("<!DOCTYPE xml SYSTEM \"http://127.0.0.1:1/x.dtd\"><xml/>")]
    [InlineData("<xml><Content>1</Content><Content>2</Content></xml>")]
    [InlineData("<xml><Content>open")]
    [InlineData("<html></html>")]
    [InlineData("{}")]
    [InlineData("")]
    public void hostile_and_broken_documents_are_refused(string xml) => Assert.Null(WeChatMessage.Read(xml));

    [Fact]
    public void a_document_is_bounded_in_every_direction()
    {
        Assert.Null(WeChatMessage.Read($"<xml><Content>{new string('a', 70_000)}</Content></xml>"));
        Assert.Null(WeChatMessage.Read($"<xml>{string.Concat(Enumerable.Range(0, 200).Select(index => $"<F{index}>1</F{index}>"))}</xml>"));
        Assert.Null(WeChatMessage.Read($"<xml>{string.Concat(Enumerable.Repeat("<a>", 40))}{string.Concat(Enumerable.Repeat("</a>", 40))}</xml>"));
    }

    [Theory]
    [InlineData("<xml><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>")]
    [InlineData("<xml><FromUserName>o</FromUserName><MsgType>text</MsgType><MsgId>-1</MsgId></xml>")]
    [InlineData("<xml><FromUserName>o</FromUserName><MsgType>event</MsgType></xml>")]
    [InlineData("<xml><FromUserName></FromUserName><MsgType>text</MsgType><MsgId>1</MsgId></xml>")]
    [InlineData("<xml><FromUserName>o</FromUserName><MsgId>1</MsgId></xml>")]
    public void a_message_says_who_what_and_which(string xml) => Assert.False(WeChatMessage.Read(xml)!.IsComplete);

    [Fact]
    public void a_clock_that_is_ahead_does_not_put_a_message_into_the_future() =>
        Assert.Equal(Now, Said(WeChatVectors.Text.Replace("1357986928", "9999999999", StringComparison.Ordinal))!.SentAt);

    [Fact]
    public void a_reply_goes_back_to_the_person_and_says_what_it_is_to_say_whatever_that_is()
    {
        var message = WeChatMessage.Read(WeChatVectors.Text)!;
        var reply = WeChatMessage.Read(message.ReplyWith("a ]]> b <c> & 中文\n😀", Now))!;
        Assert.Equal(("a ]]> b <c> & 中文\n😀", "text", message.From, message.To), (reply["Content"], reply.Type, reply.To, reply.From));
        Assert.Equal(Now.ToUnixTimeSeconds().ToString(), reply["CreateTime"]);
    }

    [Fact]
    public void a_long_reply_is_cut_between_two_characters()
    {
        var content = WeChatMessage.Read(WeChatMessage.Read(WeChatVectors.Text)!.ReplyWith(string.Concat(Enumerable.Repeat("😀", 600)), Now))!["Content"]!;
        Assert.Equal(string.Concat(Enumerable.Repeat("😀", 511)), content);
    }

    [Fact]
    public void mutated_messages_never_throw()
    {
        var documents = new[] { WeChatVectors.Text, WeChatVectors.Location, WeChatVectors.Voice, WeChatVectors.LocationEvent, WeChatVectors.WithLineBreaks.Plain };
        Gen.Select(Gen.Int[0, documents.Length - 1], Mutation.List[1, 6]).Sample((index, mutations) =>
        {
            var xml = mutations.Aggregate(documents[index], (text, mutate) => mutate(text));
            if (WeChatMessage.Read(xml) is { IsComplete: true } message && message.ToUtterance(Now) is { } said)
            {
                Assert.InRange(said.Key.Length, 1, 128);
                Assert.True(said.SentAt <= Now);
                Assert.True(said.Pin is not { } pin || new GeoPoint(pin.Lat, pin.Lon).IsOnEarth);
                Conversation.Decide(ConversationState.Initial(Language.Zh), null, said, canPin: true);
                Assert.NotNull(WeChatMessage.Read(message.ReplyWith("ok", Now)));
            }
        }, iter: 30_000);
    }

    /// <summary>Ways to spoil a text: cut, repeat, swap in something hostile.</summary>
    internal static readonly Gen<Func<string, string>> Mutation = Gen.Select(Gen.Double.Unit, Gen.Double.Unit, Gen.Int[0, 4], Gen.OneOf(
        "", "<", ">", "]]>", "&amp;", "&#0;", "\0", "\uD800", "𝕏", "<!DOCTYPE x>", "<a/>", "99999999999999999999", "-1", "NaN", "1e999", "../", "%00", "{note}", "{0}"))
        .Select((from, length, how, by) => (Func<string, string>)(text =>
        {
            var at = (int)(from * text.Length);
            var end = Math.Min(text.Length, at + (int)(length * 20));
            return how switch
            {
                0 => text[..at] + by + text[end..],
                1 => text.Insert(at, by),
                2 => text[..at] + text[end..],
                3 => text.Insert(at, text[at..end]),
                _ => text[..at],
            };
        }));
}
