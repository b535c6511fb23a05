using System.Buffers.Text;
using System.Text.Json.Nodes;
using Huzhu.Local.Infrastructure;
using Xunit;

namespace Huzhu.Unit.OneMachine;

public sealed class DevelopmentTokensTests
{
    [Fact]
    public void claims_say_who_may_do_what_and_until_when()
    {
        var claims = Claims(DevelopmentTokens.Create(Secrets.Key(), "local-coordinator", ["coordinator"]));

        Assert.Equal("huzhu-development", (string?)claims["iss"]);
        Assert.Equal("huzhu", (string?)claims["aud"]);
        Assert.Equal("local-coordinator", (string?)claims["sub"]);
        Assert.Equal("coordinator", (string?)claims["roles"]!.AsArray().Single());
        Assert.Equal(TimeSpan.FromDays(30).TotalSeconds, (double)claims["exp"]! - (double)claims["iat"]!);
        Assert.Null(claims["responder"]);
    }

    [Fact]
    public void responders_are_named_when_there_are_any()
    {
        var claims = Claims(DevelopmentTokens.Create(Secrets.Key(), "somebody", ["responder"], ["a", "b"]));
        Assert.Equal(["a", "b"], claims["responder"]!.AsArray().Select(id => (string?)id));
    }

    [Fact]
    public void two_tokens_of_one_subject_differ()
    {
        var key = Secrets.Key();
        Assert.NotEqual(DevelopmentTokens.Create(key, "somebody", []), DevelopmentTokens.Create(key, "somebody", []));
    }

    static JsonObject Claims(string token) => JsonNode.Parse(Base64Url.DecodeFromChars(token.Split('.')[1]))!.AsObject();
}
