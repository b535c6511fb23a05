using System.Text;
using CsCheck;
using Huzhu.Requests.Channels.WeChat;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

public class WeChatCryptoTests
{
    public static TheoryData<string> EveryEncrypted => new(WeChatVectors.All.Keys);

    [Theory]
    [InlineData("f21891de399b4e33a1a93c9a7b8a8fffb5a443ff", "test", "1410685589", "test")]
    [InlineData("335b26997f05c82243aad6b10a2d1853637e71a8", "weixin", "1357982061", "1358161344")]
    [InlineData("a9993e364706816aba3e25717850c26c9cd0d89d", "a", "b", "c")]
    public void a_plain_signature_is_as_public_suites_have_it(string signature, string token, string timestamp, string nonce)
    {
        Assert.Equal(signature, WeChatCrypto.Sign(token, timestamp, nonce));
        Assert.True(WeChatCrypto.Verify(signature, token, timestamp, nonce));
    }

    [Theory]
    [InlineData("f21891de399b4e33a1a93c9a7b8a8fffb5a443fe")]
    [InlineData("F21891DE399B4E33A1A93C9A7B8A8FFFB5A443FF")]
    [InlineData("f21891de399b4e33a1a93c9a7b8a8fffb5a443f")]
    [InlineData("")]
    [InlineData(null)]
    public void another_signature_is_refused(string? signature) => Assert.False(WeChatCrypto.Verify(signature, "test", "1410685589", "test"));

    [Theory, MemberData(nameof(EveryEncrypted))]
    public void an_encrypted_message_is_verified_and_read(string name)
    {
        var vector = WeChatVectors.All[name];
        Assert.True(WeChatCrypto.Verify(vector.Signature, vector.Token, vector.Timestamp, vector.Nonce, vector.Cipher));
        Assert.Equal(vector.Plain, WeChatCrypto.Decrypt(vector.Cipher, WeChatCrypto.ReadKey(vector.Key)!, vector.AppId));
    }

    [Theory, MemberData(nameof(EveryEncrypted))]
    public void with_anything_else_it_is_refused(string name)
    {
        var vector = WeChatVectors.All[name];
        Assert.False(WeChatCrypto.Verify(vector.Signature, vector.Token, vector.Timestamp, (long.Parse(vector.Nonce) - 1).ToString(), vector.Cipher));
        Assert.False(WeChatCrypto.Verify(vector.Signature, vector.Token, vector.Timestamp, vector.Nonce, vector.Cipher + "="));
        Assert.Null(WeChatCrypto.Decrypt(vector.Cipher, WeChatCrypto.ReadKey(vector.Key)!, vector.AppId + "0"));
        Assert.Null(WeChatCrypto.Decrypt(vector.Cipher, WeChatCrypto.ReadKey(new string('A', 43))!, vector.AppId));
    }

    [Fact]
    public void encryption_is_byte_for_byte_that_of_the_official_sample() => Assert.Equal(
        "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg==",
        WeChatCrypto.Encrypt("我是中文abcd123", WeChatCrypto.ReadKey("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")!, "wxb11529c136998cb6", "aaaabbbbccccdddd"u8));

    [Theory]
    [InlineData("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF")]
    [InlineData("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")]
    [InlineData("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF+")]
    [InlineData("")]
    public void what_is_not_a_key_is_no_key(string text) => Assert.Null(WeChatCrypto.ReadKey(text));

    [Theory]
    [InlineData("1648800000", 0, true)]
    [InlineData("1648800000", 300, true)]
    [InlineData("1648800000", -300, true)]
    [InlineData("1648800000", 301, false)]
    [InlineData("1648800000", -301, false)]
    [InlineData("99999999999999999999", 0, false)]
    [InlineData("9223372036854775807", 0, false)]
    [InlineData("-1648800000", 0, false)]
    [InlineData(" 1648800000", 0, false)]
    [InlineData("", 0, false)]
    [InlineData(null, 0, false)]
    public void a_signature_is_fresh_for_five_minutes(string? timestamp, int secondsLater, bool isFresh) =>
        Assert.Equal(isFresh, WeChatCrypto.IsFresh(timestamp, DateTimeOffset.FromUnixTimeSeconds(1648800000 + secondsLater)));

    [Fact]
    public void what_is_encrypted_is_read_again_whatever_it_is() => Gen.Select(Gen.String[0, 200], Gen.Byte.Array[32], Gen.Byte.Array[16]).Sample((text, key, random) =>
    {
        text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        var cipher = WeChatCrypto.Encrypt(text, key, "wx1", random);
        Assert.Equal(text, WeChatCrypto.Decrypt(cipher, key, "wx1"));
        Assert.Null(WeChatCrypto.Decrypt(cipher, key, "wx2"));
    });

    [Fact]
    public void a_changed_ciphertext_never_throws_and_is_never_signed() => Gen.Select(Gen.Int[0, 400], Gen.Char, Gen.Int[0, 2]).Sample((at, by, how) =>
    {
        var vector = WeChatVectors.Message;
        at %= vector.Cipher.Length;
        var changed = how switch
        {
            0 => vector.Cipher[..at] + by + vector.Cipher[(at + 1)..],
            1 => vector.Cipher[..at],
            _ => vector.Cipher.Insert(at, by.ToString()),
        };
        WeChatCrypto.Decrypt(changed, WeChatCrypto.ReadKey(vector.Key)!, vector.AppId);
        Assert.Equal(changed == vector.Cipher, WeChatCrypto.Verify(vector.Signature, vector.Token, vector.Timestamp, vector.Nonce, changed));
    }, iter: 20_000);
}
