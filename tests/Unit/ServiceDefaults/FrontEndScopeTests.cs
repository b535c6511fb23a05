using System.Security.Claims;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

/// <summary>Which front ends a token acts for, as a table of roles, claims and the setting.</summary>
public class FrontEndScopeTests
{
    [Theory]
    // roles, sources named, whether one must be → of the source "a": may see, may act
    [InlineData("intake", "", false, true, true)]
    [InlineData("intake", "", true, false, false)]
    [InlineData("intake", "a", false, true, true)]
    [InlineData("intake", "a b", true, true, true)]
    [InlineData("intake", "b", false, false, false)]
    [InlineData("intake", "A", false, false, false)]
    [InlineData("intake auditor", "b", false, true, false)]
    [InlineData("intake operator", "b", true, true, true)]
    [InlineData("operator", "", true, true, true)]
    [InlineData("auditor", "", true, true, false)]
    [InlineData("service", "", true, true, false)]
    public void an_intake_acts_for_the_sources_that_its_token_names(string roles, string sources, bool isRequired, bool maySee, bool mayAct)
    {
        var scope = new FrontEndScope(new ConfigurationBuilder().AddInMemoryCollection([new(FrontEndScope.RequireSource, isRequired ? "true" : "false")]).Build());
        var user = new ClaimsPrincipal(new ClaimsIdentity([.. Claims("roles", roles), .. Claims("source", sources)], "test", "sub", "roles"));
        Assert.Equal((maySee, mayAct), (scope.MaySee(user, "a"), scope.MayActFor(user, "a")));
    }

    [Fact]
    public void without_a_setting_a_token_that_names_no_source_acts_for_all()
    {
        var user = new ClaimsPrincipal(new ClaimsIdentity([new("roles", Roles.Intake)], "test", "sub", "roles"));
        Assert.Null(new FrontEndScope(new ConfigurationBuilder().Build()).Acting(user));
    }

    private static IEnumerable<Claim> Claims(string type, string values) => values.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(value => new Claim(type, value));
}
