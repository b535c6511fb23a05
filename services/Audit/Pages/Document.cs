using System.Reflection;

namespace Huzhu.Pages;

/// <summary>
/// One file that opens from a disk without a network, and prints. Everything is written out, so it needs no script.
/// </summary>
static class Document
{
    public static string Render(string title, Html header, Html main, Html footer) => Html.Of($"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <title>{title}</title>
        <style>{new Html(Css())}</style>
        </head>
        <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
        {header}
        </header>
        <main id="main">
        {main}
        </main>
        <footer><p>{footer}</p></footer>
        </body>
        </html>
        """).Markup;

    private static string Css()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("Huzhu.Pages.page.css")
            ?? throw new InvalidOperationException("page.css is not in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
