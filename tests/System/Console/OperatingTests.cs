using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Xunit;

namespace Huzhu.SystemTests.Console;

/// <summary>The operating desk, the board and the audit, walked through a running system. A place of their own on the map.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed class OperatingTests(ConsoleHuzhu fixture, Browser browser) : IClassFixture<Browser>, IDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);

    /// <summary>Nobody else in these tests provides it.</summary>
    private const string Kind = "basic-needs.epidemic-control";

    private string Console => fixture.Huzhu.Description.Services["console"];

    public void Dispose() => _huzhu.Dispose();

    [Fact]
    public async Task a_closure_is_previewed_and_published_while_the_board_changes_and_the_need_is_given_away_by_hand()
    {
        var (lat, lon) = (31.05, 121.60);
        var provider = await RegisterProviderAsync("Sunshine Kitchen 阳光食堂", lat, lon);
        var group = await _huzhu.RegisterAsync("groups", Client.Entry("J Lane helpers 里弄互助组", lat + .02, lon, capacity: 1, kind: Kind, radiusMetres: 500));
        var (request, need) = await _huzhu.SubmitAsync(Client.Request("board-walk", kind: Kind, lat: lat + .001, lon: lon, urgency: "health"));
        await _huzhu.MatchAsync(need, match => (string?)match["offers"]!.AsArray().FirstOrDefault()?["responderId"] == provider, "the need to be offered to the provider");

        await using var wall = await browser.VisitAsync(Console, "zh", screen: (1920, 1080));
        await wall.SignInAsync("operator", "/board");
        var waiting = wall.Page.Locator("[data-block=figures] li").First.Locator("b");
        var before = int.Parse(await waiting.InnerTextAsync());
        await Assertions.Expect(wall.Page.Locator("#board-live")).ToHaveTextAsync("实时更新");

        // Drawn by its corners, previewed, published.
        await using var desk = await browser.VisitAsync(Console, "en");
        await desk.SignInAsync("operator", "/operator/measures");
        await desk.Page.Locator("#name").FillAsync("Lockdown of J Lane");
        await desk.Page.Locator("#hours").FillAsync("5");
        await desk.Page.Locator("#area").FillAsync("31.04,121.59\n31.04,121.61\n31.06,121.61\n31.06,121.59");
        await desk.Page.GetByRole(AriaRole.Button, new() { Name = "Show who would be affected" }).ClickAsync();
        var preview = desk.Page.Locator("section", new() { Has = desk.Page.Locator("#preview-title") });
        await Assertions.Expect(preview).ToContainTextAsync("1 providers would close");
        await Assertions.Expect(preview).ToContainTextAsync("Sunshine Kitchen");
        await Assertions.Expect(preview).ToContainTextAsync("1 would wait for somebody");
        await desk.CheckAsync("measure-preview");
        // First as a drill: nothing moves.
        await desk.Page.GetByRole(AriaRole.Button, new() { Name = "Record as a drill" }).ClickAsync();
        await Assertions.Expect(desk.Page.GetByText("nobody was told, no need was moved")).ToBeVisibleAsync();
        await desk.Page.GetByRole(AriaRole.Button, new() { Name = "Publish" }).ClickAsync();
        await Assertions.Expect(desk.Page.GetByText("“Lockdown of J Lane” is published.")).ToBeVisibleAsync();

        // The wall changes by itself.
        await wall.Page.WaitForFunctionAsync("before => Number(document.querySelector('[data-block=figures] b').textContent) > before", before);
        await wall.CheckAsync("board");
        await using var phone = await browser.VisitAsync(Console, "en", screen: (390, 844));
        await phone.SignInAsync("operator", "/board");
        await phone.CheckAsync("board-phone");

        // Lifted; and a person gives the need to a group that they have spoken with.
        var lift = desk.Page.Locator("tr", new() { HasText = "Lockdown of J Lane" }).Locator("form.inline");
        await lift.Locator("input[type=text]").FillAsync("over");
        await lift.Locator("button").ClickAsync();
        await Assertions.Expect(desk.Page.GetByText("“Lockdown of J Lane” is lifted.")).ToBeVisibleAsync();
        await desk.Page.GotoAsync("/operator/providers");
        await desk.CheckAsync("providers");
        await desk.Page.GotoAsync($"/operator/providers/{provider}");
        await desk.CheckAsync("provider-closure");

        var helper = await _huzhu.RegisterAsync("groups", Client.Entry("Old Town kitchen 老城厨房", lat + .004, lon, capacity: 3, kind: Kind, radiusMetres: 3000));
        await Client.EventuallyAsync("Matching to know the helper", async () =>
        {
            var candidates = await _huzhu.GetAsync("matching", $"/v1/matches/{need}/candidates?limit=100", "operator");
            return (candidates.ToJsonString().Contains(helper, StringComparison.Ordinal), candidates);
        });
        await desk.Page.GotoAsync($"/operator/needs/{need}");
        await desk.Page.Locator($"input[value='{helper}']").CheckAsync();
        await desk.Page.Locator("#reason").FillAsync("They know the family");
        await desk.CheckAsync("assign");
        await desk.Page.GetByRole(AriaRole.Button, new() { Name = "Assign" }).ClickAsync();
        await Assertions.Expect(desk.Page.GetByText("is being asked now")).ToBeVisibleAsync();
        await _huzhu.MatchAsync(need, match => match["offers"]!.AsArray().Any(offer => (string)offer!["responderId"]! == helper), "the helper to be asked");
        Assert.NotEqual(group, helper);

        // An auditor opens the explanation, and what led to it.
        await using var auditor = await browser.VisitAsync(Console, "en");
        await auditor.SignInAsync("auditor", $"/audit/explanations/{need}");
        await Assertions.Expect(auditor.Page.Locator("tr.chosen")).ToContainTextAsync("Old Town kitchen");
        await Assertions.Expect(auditor.Page.GetByText("They know the family").First).ToBeVisibleAsync();
        await auditor.CheckAsync("explanation");
        await auditor.Page.GotoAsync($"/audit/timelines/{request}");
        await Assertions.Expect(auditor.Page.Locator("table.timeline tbody tr").First).ToBeVisibleAsync();
        Assert.True(await auditor.Page.Locator(".tag.log").EvaluateAllAsync<int>("tags => new Set(tags.map(tag => tag.textContent)).size") >= 3);
        await auditor.CheckAsync("timeline");
    }

    [Theory]
    [InlineData("zh")]
    [InlineData("en")]
    public async Task the_other_pages_of_operators_and_auditors_are_fit_for_everybody(string language)
    {
        var (request, need) = await _huzhu.SubmitAsync(Client.Request($"held-{language}", lat: 30.9, lon: 121.1, kind: "specialised.rescue"));
        await _huzhu.MatchInAsync(need, "waiting");
        await using (var desk = await browser.VisitAsync(Console, language))
        {
            await desk.SignInAsync("operator", "/operator");
            await desk.CheckAsync("operator");
            await _huzhu.PostAsync("requests", $"/v1/requests/{request}/concern", "operator", new { reason = "unsafe" });
            await desk.Page.GotoAsync("/operator/holds");
            var held = desk.Page.Locator("section.panel", new() { Has = desk.Page.Locator($"input[value='{need}']") });
            await desk.CheckAsync("holds");
            await held.Locator("input[type=text]").FillAsync("spoke with the neighbour");
            await held.Locator("button[value=release]").ClickAsync();
            await Assertions.Expect(desk.Page.Locator(".notice.good")).ToBeVisibleAsync();
            await _huzhu.MatchInAsync(need, "waiting");
            await desk.Page.GotoAsync("/operator/measures");
            await desk.CheckAsync("measures");
        }

        await using var auditor = await browser.VisitAsync(Console, language);
        await auditor.SignInAsync("auditor", "/audit");
        foreach (var (page, name) in new[] { ("/audit", "audit"), ("/audit/state", "state"), ("/audit/equity", "equity"), ("/audit/replays", "replays"), ("/audit/verification", "verification") })
        {
            await auditor.Page.GotoAsync(page);
            await auditor.CheckAsync(name);
        }
        await auditor.Page.GotoAsync("/audit/state");
        await auditor.Page.Locator("#t").FocusAsync();
        await auditor.Page.Keyboard.PressAsync("Home");
        await Assertions.Expect(auditor.Page.Locator("#state")).Not.ToHaveAttributeAsync("aria-busy", "true");
        await auditor.Page.GotoAsync("/audit/replays");
        await auditor.Page.Locator("input[name='Form.WithoutGroups']").CheckAsync();
        await auditor.Page.Locator("main button").ClickAsync();
        await Assertions.Expect(auditor.Page.Locator("table.compare")).ToBeVisibleAsync();
        await auditor.CheckAsync("replay");

        // Another policy: the one in force is at hand, and what is no policy is refused in words.
        await auditor.Page.Locator("details summary").First.ClickAsync();
        var policy = auditor.Page.Locator("#policy");
        var inForce = JsonNode.Parse(await policy.InputValueAsync())!.AsObject();
        await policy.FillAsync("{");
        await auditor.Page.Locator("main button").ClickAsync();
        await Assertions.Expect(auditor.Page.Locator(".notice.bad")).ToContainTextAsync("JSON");
        await auditor.CheckAsync("replay-refused");
        inForce["maxUnansweredOffersPerNeed"] = (int)inForce["maxUnansweredOffersPerNeed"]! + 1;
        await policy.FillAsync(inForce.ToJsonString());
        await auditor.Page.Locator("main button").ClickAsync();
        await Assertions.Expect(auditor.Page.Locator("table.compare thead")).ToContainTextAsync(language == "zh" ? "另一套策略" : "another policy");
    }

    [Fact]
    public async Task pages_hold_in_the_dark_in_forced_colours_and_on_paper()
    {
        await using var desk = await browser.VisitAsync(Console, "en");
        await desk.SignInAsync("operator", "/board");
        foreach (var page in new[] { "board", "calls/new", "operator/measures" })
        {
            await desk.Page.GotoAsync($"/{page}");
            var name = page.Replace('/', '-');
            await desk.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
            await desk.CheckAsync($"{name}-dark");
            await desk.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light, ForcedColors = ForcedColors.Active });
            await desk.CheckAsync($"{name}-forced-colours");
            await desk.Page.EmulateMediaAsync(new() { ForcedColors = ForcedColors.None, Media = Media.Print });
            await desk.Page.ScreenshotAsync(new() { Path = Path.Combine(Browser.Screenshots, $"{name}-print.png"), FullPage = true });
            // Paper has nothing to press.
            Assert.Equal(0, await desk.Page.Locator("nav:visible").CountAsync());
            await desk.Page.EmulateMediaAsync(new() { Media = Media.Screen });
        }
    }

    private async Task<string> RegisterProviderAsync(string name, double lat, double lon) =>
        (string)(await _huzhu.PostAsync("groups", "/v1/providers", "operator", Client.Entry(name, lat, lon, capacity: 5, kind: Kind, radiusMetres: 2000)))["id"]!;
}
