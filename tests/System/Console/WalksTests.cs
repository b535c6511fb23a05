using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Huzhu.SystemTests.Console;

/// <summary>One call, walked through the running system by the three people that it concerns: the call-taker, the coordinator, the person who asked.</summary>
[Collection(IntegratorsCollection.Name)]
public sealed partial class WalksTests(ConsoleHuzhu fixture, Browser browser) : IClassFixture<Browser>, IDisposable
{
    private readonly Client _huzhu = new(fixture.Huzhu);
    private string Console => fixture.Huzhu.Description.Services["console"];

    public void Dispose() => _huzhu.Dispose();

    /// <summary>A group that gives what no other test asks for, so that its offers are this test's.</summary>
    private Task<string> RegisterAsync(string name, string kind) => _huzhu.RegisterAsync("groups", Client.Entry(name, lat: 31.219, lon: 121.451, kind: kind, abilities: ["sign-language"], radiusMetres: 9000));

    /// <summary>The page that a message about the request carries, once it was written.</summary>
    private async Task<string> PageAsync(string requestId, string audience, Func<JsonNode, bool> which)
    {
        var message = await Client.EventuallyAsync($"a message to the {audience}", () => Task.FromResult(Find()));
        return (string)message["data"]!["page"]!;

        (bool, JsonNode?) Find()
        {
            var found = _huzhu.FileMessages().LastOrDefault(message => (string?)message["data"]!["requestId"] == requestId && (string?)message["data"]!["audience"] == audience && which(message["data"]!));
            return (found is not null, found);
        }
    }

    private Task<string> OfferPageAsync(string requestId) => PageAsync(requestId, "responder", data => data["page"] is not null && data["links"]!["accept"] is not null);

