using Deque.AxeCore.Commons;
using Huzhu.Local.Infrastructure;
using Microsoft.Playwright;
using Xunit;

namespace Huzhu.SystemTests.Console;

/// <summary>The system's Chromium, driven by Playwright; one for all tests of the console. Pictures of the pages are left in <c>.local/screenshots</c>.</summary>
public sealed class Browser : IAsyncLifetime
{
    /// <summary>A machine that has other things to do shows pages late, and no page is worse for it.</summary>
    private const int PatienceMilliseconds = 60_000;

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public static string Screenshots => Path.Combine(Repository.Find().LocalFolder, "screenshots");

    public async ValueTask InitializeAsync()
    {
        var chromium = await Provisioning.FindOrInstallChromiumAsync(Repository.Find(), Narrator.Silent, TestContext.Current.CancellationToken);
        Directory.CreateDirectory(Screenshots);
        Assertions.SetDefaultExpectTimeout(PatienceMilliseconds);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = chromium,
            // Root has no sandbox; and nothing is asked of the world outside.
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
            await _browser.CloseAsync();
        _playwright?.Dispose();
    }

    /// <summary>A person with a browser of their own.</summary>
    public async Task<Visitor> VisitAsync(string console, string language = "zh", bool scripts = true, (int Width, int Height)? screen = null, bool ignoreCertificates = false)
    {
        var context = await _browser!.NewContextAsync(new()
        {
            BaseURL = console,
            Locale = language == "zh" ? "zh-CN" : "en-GB",
            JavaScriptEnabled = scripts,
            ViewportSize = new() { Width = screen?.Width ?? 1280, Height = screen?.Height ?? 900 },
            IgnoreHTTPSErrors = ignoreCertificates,
        });
        context.SetDefaultTimeout(PatienceMilliseconds);
        return new Visitor(context, await context.NewPageAsync(), language);
    }
}

/// <summary>A person before the console, with nothing but a browser.</summary>
public sealed class Visitor : IAsyncDisposable
{
    private static readonly string Axe = new BundledAxeScriptProvider().GetScript();
    private static readonly string[] Rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

    private readonly IBrowserContext _context;
    private readonly List<string> _complaints = [];

    public Visitor(IBrowserContext context, IPage page, string language)
    {
        (_context, Page, Language) = (context, page, language);
        // What the policy of the pages refuses, and what a script throws, is said here and nowhere else.
        page.Console += (_, message) =>
        {
            if (message.Type == "error" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
                _complaints.Add(message.Text);
        };
        page.PageError += (_, error) => _complaints.Add(error);
    }

    public IPage Page { get; }
    public string Language { get; }
    public IBrowserContext Context => _context;

    /// <summary>Signs in as the development user of this role and goes to the path.</summary>
    public async Task SignInAsync(string role, string path = "/")
    {
        await Page.GotoAsync($"/sign-in?to={Uri.EscapeDataString(path)}");
        await Page.Locator($"button[value={role}]").ClickAsync();
    }

    /// <summary>
    /// The page as it is now: no violation that axe-core finds (WCAG 2.2 AA and best practices), the language that was
    /// asked for, no complaint of the browser, no scrolling sideways at 400 %; and pictures of it.
    /// </summary>
    public async Task CheckAsync(string name)
    {
        await Page.ScreenshotAsync(new() { Path = Path.Combine(Browser.Screenshots, $"{name}-{Language}.png"), FullPage = true });
        Assert.Equal(Language == "zh" ? "zh-Hans" : "en", await Page.Locator("html").GetAttributeAsync("lang"));
        Assert.Empty(_complaints);
        // In the page itself: the library's own way opens a second page for each look, which costs as much again.
        await Page.EvaluateAsync(Axe);
        var violations = await Page.EvaluateAsync<string[]>("""
            async tags => (await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'], iframes: false }))
                .violations.map(one => `${one.id}: ${one.help} at ${one.nodes.map(node => node.html).join(', ')}`)
            """, Rules);
        // At 400 % a window of 1,280 px is 320 wide.
        if (Page.ViewportSize is { } size)
        {
            await Page.SetViewportSizeAsync(320, size.Height);
            var sideways = await Page.EvaluateAsync<int>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
            await Page.ScreenshotAsync(new() { Path = Path.Combine(Browser.Screenshots, $"{name}-320-{Language}.png"), FullPage = true });
            await Page.SetViewportSizeAsync(size.Width, size.Height);
            Assert.True(sideways <= 0, $"{name} ({Language}) is {sideways} px too wide at 320.");
        }
        Assert.True(violations.Length == 0, $"{name} ({Language}): {string.Join("\n", violations)}");
    }

    public async ValueTask DisposeAsync() => await _context.CloseAsync();
}
