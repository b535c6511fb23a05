using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Huzhu.TestKit;

/// <summary>
/// An OpenID Connect issuer over HTTPS: discovery, keys, authorization code with PKCE, refresh tokens. Whoever comes is
/// taken for the next user. Everything that a client must send is checked, and a code or a refresh token counts once.
/// </summary>
public sealed class OidcIssuer : IAsyncDisposable
{
    public const string ClientId = "huzhu-console";
    public const string ClientSecret = "9f2f6f0e";

    private readonly WebApplication _app;
    private readonly RsaSecurityKey _key = new(RSA.Create(2048)) { KeyId = "1" };
    private readonly ConcurrentDictionary<string, Code> _codes = [];
    private readonly ConcurrentDictionary<string, User> _refreshes = [];

    private OidcIssuer(WebApplication app, string certificateFile) => (_app, CertificateFile) = (app, certificateFile);

    /// <param name="AccessToken">What the services are asked with; to a client it means nothing.</param>
    public sealed record User(string Subject, string[] Roles, Func<string> AccessToken);

    private sealed record Code(User User, string Nonce, string RedirectUri, string Challenge);

    public string Address => _app.Urls.Single();

    /// <summary>The certificate of the issuer in PEM: whoever trusts it, as <c>SSL_CERT_FILE</c>, trusts the issuer.</summary>
    public string CertificateFile { get; }

    /// <summary>Who signs in next.</summary>
    public User? Next { get; set; }

    /// <summary>How long access tokens live.</summary>
    public TimeSpan Life { get; set; } = TimeSpan.FromMinutes(5);

    public int Refreshed { get; private set; }

    /// <param name="folder">Where the certificate is written to.</param>
    public static async Task<OidcIssuer> StartAsync(string folder)
    {
        using var rsa = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        var now = TimeProvider.System.GetUtcNow();
        using var made = request.CreateSelfSigned(now.AddHours(-1), now.AddDays(1));
        var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        var file = Path.Combine(folder, $"issuer-{Guid.NewGuid():N}.pem");
        await File.WriteAllTextAsync(file, certificate.ExportCertificatePem());

        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        builder.Logging.ClearProviders();
        var issuer = new OidcIssuer(builder.Build(), file);
        issuer._app.MapGet("/.well-known/openid-configuration", () => Results.Json(new
        {
            issuer = issuer.Address,
            authorization_endpoint = $"{issuer.Address}/authorize",
            token_endpoint = $"{issuer.Address}/token",
            jwks_uri = $"{issuer.Address}/keys",
            end_session_endpoint = $"{issuer.Address}/end",
            response_types_supported = new[] { "code" },
            subject_types_supported = new[] { "public" },
            id_token_signing_alg_values_supported = new[] { "RS256" },
        }));
        issuer._app.MapGet("/keys", () =>
        {
            var key = JsonWebKeyConverter.ConvertFromRSASecurityKey(issuer._key);
            return Results.Json(new { keys = new[] { new { kty = "RSA", use = "sig", alg = "RS256", kid = key.Kid, n = key.N, e = key.E } } });
        });
        issuer._app.MapGet("/authorize", issuer.Authorize);
        issuer._app.MapPost("/token", issuer.TokenAsync);
        issuer._app.MapGet("/end", (string? post_logout_redirect_uri) => post_logout_redirect_uri is null ? Results.Ok() : Results.Redirect(post_logout_redirect_uri));
        await issuer._app.StartAsync();
        return issuer;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        File.Delete(CertificateFile);
    }

    private IResult Authorize(HttpRequest request)
    {
        string Asked(string name) => request.Query[name].ToString();
        if (Next is not { } user || Asked("client_id") != ClientId || Asked("response_type") != "code" || Asked("code_challenge_method") != "S256"
            || !Asked("scope").Split(' ').Contains("openid") || Asked("nonce").Length == 0 || Asked("state").Length == 0)
            return Results.BadRequest();
        var code = RandomNumberGenerator.GetHexString(32);
        _codes[code] = new Code(user, Asked("nonce"), Asked("redirect_uri"), Asked("code_challenge"));
        return Results.Redirect($"{Asked("redirect_uri")}?code={code}&state={Uri.EscapeDataString(Asked("state"))}");
    }

    private async Task<IResult> TokenAsync(HttpRequest request)
    {
        var form = await request.ReadFormAsync();
        if (form["client_id"] != ClientId || form["client_secret"] != ClientSecret)
            return Results.Json(new { error = "invalid_client" }, statusCode: 401);
        if (form["grant_type"] == "refresh_token")
        {
            if (!_refreshes.TryRemove(form["refresh_token"].ToString(), out var known))
                return Results.Json(new { error = "invalid_grant" }, statusCode: 400);
            Refreshed++;
            return Tokens(known, nonce: null);
        }
        return form["grant_type"] == "authorization_code" && _codes.TryRemove(form["code"].ToString(), out var code) && code.RedirectUri == form["redirect_uri"]
            && Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString()))) == code.Challenge
                ? Tokens(code.User, code.Nonce)
                : Results.Json(new { error = "invalid_grant" }, statusCode: 400);
    }

    private IResult Tokens(User user, string? nonce)
    {
        var claims = new Dictionary<string, object> { ["sub"] = user.Subject, ["name"] = user.Subject, ["roles"] = user.Roles };
        if (nonce is not null)
            claims["nonce"] = nonce;
        var refresh = RandomNumberGenerator.GetHexString(32);
        _refreshes[refresh] = user;
        return Results.Json(new
        {
            token_type = "Bearer",
            access_token = user.AccessToken(),
            expires_in = (int)Life.TotalSeconds,
            refresh_token = refresh,
            id_token = new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
            {
                Issuer = Address,
                Audience = ClientId,
                Claims = claims,
                SigningCredentials = new SigningCredentials(_key, SecurityAlgorithms.RsaSha256),
            }),
        });
    }
}