    [Fact]
    public async Task a_call_is_taken_by_keyboard_accepted_by_a_link_without_scripts_done_and_confirmed()
    {
        await RegisterAsync("Walkers", "donations.money");
        await using var taker = await browser.VisitAsync(Console, "en");
        await taker.SignInAsync("intake", "/calls/new");
        var keyboard = taker.Page.Keyboard;
        await Expect(taker.Page.Locator("#phone")).ToBeFocusedAsync();
        await Expect(taker.Page.Locator("#place-map path").First).ToBeVisibleAsync();
        await taker.CheckAsync("call-empty");

        // From the telephone's number with Alt, from anywhere else with the bare key.
        await keyboard.TypeAsync("+86 138 1111 2222");
        await keyboard.PressAsync("Tab");
        await keyboard.TypeAsync("Lin");
        await keyboard.PressAsync("Alt+0");
        await keyboard.PressAsync("e");
        await keyboard.PressAsync("a");
        await keyboard.PressAsync("k");
        await Expect(taker.Page.Locator("[name=kind][value='donations.money']")).ToBeCheckedAsync();
        await Expect(taker.Page.Locator("[name=urgency][value=hardship]")).ToBeCheckedAsync();
        await Expect(taker.Page.Locator("[name=communication][value=sign-language]")).ToBeCheckedAsync();
        await taker.Page.Locator("#address").FocusAsync();
        await keyboard.TypeAsync("J Road 3, second floor");
        await keyboard.PressAsync("Tab");
        await keyboard.TypeAsync("J");
        await taker.CheckAsync("call-filled");
        await keyboard.PressAsync("Control+Enter");

        await Expect(taker.Page.Locator(".read-back")).ToContainTextAsync("+86 138 1111 2222");
        await taker.CheckAsync("call-read-back");
        await Expect(taker.Page.Locator("button[value=send]")).ToBeFocusedAsync();
        await keyboard.PressAsync("Enter");
        await taker.Page.WaitForURLAsync(CallUrl());
        var request = CallUrl().Match(taker.Page.Url).Groups[1].Value;
        Assert.Matches("^[0-9A-Z]{4}-[0-9A-Z]{4}$", await taker.Page.Locator(".number").InnerTextAsync());
        Assert.DoesNotContain("138", taker.Page.Url);

        var link = await OfferPageAsync(request);
        Assert.StartsWith($"{Console}/o/", link);
        await using (var looking = await browser.VisitAsync(Console, "en"))
        {
            await looking.Page.GotoAsync(link);
            await looking.CheckAsync("offer");
            Assert.DoesNotContain("138 1111", await looking.Page.ContentAsync());
        }

        // An old telephone, without scripts, by its keys alone.
        await using var coordinator = await browser.VisitAsync(Console, "en", scripts: false, screen: (360, 640));
        await coordinator.Page.GotoAsync(link);
        await TabToAsync(coordinator.Page, "accept");
        await coordinator.Page.Keyboard.PressAsync("Enter");
        await Expect(coordinator.Page.Locator("main")).ToContainTextAsync("+86 138 1111 2222");
        await Expect(coordinator.Page.Locator("main")).ToContainTextAsync("J Road 3, second floor");
        await coordinator.Page.ScreenshotAsync(new() { Path = Path.Combine(Browser.Screenshots, "offer-accepted-phone-en.png"), FullPage = true });
        await using (var looking = await browser.VisitAsync(Console, "en"))
        {
            await looking.Page.GotoAsync(link);
            await looking.CheckAsync("offer-accepted");
        }
        // The call-taker sees it without doing anything.
        await Expect(taker.Page.Locator("[data-live]")).ToContainTextAsync("Somebody will come");
        await taker.CheckAsync("call-standing");
        await TabToAsync(coordinator.Page, "start");
        await coordinator.Page.Keyboard.PressAsync("Enter");
        await Expect(coordinator.Page.Locator("h1")).ToContainTextAsync("Help is under way");
        await TabToAsync(coordinator.Page, "complete");
        await coordinator.Page.Keyboard.PressAsync("Enter");
        await Expect(coordinator.Page.Locator("h1")).ToContainTextAsync("Thank you");
        // The link again, when it is over: it says so, and nothing of anybody.
        await coordinator.Page.GotoAsync(link);
        Assert.DoesNotContain("138 1111", await coordinator.Page.ContentAsync());
        Assert.DoesNotContain("J Road", await coordinator.Page.ContentAsync());

        var own = await PageAsync(request, "requester", data => (string?)data["state"] == "fulfilled");
        await using (var looking = await browser.VisitAsync(Console, "en"))
        {
            await looking.Page.GotoAsync(own);
            await looking.CheckAsync("own-fulfilled");
        }
        await using var person = await browser.VisitAsync(Console, "en", scripts: false, screen: (360, 640));
        await person.Page.GotoAsync(own);
        await person.Page.Locator("button[value=helped]").ClickAsync();
        await Expect(person.Page.Locator("[role=status]")).ToContainTextAsync("We have heard you");
        await _huzhu.RequestInAsync(request, "closed");
        await Expect(taker.Page.Locator("[data-live]")).ToContainTextAsync("Confirmed, closed");
        await taker.Page.GotoAsync("/calls");
        await taker.CheckAsync("calls");
    }

