using System.Globalization;
using System.Security.Claims;
using System.Text.Json.Serialization;
using Huzhu.ServiceDefaults;
using Huzhu.Web.Layout;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace Huzhu.Web.SignIn;

/// <summary>
/// Who sits before the console. OpenID Connect with the issuer that the services accept, code flow with PKCE; on one
/// machine a choice of roles instead, signed with the development key. The user's own token stays in an encrypted
/// cookie that scripts cannot read, and is what the services are asked with: nobody sees more here than there.
/// </summary>
public static class UserSignIn
{
    public const string AccessToken = "access_token";
    public const string RefreshToken = "refresh_token";
    public const string ExpiresAt = "expires_at";
    public const string Path = "/sign-in";

    private static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Shift = TimeSpan.FromHours(12);

    /// <summary>The roles that a development user may choose, in the order of the page.</summary>
    public static readonly IReadOnlyList<string> DevelopmentRoles = [Roles.Intake, Roles.Operator, Roles.Auditor, Roles.Coordinator];

    public static void AddSignIn(this WebApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        var authority = configuration["Auth:Authority"];
        var developmentKey = Security.ReadKey(configuration, "Auth:Development:SigningKey", required: false);
        if (authority is null == developmentKey is null)
            throw new InvalidOperationException("Set exactly one of Auth:Authority and Auth:Development:SigningKey.");
        if (developmentKey is not null && builder.Environment.IsProduction())
            throw new InvalidOperationException("Auth:Development:SigningKey is not accepted in the Production environment; set Auth:Authority.");
        builder.Services.AddSingleton(new DevelopmentSignIn(developmentKey));
        builder.AddCookieKeys();
        var secure = builder.Environment.IsProduction() ? CookieSecurePolicy.Always : CookieSecurePolicy.SameAsRequest;

        var authentication = builder.Services.AddAuthentication(options =>
        {
            options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
            options.DefaultChallengeScheme = authority is null ? CookieAuthenticationDefaults.AuthenticationScheme : OpenIdConnectDefaults.AuthenticationScheme;
        }).AddCookie(options =>
        {
            options.Cookie.Name = "user";
            options.Cookie.HttpOnly = true;
            // Lax: who comes back from the issuer, or by a link in a message of a colleague, is still signed in.
            options.Cookie.SameSite = SameSiteMode.Lax;
            options.Cookie.SecurePolicy = secure;
            options.ExpireTimeSpan = Shift;
            options.SlidingExpiration = false;
            options.LoginPath = Path;
            options.ReturnUrlParameter = "to";
            options.Events.OnRedirectToAccessDenied = context =>
            {
                context.Response.StatusCode = StatusCodes.Status403Forbidden;
                return Task.CompletedTask;
            };
            options.Events.OnValidatePrincipal = context => context.HttpContext.RequestServices.GetRequiredService<TokenRenewal>().RenewAsync(context);
        });
        builder.Services.AddSingleton<TokenRenewal>();
        builder.Services.AddHttpClient(TokenRenewal.ClientName).AddHuzhuResilience();
        if (authority is not null)
            authentication.AddOpenIdConnect(options => Configure(options, authority, configuration, secure));
        builder.Services.AddAuthorizationBuilder().SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
    }

    public static void MapSignIn(this WebApplication app)
    {
        app.MapPost(Path, ChooseRoleAsync).AllowAnonymous();
        app.MapPost("/sign-out", SignOutAsync);
    }

