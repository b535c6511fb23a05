using Microsoft.Playwright;
using Xunit;

namespace Huzhu.SystemTests.Console;

/// <summary>What everybody finds in the console: signing in, the start page, and what is refused.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed class ConsoleTests(ConsoleHuzhu fixture, Browser browser) : IClassFixture<Browser>
{
    private string Console => fixture.Huzhu.Description.Services["console"];

    [Theory]
    [InlineData("zh")]
    [InlineData("en")]
    public async Task each_role_signs_in_and_finds_its_pages(string language)
    {
        foreach (var (role, pages) in new Dictionary<string, string[]>
        {
            ["intake"] = ["/calls/new"],
            ["operator"] = ["/calls/new", "/operator", "/board"],
            ["auditor"] = ["/board", "/audit"],
            ["coordinator"] = [],
        })
        {
            await using var visitor = await browser.VisitAsync(Console, language);
            await visitor.Page.GotoAsync("/");
            await visitor.CheckAsync("sign-in");
            await visitor.SignInAsync(role);
            Assert.Equal(pages, await visitor.Page.Locator("header nav a").EvaluateAllAsync<string[]>("links => links.map(link => link.getAttribute('href'))"));
            await visitor.CheckAsync($"start-{role}");
            foreach (var page in new[] { "/calls/new", "/operator", "/board", "/audit" })
            {
                var response = await visitor.Page.GotoAsync(page);
                Assert.Equal(pages.Contains(page) ? 200 : 403, response!.Status);
            }
        }
    }

    [Fact]
    public async Task a_page_that_is_not_fit_for_everybody_is_found()
    {
        await using var visitor = await browser.VisitAsync(Console, "en");
        await visitor.Page.GotoAsync("/sign-in");
        await visitor.Page.EvaluateAsync("document.querySelector('main').append(new Image())");
        Assert.Contains("image-alt", (await Assert.ThrowsAsync<Xunit.Sdk.TrueException>(() => visitor.CheckAsync("sign-in-unfit"))).Message);
        await visitor.Page.GotoAsync("/sign-in");
        await visitor.Page.EvaluateAsync("document.querySelector('main').style.minWidth = '2000px'");
        Assert.Contains("too wide", (await Assert.ThrowsAsync<Xunit.Sdk.TrueException>(() => visitor.CheckAsync("sign-in-unfit"))).Message);
    }
}