    [Fact]
    public async Task in_chinese_a_second_call_is_seen_while_it_is_typed_and_links_serve_their_holder_alone()
    {
        await RegisterAsync("Givers", "donations.goods");
        await using var taker = await browser.VisitAsync(Console, "zh");
        var (first, second) = (await TakeAsync(taker, "13922223333", check: true), await TakeAsync(taker, "13922223333", check: false, repeats: true));
        Assert.NotEqual(first, second);
        var another = await TakeAsync(taker, "13944445555", check: false);

        var link = await OfferPageAsync(first);
        var others = await OfferPageAsync(another);
        await using var coordinator = await browser.VisitAsync(Console, "zh", screen: (360, 640));
        foreach (var bad in new[]
        {
            link[..^1] + (link[^1] == 'A' ? 'B' : 'A'),
            link[..link.IndexOf('?', StringComparison.Ordinal)],
            link[..(link.IndexOf("key=", StringComparison.Ordinal) + 4)] + others[(others.IndexOf("key=", StringComparison.Ordinal) + 4)..],
            $"{Console}/o/{Guid.NewGuid()}{link[link.IndexOf('?', StringComparison.Ordinal)..]}",
        })
        {
            Assert.Equal(403, (await coordinator.Page.GotoAsync(bad))!.Status);
            await Expect(coordinator.Page.Locator("h1")).ToHaveTextAsync("链接无效");
            Assert.DoesNotContain("物资", await coordinator.Page.Locator("main").InnerTextAsync());
        }
        await coordinator.CheckAsync("offer-refused");

        await coordinator.Page.GotoAsync(link);
        await coordinator.CheckAsync("offer");
        await coordinator.Page.Locator("summary").ClickAsync();
        await coordinator.Page.Locator("[name=reason][value=out-of-area]").CheckAsync();
        await coordinator.Page.Locator("button[value=decline]").ClickAsync();
        await Expect(coordinator.Page.Locator("main")).ToContainTextAsync("已记下您不能接受");
        // Replayed: what is over stays over, and says nothing of what was asked.
        await coordinator.Page.GotoAsync(link);
        Assert.DoesNotContain("物资", await coordinator.Page.Locator("main").InnerTextAsync());
        await coordinator.CheckAsync("offer-over");
        var (status, _) = await _huzhu.SendAsync(HttpMethod.Post, "matching", new Uri(link).PathAndQuery.Replace("/o/", "/v1/offers/", StringComparison.Ordinal).Replace("?", "/accept?", StringComparison.Ordinal), null, new { });
        Assert.Equal(409, status);

        // Two hands on one link: both say yes, and it is the same yes.
        await using var twice = await browser.VisitAsync(Console, "zh", screen: (360, 640));
        await coordinator.Page.GotoAsync(others);
        await twice.Page.GotoAsync(others);
        await coordinator.Page.Locator("button[value=accept]").ClickAsync();
        await twice.Page.Locator("button[value=accept]").ClickAsync();
        foreach (var page in new[] { coordinator.Page, twice.Page })
            await Expect(page.Locator("main")).ToContainTextAsync("13944445555");
        await coordinator.CheckAsync("offer-accepted");
        await coordinator.Page.Locator("summary").ClickAsync();
        await coordinator.Page.Locator("#reason").FillAsync("车坏了");
        await coordinator.Page.Locator("button[value=release]").ClickAsync();
        await Expect(coordinator.Page.Locator("main")).ToContainTextAsync("您已交还");
        Assert.DoesNotContain("13944445555", await coordinator.Page.ContentAsync());

        // The person's own link, and somebody else's key for it.
        var own = await PageAsync(first, "requester", data => data["page"] is not null);
        await using var person = await browser.VisitAsync(Console, "zh", screen: (360, 640));
        Assert.Equal(403, (await person.Page.GotoAsync(own[..^1] + (own[^1] == 'A' ? 'B' : 'A')))!.Status);
        Assert.Equal(403, (await person.Page.GotoAsync(own.Replace(first, another, StringComparison.Ordinal)))!.Status);
        await person.CheckAsync("own-refused");
        await person.Page.GotoAsync(own);
        await person.CheckAsync("own");
        await person.Page.Locator("button[value=still-needed]").ClickAsync();
        await Expect(person.Page.Locator("[role=status]")).ToContainTextAsync("我们收到了");
        await person.Page.Locator("button[value=cancel]").ClickAsync();
        await _huzhu.RequestInAsync(first, "cancelled");
    }

