using System.Net;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Huzhu.Web.Layout;

/// <summary>What every page has in common: rendered on the server, no script but our own files, kept by nobody on the way.</summary>
public static class Pages
{
    public static void AddPages(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(25));
        services.AddHttpContextAccessor();
        services.AddRazorComponents(options => options.DetailedErrors = false);
        services.AddSingleton(new PlaceAndTime(builder.Configuration)).AddScoped<Language>();
        services.AddSingleton(District.Load(builder.Configuration));
        services.AddSingleton(PublicAddress.Read(builder.Configuration));
        services.AddAntiforgery(options =>
        {
            options.Cookie.Name = "form";
            options.Cookie.HttpOnly = true;
            options.Cookie.SameSite = SameSiteMode.Strict;
            options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            // One header of ours says it for every page.
            options.SuppressXFrameOptionsHeader = true;
        });
        services.AddHealthChecks();
    }

    public static void UsePages(this WebApplication app)
    {
        app.UseTrustedProxies();
        var address = app.Services.GetRequiredService<PublicAddress>();
        app.Use((context, next) =>
        {
            address.Apply(context.Request);
            return next(context);
        });
        app.UseExceptionHandler("/error", createScopeForErrors: true);
        var policy = ContentPolicy(app.Configuration);
        app.Use((context, next) =>
        {
            var headers = context.Response.Headers;
            headers.XContentTypeOptions = "nosniff";
            headers["Referrer-Policy"] = "no-referrer";
            headers.ContentSecurityPolicy = policy;
            headers["Cross-Origin-Opener-Policy"] = "same-origin";
            headers["Cross-Origin-Resource-Policy"] = "same-origin";
            headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()";
            if (context.Request.IsHttps)
                headers.StrictTransportSecurity = "max-age=31536000";
            // Files set their own: they hold nothing of anybody.
            headers.CacheControl = "no-cache, no-store";
            headers.Pragma = "no-cache";
            RememberLanguage(context);
            return next(context);
        });
        app.UseStatusCodePagesWithReExecute("/status/{0}", createScopeForStatusCodePages: true);
        app.UseAuthentication();
        app.UseRateLimiter();
        app.UseAuthorization();
        app.UseAntiforgery();
    }

    public static void MapPages(this WebApplication app)
    {
        app.MapHealthChecks(Hosting.LivePath, new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous().DisableRateLimiting();
        // It has nothing of its own that could be away; what it asks says so itself, on the page.
        app.MapHealthChecks(Hosting.ReadyPath, new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous().DisableRateLimiting();
        app.MapPrometheusScrapingEndpoint(Hosting.MetricsPath).AllowAnonymous().DisableRateLimiting();
        app.MapStaticAssets().AllowAnonymous().DisableRateLimiting();
        app.MapGet("/district.json", (District district) => Results.Bytes(district.GeoJson, "application/geo+json")).AllowAnonymous();
        app.MapRazorComponents<App>();
    }

    private static void RememberLanguage(HttpContext context)
    {
        if (context.Request.Query[Language.Query].ToString() is var wanted && wanted is Language.Chinese or Language.English)
            context.Response.Cookies.Append(Language.Cookie, wanted, new CookieOptions
            {
                HttpOnly = true,
                IsEssential = true,
                SameSite = SameSiteMode.Lax,
                Secure = context.Request.IsHttps,
                MaxAge = TimeSpan.FromDays(365),
            });
    }

    /// <summary>Nothing from elsewhere, nothing written into a page; tiles of a map when they are configured, and the issuer for the way out.</summary>
    private static string ContentPolicy(IConfiguration configuration)
    {
        var tiles = Origin(configuration["Console:Tiles:Url"]);
        var issuer = Origin(configuration["Auth:Authority"]);
        return $"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{tiles}; font-src 'self'; connect-src 'self'; " +
            $"manifest-src 'self'; form-action 'self'{issuer}; base-uri 'none'; frame-ancestors 'none'";

        // A tile's address may have {s} in its host.
        static string Origin(string? url) => url is { Length: > 0 } && url.Split('/') is [var scheme, "", var host, ..] ? $" {scheme}//{host.Replace("{s}", "*", StringComparison.Ordinal)}" : "";
    }
}

/// <summary>The address that people know the console by, where a proxy stands before it: <c>Console:PublicUrl</c>.</summary>
public sealed class PublicAddress
{
    public const string Key = "Console:PublicUrl";
    private readonly Uri? _url;

    private PublicAddress(Uri? url) => _url = url;

    /// <exception cref="InvalidOperationException">It is not an absolute HTTP address without a path.</exception>
    public static PublicAddress Read(IConfiguration configuration)
    {
        if (configuration[Key] is not { Length: > 0 })
            return new PublicAddress(null);
        var url = ServiceAddress.Read(configuration, Key);
        return url.PathAndQuery == "/" ? new PublicAddress(url) : throw new InvalidOperationException($"{Key} has a path; the console wants a host of its own.");
    }

    public void Apply(HttpRequest request)
    {
        if (_url is null)
            return;
        request.Scheme = _url.Scheme;
        request.Host = HostString.FromUriComponent(_url);
    }

    public static bool IsLoopback(HttpContext http) => http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address);
}
