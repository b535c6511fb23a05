using System.Security.Claims;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public class SecurityTests
{
    private static readonly string Key = Convert.ToBase64String(new byte[32]);

    [Theory]
    [InlineData(null, null, "Development")]
    [InlineData("https://issuer.example", "key", "Development")]
    [InlineData(null, "key", "Production")]
    public void a_service_without_exactly_one_issuer_or_with_a_development_key_in_production_does_not_start(string? authority, string? key, string environment)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = environment });
        builder.Configuration["Auth:Authority"] = authority;
        builder.Configuration["Auth:Development:SigningKey"] = key is null ? null : Key;
        var refusal = Assert.Throws<InvalidOperationException>(() => builder.AddHuzhuSecurity());
        Assert.Contains("Auth:", refusal.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("c2hvcnQ=")]
    [InlineData("not base64")]
    public void a_key_that_is_not_32_bytes_in_base64_is_named(string text)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("PersonalData:MasterKey", text)]).Build();
        var refusal = Assert.Throws<InvalidOperationException>(() => Security.ReadKey(configuration, "PersonalData:MasterKey", required: true));
        Assert.Contains("PersonalData:MasterKey", refusal.Message);
        if (text.Length > 0)
            Assert.DoesNotContain(text, refusal.Message);
    }

    [Fact]
    public void a_token_speaks_for_the_responders_that_it_names_and_those_that_its_subject_manages()
    {
        var (named, managed, other) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        var user = new ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", "wang"), new Claim("responder", named.ToString())], "test"));
        Assert.True(user.SpeaksFor(named, []));
        Assert.True(user.SpeaksFor(managed, ["li", "wang"]));
        Assert.False(user.SpeaksFor(other, ["li"]));
        Assert.False(new ClaimsPrincipal(new ClaimsIdentity()).SpeaksFor(other, ["li"]));
    }
}
