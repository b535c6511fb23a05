using System.Net;
using Huzhu.Local.Infrastructure;
using Huzhu.TestKit;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Huzhu.SystemTests.Console;

/// <summary>Signing in with an issuer, as in production: a second console beside the running services, that knows no development key.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed class SignInTests(ConsoleHuzhu fixture, Browser browser) : IClassFixture<Browser>
{
    [Fact]
    public async Task people_sign_in_with_the_issuer_and_the_services_are_asked_with_their_own_token()
    {
        var huzhu = fixture.Huzhu;
        await using var issuer = await OidcIssuer.StartAsync(huzhu.Infrastructure.Run.FullPath);
        await using var host = await ServiceHost.StartAsync(huzhu.Infrastructure.Run, new ServiceHostOptions
        {
            Databases = new Dictionary<string, string>(),
            AmqpUri = "",
            Services = [Repository.Console],
            Environment = new Dictionary<string, string>
            {
                ["Auth__Development__SigningKey"] = "",
                ["Auth__Authority"] = issuer.Address,
                ["Auth__Client__ClientId"] = OidcIssuer.ClientId,
                ["Auth__Client__ClientSecret"] = OidcIssuer.ClientSecret,
                ["SSL_CERT_FILE"] = issuer.CertificateFile,
                ["Services__Requests"] = huzhu.Description.Services["requests"],
                ["Services__Groups"] = huzhu.Description.Services["groups"],
                ["Services__Matching"] = huzhu.Description.Services["matching"],
                ["Services__Notifications"] = huzhu.Description.Services["notifications"],
            },
        });
        var console = host.BaseAddress(Repository.Console).AbsoluteUri.TrimEnd('/');
        issuer.Next = new("ms-lin", ["intake"], () => huzhu.Services.Token("ms-lin", ["intake"]));
        // So short that the next page renews it.
        issuer.Life = TimeSpan.FromSeconds(30);

        await using var taker = await browser.VisitAsync(console, ignoreCertificates: true);
        await taker.Page.GotoAsync("/calls");
        await Expect(taker.Page.Locator(".user")).ToHaveTextAsync("ms-lin");
        await Expect(taker.Page.Locator("h1")).ToHaveTextAsync("查找求助");
        Assert.Equal(0, await taker.Page.Locator(".notice.bad").CountAsync());
        await taker.Page.ReloadAsync();
        Assert.True(issuer.Refreshed > 0, "The token is renewed before it ends.");
        Assert.Equal(403, (await taker.Page.GotoAsync("/operator"))!.Status);
        // Scripts see neither the token nor the cookie that holds it.
        Assert.Equal("", await taker.Page.EvaluateAsync<string>("document.cookie"));
        Assert.All((await taker.Context.CookiesAsync()).Where(cookie => cookie.Name.StartsWith("user", StringComparison.Ordinal)), cookie => Assert.True(cookie.HttpOnly));

        // A role that the issuer grants and the services do not: the page opens, and what it asks for is refused there.
        issuer.Next = new("mr-wu", ["intake"], () => huzhu.Services.Token("mr-wu", ["coordinator"]));
        await using var pretender = await browser.VisitAsync(console, ignoreCertificates: true);
        await pretender.Page.GotoAsync("/calls");
        await Expect(pretender.Page.Locator(".notice.bad")).ToBeVisibleAsync();

        // There is no choosing of roles here.
        using var http = new HttpClient();
        using var choice = await http.PostAsync($"{console}/sign-in", new FormUrlEncodedContent([new("role", "operator")]));
        Assert.Equal(HttpStatusCode.BadRequest, choice.StatusCode);
    }
}
