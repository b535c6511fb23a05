using System.Text;
using Huzhu.Notifications.Channels;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

/// <summary>The vector is the one that all official SDKs of Standard Webhooks test with.</summary>
public class StandardWebhooksTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string Id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    private const string Timestamp = "1614265330";
    private const string Signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    private static readonly byte[] Body = Encoding.UTF8.GetBytes("{\"test\": 2432232314}");
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeSeconds(1614265330);

    [Fact]
    public void the_official_vector_is_signed_as_it_says() => Assert.Equal(Signature, StandardWebhooks.Sign(Secret, Id, At, Body));

    [Theory]
    [InlineData(Signature)]
    [InlineData("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + Signature)]
    public void a_right_signature_is_accepted_alone_or_among_others(string signatures) =>
        Assert.True(StandardWebhooks.Verify(Secret, Id, Timestamp, signatures, Body, At));

    [Theory]
    [InlineData(Secret, Id, Timestamp, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLawdd", 0)]
    [InlineData(Secret, Id, Timestamp, "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=", 0)]
    [InlineData(Secret, Id, Timestamp, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 0)]
    [InlineData(Secret, Id, Timestamp, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 0)]
    [InlineData(Secret, Id, Timestamp, "v1,", 0)]
    [InlineData(Secret, Id, Timestamp, Signature, 301)]
    [InlineData(Secret, Id, Timestamp, Signature, -301)]
    [InlineData(Secret, null, Timestamp, Signature, 0)]
    [InlineData(Secret, Id, null, Signature, 0)]
    [InlineData(Secret, Id, "soon", Signature, 0)]
    [InlineData(Secret, Id, Timestamp, null, 0)]
    [InlineData("", Id, Timestamp, Signature, 0)]
    [InlineData(null, Id, Timestamp, Signature, 0)]
    [InlineData("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Id, Timestamp, Signature, 0)]
    public void everything_else_is_refused(string? secret, string? id, string? timestamp, string? signatures, int secondsLater) =>
        Assert.False(StandardWebhooks.Verify(secret, id, timestamp, signatures, Body, At.AddSeconds(secondsLater)));

    [Theory]
    [InlineData(300)]
    [InlineData(-300)]
    public void five_minutes_are_tolerated(int secondsLater) =>
        Assert.True(StandardWebhooks.Verify(Secret, Id, Timestamp, Signature, Body, At.AddSeconds(secondsLater)));

    [Fact]
    public void a_changed_body_or_id_is_refused()
    {
        Assert.False(StandardWebhooks.Verify(Secret, Id, Timestamp, Signature, [.. Body, (byte)' '], At));
        Assert.False(StandardWebhooks.Verify(Secret, Id + "k", Timestamp, Signature, Body, At));
    }

    [Fact]
    public void two_secrets_of_a_rotation_give_two_signatures_and_either_receiver_accepts()
    {
        const string next = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        var signatures = StandardWebhooks.Sign($"{Secret} {next}", Id, At, Body);
        Assert.Equal(2, signatures.Split(' ').Length);
        Assert.True(StandardWebhooks.Verify(Secret, Id, Timestamp, signatures, Body, At));
        Assert.True(StandardWebhooks.Verify(next, Id, Timestamp, signatures, Body, At));
    }

    [Theory]
    [InlineData(Secret, true)]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true)]
    [InlineData("", false)]
    [InlineData(null, false)]
    [InlineData("whsec_", false)]
    [InlineData("whsec_c2hvcnQ=", false)]
    [InlineData("whsec_not base64!", false)]
    [InlineData(Secret + " whsec_c2hvcnQ=", false)]
    public void a_secret_is_base64_of_at_least_sixteen_bytes(string? secret, bool usable)
    {
        Assert.Equal(usable, StandardWebhooks.IsUsable(secret));
        if (!usable)
            Assert.Throws<ArgumentException>(() => StandardWebhooks.Sign(secret!, Id, At, Body));
    }
}