    [Fact]
    public async Task what_is_wrong_with_a_call_is_said_at_its_field()
    {
        await using var taker = await browser.VisitAsync(Console, "zh");
        await taker.SignInAsync("intake", "/calls/new");
        await taker.Page.Locator("button[value=check]").ClickAsync();
        await Expect(taker.Page.Locator("[role=alert]")).ToContainTextAsync("请选择需要什么");
        await taker.CheckAsync("call-errors");
        await taker.Page.Locator("#phone").FillAsync("not a number");
        await taker.Page.Locator("[name=kind][value='donations.money']").CheckAsync();
        await taker.Page.Locator("[name=urgency][value=routine]").CheckAsync();
        await taker.Page.Locator("button[value=check]").ClickAsync();
        await taker.Page.Locator("button[value=send]").ClickAsync();
        await Expect(taker.Page.Locator("#phone-error")).ToContainTextAsync("电话号码");
        await Expect(taker.Page.Locator("#phone")).ToHaveValueAsync("not a number");
    }

    [Fact]
    public async Task pages_are_light_and_a_slow_network_is_enough()
    {
        await using var visitor = await browser.VisitAsync(Console, "zh");
        var network = await visitor.Context.NewCDPSessionAsync(visitor.Page);
        await network.SendAsync("Network.enable");
        long bytes = 0;
        network.Event("Network.loadingFinished").OnEvent += (_, finished) => Interlocked.Add(ref bytes, (long)finished!.Value.GetProperty("encodedDataLength").GetDouble());
        await visitor.Page.GotoAsync("/sign-in", new() { WaitUntil = WaitUntilState.NetworkIdle });
        Assert.InRange(bytes, 1_000, 150_000);
        // "Slow 3G" of the browser's own tools: 400 kbit/s, and 400 ms for everything that is asked.
        await network.SendAsync("Network.emulateNetworkConditions", new Dictionary<string, object> { ["offline"] = false, ["latency"] = 400, ["downloadThroughput"] = 50_000, ["uploadThroughput"] = 50_000 });
        await visitor.Page.Locator("button[value=intake]").ClickAsync();
        bytes = 0;
        await visitor.Page.GotoAsync("/calls/new", new() { WaitUntil = WaitUntilState.Load });
        await Expect(visitor.Page.Locator("#place-map path").First).ToBeVisibleAsync();
        Assert.InRange(bytes, 1_000, 500_000);
    }

    private async Task<string> TakeAsync(Visitor taker, string phone, bool check, bool repeats = false)
    {
        await taker.SignInAsync("intake", "/calls/new");
        await taker.Page.Locator("#phone").FillAsync(phone);
        if (repeats)
        {
            await Expect(taker.Page.Locator("#repeats")).ToContainTextAsync("已有求助在进行");
            await taker.CheckAsync("call-repeats");
        }
        await taker.Page.Locator("[name=kind][value='donations.goods']").CheckAsync();
        await taker.Page.Locator("[name=urgency][value=hardship]").CheckAsync();
        await taker.Page.Locator("[name=communication][value=sign-language]").CheckAsync();
        await taker.Page.Locator("[name=consent]").CheckAsync();
        if (check)
            await taker.CheckAsync("call");
        // A click on the map is a place.
        await Expect(taker.Page.Locator("#place-map path").First).ToBeVisibleAsync();
        await taker.Page.Locator("#place-map").ClickAsync(new() { Position = new() { X = 200, Y = 160 } });
        Assert.NotEqual("", await taker.Page.Locator("#lat").InputValueAsync());
        await taker.Page.Locator("button[value=check]").ClickAsync();
        if (check)
            await taker.CheckAsync("call-read-back");
        await taker.Page.Locator("button[value=send]").ClickAsync();
        await taker.Page.WaitForURLAsync(CallUrl());
        if (check)
            await taker.CheckAsync("call-standing");
        return CallUrl().Match(taker.Page.Url).Groups[1].Value;
    }

    /// <summary>Presses Tab until this button has the focus.</summary>
    private static async Task TabToAsync(IPage page, string value)
    {
        for (var press = 0; press < 30; press++)
        {
            await page.Keyboard.PressAsync("Tab");
            if (await page.Locator($"button[value={value}]:focus").CountAsync() == 1)
                return;
        }
        Assert.Fail($"The keyboard does not reach {value}.");
    }

    [GeneratedRegex("/calls/([0-9a-f-]{36})$")]
    private static partial Regex CallUrl();
}
