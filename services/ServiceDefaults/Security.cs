using System.Security.Claims;
using System.Text;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Huzhu.ServiceDefaults;

/// <summary>The roles that a token may carry in its <c>roles</c> claim.</summary>
public static class Roles
{
    /// <summary>A front end that takes requests in: a hotline, a WeChat account, a city desk.</summary>
    public const string Intake = "intake";
    /// <summary>A person who runs groups: registers them, keeps their entries, answers their offers.</summary>
    public const string Coordinator = "coordinator";
    /// <summary>A responder's own system: answers the offers of the responders it is bound to.</summary>
    public const string Responder = "responder";
    /// <summary>Staff of the operating centre: closures, measures, policy, the human queue.</summary>
    public const string Operator = "operator";
    /// <summary>Reads everything but personal data, changes nothing.</summary>
    public const string Auditor = "auditor";
    /// <summary>Another service of this system.</summary>
    public const string Service = "service";
}

/// <summary>Bearer authentication against any OpenID Connect issuer, or a development key on one machine; request limits.</summary>
public static class Security
{
    public const string DevelopmentIssuer = "huzhu-development";
    public const string Audience = "huzhu";

    public static IHostApplicationBuilder AddHuzhuSecurity(this IHostApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        var authority = configuration["Auth:Authority"];
        var developmentKey = ReadKey(configuration, "Auth:Development:SigningKey", required: false);
        if (authority is null == developmentKey is null)
            throw new InvalidOperationException("Set exactly one of Auth:Authority and Auth:Development:SigningKey.");
        if (developmentKey is not null && builder.Environment.IsProduction())
            throw new InvalidOperationException("Auth:Development:SigningKey is not accepted in the Production environment; set Auth:Authority.");

        builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
        {
            options.MapInboundClaims = false;
            options.Authority = authority;
            options.Audience = configuration["Auth:Audience"] ?? Audience;
            options.TokenValidationParameters.RoleClaimType = "roles";
            options.TokenValidationParameters.NameClaimType = "sub";
            options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);
            options.Events = new JwtBearerEvents
            {
                // Who acts is in the event of the act, and what is somebody's own goes by the subject: those without one would own it together.
                OnTokenValidated = context =>
                {
                    if (context.Principal!.Subject().Length == 0)
                        context.Fail("The token names no subject.");
                    return Task.CompletedTask;
                },
            };
            if (developmentKey is null)
                return;
            options.TokenValidationParameters.ValidIssuer = DevelopmentIssuer;
            options.TokenValidationParameters.IssuerSigningKey = new SymmetricSecurityKey(developmentKey);
            options.TokenValidationParameters.ValidAlgorithms = [SecurityAlgorithms.HmacSha256];
        });
        builder.Services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        builder.Services.AddSingleton<FrontEndScope>();
        return builder.AddHuzhuLimits();
    }

    /// <summary>How much one client may ask, and how large a body may be.</summary>
    public static IHostApplicationBuilder AddHuzhuLimits(this IHostApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        var requestsPerSecond = configuration.GetValue("Limits:RequestsPerSecond", 200);
        builder.Services.AddCallers(configuration).AddRateLimiter(options =>
        {
            options.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            options.OnRejected = (context, _) =>
            {
                context.HttpContext.Response.Headers.RetryAfter = "1";
                return ValueTask.CompletedTask;
            };
            options.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context => context.User.IsInRole(Roles.Service)
                // One service asks on behalf of everybody, and limits itself by the messages that it takes at once.
                ? RateLimitPartition.GetNoLimiter(Roles.Service)
                : RateLimitPartition.GetTokenBucketLimiter(Callers.Of(context), _ => new TokenBucketRateLimiterOptions
                {
                    TokenLimit = requestsPerSecond * 2,
                    TokensPerPeriod = Math.Max(1, requestsPerSecond / 10),
                    ReplenishmentPeriod = TimeSpan.FromMilliseconds(100),
                    QueueLimit = 0,
                }));
        });
        builder.Services.Configure<KestrelServerOptions>(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = configuration.GetValue("Limits:BodyBytes", 256L * 1024);
        });
        return builder;
    }

    public static RouteHandlerBuilder RequireRoles(this RouteHandlerBuilder endpoint, params string[] roles) =>
        endpoint.RequireAuthorization(policy => policy.RequireRole(roles));

    /// <summary>The <c>sub</c> of the token.</summary>
    public static string Subject(this ClaimsPrincipal user) => user.FindFirstValue("sub") ?? "";

    /// <summary>Whether the token speaks for this responder: by its <c>responder</c> claims, or because its subject manages it.</summary>
    public static bool SpeaksFor(this ClaimsPrincipal user, Guid responderId, IReadOnlyCollection<string> managedBy) =>
        user.FindAll("responder").Any(claim => Guid.TryParse(claim.Value, out var id) && id == responderId)
        || managedBy.Contains(user.Subject());

    /// <summary>Reads a key of 32 bytes in base64.</summary>
    /// <exception cref="InvalidOperationException">The key is missing though required, or is not 32 bytes in base64.</exception>
    public static byte[]? ReadKey(IConfiguration configuration, string name, bool required)
    {
        if (configuration[name] is not { Length: > 0 } text)
            return required ? throw new InvalidOperationException($"{name} is missing: set it to 32 random bytes in base64.") : null;
        var bytes = new byte[32];
        return Convert.TryFromBase64String(text, bytes, out var written) && written == 32
            ? bytes
            : throw new InvalidOperationException($"{name} must be exactly 32 bytes in base64.");
    }

    /// <summary>A development token, for calls between services and for tests. Valid for an hour unless told otherwise.</summary>
    public static string CreateDevelopmentToken(byte[] key, string subject, IEnumerable<string> roles, DateTimeOffset now,
        IEnumerable<Guid>? responders = null, TimeSpan? lifetime = null, IEnumerable<string>? sources = null)
    {
        var claims = new Dictionary<string, object> { ["sub"] = subject, ["roles"] = roles.ToArray(), ["jti"] = Guid.NewGuid().ToString("N") };
        if (responders is not null)
            claims["responder"] = responders.Select(id => id.ToString()).ToArray();
        if (sources is not null)
            claims["source"] = sources.ToArray();
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = DevelopmentIssuer,
            Audience = Audience,
            IssuedAt = now.UtcDateTime,
            NotBefore = now.UtcDateTime.AddSeconds(-30),
            Expires = now.UtcDateTime + (lifetime ?? TimeSpan.FromHours(1)),
            Claims = claims,
            SigningCredentials = new SigningCredentials(new SymmetricSecurityKey(key), SecurityAlgorithms.HmacSha256),
        });
    }
}
