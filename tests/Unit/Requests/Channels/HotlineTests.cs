using System.Text;
using System.Xml.Linq;
using CsCheck;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Channels.Hotline;
using Huzhu.Requests.Channels.WeChat;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

public class HotlineTests
{
    private static readonly KeyValuePair<string, string>[] Fields =
    [
        new("CallSid", "CA1234567890ABCDE"), new("From", "+14158675309"), new("Digits", "1234"), new("To", "+18005551212"), new("Caller", "+14158675309"),
    ];

    /// <summary>Of twilio-csharp's own tests.</summary>
    public static TheoryData<string, string> Signatures => new()
    {
        { "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=" },
        { "https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w=" },
        { "https://mycompany.com:1234/myapp.php?foo=1&bar=2", "CYn1h0gLBdNxDGkKJg6hYohgeD8=" },
        { "http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4=" },
        { "http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=" },
    };

    [Theory, MemberData(nameof(Signatures))]
    public void a_signature_is_as_the_public_suite_has_it(string url, string signature)
    {
        Assert.Equal(signature, TwilioSignature.Sign("12345", url, Fields));
        Assert.True(TwilioSignature.Verify(signature, "12345", url, Fields));
        Assert.True(TwilioSignature.Verify(signature, "12345", url, [.. Fields.Reverse()]));
    }

    [Theory]
    [InlineData("https://mycompany.com/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w=")]
    [InlineData("https://mycompany.com:443/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")]
    [InlineData("https://mycompany.com:8443/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")]
    [InlineData("http://mycompany.com/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4=")]
    public void the_port_may_be_signed_or_left_out(string url, string signature) => Assert.True(TwilioSignature.Verify(signature, "12345", url, Fields));

    [Theory, MemberData(nameof(Signatures))]
    public void anything_else_is_refused(string url, string signature)
    {
        Assert.False(TwilioSignature.Verify(signature, "12346", url, Fields));
        Assert.False(TwilioSignature.Verify(signature, "12345", url + "&", Fields));
        Assert.False(TwilioSignature.Verify(signature, "12345", url.Replace("mycompany", "yourcompany", StringComparison.Ordinal), Fields));
        Assert.False(TwilioSignature.Verify(signature, "12345", url, Fields[1..]));
        Assert.False(TwilioSignature.Verify(signature, "12345", url, [.. Fields, new("Added", "1")]));
        Assert.False(TwilioSignature.Verify(signature.ToLowerInvariant(), "12345", url, Fields));
        Assert.False(TwilioSignature.Verify("", "12345", url, Fields));
        Assert.False(TwilioSignature.Verify(null, "12345", url, Fields));
        Assert.False(TwilioSignature.Verify(signature, "12345", "ftp://mycompany.com/", Fields));
    }

    [Fact]
    public void a_record_is_signed_with_its_time()
    {
        var secret = "a secret of at least 16 bytes"u8.ToArray();
        var body = "{\"callId\":\"1\"}"u8.ToArray();
        var now = DateTimeOffset.FromUnixTimeSeconds(1648801800);
        // printf '1648801800.{"callId":"1"}' | openssl dgst -sha256 -hmac 'a secret of at least 16 bytes'
        var header = RecordSignature.Sign(secret, 1648801800, body);
        Assert.True(RecordSignature.Verify(header, secret, body, now));
        Assert.True(RecordSignature.Verify(header.Replace(",", ",v1=00,", StringComparison.Ordinal), secret, body, now.AddSeconds(300)));
        Assert.False(RecordSignature.Verify(header, secret, body, now.AddSeconds(301)));
        Assert.False(RecordSignature.Verify(header, secret, body, now.AddSeconds(-301)));
        Assert.False(RecordSignature.Verify(header, secret, "{\"callId\":\"2\"}"u8, now));
        Assert.False(RecordSignature.Verify(header, "another secret of 16 bytes"u8.ToArray(), body, now));
        Assert.All(new[] { null, "", "t=", "t=1648801800", "v1=00", "t=99999999999999999999,v1=00", header.Replace("t=1648801800", "t=1648801801", StringComparison.Ordinal) },
            other => Assert.False(RecordSignature.Verify(other, secret, body, now)));
    }

