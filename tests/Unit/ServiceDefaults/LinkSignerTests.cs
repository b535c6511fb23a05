using System.Security.Cryptography;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public class LinkSignerTests
{
    private readonly LinkSigner _signer = new(RandomNumberGenerator.GetBytes(32));
    private readonly Guid _offer = Guid.NewGuid();
    private readonly Guid _responder = Guid.NewGuid();

    [Fact]
    public void a_link_opens_what_it_was_signed_for() =>
        Assert.True(_signer.Verify("offer", _offer, _responder, _signer.Sign("offer", _offer, _responder)));

    [Fact]
    public void a_link_opens_nothing_else()
    {
        var signature = _signer.Sign("offer", _offer, _responder);
        Assert.False(_signer.Verify("offer", Guid.NewGuid(), _responder, signature));
        Assert.False(_signer.Verify("offer", _offer, Guid.NewGuid(), signature));
        Assert.False(_signer.Verify("request", _offer, _responder, signature));
        Assert.False(new LinkSigner(RandomNumberGenerator.GetBytes(32)).Verify("offer", _offer, _responder, signature));
    }

    [Fact]
    public void in_a_rotation_each_replica_takes_what_the_others_sign()
    {
        var (old, next) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32));
        // First the next key is taken, then it signs, then the old one goes; at each step replicas of two steps run side by side.
        LinkSigner[] steps = [new(old), new(old, next), new(next, old), new(next)];
        foreach (var (one, other) in steps.Zip(steps.Skip(1)))
        {
            Assert.True(one.Verify("offer", _offer, _responder, other.Sign("offer", _offer, _responder)));
            if (other != steps[^1])
                Assert.True(other.Verify("offer", _offer, _responder, one.Sign("offer", _offer, _responder)));
        }
        Assert.False(steps[3].Verify("offer", _offer, _responder, steps[0].Sign("offer", _offer, _responder)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void what_is_not_a_signature_is_refused(string? signature) =>
        Assert.False(_signer.Verify("offer", _offer, _responder, signature));
}