    private static void Configure(OpenIdConnectOptions options, string authority, IConfiguration configuration, CookieSecurePolicy secure)
    {
        options.Authority = authority;
        options.ClientId = Required("Auth:Client:ClientId");
        options.ClientSecret = configuration["Auth:Client:ClientSecret"];
        options.ResponseType = OpenIdConnectResponseType.Code;
        // A form that comes back by POST would come without the cookie.
        options.ResponseMode = OpenIdConnectResponseMode.Query;
        // Come back by a link and not by a form, these need not travel with what other sites send.
        foreach (var cookie in new[] { options.CorrelationCookie, options.NonceCookie })
            (cookie.SameSite, cookie.SecurePolicy) = (SameSiteMode.Lax, secure);
        options.UsePkce = true;
        options.SaveTokens = true;
        options.MapInboundClaims = false;
        options.Scope.Clear();
        foreach (var scope in (configuration["Auth:Scopes"] ?? "openid profile offline_access").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            options.Scope.Add(scope);
        options.TokenValidationParameters.RoleClaimType = "roles";
        options.TokenValidationParameters.NameClaimType = "name";
        options.AdditionalAuthorizationParameters["audience"] = configuration["Auth:Audience"] ?? Security.Audience;
        options.Events.OnRemoteFailure = context =>
        {
            // The reason is the issuer's; the reader is told that it did not work, and may try again.
            context.HandleResponse();
            context.Response.Redirect("/status/401");
            return Task.CompletedTask;
        };

        string Required(string key) => configuration[key] is { Length: > 0 } value ? value : throw new InvalidOperationException($"{key} is missing: the console signs people in with it.");
    }

    private static async Task<Results<RedirectHttpResult, ForbidHttpResult, BadRequest>> ChooseRoleAsync(HttpContext http, [FromForm] string role, [FromForm] string? to, DevelopmentSignIn development, TimeProvider time)
    {
        if (!development.IsOn || !PublicAddress.IsLoopback(http))
            return TypedResults.Forbid();
        if (!DevelopmentRoles.Contains(role))
            return TypedResults.BadRequest();
        var now = time.GetUtcNow();
        var user = new ClaimsPrincipal(new ClaimsIdentity([new("sub", $"local-{role}"), new("name", $"local-{role}"), new("roles", role)], "development", "name", "roles"));
        var properties = new AuthenticationProperties();
        properties.StoreTokens(
        [
            new() { Name = AccessToken, Value = development.TokenFor(role, now, Shift) },
            new() { Name = ExpiresAt, Value = (now + Shift).ToString("o", CultureInfo.InvariantCulture) },
        ]);
        await http.SignInAsync(user, properties);
        return TypedResults.LocalRedirect(to is { Length: > 1 } && to[0] == '/' && to[1] is not ('/' or '\\') ? to : "/");
    }

    private static async Task<IResult> SignOutAsync(HttpContext http, IAntiforgery antiforgery, DevelopmentSignIn development)
    {
        if (!await antiforgery.IsRequestValidAsync(http))
            return Results.BadRequest();
        return development.IsOn
            ? Results.SignOut(new AuthenticationProperties { RedirectUri = Path }, [CookieAuthenticationDefaults.AuthenticationScheme])
            : Results.SignOut(new AuthenticationProperties { RedirectUri = "/status/200" }, [CookieAuthenticationDefaults.AuthenticationScheme, OpenIdConnectDefaults.AuthenticationScheme]);
    }

    /// <summary>Fetches the next access token a minute before the last one ends; who has none any more signs in again.</summary>
    public sealed class TokenRenewal(IHttpClientFactory http, TimeProvider time, ILogger<TokenRenewal> logger)
    {
        public const string ClientName = "issuer";

        public async Task RenewAsync(CookieValidatePrincipalContext context)
        {
            var properties = context.Properties;
            var now = time.GetUtcNow();
            if (!DateTimeOffset.TryParse(properties.GetTokenValue(ExpiresAt), CultureInfo.InvariantCulture, DateTimeStyles.None, out var expiresAt) || now < expiresAt - RenewBefore)
                return;
            if (properties.GetTokenValue(RefreshToken) is { } refresh && await TryRenewAsync(context, refresh) is { } renewed)
            {
                properties.UpdateTokenValue(AccessToken, renewed.AccessToken!);
                if (renewed.RefreshToken is { Length: > 0 })
                    properties.UpdateTokenValue(RefreshToken, renewed.RefreshToken);
                properties.UpdateTokenValue(ExpiresAt, (now + TimeSpan.FromSeconds(renewed.ExpiresIn)).ToString("o", CultureInfo.InvariantCulture));
                context.ShouldRenew = true;
            }
            else if (now >= expiresAt)
            {
                context.RejectPrincipal();
            }
        }

        private async Task<Renewed?> TryRenewAsync(CookieValidatePrincipalContext context, string refreshToken)
        {
            var options = context.HttpContext.RequestServices.GetRequiredService<Microsoft.Extensions.Options.IOptionsMonitor<OpenIdConnectOptions>>().Get(OpenIdConnectDefaults.AuthenticationScheme);
            try
            {
                var issuer = await options.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted);
                var form = new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = refreshToken, ["client_id"] = options.ClientId! };
                if (options.ClientSecret is { Length: > 0 } secret)
                    form["client_secret"] = secret;
                using var client = http.CreateClient(ClientName);
                using var response = await client.PostAsync(issuer.TokenEndpoint, new FormUrlEncodedContent(form), context.HttpContext.RequestAborted);
                if (!response.IsSuccessStatusCode)
                    return null;
                return await response.Content.ReadFromJsonAsync<Renewed>(context.HttpContext.RequestAborted) is { AccessToken.Length: > 0 } renewed ? renewed : null;
            }
            catch (Exception exception) when (exception is HttpRequestException or System.Text.Json.JsonException or Polly.ExecutionRejectedException or InvalidOperationException)
            {
                logger.LogWarning("A token could not be renewed ({Reason})", exception.GetType().Name);
                return null;
            }
        }

        private sealed record Renewed(
            [property: JsonPropertyName("access_token")] string? AccessToken,
            [property: JsonPropertyName("refresh_token")] string? RefreshToken,
            [property: JsonPropertyName("expires_in")] int ExpiresIn);
    }
}

/// <summary>Signs in without an issuer, on one machine, from this machine only.</summary>
public sealed class DevelopmentSignIn(byte[]? key)
{
    public bool IsOn => key is not null;

    /// <summary>The same subject as the tokens that ./huzhu up writes down for this role.</summary>
    public string TokenFor(string role, DateTimeOffset now, TimeSpan lifetime) =>
        Security.CreateDevelopmentToken(key ?? throw new InvalidOperationException("There is no development key."), $"local-{role}",
            // Who runs a group answers its offers, too.
            role == Roles.Coordinator ? [Roles.Coordinator, Roles.Responder] : [role], now, lifetime: lifetime);
}