    [Fact]
    public void mutated_forms_never_throw_and_are_never_signed()
    {
        const string url = "https://mycompany.com/channels/hotline/main/sms";
        var body = "MessageSid=SM1&From=%2B8613800000000&To=%2B12345&Body=%E8%8D%AF%20please&NumMedia=0";
        var signature = TwilioSignature.Sign("12345", url, Form.Read(Encoding.UTF8.GetBytes(body))!.Fields);
        WeChatMessageTests.Mutation.List[1, 4].Sample(mutations =>
        {
            var spoilt = Encoding.UTF8.GetBytes(mutations.Aggregate(body, (text, mutate) => mutate(text)));
            if (Form.Read(spoilt) is not { } form)
                return;
            var same = Form.Read(Encoding.UTF8.GetBytes(body))!.Fields;
            Assert.True(!TwilioSignature.Verify(signature, "12345", url, form.Fields) || Signed(form.Fields) == Signed(same));
            XDocument.Parse(TwiML.Message(form["Body"] ?? ""));
            XDocument.Parse(TwiML.Ask([(form["Body"] ?? "", Language.Zh)], Language.Zh, 1, 0));
        }, iter: 20_000);

        // What is signed are the values in the order of their names; an invented boundary between name and value is nobody's gain.
        static string Signed(IEnumerable<KeyValuePair<string, string>> fields) =>
            string.Concat(fields.GroupBy(field => field.Key, field => field.Value).OrderBy(field => field.Key, StringComparer.Ordinal).SelectMany(field => field.Distinct().Order(StringComparer.Ordinal), (field, value) => field.Key + value));
    }

    [Fact]
    public void a_form_is_bounded_and_a_field_sent_twice_says_nothing()
    {
        Assert.Null(Form.Read(Encoding.UTF8.GetBytes(string.Join('&', Enumerable.Range(0, 300).Select(index => $"a{index}=1")))));
        Assert.Null(Form.Read(Encoding.UTF8.GetBytes("a=" + new string('b', 20_000))));
        Assert.Null(Form.Read(new byte[] { (byte)'a', (byte)'=', 0xFF }));
        Assert.Null(Form.Read("From=1&From=2"u8.ToArray())!["From"]);
    }

    [Fact]
    public void a_question_listens_to_keys_and_speech_and_goes_on_when_there_is_silence()
    {
        var response = XDocument.Parse(TwiML.Ask([("请说 <话> & \u0001", Language.Zh), ("Speak", Language.En)], Language.Zh, 3, 1)).Root!;
        var gather = response.Element("Gather")!;
        Assert.Equal(("dtmf speech", "voice?turn=3", "zh-CN", "1"), (gather.Attribute("input")!.Value, gather.Attribute("action")!.Value, gather.Attribute("language")!.Value, gather.Attribute("numDigits")!.Value));
        Assert.Equal(["请说 <话> & ", "Speak"], gather.Elements("Say").Select(say => say.Value));
        Assert.Equal("voice?turn=3&silences=2", response.Element("Redirect")!.Value);
        Assert.Equal(["Say", "Hangup"], XDocument.Parse(TwiML.End("bye", Language.En)).Root!.Elements().Select(verb => verb.Name.LocalName));
        Assert.Equal("+8612345", XDocument.Parse(TwiML.End("bye", Language.En, "+8612345")).Root!.Element("Dial")!.Value);
    }

    public static TheoryData<string, string?, string> BadSettings => new()
    {
        { "Channels:WeChat:Accounts:main:Token", null, "Channels:WeChat:Accounts:main:Token" },
        { "Channels:WeChat:Accounts:main:AppId", " ", "Channels:WeChat:Accounts:main:AppId" },
        { "Channels:WeChat:Accounts:main:EncodingAesKey", "short", "Channels:WeChat:Accounts:main:EncodingAesKey" },
        { "Channels:WeChat:Accounts:main:PreviousEncodingAesKey", "short", "Channels:WeChat:Accounts:main:PreviousEncodingAesKey" },
        { "Channels:WeChat:Accounts:a b:Token", "t", "Channels:WeChat:Accounts:a b" },
        { "Channels:Hotline:Accounts:main:AuthToken", null, "Channels:Hotline:Accounts:main" },
        { "Channels:Hotline:Accounts:main:HmacSecret", "short", "Channels:Hotline:Accounts:main:HmacSecret" },
        { "Channels:Hotline:Accounts:main:PublicUrl", "help.example", "Channels:Hotline:Accounts:main:PublicUrl" },
        { "Channels:Hotline:Accounts:main:OperatorNumber", "the desk", "Channels:Hotline:Accounts:main:OperatorNumber" },
    };

    [Theory, MemberData(nameof(BadSettings))]
    public void a_bad_setting_is_named(string key, string? value, string named)
    {
        var settings = new Dictionary<string, string?>
        {
            ["Channels:WeChat:Accounts:main:AppId"] = "wx1",
            ["Channels:WeChat:Accounts:main:Token"] = "token",
            ["Channels:WeChat:Accounts:main:EncodingAesKey"] = new string('A', 43),
            ["Channels:Hotline:Accounts:main:AuthToken"] = "12345",
        };
        Read();
        settings[key] = value;
        Assert.Contains(named, Assert.Throws<InvalidOperationException>(Read).Message);

        void Read()
        {
            var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
            Assert.NotNull(new WeChatAccounts(configuration).Find("MAIN"));
            Assert.NotNull(new HotlineAccounts(configuration).Find("main"));
        }
    }
}
